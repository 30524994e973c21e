// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The guard on an interface, by a link: the kernel takes the program off when the last descriptor of the link is closed,
 * and so when the daemon dies; unless the link is pinned.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guard/internal.h"

static const char link_prefix[] = "link_";

/* The program that is on the interface in whatever way; 0: none. */
static uint32_t attached_program(unsigned ifindex)
{
	struct bpf_xdp_query_opts q = {.sz = sizeof(q)};

	if (bpf_xdp_query((int)ifindex, 0, &q))
		return 0;
	return q.prog_id ? q.prog_id : q.drv_prog_id ? q.drv_prog_id : q.skb_prog_id ? q.skb_prog_id : q.hw_prog_id;
}

static int refuse_beside(struct guard_place *place, uint32_t id)
{
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd >= 0) {
		(void)bpf_obj_get_info_by_fd(fd, &info, &len); /* the name stays empty */
		close(fd);
	}
	snprintf(place->reason, sizeof(place->reason),
		 "the XDP program \"%.15s\" with id %u is on the interface, and there can be one only", info.name, id);
	return -EBUSY;
}

static int create_link(int prog_fd, unsigned ifindex, uint32_t flags)
{
	const struct bpf_link_create_opts opts = {.sz = sizeof(opts), .flags = flags};
	int fd = bpf_link_create(prog_fd, (int)ifindex, BPF_XDP, &opts);

	return fd < 0 ? -errno : fd;
}

static int pin_link(const struct guard_place *place, unsigned ifindex)
{
	char name[sizeof(link_prefix) + 12];

	/* By number: names of interfaces may have dots, which the file system does not take. */
	snprintf(name, sizeof(name), "%s%u", link_prefix, ifindex);
	if (guard.pins.lock < 0)
		return -ENOTDIR;
	return pins_add(&guard.pins, name, place->link, (uid_t)-1, (gid_t)-1);
}

int guard_attach(struct guard_place *place, int prog_fd)
{
	unsigned ifindex = if_nametoindex(place->name);
	uint32_t other = ifindex ? attached_program(ifindex) : 0;
	int error;

	if (!ifindex) {
		snprintf(place->reason, sizeof(place->reason), "there is no such interface");
		return -ENODEV;
	}
	if (other)
		return refuse_beside(place, other);
	place->link = create_link(prog_fd, ifindex, XDP_FLAGS_DRV_MODE);
	place->native = place->link >= 0;
	if (!place->native)
		place->link = create_link(prog_fd, ifindex, XDP_FLAGS_SKB_MODE);
	if (place->link < 0) {
		error = place->link;
		place->link = -1;
		snprintf(place->reason, sizeof(place->reason), "the kernel refuses to attach the program: %s",
			 strerror(-error));
		return error;
	}
	error = guard.fail_closed ? pin_link(place, ifindex) : 0;
	if (error) {
		close(place->link);
		place->link = -1;
		snprintf(place->reason, sizeof(place->reason), "cannot be pinned, as guard_fail_closed needs it: %s",
			 strerror(-error));
	}
	return error;
}

void guard_detach_pinned(const struct pins *p)
{
	char path[sizeof(p->path) + sizeof(struct dirent)];
	int dir_fd = dup(p->lock);
	DIR *dir = dir_fd >= 0 ? fdopendir(dir_fd) : NULL;
	struct dirent *entry;
	int fd;

	if (!dir) {
		if (dir_fd >= 0)
			close(dir_fd);
		return;
	}
	rewinddir(dir);
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, link_prefix, sizeof(link_prefix) - 1) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", p->path, entry->d_name);
		fd = bpf_obj_get(path);
		if (fd < 0)
			continue;
		/* Not by removing the pin: that takes effect later, and the interface would still be taken. */
		(void)bpf_link_detach(fd);
		close(fd);
	}
	closedir(dir);
}
