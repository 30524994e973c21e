/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The HTTP hook: a web server that says whether a client may come in. It is asked by a POST whose body is a form
 * (application/x-www-form-urlencoded), because a password need not be text; 200 is yes, 401 and 403 are no, and everything
 * else is no answer, which lets nobody in either.
 *
 * One thread, with libcurl, asks for all: a server that is slow keeps nobody waiting but who wants to come in by its word.
 * So many questions at most are under way or wait for their turn. Built with WITH_CURL=0, hook_load() says that there is none.
 */
#ifndef SHUNT_AUTH_HOOK_H
#define SHUNT_AUTH_HOOK_H

#include "auth/hook_cache.h"
#include "mqtt/str.h"
#include "net/loop.h"

struct hook_config {
	const char *url;
	const char *cafile;   /* NULL: the system's authorities */
	uint32_t timeout_s;   /* for an answer, from when it was asked for */
	uint32_t cache_s;     /* how long a yes is kept; 0: not at all */
	uint32_t max_pending; /* questions */
};

/* A server, and what it has allowed. Immutable but for the cache. */
struct hook {
	unsigned refs; /* atomic */
	char *url;
	uint8_t *ca; /* what is in cafile; NULL: none */
	size_t ca_len;
	uint64_t timeout_ns;
	uint32_t max_pending;
	struct hook_cache cache;
};

/* Read what it needs. It has one reference; NULL after logging what is wrong. Blocks for file I/O. Any thread. */
struct hook *hook_load(const struct hook_config *c);

/* References: one more, one less; the last one frees it. NULL is allowed. Any thread. */
struct hook *hook_ref(struct hook *h);
void hook_unref(struct hook *h);

/* Do both ask the same server? NULL: none. */
bool hook_same(const struct hook *a, const struct hook *b);

/* Is it a URL? hook_load() asks. */
bool hook_url_valid(const char *url);

/* ---- a question -------------------------------------------------------------------------------------------------- */

/* What is told of a client. Of strings that are not known `data` is NULL, and they are left out. */
struct hook_client {
	struct mqtt_str client_id, username, password;
	struct mqtt_str address; /* without port; "unix" */
	uint16_t port;		 /* of the listener; 0: a Unix socket */
	struct mqtt_str certificate;
};

/* The form, from malloc(); NULL without memory. */
char *hook_form(const struct hook_client *c, size_t *len);

enum hook_answer {
	HOOK_ALLOWED,
	HOOK_REFUSED,
	HOOK_FAILED, /* there was none */
};

/* Its maker's before it is submitted and after it was received. */
struct hook_question {
	struct inbox_item item; /* `receive` is set by the maker, as the next three */
	struct loop *from;	/* gets the item back */
	struct hook *hook;	/* a reference */
	char *form;		/* from hook_form() */
	size_t len;
	uint8_t digest[HOOK_DIGEST_LEN]; /* of the form */
	bool cacheable;			 /* there is one */
	bool given_up;			 /* atomic; by hook_give_up() */
	enum hook_answer answer;
	char why[256]; /* with HOOK_FAILED, in words */
	/* the thread's */
	struct list link;
	void *transfer;	  /* NULL: it waits for its turn */
	size_t body_left; /* bytes that its answer may still have */
	uint64_t deadline_ns;
};

/* Start the thread; nothing when it runs. 0 or -errno. Main thread. */
int hook_start(void);
/* Give back what was not answered, and end it; nothing when it does not run. Workers may be gone: nothing is received
 * afterwards. Main thread. */
void hook_stop(void);

/* Ask. 0, or -EBUSY: too many are. Any thread, between hook_start() and hook_stop(). */
int hook_submit(struct hook_question *q);
/* The answer does not matter any more: it comes soon. */
void hook_give_up(struct hook_question *q);

#endif
