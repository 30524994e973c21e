// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/mount.h"

#include <errno.h>
#include <stdlib.h>

#include "conf/conf.h"
#include "mqtt/topic.h"

struct mqtt_str mount_of(const struct conf_listener *l)
{
	return l->mount_point ? mqtt_str(l->mount_point) : (struct mqtt_str){0};
}

/* Behind the first `at` bytes of the topic. */
static int insert(struct mqtt_str mount, struct mqtt_str *topic, uint32_t at, uint8_t **made)
{
	uint32_t len = topic->len + mount.len;

	if (len > TOPIC_LEN_MAX)
		return -ENAMETOOLONG;
	*made = malloc(len);
	if (!*made)
		return -ENOMEM;
	memcpy(*made, topic->data, at);
	memcpy(*made + at, mount.data, mount.len);
	memcpy(*made + at + mount.len, topic->data + at, topic->len - at);
	*topic = (struct mqtt_str){*made, len};
	return 0;
}

int mount_topic(struct mqtt_str mount, struct mqtt_str *topic, uint8_t **made)
{
	return mount.len ? insert(mount, topic, 0, made) : 0;
}

int mount_filter(struct mqtt_str mount, struct mqtt_str *filter, uint8_t **made)
{
	struct mqtt_str name, inner;
	int rc;

	if (!mount.len)
		return 0;
	rc = topic_share(*filter, &name, &inner);
	if (rc < 0)
		return -EINVAL;
	rc = insert(mount, filter, rc ? filter->len - inner.len : 0, made);
	return !rc && !topic_filter_valid(*filter) ? -EINVAL : rc;
}
