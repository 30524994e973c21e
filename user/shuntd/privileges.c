// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntd/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/log.h"

static const char bpffs[] = "/sys/fs/bpf";

/* What root keeps when it is to stay root: its files may be in folders of other users. */
static const uint64_t kept_by_root = UINT64_C(1) << CAP_DAC_OVERRIDE;

/* Those that nobody can get back, whatever is executed. It takes CAP_SETPCAP; without it there is NO_NEW_PRIVS. */
static void bound_capabilities(uint64_t keep)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (!(keep >> cap & 1))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	}
}

/* Of those we have keep no others: permitted, effective, inheritable and with them ambient. Without a library: the calls
 * have been the same since Linux 2.6.26. */
static int keep_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &header, caps))
		return -errno;
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		caps[i].permitted &= (uint32_t)(keep >> 32 * i);
		caps[i].effective = caps[i].permitted;
		caps[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, caps) ? -errno : 0;
}

int account_become(const struct account *a)
{
	bool stay_root = !a->change && geteuid() == 0;
	uint64_t keep = stay_root ? kept_by_root : 0;
	const char *what = NULL;

	bound_capabilities(keep);
	if (a->change) {
		if (initgroups(a->name, a->gid))
			what = "initgroups";
		else if (setresgid(a->gid, a->gid, a->gid))
			what = "setresgid";
		else if (setresuid(a->uid, a->uid, a->uid))
			what = "setresuid";
	}
	/* Also of a user that is not root, who may have been given some by the service manager or by the file. */
	if (!what && keep_capabilities(keep))
		what = "capset";
	if (!what && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		what = "PR_SET_NO_NEW_PRIVS";
	if (what) {
		log_error("Error: Unable to give up privileges: %s: %s.", what, strerror(errno));
		return -1;
	}
	if (stay_root)
		log_notice(
			"Going on as root, but of its capabilities with CAP_DAC_OVERRIDE only, for files in folders of other users.");
	if (a->change && (setuid(0) == 0 || geteuid() != a->uid || getegid() != a->gid)) {
		log_error("Error: Unable to give up root for good.");
		return -1;
	}
	/* The change of user forbade core dumps and debuggers of the same user; allow them as for any daemon. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return 0;
}

void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		log_warning("Warning: Unable to raise the limit of open files: %s.", strerror(errno));
}

void mount_bpffs(const char *pin_path)
{
	struct statfs fs;

	if (geteuid() != 0 || strncmp(pin_path, bpffs, strlen(bpffs)) != 0)
		return;
	if (statfs(bpffs, &fs) || (unsigned long)fs.f_type == BPF_FS_MAGIC)
		return;
	if (mount("bpf", bpffs, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
		log_notice("Unable to mount the BPF file system on %s: %s.", bpffs, strerror(errno));
}
