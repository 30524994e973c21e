// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Which clients on this host take the local road: the cgroup that the programs are attached to, who is excluded, and the
 * addresses by which they reach us. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "fastpath/internal.h"

#include "fastpath.skel.h" /* needs the types of maps.h */

_Static_assert((int)FP_CGROUP_NAME_MAX < (int)SHUNT_CGROUP_NAME_MAX, "room for the NUL");

static int open_cgroup(const char *path)
{
	char root[PATH_MAX];
	int fd, error = path ? 0 : cgroup_root(root);

	if (error)
		return error;
	fd = open(path ? path : root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int attach(struct bpf_link **link, const struct bpf_program *prog, int cgroup)
{
	*link = bpf_program__attach_cgroup(prog, cgroup);
	return *link ? 0 : -errno;
}

static void detach(struct bpf_link **link)
{
	bpf_link__destroy(*link);
	*link = NULL;
}

/* The programs of the clients' ends. */
static int attach_clients(const char *path)
{
	int cgroup = open_cgroup(path), error;

	if (cgroup < 0)
		return cgroup;
	error = attach(&fp.bpf->links.local_release, fp.bpf->progs.local_release, cgroup);
	if (!error)
		error = attach(&fp.bpf->links.local_sockops, fp.bpf->progs.local_sockops, cgroup);
	close(cgroup);
	return error;
}

int fp_clients_attach(void)
{
	int root = open_cgroup(NULL), error;

	if (root < 0)
		return root;
	error = attach(&fp.bpf->links.local_accept, fp.bpf->progs.local_accept, root);
	close(root);
	return error ? error : attach_clients(NULL);
}

/* ---- who stays off ------------------------------------------------------------------------------------------------ */

static uint32_t count(char *const *list)
{
	uint32_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

int fp_clients_size(const struct fp_config *cfg)
{
	uint32_t users = count(cfg->exclude_uids), cgroups = count(cfg->exclude_cgroups);
	int error = users ? bpf_map__set_max_entries(fp.bpf->maps.excluded_users, users) : 0;

	return error || !cgroups ? error : bpf_map__set_max_entries(fp.bpf->maps.excluded_cgroups, cgroups);
}

static int exclude_user(const char *number)
{
	uint32_t uid = (uint32_t)strtoul(number, NULL, 10);
	uint8_t one = 1;

	return bpf_map_update_elem(bpf_map__fd(fp.bpf->maps.excluded_users), &uid, &one, BPF_ANY) ? -errno : 0;
}

/* The kernel knows a cgroup by its number, which is its inode's where that has 64 bits. */
static int exclude_cgroup(const char *path)
{
	struct shunt_cgroup key = {0};
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = strlen(path);
	struct stat st;
	uint8_t one = 1;

	_Static_assert(sizeof(st.st_ino) == sizeof(key.parent), "a 64-bit machine");
	if (!slash || slash == path || len >= sizeof(parent) || strlen(slash + 1) > FP_CGROUP_NAME_MAX)
		return -EINVAL;
	memcpy(parent, path, len + 1);
	parent[slash - path] = '\0';
	if (stat(parent, &st))
		return -errno;
	key.parent = st.st_ino;
	memcpy(key.name, slash + 1, strlen(slash + 1));
	return bpf_map_update_elem(bpf_map__fd(fp.bpf->maps.excluded_cgroups), &key, &one, BPF_ANY) ? -errno : 0;
}

static int exclude_all(char *const *list, int (*exclude)(const char *))
{
	int error = 0;

	for (size_t i = 0; list && list[i] && !error; i++)
		error = exclude(list[i]);
	return error;
}

int fp_clients_restrict(const struct fp_config *cfg)
{
	int error = exclude_all(cfg->exclude_uids, exclude_user);

	if (!error)
		error = exclude_all(cfg->exclude_cgroups, exclude_cgroup);
	fp.control->excluding = count(cfg->exclude_uids) || count(cfg->exclude_cgroups);
	if (error || !cfg->cgroup)
		return error;
	detach(&fp.bpf->links.local_sockops);
	detach(&fp.bpf->links.local_release);
	return attach_clients(cfg->cgroup);
}

/* ---- our addresses ------------------------------------------------------------------------------------------------ */

/* As in the kernel's map: IPv4 in IPv6. False: an address of no such family. */
static bool to_in6(const struct sockaddr *sa, struct in6_addr *out)
{
	if (sa->sa_family == AF_INET6) {
		*out = ((const struct sockaddr_in6 *)sa)->sin6_addr;
		return true;
	}
	if (sa->sa_family != AF_INET)
		return false;
	memset(out, 0, sizeof(*out));
	out->s6_addr[10] = out->s6_addr[11] = 0xff;
	memcpy(&out->s6_addr[12], &((const struct sockaddr_in *)sa)->sin_addr, 4);
	return true;
}

static bool is_wildcard(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return ((const struct sockaddr_in *)sa)->sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)sa)->sin6_addr);
}

static void add_address(const struct sockaddr *sa)
{
	struct in6_addr address;
	uint8_t one = 1;

	if (to_in6(sa, &address))
		bpf_map_update_elem(bpf_map__fd(fp.bpf->maps.own_addresses), &address, &one, BPF_ANY);
}

/* Failure is no error: they will be learned. */
void fp_listening(int fd)
{
	struct sockaddr_storage bound = {0};
	struct sockaddr *sa = (struct sockaddr *)&bound;
	socklen_t len = sizeof(bound);
	struct ifaddrs *all;

	if (!fp.bpf || getsockname(fd, sa, &len) || (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
		return;
	if (!is_wildcard(sa)) {
		add_address(sa);
		return;
	}
	if (getifaddrs(&all))
		return;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (i->ifa_addr && i->ifa_addr->sa_family == sa->sa_family)
			add_address(i->ifa_addr);
	}
	freeifaddrs(all);
}
