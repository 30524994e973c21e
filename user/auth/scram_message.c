// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "auth/scram_message.h"

#include <string.h>

#include "base/base64.h"
#include "mqtt/utf8.h"

static const char malformed[] = "the message is malformed";

/* An attribute: a letter, '=' and a value. */
struct attribute {
	char letter;
	struct mqtt_str value;
};

static struct mqtt_str skip(struct mqtt_str s, uint32_t n)
{
	return (struct mqtt_str){.data = s.data + n, .len = s.len - n};
}

/* Take the first attribute off the text, and the comma behind it; the text is then empty or begins with the next one. */
static bool take(struct mqtt_str *text, struct attribute *a)
{
	const uint8_t *comma = text->len ? memchr(text->data, ',', text->len) : NULL;
	uint32_t len = comma ? (uint32_t)(comma - text->data) : text->len;

	if (len < 3 || (uint8_t)((text->data[0] | 0x20) - 'a') >= 26 || text->data[1] != '=' || len + 1 == text->len)
		return false;
	a->letter = (char)text->data[0];
	a->value = (struct mqtt_str){.data = text->data + 2, .len = len - 2};
	*text = skip(*text, comma ? len + 1 : len);
	return true;
}

/* The same, when it must be this one. */
static bool take_only(struct mqtt_str *text, char letter, struct mqtt_str *value)
{
	struct attribute a;

	if (!take(text, &a) || a.letter != letter)
		return false;
	*value = a.value;
	return true;
}

/* Letters that the RFC has given a meaning, which is another one than where an optional extension stands. */
static bool is_extension(char letter)
{
	return !strchr("anmrcsipve", letter);
}

static bool valid_nonce(struct mqtt_str nonce)
{
	for (uint32_t i = 0; i < nonce.len; i++) {
		if (nonce.data[i] <= ' ' || nonce.data[i] >= 0x7f)
			return false;
	}
	return true;
}

/* A saslname: "=2C" is a comma, "=3D" is "=", and there is no other "=". NULL, or what is wrong. */
static const char *unescape(struct mqtt_str text, uint8_t name[SCRAM_NAME_MAX], uint32_t *name_len)
{
	uint32_t len = 0;

	while (text.len) {
		uint32_t used = 1;
		uint8_t c = text.data[0];

		if (c == '=') {
			if (text.len < 3)
				return malformed;
			used = 3;
			if (!memcmp(text.data, "=2C", 3))
				c = ',';
			else if (memcmp(text.data, "=3D", 3) != 0)
				return malformed;
		}
		if (len == SCRAM_NAME_MAX)
			return "the user name is too long";
		name[len++] = c;
		text = skip(text, used);
	}
	*name_len = len;
	return NULL;
}

/* "n," or "y,", then "a=AUTHZID" or nothing, then a comma; taken off the text. NULL, or what is wrong. */
static const char *take_gs2_header(struct mqtt_str *text, struct mqtt_str *authzid)
{
	struct attribute a;

	if (text->len < 3 || text->data[1] != ',')
		return text->len > 1 && !memcmp(text->data, "p=", 2) ? "it asks for channel binding" : malformed;
	if (text->data[0] != 'n' && text->data[0] != 'y')
		return malformed;
	*text = skip(*text, 2);
	*authzid = (struct mqtt_str){0};
	if (text->data[0] == ',') {
		*text = skip(*text, 1);
		return NULL;
	}
	if (!take(text, &a) || a.letter != 'a')
		return malformed;
	*authzid = a.value;
	return NULL;
}

static const char *parse_names(struct mqtt_str escaped, struct mqtt_str authzid, struct scram_client_first *first)
{
	const char *why = unescape(escaped, first->name, &first->name_len);

	if (why)
		return why;
	/* Escaping leaves no choice, so that the same names are the same bytes. */
	if (authzid.len && !mqtt_str_eq(authzid, escaped))
		return "it asks for the rights of another user";
	if (scram_name_fault((struct mqtt_str){.data = first->name, .len = first->name_len}))
		return "no user can have such a name";
	return NULL;
}

const char *scram_parse_client_first(struct mqtt_str message, struct scram_client_first *first)
{
	struct mqtt_str text = message, authzid, name;
	struct attribute a;
	const char *why;

	if (message.len > SCRAM_MESSAGE_MAX)
		return "the message is too long";
	if (!utf8_valid(message.data, message.len))
		return malformed;
	why = take_gs2_header(&text, &authzid);
	if (why)
		return why;
	first->gs2_header = (struct mqtt_str){.data = message.data, .len = message.len - text.len};
	if (text.len > 1 && !memcmp(text.data, "m=", 2))
		return "it asks for an extension that there is not";
	if (!take_only(&text, 'n', &name) || !take_only(&text, 'r', &first->nonce) || !valid_nonce(first->nonce))
		return malformed;
	while (text.len) {
		if (!take(&text, &a) || !is_extension(a.letter))
			return malformed;
	}
	return parse_names(name, authzid, first);
}

const char *scram_parse_client_final(struct mqtt_str message, struct scram_client_final *final)
{
	struct mqtt_str text = message;
	struct attribute a;
	uint32_t left;

	if (message.len > SCRAM_MESSAGE_MAX)
		return "the message is too long";
	if (!utf8_valid(message.data, message.len))
		return malformed;
	if (!take_only(&text, 'c', &final->channel_binding) || !take_only(&text, 'r', &final->nonce))
		return malformed;
	do {
		left = text.len;
		if (!take(&text, &a) || (a.letter != 'p' && !is_extension(a.letter)))
			return malformed;
	} while (a.letter != 'p');
	final->without_proof = (struct mqtt_str){.data = message.data, .len = message.len - left - 1};
	if (text.len ||
	    base64_decode(final->proof, SCRAM_KEY_LEN, (const char *)a.value.data, a.value.len) != SCRAM_KEY_LEN)
		return malformed;
	return NULL;
}
