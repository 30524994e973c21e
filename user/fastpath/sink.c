// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The sinks: where the kernel puts its copy of a message when one of several receivers cannot take it now. A Unix socket a
 * worker, into which the publishers of that worker have their copies redirected, each behind a struct shunt_copy.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fastpath/internal.h"

enum { SINK_BUFFER = 65536 };

struct sink {
	uint32_t index;
	int fd, other; /* both ends; nothing is ever written to the other */
	size_t len;    /* of a record that has not come as a whole yet */
	uint8_t *buffer;
};

static __thread struct sink *own_sink;

static struct {
	pthread_mutex_t lock;
	uint32_t count;
	struct sink sink[SHUNT_SINKS_MAX];
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int open_sink(struct sink *s)
{
	uint64_t value;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -errno;
	value = (uint64_t)pair[0];
	s->buffer = malloc(SINK_BUFFER);
	if (!s->buffer || bpf_map_update_elem(fp.sink_socks_fd, &s->index, &value, BPF_ANY)) {
		int error = s->buffer ? -errno : -ENOMEM;

		free(s->buffer);
		close(pair[0]);
		close(pair[1]);
		return error;
	}
	s->fd = pair[0];
	s->other = pair[1];
	return 0;
}

int fp_sink_open(void)
{
	int error = -ENOTSUP;

	if (own_sink)
		return own_sink->fd;
	if (!fp.bpf || !fp.many)
		return error;
	pthread_mutex_lock(&all.lock);
	if (all.count < SHUNT_SINKS_MAX) {
		struct sink *s = &all.sink[all.count];

		*s = (struct sink){.index = all.count};
		error = open_sink(s);
		if (!error) {
			all.count++;
			own_sink = s;
		}
	}
	pthread_mutex_unlock(&all.lock);
	return error ? error : own_sink->fd;
}

uint32_t fp_sink_number(void)
{
	return own_sink ? own_sink->index + 1 : 0;
}

bool fp_sink_waits(void)
{
	const struct shunt_sink *s = own_sink ? &fp.sinks[own_sink->index] : NULL;

	return s && load64(&s->in) != s->out;
}

/* Deliver the whole records in the buffer and keep the rest. */
static void deliver(struct sink *s, void (*each)(const struct fp_diverted *, void *), void *arg)
{
	struct shunt_copy copy;
	size_t at = 0;

	while (s->len - at >= sizeof(copy)) {
		struct fp_diverted d;

		memcpy(&copy, s->buffer + at, sizeof(copy));
		if (s->len - at - sizeof(copy) < copy.len)
			break;
		d = (struct fp_diverted){
			.slot = copy.slot,
			.generation = copy.generation,
			.packets = s->buffer + at + sizeof(copy),
			.len = copy.len,
		};
		at += sizeof(copy) + copy.len;
		if (d.slot && d.slot < SHUNT_SLOTS_MAX)
			each(&d, arg);
	}
	memmove(s->buffer, s->buffer + at, s->len - at);
	s->len -= at;
}

void fp_sink_read(void (*each)(const struct fp_diverted *, void *), void *arg)
{
	struct sink *s = own_sink;
	ssize_t n;

	if (!s)
		return;
	while ((n = recv(s->fd, s->buffer + s->len, SINK_BUFFER - s->len, MSG_DONTWAIT)) > 0) {
		s->len += (size_t)n;
		store64(&fp.sinks[s->index].out, fp.sinks[s->index].out + (uint64_t)n);
		deliver(s, each, arg);
	}
}

void fp_returned(struct fp_link *link, uint64_t messages)
{
	struct shunt_slot *slot = fp_slot(link->slot);

	store64(&slot->returned, slot->returned + messages);
}

void fp_sink_stop(void)
{
	for (uint32_t i = 0; i < all.count; i++) {
		close(all.sink[i].fd);
		close(all.sink[i].other);
		free(all.sink[i].buffer);
	}
	all.count = 0;
	own_sink = NULL;
}
