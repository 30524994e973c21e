// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntd/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/http.h"
#include "base/hash.h"
#include "base/log.h"
#include "broker/access.h"
#include "broker/broker.h"
#include "shuntd/guarding.h"

int settings_read(struct conf *conf, const struct arguments *a)
{
	char where[96];
	int err = 0;

	if (conf_init(conf)) {
		log_error("Error: Out of memory.");
		return -1;
	}
	if (a->file)
		err |= conf_file(conf, a->file);
	for (size_t i = 0; i < a->nlines; i++) {
		snprintf(where, sizeof(where), "-o '%.64s'", a->lines[i]);
		err |= conf_line(conf, a->lines[i], where);
	}
	/* Without what a faulty line was to say, the whole would be judged wrongly. */
	if (!err)
		err = conf_finish(conf, a->ports, a->nports);
	if (a->quiet)
		conf->log_types = 0;
	else if (a->verbose)
		conf->log_types = LOG_TYPE_ALL;
	return err ? -1 : 0;
}

int settings_check(const struct conf *conf)
{
	struct http_rules *rules;
	struct access *access;

	hash_init();
	access = access_load(conf, conf);
	rules = http_rules_load(conf, conf);
	access_free(access);
	http_rules_free(rules);
	return access && rules ? 0 : -1;
}

/* ---- the log ----------------------------------------------------------------------------------------------------- */

static int open_log(const struct conf *conf)
{
	int err = log_set_dest(conf->log_dests, conf->log_file);

	if (err)
		log_error("Error: Unable to open the log file %s: %s.", conf->log_file,
			  err == -ELOOP ? "it is a symbolic link" : strerror(-err));
	return err ? -1 : 0;
}

static void set_log(const struct conf *conf)
{
	log_set_facility(conf->log_facility);
	log_set_types(conf->log_types);
	log_set_timestamp(conf->log_timestamp, conf->log_timestamp_format);
}

int settings_open_log(const struct conf *conf)
{
	if (open_log(conf))
		return -1;
	set_log(conf);
	return 0;
}

void settings_rotate_log(void)
{
	int err = log_reopen();

	if (err)
		log_warning("Warning: Unable to open the log file again: %s. Going on with the old one.",
			    strerror(-err));
}

/* ---- reading it again -------------------------------------------------------------------------------------------- */

struct update {
	struct conf *live, *next;
	struct access *access; /* in place of what there is */
};

/* While all workers wait. */
static void take_over(void *arg)
{
	const struct update *u = arg;

	conf_update(u->live, u->next);
	broker_set_access(u->access);
	set_log(u->live);
	fp_let_pings(!log_wants(LOG_TYPE_DEBUG));
	/* What the kernel carries was found to be allowed under the old rules. */
	fp_flows_clear();
}

static bool same_log(const struct conf *a, const struct conf *b)
{
	if (a->log_dests != b->log_dests || !a->log_file != !b->log_file)
		return false;
	return !a->log_file || !strcmp(a->log_file, b->log_file);
}

void settings_reload(struct conf *live, const struct arguments *a, struct http *http)
{
	struct http_rules *rules = NULL;
	struct conf next = {0};
	struct update u = {.live = live, .next = &next};
	size_t changes;
	bool same;

	log_info("Reloading config.");
	/* Also when the files are the same: what is in them may not be. */
	if (settings_read(&next, a) || !(rules = http_rules_load(live, &next)) ||
	    !(u.access = access_load(live, &next))) {
		http_rules_free(rules);
		log_error("Error: The configuration is not taken over because of the errors above; the old one stays.");
		settings_rotate_log();
		goto out;
	}
	changes = conf_compare(live, &next);
	same = same_log(live, &next);
	http_set_rules(http, rules);
	broker_while_stopped(take_over, &u);
	guarding_update(live);
	if (same)
		settings_rotate_log();
	else if (open_log(live))
		log_warning("Warning: Logging to where it was before.");
	conf_hint(live, a->ports, a->nports);
	log_info("Config reloaded, %zu option%s changed.", changes, changes == 1 ? "" : "s");
out:
	conf_free(&next);
}
