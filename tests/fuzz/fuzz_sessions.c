// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Sessions: four clients do what the input says to a broker of its own, beside a pair of others. What comes of it:
 *	- nobody is sent anything but packets of its version;
 *	- who has gone leaves no connection, and all no memory;
 *	- the pair gets what is its own, and nothing else.
 *
 * The first byte says how many workers there are. Then one step follows the other, each a byte (three bits for the client,
 * five for what it does) and its arguments; packets are made of tables, so that few bits make good ones, and can be made
 * bad by the step before them.
 */
#include <wire.h>

#include "mqtt/encode.h"
#include "sessions.h"

enum {
	CLIENTS = 4,
	STEPS_MAX = 60,
	BUFFER = 8192,
	PATIENCE_MS = 20000,
};

struct client {
	int fd;		 /* -1: not connected */
	uint8_t version; /* 0: not known, what it said was not all ours */
	bool connected;	 /* it had the CONNACK */
	bool deaf;	 /* does not read */
	bool obliging;	 /* acknowledges all it gets */
	uint16_t pid;	 /* of what it sends */
	uint8_t in[BUFFER];
	size_t in_len;
};

struct input {
	const uint8_t *at, *end;
};

/* How the next packet is spoilt. */
struct spoilt {
	bool any;
	uint8_t where, value, cut;
};

static struct client clients[CLIENTS];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t byte(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

/* ---- sending ------------------------------------------------------------------------------------------------------ */

static void send_bytes(struct client *c, const uint8_t *data, size_t len)
{
	if (c->fd >= 0 && len)
		(void)!send(c->fd, data, len, MSG_NOSIGNAL);
}

static void send_packet(struct client *c, uint8_t *packet, size_t len, struct spoilt *s)
{
	if (s->any && len) {
		packet[s->where % len] ^= s->value;
		if (s->cut)
			len -= s->cut % len;
		c->version = 0;
		s->any = false;
	}
	send_bytes(c, packet, len);
}

static void close_client(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	memset(c, 0, sizeof(*c));
	c->fd = -1;
}

/* ---- receiving ---------------------------------------------------------------------------------------------------- */

static void acknowledge(struct client *c, const struct mqtt_packet *p)
{
	static const uint8_t answers[16] = {[MQTT_PUBREC] = MQTT_PUBREL, [MQTT_PUBREL] = MQTT_PUBCOMP};
	uint8_t buf[MQTT_SHORT_MAX];
	uint8_t type = answers[p->type];

	if (p->type == MQTT_PUBLISH && p->publish.qos)
		type = p->publish.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC;
	if (type && !(p->type == MQTT_PUBREC && p->reason >= 0x80))
		send_bytes(c, buf, mqtt_encode_ack(buf, sizeof(buf), c->version, type, p->pid, 0));
}

static void take_packet(struct client *c, const uint8_t *packet, __u32 header_len, size_t len)
{
	struct mqtt_packet p;

	if (!c->version)
		return;
	/* Who is refused may be told in the words of another version. */
	if (!c->connected && packet[0] >> 4 == MQTT_CONNACK && packet[header_len + 1])
		return;
	must(!mqtt_decode_from_server(c->version, packet[0], packet + header_len, len - header_len, &p));
	must(c->connected || p.type == MQTT_CONNACK);
	must(!c->connected || p.type != MQTT_CONNACK);
	c->connected = true;
	if (c->obliging)
		acknowledge(c, &p);
}

static void take_packets(struct client *c)
{
	size_t at = 0;

	for (;;) {
		uint8_t header[WIRE_HEADER_MAX] = {0};
		size_t left = c->in_len - at;
		__u32 header_len;
		__s32 n;

		memcpy(header, c->in + at, left < sizeof(header) ? left : sizeof(header));
		n = wire_header(header, left < sizeof(header) ? (__u32)left : sizeof(header), &header_len);
		must(n != WIRE_BAD && n <= BUFFER);
		if (n <= 0 || (size_t)n > left)
			break;
		take_packet(c, c->in + at, header_len, (size_t)n);
		at += (size_t)n;
	}
	memmove(c->in, c->in + at, c->in_len -= at);
}

/* What is there. */
static void receive(struct client *c)
{
	ssize_t n;

	while (c->fd >= 0 && !c->deaf && (n = recv(c->fd, c->in + c->in_len, BUFFER - c->in_len, MSG_DONTWAIT)) >= 0) {
		if (n == 0) {
			close_client(c);
			return;
		}
		c->in_len += (size_t)n;
		take_packets(c);
	}
	if (c->fd >= 0 && !c->deaf && errno == ECONNRESET)
		close_client(c);
}

static void settle(void)
{
	world_settle();
	for (int i = 0; i < CLIENTS; i++)
		receive(&clients[i]);
}

/* ---- packets of tables -------------------------------------------------------------------------------------------- */

static const char *const topics[] = {
	"a",   "a/b",	   "a/b/c", "/",   "b",	    "$x/a", "$SYS/broker/uptime", "a//", "", "a/b/c/d/e/f/g/h/i",
	"b/b", "\xc3\xa4", "a/#",   "b/+", "a/b/d", "c"};
static const char *const filters[] = {
	"#",	  "+",		"a",	      "a/b",	      "a/+",	  "a/#",       "+/+/+", "/",
	"$SYS/#", "$share/g/a", "$share/g/#", "$share/h/a/b", "$share/g", "$share//a", "b",	"+/b",
};
static const char *const ids[] = {"one", "two", "three", "", "one"};

static struct mqtt_str text(const char *s)
{
	return (struct mqtt_str){.data = (const uint8_t *)s, .len = (uint32_t)strlen(s)};
}

/* Properties as they are written, with their length. */
struct props {
	uint8_t raw[64];
	size_t len;
};

static void add(struct props *p, uint8_t id, uint32_t value, int size)
{
	p->raw[p->len++] = id;
	while (size--)
		p->raw[p->len++] = (uint8_t)(value >> 8 * size);
}

/* Body and properties together, with the fixed header. */
static size_t pack(uint8_t *buf, uint8_t first, const uint8_t *body, size_t len)
{
	size_t at = 0;

	buf[at++] = first;
	for (size_t left = len; at == 1 || left; left >>= 7)
		buf[at++] = (uint8_t)(left & 127) | (left > 127 ? 128 : 0);
	memcpy(buf + at, body, len);
	return at + len;
}

static void put(uint8_t *body, size_t *n, const void *data, size_t len)
{
	memcpy(body + *n, data, len);
	*n += len;
}

static void put_string(uint8_t *body, size_t *n, struct mqtt_str s)
{
	uint8_t len[2] = {(uint8_t)(s.len >> 8), (uint8_t)s.len};

	put(body, n, len, sizeof(len));
	put(body, n, s.data, s.len);
}

static void put_props(const struct client *c, uint8_t *body, size_t *n, const struct props *p)
{
	uint8_t len = (uint8_t)p->len;

	if (c->version != MQTT_5_0)
		return;
	put(body, n, &len, 1);
	put(body, n, p->raw, p->len);
}

static void connect_step(struct client *c, struct input *in, struct spoilt *s)
{
	uint8_t what = byte(in), more = byte(in), limits = byte(in), body[512], packet[600];
	struct props props = {0}, will = {0};
	uint8_t flags = (what & 1 ? 2 : 0) | (what & 2 ? 4 | (more & 0x38) : 0), keep[2] = {0, more & 7};
	size_t n = 0;

	if (!(what & 0x80) || c->fd < 0) { /* else it is a second one */
		close_client(c);
		c->fd = world_connect();
		c->version = (uint8_t)(3 + (what >> 2 & 3) % 3);
		c->obliging = what & 0x40;
	}
	if ((flags & 0x18) == 0x18)
		flags &= (uint8_t)~0x10;
	put_string(body, &n, text(c->version == MQTT_3_1 ? "MQIsdp" : "MQTT"));
	put(body, &n, (uint8_t[]){c->version ? c->version : 4, flags}, 2);
	put(body, &n, keep, 2);
	if (limits & 1)
		add(&props, 0x11, limits & 2 ? 0xffffffff : 10, 4); /* Session Expiry Interval */
	if (limits & 4)
		add(&props, 0x21, 1 + (limits >> 6), 2); /* Receive Maximum */
	if (limits & 8)
		add(&props, 0x22, 2, 2); /* Topic Alias Maximum */
	if (limits & 16)
		add(&props, 0x27, 40 + limits, 4); /* Maximum Packet Size */
	if (limits & 32)
		add(&props, 0x17, 0, 1); /* Request Problem Information */
	put_props(c, body, &n, &props);
	put_string(body, &n, text(ids[(what >> 4 & 3) + (more >> 7)]));
	if (flags & 4) {
		if (more & 0x40)
			add(&will, 0x18, 3, 4); /* Will Delay Interval */
		put_props(c, body, &n, &will);
		put_string(body, &n, text(topics[limits & 15]));
		put_string(body, &n, text("will"));
	}
	send_packet(c, packet, pack(packet, 0x10, body, n), s);
}

static void publish_step(struct client *c, struct input *in, struct spoilt *s)
{
	uint8_t what = byte(in), more = byte(in), body[1200], packet[1300];
	uint8_t qos = (what >> 1 & 3) % 3;
	struct props props = {0};
	size_t n = 0;

	put_string(body, &n, text(topics[what >> 4]));
	if (qos) {
		uint16_t pid = more & 1 ? 1 + (more >> 1 & 3) : ++c->pid;

		put(body, &n, (uint8_t[]){(uint8_t)(pid >> 8), (uint8_t)pid}, 2);
	}
	if (more & 8)
		add(&props, 0x23, more >> 6, 2); /* Topic Alias */
	if (more & 16)
		add(&props, 0x02, 2, 4); /* Message Expiry Interval */
	put_props(c, body, &n, &props);
	memset(body + n, 'x', more & 32 ? 1000 : 3);
	n += more & 32 ? 1000 : 3;
	if (more == 0xff)
		n -= 3; /* empty: what is retained goes */
	send_packet(c, packet,
		    pack(packet, (uint8_t)(0x30 | qos << 1 | (what & 1) | (what & 8 && qos ? 8 : 0)), body, n), s);
}

static void filters_step(struct client *c, struct input *in, struct spoilt *s, bool subscribe)
{
	uint8_t what = byte(in), body[512], packet[600];
	struct props props = {0};
	size_t n = 0;

	c->pid++;
	put(body, &n, (uint8_t[]){(uint8_t)(c->pid >> 8), (uint8_t)c->pid}, 2);
	if (subscribe && what & 0x40)
		add(&props, 0x0b, 1 + (what & 3), 1); /* Subscription Identifier */
	put_props(c, body, &n, &props);
	for (int i = 0; i <= (what >> 4 & 3); i++) {
		uint8_t one = byte(in);

		put_string(body, &n, text(filters[one & 15]));
		if (subscribe)
			put(body, &n,
			    (uint8_t[]){c->version == MQTT_5_0 ? (uint8_t)((what & 15) << 2 & 0x2c) | (one >> 4) % 3
							       : (uint8_t)((one >> 4) % 3)},
			    1);
	}
	send_packet(c, packet, pack(packet, subscribe ? 0x82 : 0xa2, body, n), s);
}

static void ack_step(struct client *c, struct input *in, struct spoilt *s)
{
	uint8_t what = byte(in), packet[8];
	uint8_t type = (uint8_t)(MQTT_PUBACK + (what & 3));
	uint8_t body[3] = {0, (uint8_t)(1 + (what >> 2 & 7)), what & 0x40 ? 0x80 : 0x10};

	if (type >= MQTT_PUBREL)
		body[2] = 0x92;
	send_packet(c, packet,
		    pack(packet, (uint8_t)(type << 4 | (type == MQTT_PUBREL ? 2 : 0)), body,
			 what & 0x80 && c->version == MQTT_5_0 ? 3 : 2),
		    s);
}

/* ---- the steps ---------------------------------------------------------------------------------------------------- */

static void raw_step(struct client *c, struct input *in)
{
	size_t len = byte(in), left = (size_t)(in->end - in->at);

	if (c->fd < 0) {
		close_client(c);
		c->fd = world_connect();
	}
	if (len > left)
		len = left;
	c->version = 0;
	send_bytes(c, in->at, len);
	in->at += len;
}

static void step(struct input *in, struct spoilt *s)
{
	uint8_t what = byte(in);
	struct client *c = &clients[what & 3];
	uint8_t packet[8];

	switch (what >> 2 & 15) {
	case 0:
		connect_step(c, in, s);
		break;
	case 1:
	case 2:
		publish_step(c, in, s);
		break;
	case 3:
		filters_step(c, in, s, true);
		break;
	case 4:
		filters_step(c, in, s, false);
		break;
	case 5:
		ack_step(c, in, s);
		break;
	case 6:
		raw_step(c, in);
		break;
	case 7:
		*s = (struct spoilt){true, byte(in), byte(in), byte(in)};
		return;
	case 8:
		close_client(c);
		break;
	case 9:
		if (c->fd >= 0)
			shutdown(c->fd, SHUT_WR);
		break;
	case 10:
		c->deaf = !c->deaf;
		break;
	case 11:
		c->obliging = !c->obliging;
		break;
	case 12:
		world_later(byte(in));
		break;
	case 13:
		send_packet(c, packet, mqtt_encode_pingreq(packet, sizeof(packet)), s);
		break;
	case 14:
		send_packet(c, packet, mqtt_encode_disconnect(packet, sizeof(packet), c->version, what & 0x40 ? 4 : 0),
			    s);
		break;
	case 15:
		return; /* the next one at once */
	}
	if (!(what & 0x80))
		settle();
}

/* ---- the pair ----------------------------------------------------------------------------------------------------- */

/* Whole packets of this many bytes in all. */
static void expect(int fd, const void *bytes, size_t len)
{
	uint8_t got[256] = {0};
	size_t n = 0;

	must(len <= sizeof(got));
	while (n < len) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t r;
		int ready;

		while ((ready = poll(&p, 1, PATIENCE_MS)) < 0 && errno == EINTR) /* libFuzzer's clock */
			;
		must(ready == 1);
		r = recv(fd, got + n, len - n, 0);
		must(r > 0);
		n += (size_t)r;
	}
	must(!memcmp(got, bytes, len));
}

#define SAY(fd, s) must(send(fd, s, sizeof(s) - 1, 0) == sizeof(s) - 1)
#define EXPECT(fd, s) expect(fd, s, sizeof(s) - 1)

/* Identifiers and topic are ones that no input has by chance. */
#define PAIR_TOPIC "\0\x09zq9wkjx5_"

static void pair_begin(int pair[2])
{
	pair[0] = world_connect();
	pair[1] = world_connect();
	SAY(pair[0], "\x10\x15\0\x04MQTT\x04\x02\0\0\0\x09zq9wkjx50\x82\x0e\0\x01" PAIR_TOPIC "\2");
	EXPECT(pair[0], "\x20\x02\0\0\x90\x03\0\x01\x02");
	SAY(pair[1], "\x10\x15\0\x04MQTT\x04\x02\0\0\0\x09zq9wkjx51");
	EXPECT(pair[1], "\x20\x02\0\0");
}

static void pair_exchange(const int pair[2])
{
	SAY(pair[1], "\x30\x0c" PAIR_TOPIC "0");
	EXPECT(pair[0], "\x30\x0c" PAIR_TOPIC "0");
	SAY(pair[1], "\x34\x0e" PAIR_TOPIC "\0\x01"
		     "2");
	EXPECT(pair[1], "\x50\x02\0\x01");
	SAY(pair[1], "\x62\x02\0\x01");
	EXPECT(pair[1], "\x70\x02\0\x01");
	EXPECT(pair[0], "\x34\x0e" PAIR_TOPIC "\0\x01"
			"2");
	SAY(pair[0], "\x50\x02\0\x01");
	EXPECT(pair[0], "\x62\x02\0\x01");
	SAY(pair[0], "\x70\x02\0\x01");
}

/* Of all connections only the pair's are left. */
static void check_gone(void)
{
	struct broker_stats stats;

	for (int i = 0; i < CLIENTS; i++)
		close_client(&clients[i]);
	world_settle();
	broker_stats(&stats);
	must(stats.sum.sockets == 2 && stats.sum.clients_connected == 2);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	world_make();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	struct spoilt spoilt = {0};
	int pair[2];

	if (size < 3)
		return 0;
	for (int i = 0; i < CLIENTS; i++)
		clients[i].fd = -1;
	world_begin(1 + (byte(&in) & 1));
	pair_begin(pair);
	for (int i = 0; i < STEPS_MAX && in.at < in.end; i++)
		step(&in, &spoilt);
	settle();
	check_gone();
	pair_exchange(pair);
	close(pair[0]);
	close(pair[1]);
	world_end();
	return 0;
}
