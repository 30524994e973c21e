// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sn/packet.h"

enum {
	FLAG_DUP = 0x80,
	QOS_SHIFT = 5,
	QOS_MASK = 3,
	FLAG_RETAIN = 0x10,
	FLAG_WILL = 0x08,
	FLAG_CLEAN = 0x04,
	TOPIC_MASK = 0x03,
	LONG_LENGTH = 0x01, /* the length is in the two bytes behind it */
};

/* What packets are made of, in this order. */
enum field {
	END,
	GATEWAY,
	RADIUS,
	FLAGS,
	PROTOCOL,
	DURATION,
	TOPIC,
	MSG,
	CODE,
	FILTER, /* the name, or a topic id of two bytes */
	DATA,	/* all that is left */
	MAYBE,	/* the packet may end here: then it is `empty` */
};

enum { FIELDS = 5 };

static const struct {
	const char *name;
	uint8_t fields[FIELDS];
} layouts[] = {
	[SN_ADVERTISE] = {"ADVERTISE", {GATEWAY, DURATION}},
	[SN_SEARCHGW] = {"SEARCHGW", {RADIUS}},
	[SN_GWINFO] = {"GWINFO", {GATEWAY, DATA}},
	[SN_CONNECT] = {"CONNECT", {FLAGS, PROTOCOL, DURATION, DATA}},
	[SN_CONNACK] = {"CONNACK", {CODE}},
	[SN_WILLTOPICREQ] = {"WILLTOPICREQ", {END}},
	[SN_WILLTOPIC] = {"WILLTOPIC", {MAYBE, FLAGS, DATA}},
	[SN_WILLMSGREQ] = {"WILLMSGREQ", {END}},
	[SN_WILLMSG] = {"WILLMSG", {DATA}},
	[SN_REGISTER] = {"REGISTER", {TOPIC, MSG, DATA}},
	[SN_REGACK] = {"REGACK", {TOPIC, MSG, CODE}},
	[SN_PUBLISH] = {"PUBLISH", {FLAGS, TOPIC, MSG, DATA}},
	[SN_PUBACK] = {"PUBACK", {TOPIC, MSG, CODE}},
	[SN_PUBCOMP] = {"PUBCOMP", {MSG}},
	[SN_PUBREC] = {"PUBREC", {MSG}},
	[SN_PUBREL] = {"PUBREL", {MSG}},
	[SN_SUBSCRIBE] = {"SUBSCRIBE", {FLAGS, MSG, FILTER}},
	[SN_SUBACK] = {"SUBACK", {FLAGS, TOPIC, MSG, CODE}},
	[SN_UNSUBSCRIBE] = {"UNSUBSCRIBE", {FLAGS, MSG, FILTER}},
	[SN_UNSUBACK] = {"UNSUBACK", {MSG}},
	[SN_PINGREQ] = {"PINGREQ", {DATA}},
	[SN_PINGRESP] = {"PINGRESP", {END}},
	[SN_DISCONNECT] = {"DISCONNECT", {MAYBE, DURATION}},
	[SN_WILLTOPICUPD] = {"WILLTOPICUPD", {MAYBE, FLAGS, DATA}},
	[SN_WILLTOPICRESP] = {"WILLTOPICRESP", {CODE}},
	[SN_WILLMSGUPD] = {"WILLMSGUPD", {DATA}},
	[SN_WILLMSGRESP] = {"WILLMSGRESP", {CODE}},
};

enum { TYPES = sizeof(layouts) / sizeof(layouts[0]) };

const char *sn_type_name(uint8_t type)
{
	return type < TYPES && layouts[type].name ? layouts[type].name : "RESERVED";
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

/* ---- decoding ---------------------------------------------------------------------------------------------------- */

/* Take the length off the datagram; it has to be all of it, section 5.2.1. */
static bool take_length(const uint8_t **data, size_t *len)
{
	size_t n = 1, says;

	if (*len < 2)
		return false;
	says = (*data)[0];
	if (says == LONG_LENGTH) {
		if (*len < 4)
			return false;
		n = 3;
		says = get16(*data + 1);
	}
	if (says != *len)
		return false;
	*data += n;
	*len -= n;
	return true;
}

static void take_flags(struct sn_packet *p, uint8_t flags)
{
	p->dup = flags & FLAG_DUP;
	p->qos = flags >> QOS_SHIFT & QOS_MASK;
	p->retain = flags & FLAG_RETAIN;
	p->will = flags & FLAG_WILL;
	p->clean = flags & FLAG_CLEAN;
	p->topic_type = flags & TOPIC_MASK;
}

/* Bytes of a field at the beginning of what is left; -1: it is not there. */
static int take_field(struct sn_packet *p, enum field field, const uint8_t *data, size_t len)
{
	const int size = field == DURATION || field == TOPIC || field == MSG ? 2 : 1;

	if (field != DATA && field != FILTER && len < (size_t)size)
		return -1;
	switch (field) {
	case GATEWAY:
		p->gateway = data[0];
		break;
	case RADIUS:
		p->radius = data[0];
		break;
	case FLAGS:
		take_flags(p, data[0]);
		break;
	case PROTOCOL:
		p->protocol = data[0];
		break;
	case CODE:
		p->code = data[0];
		break;
	case DURATION:
		p->duration = get16(data);
		break;
	case TOPIC:
		p->topic_id = get16(data);
		break;
	case MSG:
		p->msg_id = get16(data);
		break;
	case FILTER:
		if (p->topic_type != SN_TOPIC_NORMAL) {
			if (len != 2)
				return -1;
			p->topic_id = get16(data);
			return 2;
		}
		/* fall through */
	default:
		p->data = (struct mqtt_str){data, (uint32_t)len};
		return (int)len;
	}
	return size;
}

/* A message id of 0 stands for none, sections 5.4.11 to 5.4.20. */
static bool needs_msg_id(const struct sn_packet *p)
{
	switch (p->type) {
	case SN_PUBLISH:
		return p->qos == 1 || p->qos == 2;
	case SN_REGISTER:
	case SN_REGACK:
	case SN_PUBCOMP:
	case SN_PUBREC:
	case SN_PUBREL:
	case SN_SUBSCRIBE:
	case SN_SUBACK:
	case SN_UNSUBSCRIBE:
	case SN_UNSUBACK:
		return true;
	default:
		return false;
	}
}

bool sn_decode(const uint8_t *data, size_t len, struct sn_packet *out)
{
	*out = (struct sn_packet){0};
	if (!take_length(&data, &len))
		return false;
	out->type = data[0];
	data++;
	len--;
	if (out->type >= TYPES || !layouts[out->type].name)
		return false;
	for (size_t i = 0; i < FIELDS && layouts[out->type].fields[i] != END; i++) {
		enum field field = (enum field)layouts[out->type].fields[i];
		int n;

		if (field == MAYBE) {
			out->empty = !len;
			if (out->empty)
				return true;
			continue;
		}
		n = take_field(out, field, data, len);
		if (n < 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return !len && out->topic_type <= SN_TOPIC_SHORT && (out->msg_id || !needs_msg_id(out));
}

bool sn_unwrap(const uint8_t **data, size_t *len, struct sn_envelope *e)
{
	size_t n;

	*e = (struct sn_envelope){0};
	if (*len < 2 || (*data)[1] != SN_FORWARDED)
		return true;
	n = (*data)[0];
	if (n < 4 || n > SN_ENVELOPE_MAX || n >= *len)
		return false;
	e->radius = (*data)[2] & 3;
	e->node_len = (uint8_t)(n - 3);
	memcpy(e->node, *data + 3, e->node_len);
	*data += n;
	*len -= n;
	return *len < 2 || (*data)[1] != SN_FORWARDED;
}

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

size_t sn_wrap(const struct sn_envelope *e, uint8_t *buf)
{
	if (!e->node_len)
		return 0;
	buf[0] = (uint8_t)(3 + e->node_len);
	buf[1] = SN_FORWARDED;
	buf[2] = e->radius;
	memcpy(buf + 3, e->node, e->node_len);
	return buf[0];
}

static uint8_t flags_of(const struct sn_packet *p)
{
	return (uint8_t)((p->dup ? FLAG_DUP : 0) | p->qos << QOS_SHIFT | (p->retain ? FLAG_RETAIN : 0) |
			 (p->will ? FLAG_WILL : 0) | (p->clean ? FLAG_CLEAN : 0) | p->topic_type);
}

/* The fields in front of the string. */
static size_t put_fields(const struct sn_packet *p, uint8_t *to, struct mqtt_str *string)
{
	size_t n = 0;

	*string = (struct mqtt_str){0};
	for (size_t i = 0; i < FIELDS && layouts[p->type].fields[i] != END; i++) {
		switch ((enum field)layouts[p->type].fields[i]) {
		case MAYBE:
			if (p->empty)
				return n;
			break;
		case GATEWAY:
			to[n++] = p->gateway;
			break;
		case RADIUS:
			to[n++] = p->radius;
			break;
		case FLAGS:
			to[n++] = flags_of(p);
			break;
		case PROTOCOL:
			to[n++] = p->protocol;
			break;
		case CODE:
			to[n++] = p->code;
			break;
		case DURATION:
			put16(to + n, p->duration);
			n += 2;
			break;
		case MSG:
			put16(to + n, p->msg_id);
			n += 2;
			break;
		case FILTER:
			if (p->topic_type == SN_TOPIC_NORMAL) {
				*string = p->data;
				break;
			}
			/* fall through */
		case TOPIC:
			put16(to + n, p->topic_id);
			n += 2;
			break;
		default:
			*string = p->data;
		}
	}
	return n;
}

size_t sn_encode(const struct sn_packet *p, uint8_t *buf, size_t cap)
{
	uint8_t fields[SN_FIXED_MAX];
	struct mqtt_str string;
	size_t n, len, at = 0;

	if (p->type >= TYPES || !layouts[p->type].name)
		return 0;
	n = put_fields(p, fields, &string);
	len = 2 + n + string.len;
	if (len > UINT8_MAX)
		len += 2;
	if (len > SN_SIZE_MAX || (buf && len > cap))
		return 0;
	if (!buf)
		return len;
	if (len > UINT8_MAX) {
		buf[at++] = LONG_LENGTH;
		put16(buf + at, (uint16_t)len);
		at += 2;
	} else {
		buf[at++] = (uint8_t)len;
	}
	buf[at++] = p->type;
	memcpy(buf + at, fields, n);
	if (string.len)
		memcpy(buf + at + n, string.data, string.len);
	return len;
}
