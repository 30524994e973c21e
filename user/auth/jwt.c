// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "auth/jwt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "auth/jwt_internal.h"
#include "base/base64.h"
#include "mqtt/utf8.h"

const char jwt_no_memory[] = "out of memory";

/* ---- parts -------------------------------------------------------------------------------------------------------- */

/* Header, payload and signature as they came, and what is signed. */
struct parts {
	struct mqtt_str header, payload, signature, signed_part;
};

static bool split(struct mqtt_str token, struct parts *p)
{
	const uint8_t *first = memchr(token.data, '.', token.len);
	const uint8_t *end = token.data + token.len, *second;

	second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
	if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
		return false;
	p->header = (struct mqtt_str){token.data, (uint32_t)(first - token.data)};
	p->payload = (struct mqtt_str){first + 1, (uint32_t)(second - first - 1)};
	p->signature = (struct mqtt_str){second + 1, (uint32_t)(end - second - 1)};
	p->signed_part = (struct mqtt_str){token.data, (uint32_t)(second - token.data)};
	return true;
}

/* Read base64url without padding (RFC 7515, section 2), of which each value has one form only. The bytes, with a NUL behind
 * them, to be free()d; NULL: it is none, or there is no memory. */
static uint8_t *decode(struct mqtt_str text, size_t *len)
{
	size_t padded = (text.len + 3) / 4 * 4;
	char *plain = malloc(padded + 1);
	uint8_t *out = malloc(padded + 1);
	ssize_t n = plain && out ? 0 : -1;

	for (size_t i = 0; !n && i < text.len; i++) {
		uint8_t c = text.data[i];

		plain[i] = c == '-' ? '+' : c == '_' ? '/' : (char)c;
		if (c == '+' || c == '/' || c == '=')
			n = -1;
	}
	if (!n) {
		memset(plain + text.len, '=', padded - text.len);
		n = text.len % 4 == 1 ? -1 : base64_decode(out, padded, plain, padded);
	}
	free(plain);
	if (n < 0) {
		free(out);
		return NULL;
	}
	out[n] = '\0';
	*len = (size_t)n;
	return out;
}

/* Is it text that C can hold? A NUL, also an escaped one, would end a name before its end. */
static bool has_nul(const uint8_t *json, size_t len)
{
	return memchr(json, '\0', len) || strstr((const char *)json, "\\u0000");
}

/* A JSON object and nothing behind it; NULL: it is none. With `text` that is given back as well, if it is one. */
static cJSON *read_object(struct mqtt_str encoded, char **text)
{
	size_t len;
	uint8_t *json = decode(encoded, &len);
	const char *end = NULL;
	cJSON *o = json && !has_nul(json, len) ? cJSON_ParseWithOpts((const char *)json, &end, 1) : NULL;

	if (o && !cJSON_IsObject(o)) {
		cJSON_Delete(o);
		o = NULL;
	}
	if (o && text)
		*text = (char *)json;
	else
		free(json);
	return o;
}

/* A member that is there once; NULL: it is not there. *twice: it is there more often, and means nothing then. */
static const cJSON *member(const cJSON *o, const char *name, bool *twice)
{
	const cJSON *found = NULL;

	for (const cJSON *m = o->child; m; m = m->next) {
		if (strcmp(m->string, name) != 0)
			continue;
		*twice |= found != NULL;
		found = m;
	}
	return found;
}

/* ---- the header --------------------------------------------------------------------------------------------------- */

/* Which keys verify it. NULL, or why none does. */
static const char *read_header(struct mqtt_str text, enum jwt_algorithm *algorithm, char **kid)
{
	cJSON *header = read_object(text, NULL);
	bool twice = false;
	const cJSON *alg, *id;
	const char *why = NULL;

	*kid = NULL;
	if (!header)
		return "its header is no JSON object";
	alg = member(header, "alg", &twice);
	id = member(header, "kid", &twice);
	if (twice)
		why = "its header has something twice";
	else if (member(header, "crit", &twice) || member(header, "b64", &twice))
		why = "its header asks for an extension"; /* RFC 7515, 4.1.11 */
	else if (!cJSON_IsString(alg) || !jwt_algorithm_find(alg->valuestring, algorithm))
		why = "its algorithm is not one of those there are";
	else if (id && !cJSON_IsString(id))
		why = "its Key ID is no text";
	else if (id && !(*kid = strdup(id->valuestring)))
		why = jwt_no_memory;
	cJSON_Delete(header);
	return why;
}

static const char *check_signature(const struct jwt_keys *keys, const struct parts *p, struct jwt_claims *claims)
{
	enum jwt_algorithm algorithm;
	char *kid;
	const char *why = read_header(p->header, &algorithm, &kid);
	size_t len = 0;
	uint8_t *signature = why ? NULL : decode(p->signature, &len);
	const uint8_t *key = NULL;

	if (!why && !signature)
		why = "its signature is not base64url";
	if (!why) {
		key = jwt_keys_verify(keys, algorithm, kid, p->signed_part, signature, len);
		why = key ? NULL : "its signature is by none of the keys";
	}
	if (key)
		memcpy(claims->key, key, sizeof(claims->key));
	free(signature);
	free(kid);
	return why;
}

/* ---- the claims --------------------------------------------------------------------------------------------------- */

/* Seconds since the epoch, RFC 7519, section 2: a number, perhaps with a fraction. */
static bool is_time(const cJSON *c)
{
	return cJSON_IsNumber(c) && isfinite(c->valuedouble) && fabs(c->valuedouble) < 1e15;
}

static const char *check_times(const cJSON *o, const struct jwt_rules *rules, int64_t now_ms, struct jwt_claims *claims)
{
	bool twice = false;
	const cJSON *exp = member(o, "exp", &twice), *nbf = member(o, "nbf", &twice), *iat = member(o, "iat", &twice);
	double t = (double)now_ms / 1000, leeway = (double)rules->leeway;

	if (twice)
		return "it has a time twice";
	if (!exp || !is_time(exp) || (nbf && !is_time(nbf)) || (iat && !is_time(iat)))
		return exp ? "a time in it is no number" : "it does not say when it ends";
	if (t >= exp->valuedouble + leeway)
		return "it has expired";
	if ((nbf && t < nbf->valuedouble - leeway) || (iat && t < iat->valuedouble - leeway))
		return "it does not count yet";
	claims->expires_ms = (int64_t)(exp->valuedouble * 1000);
	return NULL;
}

static bool is_text(const cJSON *c, const char *text)
{
	return cJSON_IsString(c) && strcmp(c->valuestring, text) == 0;
}

/* One text, or an array of some, RFC 7519, 4.1.3. */
static bool names(const cJSON *c, const char *audience)
{
	if (!cJSON_IsArray(c))
		return is_text(c, audience);
	for (const cJSON *one = c->child; one; one = one->next) {
		if (is_text(one, audience))
			return true;
	}
	return false;
}

static const char *check_parties(const cJSON *o, const struct jwt_rules *rules)
{
	bool twice = false;
	const cJSON *iss = member(o, "iss", &twice), *aud = member(o, "aud", &twice);

	if (twice)
		return "it has an issuer or an audience twice";
	if (rules->issuer && !is_text(iss, rules->issuer))
		return "it is by another issuer";
	if (rules->audience && !names(aud, rules->audience))
		return "it is for another audience";
	return NULL;
}

/* NULL: it names none. */
static const char *find_name(const cJSON *o, const struct jwt_rules *rules)
{
	bool twice = false;
	const cJSON *name = member(o, rules->name_claim ? rules->name_claim : "sub", &twice);
	size_t len = cJSON_IsString(name) ? strlen(name->valuestring) : 0;

	if (twice || !len || len > JWT_NAME_MAX || !utf8_valid((const uint8_t *)name->valuestring, len))
		return NULL;
	return name->valuestring;
}

static const char *take_name(const cJSON *o, const struct jwt_rules *rules, struct jwt_claims *claims)
{
	const char *name = find_name(o, rules);

	if (!name)
		return "it does not name a user";
	claims->name = strdup(name);
	return claims->name ? NULL : jwt_no_memory;
}

static const char *take_acl(const cJSON *o, struct jwt_claims *claims)
{
	bool twice = false;
	const cJSON *acl = member(o, "acl", &twice);

	if (twice)
		return "it has rights twice";
	if (!acl)
		return NULL;
	claims->acl = cJSON_PrintUnformatted(acl);
	return claims->acl ? NULL : jwt_no_memory;
}

static const char *read_claims(struct mqtt_str text, const struct jwt_rules *rules, int64_t now_ms,
			       struct jwt_claims *claims)
{
	cJSON *o = read_object(text, &claims->all);
	const char *why;

	if (!o)
		return "what it says is no JSON object";
	why = check_times(o, rules, now_ms, claims);
	if (!why)
		why = check_parties(o, rules);
	if (!why)
		why = take_name(o, rules, claims);
	if (!why)
		why = take_acl(o, claims);
	cJSON_Delete(o);
	return why;
}

void jwt_claims_clear(struct jwt_claims *claims)
{
	free(claims->name);
	free(claims->acl);
	free(claims->all);
	*claims = (struct jwt_claims){0};
}

const char *jwt_verify(const struct jwt_keys *keys, const struct jwt_rules *rules, struct mqtt_str token,
		       int64_t now_ms, struct jwt_claims *claims)
{
	struct parts p;
	const char *why;

	*claims = (struct jwt_claims){0};
	if (token.len > JWT_MAX)
		return "it is too long";
	if (!split(token, &p))
		return "it is no token";
	why = check_signature(keys, &p, claims);
	if (!why)
		why = read_claims(p.payload, rules, now_ms, claims);
	if (why)
		jwt_claims_clear(claims);
	return why;
}

const char *jwt_recheck(const struct jwt_claims *claims, const struct jwt_rules *rules)
{
	cJSON *o = cJSON_Parse(claims->all);
	const char *why = o ? check_parties(o, rules) : jwt_no_memory;
	const char *name = why ? NULL : find_name(o, rules);

	if (!why && (!name || strcmp(name, claims->name) != 0))
		why = "it is for another user";
	cJSON_Delete(o);
	return why;
}

/* What begins with {" in base64. */
bool jwt_looks_like(struct mqtt_str text)
{
	struct parts p;

	return text.len > 2 && memcmp(text.data, "ey", 2) == 0 && split(text, &p);
}
