// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/flow_reason.h"

static const struct {
	const char *name, *text;
} reasons[FLOW_REASONS] = {
	[FLOW_POSSIBLE] = {"possible", "nothing is against it, and with the next message the kernel takes it over"},
	[FLOW_OFF] = {"off", "the fast path is off"},
	[FLOW_LOGGED] = {"logged", "each message is logged (log_type debug), so the daemon must see each"},
	[FLOW_SIZE_LIMITED] = {"size_limited", "the payload of each message is measured (message_size_limit)"},
	[FLOW_RATE_LIMITED] = {"rate_limited",
			       "what each client publishes is measured (max_publish_rate, max_publish_bytes)"},
	[FLOW_QOS] = {"qos", "the kernel carries QoS 0 only"},
	[FLOW_RETAIN] = {"retain", "it is to be retained"},
	[FLOW_PROPERTIES] = {"properties", "it has properties of MQTT 5.0"},
	[FLOW_DOLLAR] = {"dollar", "the topic begins with $"},
	[FLOW_TOPIC_TOO_LONG] = {"topic_too_long", "the topic is longer than the kernel's keys"},
	[FLOW_PUBLISHER_UNKNOWN] = {"publisher_unknown", "there is no such client"},
	[FLOW_PUBLISHER_AWAY] = {"publisher_away", "the publisher is not connected"},
	[FLOW_PUBLISHER_DENIED] = {"publisher_denied", "the publisher may not publish to it (acl_file, or its token)"},
	[FLOW_PUBLISHER_NO_ROAD] = {"publisher_no_road", "the publisher's connection is on no road of the kernel"},
	[FLOW_SHARED] = {"shared", "it matches a shared subscription, of which the daemon chooses the member"},
	[FLOW_KEPT_FOR_OFFLINE] = {"kept_for_offline",
				   "a session that is away keeps messages of QoS 0 (queue_qos0_messages)"},
	[FLOW_NO_LOCAL] = {"no_local", "the subscription is with No Local, and a flow is for all publishers"},
	[FLOW_IDENTIFIER] = {"identifier", "the subscription has a Subscription Identifier, which the daemon adds"},
	[FLOW_UPGRADED] = {"upgraded", "it is delivered with the QoS of the subscription (upgrade_outgoing_qos)"},
	[FLOW_MANY_COPIES] = {"many_copies", "a receiver gets more than one copy (allow_duplicate_messages)"},
	[FLOW_MANY_RECEIVERS] = {"many_receivers", "it has more than one receiver"},
	[FLOW_NO_RECEIVER] = {"no_receiver", "nobody who is connected has subscribed to it"},
	[FLOW_RECEIVER_NO_ROAD] = {"receiver_no_road", "the receiver's connection is on no road of the kernel"},
	[FLOW_OTHER_ROAD] = {"other_road", "publisher and receiver are on different roads"},
	[FLOW_OTHER_FORM] = {"other_form", "one of publisher and receiver speaks MQTT 5.0, the other an older version"},
	[FLOW_RECEIVER_SENDS] =
		{"receiver_sends",
		 "the receiver sends much itself, which on the remote road the kernel cannot do at once"},
	[FLOW_LOADED] = {"loaded",
			 "there is so much on the remote road that the daemon, by batches, carries it cheaper"},
	[FLOW_RECEIVER_NOT_READY] = {"receiver_not_ready",
				     "the receiver is not prepared; the first message on a topic prepares it"},
	[FLOW_TABLE_FULL] = {"table_full", "the table of flows is full (fastpath_flows)"},
	[FLOW_NO_MEMORY] = {"no_memory", "memory is short"},
};

const char *flow_reason_name(enum flow_reason reason)
{
	return reasons[reason].name;
}

const char *flow_reason_text(enum flow_reason reason)
{
	return reasons[reason].text;
}
