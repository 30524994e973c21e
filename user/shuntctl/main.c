// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* shuntctl: look into a running shuntd and steer it. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/document.h"
#include "base/version.h"
#include "shuntctl/ask.h"
#include "shuntctl/show.h"

enum argument { SOCKET, JSON, HELP, VERSION, MAN };

static const struct cli_option options[] = {
	[SOCKET] = {'s', NULL, "FILE",
		    "Ask the daemon whose control socket is FILE.\n"
		    "Without it: /run/shunt/control.sock for root; for other users $XDG_RUNTIME_DIR/shunt.sock or "
		    "/tmp/shunt-UID.sock, and root's if there is none."},
	[JSON] = {0, "json", NULL,
		  "Print the daemon's answer as it is, one line of JSON.\n"
		  "Names that are there stay from version to version; others may be added."},
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
};

/* In the order of `commands`. */
static int (*const shows[])(const cJSON *answer) = {show_stats, show_clients, show_flows, show_fastpath};

static const char *const synopsis[] = {
	"[-s FILE] [--json] stats|clients|flows",
	"[-s FILE] [--json] fastpath on|off",
	"--help | --version | --man",
	NULL,
};

static const struct cli cli = {
	.tool = "shuntctl",
	.section = "1",
	.summary = "look into a running Shunt MQTT broker and steer it",
	.synopsis = synopsis,
	.description =
		"`shuntctl` asks a running `shuntd`(8) over its control socket and prints the answer. Who may do so is "
		"up to the permissions of the socket: root, the daemon's user and the members of its group.",
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
	man_item(stdout, "1", NULL, "The daemon could not do it, and says why.");
	man_item(stdout, "2", NULL, "The command line is wrong.");
	man_item(stdout, "3", NULL, "No daemon can be reached.");
	man_section(stdout, "Examples");
	man_text(stdout, "How many messages did the kernel carry between clients on this host?\n"
			 "\n"
			 "\tshuntctl --json stats | jq .fastpath.local.forwarded");
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

static int run(const char *socket, bool json, char **words, int nwords)
{
	char request[128], *answer;
	size_t i = 0;
	int status;

	if (nwords == 0)
		return cli_usage_error(&cli, "what shall be done?");
	while (i < cli.ncommands && strcmp(commands[i].name, words[0]) != 0)
		i++;
	if (i == cli.ncommands)
		return cli_usage_error(&cli, "there is no command \"%s\"", words[0]);
	if (nwords > 1 + (commands[i].argument != NULL))
		return cli_usage_error(&cli, "what is \"%s\"?", words[nwords - 1]);
	if (commands[i].argument && (nwords < 2 || (strcmp(words[1], "on") != 0 && strcmp(words[1], "off") != 0)))
		return cli_usage_error(&cli, "write \"%s %s\"", commands[i].name, commands[i].argument);

	if (commands[i].argument)
		snprintf(request, sizeof(request), "{\"command\":\"%s\",\"state\":\"%s\"}", words[0], words[1]);
	else
		snprintf(request, sizeof(request), "{\"command\":\"%s\"}", words[0]);
	status = ask(socket, request, &answer);
	if (status != EXIT_DONE)
		return status;
	status = show_answer(answer, json, shows[i]);
	free(answer);
	return status;
}

int main(int argc, char **argv)
{
	const char *socket = NULL, *value;
	bool json = false;
	int option;

	while ((option = cli_next(&cli, argc, argv, &value)) >= 0) {
		switch ((enum argument)option) {
		case SOCKET:
			socket = value;
			break;
		case JSON:
			json = true;
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
	return run(socket, json, argv + optind, argc - optind);
}
