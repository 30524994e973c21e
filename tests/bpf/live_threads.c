// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The threads of the live tests: a daemon that routes, publishers, a reader. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "live.h"

enum { READ_SIZE = 65536, QUEUE_WAIT = 4 << 20 };

static void add(uint64_t *p, uint64_t n)
{
	__atomic_add_fetch(p, n, __ATOMIC_RELAXED);
}

static bool is_set(const bool *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static void set(bool *p, bool value)
{
	__atomic_store_n(p, value, __ATOMIC_RELAXED);
}

/* ---- daemon: output --------------------------------------------------------------------------------------------- */

/* Bytes of whole packets at the head of the queue that may go in one call. */
static size_t next_batch(const struct live_conn *c)
{
	size_t max = c->link.whole_max ? c->link.whole_max : READ_SIZE, batch = 0, have = c->out.len - c->out.at;

	while (batch < have) {
		const uint8_t *p = c->out.data + c->out.at + batch;
		uint8_t h[WIRE_HEADER_MAX] = {0};
		uint32_t header_len;
		size_t avail = have - batch < sizeof(h) ? have - batch : sizeof(h), total;

		memcpy(h, p, avail);
		total = (size_t)wire_header(h, (uint32_t)avail, &header_len);
		if (batch + total > max)
			return batch ? batch : total;
		batch += total;
	}
	return batch;
}

static void flush_output(struct live_conn *c)
{
	while (c->out.at < c->out.len && !c->broken) {
		size_t batch = c->large ? c->large : next_batch(c);
		struct iovec iov = {.iov_base = c->out.data + c->out.at, .iov_len = batch};
		ssize_t n = fp_send(&c->link, c->broker, &iov, 1);

		if (n == -EBUSY || n == -EAGAIN) {
			fp_hold(&c->link, true);
			return;
		}
		if (n < 0) {
			c->broken = true;
			return;
		}
		c->out.at += (size_t)n;
		c->large = batch - (size_t)n;
	}
	fp_hold(&c->link, false);
}

static size_t pending(const struct live_conn *c)
{
	return c->out.len - c->out.at;
}

/* ---- daemon: input ---------------------------------------------------------------------------------------------- */

static void route(struct live_daemon *d, struct live_conn *from, const uint8_t *packet, size_t len)
{
	static const uint8_t pingresp[] = {0xd0, 0};

	if (packet[0] == WIRE_PINGREQ) {
		live_append(&from->out, pingresp, sizeof(pingresp));
	} else if (d->receiver && packet[0] == WIRE_FAST_PUBLISH) {
		if (d->queue_max && pending(d->receiver) + len > d->queue_max) {
			add(&d->dropped, 1);
		} else {
			live_append(&d->receiver->out, packet, len);
			add(&d->routed, 1);
		}
	} else {
		add(&d->dropped, 1);
	}
}

static void parse(struct live_daemon *d, struct live_conn *c)
{
	struct live_buffer *in = &c->in;

	while (in->at < in->len) {
		uint8_t h[WIRE_HEADER_MAX] = {0};
		uint32_t header_len;
		size_t have = in->len - in->at;
		__s32 total;

		memcpy(h, in->data + in->at, have < sizeof(h) ? have : sizeof(h));
		total = wire_header(h, (uint32_t)(have < sizeof(h) ? have : sizeof(h)), &header_len);
		if (total <= 0 || (size_t)total > have)
			break;
		route(d, c, in->data + in->at, (size_t)total);
		in->at += (size_t)total;
	}
}

/* What the broker does with a readable socket: read, route, write, and only then tell the kernel. */
static void serve(struct live_daemon *d, struct live_conn *c)
{
	static __thread uint8_t buf[READ_SIZE];
	ssize_t n = recv(c->broker, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		c->broken = true;
		return;
	}
	c->received += (uint64_t)n;
	if (d->delay_us)
		live_sleep_us(d->delay_us);
	live_append(&c->in, buf, (size_t)n);
	parse(d, c);
	flush_output(c);
	if (d->receiver)
		flush_output(d->receiver);
	if (c->in.at == c->in.len)
		fp_handled(&c->link, c->received);
}

static void own_messages(struct live_daemon *d)
{
	static __thread uint8_t packet[LIVE_PAYLOAD_MAX + 256];

	if (d->own_every_us && clock_ns() < d->own_next_ns)
		return;
	d->own_next_ns = clock_ns() + d->own_every_us * UINT64_C(1000);
	for (unsigned i = 0;
	     i < (d->own_every_us ? 1 : 16) && d->own_seq < d->own_count && pending(d->receiver) < READ_SIZE; i++) {
		size_t payload = d->own_min + live_random(&d->rng) % (d->own_max - d->own_min + 1);

		if (payload < LIVE_PAYLOAD_MIN) {
			static const uint8_t pingresp[] = {0xd0, 0};

			live_append(&d->receiver->out, pingresp, sizeof(pingresp));
			continue;
		}
		live_append(&d->receiver->out, packet, live_publish(packet, "own", LIVE_OWN, d->own_seq++, payload));
		add(&d->own_sent, 1);
	}
	flush_output(d->receiver);
}

static void *daemon_thread(void *arg)
{
	struct live_daemon *d = arg;
	struct pollfd fds[LIVE_CONNS];

	if (d->receiver && fp_inject_ready()) /* injectors are a thread's own */
		abort();
	while (!is_set(&d->stop)) {
		bool busy = d->receiver && (pending(d->receiver) || d->own_seq < d->own_count);
		bool wait = d->receiver && !d->queue_max && pending(d->receiver) > QUEUE_WAIT;

		if (is_set(&d->stopped)) {
			live_sleep_us(1000);
			continue;
		}
		fp_heartbeat(0);
		for (size_t i = 0; i < d->nconns; i++)
			fds[i] = (struct pollfd){.fd = d->conns[i]->broken || wait ? -1 : d->conns[i]->broker,
						 .events = POLLIN};
		poll(fds, d->nconns, busy ? 1 : 20);
		for (size_t i = 0; i < d->nconns && !is_set(&d->stopped); i++)
			if (fds[i].fd >= 0 && fds[i].revents)
				serve(d, d->conns[i]);
		if (d->receiver && d->own_count)
			own_messages(d);
		for (size_t i = 0; i < d->nconns; i++)
			if (pending(d->conns[i]))
				flush_output(d->conns[i]);
	}
	return NULL;
}

void live_daemon_add(struct live_daemon *d, struct live_conn *c)
{
	assert_true(d->nconns < LIVE_CONNS);
	d->conns[d->nconns++] = c;
}

void live_daemon_start(struct live_daemon *d)
{
	d->rng = 1234567;
	d->stop = false;
	d->running = true;
	assert_int_equal(pthread_create(&d->thread, NULL, daemon_thread, d), 0);
}

void live_daemon_stop(struct live_daemon *d)
{
	if (!d->running)
		return;
	set(&d->stop, true);
	pthread_join(d->thread, NULL);
	d->running = false;
}

/* ---- publishers ------------------------------------------------------------------------------------------------- */

static void *publisher_thread(void *arg)
{
	struct live_publisher *p = arg;
	uint64_t rng = 99 + p->id;
	uint8_t *packet = malloc(p->max + 512);

	if (!packet)
		abort();
	for (uint32_t i = 0; (!p->count || i < p->count) && !is_set(&p->stop); i++) {
		size_t payload = p->min + live_random(&rng) % (p->max - p->min + 1);
		size_t len = live_publish(packet, p->topic ? p->topic : LIVE_TOPIC, p->id, p->first + i, payload);
		int error = live_send_all(p->conn->client, packet, len);

		if (error) {
			if (!live_load(&p->errors))
				p->error = -error;
			add(&p->errors, 1);
			if (error != -EPIPE)
				break;
			continue;
		}
		add(&p->sent, 1);
		if (p->every_us)
			live_sleep_us(p->every_us);
	}
	free(packet);
	return NULL;
}

void live_publisher_start(struct live_publisher *p)
{
	p->stop = false;
	assert_int_equal(pthread_create(&p->thread, NULL, publisher_thread, p), 0);
}

void live_publisher_wait(struct live_publisher *p)
{
	pthread_join(p->thread, NULL);
}

void live_publisher_stop(struct live_publisher *p)
{
	set(&p->stop, true);
	pthread_join(p->thread, NULL);
}

/* ---- reader ----------------------------------------------------------------------------------------------------- */

static void *reader_thread(void *arg)
{
	struct live_reader *r = arg;
	struct pollfd p = {.fd = r->fd, .events = POLLIN};
	uint8_t *buf = malloc(READ_SIZE * 4);

	if (!buf)
		abort();
	while (!is_set(&r->stop)) {
		ssize_t n;

		if (is_set(&r->pause)) {
			live_sleep_us(1000);
			continue;
		}
		if (poll(&p, 1, 20) != 1)
			continue;
		n = recv(r->fd, buf, READ_SIZE * 4, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			break;
		if (n > 0)
			live_check(r, buf, (size_t)n);
	}
	free(buf);
	return NULL;
}

void live_reader_start(struct live_reader *r, int fd)
{
	r->fd = fd;
	r->stop = false;
	r->running = true;
	assert_int_equal(pthread_create(&r->thread, NULL, reader_thread, r), 0);
}

void live_reader_stop(struct live_reader *r)
{
	if (!r->running)
		return;
	set(&r->stop, true);
	pthread_join(r->thread, NULL);
	r->running = false;
	live_free(&r->in);
}

bool live_reader_wait(struct live_reader *r, uint64_t messages, unsigned quiet_ms)
{
	uint64_t last = 0, since = clock_ns();

	for (;;) {
		uint64_t now = live_load(&r->messages);

		if (now >= messages)
			return true;
		if (live_load(&r->bytes) != last) {
			last = live_load(&r->bytes);
			since = clock_ns();
		}
		if (live_load(&r->broken) || clock_ns() - since > (uint64_t)quiet_ms * NS_PER_MS)
			return false;
		live_sleep_us(1000);
	}
}
