// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntd/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/log.h"

static const char bpffs[] = "/sys/fs/bpf";

static bool find_user(struct account *a, const char *name)
{
	const struct passwd *p = getpwnam(name);

	if (!p)
		return false;
	snprintf(a->name, sizeof(a->name), "%s", p->pw_name);
	a->uid = p->pw_uid;
	a->gid = p->pw_gid;
	a->change = true;
	return true;
}

int account_choose(struct account *a, const char *user)
{
	*a = (struct account){.uid = (uid_t)-1, .gid = (gid_t)-1};
	if (geteuid() != 0)
		return 0;
	if (user && !find_user(a, user)) {
		log_error("Error: There is no user \"%s\". Create it, or name another one by user.", user);
		return -1;
	}
	if (!user && !find_user(a, "shunt")) {
		if (!find_user(a, "nobody")) {
			log_error(
				"Error: There is neither a user \"shunt\" nor \"nobody\". Create one, or name another one by user.");
			return -1;
		}
		log_notice("There is no user \"shunt\", going on as \"nobody\".");
	}
	if (a->uid == 0) /* asked for */
		*a = (struct account){.uid = (uid_t)-1, .gid = (gid_t)-1};
	return 0;
}

/* Without a library: the call has been the same since Linux 2.6.26. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	return syscall(SYS_capset, &header, none) ? -errno : 0;
}

int account_become(const struct account *a)
{
	const char *what = NULL;

	if (a->change) {
		if (initgroups(a->name, a->gid))
			what = "initgroups";
		else if (setresgid(a->gid, a->gid, a->gid))
			what = "setresgid";
		else if (setresuid(a->uid, a->uid, a->uid))
			what = "setresuid";
	} else if (geteuid() == 0) {
		return 0;
	}
	/* A user that is not root may have been given capabilities by the service manager or by the file. */
	if (!what && drop_capabilities())
		what = "capset";
	if (!what && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		what = "PR_SET_NO_NEW_PRIVS";
	if (what) {
		log_error("Error: Unable to go on as user \"%s\": %s: %s.", a->name, what, strerror(errno));
		return -1;
	}
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
