// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/output.h"

#include <errno.h>
#include <stdlib.h>
#include <wire.h>

#include "base/clock.h"
#include "broker/memory.h"
#include "mqtt/encode.h"

enum {
	CHUNK_MIN = 1000, /* of one packet's worth for an idle client; doubles while the queue is not empty */
	CHUNK_MAX = 16384,
	COPY_MAX = 2048, /* larger packets are not copied */
	OWN_PROPS = 16,	 /* room for Topic Alias and Message Expiry Interval */
};

/* A chunk, `len` of `cap` bytes of data used; or, with `message`, a packet whose first bytes are in data and whose last
 * `tail_len` bytes are the message's. */
struct output_item {
	struct output_item *next;
	struct message *message;
	const uint8_t *tail;
	uint32_t tail_len;
	uint32_t cap, len;
	uint32_t offset; /* of what is not written yet, in data and tail taken together */
	uint32_t messages, control;
	uint8_t data[];
};

static uint32_t item_len(const struct output_item *it)
{
	return it->len + it->tail_len;
}

static struct output_item *append(struct output *o, uint32_t cap)
{
	struct output_item *it = malloc(sizeof(*it) + cap);

	if (!it)
		return NULL;
	memory_took(sizeof(*it) + cap);
	*it = (struct output_item){.cap = cap};
	if (o->tail)
		o->tail->next = it;
	else
		o->head = it;
	o->tail = it;
	return it;
}

/* Room for a packet of `len` bytes that will be copied. */
static uint8_t *reserve(struct output *o, size_t len)
{
	struct output_item *it = o->tail;
	size_t cap = CHUNK_MIN;

	if (!it || it->message || it->cap - it->len < len) {
		if (it)
			cap = it->cap * 2 < CHUNK_MIN ? CHUNK_MIN : it->cap * 2;
		if (cap > CHUNK_MAX - sizeof(*it))
			cap = CHUNK_MAX - sizeof(*it);
		it = append(o, (uint32_t)(cap < len ? len : cap));
		if (!it)
			return NULL;
	}
	return it->data + it->len;
}

static void commit(struct output *o, size_t len, uint32_t messages)
{
	o->tail->len += (uint32_t)len;
	o->tail->messages += messages;
	o->bytes += len;
	o->messages += messages;
}

int output_packet(struct output *o, const uint8_t *packet, size_t len)
{
	uint8_t *to = reserve(o, len);

	if (!to)
		return -ENOMEM;
	memcpy(to, packet, len);
	commit(o, len, 0);
	o->tail->control += (uint32_t)len;
	o->control += len;
	return 0;
}

static int reference(struct output *o, struct message *m, const uint8_t *head, size_t head_len, struct mqtt_str tail)
{
	struct output_item *it = append(o, (uint32_t)head_len);

	if (!it)
		return -ENOMEM;
	if (head_len)
		memcpy(it->data, head, head_len);
	it->message = message_ref(m);
	it->tail = tail.data;
	it->tail_len = tail.len;
	commit(o, head_len, 1);
	o->bytes += tail.len;
	return 0;
}

/* The receiver gets the bytes as they are stored. */
static int publish_stored(struct output *o, struct message *m)
{
	uint8_t *to;

	if (m->wire_len > COPY_MAX)
		return reference(o, m, NULL, 0, (struct mqtt_str){m->wire, m->wire_len});
	to = reserve(o, m->wire_len);
	if (!to)
		return -ENOMEM;
	memcpy(to, m->wire, m->wire_len);
	commit(o, m->wire_len, 1);
	return 0;
}

struct sub_ids *sub_ids_new(uint32_t n)
{
	struct sub_ids *ids = malloc(sizeof(*ids) + n * sizeof(ids->id[0]));

	if (ids)
		ids->n = n;
	return ids;
}

struct sub_ids *sub_ids_one(uint32_t id)
{
	struct sub_ids *ids = sub_ids_new(1);

	if (ids)
		ids->id[0] = id;
	return ids;
}

/* The properties of a PUBLISH of 5.0: those of the delivery, then those of the message. */
struct publish_props {
	struct mqtt_props view;
	uint8_t own[OWN_PROPS];
	uint8_t *made; /* to be freed */
};

/* Only a view is made when the message's are all. 0 or -ENOMEM. */
static int make_props(struct publish_props *pp, const struct message *m, const struct output_publish *p)
{
	const struct mqtt_str stored = message_props(m);
	const uint32_t nids = p->ids ? p->ids->n : 0;
	const size_t most = OWN_PROPS + nids * (1 + WIRE_HEADER_MAX) + stored.len;
	struct mqtt_props_writer w = {.buf = pp->own, .cap = sizeof(pp->own)};

	pp->made = NULL;
	if (!p->alias && !m->expires && !nids) {
		pp->view = (struct mqtt_props){.data = stored.data, .len = stored.len};
		return 0;
	}
	if (most > OWN_PROPS) {
		pp->made = malloc(most);
		if (!pp->made)
			return -ENOMEM;
		w = (struct mqtt_props_writer){.buf = pp->made, .cap = most};
	}
	if (p->alias)
		mqtt_props_put_number(&w, MQTT_PROP_TOPIC_ALIAS, p->alias);
	if (m->expires)
		mqtt_props_put_number(&w, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, message_expiry_left(m, clock_ns()));
	for (uint32_t i = 0; i < nids; i++)
		mqtt_props_put_number(&w, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, p->ids->id[i]);
	if (stored.len)
		memcpy(w.buf + w.props.len, stored.data, stored.len);
	pp->view = (struct mqtt_props){.data = w.buf, .len = w.props.len + stored.len};
	return 0;
}

static int publish_encoded(struct output *o, struct message *m, const struct output_publish *p,
			   const struct mqtt_props *props)
{
	const struct mqtt_str none = {0}, whole = message_topic(m);
	const struct mqtt_str topic = {whole.data + p->mount, whole.len - p->mount};
	const struct mqtt_publish publish = {
		.topic = p->alias_only ? none : topic, .qos = p->qos, .dup = p->dup, .retain = p->retain};
	const struct mqtt_str payload = message_payload(m);
	size_t head_len = mqtt_encode_publish_header(NULL, 0, p->version, &publish, payload.len, p->pid, props);
	size_t len = head_len + payload.len;
	uint8_t *to;

	/* Only the properties we add can make it longer than MQTT allows. */
	if (!head_len || (p->max_packet && len > p->max_packet))
		return -EMSGSIZE;
	if (len > COPY_MAX) {
		uint8_t *head = malloc(head_len);
		int rc = -ENOMEM;

		if (head) {
			mqtt_encode_publish_header(head, head_len, p->version, &publish, payload.len, p->pid, props);
			rc = reference(o, m, head, head_len, payload);
			free(head);
		}
		return rc;
	}
	to = reserve(o, len);
	if (!to)
		return -ENOMEM;
	mqtt_encode_publish_header(to, head_len, p->version, &publish, payload.len, p->pid, props);
	if (payload.len)
		memcpy(to + head_len, payload.data, payload.len);
	commit(o, len, 1);
	return 0;
}

int output_publish(struct output *o, struct message *m, const struct output_publish *p)
{
	struct publish_props props = {0};
	int rc;

	if (p->version < MQTT_5_0)
		return p->qos == 0 && !p->retain && !p->mount ? publish_stored(o, m) : publish_encoded(o, m, p, NULL);
	rc = make_props(&props, m, p);
	if (!rc)
		rc = publish_encoded(o, m, p, &props.view);
	free(props.made);
	return rc;
}

/* The length of the packet at `p` in a chunk. Chunks hold what the encoders made, so it is whole and valid. */
static size_t packet_len(const uint8_t *p, size_t avail)
{
	uint8_t b[WIRE_HEADER_MAX] = {0};
	__u32 header_len;

	memcpy(b, p, avail < sizeof(b) ? avail : sizeof(b));
	return (size_t)wire_header(b, avail < sizeof(b) ? (__u32)avail : sizeof(b), &header_len);
}

/* How many of the item's unwritten bytes are whole packets of at most `room` bytes in all; with `first` at least one
 * packet whatever its size. */
static size_t whole_packets(const struct output_item *it, size_t room, bool first)
{
	size_t left = item_len(it) - it->offset;
	size_t n = 0;

	if (left <= room || (it->message && first))
		return left;
	if (it->message)
		return 0;
	while (n < left) {
		size_t len = packet_len(it->data + it->offset + n, left - n);

		if (n + len > room && !(first && n == 0))
			break;
		n += len;
		if (n > room)
			break;
	}
	return n;
}

/* Describe `n` unwritten bytes of the item; one or two iovecs. */
static int describe(const struct output_item *it, size_t n, struct iovec *iov)
{
	int count = 0;
	size_t at = it->offset;

	if (at < it->len) {
		size_t part = it->len - at < n ? it->len - at : n;

		iov[count++] = (struct iovec){.iov_base = (void *)(it->data + at), .iov_len = part};
		n -= part;
		at += part;
	}
	if (n)
		iov[count++] = (struct iovec){.iov_base = (void *)(it->tail + (at - it->len)), .iov_len = n};
	return count;
}

int output_gather(const struct output *o, struct iovec *iov, int max, size_t whole, size_t *len)
{
	int count = 0;

	*len = 0;
	if (whole && o->torn) {
		*len = o->torn;
		return describe(o->head, o->torn, iov);
	}
	for (const struct output_item *it = o->head; it && count + 2 <= max; it = it->next) {
		size_t left = item_len(it) - it->offset;
		size_t n = whole ? whole_packets(it, whole > *len ? whole - *len : 0, *len == 0) : left;

		if (n == 0)
			break;
		count += describe(it, n, iov + count);
		*len += n;
		if (n < left)
			break;
	}
	return count;
}

static void pop(struct output *o)
{
	struct output_item *it = o->head;

	o->head = it->next;
	if (!o->head)
		o->tail = NULL;
	o->messages -= it->messages;
	o->control -= it->control;
	if (it->message)
		message_unref(it->message);
	memory_gave(sizeof(*it) + it->cap);
	free(it);
}

void output_written(struct output *o, size_t n, size_t len, size_t whole)
{
	/* Only of a single packet that is larger than `whole` may a part be taken. */
	o->torn = whole ? len - n : 0;
	o->bytes -= n;
	while (o->head) {
		size_t left = item_len(o->head) - o->head->offset;

		if (n < left) {
			o->head->offset += (uint32_t)n;
			break;
		}
		n -= left;
		pop(o);
	}
}

void output_clear(struct output *o)
{
	while (o->head)
		pop(o);
	*o = (struct output){0};
}
