// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Options of the guard. */
#include <net/if.h>
#include <string.h>

#include "base/number.h"
#include "conf/option.h"
#include "net/address.h"

enum {
	WORD_MAX = 64,
	RATE_MAX = 10000000,
};

static const char blanks[] = " \t";

/* Copy the next word of *value and step behind it. False: there is none, or it is too long and `word` its beginning. */
static bool next_word(const char **value, char word[WORD_MAX])
{
	size_t len = strcspn(*value, blanks), part = len < WORD_MAX ? len : WORD_MAX - 1;

	memcpy(word, *value, part);
	word[part] = '\0';
	*value += len;
	*value += strspn(*value, blanks);
	return len && part == len;
}

int conf_parse_guard_interface(struct conf *c, const struct conf_option *o, void *field, const char *value,
			       const char *where)
{
	char word[WORD_MAX];

	(void)c;
	while (*value) {
		if (!next_word(&value, word) || strlen(word) >= IF_NAMESIZE || strchr(word, '/'))
			return conf_error(where, "%s: \"%.64s\" is not the name of a network interface", o->name, word);
		for (char **i = *(char ***)field; i && *i; i++) {
			if (!strcmp(*i, word))
				return conf_error(where, "%s: %s is given twice", o->name, word);
		}
		if (conf_add_string(field, word, where))
			return -1;
	}
	return 0;
}

int conf_parse_guard_networks(struct conf *c, const struct conf_option *o, void *field, const char *value,
			      const char *where)
{
	char word[WORD_MAX];
	struct network n;

	(void)c;
	while (*value) {
		const char *wrong = next_word(&value, word) ? network_parse(word, &n) : "it is too long";

		if (!wrong && n.address.family == AF_UNIX)
			wrong = "clients of Unix sockets do not come over a network";
		if (wrong)
			return conf_error(where, "%s: \"%.64s\": %s", o->name, word, wrong);
		if (conf_add_string(field, word, where))
			return -1;
	}
	return 0;
}

int conf_parse_guard_rate(struct conf *c, const struct conf_option *o, void *field, const char *value,
			  const char *where)
{
	struct guard_rate *r = field;
	const char *rest = value;
	char rate_text[WORD_MAX], burst_text[WORD_MAX];
	uint64_t rate, burst;
	bool good;

	(void)c;
	good = next_word(&rest, rate_text) && !number_parse(rate_text, RATE_MAX, &rate);
	if (good && *rest)
		good = next_word(&rest, burst_text) && !number_parse(burst_text, RATE_MAX, &burst) && burst && !*rest;
	else
		burst = good ? rate : 0;
	if (!good)
		return conf_error(
			where,
			"%s: \"%.64s\" is not a whole number from 0 to %d, of one second, and perhaps a second "
			"one from 1 on, of what may come at once",
			o->name, value, RATE_MAX);
	*r = (struct guard_rate){.rate = (uint32_t)rate, .burst = (uint32_t)burst};
	return 0;
}
