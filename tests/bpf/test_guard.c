// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The guard's program, run by the kernel on frames of our own: nothing that a client may send is dropped or changed, however
 * it is packed; lists, budgets and the look at the first bytes do what they say, and count it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>

#include "base/clock.h"
#include "frames.h"
#include "guard/xdp.h"

#include "guard.skel.h"

enum {
	PORT = 1883,
	ISN = 0xfffffff0, /* so that the sequence numbers of what is sent run over */
	PADDING = 6,
	RANDOM_FRAMES = 20000,
};

static struct guard_bpf *bpf;
static uint8_t in[FRAME_MAX], out[FRAME_MAX];
static uint32_t out_len;

/* ---- the program --------------------------------------------------------------------------------------------------- */

static int load(void **state)
{
	(void)state;
	bpf = guard_bpf__open_and_load();
	if (!bpf)
		print_message("SKIP: cannot load BPF programs: %s\n", strerror(errno));
	return 0;
}

static int unload(void **state)
{
	(void)state;
	guard_bpf__destroy(bpf);
	return 0;
}

static void clear(const struct bpf_map *map, size_t key_size)
{
	uint8_t key[64], next[64];

	assert_true(key_size <= sizeof(key));
	while (!bpf_map_get_next_key(bpf_map__fd(map), NULL, next)) {
		memcpy(key, next, key_size);
		assert_int_equal(bpf_map_delete_elem(bpf_map__fd(map), key), 0);
	}
}

static void listen_on(bool ipv6, const uint8_t *address, uint32_t mqtt, uint32_t shared)
{
	struct shunt_guard_address key = {.port = PORT, .protocol = IPPROTO_TCP};
	struct shunt_guard_listener value = {.mqtt = mqtt, .shared = shared};

	if (!ipv6)
		key.address[10] = key.address[11] = 0xff;
	if (address)
		memcpy(key.address + (ipv6 ? 0 : 12), address, ipv6 ? 16 : 4);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(bpf->maps.listeners), &key, &value, BPF_ANY), 0);
	key.protocol = IPPROTO_UDP;
	value.mqtt = 0;
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(bpf->maps.listeners), &key, &value, BPF_ANY), 0);
}

static struct shunt_guard_counters counted(void)
{
	static struct shunt_guard_counters values[1024];
	struct shunt_guard_counters sum = {0};
	uint32_t key = 0;

	assert_true(libbpf_num_possible_cpus() <= 1024);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(bpf->maps.counters), &key, values), 0);
	for (int i = 0; i < libbpf_num_possible_cpus(); i++) {
		sum.packets += values[i].packets;
		sum.allowed += values[i].allowed;
		sum.retried += values[i].retried;
		for (int r = 0; r < SHUNT_GUARD_REASONS; r++)
			sum.dropped[r] += values[i].dropped[r];
	}
	return sum;
}

/* Before each test: no rules, no budgets, listeners on all addresses. */
static int begin(void **state)
{
	static struct shunt_guard_counters zero[1024];
	uint32_t key = 0;

	(void)state;
	if (!bpf)
		return 0;
	memset(&bpf->bss->control, 0, sizeof(bpf->bss->control));
	bpf->bss->control.ipv6_bits = 128;
	bpf->bss->syns_ns = bpf->bss->retries_ns = 0;
	clear(bpf->maps.listeners, sizeof(struct shunt_guard_address));
	clear(bpf->maps.allowed, sizeof(struct shunt_guard_prefix));
	clear(bpf->maps.blocked, sizeof(struct shunt_guard_prefix));
	clear(bpf->maps.banned, sizeof(struct shunt_guard_prefix));
	clear(bpf->maps.sources, 16);
	clear(bpf->maps.proven, 16);
	clear(bpf->maps.connections, sizeof(struct shunt_guard_connection));
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(bpf->maps.counters), &key, zero, BPF_ANY), 0);
	listen_on(false, NULL, 1, 0);
	listen_on(true, NULL, 1, 0);
	return 0;
}

static int run_bytes(size_t len)
{
	struct bpf_test_run_opts opts = {
		.sz = sizeof(opts),
		.data_in = in,
		.data_size_in = (uint32_t)len,
		.data_out = out,
		.data_size_out = sizeof(out),
	};

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(bpf->progs.shunt_guard), &opts), 0);
	out_len = opts.data_size_out;
	return (int)opts.retval;
}

static int run(const struct frame *f)
{
	return run_bytes(frame_write(f, in));
}

/* It passes, and as it came. */
static void assert_passes(const struct frame *f)
{
	size_t len = frame_write(f, in);

	assert_int_equal(run_bytes(len), XDP_PASS);
	assert_int_equal(out_len, len);
	assert_memory_equal(in, out, len);
}

static void assert_dropped(const struct frame *f, enum shunt_guard_reason reason)
{
	uint64_t before = counted().dropped[reason];

	assert_int_equal(run(f), XDP_DROP);
	assert_int_equal(counted().dropped[reason], before + 1);
}

static void assert_nothing_dropped(void)
{
	struct shunt_guard_counters c = counted();

	for (int r = 0; r < SHUNT_GUARD_REASONS; r++)
		assert_int_equal(c.dropped[r], 0);
}

#define NEED_BPF()              \
	do {                    \
		if (!bpf) {     \
			skip(); \
			return; \
		}               \
	} while (0)

/* ---- what is sent --------------------------------------------------------------------------------------------------- */

static struct frame frame_to_us(bool ipv6)
{
	static const uint8_t v4[2][4] = {{192, 0, 2, 7}, {192, 0, 2, 1}};
	static const uint8_t v6[2][16] = {{0x20, 1, 0xd, 0xb8, [15] = 7}, {0x20, 1, 0xd, 0xb8, [15] = 1}};
	struct frame f = {.ipv6 = ipv6,
			  .source_port = 40000,
			  .destination_port = PORT,
			  .flags = FRAME_ACK | FRAME_PSH,
			  .seq = ISN + 1U};

	memcpy(f.source, ipv6 ? v6[0] : v4[0], ipv6 ? 16 : 4);
	memcpy(f.destination, ipv6 ? v6[1] : v4[1], ipv6 ? 16 : 4);
	return f;
}

static struct frame syn_of(const struct frame *f)
{
	struct frame syn = *f;

	syn.flags = FRAME_SYN;
	syn.seq = ISN;
	syn.data = NULL;
	syn.len = 0;
	return syn;
}

static struct frame with_data(struct frame f, const void *data, size_t len)
{
	f.data = data;
	f.len = len;
	return f;
}

#define WITH_TEXT(frame, text) with_data(frame, text, sizeof(text) - 1)

static const struct {
	const char *data;
	size_t len;
} connects[] = {
#define CONNECT(text)                   \
	{                               \
		text, sizeof(text) - 1, \
	}
	CONNECT("\x10\x0c\0\4MQTT\4\2\0\x3c\0\0"),			    /* the shortest of 3.1.1, */
	CONNECT("\x10\x0d\0\4MQTT\5\2\0\x3c\0\0\0"),			    /* of 5.0, */
	CONNECT("\x10\x0f\0\6MQIsdp\3\2\0\x3c\0\1a"),			    /* and of 3.1 */
	CONNECT("\x10\x8c\0\0\4MQTT\4\2\0\x3c\0\0"),			    /* lengths longer than they need be */
	CONNECT("\x10\x8c\x80\0\0\4MQTT\4\2\0\x3c\0\0"),		    /* */
	CONNECT("\x10\x8c\x80\x80\0\0\4MQTT\4\2\0\x3c\0\0"),		    /* */
	CONNECT("\x10\x84\1\0\4MQTT\4\2\0\x3c\0\6client"),		    /* longer ones; more follows */
	CONNECT("\x10\xff\xff\xff\x7f\0\4MQTT\5\2\0\x3c\0\0\6client"),	    /* */
	CONNECT("\x10\x0c\0\4MQTT\x84\2\0\x3c\0\0"),			    /* a bridge of mosquitto */
	CONNECT("\x10\x0c\0\4MQTT\4\2\0\x3c\0\0\x82\x06\0\1\0\1a\0\xc0\0"), /* does not wait for its CONNACK */
#undef CONNECT
};
enum { CONNECTS = sizeof(connects) / sizeof(connects[0]) };

/* A connection of which only the first segment is interesting, however long it is. */
static void try_splits(struct frame f)
{
	struct frame syn = syn_of(&f);

	assert_passes(&syn);
	for (size_t i = 0; i < CONNECTS; i++) {
		for (size_t len = 1; len <= connects[i].len; len++) {
			struct frame first = with_data(f, connects[i].data, len), rest = f;

			assert_passes(&first);
			assert_passes(&first); /* sent again */
			rest.seq += (uint32_t)len;
			rest = with_data(rest, connects[i].data + len, connects[i].len - len);
			assert_passes(&rest);
		}
	}
}

/* ---- legal clients -------------------------------------------------------------------------------------------------- */

static void connects_pass(void **state)
{
	(void)state;
	NEED_BPF();
	try_splits(frame_to_us(false));
	try_splits(frame_to_us(true));
	assert_nothing_dropped();
}

static void options_pass(void **state)
{
	static const uint8_t extensions[][9] = {{255},
						{60},
						{43},
						{51},
						{44},
						{255, 60, 43, 44, 60},
						{255, 43, 51, 60},
						{60, 60, 60, 60, 60, 60, 60, 60}};

	(void)state;
	NEED_BPF();
	for (unsigned vlans = 0; vlans <= 2; vlans++) {
		for (unsigned bytes = 0; bytes <= 40; bytes += 8) {
			struct frame f = frame_to_us(false);

			f.vlans = vlans;
			f.ip_options = bytes;
			f.tcp_options = 40 - bytes;
			f.padding = PADDING;
			try_splits(f);
		}
		for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
			struct frame f = frame_to_us(true);

			f.vlans = vlans;
			f.extensions = extensions[i];
			f.extension_len = 16;
			f.tcp_options = 12;
			f.padding = PADDING;
			try_splits(f);
		}
	}
	assert_nothing_dropped();
	/* It was read, not passed over. */
	assert_true(counted().packets > 1000);
}

/* What belongs to no connection that the guard has seen the start of, or is not its first data. */
static void rest_of_stream_passes(void **state)
{
	struct frame f, syn;

	(void)state;
	NEED_BPF();
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		f = WITH_TEXT(frame_to_us(ipv6), "\x30\x05\0\1ahi");
		assert_passes(&f); /* an older connection */
		syn = syn_of(&f);
		assert_passes(&syn);
		for (uint32_t more = 2; more < 40; more++) {
			f.seq = ISN + more;
			assert_passes(&f);
		}
		f.seq = ISN; /* a keepalive probe, with or without a byte */
		f.len = 1;
		assert_passes(&f);
		f.seq = ISN + 1U;
		assert_passes(&f);
		f.len = 0;
		assert_passes(&f);
		f.flags = FRAME_FIN | FRAME_ACK;
		assert_passes(&f);
		f.flags = FRAME_RST;
		assert_passes(&f);
		f.flags = FRAME_SYN | FRAME_ACK; /* of a connection of our own */
		assert_passes(&f);
	}
	assert_nothing_dropped();
}

static void others_pass(void **state)
{
	struct frame f = WITH_TEXT(frame_to_us(false), "GET / HTTP/1.1\r\n"), syn = syn_of(&f);

	(void)state;
	NEED_BPF();
	listen_on(false, NULL, 0, 0); /* a listener with TLS, or for WebSocket */
	assert_passes(&syn);
	assert_passes(&f);
	assert_int_equal(counted().packets, 2);
	syn.destination_port = f.destination_port = PORT + 1;
	assert_passes(&syn);
	assert_passes(&f);
	assert_int_equal(counted().packets, 2);
	assert_nothing_dropped();
}

/* ---- the first bytes ------------------------------------------------------------------------------------------------ */

/* The segment goes on as a RST to where it was to go. */
static void assert_reset(const struct frame *f)
{
	uint64_t before = counted().dropped[SHUNT_GUARD_NOT_MQTT];
	size_t ip = frame_ip(f), at = frame_transport(f), len = frame_write(f, in);
	uint32_t ip_len;

	assert_int_equal(run_bytes(len), XDP_PASS);
	assert_int_equal(counted().dropped[SHUNT_GUARD_NOT_MQTT], before + 1);
	assert_int_equal(out_len, len);
	assert_memory_equal(in, out, ip + (f->ipv6 ? 4 : 2));
	assert_memory_equal(in + at, out + at, 12); /* ports, numbers */
	assert_int_equal(out[at + 12], 0x50);
	assert_int_equal(out[at + 13], FRAME_RST | FRAME_ACK);
	ip_len = f->ipv6 ? 40U + (out[ip + 4] << 8 | out[ip + 5]) : (uint32_t)(out[ip + 2] << 8 | out[ip + 3]);
	assert_int_equal(ip_len, at - ip + 20);
	assert_true(frame_checksums(out + ip, at - ip, ip_len));
}

static void garbage_is_reset(void **state)
{
	static const struct {
		const char *data;
		size_t len;
	} garbage[] = {
#define GARBAGE(text)             \
	{                         \
		text,             \
		sizeof(text) - 1, \
	}
		GARBAGE("GET / HTTP/1.1\r\n"),
		GARBAGE("\x16\3\1\2\0\1\0\1\xfc\3\3"), /* TLS */
		GARBAGE("PROXY TCP4 1.2.3.4"),
		GARBAGE("\0\0"),
		GARBAGE("\x11\x0c\0\4MQTT"),
		GARBAGE("\x30\x05\0\1ahi"),
		GARBAGE("\x10\x0b"),
		GARBAGE("\x10\x8b\0"),
		GARBAGE("\x10\xff\xff\xff\xff\1\0\4MQTT"),
		GARBAGE("\x10\x0c\1"),
		GARBAGE("\x10\x0c\0\5"),
		GARBAGE("\x10\x0c\0\4MQTX"),
		GARBAGE("\x10\x0c\0\4mqtt"),
		GARBAGE("\x10\x0f\0\6MQIsdx"),
		GARBAGE("\x10\x8c\0\0\4MQT\0"),
#undef GARBAGE
	};

	(void)state;
	NEED_BPF();
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct frame f = frame_to_us(ipv6), syn = syn_of(&f);

		for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
			struct frame bad = with_data(f, garbage[i].data, garbage[i].len);

			assert_passes(&syn);
			bad.vlans = i % 3;
			bad.ip_options = ipv6 ? 0 : i % 2 * 8;
			bad.extensions = ipv6 && i % 2 ? (const uint8_t[]){255, 60, 0} : NULL;
			bad.extension_len = 8;
			bad.tcp_options = i % 4 * 4;
			bad.padding = PADDING;
			assert_reset(&bad);
			assert_passes(&bad); /* sent again: the kernel tells the client */
		}
	}
}

/* ---- lists ---------------------------------------------------------------------------------------------------------- */

static void add_rule(const struct bpf_map *map, volatile uint32_t *entries, const struct frame *f, unsigned bits,
		     uint64_t until_ns)
{
	struct shunt_guard_prefix key = {.bits = bits};
	struct shunt_guard_rule rule = {.until_ns = until_ns};

	if (f->ipv6) {
		memcpy(key.address, f->source, 16);
	} else {
		key.bits += SHUNT_GUARD_MAPPED_BITS;
		key.address[10] = key.address[11] = 0xff;
		memcpy(key.address + 12, f->source, 4);
	}
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(map), &key, &rule, BPF_ANY), 0);
	*entries = 1;
}

static void lists(void **state)
{
	volatile struct shunt_guard_control *control = bpf ? &bpf->bss->control : NULL;

	(void)state;
	NEED_BPF();
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct frame f = frame_to_us(ipv6), syn = syn_of(&f), near = syn;

		near.source[ipv6 ? 15 : 3]++;
		add_rule(bpf->maps.banned, &control->banned, &f, ipv6 ? 128 : 32, 0);
		assert_dropped(&syn, SHUNT_GUARD_BANNED);
		assert_passes(&near);
		add_rule(bpf->maps.banned, &control->banned, &f, ipv6 ? 128 : 32, clock_ns() - 1);
		assert_passes(&syn); /* it is over */
		add_rule(bpf->maps.banned, &control->banned, &f, ipv6 ? 128 : 32, clock_ns() + 60 * NS_PER_S);
		assert_dropped(&syn, SHUNT_GUARD_BANNED);
		add_rule(bpf->maps.blocked, &control->blocked, &f, ipv6 ? 64 : 24, 0);
		assert_dropped(&syn, SHUNT_GUARD_BLOCKED);
		assert_dropped(&near, SHUNT_GUARD_BLOCKED);
		add_rule(bpf->maps.allowed, &control->allowed, &f, ipv6 ? 128 : 32, 0);
		assert_passes(&syn);
		assert_dropped(&near, SHUNT_GUARD_BLOCKED);
		near.destination_port++;
		assert_passes(&near); /* not ours */
	}
	assert_int_equal(counted().allowed, 2);
}

static void fragments(void **state)
{
	volatile struct shunt_guard_control *control = bpf ? &bpf->bss->control : NULL;

	(void)state;
	NEED_BPF();
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct frame f = WITH_TEXT(frame_to_us(ipv6), "GET / HTTP/1.1\r\n"), syn = syn_of(&f);

		assert_passes(&syn);
		f.fragment = true;
		assert_passes(&f); /* the first bytes of a connection, but not all of them */
		add_rule(bpf->maps.blocked, &control->blocked, &f, 8, 0);
		assert_dropped(&f, SHUNT_GUARD_BLOCKED);
		f.fragment_offset = 100;
		assert_passes(&f);
	}
}

/* ---- budgets -------------------------------------------------------------------------------------------------------- */

enum { BURST = 5 };

/* One in an hour, BURST at once. */
static void set_budget(volatile struct shunt_guard_budget *b)
{
	b->cost_ns = 3600 * NS_PER_S;
	b->depth_ns = BURST * b->cost_ns;
}

static void connection_budget(void **state)
{
	(void)state;
	NEED_BPF();
	set_budget(&bpf->bss->control.connections);
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct frame f = WITH_TEXT(frame_to_us(ipv6), "\x10\x0c\0\4MQTT\4\2\0\x3c\0\0"), syn = syn_of(&f),
			     other;

		for (unsigned i = 0; i < BURST; i++) {
			syn.source_port++;
			assert_passes(&syn);
			assert_passes(&syn); /* sent again: the same connection */
		}
		syn.source_port++;
		assert_dropped(&syn, SHUNT_GUARD_CONNECTIONS);
		assert_dropped(&syn, SHUNT_GUARD_CONNECTIONS);
		f.source_port++;
		assert_passes(&f); /* those that are there go on */
		other = syn;
		other.source[ipv6 ? 15 : 3]++;
		assert_passes(&other);
	}
	/* A proxy's clients are many. */
	listen_on(false, NULL, 0, 1);
	for (unsigned i = 0; i < 2 * BURST; i++) {
		struct frame f = frame_to_us(false), syn = syn_of(&f);

		syn.source_port += 1000 + i;
		assert_passes(&syn);
	}
}

static void packet_budget(void **state)
{
	(void)state;
	NEED_BPF();
	set_budget(&bpf->bss->control.packets);
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct frame f = WITH_TEXT(frame_to_us(ipv6), "any");

		for (unsigned i = 0; i < BURST; i++) {
			f.udp = i % 2;
			assert_passes(&f);
		}
		assert_dropped(&f, SHUNT_GUARD_PACKETS);
		f.source[ipv6 ? 15 : 3]++;
		assert_passes(&f);
	}
}

/* Addresses of one network have one budget. */
static void budget_of_network(void **state)
{
	struct frame f = WITH_TEXT(frame_to_us(true), "any");

	(void)state;
	NEED_BPF();
	set_budget(&bpf->bss->control.packets);
	bpf->bss->control.ipv6_bits = 60;
	for (unsigned i = 0; i < BURST; i++) {
		f.source[15]++;
		f.source[7] ^= 0xf;
		assert_passes(&f);
	}
	f.source[12] = 9;
	assert_dropped(&f, SHUNT_GUARD_PACKETS);
	f.source[7] ^= 0x10;
	assert_passes(&f);
}

/* Let the SYN that is held have come a second ago. */
static void make_older(const struct frame *f)
{
	struct shunt_guard_connection key = {.source_port = f->source_port, .destination_port = f->destination_port};
	struct shunt_guard_syn value;
	int fd = bpf_map__fd(bpf->maps.connections);

	key.source[10] = key.source[11] = key.destination[10] = key.destination[11] = 0xff;
	memcpy(key.source + 12, f->source, 4);
	memcpy(key.destination + 12, f->destination, 4);
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &value), 0);
	assert_int_equal(value.held, 1);
	value.ns -= NS_PER_S;
	assert_int_equal(bpf_map_update_elem(fd, &key, &value, BPF_ANY), 0);
}

/* From addresses without end. Who sends its SYN again is let in, and who was seen before at once. */
static void syn_flood(void **state)
{
	struct frame f = frame_to_us(false), syn = syn_of(&f), known = syn;
	uint8_t address[16] = {[10] = 0xff, [11] = 0xff};
	uint64_t now = clock_ns();

	(void)state;
	NEED_BPF();
	set_budget(&bpf->bss->control.syns);
	for (unsigned i = 0; i < BURST; i++) {
		syn.source[3]++;
		assert_passes(&syn);
	}
	for (unsigned i = 0; i < 20; i++) {
		syn.source[2]++;
		assert_dropped(&syn, SHUNT_GUARD_SYNS);
	}
	assert_dropped(&syn, SHUNT_GUARD_SYNS); /* so soon nobody means it */
	make_older(&syn);
	assert_passes(&syn);
	assert_passes(&syn);
	assert_int_equal(counted().retried, 1);
	memcpy(address + 12, known.source, 4);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(bpf->maps.proven), address, &now, BPF_ANY), 0);
	assert_passes(&known);
}

/* ---- the rest ------------------------------------------------------------------------------------------------------- */

static void malformed(void **state)
{
	static const unsigned flags[] = {FRAME_SYN | FRAME_FIN, FRAME_SYN | FRAME_RST,
					 FRAME_SYN | FRAME_FIN | FRAME_ACK, 0, FRAME_PSH};

	(void)state;
	NEED_BPF();
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		struct frame f = frame_to_us(i % 2);

		f.flags = flags[i];
		assert_dropped(&f, SHUNT_GUARD_MALFORMED);
	}
}

static void datagrams(void **state)
{
	struct shunt_guard_address tcp_only = {
		.address = {[10] = 0xff, [11] = 0xff}, .port = PORT, .protocol = IPPROTO_UDP};
	static const uint8_t data[1000];

	(void)state;
	NEED_BPF();
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct frame f = with_data(frame_to_us(ipv6), data, sizeof(data));

		f.udp = true;
		assert_passes(&f);
		bpf->bss->control.udp_size = sizeof(data);
		assert_passes(&f);
		bpf->bss->control.udp_size--;
		assert_dropped(&f, SHUNT_GUARD_OVERSIZED);
		if (ipv6)
			continue;
		assert_int_equal(bpf_map_delete_elem(bpf_map__fd(bpf->maps.listeners), &tcp_only), 0);
		assert_passes(&f); /* there may be another program that listens there */
		bpf->bss->control.udp_size = 0;
	}
}

/* Only on its address. */
static void addresses(void **state)
{
	(void)state;
	NEED_BPF();
	clear(bpf->maps.listeners, sizeof(struct shunt_guard_address));
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct frame f = frame_to_us(ipv6);

		f.flags = FRAME_SYN | FRAME_FIN;
		assert_passes(&f);
		listen_on(ipv6, f.destination, 1, 0);
		assert_dropped(&f, SHUNT_GUARD_MALFORMED);
		f.destination[3]++;
		assert_passes(&f);
	}
}

/* Whatever is cut off passes. */
static void short_frames(void **state)
{
	static const uint8_t extensions[] = {255, 44, 60, 0};

	(void)state;
	NEED_BPF();
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct frame f = WITH_TEXT(frame_to_us(ipv6), "GET / HTTP/1.1\r\n"), syn = syn_of(&f);

		f.vlans = 2;
		f.extensions = extensions;
		f.extension_len = 8;
		assert_passes(&syn);
		for (size_t len = 14; len < frame_transport(&f) + 20; len++) {
			frame_write(&f, in);
			assert_int_equal(run_bytes(len), XDP_PASS);
			assert_memory_equal(in, out, len);
		}
	}
	assert_nothing_dropped();
}

/* Changed at random: what comes out is a verdict, of the frame's length. */
static void random_frames(void **state)
{
	static const uint8_t extensions[] = {255, 60, 44, 43, 0};
	uint64_t rng = 88172645463325252ULL;

	(void)state;
	NEED_BPF();
	set_budget(&bpf->bss->control.syns);
	for (unsigned i = 0; i < RANDOM_FRAMES; i++) {
		struct frame f = WITH_TEXT(frame_to_us(i % 2), "\x10\x0c\0\4MQTT\4\2\0\x3c\0\0");
		size_t len;
		int verdict;

		f.vlans = i % 3;
		f.extensions = i % 4 == 3 ? extensions : NULL;
		f.extension_len = 8;
		f.flags = i % 5 ? f.flags : FRAME_SYN;
		len = frame_write(&f, in);
		for (unsigned k = 0; k < 1 + i % 3; k++) {
			rng ^= rng << 13;
			rng ^= rng >> 7;
			rng ^= rng << 17;
			in[12 + (rng >> 8) % (len - 12)] = (uint8_t)rng;
		}
		verdict = run_bytes(len - rng % 3);
		assert_true(verdict == XDP_PASS || verdict == XDP_DROP);
		assert_int_equal(out_len, len - rng % 3);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(connects_pass),	 TEST(options_pass),	  TEST(rest_of_stream_passes),
		TEST(others_pass),	 TEST(garbage_is_reset),  TEST(lists),
		TEST(fragments),	 TEST(connection_budget), TEST(packet_budget),
		TEST(budget_of_network), TEST(syn_flood),	  TEST(malformed),
		TEST(datagrams),	 TEST(addresses),	  TEST(short_frames),
		TEST(random_frames),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, load, unload);
}
