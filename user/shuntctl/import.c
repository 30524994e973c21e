// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/import.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/account.h"
#include "base/hash.h"
#include "base/log.h"
#include "conf/conf.h"
#include "shuntctl/ask.h"
#include "store/folder.h"
#include "store/import.h"

/* Where it goes, and whose it is. */
struct target {
	char *path, *folder;
	struct account account;
};

static int refuse(const char *what, const char *fault)
{
	fprintf(stderr, "shuntctl: %s: %s\n", what, fault);
	return EXIT_REFUSED;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static int read_whole(int fd, const char *name, struct import *im, uint8_t **data)
{
	struct stat st;
	ssize_t n = 1;

	if (fstat(fd, &st))
		return refuse(name, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(name, "is not a file");
	*data = malloc((size_t)st.st_size + 1);
	if (!*data)
		return refuse(name, "out of memory");
	while (im->len < (size_t)st.st_size && n) {
		n = read(fd, *data + im->len, (size_t)st.st_size - im->len);
		if (n < 0 && errno != EINTR)
			return refuse(name, strerror(errno));
		im->len += n > 0 ? (size_t)n : 0;
		n = n < 0 ? 1 : n;
	}
	im->data = *data;
	im->written = st.st_mtim.tv_sec;
	return EXIT_DONE;
}

static int read_file(const char *name, struct import *im, uint8_t **data)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	int status;

	if (fd < 0)
		return refuse(name, strerror(errno));
	status = read_whole(fd, name, im, data);
	close(fd);
	return status;
}

/* ---- the store --------------------------------------------------------------------------------------------------- */

static int find_target(const struct import_settings *settings, struct conf *conf, struct target *t)
{
	const char *slash;

	if (conf_init(conf))
		return refuse("import", "out of memory");
	if (settings->config && conf_file(conf, settings->config))
		return EXIT_REFUSED;
	t->path = settings->database ? strdup(settings->database) : conf_store_path(conf);
	if (!t->path)
		return refuse("import", "out of memory");
	slash = strrchr(t->path, '/');
	t->folder = slash ? strndup(t->path, slash == t->path ? 1 : (size_t)(slash - t->path)) : strdup(".");
	if (!t->folder)
		return refuse("import", "out of memory");
	return account_choose(&t->account, conf->user) ? EXIT_REFUSED : EXIT_DONE;
}

/* Everything that is made is to belong to whom the folder belongs to: that is the daemon, who has to write it. */
static int become_owner(const struct target *t)
{
	struct stat st;
	int err = store_make_folder(t->folder, t->account.uid, t->account.gid);

	if (err)
		return refuse(t->folder, strerror(-err));
	if (geteuid() != 0)
		return EXIT_DONE;
	if (stat(t->folder, &st) || setgroups(0, NULL) || setresgid(st.st_gid, st.st_gid, st.st_gid) ||
	    setresuid(st.st_uid, st.st_uid, st.st_uid))
		return refuse(t->folder, strerror(errno));
	/* The change of user forbade core dumps and what looks for leaks: allow them as for any tool. */
	prctl(PR_SET_DUMPABLE, 1);
	return EXIT_DONE;
}

static int explain(const struct import_settings *settings, const struct target *t, const struct import *im, int err)
{
	switch (err) {
	case -EBADMSG:
		fprintf(stderr, "shuntctl: %s: %s (offset %zu, format %" PRIu32 ", %zu bytes); nothing was changed\n",
			settings->file, im->fault.what, im->fault.offset, im->fault.version, im->len);
		break;
	case -ENOTEMPTY:
		fprintf(stderr,
			"shuntctl: %s: has sessions or retained messages already; with --replace they are removed first\n",
			t->path);
		break;
	case -EWOULDBLOCK:
		fprintf(stderr, "shuntctl: stop shuntd first\n");
		break;
	default:
		break; /* the log said it */
	}
	return EXIT_REFUSED;
}

static void print_line(uint64_t n, const char *what)
{
	printf("%10" PRIu64 "  %s\n", n, what);
}

static void print_counts(const struct import_settings *settings, const struct conf *conf, const struct target *t,
			 const struct import *im)
{
	const struct import_counts *c = &im->counts;
	bool any = false;

	printf("Taken over from %s, format %" PRIu32 ", into %s:\n", settings->file, im->fault.version, t->path);
	print_line(c->sessions, "sessions");
	print_line(c->subscriptions, "subscriptions");
	print_line(c->queued, "messages that wait for a client");
	print_line(c->in_flight, "messages sent to a client that did not acknowledge them to the end");
	print_line(c->held, "messages of QoS 2 from a client, before their PUBREL");
	print_line(c->retained, "retained messages");
	for (unsigned i = 0; i < LEFT_REASONS; i++) {
		if (!c->left[i])
			continue;
		if (!any)
			printf("Not taken over:\n");
		any = true;
		print_line(c->left[i], import_left_text((enum import_left)i));
	}
	if (!any)
		printf("Nothing of the file was left out.\n");
	if (settings->config && !conf->persistence)
		printf("%s does not have \"persistence true\": without it shuntd does not look there.\n",
		       settings->config);
}

int import(const struct import_settings *settings)
{
	struct import im = {.replace = settings->replace};
	struct target t = {0};
	struct conf conf;
	uint8_t *data = NULL;
	int err, status;

	log_set_timestamp(false, NULL);
	log_set_types(LOG_TYPE_ERROR | LOG_TYPE_WARNING);
	hash_init();
	status = find_target(settings, &conf, &t);
	if (status == EXIT_DONE)
		status = read_file(settings->file, &im, &data);
	if (status == EXIT_DONE)
		status = become_owner(&t);
	if (status == EXIT_DONE) {
		im.path = t.path;
		err = store_import(&im);
		if (err)
			status = explain(settings, &t, &im, err);
		else
			print_counts(settings, &conf, &t, &im);
	}
	free(data);
	free(t.path);
	free(t.folder);
	conf_free(&conf);
	return status;
}
