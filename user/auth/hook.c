// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The thread that asks. */
#include "auth/hook.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/version.h"

enum {
	TRANSFERS_MAX = 100, /* at a time; others wait for their turn */
	ANSWER_MAX = 65536,  /* bytes of a body, which nobody reads */
	SLEEP_MS = 1000,     /* at most */
};

static struct {
	pthread_mutex_t lock;
	/* under the lock */
	struct list fresh;  /* struct hook_question by `link` */
	uint32_t pending;   /* that were submitted and not given back */
	bool stop, running; /* running: changed by the main thread */
	/* atomic */
	bool given_up; /* one may have been */
	/* the thread's, while it runs */
	CURLM *multi;
	struct curl_slist *headers;
	struct list waiting, asked;
	unsigned transfers;
	/* the main thread's */
	pthread_t thread;
} asker = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool hook_url_valid(const char *url)
{
	CURLU *u = curl_url();
	bool valid = u && !curl_url_set(u, CURLUPART_URL, url, 0);

	curl_url_cleanup(u);
	return valid;
}

/* ---- giving back ------------------------------------------------------------------------------------------------- */

static void give_back(struct hook_question *q, enum hook_answer answer)
{
	list_del(&q->link);
	q->answer = answer;
	pthread_mutex_lock(&asker.lock);
	asker.pending--;
	pthread_mutex_unlock(&asker.lock);
	loop_send(q->from, &q->item);
}

static void fail(struct hook_question *q, const char *why)
{
	snprintf(q->why, sizeof(q->why), "%s", why);
	give_back(q, HOOK_FAILED);
}

static void end_transfer(struct hook_question *q)
{
	if (!q->transfer)
		return;
	curl_multi_remove_handle(asker.multi, q->transfer);
	curl_easy_cleanup(q->transfer);
	q->transfer = NULL;
	asker.transfers--;
}

static void cancel(struct hook_question *q, const char *why)
{
	end_transfer(q);
	fail(q, why);
}

/* ---- a transfer -------------------------------------------------------------------------------------------------- */

/* Only the status counts. */
static size_t take_body(char *data, size_t size, size_t n, void *arg)
{
	size_t *left = arg;

	(void)data;
	if (size * n > *left)
		return 0; /* ends it */
	*left -= size * n;
	return size * n;
}

/* What all have in common. */
static CURLcode set_up(CURL *t, struct hook_question *q, uint64_t left_ms)
{
	const struct hook *h = q->hook;
	struct curl_blob ca = {h->ca, h->ca_len, CURL_BLOB_NOCOPY};
	CURLcode rc = curl_easy_setopt(t, CURLOPT_URL, h->url);

	if (!rc)
		rc = curl_easy_setopt(t, CURLOPT_PROTOCOLS_STR, "http,https");
	if (!rc)
		rc = curl_easy_setopt(t, CURLOPT_PROXY, ""); /* nor one of the environment */
	if (!rc)
		rc = curl_easy_setopt(t, CURLOPT_HTTPHEADER, asker.headers);
	if (!rc)
		rc = curl_easy_setopt(t, CURLOPT_USERAGENT, "shunt/" SHUNT_VERSION);
	if (!rc && h->ca)
		rc = curl_easy_setopt(t, CURLOPT_CAINFO_BLOB, &ca);
	if (!rc && h->ca)
		rc = curl_easy_setopt(t, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(t, CURLOPT_POST, 1L);
	curl_easy_setopt(t, CURLOPT_POSTFIELDS, q->form); /* borrowed */
	curl_easy_setopt(t, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->len);
	curl_easy_setopt(t, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(t, CURLOPT_TIMEOUT_MS, (long)left_ms);
	curl_easy_setopt(t, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t, CURLOPT_QUICK_EXIT, 1L); /* a name that is being looked up keeps nobody */
	curl_easy_setopt(t, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(t, CURLOPT_ERRORBUFFER, q->why);
	curl_easy_setopt(t, CURLOPT_PRIVATE, q);
	return rc;
}

static void begin(struct hook_question *q, uint64_t now_ns)
{
	CURL *t = curl_easy_init();

	q->why[0] = '\0';
	q->body_left = ANSWER_MAX;
	if (!t || set_up(t, q, (q->deadline_ns - now_ns) / NS_PER_MS + 1) ||
	    curl_easy_setopt(t, CURLOPT_WRITEDATA, &q->body_left) || curl_multi_add_handle(asker.multi, t)) {
		curl_easy_cleanup(t);
		fail(q, "out of memory");
		return;
	}
	q->transfer = t;
	asker.transfers++;
	list_del(&q->link);
	list_push(&asker.asked, &q->link);
}

/* What came of it. */
static enum hook_answer answer_of(struct hook_question *q, CURLcode rc)
{
	long status = 0;

	if (rc == CURLE_OK)
		curl_easy_getinfo(q->transfer, CURLINFO_RESPONSE_CODE, &status);
	if (rc == CURLE_OPERATION_TIMEDOUT)
		snprintf(q->why, sizeof(q->why), "it did not answer in time");
	else if (rc == CURLE_WRITE_ERROR)
		snprintf(q->why, sizeof(q->why), "its answer is too long");
	else if (rc && !q->why[0])
		snprintf(q->why, sizeof(q->why), "%s", curl_easy_strerror(rc));
	else if (!rc)
		snprintf(q->why, sizeof(q->why), "it answered with status %ld", status);
	if (status == 200)
		return HOOK_ALLOWED;
	return status == 401 || status == 403 ? HOOK_REFUSED : HOOK_FAILED;
}

static void finish(CURL *transfer, CURLcode rc)
{
	struct hook_question *q;
	enum hook_answer answer;

	curl_easy_getinfo(transfer, CURLINFO_PRIVATE, &q);
	answer = answer_of(q, rc);
	end_transfer(q);
	if (answer == HOOK_ALLOWED && q->cacheable)
		hook_cache_add(&q->hook->cache, q->digest, clock_ns());
	give_back(q, answer);
}

/* ---- the turn ---------------------------------------------------------------------------------------------------- */

static struct hook_question *question(struct list *l)
{
	return container_of(l, struct hook_question, link);
}

/* False: stop. */
static bool take_fresh(void)
{
	bool stop;

	pthread_mutex_lock(&asker.lock);
	list_splice(&asker.waiting, &asker.fresh);
	stop = asker.stop;
	pthread_mutex_unlock(&asker.lock);
	return !stop;
}

static void end_given_up(struct list *all)
{
	struct list *next;

	for (struct list *l = all->next; l != all; l = next) {
		next = l->next;
		if (__atomic_load_n(&question(l)->given_up, __ATOMIC_RELAXED))
			cancel(question(l), "nobody wants to know");
	}
}

/* Until when to sleep: the first of those that wait may be the one whose time is over first, or not, since a reload. */
static int begin_next(void)
{
	uint64_t now = clock_ns(), soonest = now + SLEEP_MS * NS_PER_MS;
	struct list *next;

	for (struct list *l = asker.waiting.next; l != &asker.waiting; l = next) {
		struct hook_question *q = question(l);

		next = l->next;
		if (q->deadline_ns <= now)
			fail(q, "it has too much to answer");
		else if (asker.transfers < TRANSFERS_MAX)
			begin(q, now);
		else if (q->deadline_ns < soonest)
			soonest = q->deadline_ns;
	}
	return (int)((soonest - now) / NS_PER_MS) + 1;
}

/* True when any has ended. */
static bool finish_all(void)
{
	unsigned before = asker.transfers;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(asker.multi, &left)))
		if (m->msg == CURLMSG_DONE)
			finish(m->easy_handle, m->data.result);
	return asker.transfers < before;
}

static void *run(void *arg)
{
	int left, sleep_ms;

	(void)arg;
	while (take_fresh()) {
		if (__atomic_exchange_n(&asker.given_up, false, __ATOMIC_ACQUIRE)) {
			end_given_up(&asker.waiting);
			end_given_up(&asker.asked);
		}
		sleep_ms = begin_next();
		curl_multi_perform(asker.multi, &left);
		if (!finish_all())
			curl_multi_poll(asker.multi, NULL, 0, sleep_ms, NULL);
	}
	while (!list_empty(&asker.asked))
		cancel(question(asker.asked.next), "the broker stops");
	while (!list_empty(&asker.waiting))
		cancel(question(asker.waiting.next), "the broker stops");
	return NULL;
}

/* ---- for others -------------------------------------------------------------------------------------------------- */

static void clean_up(void)
{
	curl_multi_cleanup(asker.multi);
	curl_slist_free_all(asker.headers);
	asker.multi = NULL;
	asker.headers = NULL;
	curl_global_cleanup();
}

int hook_start(void)
{
	int rc = 0;

	if (asker.running)
		return 0;
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return -ENOMEM;
	list_init(&asker.fresh);
	list_init(&asker.waiting);
	list_init(&asker.asked);
	asker.stop = false;
	asker.multi = curl_multi_init();
	asker.headers = curl_slist_append(NULL, "Expect:"); /* do not wait to be asked for the body */
	if (!asker.multi || !asker.headers)
		rc = -ENOMEM;
	if (!rc)
		rc = -pthread_create(&asker.thread, NULL, run, NULL);
	asker.running = !rc;
	if (rc)
		clean_up();
	return rc;
}

void hook_stop(void)
{
	if (!asker.running)
		return;
	pthread_mutex_lock(&asker.lock);
	asker.stop = true;
	pthread_mutex_unlock(&asker.lock);
	curl_multi_wakeup(asker.multi);
	pthread_join(asker.thread, NULL);
	asker.running = false;
	clean_up();
}

int hook_submit(struct hook_question *q)
{
	bool taken;

	q->transfer = NULL;
	q->deadline_ns = clock_ns() + q->hook->timeout_ns;
	pthread_mutex_lock(&asker.lock);
	taken = asker.running && !asker.stop && asker.pending < q->hook->max_pending;
	if (taken) {
		asker.pending++;
		list_push(&asker.fresh, &q->link);
	}
	pthread_mutex_unlock(&asker.lock);
	if (!taken)
		return -EBUSY;
	curl_multi_wakeup(asker.multi);
	return 0;
}

void hook_give_up(struct hook_question *q)
{
	__atomic_store_n(&q->given_up, true, __ATOMIC_RELAXED);
	__atomic_store_n(&asker.given_up, true, __ATOMIC_RELEASE);
	curl_multi_wakeup(asker.multi);
}
