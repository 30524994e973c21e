// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntd/arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/document.h"
#include "base/number.h"
#include "base/version.h"

enum argument { CONFIG, PORT, LINE, DAEMON, QUIET, VERBOSE, TEST_CONFIG, TLS_KEYLOG, HELP, VERSION, MAN, MAN_CONF };

static const struct cli_option options[] = {
	[CONFIG] = {'c', "config-file", "FILE", "Read the configuration from FILE, see `shunt.conf`(5)."},
	[PORT] = {'p', "port", "PORT",
		  "Listen on PORT of the loopback addresses.\n"
		  "May be given up to 10 times. Counts only if there is no `listener` in the configuration."},
	[LINE] = {'o', NULL, "'NAME VALUE'",
		  "Set an option of the configuration, as a last line of its file would. May be given many times."},
	[DAEMON] =
		{'d', "daemon", NULL,
		 "Go on in the background as soon as clients are served; the status is 1 if it does not come to that. Let "
		 "`log_dest` name a file or syslog then, because stdout and stderr are closed."},
	[QUIET] = {'q', "quiet", NULL, "Log nothing, whatever the configuration and -v say."},
	[VERBOSE] =
		{'v', "verbose", NULL,
		 "Log everything, whatever the configuration says. Each message is logged, so the kernel carries none "
		 "past the daemon."},
	[TEST_CONFIG] =
		{0, "test-config", NULL,
		 "Check the configuration and exit. All errors are reported; the status is 0 if there are none, else "
		 "1."},
	[TLS_KEYLOG] = {0, "tls-keylog", "FILE", "An option of mosquitto; an error, because this version has no TLS."},
	[HELP] = {'h', "help", NULL, "Print the options, and those of the configuration, and exit."},
	[VERSION] = {0, "version", NULL, "Print the version and exit."},
	[MAN] = {0, "man", NULL, "Print the source of this manual page and exit."},
	[MAN_CONF] = {0, "man-conf", NULL, "Print the source of `shunt.conf`(5) and exit."},
};

static const char *const synopsis[] = {
	"[-c FILE] [-p PORT]... [-o 'NAME VALUE']... [-d] [-q | -v]",
	"[-c FILE] [-o 'NAME VALUE']... --test-config",
	"--help | --version | --man | --man-conf",
	NULL,
};

static const struct cli cli = {
	.tool = "shuntd",
	.section = "8",
	.summary = "MQTT broker with a fast path in the kernel",
	.synopsis = synopsis,
	.description =
		"`shuntd` is an MQTT broker for Linux. It speaks MQTT 3.1, 3.1.1 and 5.0. Messages of QoS 0 for which it knows the "
		"way are carried by eBPF programs inside the kernel and do not wait for the daemon; everything else, and "
		"everything where the kernel cannot do that, goes through the daemon. Clients see no difference but the time.\n"
		"\n"
		"Without a configuration it listens on port 1883 of the loopback addresses and lets everybody in. It stays in "
		"the foreground and logs to stderr.\n"
		"\n"
		"Started as root, it loads the programs, opens its sockets and goes on as an unprivileged user, see the option "
		"`user` in `shunt.conf`(5). Started by another user it works as well; without the fast path, unless it is given "
		"CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON. Before it serves the first client it has given up every capability, in "
		"all of its threads and for good, and every system call that it does not need any more, see the option `seccomp`.",
	.options = options,
	.noptions = sizeof(options) / sizeof(options[0]),
};

static void print_man(FILE *f)
{
	cli_man(f, &cli);
	man_section(f, "Signals");
	man_item(f, "SIGTERM", NULL, "Stop: clients are disconnected and the status is 0. `SIGINT` does the same.");
	man_item(
		f, "SIGHUP", NULL,
		"Read the configuration again, and close the log file and open it again. What has changed is logged and counts "
		"at once, as far as it can without a restart; no client is disconnected. If there are errors, they are logged "
		"and nothing changes. As the daemon is not root any more, its user must be able to read the file.");
	man_item(f, "SIGRTMIN", NULL, "Close the log file and open it again, for logrotate.");
	man_item(
		f, "SIGUSR1", NULL,
		"Nothing but a line in the log, in this version, which has nothing to save. Scripts for mosquitto may send it.");
	man_item(f, "SIGUSR2", NULL, "Log the tree of subscriptions.");
	man_section(f, "Socket activation");
	man_text(
		f,
		"The service manager may open the sockets of listeners (`systemd.socket`(5), `sd_listen_fds`(3)), so that clients wait "
		"instead of being refused while the daemon starts. A socket belongs to the `listener` with its port and address, or "
		"its path, or to the one whose `socket_name` is its FileDescriptorName=. Listeners that get none open their own. It is "
		"an error if a socket is left that no listener is for. It does not go together with -d. A unit shunt.socket for "
		"`listener 1883`:\n"
		"\n"
		"\t[Socket]\n"
		"\tListenStream=1883\n"
		"\tBacklog=4096\n"
		"\n"
		"\t[Install]\n"
		"\tWantedBy=sockets.target");
	man_section(f, "Exit status");
	man_item(f, "0", NULL, "Stopped by a signal, or what was asked for is printed.");
	man_item(f, "1", NULL, "The configuration is wrong or something it asks for cannot be had; the log says what.");
	man_item(f, "2", NULL, "The command line is wrong.");
	man_section(f, "Environment");
	man_item(f, "NOTIFY_SOCKET", NULL, "Where systemd wants to be told of readiness, see `sd_notify`(3).");
	man_item(f, "LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES", NULL, "Sockets that the service manager passes.");
	man_item(f, "XDG_RUNTIME_DIR", NULL, "Folder of the control socket when not started as root.");
	man_section(f, "Files");
	man_item(f, "/run/shunt/control.sock", NULL, "Control socket of a daemon started as root.");
	man_item(f, "/sys/fs/bpf/shunt", NULL, "Maps of the fast path.");
	man_item(f, "/sys/fs/bpf/shunt-guard", NULL, "Maps of the guard.");
	man_section(f, "See also");
	man_text(f, "`shunt.conf`(5), `shuntctl`(1), `mosquitto_pub`(1), `mosquitto_sub`(1), `bpftool`(8)");
}

static void print_help(void)
{
	cli_help(stdout, &cli);
	printf("\nOptions of the configuration, all of them in shunt.conf(5):\n");
	conf_help(stdout);
}

int arguments_read(struct arguments *a, int argc, char **argv)
{
	const char *value;
	uint64_t port;
	int option;

	/* There cannot be more of them than words. */
	*a = (struct arguments){.lines = calloc((size_t)argc + 1, sizeof(*a->lines))};
	if (!a->lines) {
		fprintf(stderr, "shuntd: out of memory\n");
		return 1;
	}
	while ((option = cli_next(&cli, argc, argv, &value)) >= 0) {
		switch ((enum argument)option) {
		case CONFIG:
			a->file = value;
			break;
		case PORT:
			if (number_parse(value, UINT16_MAX, &port) || !port)
				return cli_usage_error(&cli, "-p: \"%s\" is not a port number from 1 to 65535", value);
			if (a->nports == CONF_PORTS_MAX)
				return cli_usage_error(&cli, "-p: there may be at most %d ports", CONF_PORTS_MAX);
			a->ports[a->nports++] = (uint16_t)port;
			break;
		case LINE:
			a->lines[a->nlines++] = value;
			break;
		case DAEMON:
			a->daemon = true;
			break;
		case QUIET:
			a->quiet = true;
			break;
		case TLS_KEYLOG:
			return cli_usage_error(&cli, "--tls-keylog: this version has no TLS");
		case VERBOSE:
			a->verbose = true;
			break;
		case TEST_CONFIG:
			a->test_config = true;
			break;
		case HELP:
			print_help();
			return 0;
		case VERSION:
			printf("shuntd version %s\n", SHUNT_VERSION);
			return 0;
		case MAN:
			print_man(stdout);
			return 0;
		case MAN_CONF:
			conf_man(stdout);
			return 0;
		}
	}
	if (option == CLI_WRONG)
		return 2;
	if (optind < argc)
		return cli_usage_error(&cli, "what is \"%s\"?", argv[optind]);
	return ARGUMENTS_GO_ON;
}

void arguments_free(struct arguments *a)
{
	free(a->lines);
}
