// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Encoding: one function a kind of field, called in the order of the packet's layout; once to count, once to write. */
#include "mqtt/encode.h"

#include "mqtt/layout.h"
#include "wire.h"

static void encode_protocol(struct writer *w, const struct mqtt_packet *p)
{
	put_str(w, mqtt_str(versions[p->version].protocol));
	put_u8(w, p->version);
}

static void encode_connect_flags(struct writer *w, const struct mqtt_packet *p)
{
	const struct mqtt_connect *c = &p->connect;

	put_u8(w, (uint8_t)((c->clean_start ? CONNECT_CLEAN : 0) | (c->will ? CONNECT_WILL : 0) |
			    c->will_qos << CONNECT_WILL_QOS_SHIFT | (c->will_retain ? CONNECT_WILL_RETAIN : 0) |
			    (c->has_password ? CONNECT_PASSWORD : 0) | (c->has_username ? CONNECT_USERNAME : 0)));
}

static void encode_keep_alive(struct writer *w, const struct mqtt_packet *p)
{
	put_u16(w, p->connect.keep_alive);
}

static void encode_client_id(struct writer *w, const struct mqtt_packet *p)
{
	put_str(w, p->connect.client_id);
}

static void encode_will(struct writer *w, const struct mqtt_packet *p)
{
	const struct mqtt_connect *c = &p->connect;

	if (!c->will)
		return;
	if (p->version >= MQTT_5_0)
		put_props(w, &c->will_props);
	put_str(w, c->will_topic);
	put_str(w, c->will_payload);
}

static void encode_username(struct writer *w, const struct mqtt_packet *p)
{
	if (p->connect.has_username)
		put_str(w, p->connect.username);
}

static void encode_password(struct writer *w, const struct mqtt_packet *p)
{
	if (p->connect.has_password)
		put_str(w, p->connect.password);
}

static void encode_connack_flags(struct writer *w, const struct mqtt_packet *p)
{
	put_u8(w, p->session_present && p->version > MQTT_3_1);
}

static void encode_connack_code(struct writer *w, const struct mqtt_packet *p)
{
	int code = mqtt_connack_code(p->version, p->reason);

	w->failed |= code < 0;
	put_u8(w, (uint8_t)code);
}

static void encode_topic(struct writer *w, const struct mqtt_packet *p)
{
	put_str(w, p->publish.topic);
}

static void encode_pid(struct writer *w, const struct mqtt_packet *p)
{
	put_u16(w, p->pid);
}

static void encode_qos_pid(struct writer *w, const struct mqtt_packet *p)
{
	if (p->publish.qos)
		put_u16(w, p->pid);
}

static void encode_reason(struct writer *w, const struct mqtt_packet *p)
{
	put_u8(w, p->reason);
}

static void encode_props(struct writer *w, const struct mqtt_packet *p)
{
	put_props(w, &p->props);
}

static void encode_filters(struct writer *w, const struct mqtt_packet *p)
{
	put_bytes(w, p->filters.data, p->filters.len);
}

static void encode_codes(struct writer *w, const struct mqtt_packet *p)
{
	for (uint32_t i = 0; i < p->codes.len; i++)
		put_u8(w, mqtt_suback_code(p->version, p->codes.data[i]));
}

static void encode_payload(struct writer *w, const struct mqtt_packet *p)
{
	put_bytes(w, p->publish.payload.data, p->publish.payload.len);
}

static void (*const encode_field[FIELD_KINDS])(struct writer *, const struct mqtt_packet *) = {
	[FIELD_PROTOCOL] = encode_protocol,
	[FIELD_CONNECT_FLAGS] = encode_connect_flags,
	[FIELD_KEEP_ALIVE] = encode_keep_alive,
	[FIELD_CLIENT_ID] = encode_client_id,
	[FIELD_WILL] = encode_will,
	[FIELD_USERNAME] = encode_username,
	[FIELD_PASSWORD] = encode_password,
	[FIELD_CONNACK_FLAGS] = encode_connack_flags,
	[FIELD_CONNACK_CODE] = encode_connack_code,
	[FIELD_TOPIC] = encode_topic,
	[FIELD_PID] = encode_pid,
	[FIELD_QOS_PID] = encode_qos_pid,
	[FIELD_REASON] = encode_reason,
	[FIELD_PROPS] = encode_props,
	[FIELD_FILTERS] = encode_filters,
	[FIELD_CODES] = encode_codes,
	[FIELD_PAYLOAD] = encode_payload,
};

/* Do this field and all behind it have the values that leaving them out means? Only a reason and properties can. */
static bool tail_is_default(const struct field *field, const struct mqtt_packet *p)
{
	for (; field->kind != FIELD_END; field++) {
		if (field->kind == FIELD_REASON ? p->reason : p->props.len)
			return false;
	}
	return true;
}

static void encode_body(struct writer *w, const struct mqtt_packet *p)
{
	const struct field *field;

	for (field = layouts[p->type].fields; field->kind != FIELD_END; field++) {
		if (field->may_be_absent && tail_is_default(field, p))
			break;
		if (p->version >= field->since)
			encode_field[field->kind](w, p);
	}
}

static uint8_t first_byte(const struct mqtt_packet *p)
{
	const struct mqtt_publish *publish = &p->publish;
	unsigned flags = layouts[p->type].flags;

	if (p->type == MQTT_PUBLISH)
		flags = (publish->dup ? PUBLISH_DUP : 0) | publish->qos << PUBLISH_QOS_SHIFT |
			(publish->retain ? PUBLISH_RETAIN : 0);
	return (uint8_t)(p->type << 4 | flags);
}

static bool encodable(const struct mqtt_packet *p)
{
	return p->type < LAYOUT_TYPES && layouts[p->type].name && p->version < VERSION_COUNT &&
	       versions[p->version].name;
}

/* `more` bytes of the body are not in the packet; they are counted in its length, but not in what is returned. */
static size_t encode(const struct mqtt_packet *p, size_t more, uint8_t *buf, size_t cap)
{
	struct writer w = {0};
	uint32_t remaining;

	if (!encodable(p))
		return 0;
	encode_body(&w, p);
	if (w.failed || more > WIRE_REMAINING_MAX || w.len > WIRE_REMAINING_MAX - more)
		return 0;
	remaining = (uint32_t)(w.len + more);
	put_u8(&w, first_byte(p));
	put_varint(&w, remaining);
	if (!buf)
		return w.len;
	if (w.len > cap)
		return 0;
	w = (struct writer){.buf = buf, .cap = cap};
	put_u8(&w, first_byte(p));
	put_varint(&w, remaining);
	encode_body(&w, p);
	return w.len;
}

size_t mqtt_encode(const struct mqtt_packet *p, uint8_t *buf, size_t cap)
{
	struct mqtt_packet copy;

	if (p->type != MQTT_CONNECT || p->version == p->connect.version)
		return encode(p, 0, buf, cap);
	copy = *p;
	copy.version = p->connect.version;
	return encode(&copy, 0, buf, cap);
}

static struct mqtt_props props_or_none(const struct mqtt_props *props)
{
	return props ? *props : (struct mqtt_props){0};
}

size_t mqtt_encode_connack(uint8_t *buf, size_t cap, uint8_t version, bool session_present, uint8_t reason,
			   const struct mqtt_props *props)
{
	struct mqtt_packet p = {
		.type = MQTT_CONNACK,
		.version = version,
		.reason = reason,
		.props = props_or_none(props),
		.session_present = session_present,
	};

	return mqtt_encode(&p, buf, cap);
}

static struct mqtt_packet publish_packet(uint8_t version, const struct mqtt_publish *publish, uint16_t pid,
					 const struct mqtt_props *props)
{
	return (struct mqtt_packet){
		.type = MQTT_PUBLISH,
		.version = version,
		.pid = pid,
		.props = props_or_none(props),
		.publish = *publish,
	};
}

size_t mqtt_encode_publish(uint8_t *buf, size_t cap, uint8_t version, const struct mqtt_publish *publish, uint16_t pid,
			   const struct mqtt_props *props)
{
	struct mqtt_packet p = publish_packet(version, publish, pid, props);

	return encode(&p, 0, buf, cap);
}

size_t mqtt_encode_publish_header(uint8_t *buf, size_t cap, uint8_t version, const struct mqtt_publish *publish,
				  size_t payload_len, uint16_t pid, const struct mqtt_props *props)
{
	struct mqtt_packet p = publish_packet(version, publish, pid, props);

	p.publish.payload = (struct mqtt_str){0};
	return encode(&p, payload_len, buf, cap);
}

size_t mqtt_encode_ack(uint8_t *buf, size_t cap, uint8_t version, uint8_t type, uint16_t pid, uint8_t reason)
{
	return mqtt_encode(&(struct mqtt_packet){.type = type, .version = version, .pid = pid, .reason = reason}, buf,
			   cap);
}

static size_t encode_codes_packet(uint8_t *buf, size_t cap, uint8_t version, uint8_t type, uint16_t pid,
				  const uint8_t *reasons, size_t n)
{
	struct mqtt_packet p = {.type = type, .version = version, .pid = pid};

	if (n > WIRE_REMAINING_MAX)
		return 0;
	p.codes = (struct mqtt_str){.data = reasons, .len = (uint32_t)n};
	return mqtt_encode(&p, buf, cap);
}

size_t mqtt_encode_suback(uint8_t *buf, size_t cap, uint8_t version, uint16_t pid, const uint8_t *reasons, size_t n)
{
	return encode_codes_packet(buf, cap, version, MQTT_SUBACK, pid, reasons, n);
}

size_t mqtt_encode_unsuback(uint8_t *buf, size_t cap, uint8_t version, uint16_t pid, const uint8_t *reasons, size_t n)
{
	return encode_codes_packet(buf, cap, version, MQTT_UNSUBACK, pid, reasons, n);
}

size_t mqtt_encode_pingresp(uint8_t *buf, size_t cap)
{
	return mqtt_encode(&(struct mqtt_packet){.type = MQTT_PINGRESP, .version = MQTT_3_1_1}, buf, cap);
}

size_t mqtt_encode_disconnect(uint8_t *buf, size_t cap, uint8_t version, uint8_t reason)
{
	return mqtt_encode(&(struct mqtt_packet){.type = MQTT_DISCONNECT, .version = version, .reason = reason}, buf,
			   cap);
}

size_t mqtt_encode_connect(uint8_t *buf, size_t cap, const struct mqtt_connect *connect, const struct mqtt_props *props)
{
	return mqtt_encode(
		&(struct mqtt_packet){.type = MQTT_CONNECT, .props = props_or_none(props), .connect = *connect}, buf,
		cap);
}

static void put_filters(struct writer *w, uint8_t type, const struct mqtt_filter *filters, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct mqtt_filter *f = &filters[i];

		put_str(w, f->topic);
		if (type != MQTT_SUBSCRIBE)
			continue;
		put_u8(w, (uint8_t)(f->qos | (f->no_local ? OPTION_NO_LOCAL : 0) |
				    (f->retain_as_published ? OPTION_RETAIN_AS_PUBLISHED : 0) |
				    f->retain_handling << OPTION_RETAIN_HANDLING_SHIFT));
	}
}

size_t mqtt_encode_filters(uint8_t *buf, size_t cap, uint8_t version, uint8_t type, uint16_t pid,
			   const struct mqtt_filter *filters, size_t n, const struct mqtt_props *props)
{
	struct mqtt_packet p = {.type = type, .version = version, .pid = pid, .props = props_or_none(props)};
	struct writer w = {0};
	size_t header, rest;

	put_filters(&w, type, filters, n);
	if (w.failed)
		return 0;
	rest = w.len;
	header = encode(&p, rest, buf, cap);
	if (!header || !buf)
		return header ? header + rest : 0;
	w = (struct writer){.buf = buf, .cap = cap, .len = header};
	put_filters(&w, type, filters, n);
	return w.failed ? 0 : w.len;
}

size_t mqtt_encode_pingreq(uint8_t *buf, size_t cap)
{
	return mqtt_encode(&(struct mqtt_packet){.type = MQTT_PINGREQ, .version = MQTT_3_1_1}, buf, cap);
}
