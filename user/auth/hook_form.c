// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What a hook is told of a client, as a form: by the URL standard, section 5.2. */
#include <stdio.h>
#include <string.h>

#include "auth/hook.h"

enum { ESCAPED = 3 }; /* bytes that one becomes */

static bool stays(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("*-._", c);
}

static char *put_text(char *to, const char *text)
{
	size_t len = strlen(text);

	memcpy(to, text, len);
	return to + len;
}

static char *put(char *to, const char *name, struct mqtt_str value)
{
	static const char digits[] = "0123456789ABCDEF";

	if (!value.data)
		return to;
	to = put_text(put_text(to, name), "=");
	for (uint32_t i = 0; i < value.len; i++) {
		uint8_t c = value.data[i];

		if (c && stays(c)) {
			*to++ = (char)c;
			continue;
		}
		*to++ = '%';
		*to++ = digits[c >> 4];
		*to++ = digits[c & 15];
	}
	return put_text(to, "&");
}

char *hook_form(const struct hook_client *c, size_t *len)
{
	size_t most = ESCAPED * ((size_t)c->client_id.len + c->username.len + c->password.len + c->address.len +
				 c->certificate.len);
	char *form = malloc(most + sizeof("client_id=&username=&password=&address=&certificate=&port=65535"));
	char *end = form;
	char port[16];

	if (!form)
		return NULL;
	end = put(end, "client_id", c->client_id);
	end = put(end, "username", c->username);
	end = put(end, "password", c->password);
	end = put(end, "address", c->address);
	end = put(end, "certificate", c->certificate);
	snprintf(port, sizeof(port), "port=%u", c->port);
	end = put_text(end, port);
	*len = (size_t)(end - form);
	return form;
}
