// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Who may use HTTP: tokens, of which only hashes are kept, and the host names that requests may be for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "admin/http_internal.h"
#include "base/lines.h"
#include "base/log.h"
#include "net/address.h"

enum { TOKEN_MIN = 16, TOKEN_MAX = 256 };

struct token {
	enum http_role role;
	uint8_t hash[SHA256_DIGEST_LENGTH];
};

struct http_rules {
	bool needed; /* there is a file of tokens */
	struct token *tokens;
	size_t ntokens;
	char **hosts; /* NULL at the end */
};

/* ---- reading ------------------------------------------------------------------------------------------------------ */

struct reader {
	struct lines at;
	struct http_rules *rules;
};

static int add_token(struct reader *r, enum http_role role, const char *text, size_t len)
{
	struct token *all = realloc(r->rules->tokens, (r->rules->ntokens + 1) * sizeof(*all));

	if (!all)
		return lines_fault(&r->at, "out of memory");
	r->rules->tokens = all;
	all[r->rules->ntokens].role = role;
	SHA256((const uint8_t *)text, len, all[r->rules->ntokens].hash);
	r->rules->ntokens++;
	return 0;
}

static int read_line(void *arg, char *line, size_t len)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=";
	struct reader *r = arg;
	char *save = NULL, *role, *token;

	line[strcspn(line, "\r\n")] = '\0';
	role = strtok_r(line, " \t", &save);
	if (!role || *role == '#')
		return 0;
	if (strcmp(role, "read") != 0 && strcmp(role, "admin") != 0)
		return lines_fault(&r->at, "a line is \"read TOKEN\" or \"admin TOKEN\"");
	token = strtok_r(NULL, " \t", &save);
	len = token ? strlen(token) : 0;
	if (!token || strtok_r(NULL, " \t", &save))
		return lines_fault(&r->at, "one token stands behind \"%s\"", role);
	if (len < TOKEN_MIN || len > TOKEN_MAX || strspn(token, allowed) < len)
		return lines_fault(
			&r->at,
			"a token has %d to %d letters, digits and -._~+/=: make one by \"openssl rand -base64 24\"",
			TOKEN_MIN, TOKEN_MAX);
	return add_token(r, *role == 'a' ? HTTP_ADMIN : HTTP_READ, token, len);
}

/* Of a file that is open, so that it is this one that is looked at. */
static int check_mode(FILE *f, const char *path)
{
	struct stat st;

	if (fstat(fileno(f), &st)) {
		log_error("Error: Unable to read the http_tokens %s: %s.", path, strerror(errno));
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		log_error("Error: The http_tokens %s is not a file.", path);
		return -1;
	}
	if (st.st_mode & (S_IRWXO | S_IWGRP)) {
		log_error("Error: The http_tokens %s can be used by others, its mode is %03o: \"chmod 640 %s\".", path,
			  st.st_mode & 0777, path);
		return -1;
	}
	return 0;
}

static int read_tokens(struct http_rules *rules, const char *path)
{
	struct reader r = {.at = {.path = path}, .rules = rules};
	FILE *f = fopen(path, "re");
	int err;

	if (!f) {
		log_error("Error: Unable to read the http_tokens %s: %s.", path, strerror(errno));
		return -1;
	}
	err = check_mode(f, path);
	if (!err)
		err = lines_read(&r.at, f, read_line, &r);
	fclose(f);
	rules->needed = true;
	return err;
}

static int copy_hosts(struct http_rules *rules, char *const *hosts)
{
	size_t n = 0;

	while (hosts && hosts[n])
		n++;
	rules->hosts = calloc(n + 1, sizeof(*rules->hosts));
	for (size_t i = 0; rules->hosts && i < n; i++) {
		rules->hosts[i] = strdup(hosts[i]);
		if (!rules->hosts[i])
			n = i;
	}
	if (rules->hosts && (!n || rules->hosts[n - 1]) && (!hosts || !hosts[n]))
		return 0;
	log_error("Error: Out of memory.");
	return -1;
}

struct http_rules *http_rules_load(const struct conf *live, const struct conf *next)
{
	struct http_rules *rules = calloc(1, sizeof(*rules));
	struct conf_http_place place;
	int err = 0;

	if (!rules) {
		log_error("Error: Out of memory.");
		return NULL;
	}
	if (next->http_tokens)
		err = read_tokens(rules, next->http_tokens);
	if (live->http_listener && !conf_http_place(live->http_listener, &place) && !place.loopback && !rules->needed) {
		log_error(
			"Error: HTTP is served to other hosts (http_listener %s) until the broker is started again, so "
			"there has to be a file http_tokens.",
			live->http_listener);
		err = -1;
	}
	if (!err && !copy_hosts(rules, next->http_hosts))
		return rules;
	http_rules_free(rules);
	return NULL;
}

void http_rules_free(struct http_rules *rules)
{
	if (!rules)
		return;
	for (size_t i = 0; rules->hosts && rules->hosts[i]; i++)
		free(rules->hosts[i]);
	free(rules->hosts);
	free(rules->tokens);
	free(rules);
}

void http_set_rules(struct http *http, struct http_rules *rules)
{
	struct http_rules *old = rules;

	if (http) {
		pthread_mutex_lock(&http->lock);
		old = http->rules;
		http->rules = rules;
		pthread_mutex_unlock(&http->lock);
	}
	http_rules_free(old);
}

/* ---- going by them ------------------------------------------------------------------------------------------------ */

/* Takes as long whichever token it is, and if it is none. */
static enum http_role find_role(const struct http_rules *rules, const char *token)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	unsigned role = HTTP_NOBODY;

	SHA256((const uint8_t *)token, strlen(token), hash);
	for (size_t i = 0; i < rules->ntokens; i++) {
		unsigned same = CRYPTO_memcmp(hash, rules->tokens[i].hash, sizeof(hash)) == 0;

		role |= rules->tokens[i].role & (0 - same);
	}
	return role & HTTP_ADMIN ? HTTP_ADMIN : (enum http_role)role;
}

enum http_role http_role_of(struct http *h, const char *authorization, bool *needed)
{
	static const char scheme[] = "Bearer ";
	enum http_role role = HTTP_NOBODY;

	pthread_mutex_lock(&h->lock);
	*needed = h->rules->needed;
	if (!*needed)
		role = HTTP_READ;
	else if (authorization && !strncasecmp(authorization, scheme, strlen(scheme)))
		role = find_role(h->rules, authorization + strlen(scheme));
	pthread_mutex_unlock(&h->lock);
	return role;
}

static bool is_address(const char *host)
{
	size_t len = strlen(host);
	struct net_address a;

	if (len > 2 && host[0] == '[' && host[len - 1] == ']')
		return net_address_parse(host + 1, len - 2, &a) && a.family == AF_INET6;
	return net_address_parse(host, len, &a) && a.family == AF_INET;
}

/* Cut off ":PORT". False: it is none. */
static bool cut_port(char *host)
{
	char *colon = strrchr(host, ':'), *bracket = strrchr(host, ']');

	if (!colon || (bracket && bracket > colon))
		return true;
	*colon = '\0';
	return strspn(colon + 1, "0123456789") == strlen(colon + 1);
}

bool http_host_is_ours(struct http *h, const char *host)
{
	char name[HTTP_HOST_MAX];
	bool ours;

	if (!host || strlen(host) >= sizeof(name))
		return false;
	memcpy(name, host, strlen(host) + 1);
	if (!cut_port(name))
		return false;
	if (is_address(name) || !strcasecmp(name, "localhost") || (*name && !strcasecmp(name, h->place.address)))
		return true;
	pthread_mutex_lock(&h->lock);
	ours = false;
	for (size_t i = 0; h->rules->hosts[i]; i++)
		ours |= !strcasecmp(name, h->rules->hosts[i]);
	pthread_mutex_unlock(&h->lock);
	return ours;
}
