// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The file of keys that clients share with the broker: what is read of it is found again, and is within its bounds. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/tls_psk.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	log_set_dest(0, NULL);
	return 0;
}

static void must(int good)
{
	if (!good)
		abort();
}

static size_t lines_with_colon(const uint8_t *data, size_t size)
{
	size_t n = 0;

	while (size) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end ? (size_t)(end - data) + 1 : size;

		n += memchr(data, ':', len) != NULL;
		data += len;
		size -= len;
	}
	return n;
}

/* The identity of a line that has no blanks around it, if the line is none of the others. */
static void find_again(const struct tls_psk *psk, const uint8_t *line, size_t len)
{
	const uint8_t *colon = memchr(line, ':', len);
	uint8_t key[TLS_PSK_KEY_MAX + 1];
	size_t identity_len = colon ? (size_t)(colon - line) : 0, n;
	bool known;

	if (!identity_len || strchr("# \t\r", line[0]) || strchr(" \t\r", line[identity_len - 1]))
		return;
	key[TLS_PSK_KEY_MAX] = 0x5a;
	n = tls_psk_find(psk, line, identity_len, key);
	must(n > 0 && n <= TLS_PSK_KEY_MAX && 2 * n < len);
	must(tls_psk_find_or_make(psk, line, identity_len, key, &known) == n && known);
	must(key[TLS_PSK_KEY_MAX] == 0x5a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *f = size ? fmemopen((void *)data, size, "r") : NULL;
	struct tls_psk *psk;

	if (!f)
		return 0;
	psk = tls_psk_read(f, "keys");
	fclose(f);
	if (!psk)
		return 0;
	must(tls_psk_count(psk) <= lines_with_colon(data, size));
	while (size) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end ? (size_t)(end - data) : size;

		find_again(psk, data, len);
		len += end != NULL;
		data += len;
		size -= len;
	}
	tls_psk_unref(psk);
	return 0;
}
