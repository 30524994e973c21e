// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* shuntctl: look into a running shuntd and steer it, and keep its file of users. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/scram.h"
#include "base/cli.h"
#include "base/document.h"
#include "base/number.h"
#include "base/version.h"
#include "shuntctl/ask.h"
#include "shuntctl/scram.h"
#include "shuntctl/show.h"

enum argument { SOCKET, JSON, ITERATIONS, DELETE, HELP, VERSION, MAN };

static const struct cli_option options[] = {
	[SOCKET] = {'s', NULL, "FILE",
		    "Ask the daemon whose control socket is FILE.\n"
		    "Without it: /run/shunt/control.sock for root; for other users $XDG_RUNTIME_DIR/shunt.sock or "
		    "/tmp/shunt-UID.sock, and root's if there is none."},
	[JSON] = {0, "json", NULL,
		  "Print the daemon's answer as it is, one line of JSON.\n"
		  "Names that are there stay from version to version; others may be added."},
	[ITERATIONS] =
		{0, "iterations", "N",
		 "With `scram`: hash the password N times; 100000 without it.\n"
		 "N is what each guess costs who has stolen the file, and what each login costs the client, not the "
		 "daemon: about 0.1 s at 100000 on a small computer, which is the rule of RFC 7677. Its least, 4096, "
		 "is right for microcontrollers with long random passwords; OWASP advises 600000 for passwords that "
		 "people choose."},
	[DELETE] = {0, "delete", NULL, "With `scram`: remove the user."},
	[HELP] = {'h', "help", NULL, "Print this and exit."},
	[VERSION] = {0, "version", NULL, "Print the version and exit."},
	[MAN] = {0, "man", NULL, "Print the source of the manual page and exit."},
};

static const struct cli_command commands[] = {
	{"stats", NULL,
	 "Show numbers of the daemon: clients, traffic, drops, and what the kernel carried.\n"
	 "Numbers of messages and bytes include those that the kernel carried. Messages that the kernel gave to the daemon "
	 "are counted by reason, as times it did so: `fence`: the publisher still had data with the daemon; `no_flow`: no "
	 "way is known for the topic; `full`: the receiver's queue is full; `held`: the daemon has something for the "
	 "receiver that must go first; `busy`: there is so much that batching is better; `shape`: it is no message the "
	 "kernel may carry; `dead`: the receiver is gone; `off`: the fast path is off."},
	{"clients", NULL,
	 "List the clients, and the sessions of clients that are away.\n"
	 "`in` and `out` count messages from and to the client; `of kernel`, how many of them the kernel carried; `road` is "
	 "the road of its connection, `local`, `remote` or `none`."},
	{"flows", NULL, "List the topics whose messages the kernel carries, and to whom."},
	{"fastpath", "on|off", "Switch the fast path on or off. Messages get where they should in both cases."},
	{"scram", "FILE USER",
	 "Set the password with which USER authenticates by SCRAM-SHA-256, in FILE.\n"
	 "FILE is that of the option `scram_file` of `shunt.conf`(5). The password is asked for on the terminal, or is the "
	 "line that comes from standard input. It is not stored, only what a server needs to check it, in PostgreSQL's "
	 "form. Characters beyond ASCII count as the bytes they are here; clients must use the same ones (no "
	 "normalisation is done).\n"
	 "\n"
	 "FILE is replaced as a whole, keeping its owner and the other lines; a new one can be read by its owner only. No "
	 "daemon is needed. A running one reads the file again at SIGHUP."},
};

_Static_assert(SCRAM_ITERATIONS_DEFAULT == 100000 && SCRAM_ITERATIONS_MIN == 4096, "as the help says");

/* How the answers of the daemon are shown, in the order of `commands`; NULL: no daemon is asked. */
static int (*const shows[])(const cJSON *answer) = {show_stats, show_clients, show_flows, show_fastpath, NULL};

static const char *const synopsis[] = {
	"[-s FILE] [--json] stats|clients|flows",
	"[-s FILE] [--json] fastpath on|off",
	"scram [--iterations N | --delete] FILE USER",
	"--help | --version | --man",
	NULL,
};

static const struct cli cli = {
	.tool = "shuntctl",
	.section = "1",
	.summary = "look into a running Shunt MQTT broker, steer it, keep its users",
	.synopsis = synopsis,
	.description =
		"`shuntctl` asks a running `shuntd`(8) over its control socket and prints the answer. Who may do so is "
		"up to the permissions of the socket: root, the daemon's user and the members of its group.\n"
		"\n"
		"`shuntctl scram` keeps the file of users and their passwords, without a daemon.",
	.options = options,
	.noptions = sizeof(options) / sizeof(options[0]),
	.commands = commands,
	.ncommands = sizeof(commands) / sizeof(commands[0]),
};
_Static_assert(sizeof(commands) / sizeof(commands[0]) == sizeof(shows) / sizeof(shows[0]), "each command is shown");

static void print_man(void)
{
	cli_man(stdout, &cli);
	man_section(stdout, "Exit status");
	man_item(stdout, "0", NULL, "Done.");
	man_item(stdout, "1", NULL, "It could not be done; the reason is on standard error.");
	man_item(stdout, "2", NULL, "The command line is wrong.");
	man_item(stdout, "3", NULL, "No daemon can be reached.");
	man_section(stdout, "Examples");
	man_text(stdout, "How many messages did the kernel carry between clients on this host?\n"
			 "\n"
			 "\tshuntctl --json stats | jq .fastpath.local.forwarded\n"
			 "\n"
			 "A user with a long random password, which is printed once:\n"
			 "\n"
			 "\topenssl rand -base64 18 | tee /dev/tty | shuntctl scram /etc/shunt/users sensor-7");
	man_section(stdout, "See also");
	man_text(stdout, "`shuntd`(8), `shunt.conf`(5)");
}

/* The answer, parsed, has an "error" or something to show. */
static int show_answer(const char *answer, bool json, int (*show)(const cJSON *))
{
	cJSON *parsed = cJSON_Parse(answer);
	const char *error = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(parsed, "error"));
	int status = EXIT_DONE;

	if (!parsed) {
		fprintf(stderr, "shuntctl: the answer of the daemon cannot be read\n");
		status = EXIT_REFUSED;
	} else if (error) {
		fprintf(stderr, "shuntctl: %s\n", error);
		status = EXIT_REFUSED;
	} else if (json) {
		puts(answer);
	} else if (show(parsed)) {
		fprintf(stderr, "shuntctl: out of memory\n");
		status = EXIT_REFUSED;
	}
	cJSON_Delete(parsed);
	if (fflush(stdout) || ferror(stdout)) {
		perror("shuntctl: stdout");
		status = EXIT_REFUSED;
	}
	return status;
}

/* What is to be done, and the options that go with it. */
struct order {
	const char *socket;
	bool json;
	bool delete;
	const char *iterations; /* NULL: not given */
};

static int run_scram(const struct order *o, char **words, int nwords)
{
	uint64_t iterations = SCRAM_ITERATIONS_DEFAULT;

	if (o->socket || o->json)
		return cli_usage_error(&cli, "scram asks no daemon: it takes neither -s nor --json");
	if (nwords != 3)
		return cli_usage_error(&cli, "write \"scram FILE USER\"");
	if (o->delete &&o->iterations)
		return cli_usage_error(&cli, "either --delete or --iterations");
	if (o->delete)
		return scram_delete(words[1], words[2]);
	if (o->iterations &&
	    (number_parse(o->iterations, SCRAM_ITERATIONS_MAX, &iterations) || iterations < SCRAM_ITERATIONS_MIN))
		return cli_usage_error(&cli, "--iterations takes a number from %d to %d", SCRAM_ITERATIONS_MIN,
				       SCRAM_ITERATIONS_MAX);
	return scram_set(words[1], words[2], (uint32_t)iterations);
}

static int run_daemon(const struct order *o, size_t command, char **words, int nwords)
{
	const struct cli_command *c = &commands[command];
	char request[128], *answer;
	int status;

	if (o->delete || o->iterations)
		return cli_usage_error(&cli, "--delete and --iterations go with scram only");
	if (nwords > 1 + (c->argument != NULL))
		return cli_usage_error(&cli, "what is \"%s\"?", words[nwords - 1]);
	if (c->argument && (nwords < 2 || (strcmp(words[1], "on") != 0 && strcmp(words[1], "off") != 0)))
		return cli_usage_error(&cli, "write \"%s %s\"", c->name, c->argument);

	if (c->argument)
		snprintf(request, sizeof(request), "{\"command\":\"%s\",\"state\":\"%s\"}", words[0], words[1]);
	else
		snprintf(request, sizeof(request), "{\"command\":\"%s\"}", words[0]);
	status = ask(o->socket, request, &answer);
	if (status != EXIT_DONE)
		return status;
	status = show_answer(answer, o->json, shows[command]);
	free(answer);
	return status;
}

static int run(const struct order *o, char **words, int nwords)
{
	size_t i = 0;

	if (nwords == 0)
		return cli_usage_error(&cli, "what shall be done?");
	while (i < cli.ncommands && strcmp(commands[i].name, words[0]) != 0)
		i++;
	if (i == cli.ncommands)
		return cli_usage_error(&cli, "there is no command \"%s\"", words[0]);
	return shows[i] ? run_daemon(o, i, words, nwords) : run_scram(o, words, nwords);
}

int main(int argc, char **argv)
{
	struct order order = {0};
	const char *value;
	int option;

	while ((option = cli_next(&cli, argc, argv, &value)) >= 0) {
		switch ((enum argument)option) {
		case SOCKET:
			order.socket = value;
			break;
		case JSON:
			order.json = true;
			break;
		case ITERATIONS:
			order.iterations = value;
			break;
		case DELETE:
			order.delete = true;
			break;
		case HELP:
			cli_help(stdout, &cli);
			return EXIT_DONE;
		case VERSION:
			printf("shuntctl version %s\n", SHUNT_VERSION);
			return EXIT_DONE;
		case MAN:
			print_man();
			return EXIT_DONE;
		}
	}
	if (option == CLI_WRONG)
		return EXIT_USAGE;
	return run(&order, argv + optind, argc - optind);
}
