// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Rules against a naive model, and what is said of filters against what is said of topics. The parts have a NUL between
 * them: the file, a user name, a client identifier, a topic filter, a topic name.
 */
#include <stddef.h>
#include <stdint.h>

#include "../unit/acl_model.h"
#include "base/log.h"
#include "mqtt/filter.h"
#include "mqtt/utf8.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PARTS = 5 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	log_set_dest(0, NULL);
	return 0;
}

static void must(bool good)
{
	if (!good)
		abort();
}

static void check(const char *text, const struct acl_model_client *who, const struct acl_rights *rights,
		  const char *filter, const char *name)
{
	struct mqtt_str topic = mqtt_str(name);
	bool read;

	if (!topic_name_valid(topic) || topic_depth(topic) > ACL_LEVELS_MAX)
		return;
	read = acl_may(rights, ACL_READ, topic);
	must(read == acl_model_may(text, who, ACL_READ, name));
	must(acl_may(rights, ACL_WRITE, topic) == acl_model_may(text, who, ACL_WRITE, name));
	if (!topic_filter_valid(mqtt_str(filter)))
		return;
	must(acl_may_read_any(rights, mqtt_str(filter)) || !acl_may_read_all(rights, mqtt_str(filter)));
	if (!topic_matches(mqtt_str(filter), topic))
		return;
	must(!read || acl_may_read_any(rights, mqtt_str(filter)));
	must(read || !acl_may_read_all(rights, mqtt_str(filter)));
	must(filter_covers(mqtt_str(filter), topic) && filter_intersects(topic, mqtt_str(filter)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct acl_model_client who;
	struct acl_rights *rights;
	char *parts[PARTS];
	struct acl *acl;
	size_t at = 0;

	for (int i = 0; i < PARTS; i++) {
		parts[i] = strndup(at < size ? (const char *)data + at : "", at < size ? size - at : 0);
		must(parts[i] != NULL);
		at += strlen(parts[i]) + 1;
	}
	who = (struct acl_model_client){parts[1], parts[2]};
	acl = acl_of(parts[0]);
	/* As names come from a CONNECT. */
	if (acl && utf8_valid((uint8_t *)parts[1], strlen(parts[1])) &&
	    utf8_valid((uint8_t *)parts[2], strlen(parts[2]))) {
		rights = acl_rights_of(acl, &who);
		must(rights != NULL);
		check(parts[0], &who, rights, parts[3], parts[4]);
		acl_rights_unref(rights);
	}
	acl_unref(acl);
	for (int i = 0; i < PARTS; i++)
		free(parts[i]);
	return 0;
}
