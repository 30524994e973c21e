// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Mount points in front of topic names and filters. */
#include "broker/mount.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mqtt/topic.h"

typedef int mount_fn(struct mqtt_str, struct mqtt_str *, uint8_t **);

static void assert_mounted(mount_fn *fn, const char *mount, const char *topic, const char *whole)
{
	struct mqtt_str s = mqtt_str(topic);
	uint8_t *made = NULL;

	assert_int_equal(fn(mqtt_str(mount), &s, &made), 0);
	assert_true(mqtt_str_eq(s, mqtt_str(whole)));
	free(made);
}

static void names(void **state)
{
	(void)state;
	assert_mounted(mount_topic, "", "a/b", "a/b");
	assert_mounted(mount_topic, "m/", "a/b", "m/a/b");
	assert_mounted(mount_topic, "m", "/", "m/");
	assert_mounted(mount_topic, "m/", "$share/g/t", "m/$share/g/t");
	assert_mounted(mount_topic, "m/", "$SYS/x", "m/$SYS/x");
}

static void filters(void **state)
{
	static const char *const bad[] = {"+", "#", "+/a"};
	static const char *const not_shared[] = {"$share/g/", "$share/g", "$share//t"};

	(void)state;
	assert_mounted(mount_filter, "", "#", "#");
	assert_mounted(mount_filter, "", "$share/g", "$share/g"); /* refused later, as ever */
	assert_mounted(mount_filter, "m/", "#", "m/#");
	assert_mounted(mount_filter, "m/n/", "a/+", "m/n/a/+");
	assert_mounted(mount_filter, "m/", "$share/g/+/t", "$share/g/m/+/t");
	assert_mounted(mount_filter, "m/", "$share/g/$share/h/t", "$share/g/m/$share/h/t");
	assert_mounted(mount_filter, "m/", "$SYS/#", "m/$SYS/#");
	assert_mounted(mount_filter, "m", "a/+", "ma/+");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct mqtt_str s = mqtt_str(bad[i]);
		uint8_t *made = NULL;

		assert_int_equal(mount_filter(mqtt_str("m"), &s, &made), -EINVAL);
		free(made);
	}
	for (size_t i = 0; i < sizeof(not_shared) / sizeof(not_shared[0]); i++) {
		struct mqtt_str s = mqtt_str(not_shared[i]);
		uint8_t *made = NULL;

		assert_int_equal(mount_filter(mqtt_str("m/"), &s, &made), -EINVAL);
		free(made);
	}
}

static void length(void **state)
{
	static uint8_t text[TOPIC_LEN_MAX];
	struct mqtt_str s = {text, TOPIC_LEN_MAX - 2};
	uint8_t *made = NULL;

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_int_equal(mount_topic(mqtt_str("m/"), &s, &made), 0);
	assert_int_equal(s.len, TOPIC_LEN_MAX);
	free(made);
	made = NULL;
	s = (struct mqtt_str){text, TOPIC_LEN_MAX - 1};
	assert_int_equal(mount_topic(mqtt_str("m/"), &s, &made), -ENAMETOOLONG);
	assert_int_equal(mount_filter(mqtt_str("m/"), &s, &made), -ENAMETOOLONG);
	assert_null(made);
}

static void holds(void **state)
{
	(void)state;
	assert_true(mount_holds(mqtt_str(""), mqtt_str("a")));
	assert_true(mount_holds(mqtt_str("m/"), mqtt_str("m/a")));
	assert_false(mount_holds(mqtt_str("m/"), mqtt_str("m/")));
	assert_false(mount_holds(mqtt_str("m/"), mqtt_str("m")));
	assert_false(mount_holds(mqtt_str("m/"), mqtt_str("n/a")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(filters),
		cmocka_unit_test(length),
		cmocka_unit_test(holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
