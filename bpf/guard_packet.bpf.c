// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Part of guard.bpf.c. From the frame to the transport's header; and a TCP segment made a RST. */

enum {
	VLANS_MAX = 2,
	EXTENSIONS_MAX = 8,	   /* headers behind that of IPv6, */
	EXTENSIONS_LEN_MAX = 8192, /* and bytes of them */
	/* What is behind: of Ethernet, */
	TYPE_IPV4 = 0x0800,
	TYPE_IPV6 = 0x86dd,
	TYPE_VLAN = 0x8100,
	TYPE_OUTER_VLAN = 0x88a8,
	/* of IPv6, beside those that IPv4 has, too. */
	NEXT_HOP_BY_HOP = 0,
	NEXT_ROUTING = 43,
	NEXT_FRAGMENT = 44,
	NEXT_DESTINATION = 60,
	FRAGMENT_OFFSET = 0x1fff, /* of the field in IPv4 */
	MORE_FRAGMENTS = 0x2000,
	FRAGMENT6_OFFSET = 0xfff8, /* and in the extension header */
	MORE_FRAGMENTS6 = 1,
};

/* Headers as they are on the wire. Not those of vmlinux.h, whose fields the loader moves to where the running kernel has
 * them: of bit fields in TCP's it finds none in 6.1. */
struct ethernet {
	__u8 addresses[12];
	__be16 type;
};

struct vlan {
	__be16 tag, type;
};

struct ipv4 {
	__u8 version_len, service;
	__be16 len, id, fragment;
	__u8 ttl, protocol;
	__sum16 check;
	__be32 source, destination;
};

struct ipv6 {
	__be32 version_class_label;
	__be16 len;
	__u8 next, hops;
	__u8 source[16], destination[16];
};

struct udp {
	__be16 source, destination, len;
	__sum16 check;
};

struct tcp {
	__be16 source, destination;
	__be32 sequence, acknowledged;
	__u8 len; /* in 4 bytes, in the upper half */
	__u8 flags;
	__be16 window;
	__sum16 check;
	__be16 urgent;
};

enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

/* What the guard knows of a packet. */
struct packet {
	void *end;
	void *ip;
	void *transport; /* its header, of which min_header() bytes are there */
	__u32 len;	 /* bytes of the transport's header and data, as IP has it: a short frame has padding behind */
	__u8 ipv6;
	__u8 protocol;
	__u8 first_fragment; /* of several */
	struct shunt_guard_connection tuple;
};

static __always_inline __u32 min_header(__u8 protocol)
{
	return protocol == IPPROTO_TCP ? sizeof(struct tcp) : sizeof(struct udp);
}

/* The type of what is behind the Ethernet header and up to two tags; *at is where it is. 0: too short. */
static __always_inline __u16 read_frame(struct packet *p, void **at)
{
	struct ethernet *eth = *at;
	__u16 type;

	if ((void *)(eth + 1) > p->end)
		return 0;
	type = bpf_ntohs(eth->type);
	*at = eth + 1;
	for (int i = 0; i < VLANS_MAX; i++) {
		struct vlan *tag = *at;

		if (type != TYPE_VLAN && type != TYPE_OUTER_VLAN)
			break;
		if ((void *)(tag + 1) > p->end)
			return 0;
		type = bpf_ntohs(tag->type);
		*at = tag + 1;
	}
	return type;
}

static __always_inline void map_ipv4(__u8 to[16], __be32 address)
{
	__u32 words[4] = {0, 0, bpf_htonl(0xffff), address};

	__builtin_memcpy(to, words, sizeof(words));
}

/* False, here and below: it cannot be told what this is. */
static __always_inline bool read_ipv4(struct packet *p, void *at)
{
	struct ipv4 *ip = at;
	__u32 header, total, fragment;

	if ((void *)(ip + 1) > p->end || ip->version_len < 0x45 || ip->version_len > 0x4f)
		return false;
	header = (ip->version_len & 0xf) * 4;
	total = bpf_ntohs(ip->len);
	fragment = bpf_ntohs(ip->fragment);
	if (total < header || fragment & FRAGMENT_OFFSET)
		return false;
	p->first_fragment = !!(fragment & MORE_FRAGMENTS);
	p->ip = ip;
	p->protocol = ip->protocol;
	p->len = total - header;
	p->transport = at + header;
	map_ipv4(p->tuple.source, ip->source);
	map_ipv4(p->tuple.destination, ip->destination);
	return true;
}

/* The headers between that of IPv6 and the transport's. */
struct extensions {
	struct xdp_md *ctx;
	__u32 start;
	__u32 len;  /* of those seen, bytes */
	__u32 next; /* type of what is behind them */
	__u32 first_fragment;
	__u32 unknown; /* they cannot be told */
};

static long next_extension(__u32 i, void *arg)
{
	struct extensions *e = arg;
	__u8 header[4];
	__u32 fragment;

	if (e->next == IPPROTO_TCP || e->next == IPPROTO_UDP)
		return 1;
	e->unknown = 1;
	if (bpf_xdp_load_bytes(e->ctx, e->start + e->len, header, sizeof(header)))
		return 1;
	if (e->next == NEXT_HOP_BY_HOP || e->next == NEXT_ROUTING || e->next == NEXT_DESTINATION) {
		e->len += (header[1] + 1) * 8;
	} else if (e->next == IPPROTO_AH) {
		e->len += (header[1] + 2) * 4;
	} else if (e->next == NEXT_FRAGMENT) {
		fragment = header[2] << 8 | header[3];
		if (fragment & FRAGMENT6_OFFSET)
			return 1;
		e->first_fragment = fragment & MORE_FRAGMENTS6;
		e->len += 8;
	} else {
		return 1;
	}
	e->next = header[0];
	e->unknown = 0;
	return 0;
}

static __always_inline bool read_ipv6(struct xdp_md *ctx, struct packet *p, void *at)
{
	struct extensions e = {.ctx = ctx, .start = at + sizeof(struct ipv6) - (void *)(long)ctx->data};
	struct ipv6 *ip = at;
	__u32 total;
	__u64 len;

	if ((void *)(ip + 1) > p->end || bpf_ntohl(ip->version_class_label) >> 28 != 6)
		return false;
	e.next = ip->next;
	total = bpf_ntohs(ip->len); /* 0 of a jumbogram, which then is too short below */
	if (e.next != IPPROTO_TCP && e.next != IPPROTO_UDP) {
		bpf_loop(EXTENSIONS_MAX, next_extension, &e, 0);
		if (e.unknown)
			return false;
	}
	len = e.len;
	barrier_var(len); /* the verifier is to see the bounds on what is added */
	if (len > EXTENSIONS_LEN_MAX || total < len)
		return false;
	p->ip = ip;
	p->ipv6 = 1;
	p->first_fragment = e.first_fragment;
	p->protocol = e.next;
	p->len = total - len;
	p->transport = (void *)(ip + 1) + len;
	__builtin_memcpy(p->tuple.source, ip->source, sizeof(p->tuple.source));
	__builtin_memcpy(p->tuple.destination, ip->destination, sizeof(p->tuple.destination));
	return true;
}

/* Whatever is not TCP or UDP in one or two of these headers, or not all there, is none of the guard's business. */
static __always_inline bool read_packet(struct xdp_md *ctx, struct packet *p)
{
	void *at = (void *)(long)ctx->data;
	struct udp *ports; /* TCP has them at the same place */
	__u16 type;
	bool known;

	p->end = (void *)(long)ctx->data_end;
	type = read_frame(p, &at);
	known = type == TYPE_IPV4 ? read_ipv4(p, at) : type == TYPE_IPV6 ? read_ipv6(ctx, p, at) : false;
	if (!known || (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP) || p->len < min_header(p->protocol))
		return false;
	ports = p->transport;
	if (p->transport + min_header(p->protocol) > p->end)
		return false;
	p->tuple.source_port = bpf_ntohs(ports->source);
	p->tuple.destination_port = bpf_ntohs(ports->destination);
	return true;
}

/* ---- the way to end a connection --------------------------------------------------------------------------------- */

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16) ~((sum & 0xffff) + (sum >> 16));
}

static __always_inline void shorten_ipv4(struct packet *p, __u32 data)
{
	struct ipv4 *ip = p->ip;
	__be16 len = bpf_htons(bpf_ntohs(ip->len) - data);
	__u64 sum = (__u16)~ip->check;

	sum += (__u16)~ip->len;
	sum += len;
	ip->len = len;
	ip->check = fold(sum);
}

/* The checksum of a TCP header without data. The pseudo header of IPv6 does for both: what is in front of a mapped IPv4
 * address is 0xffff, which in one's complement is nothing. */
static __always_inline __u16 checksum(struct packet *p, struct tcp *header)
{
	__u32 words[10];

	__builtin_memcpy(words, p->tuple.source, 16);
	__builtin_memcpy(words + 4, p->tuple.destination, 16);
	words[8] = bpf_htonl(sizeof(*header));
	words[9] = bpf_htonl(IPPROTO_TCP);
	return fold(bpf_csum_diff(NULL, 0, (__be32 *)header, sizeof(*header),
				  bpf_csum_diff(NULL, 0, words, sizeof(words), 0)));
}

/* Make the segment a RST with the same sequence number, which the kernel takes when that is the one it waits for. What
 * is behind the length that IP tells it cuts off itself. */
static __always_inline void make_reset(struct packet *p)
{
	struct tcp *tcp = p->transport, header;

	if (p->transport + sizeof(*tcp) > p->end)
		return;
	if (p->ipv6)
		((struct ipv6 *)p->ip)->len = bpf_htons(bpf_ntohs(((struct ipv6 *)p->ip)->len) -
							(p->len - sizeof(*tcp)));
	else
		shorten_ipv4(p, p->len - sizeof(*tcp));
	header = (struct tcp){
		.source = tcp->source,
		.destination = tcp->destination,
		.sequence = tcp->sequence,
		.acknowledged = tcp->acknowledged,
		.len = sizeof(header) / 4 << 4,
		.flags = TCP_RST | (tcp->flags & TCP_ACK),
	};
	header.check = checksum(p, &header);
	__builtin_memcpy(tcp, &header, sizeof(header));
}
