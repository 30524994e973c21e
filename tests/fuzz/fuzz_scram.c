// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What comes from clients and from the file of users. The first byte tells what the others are:
 *	m	the two messages of a client, with a NUL between them
 *	s	the file
 *	b	base64
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../unit/scram_client.h"
#include "base/base64.h"
#include "base/log.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The RFC's user, and one whose password costs less. */
static struct auth_store *store;
static const char password[] = "fuzz";

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct scram_verifier v = {.iterations = 1, .salt_len = 16};
	char text[SCRAM_VERIFIER_TEXT_MAX], users[2 * SCRAM_VERIFIER_TEXT_MAX];

	(void)argc, (void)argv;
	log_set_dest(0, NULL);
	client_must(scram_verifier_derive(&v, mqtt_str(password)) == 0);
	scram_verifier_format(&v, text);
	client_print(users, sizeof(users), "user:%s\nfuzz:%s\n", RFC_VERIFIER, text);
	store = store_of(users);
	client_must(store != NULL);
	return 0;
}

/* A client that goes on as it should gets in, whatever it began with that was accepted. */
static void go_on(struct auth_exchange *e, const char *first, struct mqtt_str server_first)
{
	struct scram_client c = {.password = password, .final_options = ""};
	char header[CLIENT_TEXT_MAX], reply[CLIENT_TEXT_MAX];
	const char *end = strchr(strchr(first, ',') + 1, ',') + 1; /* it was accepted, so they are there */

	client_print(header, sizeof(header), "%.*s", (int)(end - first), first);
	c.gs2_header = header;
	client_print(c.first, sizeof(c.first), "%s", first);
	client_print(reply, sizeof(reply), "%.*s", (int)server_first.len, (const char *)server_first.data);
	client_final(&c, reply);
	client_must(step_text(e, c.final, reply) == AUTH_SUCCESS && !strcmp(reply, c.server_final));
	client_must(mqtt_str_eq(auth_username(e), mqtt_str(password)));
}

static void fuzz_messages(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
	size_t first_len = nul ? (size_t)(nul - data) : size, final_len = nul ? size - first_len - 1 : 0;
	char *first = strndup(size ? (const char *)data : "", first_len);
	struct auth_exchange *e = auth_begin(&scram_sha_256, store);
	struct mqtt_str reply;
	enum auth_result result;

	client_must(first && e);
	scram_set_nonce(e, RFC_SERVER_NONCE);
	result = step_bytes(e, data, first_len, &reply);
	client_must(result == AUTH_CONTINUE || result == AUTH_DENIED);
	if (result == AUTH_CONTINUE && mqtt_str_eq(auth_claimed_username(e), mqtt_str(password))) {
		go_on(e, first, reply);
	} else if (result == AUTH_CONTINUE && nul) {
		result = step_bytes(e, nul + 1, final_len, &reply);
		/* Nothing else proves to know the password. */
		client_must(result == AUTH_DENIED ||
			    (!strcmp(first, RFC_CLIENT_FIRST) && final_len == strlen(RFC_CLIENT_FINAL) &&
			     !memcmp(nul + 1, RFC_CLIENT_FINAL, final_len)));
	}
	auth_end(e);
	free(first);
}

/* What is read can be written, and is read as the same again. */
static void fuzz_file(const uint8_t *data, size_t size)
{
	FILE *f = size ? fmemopen((void *)data, size, "r") : NULL;
	char text[SCRAM_VERIFIER_TEXT_MAX], again[SCRAM_VERIFIER_TEXT_MAX];
	struct scram_verifier v;
	struct auth_store *s;

	if (!f)
		return;
	s = auth_store_read(f, "users");
	fclose(f);
	for (size_t i = 0; s && i < auth_store_count(s); i++) {
		client_must(scram_verifier_format(auth_store_at(s, i), text) < sizeof(text));
		client_must(!scram_verifier_parse(text, &v));
		scram_verifier_format(&v, again);
		client_must(!strcmp(text, again));
	}
	auth_store_unref(s);
}

/* Each value has one form. */
static void fuzz_base64(const uint8_t *data, size_t size)
{
	uint8_t *text = exact_copy(data, size), *bytes = malloc(size + 1);
	char *again = malloc(size + 5);
	ssize_t len;

	client_must(bytes && again);
	len = base64_decode(bytes, size, (const char *)text, size);
	if (len >= 0)
		client_must(base64_encode(again, bytes, (size_t)len) == size && !memcmp(again, data, size));
	free(again);
	free(bytes);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	switch (data[0]) {
	case 'm':
		fuzz_messages(data + 1, size - 1);
		break;
	case 's':
		fuzz_file(data + 1, size - 1);
		break;
	case 'b':
		fuzz_base64(data + 1, size - 1);
		break;
	}
	return 0;
}
