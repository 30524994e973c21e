// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Decoding: one function a kind of field, called in the order of the packet's layout. */
#include "mqtt/layout.h"
#include "mqtt/packet.h"
#include "mqtt/topic.h"

struct decoder {
	struct reader r;
	enum sender sender;
	uint8_t first;
	struct mqtt_packet *p;
};

/* Fields return 0 or enum mqtt_reason. */
static int malformed_unless(bool ok)
{
	return ok ? 0 : MQTT_RC_MALFORMED_PACKET;
}

/* The low half of the first byte, of all but PUBLISH. */
static int check_flags(uint8_t first, const struct mqtt_packet *p)
{
	const struct layout *layout = &layouts[p->type];
	uint8_t unused = p->version == MQTT_3_1 ? layout->unused_in_3_1 : 0;

	return malformed_unless((first & 0x0f & ~unused) == (layout->flags & ~unused)); /* [MQTT-2.2.2-2] */
}

/* ---- CONNECT ---------------------------------------------------------------------------------------------------- */

/* Section 3.1.2.1 and 3.1.2.2. A name we do not know is not MQTT: nobody there understands a CONNACK. */
static int decode_protocol(struct decoder *d)
{
	struct mqtt_connect *c = &d->p->connect;
	struct mqtt_str name;
	bool known = false;

	if (!read_binary(&d->r, &name) || !read_u8(&d->r, &c->version))
		return MQTT_RC_MALFORMED_PACKET;
	for (unsigned v = 0; v < VERSION_COUNT; v++) {
		if (!versions[v].protocol || !mqtt_str_eq(name, mqtt_str(versions[v].protocol)))
			continue;
		known = true;
		if (v == c->version) {
			d->p->version = c->version;
			return check_flags(d->first, d->p); /* not before the version is known */
		}
	}
	return known ? MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION : MQTT_RC_PROTOCOL_ERROR;
}

static int decode_connect_flags(struct decoder *d)
{
	struct mqtt_connect *c = &d->p->connect;
	uint8_t flags;

	if (!read_u8(&d->r, &flags))
		return MQTT_RC_MALFORMED_PACKET;
	if (c->version == MQTT_3_1) /* unused there */
		flags &= (uint8_t) ~(CONNECT_RESERVED | (flags & CONNECT_WILL ? 0 : CONNECT_OF_WILL));
	if (flags & CONNECT_RESERVED) /* [MQTT-3.1.2-3] */
		return MQTT_RC_MALFORMED_PACKET;
	if (!(flags & CONNECT_WILL) && flags & CONNECT_OF_WILL) /* [MQTT-3.1.2-13] [MQTT-3.1.2-15] */
		return MQTT_RC_MALFORMED_PACKET;
	c->clean_start = flags & CONNECT_CLEAN;
	c->will = flags & CONNECT_WILL;
	c->will_qos = flags >> CONNECT_WILL_QOS_SHIFT & QOS_MASK;
	c->will_retain = flags & CONNECT_WILL_RETAIN;
	c->has_username = flags & CONNECT_USERNAME;
	c->has_password = flags & CONNECT_PASSWORD;
	if (c->will_qos == QOS_INVALID) /* [MQTT-3.1.2-14] */
		return MQTT_RC_MALFORMED_PACKET;
	return malformed_unless(c->version >= MQTT_5_0 || c->has_username || !c->has_password); /* [MQTT-3.1.2-22] */
}

static int decode_keep_alive(struct decoder *d)
{
	struct mqtt_connect *c = &d->p->connect;

	/* A client of 5.0 whose variable header is there understands a CONNACK. */
	c->answer = read_u16(&d->r, &c->keep_alive) && c->version >= MQTT_5_0;
	return malformed_unless(c->answer || c->version < MQTT_5_0);
}

static int decode_client_id(struct decoder *d)
{
	if (read_utf8(&d->r, &d->p->connect.client_id))
		return 0;
	return d->p->version >= MQTT_5_0 ? MQTT_RC_CLIENT_IDENTIFIER_NOT_VALID : MQTT_RC_MALFORMED_PACKET;
}

static int decode_will(struct decoder *d)
{
	struct mqtt_connect *c = &d->p->connect;
	int err;

	if (!c->will)
		return 0;
	if (c->version >= MQTT_5_0) {
		err = props_read(&d->r, PROPS_OF_WILL, d->sender, &c->will_props);
		if (err)
			return err;
	}
	if (!read_utf8(&d->r, &c->will_topic) || !read_binary(&d->r, &c->will_payload))
		return MQTT_RC_MALFORMED_PACKET;
	/* A will is published, so its topic must be one to publish to. */
	return topic_name_valid(c->will_topic) ? 0 : MQTT_RC_TOPIC_NAME_INVALID;
}

/* In 3.1 the Remaining Length decides: announced by a flag, but not there, is not announced (its section 3.1). */
static bool credential_expected(struct decoder *d, bool *has)
{
	if (d->p->version == MQTT_3_1 && !d->r.left)
		*has = false;
	return *has;
}

static int decode_username(struct decoder *d)
{
	struct mqtt_connect *c = &d->p->connect;

	if (!credential_expected(d, &c->has_username) || read_utf8(&d->r, &c->username))
		return 0;
	c->answer = false; /* as by mosquitto */
	return MQTT_RC_MALFORMED_PACKET;
}

static int decode_password(struct decoder *d)
{
	struct mqtt_connect *c = &d->p->connect;

	return malformed_unless(!credential_expected(d, &c->has_password) || read_binary(&d->r, &c->password));
}

/* ---- CONNACK ---------------------------------------------------------------------------------------------------- */

static int decode_connack_flags(struct decoder *d)
{
	uint8_t flags;

	if (!read_u8(&d->r, &flags))
		return MQTT_RC_MALFORMED_PACKET;
	if (d->p->version == MQTT_3_1) /* unused there */
		return 0;
	d->p->session_present = flags & 1;
	return malformed_unless(flags <= 1); /* section 3.2.2.1 */
}

static int decode_connack_code(struct decoder *d)
{
	uint8_t code;
	int reason;

	if (!read_u8(&d->r, &code))
		return MQTT_RC_MALFORMED_PACKET;
	reason = mqtt_connack_reason(d->p->version, code);
	if (reason < 0 || (reason && d->p->session_present)) /* [MQTT-3.2.2-4] */
		return MQTT_RC_PROTOCOL_ERROR;
	d->p->reason = (uint8_t)reason;
	return 0;
}

/* ---- the others -------------------------------------------------------------------------------------------------- */

static int decode_topic(struct decoder *d)
{
	struct mqtt_str *topic = &d->p->publish.topic;

	if (!read_utf8(&d->r, topic))
		return MQTT_RC_MALFORMED_PACKET;
	if (!topic->len && d->p->version >= MQTT_5_0) /* an alias then, which check_packet() looks for */
		return 0;
	return topic_name_valid(*topic) ? 0 : MQTT_RC_TOPIC_NAME_INVALID; /* [MQTT-3.3.2-2] [MQTT-4.7.3-1] */
}

static int decode_pid(struct decoder *d)
{
	if (!read_u16(&d->r, &d->p->pid))
		return MQTT_RC_MALFORMED_PACKET;
	return d->p->pid ? 0 : MQTT_RC_PROTOCOL_ERROR; /* [MQTT-2.3.1-1] */
}

static int decode_qos_pid(struct decoder *d)
{
	return d->p->publish.qos ? decode_pid(d) : 0;
}

static int decode_reason(struct decoder *d)
{
	struct mqtt_packet *p = d->p;

	if (!read_u8(&d->r, &p->reason))
		return MQTT_RC_MALFORMED_PACKET;
	return mqtt_reason_allowed(p->reason, p->type, d->sender) ? 0 : MQTT_RC_PROTOCOL_ERROR;
}

static int decode_props(struct decoder *d)
{
	return props_read(&d->r, d->p->type, d->sender, &d->p->props);
}

static int decode_payload(struct decoder *d)
{
	return malformed_unless(read_bytes(&d->r, d->r.left, &d->p->publish.payload));
}

/* Section 3.8.3.1 of 5.0; before, all but the QoS is reserved [MQTT-3-8.3-4]. */
static int decode_options(struct reader *r, uint8_t version, struct mqtt_filter *f)
{
	struct mqtt_str share, inner;
	uint8_t options;

	if (!read_u8(r, &options))
		return MQTT_RC_MALFORMED_PACKET;
	if (options & (version < MQTT_5_0 ? OPTION_RESERVED_BEFORE_5_0 : OPTION_RESERVED))
		return MQTT_RC_MALFORMED_PACKET;
	f->qos = options & QOS_MASK;
	f->no_local = options & OPTION_NO_LOCAL;
	f->retain_as_published = options & OPTION_RETAIN_AS_PUBLISHED;
	f->retain_handling = options >> OPTION_RETAIN_HANDLING_SHIFT & 3;
	if (f->qos == QOS_INVALID || f->retain_handling == 3)
		return version < MQTT_5_0 ? MQTT_RC_MALFORMED_PACKET : MQTT_RC_PROTOCOL_ERROR;
	if (f->no_local && topic_share(f->topic, &share, &inner)) /* 5.0 [MQTT-3.8.3-4] */
		return MQTT_RC_PROTOCOL_ERROR;
	return 0;
}

static int decode_filter(struct reader *r, const struct mqtt_packet *p, struct mqtt_filter *out)
{
	struct mqtt_str share, inner;

	*out = (struct mqtt_filter){0};
	if (!read_utf8(r, &out->topic)) /* [MQTT-3.8.3-1] */
		return MQTT_RC_MALFORMED_PACKET;
	if (!topic_filter_valid(out->topic))
		return MQTT_RC_TOPIC_FILTER_INVALID;
	/* Before 5.0 "$share/" is no more than a name that begins with '$'. */
	if (p->version >= MQTT_5_0 && topic_share(out->topic, &share, &inner) < 0)
		return MQTT_RC_TOPIC_FILTER_INVALID;
	return p->type == MQTT_SUBSCRIBE ? decode_options(r, p->version, out) : 0;
}

static int decode_filters(struct decoder *d)
{
	struct mqtt_filter f;
	int err;

	d->p->filters = (struct mqtt_str){.data = d->r.at, .len = d->r.left};
	if (!d->r.left) /* [MQTT-3.8.3-3] [MQTT-3.10.3-2] */
		return MQTT_RC_PROTOCOL_ERROR;
	while (d->r.left) {
		err = decode_filter(&d->r, d->p, &f);
		if (err)
			return err;
	}
	return 0;
}

static int decode_codes(struct decoder *d)
{
	const struct mqtt_packet *p = d->p;
	struct mqtt_str *codes = &d->p->codes;

	read_bytes(&d->r, d->r.left, codes);
	for (uint32_t i = 0; i < codes->len; i++) {
		/* [MQTT-3.9.3-2]: the codes that 3.1.1 has are those which stay the same on the way back */
		if (!mqtt_reason_allowed(codes->data[i], p->type, true) ||
		    (p->version < MQTT_5_0 && mqtt_suback_code(p->version, codes->data[i]) != codes->data[i]))
			return MQTT_RC_PROTOCOL_ERROR;
	}
	return codes->len ? 0 : MQTT_RC_PROTOCOL_ERROR;
}

static int (*const decode_field[FIELD_KINDS])(struct decoder *) = {
	[FIELD_PROTOCOL] = decode_protocol,
	[FIELD_CONNECT_FLAGS] = decode_connect_flags,
	[FIELD_KEEP_ALIVE] = decode_keep_alive,
	[FIELD_CLIENT_ID] = decode_client_id,
	[FIELD_WILL] = decode_will,
	[FIELD_USERNAME] = decode_username,
	[FIELD_PASSWORD] = decode_password,
	[FIELD_CONNACK_FLAGS] = decode_connack_flags,
	[FIELD_CONNACK_CODE] = decode_connack_code,
	[FIELD_TOPIC] = decode_topic,
	[FIELD_PID] = decode_pid,
	[FIELD_QOS_PID] = decode_qos_pid,
	[FIELD_REASON] = decode_reason,
	[FIELD_PROPS] = decode_props,
	[FIELD_FILTERS] = decode_filters,
	[FIELD_CODES] = decode_codes,
	[FIELD_PAYLOAD] = decode_payload,
};

/* ---- whole packets ----------------------------------------------------------------------------------------------- */

/* The low half of the first byte of a PUBLISH, section 3.3.1. */
static int decode_publish_flags(uint8_t first, struct mqtt_publish *publish)
{
	publish->qos = first >> PUBLISH_QOS_SHIFT & QOS_MASK;
	publish->dup = first & PUBLISH_DUP;
	publish->retain = first & PUBLISH_RETAIN;
	if (publish->qos == QOS_INVALID) /* [MQTT-3.3.1-4] */
		return MQTT_RC_MALFORMED_PACKET;
	return malformed_unless(publish->qos || !publish->dup); /* [MQTT-3.3.1-2] */
}

/* The first byte: may this side send such a packet in this version, and with these flags? */
static int decode_first(uint8_t first, enum sender sender, struct mqtt_packet *p)
{
	const struct layout *layout = &layouts[p->type];

	if (!layout->since[sender] || p->version < layout->since[sender])
		return layout->since[!sender] && p->version >= layout->since[!sender] ? MQTT_RC_PROTOCOL_ERROR
										      : MQTT_RC_MALFORMED_PACKET;
	if (p->type == MQTT_PUBLISH)
		return decode_publish_flags(first, &p->publish);
	return check_flags(first, p);
}

/* Rules about several fields. */
static int check_packet(const struct mqtt_packet *p, enum sender sender)
{
	switch (p->type) {
	case MQTT_PUBLISH: /* 5.0 section 3.3.2.1: without a topic there is an alias */
		if (!p->publish.topic.len && !mqtt_props_has(&p->props, MQTT_PROP_TOPIC_ALIAS))
			return MQTT_RC_PROTOCOL_ERROR;
		break;
	case MQTT_AUTH: /* 5.0 section 3.15.2: all may be absent for Success, which only a server says */
		if (!mqtt_reason_allowed(p->reason, p->type, sender))
			return MQTT_RC_PROTOCOL_ERROR;
		if ((p->reason || p->props.len) && !mqtt_props_has(&p->props, MQTT_PROP_AUTHENTICATION_METHOD))
			return MQTT_RC_PROTOCOL_ERROR;
		break;
	default:
		break;
	}
	return 0;
}

static int decode(enum sender sender, uint8_t version, uint8_t first, const uint8_t *body, size_t len,
		  struct mqtt_packet *out)
{
	struct decoder d = {.r = {.at = body, .left = (uint32_t)len}, .sender = sender, .first = first, .p = out};
	const struct field *field;
	int err;

	memset(out, 0, sizeof(*out));
	out->type = first >> 4;
	out->version = out->type == MQTT_CONNECT ? MQTT_3_1 : version; /* until decode_protocol() knows */
	err = decode_first(first, sender, out);
	for (field = layouts[out->type].fields; !err && field->kind != FIELD_END; field++) {
		if (out->version >= field->since && (d.r.left || !field->may_be_absent))
			err = decode_field[field->kind](&d);
	}
	if (!err && d.r.left)
		err = MQTT_RC_MALFORMED_PACKET;
	return err ? err : check_packet(out, sender);
}

int mqtt_decode(uint8_t version, uint8_t first, const uint8_t *body, size_t len, struct mqtt_packet *out)
{
	return decode(SENT_BY_CLIENT, version, first, body, len, out);
}

int mqtt_decode_from_server(uint8_t version, uint8_t first, const uint8_t *body, size_t len, struct mqtt_packet *out)
{
	return decode(SENT_BY_SERVER, version, first, body, len, out);
}

bool mqtt_next_filter(struct mqtt_packet *packet, struct mqtt_filter *out)
{
	struct reader r = {.at = packet->filters.data, .left = packet->filters.len};

	if (!r.left || decode_filter(&r, packet, out) != 0)
		return false;
	packet->filters = (struct mqtt_str){.data = r.at, .len = r.left};
	return true;
}

uint32_t mqtt_count_filters(const struct mqtt_packet *packet)
{
	struct mqtt_packet rest = *packet;
	struct mqtt_filter f;
	uint32_t n = 0;

	while (mqtt_next_filter(&rest, &f))
		n++;
	return n;
}
