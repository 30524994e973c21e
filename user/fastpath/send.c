// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The daemon's output. Three ways: plain TCP; to a local client, send() on a socket whose sk_msg program puts the message
 * into the client's receive queue; to a remote client that may receive by flows, the injector.
 *
 * The last two share the client's queue with the kernel's redirects, so they carry whole packets at a time. A packet that
 * is too large for that goes in pieces after the flows to its receiver were stopped and proven drained: a grace period
 * ends every program that may have decided before, and then a redirect that is still on its way on the local road holds a
 * reference to the client's socket, which can be seen. On the remote road what was decided is in the queue by then, and
 * the queue keeps its order.
 */
#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "fastpath/internal.h"

enum {
	PIECE_IOV = 64,
	TCP_ESTABLISHED_STATE = 1, /* TCP_ESTABLISHED of the kernel; its header does not go with linux/tcp.h */
};

static size_t total_len(const struct iovec *iov, int iovcnt)
{
	size_t total = 0;

	for (int i = 0; i < iovcnt; i++)
		total += iov[i].iov_len;
	return total;
}

static ssize_t send_tcp(int fd, const struct iovec *iov, int iovcnt)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)iovcnt};
	ssize_t n;

	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* A message on the local road is taken whole; -EAGAIN and -ENOMEM speak of memory, and no event will tell when there is
 * some again. A part taken means that the rest is lost: nothing can be sent behind it. */
static ssize_t send_local(struct fp_link *link, int fd, const struct iovec *iov, int iovcnt, size_t total)
{
	struct shunt_slot *slot = fp_slot(link->slot);
	uint32_t queued = __atomic_load_n(&slot->queued, __ATOMIC_RELAXED), in_use;
	ssize_t n;

	if (queued >= FP_LOCAL_DAEMON_CAP) {
		if (!fp_look(link->isn_pair, &queued, &in_use)) {
			__atomic_store_n(&slot->queued, queued,
					 __ATOMIC_RELAXED); /* a hint; the kernel writes it, too */
			if (queued >= FP_LOCAL_DAEMON_CAP)
				return -EBUSY;
		}
	}
	n = send_tcp(fd, iov, iovcnt);
	if (n == -EAGAIN || n == -ENOMEM)
		return -EBUSY;
	return n >= 0 && (size_t)n != total ? -EIO : n;
}

/* Bytes that TCP has been given to send to the client, but for a constant, and whether it is established. 0 or -errno. What
 * was acknowledged, and then what was not: when some is acknowledged in between it looks like less. (Not what was sent: a
 * segment that is dropped in this host, by a full queue of a device, counts there each time that it is sent again.) */
static int tcp_has(int fd, uint64_t *bytes, bool *up)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	int outstanding = 0;

	*bytes = 0;
	*up = false;
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) || ioctl(fd, SIOCOUTQ, &outstanding))
		return -errno;
	*bytes = info.tcpi_bytes_acked + (unsigned)outstanding;
	*up = info.tcpi_state == TCP_ESTABLISHED_STATE;
	return 0;
}

/* Bytes that were put into the queue of a remote receiver. The kernel counts a little later than it puts them there. */
static uint64_t queued_bytes(const struct fp_link *link)
{
	const struct shunt_slot *slot = fp_slot(link->slot);

	return link->injected + load64(&slot->received_bytes) + 2 * load64(&slot->pings);
}

/* Those of them that TCP had not got when last looked. */
static uint64_t on_its_way(const struct fp_link *link)
{
	uint64_t queued = queued_bytes(link);

	return queued > link->settled ? queued - link->settled : 0;
}

int fp_inject_from(struct fp_link *link, int fd)
{
	uint64_t has;
	bool up;
	int error = tcp_has(fd, &has, &up);

	link->settled = queued_bytes(link);
	link->tcp_base = has - link->settled;
	return error;
}

bool fp_arrived(const struct fp_link *link, int fd)
{
	uint64_t has;
	bool up;

	return !tcp_has(fd, &has, &up) && has - link->tcp_base >= queued_bytes(link);
}

static bool has_room(const uint32_t *mem, uint64_t bytes)
{
	return mem[SK_MEMINFO_WMEM_QUEUED] + 2 * bytes <= mem[SK_MEMINFO_SNDBUF];
}

/* Only what the socket has room for, with all that is in front of it: a queue that is blocked would fill the injector for the
 * others, and hold up what this client sends. That also waits in this queue then, where the kernel charges it to nobody: TCP
 * would take from the client without end. (Twice the bytes: what small packets cost.) */
static ssize_t send_injected(struct fp_link *link, int fd, const struct iovec *iov, int iovcnt, size_t total)
{
	uint32_t mem[SK_MEMINFO_VARS];
	socklen_t len = sizeof(mem);
	ssize_t n;

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, mem, &len))
		return -errno;
	if (!has_room(mem, on_its_way(link) + total) && !(fp_without & SHUNT_WITHOUT_ROOM)) {
		uint64_t has;
		bool up;
		int error = tcp_has(fd, &has, &up);

		if (error)
			return error;
		link->settled = has - link->tcp_base;
		/* An empty one takes any packet, however small memory has made it. */
		if (!has_room(mem, on_its_way(link) + total) && (on_its_way(link) || mem[SK_MEMINFO_WMEM_QUEUED]))
			return -EBUSY;
	}
	n = fp_inject(link->slot, iov, iovcnt);
	if (n > 0)
		link->injected += (uint64_t)n;
	return n;
}

static ssize_t send_whole(struct fp_link *link, int fd, const struct iovec *iov, int iovcnt, size_t total)
{
	if (link->road == FP_ROAD_LOCAL)
		return send_local(link, fd, iov, iovcnt, total);
	return send_injected(link, fd, iov, iovcnt, total);
}

/* 0 when no redirect to the client can come any more, -EBUSY when that is not known yet. */
static int drain(struct fp_link *link)
{
	uint32_t queued, in_use;

	if (!link->draining) {
		store64(&fp_slot(link->slot)->generation, 0);
		link->draining = true;
		link->drain_ns = clock_ns();
		link->ticket = fp_grace_request();
	}
	if (!link->ticket)
		return 0;
	if (clock_ns() - link->drain_ns > (uint64_t)FP_DRAIN_MAX_MS * NS_PER_MS)
		return -ETIMEDOUT;
	if (!fp_grace_passed(link->ticket))
		return -EBUSY;
	if (link->road == FP_ROAD_LOCAL && !fp_look(link->isn_pair, &queued, &in_use) && in_use)
		return -EBUSY;
	link->ticket = 0;
	return 0;
}

/* Flows may come again, if no large packet was sent for a while. */
static void undrain(struct fp_link *link)
{
	if (link->ticket || clock_ns() - link->drain_ns < (uint64_t)FP_LARGE_LINGER_MS * NS_PER_MS)
		return;
	link->draining = false;
	store64(&fp_slot(link->slot)->generation, link->generation);
}

static ssize_t send_piece(struct fp_link *link, int fd, const struct iovec *iov, int iovcnt)
{
	size_t room = link->large_left < link->whole_max ? link->large_left : link->whole_max, total = 0;
	struct iovec piece[PIECE_IOV];
	ssize_t n;
	int count = 0;

	for (; count < iovcnt && count < PIECE_IOV && total < room; count++) {
		piece[count] = iov[count];
		if (piece[count].iov_len > room - total)
			piece[count].iov_len = room - total;
		total += piece[count].iov_len;
	}
	n = send_whole(link, fd, piece, count, total);
	if (n > 0) {
		link->large_left -= (size_t)n;
		link->drain_ns = clock_ns();
	}
	return n;
}

ssize_t fp_send(struct fp_link *link, int fd, const struct iovec *iov, int iovcnt)
{
	size_t total;
	int error;

	if (!link->whole_max)
		return send_tcp(fd, iov, iovcnt);
	if (!link->large_left) {
		total = total_len(iov, iovcnt);
		if (total <= link->whole_max) {
			if (link->draining)
				undrain(link);
			return send_whole(link, fd, iov, iovcnt, total);
		}
		error = link->target && !(fp_without & SHUNT_WITHOUT_DRAIN) ? drain(link) : 0;
		if (error)
			return error;
		link->large_left = total;
	}
	return send_piece(link, fd, iov, iovcnt);
}

bool fp_drained(struct fp_link *link, int fd)
{
	uint64_t has;
	bool up;

	/* On the other roads send() has put it there. */
	if (link->road != FP_ROAD_REMOTE || !link->target)
		return true;
	if (!fp_grace_passed(link->ticket)) /* fp_retire()'s: a redirect may still be decided */
		return false;
	return tcp_has(fd, &has, &up) || !up || has - link->tcp_base >= queued_bytes(link);
}
