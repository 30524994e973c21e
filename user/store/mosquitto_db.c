// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "store/mosquitto_db.h"

#include <errno.h>

enum {
	VERSION_OLDEST = 2,
	VERSION_AWAY = 3,      /* clients: since when they are away */
	VERSION_USER_NAME = 4, /* messages: user name of the publisher, and port */
	VERSION_FIXED = 5,     /* chunks begin with a part of fixed size; properties */
	VERSION_LISTENER = 6,  /* clients: port of the listener, user name */
	VERSION_NEWEST = 6,
	ID_SIZE = 8,		/* of an identifier of a message */
	PACKET_MAX = 268435455, /* bytes, section 2.2.3 */
	CLIENT_PADDING = 4,	/* at the end of the fixed part */
};

enum chunk_kind {
	CHUNK_CONFIG = 1,
	CHUNK_MESSAGE,
	CHUNK_DELIVERY,
	CHUNK_RETAINED,
	CHUNK_SUBSCRIPTION,
	CHUNK_CLIENT,
	CHUNK_KINDS,
};

static const char magic[] = "\x00\xb5\x00mosquitto db";

/* What is left of the file, or of a chunk. */
struct cursor {
	const uint8_t *at;
	size_t left;
};

struct file {
	uint32_t version;
	const struct mosquitto_reader *reader;
	void *arg;
	const char *what; /* is wrong in this chunk, if it is not that it is too short */
};

/* ---- fields: each is false when the bytes run out ---------------------------------------------------------------- */

static bool take(struct cursor *c, size_t len, struct mqtt_str *out)
{
	if (c->left < len || len > PACKET_MAX)
		return false;
	*out = (struct mqtt_str){c->at, (uint32_t)len};
	c->at += len;
	c->left -= len;
	return true;
}

static bool skip(struct cursor *c, size_t len)
{
	struct mqtt_str ignored;

	return take(c, len, &ignored);
}

static bool take_u8(struct cursor *c, uint8_t *out)
{
	struct mqtt_str s;

	if (!take(c, 1, &s))
		return false;
	*out = s.data[0];
	return true;
}

static bool take_u16(struct cursor *c, uint16_t *out)
{
	struct mqtt_str s;

	if (!take(c, 2, &s))
		return false;
	*out = (uint16_t)(s.data[0] << 8 | s.data[1]);
	return true;
}

static bool take_u32(struct cursor *c, uint32_t *out)
{
	struct mqtt_str s;

	if (!take(c, 4, &s))
		return false;
	*out = (uint32_t)s.data[0] << 24 | (uint32_t)s.data[1] << 16 | (uint32_t)s.data[2] << 8 | s.data[3];
	return true;
}

/* In the order of the machine. */
static bool take_u64(struct cursor *c, uint64_t *out)
{
	struct mqtt_str s;

	if (!take(c, sizeof(*out), &s))
		return false;
	memcpy(out, s.data, sizeof(*out));
	return true;
}

static bool take_time(struct cursor *c, int64_t *out)
{
	uint64_t n;

	if (!take_u64(c, &n))
		return false;
	*out = (int64_t)n;
	return true;
}

/* With its length in front. */
static bool take_string(struct cursor *c, struct mqtt_str *out)
{
	uint16_t len;

	return take_u16(c, &len) && take(c, len, out);
}

static bool wrong(struct file *f, const char *what)
{
	f->what = what;
	return false;
}

/* The rest of the chunk, if there is any. */
static bool take_props(struct file *f, struct cursor *c, struct mqtt_props *out)
{
	struct mqtt_str bytes;

	if (!c->left)
		return true;
	if (c->left > PACKET_MAX || !take(c, c->left, &bytes) || !mqtt_props_of_publish(bytes, out))
		return wrong(f, "has properties that MQTT does not allow");
	return true;
}

/* ---- chunks: false when they are not as they should be ----------------------------------------------------------- */

static bool read_config(struct file *f, struct cursor *c)
{
	uint8_t shutdown, size;

	if (f->version >= VERSION_FIXED && !skip(c, ID_SIZE))
		return false;
	if (!take_u8(c, &shutdown) || !take_u8(c, &size))
		return false;
	if (size != ID_SIZE)
		return wrong(f, "has identifiers of another size, from another kind of machine");
	return f->version >= VERSION_FIXED || skip(c, ID_SIZE);
}

/* Formats before 5 have the lengths in front of the strings. */
static bool take_message_before_5(const struct file *f, struct cursor *c, struct mosquitto_message *m)
{
	uint32_t payload_len;
	uint8_t retain;

	if (!take_u64(c, &m->id) || !take_string(c, &m->source))
		return false;
	if (f->version >= VERSION_USER_NAME && !(take_string(c, &m->username) && take_u16(c, &m->port)))
		return false;
	/* packet identifiers, of the publisher and another */
	return skip(c, 4) && take_string(c, &m->topic) && take_u8(c, &m->qos) && take_u8(c, &retain) &&
	       take_u32(c, &payload_len) && take(c, payload_len, &m->payload);
}

static bool take_message(struct file *f, struct cursor *c, struct mosquitto_message *m)
{
	uint32_t payload_len;
	uint16_t source_len, user_name_len, topic_len;

	return take_u64(c, &m->id) && take_time(c, &m->expires) && take_u32(c, &payload_len) && skip(c, 2) &&
	       take_u16(c, &source_len) && take_u16(c, &user_name_len) && take_u16(c, &topic_len) &&
	       take_u16(c, &m->port) && take_u8(c, &m->qos) && skip(c, 1) && take(c, source_len, &m->source) &&
	       take(c, user_name_len, &m->username) && take(c, topic_len, &m->topic) &&
	       take(c, payload_len, &m->payload) && take_props(f, c, &m->props);
}

static int read_message(struct file *f, struct cursor *c)
{
	struct mosquitto_message m = {0};
	bool good = f->version < VERSION_FIXED ? take_message_before_5(f, c, &m) : take_message(f, c, &m);

	if (good && m.qos > 2)
		good = wrong(f, "has a message of a QoS that there is not");
	if (good && m.payload.len > PACKET_MAX - 2 - m.topic.len)
		good = wrong(f, "has a message longer than MQTT allows");
	if (!good)
		return -EBADMSG;
	return f->reader ? f->reader->message(f->arg, &m) : 0;
}

static bool take_client(const struct file *f, struct cursor *c, struct mosquitto_client *out)
{
	uint16_t id_len;

	if (f->version < VERSION_FIXED) {
		out->expiry = UINT32_MAX;
		/* its last packet identifier; a time of the size that machine has */
		return take_string(c, &out->id) && skip(c, 2) &&
		       (f->version < VERSION_AWAY || c->left != sizeof(out->away) || take_time(c, &out->away));
	}
	return take_time(c, &out->expires) && take_u32(c, &out->expiry) && skip(c, 2) && take_u16(c, &id_len) &&
	       (f->version < VERSION_LISTENER || skip(c, 2 + 2 + CLIENT_PADDING)) && take(c, id_len, &out->id);
}

static int read_client(struct file *f, struct cursor *c)
{
	struct mosquitto_client client = {0};

	/* What follows is the user name: 2.0 may have written more of it than it says. */
	if (!take_client(f, c, &client))
		return -EBADMSG;
	return f->reader ? f->reader->client(f->arg, &client) : 0;
}

static bool take_delivery_before_5(struct cursor *c, struct mosquitto_delivery *d, uint8_t *direction)
{
	uint8_t retain, dup;

	if (!take_string(c, &d->client) || !take_u64(c, &d->message) || !take_u16(c, &d->pid) || !take_u8(c, &d->qos) ||
	    !take_u8(c, &retain) || !take_u8(c, direction) || !take_u8(c, &d->state) || !take_u8(c, &dup))
		return false;
	d->retain = retain;
	d->dup = dup;
	return true;
}

static bool take_delivery(struct file *f, struct cursor *c, struct mosquitto_delivery *d, uint8_t *direction)
{
	uint16_t id_len;
	uint8_t retain_dup;

	if (!take_u64(c, &d->message) || !take_u16(c, &d->pid) || !take_u16(c, &id_len) || !take_u8(c, &d->qos) ||
	    !take_u8(c, &d->state) || !take_u8(c, &retain_dup) || !take_u8(c, direction) ||
	    !take(c, id_len, &d->client))
		return false;
	d->retain = retain_dup >> 4;
	d->dup = retain_dup & 0x0f;
	return take_props(f, c, &d->props);
}

static int read_delivery(struct file *f, struct cursor *c)
{
	struct mosquitto_delivery d = {0};
	uint8_t direction = 0;
	bool good = f->version < VERSION_FIXED ? take_delivery_before_5(c, &d, &direction)
					       : take_delivery(f, c, &d, &direction);

	if (good && (d.qos > 2 || direction > 1))
		good = wrong(f, "has a message on its way with a QoS or direction that there is not");
	if (!good)
		return -EBADMSG;
	d.to_client = direction;
	return f->reader ? f->reader->delivery(f->arg, &d) : 0;
}

static bool take_subscription(const struct file *f, struct cursor *c, struct mosquitto_subscription *s)
{
	uint16_t id_len, filter_len;
	uint8_t qos, options = 0;

	if (f->version < VERSION_FIXED) {
		if (!take_string(c, &s->client) || !take_string(c, &s->filter) || !take_u8(c, &qos))
			return false;
	} else if (!take_u32(c, &s->identifier) || !take_u16(c, &id_len) || !take_u16(c, &filter_len) ||
		   !take_u8(c, &qos) || !take_u8(c, &options) || !skip(c, 2) || !take(c, id_len, &s->client) ||
		   !take(c, filter_len, &s->filter)) {
		return false;
	}
	s->options = (uint8_t)(options & ~3) | qos;
	return true;
}

static int read_subscription(struct file *f, struct cursor *c)
{
	struct mosquitto_subscription s = {0};

	if (!take_subscription(f, c, &s))
		return -EBADMSG;
	return f->reader ? f->reader->subscription(f->arg, &s) : 0;
}

static int read_retained(struct file *f, struct cursor *c)
{
	uint64_t id;

	if (!take_u64(c, &id))
		return -EBADMSG;
	return f->reader ? f->reader->retained(f->arg, id) : 0;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static int read_chunk(struct file *f, uint32_t kind, struct cursor *c)
{
	switch (kind) {
	case CHUNK_CONFIG:
		return read_config(f, c) ? 0 : -EBADMSG;
	case CHUNK_MESSAGE:
		return read_message(f, c);
	case CHUNK_DELIVERY:
		return read_delivery(f, c);
	case CHUNK_RETAINED:
		return read_retained(f, c);
	case CHUNK_SUBSCRIPTION:
		return read_subscription(f, c);
	case CHUNK_CLIENT:
		return read_client(f, c);
	default:
		return f->reader ? f->reader->unknown(f->arg, kind) : 0;
	}
}

static bool take_chunk(const struct file *f, struct cursor *file, uint32_t *kind, struct cursor *chunk)
{
	uint16_t short_kind;
	uint32_t len;

	if (f->version >= VERSION_FIXED) {
		if (!take_u32(file, kind))
			return false;
	} else {
		if (!take_u16(file, &short_kind))
			return false;
		*kind = short_kind;
	}
	/* A chunk may be longer than a packet. */
	if (!take_u32(file, &len) || file->left < len)
		return false;
	*chunk = (struct cursor){file->at, len};
	file->at += len;
	file->left -= len;
	return true;
}

static bool take_head(struct file *f, struct cursor *c)
{
	struct mqtt_str begin;

	if (!take(c, sizeof(magic) - 1, &begin) || memcmp(begin.data, magic, begin.len) != 0)
		return wrong(f, "is not mosquitto's");
	if (!skip(c, 4) || !take_u32(c, &f->version)) /* behind a checksum that nobody made */
		return wrong(f, "ends within its head");
	if (f->version < VERSION_OLDEST || f->version > VERSION_NEWEST)
		return wrong(f, "has a format that is not known");
	return true;
}

int mosquitto_read(const uint8_t *data, size_t len, const struct mosquitto_reader *reader, void *arg,
		   struct mosquitto_fault *fault)
{
	struct file f = {.reader = reader, .arg = arg};
	struct cursor c = {data, len}, chunk;
	size_t offset = 0;
	uint32_t kind;
	int rc = take_head(&f, &c) ? 0 : -EBADMSG;

	while (!rc && c.left) {
		offset = len - c.left;
		if (take_chunk(&f, &c, &kind, &chunk)) {
			rc = read_chunk(&f, kind, &chunk);
			if (rc == -EBADMSG && !f.what)
				f.what = "has a chunk that is shorter than what should be in it";
		} else {
			rc = -EBADMSG;
			f.what = "ends within a chunk";
		}
	}
	*fault = (struct mosquitto_fault){offset, f.what, f.version};
	return rc;
}
