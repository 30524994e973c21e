// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/output.h"

#include <errno.h>
#include <stdlib.h>
#include <wire.h>

#include "mqtt/encode.h"

enum {
	CHUNK_MIN = 1000, /* of one packet's worth for an idle client; doubles while the queue is not empty */
	CHUNK_MAX = 16384,
	COPY_MAX = 2048, /* larger packets are not copied */
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

int output_publish(struct output *o, struct message *m, const struct output_publish *p)
{
	const struct mqtt_publish publish = {
		.topic = message_topic(m), .qos = p->qos, .dup = p->dup, .retain = p->retain};
	const struct mqtt_str payload = message_payload(m);
	size_t head_len, len;
	uint8_t *to;

	if (p->version < MQTT_5_0 && p->qos == 0 && !p->retain)
		return publish_stored(o, m);
	head_len = mqtt_encode_publish_header(NULL, 0, p->version, &publish, payload.len, p->pid, NULL);
	len = head_len + payload.len;
	if (len > COPY_MAX) {
		uint8_t *head = malloc(head_len);
		int rc = -ENOMEM;

		if (head) {
			mqtt_encode_publish_header(head, head_len, p->version, &publish, payload.len, p->pid, NULL);
			rc = reference(o, m, head, head_len, payload);
			free(head);
		}
		return rc;
	}
	to = reserve(o, len);
	if (!to)
		return -ENOMEM;
	mqtt_encode_publish_header(to, head_len, p->version, &publish, payload.len, p->pid, NULL);
	if (payload.len)
		memcpy(to + head_len, payload.data, payload.len);
	commit(o, len, 1);
	return 0;
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
