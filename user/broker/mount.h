/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Option mount_point of a listener: its clients have the part of the tree of topics whose names begin with it, and see
 * these without it.
 *
 *	client		PUBLISH, will		t		mount point + t
 *	client		SUBSCRIBE, UNSUBSCRIBE	f		mount point + f
 *						$share/g/f	$share/g/ + mount point + f
 *	to the client	PUBLISH			mount point + t	t
 *
 * What always holds:
 * - Behind the packets everything has the whole name: the tree, retained messages, rules of access, sessions and what they
 *   keep in the store, flows. So the rest of the broker knows nothing of mount points, and a session may come back by
 *   another listener: its subscriptions stay what they are.
 * - It is put in front exactly once, where a packet's topic or filter is read for the first time, and Topic Aliases of
 *   clients stand for names without it. It is left out exactly once, where a PUBLISH is written.
 * - A client is never sent a message whose name does not begin with its mount point, although it may have the
 *   subscription, from another listener or because "m/#" matches "m": session_deliver() drops and counts it.
 * - These clients are on no road of the kernel, which forwards packets as they are.
 */
#ifndef SHUNT_MOUNT_H
#define SHUNT_MOUNT_H

#include "mqtt/str.h"

struct conf_listener;

/* The mount point of the listener; empty: none. Valid as long as the listener: it does not change at reload. */
struct mqtt_str mount_of(const struct conf_listener *l);

/* Put it in front of a valid topic name, or of a valid filter, of which it goes behind "$share/NAME/". Nothing without a
 * mount point. *made (NULL before) is to be freed after the last use. 0; -ENOMEM; -ENAMETOOLONG: longer than TOPIC_LEN_MAX;
 * or, of a filter, -EINVAL: it is none behind a mount point that does not end with '/', as "+", or no shared one. */
int mount_topic(struct mqtt_str mount, struct mqtt_str *topic, uint8_t **made);
int mount_filter(struct mqtt_str mount, struct mqtt_str *filter, uint8_t **made);

/* Is something left of the topic when the mount point is left out? */
static inline bool mount_holds(struct mqtt_str mount, struct mqtt_str topic)
{
	return !mount.len || (topic.len > mount.len && memcmp(topic.data, mount.data, mount.len) == 0);
}

#endif
