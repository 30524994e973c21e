// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What a file of rules comes to, for the test that compares with another broker: decide FILE. A line of standard input asks
 * for a topic, "USER CLIENT-ID TOPIC" with tabs between; a user "-" is none. It is answered by "", "r", "w" or "rw". The
 * status is 1 when the file is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/acl.h"
#include "base/hash.h"

static int answer(struct acl *acl, char *line)
{
	const char *user = strsep(&line, "\t"), *id = strsep(&line, "\t"), *topic = strsep(&line, "\n");
	struct mqtt_str username = mqtt_str(user);
	struct acl_rights *rights;

	if (!id || !topic)
		return -1;
	rights = acl_rights_new(acl, strcmp(user, "-") ? &username : NULL, mqtt_str(id));
	if (!rights)
		return -1;
	printf("%s%s\n", acl_may(rights, ACL_READ, mqtt_str(topic)) ? "r" : "",
	       acl_may(rights, ACL_WRITE, mqtt_str(topic)) ? "w" : "");
	acl_rights_unref(rights);
	return 0;
}

int main(int argc, char **argv)
{
	struct acl *acl;
	char *line = NULL;
	size_t size = 0;
	int err = 0;

	if (argc != 2)
		return 2;
	hash_init();
	acl = acl_load(argv[1]);
	if (!acl)
		return 1;
	while (!err && getline(&line, &size, stdin) >= 0)
		err = answer(acl, line);
	free(line);
	acl_unref(acl);
	return err ? 2 : 0;
}
