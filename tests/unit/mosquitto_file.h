/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Files as mosquitto writes them, of every format: put together chunk by chunk. After the headers of cmocka. */
#ifndef TEST_MOSQUITTO_FILE_H
#define TEST_MOSQUITTO_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct mosquitto_file {
	uint32_t version;
	uint8_t data[4096];
	size_t len;
	size_t chunk;	   /* where the last one began */
	size_t chunks[64]; /* where each ends */
	unsigned nchunks;
};

static inline void mf_bytes(struct mosquitto_file *f, const void *data, size_t len)
{
	assert_true(f->len + len <= sizeof(f->data));
	memcpy(f->data + f->len, data, len);
	f->len += len;
}

/* The lowest `size` bytes of a number, in network order. */
static inline void mf_number(struct mosquitto_file *f, unsigned size, uint64_t n)
{
	while (size--)
		mf_bytes(f, &(uint8_t){(uint8_t)(n >> 8 * size)}, 1);
}

static inline void mf_native(struct mosquitto_file *f, uint64_t n)
{
	mf_bytes(f, &n, sizeof(n));
}

static inline void mf_text(struct mosquitto_file *f, const char *s)
{
	mf_bytes(f, s, strlen(s));
}

/* With its length in front. */
static inline void mf_string(struct mosquitto_file *f, const char *s)
{
	mf_number(f, 2, strlen(s));
	mf_text(f, s);
}

static inline void mf_begin(struct mosquitto_file *f, unsigned kind)
{
	f->chunk = f->len;
	mf_number(f, f->version >= 5 ? 4 : 2, kind);
	mf_number(f, 4, 0);
}

static inline void mf_end(struct mosquitto_file *f)
{
	size_t head = f->version >= 5 ? 8 : 6, end = f->len;

	f->len = f->chunk + head - 4;
	mf_number(f, 4, end - f->chunk - head);
	f->len = end;
	f->chunks[f->nchunks++] = end;
}

static inline void mf_config(struct mosquitto_file *f, uint8_t id_size)
{
	mf_begin(f, 1);
	if (f->version >= 5)
		mf_native(f, 99);
	mf_number(f, 1, 1);
	mf_number(f, 1, id_size);
	if (f->version >= 5)
		mf_bytes(f, "\0\0\0\0\0\0", 6);
	else
		mf_native(f, 99);
	mf_end(f);
}

static inline void mf_head(struct mosquitto_file *f, uint32_t version)
{
	*f = (struct mosquitto_file){.version = version};
	mf_bytes(f, "\x00\xb5\x00mosquitto db", 15);
	mf_number(f, 4, 0);
	mf_number(f, 4, version);
	f->chunks[f->nchunks++] = f->len;
	mf_config(f, 8);
}

/* props: with their length, from 5 on. */
static inline void mf_message(struct mosquitto_file *f, uint64_t id, uint8_t qos, const char *source, const char *topic,
			      const char *payload, int64_t expires, const void *props, size_t props_len)
{
	mf_begin(f, 2);
	mf_native(f, id);
	if (f->version >= 5) {
		mf_native(f, (uint64_t)expires);
		mf_number(f, 4, strlen(payload));
		mf_number(f, 2, 7);
		mf_number(f, 2, strlen(source));
		mf_number(f, 2, 4);
		mf_number(f, 2, strlen(topic));
		mf_number(f, 2, 1883);
		mf_number(f, 1, qos);
		mf_number(f, 1, 0);
		mf_text(f, source);
		mf_text(f, "user");
		mf_text(f, topic);
		mf_text(f, payload);
		mf_bytes(f, props, props_len);
	} else {
		mf_string(f, source);
		if (f->version == 4) {
			mf_string(f, "user");
			mf_number(f, 2, 1883);
		}
		mf_number(f, 4, 0x00070008);
		mf_string(f, topic);
		mf_number(f, 1, qos);
		mf_number(f, 1, 0);
		mf_number(f, 4, strlen(payload));
		mf_text(f, payload);
	}
	mf_end(f);
}

static inline void mf_client(struct mosquitto_file *f, const char *id, uint32_t expiry, int64_t time)
{
	mf_begin(f, 6);
	if (f->version >= 5) {
		mf_native(f, (uint64_t)time);
		mf_number(f, 4, expiry);
		mf_number(f, 2, 11);
		mf_number(f, 2, strlen(id));
		if (f->version >= 6) {
			mf_number(f, 2, 1883);
			mf_number(f, 2, 4);
			mf_number(f, 4, 0);
		}
		mf_text(f, id);
		if (f->version >= 6)
			mf_text(f, "user");
	} else {
		mf_string(f, id);
		mf_number(f, 2, 11);
		if (f->version >= 3)
			mf_native(f, (uint64_t)time);
	}
	mf_end(f);
}

static inline void mf_delivery(struct mosquitto_file *f, const char *client, uint64_t message, uint16_t pid,
			       uint8_t qos, uint8_t state, bool retain, bool dup, bool out, const void *props,
			       size_t props_len)
{
	mf_begin(f, 3);
	if (f->version >= 5) {
		mf_native(f, message);
		mf_number(f, 2, pid);
		mf_number(f, 2, strlen(client));
		mf_number(f, 1, qos);
		mf_number(f, 1, state);
		mf_number(f, 1, (unsigned)retain << 4 | dup);
		mf_number(f, 1, out);
		mf_text(f, client);
		mf_bytes(f, props, props_len);
	} else {
		mf_string(f, client);
		mf_native(f, message);
		mf_number(f, 2, pid);
		mf_number(f, 1, qos);
		mf_number(f, 1, retain);
		mf_number(f, 1, out);
		mf_number(f, 1, state);
		mf_number(f, 1, dup);
	}
	mf_end(f);
}

static inline void mf_subscription(struct mosquitto_file *f, const char *client, const char *filter, uint8_t qos,
				   uint8_t options, uint32_t identifier)
{
	mf_begin(f, 5);
	if (f->version >= 5) {
		mf_number(f, 4, identifier);
		mf_number(f, 2, strlen(client));
		mf_number(f, 2, strlen(filter));
		mf_number(f, 1, qos);
		mf_number(f, 1, options);
		mf_number(f, 2, 0);
		mf_text(f, client);
		mf_text(f, filter);
	} else {
		mf_string(f, client);
		mf_string(f, filter);
		mf_number(f, 1, qos);
	}
	mf_end(f);
}

static inline void mf_retained(struct mosquitto_file *f, uint64_t message)
{
	mf_begin(f, 4);
	mf_native(f, message);
	mf_end(f);
}

static inline void mf_unknown(struct mosquitto_file *f)
{
	mf_begin(f, 77);
	mf_text(f, "what is this?");
	mf_end(f);
}

#endif
