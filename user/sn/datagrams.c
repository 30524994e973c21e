// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Datagrams as such: receiving and sending them, with the address of ours that they are sent to or from. */
#include <errno.h>
#include <sys/socket.h>

#include "broker/memory.h"
#include "net/address.h"
#include "sn/internal.h"

/* Room for what goes with a datagram. */
union packet_info {
	struct cmsghdr align;
	uint8_t room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static socklen_t size_of(const struct sn_address *a)
{
	return a->at.sa.sa_family == AF_INET6 ? sizeof(a->at.in6) : sizeof(a->at.in);
}

/* Have a datagram sent from the address that its receiver speaks to. */
static void set_source(struct msghdr *m, const struct sn_address *to)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	if (to->at.sa.sa_family == AF_INET && to->to.in.s_addr) {
		const struct in_pktinfo info = {.ipi_spec_dst = to->to.in};

		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		m->msg_controllen = CMSG_SPACE(sizeof(info));
	} else if (to->at.sa.sa_family == AF_INET6 && !IN6_IS_ADDR_UNSPECIFIED(&to->to.in6)) {
		const struct in6_pktinfo info = {.ipi6_addr = to->to.in6, .ipi6_ifindex = to->at.in6.sin6_scope_id};

		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		m->msg_controllen = CMSG_SPACE(sizeof(info));
	} else {
		m->msg_control = NULL;
		m->msg_controllen = 0;
	}
}

int sn_send(const struct sn_gateway *g, const struct sn_address *to, const uint8_t *packet, size_t len)
{
	uint8_t envelope[SN_ENVELOPE_MAX];
	union packet_info info = {0};
	struct iovec iov[2] = {{envelope, sn_wrap(&to->envelope, envelope)}, {(void *)packet, len}};
	struct msghdr m = {.msg_name = (void *)&to->at,
			   .msg_namelen = size_of(to),
			   .msg_iov = iov,
			   .msg_iovlen = 2,
			   .msg_control = &info,
			   .msg_controllen = sizeof(info)};
	ssize_t n;

	set_source(&m, to);
	do
		n = sendmsg(g->watch.fd, &m, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == ENOBUFS ? -EAGAIN : 0;
	return 0;
}

void sn_answer(const struct sn_gateway *g, const struct sn_address *to, const struct sn_packet *p)
{
	uint8_t buf[SN_HEADER_MAX + SN_FIXED_MAX];
	size_t len = sn_encode(p, buf, sizeof(buf));

	(void)sn_send(g, to, buf, len);
}

/* ---- receiving --------------------------------------------------------------------------------------------------- */

/* Which of our addresses a datagram was sent to; one that was sent to many is answered from any. */
static void take_target(struct msghdr *m, struct sn_address *from)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			from->to.in = info.ipi_spec_dst;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			if (!IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
				from->to.in6 = info.ipi6_addr;
		}
	}
}

bool sn_receive(struct sn_gateway *g)
{
	struct sn_address from[SN_BATCH];
	struct iovec iov[SN_BATCH];
	struct mmsghdr m[SN_BATCH];
	union packet_info info[SN_BATCH];
	int n;

	memset(m, 0, sizeof(m));
	memset(from, 0, sizeof(from));
	for (size_t i = 0; i < SN_BATCH; i++) {
		iov[i] = (struct iovec){g->buffers + i * SN_SIZE_MAX, SN_SIZE_MAX};
		m[i].msg_hdr = (struct msghdr){.msg_name = &from[i].at,
					       .msg_namelen = sizeof(from[i].at),
					       .msg_iov = &iov[i],
					       .msg_iovlen = 1,
					       .msg_control = &info[i],
					       .msg_controllen = sizeof(info[i])};
	}
	n = recvmmsg(g->watch.fd, m, SN_BATCH, MSG_DONTWAIT, NULL);
	memory_look(g->broker);
	for (int i = 0; i < n; i++) {
		take_target(&m[i].msg_hdr, &from[i]);
		sn_take(g, &from[i], iov[i].iov_base, m[i].msg_len);
	}
	return n == SN_BATCH;
}
