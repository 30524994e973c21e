// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The properties of 5.0, table 2-4 in section 2.2.2.2, with what the sections of the packets say of each. */
#include "mqtt/props.h"

#include "mqtt/layout.h"
#include "mqtt/topic.h"
#include "wire.h"

enum prop_kind {
	PROP_BYTE = 1,
	PROP_TWO,
	PROP_FOUR,
	PROP_VARINT,
	PROP_UTF8,
	PROP_TOPIC, /* UTF-8 that is a topic name, 5.0 [MQTT-3.3.2-14] */
	PROP_BINARY,
	PROP_PAIR,
};

struct prop_rule {
	const char *name;
	uint8_t kind;	      /* enum prop_kind */
	uint8_t needs;	      /* another property that must be there, too */
	uint8_t out_of_range; /* enum mqtt_reason; 0 is PROTOCOL_ERROR */
	uint16_t in[SENDERS]; /* packet types in which each side may send it, a bit each; bit 0 is the will */
	uint16_t repeatable;  /* packet types in which it may stand more than once */
	uint32_t min, max;    /* of an integer; max 0: what the kind can hold */
};

#define IN(type) (1u << MQTT_##type)

enum {
	IN_WILL = 1u << PROPS_OF_WILL,
	IN_MESSAGE = IN_WILL | IN(PUBLISH),
	IN_PUBLISH_ACKS = IN(PUBACK) | IN(PUBREC) | IN(PUBREL) | IN(PUBCOMP),
	IN_SERVER_ACKS = IN(CONNACK) | IN_PUBLISH_ACKS | IN(SUBACK) | IN(UNSUBACK),
	IN_CLIENT_ANY = IN_MESSAGE | IN(CONNECT) | IN_PUBLISH_ACKS | IN(SUBSCRIBE) | IN(UNSUBSCRIBE) | IN(DISCONNECT) |
			IN(AUTH),
	IN_SERVER_ANY = IN(PUBLISH) | IN_SERVER_ACKS | IN(DISCONNECT) | IN(AUTH),
};

static const struct prop_rule rules[MQTT_PROP_COUNT] = {
	[MQTT_PROP_PAYLOAD_FORMAT_INDICATOR] = {"Payload Format Indicator", PROP_BYTE, .max = 1,
						.in = {IN_MESSAGE, IN(PUBLISH)}},
	[MQTT_PROP_MESSAGE_EXPIRY_INTERVAL] = {"Message Expiry Interval", PROP_FOUR, .in = {IN_MESSAGE, IN(PUBLISH)}},
	[MQTT_PROP_CONTENT_TYPE] = {"Content Type", PROP_UTF8, .in = {IN_MESSAGE, IN(PUBLISH)}},
	[MQTT_PROP_RESPONSE_TOPIC] = {"Response Topic", PROP_TOPIC, .in = {IN_MESSAGE, IN(PUBLISH)}},
	[MQTT_PROP_CORRELATION_DATA] = {"Correlation Data", PROP_BINARY, .in = {IN_MESSAGE, IN(PUBLISH)}},
	/* One for each subscription that matched in what a server publishes; never from a client, 5.0 [MQTT-3.3.4-6]. */
	[MQTT_PROP_SUBSCRIPTION_IDENTIFIER] = {"Subscription Identifier", PROP_VARINT, .min = 1,
					       .in = {IN(SUBSCRIBE), IN(PUBLISH)}, .repeatable = IN(PUBLISH)},
	[MQTT_PROP_SESSION_EXPIRY_INTERVAL] = {"Session Expiry Interval", PROP_FOUR, /* 5.0 [MQTT-3.14.2-2] */
					       .in = {IN(CONNECT) | IN(DISCONNECT), IN(CONNACK)}},
	[MQTT_PROP_ASSIGNED_CLIENT_IDENTIFIER] = {"Assigned Client Identifier", PROP_UTF8, .in = {0, IN(CONNACK)}},
	[MQTT_PROP_SERVER_KEEP_ALIVE] = {"Server Keep Alive", PROP_TWO, .in = {0, IN(CONNACK)}},
	[MQTT_PROP_AUTHENTICATION_METHOD] = {"Authentication Method", PROP_UTF8,
					     .in = {IN(CONNECT) | IN(AUTH), IN(CONNACK) | IN(AUTH)}},
	[MQTT_PROP_AUTHENTICATION_DATA] = {"Authentication Data", PROP_BINARY, .needs = MQTT_PROP_AUTHENTICATION_METHOD,
					   .in = {IN(CONNECT) | IN(AUTH), IN(CONNACK) | IN(AUTH)}},
	[MQTT_PROP_REQUEST_PROBLEM_INFORMATION] = {"Request Problem Information", PROP_BYTE, .max = 1,
						   .in = {IN(CONNECT), 0}},
	[MQTT_PROP_WILL_DELAY_INTERVAL] = {"Will Delay Interval", PROP_FOUR, .in = {IN_WILL, 0}},
	[MQTT_PROP_REQUEST_RESPONSE_INFORMATION] = {"Request Response Information", PROP_BYTE, .max = 1,
						    .in = {IN(CONNECT), 0}},
	[MQTT_PROP_RESPONSE_INFORMATION] = {"Response Information", PROP_UTF8, .in = {0, IN(CONNACK)}},
	[MQTT_PROP_SERVER_REFERENCE] = {"Server Reference", PROP_UTF8, .in = {0, IN(CONNACK) | IN(DISCONNECT)}},
	[MQTT_PROP_REASON_STRING] = {"Reason String", PROP_UTF8,
				     .in = {IN_PUBLISH_ACKS | IN(DISCONNECT) | IN(AUTH),
					    IN_SERVER_ACKS | IN(DISCONNECT) | IN(AUTH)}},
	[MQTT_PROP_RECEIVE_MAXIMUM] = {"Receive Maximum", PROP_TWO, .min = 1, .in = {IN(CONNECT), IN(CONNACK)}},
	[MQTT_PROP_TOPIC_ALIAS_MAXIMUM] = {"Topic Alias Maximum", PROP_TWO, .in = {IN(CONNECT), IN(CONNACK)}},
	[MQTT_PROP_TOPIC_ALIAS] = {"Topic Alias", PROP_TWO, .min = 1, /* 5.0 [MQTT-3.3.2-8] */
				   .out_of_range = MQTT_RC_TOPIC_ALIAS_INVALID, .in = {IN(PUBLISH), IN(PUBLISH)}},
	[MQTT_PROP_MAXIMUM_QOS] = {"Maximum QoS", PROP_BYTE, .max = 1, .in = {0, IN(CONNACK)}},
	[MQTT_PROP_RETAIN_AVAILABLE] = {"Retain Available", PROP_BYTE, .max = 1, .in = {0, IN(CONNACK)}},
	[MQTT_PROP_USER_PROPERTY] = {"User Property", PROP_PAIR, .in = {IN_CLIENT_ANY, IN_SERVER_ANY},
				     .repeatable = 0xffff},
	[MQTT_PROP_MAXIMUM_PACKET_SIZE] = {"Maximum Packet Size", PROP_FOUR, .min = 1,
					   .in = {IN(CONNECT), IN(CONNACK)}},
	[MQTT_PROP_WILDCARD_SUBSCRIPTION_AVAILABLE] = {"Wildcard Subscription Available", PROP_BYTE, .max = 1,
						       .in = {0, IN(CONNACK)}},
	[MQTT_PROP_SUBSCRIPTION_IDENTIFIER_AVAILABLE] = {"Subscription Identifier Available", PROP_BYTE, .max = 1,
							 .in = {0, IN(CONNACK)}},
	[MQTT_PROP_SHARED_SUBSCRIPTION_AVAILABLE] = {"Shared Subscription Available", PROP_BYTE, .max = 1,
						     .in = {0, IN(CONNACK)}},
};

static const struct prop_rule *rule_of(uint32_t id)
{
	return id < MQTT_PROP_COUNT && rules[id].name ? &rules[id] : NULL;
}

const char *mqtt_prop_name(uint8_t id)
{
	const struct prop_rule *rule = rule_of(id);

	return rule ? rule->name : "Unknown";
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static bool read_value(struct reader *r, enum prop_kind kind, struct mqtt_property *out)
{
	uint8_t byte;
	uint16_t two;

	switch (kind) {
	case PROP_BYTE:
		if (!read_u8(r, &byte))
			return false;
		out->number = byte;
		return true;
	case PROP_TWO:
		if (!read_u16(r, &two))
			return false;
		out->number = two;
		return true;
	case PROP_FOUR:
		return read_u32(r, &out->number);
	case PROP_VARINT:
		return read_varint(r, &out->number);
	case PROP_BINARY:
		return read_binary(r, &out->str);
	case PROP_UTF8:
	case PROP_TOPIC:
		return read_utf8(r, &out->str);
	case PROP_PAIR:
		return read_utf8(r, &out->str) && read_utf8(r, &out->value);
	}
	return false;
}

/* Read one property; NULL when it is malformed. */
static const struct prop_rule *read_property(struct reader *r, struct mqtt_property *out)
{
	const struct prop_rule *rule;
	uint32_t id;

	if (!read_varint(r, &id))
		return NULL;
	rule = rule_of(id);
	*out = (struct mqtt_property){.id = (enum mqtt_prop)id};
	return rule && read_value(r, rule->kind, out) ? rule : NULL;
}

/* Is the property allowed there, and with this value? 0 or enum mqtt_reason. */
static int check_property(const struct prop_rule *rule, const struct mqtt_property *p, uint8_t where,
			  enum sender sender, uint64_t present)
{
	/* Section 2.2.2.2 calls it malformed where no side may send it; others all call it an error of the protocol. */
	if (!(rule->in[sender] >> where & 1))
		return MQTT_RC_PROTOCOL_ERROR;
	if (present >> p->id & 1 && !(rule->repeatable >> where & 1))
		return MQTT_RC_PROTOCOL_ERROR;
	if (p->number < rule->min || (rule->max && p->number > rule->max))
		return rule->out_of_range ? rule->out_of_range : MQTT_RC_PROTOCOL_ERROR;
	if (rule->kind == PROP_TOPIC && !topic_name_valid(p->str))
		return MQTT_RC_TOPIC_NAME_INVALID;
	return 0;
}

int props_read(struct reader *r, uint8_t where, enum sender sender, struct mqtt_props *out)
{
	const struct prop_rule *rule;
	struct mqtt_property p;
	struct mqtt_str bytes;
	struct reader inner;
	uint64_t present = 0, needed = 0;
	uint32_t len;
	int err;

	if (!read_varint(r, &len) || !read_bytes(r, len, &bytes))
		return MQTT_RC_MALFORMED_PACKET;
	inner = (struct reader){.at = bytes.data, .left = bytes.len};
	while (inner.left) {
		/* those before one that is wrong are there, and it may be of interest what they say */
		*out = (struct mqtt_props){.data = bytes.data, .len = bytes.len - inner.left, .present = present};
		rule = read_property(&inner, &p);
		if (!rule)
			return MQTT_RC_MALFORMED_PACKET;
		err = check_property(rule, &p, where, sender, present);
		if (err)
			return err;
		present |= UINT64_C(1) << p.id;
		if (rule->needs)
			needed |= UINT64_C(1) << rule->needs;
	}
	if (needed & ~present)
		return MQTT_RC_PROTOCOL_ERROR;
	*out = (struct mqtt_props){.data = bytes.data, .len = bytes.len, .present = present};
	return 0;
}

bool mqtt_props_of_publish(struct mqtt_str bytes, struct mqtt_props *out)
{
	struct reader r = {.at = bytes.data, .left = bytes.len};

	return props_read(&r, MQTT_PUBLISH, SENT_BY_SERVER, out) == 0 && !r.left;
}

bool mqtt_props_next(const struct mqtt_props *props, uint32_t *at, struct mqtt_property *out)
{
	struct reader r;

	if (*at >= props->len)
		return false;
	r = (struct reader){.at = props->data + *at, .left = props->len - *at};
	if (!read_property(&r, out))
		return false;
	*at = props->len - r.left;
	return true;
}

static bool find(const struct mqtt_props *props, enum mqtt_prop id, struct mqtt_property *out)
{
	uint32_t at = 0;

	if (!mqtt_props_has(props, id))
		return false;
	while (mqtt_props_next(props, &at, out)) {
		if (out->id == id)
			return true;
	}
	return false;
}

uint32_t mqtt_props_number(const struct mqtt_props *props, enum mqtt_prop id, uint32_t absent)
{
	struct mqtt_property p;

	return find(props, id, &p) ? p.number : absent;
}

bool mqtt_props_str(const struct mqtt_props *props, enum mqtt_prop id, struct mqtt_str *out)
{
	struct mqtt_property p;

	if (!find(props, id, &p))
		return false;
	*out = p.str;
	return true;
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

/* Append, or leave the view as it was. */
static void put_property(struct mqtt_props_writer *pw, const struct mqtt_property *p, unsigned kinds)
{
	const struct prop_rule *rule = rule_of(p->id);
	struct writer w = {.buf = pw->buf, .cap = pw->cap, .len = pw->props.len, .failed = pw->failed};

	if (!rule || !(kinds >> rule->kind & 1) || !pw->buf) {
		pw->failed = true;
		return;
	}
	put_varint(&w, p->id);
	switch ((enum prop_kind)rule->kind) {
	case PROP_BYTE:
		w.failed |= p->number > UINT8_MAX;
		put_u8(&w, (uint8_t)p->number);
		break;
	case PROP_TWO:
		w.failed |= p->number > UINT16_MAX;
		put_u16(&w, (uint16_t)p->number);
		break;
	case PROP_FOUR:
		put_u32(&w, p->number);
		break;
	case PROP_VARINT:
		w.failed |= p->number > WIRE_REMAINING_MAX;
		put_varint(&w, p->number);
		break;
	case PROP_UTF8:
	case PROP_TOPIC:
	case PROP_BINARY:
		put_str(&w, p->str);
		break;
	case PROP_PAIR:
		put_str(&w, p->str);
		put_str(&w, p->value);
		break;
	}
	pw->failed = w.failed;
	if (w.failed)
		return;
	pw->props.data = pw->buf;
	pw->props.len = (uint32_t)w.len;
	pw->props.present |= UINT64_C(1) << p->id;
}

void mqtt_props_put_number(struct mqtt_props_writer *w, enum mqtt_prop id, uint32_t number)
{
	put_property(w, &(struct mqtt_property){.id = id, .number = number},
		     1 << PROP_BYTE | 1 << PROP_TWO | 1 << PROP_FOUR | 1 << PROP_VARINT);
}

void mqtt_props_put_str(struct mqtt_props_writer *w, enum mqtt_prop id, struct mqtt_str str)
{
	put_property(w, &(struct mqtt_property){.id = id, .str = str},
		     1 << PROP_UTF8 | 1 << PROP_TOPIC | 1 << PROP_BINARY);
}

void mqtt_props_put_user(struct mqtt_props_writer *w, struct mqtt_str name, struct mqtt_str value)
{
	put_property(w, &(struct mqtt_property){.id = MQTT_PROP_USER_PROPERTY, .str = name, .value = value},
		     1 << PROP_PAIR);
}
