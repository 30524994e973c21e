// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* mosquitto's files: whatever is in one, nothing beyond its end is read or told, and looking at a file finds the same
 * faults as reading it. */
#include <stddef.h>
#include <stdint.h>

#include "../unit/mqtt_model.h"
#include "store/mosquitto_db.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bounds {
	const uint8_t *begin, *end;
};

static void within(const struct bounds *b, struct mqtt_str s)
{
	if (s.len && (s.data < b->begin || s.data > b->end || s.len > (size_t)(b->end - s.data)))
		abort();
}

static void walk(const struct bounds *b, const struct mqtt_props *props)
{
	struct mqtt_property p;
	uint32_t at = 0;

	while (mqtt_props_next(props, &at, &p)) {
		within(b, p.str);
		within(b, p.value);
	}
	if (at != props->len)
		abort();
}

static int on_message(void *arg, const struct mosquitto_message *m)
{
	within(arg, m->source);
	within(arg, m->topic);
	within(arg, m->payload);
	walk(arg, &m->props);
	if (m->qos > 2)
		abort();
	return 0;
}

static int on_client(void *arg, const struct mosquitto_client *c)
{
	within(arg, c->id);
	return 0;
}

static int on_delivery(void *arg, const struct mosquitto_delivery *d)
{
	within(arg, d->client);
	walk(arg, &d->props);
	if (d->qos > 2)
		abort();
	return 0;
}

static int on_subscription(void *arg, const struct mosquitto_subscription *s)
{
	within(arg, s->client);
	within(arg, s->filter);
	return 0;
}

static int on_retained(void *arg, uint64_t message)
{
	(void)arg, (void)message;
	return 0;
}

static int on_unknown(void *arg, uint32_t kind)
{
	(void)arg, (void)kind;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mosquitto_reader reader = {
		.message = on_message,
		.client = on_client,
		.delivery = on_delivery,
		.subscription = on_subscription,
		.retained = on_retained,
		.unknown = on_unknown,
	};
	uint8_t *copy = exact_copy(data, size);
	struct bounds bounds = {copy, copy + size};
	struct mosquitto_fault read, looked;

	if (mosquitto_read(copy, size, &reader, &bounds, &read) != mosquitto_read(copy, size, NULL, NULL, &looked))
		abort();
	if (read.offset != looked.offset || read.what != looked.what || read.offset > size)
		abort();
	free(copy);
	return 0;
}
