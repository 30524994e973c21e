// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* log_dest topic: lines of the log as messages, by mosquitto's names. Whoever logs sends the line to worker 0, which
 * publishes it. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "broker/internal.h"
#include "broker/sys.h"
#include "broker/worker.h"

enum {
	WAITING_MAX = 1000, /* lines that wait for worker 0; further ones are left out */
	EXPIRY_S = 20,	    /* as mosquitto's: old lines do not pile up for clients that are away */
};

struct line {
	struct inbox_item item;
	const char *topic;
	size_t len;
	char text[];
};

static uint32_t waiting; /* atomic */

/* What publishing a line logs would be published, and so on. */
static __thread bool publishing;

static const char *topic_of(enum log_type type)
{
	switch (type) {
	case LOG_TYPE_WARNING:
		return "log/W";
	case LOG_TYPE_NOTICE:
		return "log/N";
	case LOG_TYPE_INFORMATION:
		return "log/I";
	case LOG_TYPE_SUBSCRIBE:
		return "log/M/subscribe";
	case LOG_TYPE_UNSUBSCRIBE:
		return "log/M/unsubscribe";
	default:
		return "log/E";
	}
}

static void receive_line(struct inbox_item *item, void *receiver)
{
	struct line *l = container_of(item, struct line, item);

	__atomic_sub_fetch(&waiting, 1, __ATOMIC_RELAXED);
	publishing = true;
	sys_publish(receiver, l->topic, l->text, l->len, EXPIRY_S);
	publishing = false;
	free(l);
}

static void send_line(enum log_type type, const char *text, size_t len)
{
	struct line *l;

	if (type == LOG_TYPE_DEBUG || publishing)
		return;
	if (__atomic_add_fetch(&waiting, 1, __ATOMIC_RELAXED) > WAITING_MAX)
		goto leave_out;
	l = malloc(sizeof(*l) + len);
	if (!l)
		goto leave_out;
	*l = (struct line){.item.receive = receive_line, .topic = topic_of(type), .len = len};
	memcpy(l->text, text, len);
	loop_send(&the_broker.workers[0].loop, &l->item);
	return;

leave_out:
	__atomic_sub_fetch(&waiting, 1, __ATOMIC_RELAXED);
}

void log_topic_start(void)
{
	log_set_sink(send_line);
}

void log_topic_stop(void)
{
	log_set_sink(NULL);
}
