/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * JSON Web Tokens (RFC 7519) in the compact form of RFC 7515, as a client gives one for its password: whose signature it is,
 * whether it counts now, and who it is for.
 *
 * A key is for one algorithm, and a token is only ever verified with keys of the algorithm that its header names, so that a
 * public key can never be taken for a shared secret; "none" is no algorithm. With a Key ID in the header only the key of that
 * name is tried, and keys without a name otherwise. What a token says is looked at only once its signature is right. A token
 * has to say when it ends.
 */
#ifndef SHUNT_JWT_H
#define SHUNT_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mqtt/str.h"

struct acl_rights;

enum {
	JWT_MAX = 16384,	 /* bytes of a token */
	JWT_SECRET_MIN = 32,	 /* of a shared secret, RFC 7518, 3.2 */
	JWT_RSA_BITS_MIN = 2048, /* 3.3 */
	JWT_NAME_MAX = 1024,	 /* bytes of a user name */
	JWT_KEY_ID_LEN = 32,	 /* what a key is known by again */
};

/* ---- keys --------------------------------------------------------------------------------------------------------- */

/* Immutable once all are added, and shared by all threads by counted references. */
struct jwt_keys;

/* NULL without memory. */
struct jwt_keys *jwt_keys_new(void);
struct jwt_keys *jwt_keys_ref(struct jwt_keys *keys);
/* The last one wipes and frees; NULL is allowed. */
void jwt_keys_unref(struct jwt_keys *keys);

/* Add a key of "ALGORITHM FILE [KID]": HS256 with a file that is the secret, all of it but a line end; RS256 or ES256 with a
 * public key or a certificate in PEM. 0, or -1 after logging what is wrong; `where` names the line. Blocks for file I/O. */
int jwt_keys_add(struct jwt_keys *keys, const char *text, const char *where);

/* Is there a key in it with this algorithm, this name and this value? As jwt_verify() found it. */
bool jwt_keys_have(const struct jwt_keys *keys, const uint8_t id[JWT_KEY_ID_LEN]);

/* ---- tokens ------------------------------------------------------------------------------------------------------- */

/* What is asked of a token beside its signature. NULL: nothing. */
struct jwt_rules {
	const char *issuer;	/* it has to be by this (iss) */
	const char *audience;	/* and for this, among others perhaps (aud) */
	const char *name_claim; /* the claim that is the user name; NULL: "sub" */
	int64_t leeway;		/* seconds that clocks may differ by */
};

struct jwt_claims {
	char *name;	    /* the user name, UTF-8 as MQTT has it */
	int64_t expires_ms; /* milliseconds since the epoch, without leeway */
	char *acl;	    /* the claim "acl" as JSON; NULL: there is none */
	char *all;	    /* everything that it says, as it came: JSON */
	uint8_t key[JWT_KEY_ID_LEN];
};

/* Why it is refused, when that is not the token's fault. */
extern const char jwt_no_memory[];

/* Verify a token at a time, milliseconds since the epoch. NULL, then *claims is set, for jwt_claims_clear(); or why it is
 * refused, in words: a static text, fit for the log. Any thread; takes some 10 to 100 microseconds. */
const char *jwt_verify(const struct jwt_keys *keys, const struct jwt_rules *rules, struct mqtt_str token,
		       int64_t now_ms, struct jwt_claims *claims);
void jwt_claims_clear(struct jwt_claims *claims);

/* Is a token that was verified by other rules for the same user by these, too? Its times are not looked at. NULL, or why
 * not, as above. */
const char *jwt_recheck(const struct jwt_claims *claims, const struct jwt_rules *rules);

/* Does it look like a token, so that it is hardly a password? */
bool jwt_looks_like(struct mqtt_str text);

/* ---- rights ------------------------------------------------------------------------------------------------------- */

/*
 * The rights that the claim "acl" gives, an object of arrays of topic filters, with %c and %u for the client identifier and the
 * user name of the claims:
 *
 *	"acl": {"publish": ["in/%c/#"], "subscribe": ["out/#", "news/+"]}
 *
 * What is not named there is denied; so is everything of a kind that is not there. NULL: it cannot be understood, and the client
 * must not come in; *why is a static text then, fit for the log. One reference otherwise. Any thread.
 */
struct acl_rights *jwt_rights(const struct jwt_claims *claims, struct mqtt_str client_id, const char **why);

#endif
