// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The server that a hook asks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/hook.h"
#include "base/clock.h"
#include "base/log.h"

enum { CA_MAX = 4 << 20 }; /* bytes */

/* The file as a whole: when it is needed we may not read it any more. 0 or -errno. */
static int read_ca(struct hook *h, const char *path)
{
	FILE *f = fopen(path, "re");
	int err = 0;

	if (!f)
		return -errno;
	h->ca = malloc(CA_MAX);
	if (!h->ca) {
		err = -ENOMEM;
	} else {
		h->ca_len = fread(h->ca, 1, CA_MAX, f);
		err = ferror(f) ? -EIO : h->ca_len == CA_MAX ? -EFBIG : 0;
	}
	fclose(f);
	return err;
}

/* Curl would only say so at the first login. */
static bool has_certificate(const struct hook *h)
{
	static const char begin[] = "-----BEGIN ";

	return memmem(h->ca, h->ca_len, begin, sizeof(begin) - 1);
}

static int fill(struct hook *h, const struct hook_config *c)
{
	uint8_t *fit;
	int err;

	if (!hook_url_valid(c->url))
		return -EINVAL;
	h->url = strdup(c->url);
	err = h->url ? 0 : -ENOMEM;
	if (err || !c->cafile)
		return err;
	err = read_ca(h, c->cafile);
	if (!err && !has_certificate(h))
		err = -EBADMSG;
	fit = err ? NULL : realloc(h->ca, h->ca_len);
	if (fit)
		h->ca = fit;
	return err;
}

struct hook *hook_load(const struct hook_config *c)
{
	struct hook *h = calloc(1, sizeof(*h));
	int err = h ? hook_cache_init(&h->cache, c->cache_s) : -ENOMEM;

	if (!h) {
		log_error("Error: Out of memory.");
		return NULL;
	}
	h->refs = 1;
	h->timeout_ns = c->timeout_s * NS_PER_S;
	h->max_pending = c->max_pending;
	if (!err)
		err = fill(h, c);
	if (!err)
		return h;
	if (err == -EINVAL)
		log_error("Error: auth_http_url: %s is not a URL.", c->url);
	else if (err == -EBADMSG)
		log_error("Error: auth_http_cafile: %s has no certificate in PEM.", c->cafile);
	else if (err == -ENOMEM || !c->cafile)
		log_error("Error: %s.", strerror(-err));
	else
		log_error("Error: auth_http_cafile: unable to read %s: %s.", c->cafile, strerror(-err));
	hook_unref(h);
	return NULL;
}

struct hook *hook_ref(struct hook *h)
{
	__atomic_add_fetch(&h->refs, 1, __ATOMIC_RELAXED);
	return h;
}

void hook_unref(struct hook *h)
{
	/* Release what this thread did with it, acquire what the others did, before it goes. */
	if (!h || __atomic_sub_fetch(&h->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	hook_cache_free(&h->cache);
	free(h->url);
	free(h->ca);
	free(h);
}

static bool same_ca(const struct hook *a, const struct hook *b)
{
	return a->ca_len == b->ca_len && (!a->ca_len || memcmp(a->ca, b->ca, a->ca_len) == 0);
}

bool hook_same(const struct hook *a, const struct hook *b)
{
	return a == b || (a && b && strcmp(a->url, b->url) == 0 && same_ca(a, b));
}
