// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The daemon: what happens from the command line to the last worker, in this order. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/answers.h"
#include "admin/control.h"
#include "admin/http.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/sandbox.h"
#include "base/version.h"
#include "broker/broker.h"
#include "conf/conf.h"
#include "shuntd/arguments.h"
#include "shuntd/background.h"
#include "shuntd/guarding.h"
#include "shuntd/privileges.h"
#include "shuntd/settings.h"

/* ---- signals ---------------------------------------------------------------------------------------------------- */

/* Every signal the daemon knows is blocked in all threads and taken by wait_for_end(). */
static void block_signals(sigset_t *set)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGUSR2);
	sigaddset(set, SIGRTMIN);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	(void)sigaction(SIGXFSZ, &ignore, NULL); /* a write beyond RLIMIT_FSIZE fails, too */
}

static void wait_for_end(const sigset_t *set, struct conf *conf, const struct arguments *a, struct http *http)
{
	int sig;

	for (;;) {
		if (sigwait(set, &sig))
			continue;
		if (sig == SIGTERM || sig == SIGINT)
			return;
		if (sig == SIGHUP)
			settings_reload(conf, a, http);
		else if (sig == SIGRTMIN)
			settings_rotate_log();
		else if (sig == SIGUSR1)
			log_notice("SIGUSR1: nothing to save, what persistence keeps is written when it changes.");
		else if (sig == SIGUSR2)
			broker_log_tree();
	}
}

/* ---- the process file ------------------------------------------------------------------------------------------- */

static int write_pid_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644), err = 0;

	if (fd < 0 || dprintf(fd, "%d\n", getpid()) < 0)
		err = errno;
	if (fd >= 0 && close(fd) && !err)
		err = errno;
	if (err)
		log_error("Error: Unable to write the pid file %s: %s.", path, strerror(err));
	return err ? -1 : 0;
}

/* ---- the fast path ---------------------------------------------------------------------------------------------- */

static int open_fastpath(const struct conf *conf, const struct account *account)
{
	uint16_t *ports = calloc(conf->nlisteners, sizeof(*ports));
	struct fp_config config = {
		.mode = conf->fastpath,
		.local = conf->fastpath_local,
		.pin_path = conf->bpf_pin_path,
		.cgroup = conf->fastpath_cgroup,
		.exclude_uids = conf->fastpath_exclude_uid,
		.exclude_cgroups = conf->fastpath_exclude_cgroup,
		.flows = conf->fastpath_flows,
		.max_packet_size = conf->max_packet_size,
		.ports = ports,
		.uid = account->uid,
		.gid = account->gid,
	};
	int err;

	if (!ports) {
		log_error("Error: Out of memory.");
		return -1;
	}
	for (size_t i = 0; i < conf->nlisteners; i++) {
		if (!conf->listeners[i].path && conf_is_plain(&conf->listeners[i]))
			ports[config.nports++] = conf->listeners[i].port;
	}
	if (WITH_BPF)
		mount_bpffs(conf->bpf_pin_path);
	err = fp_open(&config);
	free(ports);
	fp_let_pings(!log_wants(LOG_TYPE_DEBUG)); /* each is logged then */
	if (err) {
		struct fp_status status;

		fp_status(&status);
		log_error("Error: There is no fast path, which the option fastpath requires: %s.",
			  status.reason[0] ? status.reason : strerror(-err));
	}
	return err ? -1 : 0;
}

static void log_fastpath(void)
{
	struct fp_status s;

	fp_status(&s);
	if (!s.loaded || !s.enabled)
		log_notice("Fast path off: %s.", s.reason);
	else
		log_notice("Fast path on: %s road%s%s%s.%s",
			   s.local && s.remote ? "local and remote"
			   : s.local	       ? "local"
					       : "remote",
			   s.local && s.remote ? "s" : "", s.pin_path[0] ? ", maps in " : "", s.pin_path,
			   log_wants(LOG_TYPE_DEBUG) ? " It carries nothing while each message is logged." : "");
}

/* ---- the daemon ------------------------------------------------------------------------------------------------- */

static void log_start(const struct conf *conf, const struct arguments *a)
{
	log_info("shuntd version %s starting", SHUNT_VERSION);
	if (a->file)
		log_info("Config loaded from %s.", a->file);
	else
		log_info("Using default config.");
	if (conf->local_only) {
		log_info(
			"Starting in local only mode. Connections will only be possible from clients running on this machine.");
		log_info("Create a configuration file which defines a listener to allow remote access.");
	}
	conf_hint(conf, a->ports, a->nports);
}

/* What is to be undone at the end. */
struct daemon {
	struct control *control;
	struct http *http;
	bool pid_file_written;
};

/* Everything that needs the rights we were started with, then without them. 0, or -1 after logging. */
static int prepare(struct daemon *d, const struct conf *conf)
{
	struct account account;
	int err;

	/* A fixed threshold: by default glibc raises it with the largest buffer freed, and then keeps that much. */
	mallopt(M_TRIM_THRESHOLD, 128 * 1024);
	raise_file_limit();
	if (account_choose(&account, conf->user))
		return -1;
	if (account.change && log_chown(account.uid, account.gid))
		log_warning("Warning: Unable to give the log file to user %s; it cannot be opened again on SIGHUP.",
			    account.name);
	if (broker_prepare(conf, account.uid, account.gid) || open_fastpath(conf, &account) ||
	    guarding_open(conf, &account) || broker_listen() || http_open(&d->http, conf) ||
	    control_open(&d->control, conf->control_socket, account.uid, account.gid))
		return -1;
	if (conf->pid_file && write_pid_file(conf->pid_file))
		return -1;
	d->pid_file_written = conf->pid_file != NULL;
	if (account_become(&account))
		return -1;
	sandbox_enter(conf->seccomp); /* every thread begins after it */
	err = fp_start();
	if (err) {
		log_error("Error: Unable to start a thread: %s.", strerror(-err));
		return -1;
	}
	log_fastpath();
	guarding_watch_bans();
	guarding_log();
	return 0;
}

static int run(struct conf *conf, const struct arguments *a, const sigset_t *signals)
{
	struct daemon d = {0};
	int err, status = 1;

	if (prepare(&d, conf) || broker_start())
		goto out;
	err = control_start(d.control, answer_request);
	if (err) {
		log_error("Error: Unable to start the control socket: %s.", strerror(-err));
		goto out;
	}
	err = http_start(d.http);
	if (err) {
		log_error("Error: Unable to start HTTP: %s.", strerror(-err));
		goto out;
	}
	log_info("shuntd version %s running", SHUNT_VERSION);
	err = notify_manager("READY=1");
	if (err)
		log_warning("Warning: Unable to tell the service manager of readiness: %s.", strerror(-err));

	background_ready();
	wait_for_end(signals, conf, a, d.http);
	log_info("shuntd version %s terminating", SHUNT_VERSION);
	notify_manager("STOPPING=1");
	status = 0;
out:
	/* The control socket and HTTP first: their answers ask the workers. */
	http_close(d.http);
	control_close(d.control);
	broker_stop();
	guarding_end();
	broker_free();
	guard_close();
	fp_close();
	if (d.pid_file_written)
		unlink(conf->pid_file); /* not ours any more to remove, where root owns the folder */
	return status;
}

int main(int argc, char **argv)
{
	struct arguments arguments;
	struct conf conf = {0};
	sigset_t signals;
	int status = arguments_read(&arguments, argc, argv);

	if (status != ARGUMENTS_GO_ON)
		goto out;
	status = 1;
	if (arguments.test_config)
		log_set_timestamp(false, NULL); /* for somebody at a terminal */
	if (settings_read(&conf, &arguments))
		goto out;
	if (arguments.test_config) {
		if (settings_check(&conf))
			goto out;
		conf_hint(&conf, arguments.ports, arguments.nports);
		printf("Configuration file is OK.\n");
		status = 0;
		goto out;
	}
	if (settings_open_log(&conf) || (arguments.daemon && background_begin()))
		goto out;
	block_signals(&signals);
	log_start(&conf, &arguments);
	status = run(&conf, &arguments, &signals);
out:
	conf_free(&conf);
	arguments_free(&arguments);
	return status;
}
