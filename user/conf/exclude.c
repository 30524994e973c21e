// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Options that tell which clients on this host take the local road: cgroups and users. */
#include <errno.h>
#include <pwd.h>
#include <string.h>

#include "base/cgroup.h"
#include "base/log.h"
#include "base/number.h"
#include "conf/option.h"

static int find(const struct conf_option *o, const char *value, bool may_be_missing, char full[PATH_MAX],
		const char *where)
{
	char root[PATH_MAX];
	int err = cgroup_find(value, may_be_missing, full);

	if (!err)
		return 0;
	if (cgroup_root(root))
		return conf_error(where, "%s: cgroup v2 is not mounted", o->name);
	if (err == -ENOENT || err == -ENOTSUP || err == -ENOTDIR)
		return conf_error(where, "%s: \"%.200s\" is not a directory of cgroup v2, which is mounted on %.100s",
				  o->name, value, root);
	return conf_error(where, "%s: \"%.200s\": %s", o->name, value, strerror(-err));
}

int conf_parse_cgroup(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	char full[PATH_MAX];

	(void)c;
	if (find(o, value, false, full, where))
		return -1;
	return conf_set_string((char **)field, full, where);
}

int conf_parse_exclude_cgroup(struct conf *c, const struct conf_option *o, void *field, const char *value,
			      const char *where)
{
	char root[PATH_MAX], full[PATH_MAX], real[PATH_MAX];

	(void)c;
	if (find(o, value, true, full, where))
		return -1;
	if (!cgroup_root(root) && !cgroup_find(root, false, real) && !strcmp(real, full))
		return conf_error(where,
				  "%s: that is the root, and all clients are below it: write \"fastpath_local off\"",
				  o->name);
	if (strlen(strrchr(full, '/') + 1) > FP_CGROUP_NAME_MAX)
		return conf_error(where, "%s: the name of a cgroup may have at most %d characters", o->name,
				  FP_CGROUP_NAME_MAX);
	if (cgroup_find(value, false, real))
		log_warning("Warning in %s: %s: there is no cgroup %s yet.", where, o->name, full);
	return conf_add_string((char ***)field, full, where);
}

int conf_parse_exclude_uid(struct conf *c, const struct conf_option *o, void *field, const char *value,
			   const char *where)
{
	char number[24];
	uint64_t uid;

	(void)c;
	if (number_parse(value, UINT32_MAX - 1, &uid)) {
		const struct passwd *user = getpwnam(value);

		if (!user)
			return conf_error(where, "%s: there is no user \"%.64s\"", o->name, value);
		uid = user->pw_uid;
	}
	snprintf(number, sizeof(number), "%llu", (unsigned long long)uid);
	return conf_add_string((char ***)field, number, where);
}
