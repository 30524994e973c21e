// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The file of the control socket: where it is and whose it is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/control_internal.h"
#include "base/log.h"

static const char root_folder[] = "/run/shunt"; /* of CONTROL_ROOT_PATH */

void control_default_path(char path[CONTROL_PATH_MAX])
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (geteuid() == 0)
		snprintf(path, CONTROL_PATH_MAX, "%s", CONTROL_ROOT_PATH);
	else if (!runtime || *runtime != '/' ||
		 snprintf(path, CONTROL_PATH_MAX, "%s/shunt.sock", runtime) >= CONTROL_PATH_MAX)
		snprintf(path, CONTROL_PATH_MAX, "/tmp/shunt-%u.sock", getuid());
}

/* The folder of the default path of root, which is the daemon's user's, so that the socket can be removed at the end.
 * */
static int make_root_folder(uid_t uid, gid_t gid)
{
	struct stat st;

	if (mkdir(root_folder, 0755) && errno != EEXIST)
		return -errno;
	if (lstat(root_folder, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (uid != (uid_t)-1 && st.st_uid != uid && lchown(root_folder, uid, gid))
		return -errno;
	return 0;
}

int control_open(struct control **control, const char *path, uid_t uid, gid_t gid)
{
	struct control *c = calloc(1, sizeof(*c));
	int err = 0;

	*control = NULL;
	if (!c) {
		log_error("Error: Out of memory.");
		return -1;
	}
	c->stop_fd = -1;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		c->clients[i].fd = -1;
	if (path) {
		snprintf(c->path, sizeof(c->path), "%s", path);
	} else {
		control_default_path(c->path);
		if (geteuid() == 0)
			err = make_root_folder(uid, gid);
	}
	if (!err)
		err = c->listen_fd = net_listen_unix(c->path, 0660, uid, gid, CONTROL_CLIENTS_MAX, &c->file);
	if (err >= 0) {
		*control = c;
		return 0;
	}

	if (path)
		log_error("Error: Unable to open the control socket %s: %s. Name another file by control_socket.",
			  c->path, net_unix_error(err));
	else
		log_warning("Warning: Running without a control socket, %s cannot be used: %s. Name another file by "
			    "control_socket.",
			    c->path, net_unix_error(err));
	free(c);
	return path ? -1 : 0;
}
