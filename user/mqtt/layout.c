// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The control packets, sections 3.1 to 3.15. */
#include "mqtt/layout.h"

const struct version versions[VERSION_COUNT] = {
	[MQTT_3_1] = {.name = "3.1", .protocol = "MQIsdp"},
	[MQTT_3_1_1] = {.name = "3.1.1", .protocol = "MQTT"},
	[MQTT_5_0] = {.name = "5.0", .protocol = "MQTT"},
};

const struct layout
	layouts[LAYOUT_TYPES] =
		{
			[MQTT_CONNECT] =
				{
					.name = "CONNECT",
					.since = {[SENT_BY_CLIENT] = 3},
					.unused_in_3_1 = 0x0f,
					.fields =
						{
							{FIELD_PROTOCOL, 3, false},
							{FIELD_CONNECT_FLAGS, 3, false},
							{FIELD_KEEP_ALIVE, 3, false},
							{FIELD_PROPS, 5, false},
							{FIELD_CLIENT_ID, 3, false},
							{FIELD_WILL, 3, false},
							{FIELD_USERNAME, 3, false},
							{FIELD_PASSWORD, 3, false},
						},
				},
			[MQTT_CONNACK] =
				{
					.name = "CONNACK",
					.since = {[SENT_BY_SERVER] = 3},
					.unused_in_3_1 = 0x0f,
					.fields =
						{
							{FIELD_CONNACK_FLAGS, 3, false},
							{FIELD_CONNACK_CODE, 3, false},
							{FIELD_PROPS, 5, false},
						},
				},
			[MQTT_PUBLISH] =
				{
					.name = "PUBLISH",
					.since = {[SENT_BY_CLIENT] = 3, [SENT_BY_SERVER] = 3},
					.fields =
						{
							{FIELD_TOPIC, 3, false},
							{FIELD_QOS_PID, 3, false},
							{FIELD_PROPS, 5, false},
							{FIELD_PAYLOAD, 3, false},
						},
				},
			[MQTT_PUBACK] =
				{
					.name = "PUBACK",
					.since = {[SENT_BY_CLIENT] = 3, [SENT_BY_SERVER] = 3},
					.unused_in_3_1 = 0x0f,
					.fields =
						{
							{FIELD_PID, 3, false},
							{FIELD_REASON, 5, true},
							{FIELD_PROPS, 5, true},
						},
				},
			[MQTT_PUBREC] =
				{
					.name = "PUBREC",
					.since = {[SENT_BY_CLIENT] = 3, [SENT_BY_SERVER] = 3},
					.unused_in_3_1 = 0x0f,
					.fields =
						{
							{FIELD_PID, 3, false},
							{FIELD_REASON, 5, true},
							{FIELD_PROPS, 5, true},
						},
				},
			[MQTT_PUBREL] =
				{
					.name = "PUBREL",
					.since = {[SENT_BY_CLIENT] = 3, [SENT_BY_SERVER] = 3},
					.flags = 0x02, /* [MQTT-3.6.1-1] */
					.unused_in_3_1 = 0x09,
					.fields =
						{
							{FIELD_PID, 3, false},
							{FIELD_REASON, 5, true},
							{FIELD_PROPS, 5, true},
						},
				},
			[MQTT_PUBCOMP] =
				{
					.name = "PUBCOMP",
					.since = {[SENT_BY_CLIENT] = 3, [SENT_BY_SERVER] = 3},
					.unused_in_3_1 = 0x0f,
					.fields =
						{
							{FIELD_PID, 3, false},
							{FIELD_REASON, 5, true},
							{FIELD_PROPS, 5, true},
						},
				},
			[MQTT_SUBSCRIBE] =
				{
					.name = "SUBSCRIBE",
					.since = {[SENT_BY_CLIENT] = 3},
					.flags = 0x02, /* [MQTT-3.8.1-1] */
					.unused_in_3_1 = 0x09,
					.fields =
						{
							{FIELD_PID, 3, false},
							{FIELD_PROPS, 5, false},
							{FIELD_FILTERS, 3, false},
						},
				},
			[MQTT_SUBACK] =
				{
					.name = "SUBACK",
					.since = {[SENT_BY_SERVER] = 3},
					.unused_in_3_1 = 0x0f,
					.fields =
						{
							{FIELD_PID, 3, false},
							{FIELD_PROPS, 5, false},
							{FIELD_CODES, 3, false},
						},
				},
			[MQTT_UNSUBSCRIBE] =
				{
					.name = "UNSUBSCRIBE",
					.since = {[SENT_BY_CLIENT] = 3},
					.flags = 0x02, /* [MQTT-3.10.1-1] */
					.unused_in_3_1 = 0x09,
					.fields =
						{
							{FIELD_PID, 3, false},
							{FIELD_PROPS, 5, false},
							{FIELD_FILTERS, 3, false},
						},
				},
			[MQTT_UNSUBACK] =
				{
					.name = "UNSUBACK",
					.since = {[SENT_BY_SERVER] = 3},
					.unused_in_3_1 = 0x0f,
					.fields =
						{
							{FIELD_PID, 3, false},
							{FIELD_PROPS, 5, false},
							{FIELD_CODES, 5, false},
						},
				},
			[MQTT_PINGREQ] =
				{
					.name = "PINGREQ",
					.since = {[SENT_BY_CLIENT] = 3},
					.unused_in_3_1 = 0x0f,
				},
			[MQTT_PINGRESP] =
				{
					.name = "PINGRESP",
					.since = {[SENT_BY_SERVER] = 3},
					.unused_in_3_1 = 0x0f,
				},
			[MQTT_DISCONNECT] =
				{
					.name = "DISCONNECT",
					.since = {[SENT_BY_CLIENT] = 3, [SENT_BY_SERVER] = 5},
					.unused_in_3_1 = 0x0f,
					.fields =
						{
							{FIELD_REASON, 5, true},
							{FIELD_PROPS, 5, true},
						},
				},
			[MQTT_AUTH] =
				{
					.name = "AUTH",
					.since = {[SENT_BY_CLIENT] = 5, [SENT_BY_SERVER] = 5},
					.fields =
						{
							{FIELD_REASON, 5, true},
							{FIELD_PROPS, 5, true},
						},
				},
};

const char *mqtt_type_name(uint8_t type)
{
	return type < LAYOUT_TYPES && layouts[type].name ? layouts[type].name : "RESERVED";
}

const char *mqtt_version_name(uint8_t version)
{
	return version < VERSION_COUNT && versions[version].name ? versions[version].name : "?";
}
