// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The heralds: the same bytes to many local clients by one send. A herald is a TCP socket, one a worker, in a map whose sk_msg
 * program redirects each copy to its receiver and so takes the way that a send on each receiver's own connection would
 * (invariant 3). Nothing ever leaves the socket, so it is connected to itself, and what cannot go to its receiver ends in its
 * own queue.
 *
 * Each copy goes as a whole or not at all: the program sees to it that it lies in one piece, and one message carries
 * FP_LOCAL_WHOLE whatever the state of memory. A copy that cannot be queued ends the send; what lies behind it was not sent.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "fastpath/internal.h"

enum {
	CONNECT_MS = 1000,
	TCP_ESTABLISHED_STATE = 1, /* TCP_ESTABLISHED of the kernel; its header does not go with linux/tcp.h */
};

_Static_assert((int)FP_TELL_MAX == SHUNT_HERALD_COPIES, "the broker's number");

static __thread struct {
	int fd;
	struct shunt_herald *plan; /* mapped; NULL: there is no herald */
} own;

static struct {
	pthread_mutex_t lock;
	uint32_t count;
	int fds[SHUNT_HERALDS_MAX];
	uint64_t told; /* atomic */
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int wait_connected(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t len = sizeof(error);

	if (poll(&p, 1, CONNECT_MS) != 1)
		return -ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) ? -errno : -error;
}

/* Nobody else can be at the other end. */
static int connect_to_itself(int fd)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || getsockname(fd, (struct sockaddr *)&a, &len))
		return -errno;
	if (!connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return 0;
	return errno == EINPROGRESS ? wait_connected(fd) : -errno;
}

static int enter_map(int fd, uint32_t number)
{
	struct shunt_sock state = {.slot = number};
	uint64_t value = (uint64_t)fd;

	if (bpf_map_update_elem(fp.sock_state_fd, &fd, &state, BPF_NOEXIST) ||
	    bpf_map_update_elem(fp.herald_socks_fd, &number, &value, BPF_ANY))
		return -errno;
	return 0;
}

int fp_herald_open(void)
{
	int error, fd;

	if (own.plan)
		return 0;
	if (!fp.bpf || !fp.local || !fp.tells)
		return -ENOTSUP;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	error = connect_to_itself(fd);
	if (error) {
		close(fd);
		return error;
	}
	pthread_mutex_lock(&all.lock);
	error = all.count < SHUNT_HERALDS_MAX ? enter_map(fd, all.count) : -ENOSPC;
	if (!error) {
		own.fd = fd;
		own.plan = &fp.heralds[all.count];
		all.fds[all.count++] = fd;
	}
	pthread_mutex_unlock(&all.lock);
	if (error)
		close(fd);
	return error;
}

size_t fp_tell_max(size_t len)
{
	size_t n = len && own.plan ? FP_LOCAL_WHOLE / len : 0;

	return n < SHUNT_HERALD_COPIES ? n : SHUNT_HERALD_COPIES;
}

/* While a large packet is on its way, and when the queue may be full, fp_send() knows what to do. */
bool fp_tell_fits(const struct fp_link *link)
{
	return link->road == FP_ROAD_LOCAL && !link->large_left && !link->draining &&
	       __atomic_load_n(&fp_slot(link->slot)->queued, __ATOMIC_RELAXED) < FP_LOCAL_DAEMON_CAP;
}

/* Copies that could not go to their receivers. */
static void discard_returned(void)
{
	char buf[16384];

	while (recv(own.fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

/* An error may be that of one receiver, or of this moment; but somebody may have cut the connection (`ss -K`), and then there
 * is -EACCES if the program saw it first. */
static void look_after(int error)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (error != EACCES && !getsockopt(own.fd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	    info.tcpi_state == TCP_ESTABLISHED_STATE)
		return;
	log_notice("Fast path: lost a connection of our own; messages to many clients are sent one by one.");
	own.plan = NULL;
}

size_t fp_tell(struct fp_link *const *to, size_t n, const void *bytes, size_t len, bool *told)
{
	struct iovec iov[SHUNT_HERALD_COPIES];
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};
	struct shunt_herald *plan = own.plan;
	size_t taken, count = 0;
	ssize_t sent;

	plan->copies = (uint32_t)n;
	plan->len = (uint32_t)len;
	plan->next = 0;
	for (size_t i = 0; i < n; i++) {
		iov[i] = (struct iovec){.iov_base = (void *)bytes, .iov_len = len};
		plan->copy[i] = (struct shunt_herald_copy){.isn_pair = to[i]->isn_pair, .slot = to[i]->slot};
	}
	do
		sent = sendmsg(own.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	taken = sent < 0 ? 0 : (size_t)sent / len;
	for (size_t i = 0; i < n; i++) {
		told[i] = i < taken && __atomic_load_n(&plan->copy[i].done, __ATOMIC_RELAXED);
		count += told[i];
	}
	__atomic_fetch_add(&all.told, count, __ATOMIC_RELAXED);
	if (count < taken)
		discard_returned();
	if (taken < n)
		look_after(sent < 0 ? errno : 0);
	return count;
}

uint64_t fp_told(void)
{
	return __atomic_load_n(&all.told, __ATOMIC_RELAXED);
}

void fp_herald_stop(void)
{
	for (uint32_t i = 0; i < all.count; i++)
		close(all.fds[i]);
	all.count = 0;
	all.told = 0;
	own.plan = NULL;
}
