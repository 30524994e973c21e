// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Which clients on this host take the local road: the cgroup that the programs are attached to, and who is excluded. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
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
