// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The injector: how the daemon's own packets get in front of a remote client that may also receive by flows. send() on the
 * client's socket could land inside a packet that the kernel is sending; a datagram through an AF_UNIX socket in a map is
 * redirected into the same queue as the flows' packets and stays whole (invariant 3). One pair of sockets a worker; four
 * bytes in front of each datagram name the receiver's slot.
 *
 * A datagram is charged to the injector's send buffer until TCP has taken its last byte, which bounds what is under way.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fastpath/internal.h"

enum { INJECTORS_MAX = 1024, IOV_MAX_HERE = 128 };

static __thread int own_injector = -1; /* the end this thread writes to */

static struct {
	pthread_mutex_t lock;
	uint32_t count;
	int fds[INJECTORS_MAX][2];
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

int fp_inject_ready(void)
{
	uint64_t value;
	int pair[2];

	if (own_injector >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -errno;
	/* as much as is allowed: what is under way to all receivers of this worker */
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &(int){1 << 20}, sizeof(int));
	value = (uint64_t)pair[1];
	pthread_mutex_lock(&all.lock);
	if (all.count == INJECTORS_MAX || bpf_map_update_elem(fp.injectors_fd, &all.count, &value, BPF_ANY)) {
		pthread_mutex_unlock(&all.lock);
		close(pair[0]);
		close(pair[1]);
		return -ENOSPC;
	}
	memcpy(all.fds[all.count++], pair, sizeof(pair));
	pthread_mutex_unlock(&all.lock);
	own_injector = pair[0];
	return 0;
}

ssize_t fp_inject(uint32_t slot, const struct iovec *iov, int iovcnt)
{
	struct iovec full[IOV_MAX_HERE + 1];
	struct msghdr msg = {.msg_iov = full, .msg_iovlen = (size_t)iovcnt + 1};
	ssize_t n;

	if (iovcnt > IOV_MAX_HERE)
		return -EMSGSIZE;
	full[0] = (struct iovec){.iov_base = &slot, .iov_len = SHUNT_INJECT_HEADER};
	memcpy(full + 1, iov, sizeof(*iov) * (size_t)iovcnt);
	n = sendmsg(own_injector, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? -EBUSY : -errno;
	return n - SHUNT_INJECT_HEADER;
}

void fp_inject_stop(void)
{
	for (uint32_t i = 0; i < all.count; i++) {
		close(all.fds[i][0]);
		close(all.fds[i][1]);
	}
	all.count = 0;
	own_injector = -1;
}
