// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* shuntctl: look into a running shuntd and steer it, keep its file of users, fill its store. */
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
#include "shuntctl/answer.h"
#include "shuntctl/ask.h"
#include "shuntctl/bans.h"
#include "shuntctl/flows.h"
#include "shuntctl/guard.h"
#include "shuntctl/import.h"
#include "shuntctl/passwd.h"
#include "shuntctl/scram.h"
#include "shuntctl/show.h"
#include "shuntctl/top.h"

enum argument {
	SOCKET,
	JSON,
	INTERVAL,
	LIMIT,
	SORT,
	COUNT,
	ITERATIONS,
	DELETE,
	CREATE,
	BATCH,
	HASH,
	UPGRADE,
	CONFIG,
	DATABASE,
	REPLACE,
	CLIENT,
	USER,
	ADDRESS,
	FOR,
	REASON,
	NAMESPACE,
	HELP,
	VERSION,
	MAN,
	ARGUMENTS
};

enum { FLOWS_LIMIT = 100, SECONDS_MAX = 3600 };

static const struct cli_option options[] = {
	[SOCKET] = {'s', NULL, "FILE",
		    "Ask the daemon whose control socket is FILE.\n"
		    "Without it: /run/shunt/control.sock for root; for other users $XDG_RUNTIME_DIR/shunt.sock or "
		    "/tmp/shunt-UID.sock, and root's if there is none."},
	[JSON] = {0, "json", NULL,
		  "Print one line of JSON.\n"
		  "Names that are there stay from version to version; others may be added."},
	[INTERVAL] =
		{0, "interval", "S",
		 "With `flows` measure for S seconds how many messages go by each, with `top` show it anew every S "
		 "seconds; 1 without it.\n"
		 "S may have decimals. `flows` with 0 does not measure."},
	[LIMIT] = {0, "limit", "N",
		   "List at most N flows with `flows`, N topics and N clients with `top`.\n"
		   "Without it `flows` lists the 100 busiest, or with --json all, and `top` as many as there is room "
		   "for. 0 lists all."},
	[SORT] =
		{0, "sort", "KEY",
		 "With `top`: sort by KEY, which is `rate`, `in`, `out`, `queued`, `dropped` or `name`; by rate without "
		 "it.\n"
		 "Topics, of which nothing but rates is known, are sorted by `rate` unless it is `name`."},
	[COUNT] = {0, "count", "N", "With `top`: print N snapshots as plain text and exit."},
	[ITERATIONS] =
		{'I', "iterations", "N",
		 "With `scram` and `passwd`: hash the password N times.\n"
		 "N is what each guess costs who has stolen the file.\n"
		 "\n"
		 "With `scram`, 100000 without it. It is also what each login costs the client, not the daemon: about 0.1 s "
		 "at 100000 on a small computer, which is the rule of RFC 7677. Its least, 4096, is right for "
		 "microcontrollers with long random passwords; OWASP advises 600000 for passwords that people choose.\n"
		 "\n"
		 "With `passwd`, 1000 without it, which is about a millisecond. It is what each login costs the daemon; OWASP "
		 "advises 210000."},
	[DELETE] = {'D', "delete", NULL, "With `scram` and `passwd`: remove the user."},
	[CREATE] = {'c', "create", NULL,
		    "With `passwd`: make a new file.\n"
		    "What is in FILE is lost. The short form means this only where `passwd` is the first word."},
	[BATCH] = {'b', "batch", NULL,
		   "With `passwd`: the password is the word behind USER.\n"
		   "While it runs, everybody on this host can see it in the list of processes."},
	[HASH] =
		{'H', "hash", "KIND",
		 "With `passwd`: hash by KIND, which is `sha512-pbkdf2`, `argon2id` or `sha512`; by the first without it.\n"
		 "`argon2id` takes 46 MiB and 70 ms at each login, which makes guesses dear, and is understood by mosquitto "
		 "from 2.1 on, if it was built so. `sha512` hashes once and is for brokers that know nothing better."},
	[UPGRADE] = {'U', "upgrade", NULL, "With `passwd`: hash all passwords in FILE that stand there as plain text."},
	[CONFIG] = {'c', "config-file", "FILE",
		    "With `import`: the daemon's configuration is FILE.\n"
		    "It says where the store is, and as which user the daemon runs. Without it: as without any."},
	[DATABASE] = {0, "database", "FILE", "With `import`: the store is FILE, whatever the configuration says."},
	[REPLACE] = {0, "replace", NULL, "With `import`: remove first what is in the store, bans as well."},
	[CLIENT] = {0, "client", NULL, "With `ban` and `unban`: WHO is a client identifier."},
	[USER] = {0, "user", NULL, "With `ban` and `unban`: WHO is a user name."},
	[ADDRESS] = {0, "address", NULL,
		     "With `ban` and `unban`: WHO is an IPv4 or IPv6 address, or a network, ADDRESS/BITS.\n"
		     "So it is without any of these options."},
	[FOR] = {0, "for", "TIME",
		 "With `ban`: it holds for TIME, a number and s, min, h, d or w, as in 15min.\n"
		 "Without it: until it is lifted by `unban`, or the daemon stops."},
	[REASON] = {0, "reason", "TEXT", "With `ban`: why, for the log and the list."},
	[NAMESPACE] =
		{0, "namespace", "NAME",
		 "With `why`, `ban` and `unban`: the topic, client or user is one of the namespace NAME, see `namespace` in "
		 "`shunt.conf`(5).\n"
		 "Without it, of the default namespace. Clients of others are shown as NAME/ID."},
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
	 "the road of its connection, `local`, `remote` or `none`.\n"
	 "`dropped` counts messages that the client should have got and did not: `queue_full`, its queue is full "
	 "(`max_queued_messages`, `max_queued_bytes`); `qos0_output_full`, it does not read (`max_output_bytes`); "
	 "`too_large`, for its Maximum Packet Size; `expired`, while they waited; `no_memory`; and "
	 "`denied` those that it has subscribed to and may not read (`acl_file`)."},
	{"flows", NULL,
	 "List the topics whose messages the kernel carries, to whom, and how many.\n"
	 "The busiest come first. `rate` is what went by while `shuntctl` was looking, see --interval; `messages` and "
	 "`bytes` count since the flow was installed. A flow is removed whenever something changes for its topic, and "
	 "installed again by the next message."},
	{"top", NULL,
	 "Show, anew every second, how many messages go which way, the busiest topics and clients.\n"
	 "Messages a second are those that came in: by the kernel's local and remote road, and by the daemon. Topics are "
	 "those that the kernel carries. Keys change what is sorted by: r rate, i in, o out, u queued, d dropped, n name; "
	 "q ends it. When standard output is no terminal, snapshots are printed one after the other."},
	{"why", "TOPIC [CLIENT]",
	 "Say by which road messages on TOPIC go, or the first reason why the kernel does not carry them.\n"
	 "With CLIENT, for messages that this client publishes. What is said holds for messages of QoS 0 that are not to "
	 "be retained and have no properties; the kernel carries no others."},
	{"fastpath", "on|off", "Switch the fast path on or off. Messages get where they should in both cases."},
	{"guard", NULL,
	 "Show on which interfaces the guard is, and what it dropped, see `guard_interface` in `shunt.conf`(5).\n"
	 "Packets and bytes, without the headers in front of TCP, count since the daemon started. They were dropped because of "
	 "their address: `blocked`, it is in `guard_block`; `banned`, the daemon has banned it; for what their address sends "
	 "too much of: `packet_rate` and `connection_rate`; as `syn_rate`, because all addresses together open too many "
	 "connections; or for what they are: `not_mqtt`, the first bytes of a connection, which was reset; `malformed`, "
	 "contradictory flags; `oversized` datagrams."},
	{"ban", "WHO",
	 "Ban an address, a client or a user: who is connected is cut off, and refused from now on.\n"
	 "An address is refused before a byte is read, a client identifier and a user name at the CONNECT, by MQTT 5.0 with "
	 "reason 0x8A. Clients that come through a trusted proxy are meant by the address that it tells. A new ban of the same "
	 "replaces the one before. Bans survive a reload of the configuration and, with the option `persistence`, a restart: their time goes on meanwhile. "
	 "The options ban_... of `shunt.conf`(5) make the daemon ban those who misbehave."},
	{"unban", "WHO", "Lift a ban. WHO is as it was given to `ban`, or as `bans` shows it."},
	{"bans", NULL, "List the bans that hold, for how long they still do, since when, and why."},
	{"scram", "FILE USER",
	 "Set the password with which USER authenticates by SCRAM-SHA-256, in FILE.\n"
	 "FILE is that of the option `scram_file` of `shunt.conf`(5). The password is asked for on the terminal, or is the "
	 "line that comes from standard input. It is not stored, only what a server needs to check it, in PostgreSQL's "
	 "form. Characters beyond ASCII count as the bytes they are here; clients must use the same ones (no "
	 "normalisation is done).\n"
	 "\n"
	 "FILE is replaced as a whole, keeping its owner and the other lines; a new one can be read by its owner only. No "
	 "daemon is needed. A running one reads the file again at SIGHUP."},
	{"passwd", "FILE USER [PASSWORD]",
	 "Set the password with which USER logs in, in FILE, a password file as mosquitto has them.\n"
	 "The password is asked for on the terminal, or is the line that comes from standard input; or see -b. Only its "
	 "hash is stored. mosquitto_passwd can change the file as well.\n"
	 "\n"
	 "FILE must be there, or see -c. It is replaced as a whole, keeping its owner and the other lines; a new one can be "
	 "read by its owner only. No daemon is needed. With -U there is no USER: lines that cannot be told to be a password "
	 "or a hash are an error, and then FILE stays as it is."},
	{"import", "FILE",
	 "Take over what mosquitto kept in FILE, its mosquitto.db, into the store of a daemon that is not running.\n"
	 "These are sessions with their subscriptions, the messages of QoS 1 and 2 that wait for them or are on their way to "
	 "and from them, and retained messages, with their properties and what is left of their expiry. Clients that come "
	 "back go on where they were. What cannot be taken over is counted, with the reason; mosquitto does not write wills "
	 "and shared subscriptions into the file.\n"
	 "\n"
	 "FILE is as mosquitto 2.0 writes it when it is stopped, format 6, or as earlier versions did, formats 2 to 5, on a "
	 "machine of the same byte order. It is only read, into memory as a whole. The store must be empty, or see --replace; it is "
	 "changed as a whole or, if anything is wrong, not at all. It belongs to the owner of its folder; a new folder is "
	 "given to the user the daemon runs as."},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

_Static_assert(SCRAM_ITERATIONS_DEFAULT == 100000 && SCRAM_ITERATIONS_MIN == 4096, "as the help says");
_Static_assert(PASSWORD_ITERATIONS_DEFAULT == 1000, "as the help says");

static const char *const synopsis[] = {
	"[-s FILE] [--json] stats|clients",
	"[-s FILE] [--json] [--interval S] [--limit N] flows",
	"[-s FILE] [--interval S] [--limit N] [--sort KEY] [--count N] top",
	"[-s FILE] [--json] [--namespace NAME] why TOPIC [CLIENT]",
	"[-s FILE] [--json] fastpath on|off",
	"[-s FILE] [--json] guard",
	"[-s FILE] [--json] [--address|--client|--user] [--namespace NAME] [--for TIME] [--reason TEXT] ban WHO",
	"[-s FILE] [--json] [--address|--client|--user] [--namespace NAME] unban WHO",
	"[-s FILE] [--json] bans",
	"scram [--iterations N | --delete] FILE USER",
	"passwd [-c] [-H KIND] [-I N] FILE USER",
	"passwd -b [-c] [-H KIND] [-I N] FILE USER PASSWORD",
	"passwd -D FILE USER",
	"passwd -U [-H KIND] [-I N] FILE",
	"import [-c FILE] [--database FILE] [--replace] FILE",
	"--help | --version | --man",
	NULL,
};

static const struct cli cli = {
	.tool = "shuntctl",
	.section = "1",
	.summary = "look into a running Shunt MQTT broker, steer it, keep its users, move to it",
	.synopsis = synopsis,
	.description =
		"`shuntctl` asks a running `shuntd`(8) over its control socket and prints the answer. Who may do so is "
		"up to the permissions of the socket: root, the daemon's user and the members of its group.\n"
		"\n"
		"`shuntctl scram` and `shuntctl passwd` keep files of users and their passwords, and `shuntctl import` takes over what mosquitto kept, "
		"without a daemon.",
	.options = options,
	.noptions = sizeof(options) / sizeof(options[0]),
	.commands = commands,
	.ncommands = COMMANDS,
};

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
			 "Why does the kernel not carry what sensor-7 publishes?\n"
			 "\n"
			 "\tshuntctl why hall/temperature sensor-7\n"
			 "\n"
			 "Keep out, for a day, whoever comes from a network; and a client:\n"
			 "\n"
			 "\tshuntctl ban 198.51.100.0/24 --for 1d --reason 'floods us'\n"
			 "\tshuntctl ban --client sensor-7\n"
			 "\n"
			 "A user with a long random password, which is printed once:\n"
			 "\n"
			 "\topenssl rand -base64 18 | tee /dev/tty | shuntctl scram /etc/shunt/users sensor-7\n"
			 "\n"
			 "A new password file with one user, whose password is asked for:\n"
			 "\n"
			 "\tshuntctl passwd -c /etc/shunt/passwords alice\n"
			 "\n"
			 "Move from mosquitto to Shunt, whose configuration has `persistence true`:\n"
			 "\n"
			 "\tsystemctl stop mosquitto shunt\n"
			 "\tshuntctl import -c /etc/shunt/shunt.conf /var/lib/mosquitto/mosquitto.db\n"
			 "\tsystemctl start shunt");
	man_section(stdout, "See also");
	man_text(stdout, "`shuntd`(8), `shunt.conf`(5)");
}

/* ---- running a command ------------------------------------------------------------------------------------------- */

/* The command line: what is to be done, and the options. */
struct order {
	char **words;
	int nwords;
	unsigned given; /* options, a bit each */
	const char *values[ARGUMENTS];
};

static bool given(const struct order *o, enum argument option)
{
	return o->given >> option & 1;
}

static int finish(int status)
{
	if (fflush(stdout) || ferror(stdout)) {
		perror("shuntctl: stdout");
		return EXIT_REFUSED;
	}
	return status;
}

/* The value of an option that is a whole number, or `otherwise` when it was not given. False after saying what is
 * wrong. */
static bool take_number(const struct order *o, enum argument option, uint64_t least, uint64_t max, uint64_t otherwise,
			uint64_t *out)
{
	*out = otherwise;
	if (!given(o, option) || (!number_parse(o->values[option], max, out) && *out >= least))
		return true;
	cli_usage_error(&cli, "--%s takes a number from %llu to %llu", options[option].name, (unsigned long long)least,
			(unsigned long long)max);
	return false;
}

static bool take_seconds(const struct order *o, double *out)
{
	char *end = NULL;

	*out = 1;
	if (!given(o, INTERVAL))
		return true;
	*out = strtod(o->values[INTERVAL], &end);
	if (end != o->values[INTERVAL] && !*end && *out >= 0 && *out <= SECONDS_MAX)
		return true;
	cli_usage_error(&cli, "--interval takes seconds from 0 to %d", SECONDS_MAX);
	return false;
}

/* Ask the daemon by the JSON object and show what it answers; frees the request. */
static int ask_and_show(const struct order *o, cJSON *request, int (*show)(const cJSON *))
{
	char *text = cJSON_PrintUnformatted(request);
	cJSON *answer = NULL;
	int status = EXIT_REFUSED, err = -1;

	if (text) {
		err = 0;
		status = answer_get(o->values[SOCKET], text, stderr, &answer);
	}
	if (status == EXIT_DONE && given(o, JSON))
		err = answer_print(answer);
	else if (status == EXIT_DONE)
		err = show(answer);
	if (err) {
		fprintf(stderr, "shuntctl: out of memory\n");
		status = EXIT_REFUSED;
	}
	cJSON_free(text);
	cJSON_Delete(answer);
	cJSON_Delete(request);
	return finish(status);
}

static cJSON *request_for(const char *command)
{
	cJSON *request = cJSON_CreateObject();

	cJSON_AddStringToObject(request, "command", command);
	return request;
}

static int run_stats(const struct order *o)
{
	return ask_and_show(o, request_for("stats"), show_stats);
}

static int run_clients(const struct order *o)
{
	return ask_and_show(o, request_for("clients"), show_clients);
}

static int run_flows(const struct order *o)
{
	uint64_t limit;
	double seconds;

	if (!take_number(o, LIMIT, 0, UINT32_MAX, given(o, JSON) ? 0 : FLOWS_LIMIT, &limit) ||
	    !take_seconds(o, &seconds))
		return EXIT_USAGE;
	return finish(flows_list(o->values[SOCKET], given(o, JSON), seconds, limit));
}

static int run_top(const struct order *o)
{
	struct top_settings settings = {.socket = o->values[SOCKET]};

	if (!take_number(o, LIMIT, 0, UINT32_MAX, TOP_LIMIT_BY_ROOM, &settings.limit) ||
	    !take_number(o, COUNT, 1, UINT32_MAX, 0, &settings.count) || !take_seconds(o, &settings.seconds))
		return EXIT_USAGE;
	if (settings.seconds < TOP_SECONDS_MIN)
		return cli_usage_error(&cli, "with top --interval takes seconds from %g", TOP_SECONDS_MIN);
	if (given(o, SORT) && !top_sort_key(o->values[SORT], &settings.key))
		return cli_usage_error(&cli, "--sort takes rate, in, out, queued, dropped or name");
	return finish(top(&settings));
}

static void add_namespace(const struct order *o, cJSON *request)
{
	if (given(o, NAMESPACE))
		cJSON_AddStringToObject(request, "namespace", o->values[NAMESPACE]);
}

static int run_why(const struct order *o)
{
	cJSON *request = request_for("why");

	cJSON_AddStringToObject(request, "topic", o->words[1]);
	if (o->nwords > 2)
		cJSON_AddStringToObject(request, "client", o->words[2]);
	add_namespace(o, request);
	return ask_and_show(o, request, show_why);
}

static int run_fastpath(const struct order *o)
{
	cJSON *request = request_for("fastpath");

	cJSON_AddStringToObject(request, "state", o->words[1]);
	return ask_and_show(o, request, show_fastpath);
}

static int run_guard(const struct order *o)
{
	return ask_and_show(o, request_for("guard"), show_guard);
}

/* Who is meant, in the request. False after saying that it is not clear. */
static bool add_subject(const struct order *o, cJSON *request)
{
	const char *kind = given(o, CLIENT) ? "client" : given(o, USER) ? "user" : "address";

	if (given(o, NAMESPACE) && !given(o, CLIENT) && !given(o, USER)) {
		cli_usage_error(&cli, "--namespace goes with --client and --user: an address is banned in all of them");
		return false;
	}
	if (given(o, CLIENT) + given(o, USER) + given(o, ADDRESS) > 1) {
		cli_usage_error(&cli, "either --address, --client or --user");
		return false;
	}
	cJSON_AddStringToObject(request, kind, o->words[1]);
	add_namespace(o, request);
	return true;
}

static int run_ban(const struct order *o)
{
	cJSON *request = request_for("ban");
	uint64_t seconds = 0;
	int status = EXIT_USAGE;

	if (!add_subject(o, request))
		goto out;
	if (given(o, FOR) && !bans_duration(o->values[FOR], &seconds)) {
		cli_usage_error(&cli, "--for takes a number and s, min, h, d or w, as in 15min");
		goto out;
	}
	if (seconds)
		cJSON_AddNumberToObject(request, "seconds", (double)seconds);
	if (given(o, REASON))
		cJSON_AddStringToObject(request, "reason", o->values[REASON]);
	return ask_and_show(o, request, show_ban);
out:
	cJSON_Delete(request);
	return status;
}

static int run_unban(const struct order *o)
{
	cJSON *request = request_for("unban");

	if (add_subject(o, request))
		return ask_and_show(o, request, show_unban);
	cJSON_Delete(request);
	return EXIT_USAGE;
}

static int run_bans(const struct order *o)
{
	return ask_and_show(o, request_for("bans"), show_bans);
}

static int run_scram(const struct order *o)
{
	uint64_t iterations;

	if (given(o, DELETE) && given(o, ITERATIONS))
		return cli_usage_error(&cli, "either --delete or --iterations");
	if (given(o, DELETE))
		return scram_delete(o->words[1], o->words[2]);
	if (!take_number(o, ITERATIONS, SCRAM_ITERATIONS_MIN, SCRAM_ITERATIONS_MAX, SCRAM_ITERATIONS_DEFAULT,
			 &iterations))
		return EXIT_USAGE;
	return scram_set(o->words[1], o->words[2], (uint32_t)iterations);
}

/* The kind of hash and its iterations. */
static bool take_hashing(const struct order *o, struct passwd_hashing *how)
{
	uint64_t iterations;

	how->kind = PASSWORD_PBKDF2;
	if (given(o, HASH) && !password_kind(o->values[HASH], &how->kind)) {
		cli_usage_error(&cli, "--hash takes sha512-pbkdf2, argon2id or sha512");
		return false;
	}
	if (given(o, ITERATIONS) && how->kind != PASSWORD_PBKDF2) {
		cli_usage_error(&cli, "--iterations does not go with --hash %s", o->values[HASH]);
		return false;
	}
	if (!take_number(o, ITERATIONS, 1, PASSWORD_ITERATIONS_MAX, PASSWORD_ITERATIONS_DEFAULT, &iterations))
		return false;
	how->iterations = (uint32_t)iterations;
	return true;
}

/* What FILE is followed by depends on what is to be done. */
static bool check_passwd_words(const struct order *o)
{
	const char *form = "FILE USER";
	int nwords = 3;

	if (given(o, BATCH)) {
		form = "-b FILE USER PASSWORD";
		nwords = 4;
	} else if (given(o, UPGRADE)) {
		form = "-U FILE";
		nwords = 2;
	} else if (given(o, DELETE)) {
		form = "-D FILE USER";
	} else if (o->nwords == 4) {
		form = "-b FILE USER PASSWORD";
	}
	if (o->nwords == nwords)
		return true;
	cli_usage_error(&cli, "write \"passwd %s\"", form);
	return false;
}

static int run_passwd(const struct order *o)
{
	const unsigned set = 1u << CREATE | 1u << BATCH, hashing = 1u << HASH | 1u << ITERATIONS;
	struct passwd_hashing how;

	if (given(o, DELETE) && o->given & (set | hashing | 1u << UPGRADE))
		return cli_usage_error(&cli, "--delete goes with no other option");
	if (given(o, UPGRADE) && o->given & set)
		return cli_usage_error(&cli, "--upgrade goes with --hash and --iterations only");
	if (!check_passwd_words(o) || !take_hashing(o, &how))
		return EXIT_USAGE;
	if (given(o, UPGRADE))
		return passwd_upgrade(o->words[1], how);
	if (given(o, DELETE))
		return passwd_delete(o->words[1], o->words[2]);
	return passwd_set(o->words[1], o->words[2], given(o, BATCH) ? o->words[3] : NULL, how, given(o, CREATE));
}

static int run_import(const struct order *o)
{
	const struct import_settings settings = {
		.file = o->words[1],
		.config = o->values[CONFIG],
		.database = o->values[DATABASE],
		.replace = given(o, REPLACE),
	};

	return finish(import(&settings));
}

/* In the order of `commands`: what each does, the options that go with it, and how many words it takes. */
static const struct {
	int (*run)(const struct order *o);
	unsigned options;
	int least, most;
} runs[] = {
	{run_stats, 1u << SOCKET | 1u << JSON, 1, 1},
	{run_clients, 1u << SOCKET | 1u << JSON, 1, 1},
	{run_flows, 1u << SOCKET | 1u << JSON | 1u << INTERVAL | 1u << LIMIT, 1, 1},
	{run_top, 1u << SOCKET | 1u << INTERVAL | 1u << LIMIT | 1u << SORT | 1u << COUNT, 1, 1},
	{run_why, 1u << SOCKET | 1u << JSON | 1u << NAMESPACE, 2, 3},
	{run_fastpath, 1u << SOCKET | 1u << JSON, 2, 2},
	{run_guard, 1u << SOCKET | 1u << JSON, 1, 1},
	{run_ban,
	 1u << SOCKET | 1u << JSON | 1u << ADDRESS | 1u << CLIENT | 1u << USER | 1u << FOR | 1u << REASON |
		 1u << NAMESPACE,
	 2, 2},
	{run_unban, 1u << SOCKET | 1u << JSON | 1u << ADDRESS | 1u << CLIENT | 1u << USER | 1u << NAMESPACE, 2, 2},
	{run_bans, 1u << SOCKET | 1u << JSON, 1, 1},
	{run_scram, 1u << ITERATIONS | 1u << DELETE, 3, 3},
	{run_passwd, 1u << CREATE | 1u << BATCH | 1u << HASH | 1u << ITERATIONS | 1u << DELETE | 1u << UPGRADE, 2, 4},
	{run_import, 1u << CONFIG | 1u << DATABASE | 1u << REPLACE, 2, 2},
};
_Static_assert(COMMANDS == sizeof(runs) / sizeof(runs[0]), "each command does something");

static int run(const struct order *o)
{
	const struct cli_command *c;
	size_t i = 0;

	if (o->nwords == 0)
		return cli_usage_error(&cli, "what shall be done?");
	while (i < cli.ncommands && strcmp(commands[i].name, o->words[0]) != 0)
		i++;
	if (i == cli.ncommands)
		return cli_usage_error(&cli, "there is no command \"%s\"", o->words[0]);
	c = &commands[i];
	for (unsigned k = 0; k < cli.noptions; k++) {
		if (!given(o, k) || runs[i].options >> k & 1)
			continue;
		if (options[k].name)
			return cli_usage_error(&cli, "--%s does not go with %s", options[k].name, c->name);
		return cli_usage_error(&cli, "-%c does not go with %s", options[k].letter, c->name);
	}
	if (o->nwords < runs[i].least || (o->nwords > runs[i].most && c->argument))
		return cli_usage_error(&cli, "write \"%s %s\"", c->name, c->argument);
	if (o->nwords > runs[i].most)
		return cli_usage_error(&cli, "what is \"%s\"?", o->words[runs[i].most]);
	return runs[i].run(o);
}

/* -c is short for one option with passwd, as it is with mosquitto_passwd, and for another with all else. */
static struct cli offer(int argc, char **argv, struct cli_option offered[ARGUMENTS])
{
	bool passwd = argc > 1 && !strcmp(argv[1], "passwd");
	struct cli c = cli;

	memcpy(offered, options, sizeof(options));
	offered[passwd ? CONFIG : CREATE].letter = 0;
	c.options = offered;
	return c;
}

int main(int argc, char **argv)
{
	struct cli_option offered[ARGUMENTS];
	struct cli parser = offer(argc, argv, offered);
	struct order order = {0};
	const char *value;
	int option;

	while ((option = cli_next(&parser, argc, argv, &value)) >= 0) {
		switch ((enum argument)option) {
		case HELP:
			cli_help(stdout, &cli);
			return EXIT_DONE;
		case VERSION:
			printf("shuntctl version %s\n", SHUNT_VERSION);
			return EXIT_DONE;
		case MAN:
			print_man();
			return EXIT_DONE;
		default:
			order.given |= 1u << option;
			order.values[option] = value;
		}
	}
	if (option == CLI_WRONG)
		return EXIT_USAGE;
	order.words = argv + optind;
	order.nwords = argc - optind;
	return run(&order);
}
