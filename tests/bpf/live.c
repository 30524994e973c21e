// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Connections, packets and small helpers of the live tests; the daemon and the other threads are in live_threads.c. */
#include "live.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	SEEDS = 4096,
	HOPELESS_MS = 20000,
};

static uint8_t pattern[SEEDS + LIVE_PAYLOAD_MAX];
static uint64_t sigpipes;
enum fp_road live_roads[SHUNT_ROADS] = {FP_ROAD_NONE, FP_ROAD_LOCAL, FP_ROAD_REMOTE};

static void count_sigpipe(int sig)
{
	(void)sig;
	__atomic_add_fetch(&sigpipes, 1, __ATOMIC_RELAXED);
}

uint64_t live_sigpipes(void)
{
	return live_load(&sigpipes);
}

uint32_t live_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)(*state * UINT64_C(0x2545f4914f6cdd1d) >> 32);
}

void live_sleep_us(unsigned us)
{
	struct timespec ts = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L};

	nanosleep(&ts, NULL);
}

/* ---- the fast path ---------------------------------------------------------------------------------------------- */

static __attribute__((constructor)) void make_pattern(void)
{
	uint64_t rng = 7;

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)live_random(&rng);
}

static void prepare(void)
{
	struct sigaction sa = {.sa_handler = count_sigpipe, .sa_flags = SA_RESTART};
	struct rlimit files;

	assert_int_equal(sigaction(SIGPIPE, &sa, NULL), 0);
	__atomic_store_n(&sigpipes, 0, __ATOMIC_RELAXED);
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

/* `clients`: whose fields say who takes the local road; NULL: everybody. */
static void open_with(struct live *l, enum fp_road road, uint32_t without, uid_t uid, const char *pins,
		      const struct fp_config *clients)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);
	struct fp_config cfg = {
		.mode = FP_MODE_ON, .local = road == FP_ROAD_LOCAL, .nports = 1, .uid = uid, .gid = (gid_t)uid};
	struct fp_status status;

	if (fp.bpf)
		fail_msg("the fast path is open, left by a test that failed");
	prepare();
	memset(l, 0, sizeof(*l));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	l->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(l->listener >= 0);
	assert_int_equal(bind(l->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(l->listener, 512), 0);
	assert_int_equal(getsockname(l->listener, (struct sockaddr *)&a, &len), 0);
	l->port = ntohs(a.sin_port);
	l->road = road;
	snprintf(l->pins, sizeof(l->pins), "%s", pins);
	cfg.ports = &l->port;
	cfg.pin_path = l->pins;
	if (clients) {
		cfg.cgroup = clients->cgroup;
		cfg.exclude_uids = clients->exclude_uids;
		cfg.exclude_cgroups = clients->exclude_cgroups;
	}
	fp_without = without;
	assert_int_equal(fp_open(&cfg), 0);
	assert_int_equal(fp_start(), 0);
	fp_status(&status);
	if (!status.loaded || (road == FP_ROAD_LOCAL ? !status.local : !status.remote)) {
		print_message("SKIP: no %s road: %s\n", road == FP_ROAD_LOCAL ? "local" : "remote", status.reason);
		live_close(l);
		skip();
	}
}

void live_open(struct live *l, enum fp_road road, uint32_t without)
{
	live_open_as(l, road, without, (uid_t)-1);
}

void live_open_as(struct live *l, enum fp_road road, uint32_t without, uid_t uid)
{
	char pins[64];

	snprintf(pins, sizeof(pins), "/sys/fs/bpf/shunt-test-%d", getpid());
	open_with(l, road, without, uid, pins, NULL);
}

void live_open_at(struct live *l, enum fp_road road, const char *pins)
{
	open_with(l, road, 0, (uid_t)-1, pins, NULL);
}

void live_open_for(struct live *l, const struct fp_config *clients)
{
	char pins[64];

	snprintf(pins, sizeof(pins), "/sys/fs/bpf/shunt-test-%d", getpid());
	open_with(l, FP_ROAD_LOCAL, 0, (uid_t)-1, pins, clients);
}

void live_close(struct live *l)
{
	close(l->listener);
	fp_close();
	fp_without = 0;
}

void live_stats(enum fp_road road, struct fp_road_stats *out)
{
	struct fp_stats stats;

	fp_stats(&stats);
	*out = road == FP_ROAD_LOCAL ? stats.local : stats.remote;
}

/* ---- connections ------------------------------------------------------------------------------------------------ */

void live_connect_plain(struct live *l, struct live_conn *c, const char *name)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(l->port)};
	int one = 1;

	memset(c, 0, sizeof(*c));
	snprintf(c->name, sizeof(c->name), "%s", name);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(c->client >= 0);
	assert_int_equal(connect(c->client, (struct sockaddr *)&a, sizeof(a)), 0);
	c->broker = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(c->broker >= 0);
	setsockopt(c->client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(c->broker, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

void live_attach(struct live *l, struct live_conn *c)
{
	fp_attach(&c->link, c->broker, LIVE_NS, c->form, c->name, c->received);
	assert_int_equal(c->link.road, l->road);
}

void live_connect(struct live *l, struct live_conn *c, const char *name)
{
	live_connect_plain(l, c, name);
	live_attach(l, c);
	fp_handled(&c->link, 0);
}

void live_target(struct live_conn *c)
{
	uint64_t end = clock_ns() + (uint64_t)HOPELESS_MS * NS_PER_MS;

	/* While the remote road is loaded there are no new receivers on it. */
	for (;;) {
		fp_make_target(&c->link, c->broker, c->name);
		if (c->link.target || clock_ns() > end)
			break;
		live_sleep_us(1000);
	}
	assert_true(c->link.target);
}

void live_subscribe(struct live *l, struct live_conn *c, const char *name)
{
	live_connect(l, c, name);
	live_target(c);
}

void live_disconnect(struct live_conn *c)
{
	uint32_t slot = c->link.slot;

	fp_retire(&c->link);
	fp_flow_remove_receiver(slot);
	if (c->client >= 0)
		close(c->client);
	if (c->broker >= 0)
		close(c->broker);
	fp_detach(&c->link);
	live_free(&c->in);
	live_free(&c->out);
	c->client = c->broker = -1;
}

int live_flow(struct live_conn *publisher, const char *topic, const struct live_conn *receiver)
{
	const struct fp_link *to = &receiver->link;
	struct fp_receiver r = {
		.road = to->road, .slot = to->slot, .generation = to->generation, .isn_pair = to->isn_pair};

	return fp_flow_install(&publisher->link, LIVE_NS, 0, topic, strlen(topic), &r, 1, NULL, receiver->name);
}

ssize_t live_send(struct live_conn *c, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t sent = 0;

	for (unsigned i = 0; i < 2000 && sent < len; i++) {
		struct iovec iov = {.iov_base = (void *)(p + sent), .iov_len = len - sent};
		ssize_t n = fp_send(&c->link, c->broker, &iov, 1);

		if (n > 0)
			sent += (size_t)n;
		else if (n == -EBUSY || n == -EAGAIN)
			live_sleep_us(500);
		else
			return n;
	}
	return (ssize_t)sent;
}

int live_send_all(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = send(fd, p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

void live_await(int fd, int other)
{
	struct pollfd places[] = {{.fd = fd, .events = POLLIN}, {.fd = other, .events = POLLIN}};

	assert_true(poll(places, 2, HOPELESS_MS) > 0);
}

bool live_expect(int fd, const void *data, size_t len)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint8_t *got = malloc(len);
	size_t have = 0;
	bool same;

	while (got && have < len && poll(&p, 1, 2000) == 1) {
		ssize_t n = recv(fd, got + have, len - have, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	same = got && have == len && !memcmp(got, data, len);
	free(got);
	return same;
}

bool live_expect_nothing(int fd)
{
	uint8_t b;

	live_sleep_us(2000);
	return recv(fd, &b, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* ---- packets ---------------------------------------------------------------------------------------------------- */

void live_append(struct live_buffer *b, const void *data, size_t len)
{
	if (b->at && (b->at == b->len || b->at > b->size / 2)) {
		memmove(b->data, b->data + b->at, b->len - b->at);
		b->len -= b->at;
		b->at = 0;
	}
	if (b->len + len > b->size) {
		b->size = (b->len + len) * 2;
		b->data = realloc(b->data, b->size);
		if (!b->data)
			abort();
	}
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
}

void live_free(struct live_buffer *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

static const uint8_t *pattern_of(uint32_t publisher, uint32_t seq)
{
	return pattern + (publisher * 1237 + seq * 31) % SEEDS;
}

size_t live_publish(uint8_t *b, const char *topic, uint32_t publisher, uint32_t seq, size_t payload)
{
	size_t topic_len = strlen(topic), remaining = 2 + topic_len + payload, at = 0;

	b[at++] = WIRE_FAST_PUBLISH;
	do {
		b[at] = remaining & 0x7f;
		remaining >>= 7;
		if (remaining)
			b[at] |= 0x80;
		at++;
	} while (remaining);
	b[at++] = (uint8_t)(topic_len >> 8);
	b[at++] = (uint8_t)topic_len;
	memcpy(b + at, topic, topic_len);
	at += topic_len;
	memcpy(b + at, &publisher, sizeof(publisher));
	memcpy(b + at + 4, &seq, sizeof(seq));
	memcpy(b + at + LIVE_PAYLOAD_MIN, pattern_of(publisher, seq), payload - LIVE_PAYLOAD_MIN);
	return at + payload;
}

/* ---- checking --------------------------------------------------------------------------------------------------- */

static void add(uint64_t *p, uint64_t n)
{
	__atomic_add_fetch(p, n, __ATOMIC_RELAXED);
}

static void note(struct live_reader *r, const char *what, const uint8_t *p, size_t len)
{
	size_t at;

	add(&r->broken, 1);
	at = (size_t)snprintf(r->what, sizeof(r->what), "%s at byte %lu:", what, live_load(&r->bytes));
	for (size_t i = 0; i < len && i < 12 && at + 4 < sizeof(r->what); i++)
		at += (size_t)snprintf(r->what + at, sizeof(r->what) - at, " %02x", p[i]);
}

static void check_publish(struct live_reader *r, const uint8_t *p, size_t len, size_t header_len)
{
	size_t topic_len = (size_t)p[header_len] << 8 | p[header_len + 1], at = header_len + 2 + topic_len;
	uint32_t publisher, seq;

	if (at + LIVE_PAYLOAD_MIN > len) {
		note(r, "too short", p, len);
		return;
	}
	memcpy(&publisher, p + at, sizeof(publisher));
	memcpy(&seq, p + at + 4, sizeof(seq));
	if (publisher >= LIVE_PUBLISHERS ||
	    memcmp(p + at + LIVE_PAYLOAD_MIN, pattern_of(publisher, seq), len - at - LIVE_PAYLOAD_MIN) != 0) {
		note(r, "not a message", p, len);
		return;
	}
	if (seq < r->next[publisher])
		add(&r->reordered, 1);
	else
		add(&r->gaps, seq - r->next[publisher]);
	if (seq >= r->next[publisher])
		r->next[publisher] = seq + 1;
	add(publisher == LIVE_OWN ? &r->own : &r->messages, 1);
}

void live_check(struct live_reader *r, const uint8_t *data, size_t len)
{
	struct live_buffer *in = &r->in;

	live_append(in, data, len);
	while (in->at < in->len && !live_load(&r->broken)) {
		const uint8_t *p = in->data + in->at;
		uint8_t h[WIRE_HEADER_MAX] = {0};
		uint32_t avail = in->len - in->at < sizeof(h) ? (uint32_t)(in->len - in->at) : (uint32_t)sizeof(h),
			 header_len;
		__s32 total;

		memcpy(h, p, avail);
		total = wire_header(h, avail, &header_len);
		if ((h[0] != WIRE_FAST_PUBLISH && h[0] != 0xd0) || total < 0 || total > LIVE_PAYLOAD_MAX ||
		    (h[0] == 0xd0 && total != 2 && total != 0)) {
			note(r, "not a packet", p, avail);
			return;
		}
		if (total == WIRE_MORE || (size_t)total > in->len - in->at)
			return;
		if (h[0] == 0xd0)
			add(&r->pings, 1);
		else
			check_publish(r, p, (size_t)total, header_len);
		in->at += (size_t)total;
		add(&r->bytes, (uint64_t)total);
	}
}

uint64_t live_violations(const struct live_reader *r)
{
	return live_load(&r->gaps) + live_load(&r->reordered) + live_load(&r->broken);
}
