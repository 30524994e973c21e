// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* mosquitto's files: everything in them is told, in all formats, and none that is damaged is taken for a good one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mosquitto_file.h"
#include "store/mosquitto_db.h"

/* What was told, a line each. */
struct told {
	char text[4096];
	int stop; /* to be returned at the next retained message */
};

__attribute__((format(printf, 2, 3))) static void tell(struct told *t, const char *fmt, ...)
{
	size_t len = strlen(t->text);
	va_list args;

	va_start(args, fmt);
	vsnprintf(t->text + len, sizeof(t->text) - len, fmt, args);
	va_end(args);
}

#define STR(s) (int)(s).len, (const char *)(s).data

static int on_message(void *arg, const struct mosquitto_message *m)
{
	tell(arg, "message %llu %u %.*s %.*s %.*s %lld %u\n", (unsigned long long)m->id, m->qos, STR(m->source),
	     STR(m->topic), STR(m->payload), (long long)m->expires, m->props.len);
	return 0;
}

static int on_client(void *arg, const struct mosquitto_client *c)
{
	tell(arg, "client %.*s %u %lld %lld\n", STR(c->id), c->expiry, (long long)c->expires, (long long)c->away);
	return 0;
}

static int on_delivery(void *arg, const struct mosquitto_delivery *d)
{
	tell(arg, "delivery %.*s %llu %u %u %u%s%s%s %u\n", STR(d->client), (unsigned long long)d->message, d->pid,
	     d->qos, d->state, d->to_client ? " out" : " in", d->retain ? " retain" : "", d->dup ? " dup" : "",
	     mqtt_props_number(&d->props, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, 0));
	return 0;
}

static int on_subscription(void *arg, const struct mosquitto_subscription *s)
{
	tell(arg, "subscription %.*s %.*s %u %u\n", STR(s->client), STR(s->filter), s->options, s->identifier);
	return 0;
}

static int on_retained(void *arg, uint64_t message)
{
	struct told *t = arg;

	tell(t, "retained %llu\n", (unsigned long long)message);
	return t->stop;
}

static int on_unknown(void *arg, uint32_t kind)
{
	tell(arg, "unknown %u\n", kind);
	return 0;
}

static const struct mosquitto_reader reader = {
	.message = on_message,
	.client = on_client,
	.delivery = on_delivery,
	.subscription = on_subscription,
	.retained = on_retained,
	.unknown = on_unknown,
};

/* A bit of everything. */
static void make(struct mosquitto_file *f, uint32_t version)
{
	mf_head(f, version);
	mf_message(f, 1, 2, "p", "t/1", "one", 1700000000, "\x05\x03\x00\x02hi", 6);
	mf_message(f, 2, 1, "", "t/2", "", 0, "", 0);
	mf_client(f, "s", 100, 1600000000);
	mf_delivery(f, "s", 1, 5, 2, 9, true, true, true, "\x02\x0b\x07", 3);
	mf_delivery(f, "s", 2, 6, 2, 7, false, false, false, "", 0);
	mf_subscription(f, "s", "t/#", 1, 0x0c, 7);
	mf_retained(f, 1);
	mf_unknown(f);
}

static int read_file(const struct mosquitto_file *f, size_t len, struct told *t, struct mosquitto_fault *fault)
{
	uint8_t *copy = malloc(len ? len : 1); /* so that AddressSanitizer sees who reads beyond */
	int rc;

	memcpy(copy, f->data, len);
	rc = mosquitto_read(copy, len, t ? &reader : NULL, t, fault);
	free(copy);
	return rc;
}

static void check(uint32_t version, const char *want)
{
	struct mosquitto_file f;
	struct mosquitto_fault fault;
	struct told t = {0};

	make(&f, version);
	assert_int_equal(read_file(&f, f.len, &t, &fault), 0);
	assert_string_equal(t.text, want);
	assert_int_equal(fault.version, version);
}

static void test_fixed(void **state)
{
	static const char want[] = "message 1 2 p t/1 one 1700000000 5\n"
				   "message 2 1  t/2  0 0\n"
				   "client s 100 1600000000 0\n"
				   "delivery s 1 5 2 9 out retain dup 7\n"
				   "delivery s 2 6 2 7 in 0\n"
				   "subscription s t/# 13 7\n"
				   "retained 1\n"
				   "unknown 77\n";

	(void)state;
	check(6, want);
	check(5, want);
}

/* There were no sessions with an end, no properties and no options. */
static void test_before_5(void **state)
{
	static const char want[] = "message 1 2 p t/1 one 0 0\n"
				   "message 2 1  t/2  0 0\n"
				   "client s 4294967295 0 %s\n"
				   "delivery s 1 5 2 9 out retain dup 0\n"
				   "delivery s 2 6 2 7 in 0\n"
				   "subscription s t/# 1 0\n"
				   "retained 1\n"
				   "unknown 77\n";
	char text[512];

	(void)state;
	snprintf(text, sizeof(text), want, "1600000000");
	check(4, text);
	check(3, text);
	snprintf(text, sizeof(text), want, "0");
	check(2, text);
}

/* A file that ends anywhere but between two chunks is not good, whether it is told of or only looked at. */
static void test_truncated(void **state)
{
	struct mosquitto_file f;
	struct mosquitto_fault fault;

	(void)state;
	for (uint32_t version = 2; version <= 6; version++) {
		unsigned good = 0;

		make(&f, version);
		for (size_t len = 0; len < f.len; len++) {
			struct told t = {0};
			bool whole = len == f.chunks[good];
			int rc = read_file(&f, len, NULL, &fault);

			assert_int_equal(rc, whole ? 0 : -EBADMSG);
			assert_int_equal(read_file(&f, len, &t, &fault), rc);
			good += whole;
			if (!rc)
				continue;
			assert_non_null(fault.what);
			assert_int_equal(fault.offset, good ? f.chunks[good - 1] : 0);
		}
		assert_int_equal(good, f.nchunks - 1);
	}
}

static void assert_fault(const struct mosquitto_file *f, const char *what, size_t offset)
{
	struct mosquitto_fault fault;

	assert_int_equal(read_file(f, f->len, NULL, &fault), -EBADMSG);
	assert_string_equal(fault.what, what);
	assert_int_equal(fault.offset, offset);
}

static void test_head(void **state)
{
	struct mosquitto_file f;

	(void)state;
	mf_head(&f, 7);
	assert_fault(&f, "has a format that is not known", 0);
	mf_head(&f, 1);
	assert_fault(&f, "has a format that is not known", 0);
	mf_head(&f, 6);
	f.data[4] = 'x';
	assert_fault(&f, "is not mosquitto's", 0);
	mf_head(&f, 6);
	mf_config(&f, 4);
	assert_fault(&f, "has identifiers of another size, from another kind of machine", f.chunk);
}

/* Lengths that say more than there is. */
static void test_lengths(void **state)
{
	struct mosquitto_file f;
	struct mosquitto_fault fault;

	(void)state;
	make(&f, 6);
	memset(f.data + f.chunks[1] + 4, 0xff, 4); /* of the chunk of the first message */
	assert_fault(&f, "ends within a chunk", f.chunks[1]);
	for (size_t at = 16; at < 30; at += 2) { /* of what is in it */
		bool length = at < 20 || (at >= 22 && at < 28);

		make(&f, 6);
		memset(f.data + f.chunks[1] + 8 + at, 0xff, 2);
		if (length)
			assert_fault(&f, "has a chunk that is shorter than what should be in it", f.chunks[1]);
		else
			assert_int_equal(read_file(&f, f.len, NULL, &fault), 0);
	}
}

static void test_values(void **state)
{
	struct mosquitto_file f;

	(void)state;
	mf_head(&f, 6);
	mf_message(&f, 1, 3, "p", "t", "x", 0, "", 0);
	assert_fault(&f, "has a message of a QoS that there is not", f.chunk);
	mf_head(&f, 6);
	mf_message(&f, 1, 1, "p", "t", "x", 0, "\x01\x7f", 2);
	assert_fault(&f, "has properties that MQTT does not allow", f.chunk);
	mf_head(&f, 6);
	mf_message(&f, 1, 1, "p", "t", "x", 0, "\0\0", 2);
	assert_fault(&f, "has properties that MQTT does not allow", f.chunk);
	mf_head(&f, 6);
	mf_delivery(&f, "s", 1, 1, 3, 3, false, false, true, "", 0);
	assert_fault(&f, "has a message on its way with a QoS or direction that there is not", f.chunk);
}

/* mosquitto 2.0 wrote the user name of the client before once more, longer than it says: the next chunk is where the
 * length of this one says. */
static void test_long_user_name(void **state)
{
	struct mosquitto_file f;
	struct mosquitto_fault fault;
	struct told t = {0};

	(void)state;
	mf_head(&f, 6);
	mf_client(&f, "s", 100, 0);
	f.nchunks--;
	mf_text(&f, "more of something");
	mf_end(&f);
	mf_retained(&f, 1);
	assert_int_equal(read_file(&f, f.len, &t, &fault), 0);
	assert_string_equal(t.text, "client s 100 0 0\nretained 1\n");
}

static void test_stop(void **state)
{
	struct mosquitto_file f;
	struct mosquitto_fault fault;
	struct told t = {.stop = -ENOMEM};

	(void)state;
	make(&f, 6);
	assert_int_equal(read_file(&f, f.len, &t, &fault), -ENOMEM);
	assert_null(strstr(t.text, "unknown"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixed),	       cmocka_unit_test(test_before_5),
		cmocka_unit_test(test_truncated),      cmocka_unit_test(test_head),
		cmocka_unit_test(test_lengths),	       cmocka_unit_test(test_values),
		cmocka_unit_test(test_long_user_name), cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
