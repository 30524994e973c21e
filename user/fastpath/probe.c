// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The probe at start: does this kernel do what the fast path relies on? Version numbers do not tell (vendors backport), so
 * each road is tried on connections of our own over loopback, with the programs and maps that will be used.
 *
 *   local	sockops sees both ends; a publish goes into the receiver's queue and nowhere else; the queue's length and
 *		the references to the receiver's socket can be read; what the daemon sends takes the same queue; what has
 *		no flow, or comes behind something that the daemon has not finished, passes.
 *	many	on the local road: a publish is copied to two receivers; the copy for one that is held goes to the sink, and so
 *		does the next one until the daemon has returned it.
 *   tell	on the local road: one send of the daemon reaches several clients, though one of them has closed.
 *   remote	a socket half read before it entered the map loses and repeats nothing; passed data wakes the reader each
 *		time (PINGREQ after unread data); a publish goes to the receiver's socket; injected packets arrive whole.
 *   pings	on each of these roads: a PINGREQ comes back changed into a PINGRESP, what follows passes.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "fastpath/internal.h"

enum { PROBE_NS = 0xffff, WAIT_MS = 1000 };

static const uint8_t publish[] = {0x30, 10, 0, 5, 'p', 'r', 'o', 'b', 'e', 'x', 'y', 'z'};
static const uint8_t pingreq[] = {WIRE_PINGREQ, 0}, pingresp[] = {0xd0, 0};

struct end_to_end {
	int client, broker;
	struct fp_link link;
	uint64_t received;
};

struct probe {
	int listener;
	uint16_t port;
	struct end_to_end pub, sub, other;
	unsigned diverted;
	char *why;
	size_t size;
};

#define FAIL_UNLESS(p, condition, what)                            \
	do {                                                       \
		if (!(condition)) {                                \
			snprintf((p)->why, (p)->size, "%s", what); \
			return false;                              \
		}                                                  \
	} while (0)

static bool wait_readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

static bool send_all(int fd, const void *data, size_t len)
{
	return send(fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Exactly these bytes come, and within a second. */
static bool expect(int fd, const uint8_t *data, size_t len)
{
	uint8_t buf[512] = {0};
	size_t got = 0;

	while (got < len && wait_readable(fd, WAIT_MS)) {
		ssize_t n = recv(fd, buf + got, len - got, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return got == len && !memcmp(buf, data, len);
}

static bool expect_nothing(int fd)
{
	uint8_t b;

	return recv(fd, &b, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static bool connect_pair(struct probe *p, struct end_to_end *e)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(p->port)};
	int one = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	e->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FAIL_UNLESS(p, e->client >= 0 && !connect(e->client, (struct sockaddr *)&a, sizeof(a)),
		    "cannot connect over loopback");
	e->broker = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
	FAIL_UNLESS(p, e->broker >= 0, "cannot accept over loopback");
	setsockopt(e->client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(e->broker, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return true;
}

static void close_pair(struct end_to_end *e)
{
	fp_retire(&e->link);
	if (e->client >= 0)
		close(e->client);
	if (e->broker >= 0)
		close(e->broker);
	fp_detach(&e->link);
}

static bool open_probe(struct probe *p)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FAIL_UNLESS(p,
		    p->listener >= 0 && !bind(p->listener, (struct sockaddr *)&a, sizeof(a)) &&
			    !listen(p->listener, 4) && !getsockname(p->listener, (struct sockaddr *)&a, &len),
		    "cannot listen on loopback");
	p->port = ntohs(a.sin_port);
	return true;
}

static int install_flow(struct probe *p, size_t n)
{
	const struct fp_link *to[] = {&p->sub.link, &p->other.link};
	struct fp_receiver receivers[2];

	for (size_t i = 0; i < n; i++)
		receivers[i] = (struct fp_receiver){.road = to[i]->road,
						    .slot = to[i]->slot,
						    .generation = to[i]->generation,
						    .isn_pair = to[i]->isn_pair};
	return fp_flow_install(&p->pub.link, PROBE_NS, 0, "probe", 5, receivers, n, NULL, "probe");
}

static bool unused(const struct fp_link *link)
{
	uint32_t queued, in_use = 1;

	for (int i = 0; i < 50; i++) {
		if (fp_look(link->isn_pair, &queued, &in_use))
			return false;
		if (!in_use)
			return true;
		usleep(2000);
	}
	return false;
}

static bool send_link(struct end_to_end *e, const void *data, size_t len)
{
	struct iovec iov = {.iov_base = (void *)data, .iov_len = len};

	return fp_send(&e->link, e->broker, &iov, 1) == (ssize_t)len;
}

static bool try_local(struct probe *p)
{
	uint32_t queued = 0, in_use;

	if (!connect_pair(p, &p->pub) || !connect_pair(p, &p->sub))
		return false;
	fp_attach(&p->pub.link, p->pub.broker, PROBE_NS, 0, "probe-pub", 0);
	fp_attach(&p->sub.link, p->sub.broker, PROBE_NS, 0, "probe-sub", 0);
	FAIL_UNLESS(p, p->pub.link.road == FP_ROAD_LOCAL && p->sub.link.road == FP_ROAD_LOCAL,
		    "connections of this host are not seen by sockops");
	fp_make_target(&p->sub.link, p->sub.broker, "probe-sub");
	FAIL_UNLESS(p, !install_flow(p, 1), "cannot install a flow");

	FAIL_UNLESS(
		p, send_all(p->pub.client, publish, sizeof(publish)) && expect(p->pub.broker, publish, sizeof(publish)),
		"a publish before the fence opens does not pass");
	fp_handled(&p->pub.link, sizeof(publish));
	FAIL_UNLESS(p, send_all(p->pub.client, publish, sizeof(publish)), "a publish with a flow is not accepted");
	FAIL_UNLESS(p, !fp_look(p->sub.link.isn_pair, &queued, &in_use) && queued == sizeof(publish),
		    "the bytes in front of a receiver cannot be read");
	FAIL_UNLESS(p, expect(p->sub.client, publish, sizeof(publish)) && expect_nothing(p->pub.broker),
		    "a publish with a flow does not reach its receiver");
	FAIL_UNLESS(p,
		    send_link(&p->sub, pingresp, sizeof(pingresp)) && expect(p->sub.client, pingresp, sizeof(pingresp)),
		    "the daemon's output does not reach a local client");
	FAIL_UNLESS(
		p, send_all(p->pub.client, pingreq, sizeof(pingreq)) && expect(p->pub.broker, pingreq, sizeof(pingreq)),
		"a PINGREQ does not pass");
	FAIL_UNLESS(p,
		    send_all(p->pub.client, publish, sizeof(publish)) &&
			    expect(p->pub.broker, publish, sizeof(publish)) && expect_nothing(p->sub.client),
		    "the fence does not hold");
	FAIL_UNLESS(p, unused(&p->sub.link), "references to a receiver's socket cannot be counted");
	return true;
}

static void count_diverted(const struct fp_diverted *d, void *arg)
{
	struct probe *p = arg;

	if (d->slot == p->other.link.slot && d->generation == p->other.link.generation && d->len == sizeof(publish) &&
	    !memcmp(d->packets, publish, sizeof(publish)))
		p->diverted++;
}

static bool publish_to_both(struct probe *p, bool other)
{
	return send_all(p->pub.client, publish, sizeof(publish)) && expect(p->sub.client, publish, sizeof(publish)) &&
	       expect_nothing(p->pub.broker) &&
	       (other ? expect(p->other.client, publish, sizeof(publish)) : expect_nothing(p->other.client));
}

static bool try_many(struct probe *p)
{
	fp.many = true;
	FAIL_UNLESS(p, fp_sink_open() >= 0, "a Unix socket cannot be put into a socket map");
	if (!connect_pair(p, &p->pub) || !connect_pair(p, &p->sub) || !connect_pair(p, &p->other))
		return false;
	fp_attach(&p->pub.link, p->pub.broker, PROBE_NS, 0, "probe-pub", 0);
	fp_attach(&p->sub.link, p->sub.broker, PROBE_NS, 0, "probe-sub", 0);
	fp_attach(&p->other.link, p->other.broker, PROBE_NS, 0, "probe-other", 0);
	fp_make_target(&p->sub.link, p->sub.broker, "probe-sub");
	fp_make_target(&p->other.link, p->other.broker, "probe-other");
	FAIL_UNLESS(p, !install_flow(p, 2), "cannot install a flow");
	fp_handled(&p->pub.link, 0);
	FAIL_UNLESS(p, publish_to_both(p, true) && publish_to_both(p, true), "copies do not reach their receivers");
	fp_hold(&p->other.link, true);
	FAIL_UNLESS(p, publish_to_both(p, false), "a copy reaches a receiver that is held");
	fp_hold(&p->other.link, false);
	FAIL_UNLESS(p, publish_to_both(p, false), "a copy overtakes one in the sink");
	FAIL_UNLESS(p, fp_sink_waits(), "nothing waits in the sink");
	fp_sink_read(count_diverted, p);
	FAIL_UNLESS(p, p->diverted == 2 && !fp_sink_waits(), "copies do not reach the sink");
	fp_returned(&p->other.link, 2);
	FAIL_UNLESS(p, publish_to_both(p, true), "a receiver that was held gets no copies");
	return true;
}

static bool try_tell(struct probe *p)
{
	struct fp_link *links[] = {&p->sub.link, &p->pub.link, &p->other.link};
	bool told[3];

	fp.tells = true;
	FAIL_UNLESS(p, !fp_herald_open(), "no socket can be connected to itself and put into a socket map");
	if (!connect_pair(p, &p->pub) || !connect_pair(p, &p->sub) || !connect_pair(p, &p->other))
		return false;
	fp_attach(&p->pub.link, p->pub.broker, PROBE_NS, 0, "probe-pub", 0);
	fp_attach(&p->sub.link, p->sub.broker, PROBE_NS, 0, "probe-sub", 0);
	fp_attach(&p->other.link, p->other.broker, PROBE_NS, 0, "probe-other", 0);
	close(p->pub.client); /* its copy comes back */
	p->pub.client = -1;
	for (int i = 0; i < 2; i++)
		FAIL_UNLESS(p,
			    fp_tell(links, 3, publish, sizeof(publish), told) == 2 && told[0] && told[2] &&
				    expect(p->sub.client, publish, sizeof(publish)) &&
				    expect(p->other.client, publish, sizeof(publish)),
			    "what is said to all does not reach all");
	FAIL_UNLESS(p, expect_nothing(p->sub.client) && expect_nothing(p->other.client), "it reaches them twice");
	return true;
}

static bool try_ping(struct probe *p)
{
	if (!connect_pair(p, &p->pub))
		return false;
	fp_attach(&p->pub.link, p->pub.broker, PROBE_NS, 0, "probe-pub", 0);
	fp.pings[p->pub.link.road] = true;
	fp_handled(&p->pub.link, 0);
	fp_answer_pings(&p->pub.link, p->pub.broker, "probe-pub");
	fp_let_pings(true);
	fp_heartbeat(0);
	for (int i = 0; i < 2; i++)
		FAIL_UNLESS(p,
			    send_all(p->pub.client, pingreq, sizeof(pingreq)) &&
				    expect(p->pub.client, pingresp, sizeof(pingresp)) && expect_nothing(p->pub.broker),
			    "a message cannot be redirected to who sent it");
	FAIL_UNLESS(p,
		    send_all(p->pub.client, publish, sizeof(publish)) &&
			    expect(p->pub.broker, publish, sizeof(publish)) && expect_nothing(p->pub.client),
		    "what follows a message that was redirected to who sent it does not pass");
	return true;
}

static bool try_remote(struct probe *p)
{
	uint8_t half[100];

	for (size_t i = 0; i < sizeof(half); i++)
		half[i] = (uint8_t)i;
	if (!connect_pair(p, &p->pub) || !connect_pair(p, &p->sub))
		return false;
	FAIL_UNLESS(p, send_all(p->pub.client, half, sizeof(half)) && expect(p->pub.broker, half, 10),
		    "cannot send over loopback");
	fp_attach(&p->pub.link, p->pub.broker, PROBE_NS, 0, "probe-pub", 10);
	fp_attach(&p->sub.link, p->sub.broker, PROBE_NS, 0, "probe-sub", 0);
	FAIL_UNLESS(p, p->pub.link.road == FP_ROAD_REMOTE && p->sub.link.road == FP_ROAD_REMOTE,
		    "a socket cannot enter the map with a verdict program (needs 6.1 or later)");
	FAIL_UNLESS(p, expect(p->pub.broker, half + 10, sizeof(half) - 10) && expect_nothing(p->pub.broker),
		    "a half read skb is repeated or lost");
	for (int i = 0; i < 3; i++) {
		FAIL_UNLESS(p,
			    send_all(p->pub.client, half, 20) && wait_readable(p->pub.broker, WAIT_MS) &&
				    send_all(p->pub.client, pingreq, sizeof(pingreq)) &&
				    expect(p->pub.broker, half, 20) && expect(p->pub.broker, pingreq, sizeof(pingreq)),
			    "data behind unread data does not wake the reader");
	}
	fp_make_target(&p->sub.link, p->sub.broker, "probe-sub");
	FAIL_UNLESS(p, p->sub.link.target, "no injector");
	FAIL_UNLESS(p, !install_flow(p, 1), "cannot install a flow");
	FAIL_UNLESS(p,
		    send_link(&p->sub, pingresp, sizeof(pingresp)) && expect(p->sub.client, pingresp, sizeof(pingresp)),
		    "an injected packet does not arrive");
	fp_handled(&p->pub.link, sizeof(half) + 3 * (20 + sizeof(pingreq)));
	fp_heartbeat(0);
	FAIL_UNLESS(p,
		    send_all(p->pub.client, publish, sizeof(publish)) &&
			    expect(p->sub.client, publish, sizeof(publish)) && expect_nothing(p->pub.broker),
		    "a publish with a flow does not reach its receiver");
	return true;
}

static bool try_road(bool (*try)(struct probe *), bool local, char *why, size_t size)
{
	struct probe p = {.listener = -1,
			  .pub = {.client = -1, .broker = -1},
			  .sub = {.client = -1, .broker = -1},
			  .other = {.client = -1, .broker = -1},
			  .why = why,
			  .size = size};
	uint32_t nports = fp.control->nports;
	uint16_t port = fp.control->ports[0];
	bool works = false;

	fp.local = local;
	fp.remote = !local;
	fp.taking = true;
	fp.control->enabled = 1;
	fp.control->local = local;
	if (open_probe(&p)) {
		fp.control->ports[0] = p.port; /* nobody else's sockets */
		fp.control->nports = 1;
		works = try(&p);
		close_pair(&p.pub);
		close_pair(&p.sub);
		close_pair(&p.other);
	}
	if (p.listener >= 0)
		close(p.listener);
	fp.control->ports[0] = port;
	fp.control->nports = nports;
	fp.control->enabled = fp.control->local = 0;
	fp.taking = false;
	fp_let_pings(false);
	fp_flows_clear();
	return works;
}

/* On whichever road; `name` is for people. */
static bool probe_pings(bool local, const char *name, char *why, size_t size)
{
	bool works = try_road(try_ping, local, why, size);

	if (!works)
		log_notice("Fast path: PINGREQ of %s clients go to the daemon: %s.", name, why);
	return works;
}

static void forget_counts(void)
{
	int cpus = libbpf_num_possible_cpus();
	struct shunt_counters *zero = cpus > 0 ? calloc((size_t)cpus, sizeof(*zero)) : NULL;

	for (uint32_t road = 0; zero && road < SHUNT_ROADS; road++)
		bpf_map_update_elem(fp.counters_fd, &road, zero, BPF_ANY);
	free(zero);
}

void fp_probe(bool want_local, char *why, size_t size)
{
	bool local = want_local && try_road(try_local, true, why, size), remote;
	bool pings[SHUNT_ROADS] = {false};

	if (want_local && !local)
		log_notice("Fast path: no local road on this host: %s.", why);
	fp.many = local && try_road(try_many, true, why, size);
	if (local && !fp.many)
		log_notice("Fast path: messages for several receivers go by the daemon: %s.", why);
	fp_sink_stop();
	fp.tells = local && try_road(try_tell, true, why, size);
	if (local && !fp.tells)
		log_notice("Fast path: what is for several clients is sent to each on its own: %s.", why);
	fp_herald_stop();
	pings[FP_ROAD_LOCAL] = local && probe_pings(true, "local", why, size);
	remote = try_road(try_remote, false, why, size);
	if (!remote)
		log_notice("Fast path: no remote road on this host: %s.", why);
	pings[FP_ROAD_REMOTE] = remote && probe_pings(false, "remote", why, size);

	fp.local = local;
	fp.remote = remote;
	memcpy(fp.pings, pings, sizeof(pings));
	forget_counts();
}
