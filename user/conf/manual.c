// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The options for people: --help and shunt.conf(5), both from the table. */
#include <string.h>

#include "base/document.h"
#include "conf/option.h"

enum { HELP_COLUMN = 8, DEFAULT_MAX = 256 };

/* "Default: X." */
static void describe_default(const struct conf_option *o, char text[DEFAULT_MAX])
{
	if (o->value)
		snprintf(text, DEFAULT_MAX, "Default: `%s`.", o->value);
	else
		snprintf(text, DEFAULT_MAX, "Default: %s.", o->fallback);
}

void conf_help(FILE *f)
{
	char text[DEFAULT_MAX];

	for (size_t i = 0; i < conf_noptions; i++) {
		const struct conf_option *o = &conf_options[i];

		describe_default(o, text);
		fprintf(f, "  %s %s\n%*s", o->name, o->argument, HELP_COLUMN, "");
		document_summary(f, HELP_COLUMN, o->help, text);
	}
}

static void man_options(FILE *f, enum conf_scope scope)
{
	char text[DEFAULT_MAX];

	for (size_t i = 0; i < conf_noptions; i++) {
		const struct conf_option *o = &conf_options[i];

		if (o->scope != scope)
			continue;
		man_item(f, o->name, o->argument, o->help);
		if (o->old_name) {
			snprintf(text, sizeof(text), "An old name of it is `%s`.", o->old_name);
			man_item_more(f, text);
		}
		describe_default(o, text);
		man_item_more(f, text);
		if (o->restart)
			man_item_more(f, "A change of it counts when `shuntd` is started again.");
	}
}

/* The names of mosquitto's options that are refused, as one paragraph. */
static void man_foreign(FILE *f)
{
	const char *name;

	for (size_t i = 0; (name = conf_foreign_name(i)); i++)
		fprintf(f, "%s%s\n", name, conf_foreign_name(i + 1) ? "," : ".");
}

void conf_man(FILE *f)
{
	man_head(f, "shunt.conf", "5", "configuration of the Shunt MQTT broker");
	man_section(f, "Synopsis");
	man_text(f, "`shuntd -c` FILE");
	man_section(f, "Description");
	man_text(
		f,
		"The configuration of `shuntd`(8) has the syntax of mosquitto.conf. Each line holds the name of an option, a "
		"space, and its value, which is the rest of the line without the blanks around it; there are no quotation "
		"marks. A line whose first character is # is a comment. Where an option is given twice, the later line counts, unless it is one that may be given many times. Behind a value that is one "
		"word or number, a blank and a # begin a comment. Lines may end as those of Windows do.\n"
		"\n"
		"\tlistener 1883\n"
		"\tallow_anonymous true\n"
		"\tmax_connections 1000\n"
		"\tlog_dest file /var/log/shunt.log\n"
		"\n"
		"Any option can be given on the command line, too, as in `shuntd -o` \"max_qos 1\", and then counts as a "
		"last line of the file. An option that Shunt does not know is an error, also when mosquitto has it. "
		"`shuntd --test-config` reports all errors of a file.\n"
		"\n"
		"When `shuntd` gets SIGHUP, it reads the file again. If there is an error in it, everything stays as it is. Else "
		"what has changed counts from then on, without a client being disconnected, but for the options of which "
		"their description says otherwise.");
	man_section(f, "Options");
	man_options(f, CONF_GLOBAL);
	man_section(f, "Options of a listener");
	man_text(f, "These stand below the `listener` line that they belong to.");
	man_options(f, CONF_LISTENER);
	man_section(f, "Options of mosquitto that are refused");
	man_text(f, "Shunt does not have these and says so by name, rather than run without what they ask for:");
	man_foreign(f);
	man_section(f, "See also");
	man_text(f, "`shuntd`(8), `shuntctl`(1), `mosquitto.conf`(5)");
}
