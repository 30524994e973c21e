// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A client of MQTT 5.0 by paho C's synchronous library: subscribes to what it publishes itself, with each QoS, and checks
 * that properties come back; reason codes; a session that waits for it.
 * Arguments: URI, client identifier, topic. Prints `ok`, or what is wrong. */
#include <MQTTClient.h>
#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 10000, SUBSCRIPTION = 268435455, EXPIRY_S = 1000 };

static const char correlation[] = {0, 1, (char)255};

static int wrong(const char *what, int rc)
{
	fprintf(stderr, "%s: %d\n", what, rc);
	return 1;
}

static void add_int(MQTTProperties *properties, enum MQTTPropertyCodes name, int value)
{
	MQTTProperty property = {.identifier = name};

	if (MQTTProperty_getType(name) == MQTTPROPERTY_TYPE_BYTE)
		property.value.byte = (unsigned char)value;
	else
		property.value.integer4 = (unsigned int)value;
	MQTTProperties_add(properties, &property);
}

static void add_data(MQTTProperties *properties, enum MQTTPropertyCodes name, const void *data, size_t len,
		     const char *value)
{
	MQTTProperty property = {.identifier = name};

	property.value.data = (MQTTLenString){.len = (int)len, .data = (char *)data};
	if (value)
		property.value.value = (MQTTLenString){.len = (int)strlen(value), .data = (char *)value};
	MQTTProperties_add(properties, &property);
}

static int is(MQTTProperties *properties, enum MQTTPropertyCodes name, int index, const void *data, size_t len)
{
	MQTTProperty *p = MQTTProperties_getPropertyAt(properties, name, index);

	return p && p->value.data.len == (int)len && memcmp(p->value.data.data, data, len) == 0;
}

/* Does the message carry what round_trip() gave it, and the subscription's identifier? */
static int check(MQTTClient_message *m, const char *payload, int qos)
{
	MQTTProperties *got = &m->properties;

	if (m->qos != qos || m->payloadlen != (int)strlen(payload) || memcmp(m->payload, payload, strlen(payload)) != 0)
		return wrong("not the message sent", qos);
	if (!is(got, MQTTPROPERTY_CODE_RESPONSE_TOPIC, 0, "answer", 6) ||
	    !is(got, MQTTPROPERTY_CODE_CORRELATION_DATA, 0, correlation, sizeof(correlation)) ||
	    !is(got, MQTTPROPERTY_CODE_USER_PROPERTY, 0, "b", 1) ||
	    !is(got, MQTTPROPERTY_CODE_USER_PROPERTY, 1, "a", 1) ||
	    MQTTProperties_getNumericValue(got, MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR) != 1 ||
	    MQTTProperties_getNumericValue(got, MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER) != SUBSCRIPTION)
		return wrong("not the properties sent", got->count);
	return 0;
}

static int round_trip(MQTTClient client, const char *topic, int qos)
{
	MQTTClient_message out = MQTTClient_message_initializer;
	MQTTClient_message *message = NULL;
	MQTTClient_deliveryToken token;
	MQTTResponse response;
	char payload[16], *name = NULL;
	int name_len, rc, bad;

	snprintf(payload, sizeof(payload), "message %d", qos);
	out.payload = payload;
	out.payloadlen = (int)strlen(payload);
	out.qos = qos;
	add_int(&out.properties, MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR, 1);
	add_data(&out.properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC, "answer", 6, NULL);
	add_data(&out.properties, MQTTPROPERTY_CODE_CORRELATION_DATA, correlation, sizeof(correlation), NULL);
	add_data(&out.properties, MQTTPROPERTY_CODE_USER_PROPERTY, "b", 1, "1");
	add_data(&out.properties, MQTTPROPERTY_CODE_USER_PROPERTY, "a", 1, "2");
	response = MQTTClient_publishMessage5(client, topic, &out, &token);
	rc = (int)response.reasonCode;
	MQTTResponse_free(response);
	MQTTProperties_free(&out.properties);
	if (rc != MQTTREASONCODE_SUCCESS)
		return wrong("publish", rc);
	rc = MQTTClient_waitForCompletion(client, token, TIMEOUT_MS);
	if (rc != MQTTCLIENT_SUCCESS)
		return wrong("completion", rc);
	rc = MQTTClient_receive(client, &name, &name_len, &message, TIMEOUT_MS);
	if (rc != MQTTCLIENT_SUCCESS || !message)
		return wrong("receive", rc);
	bad = check(message, payload, qos);
	MQTTClient_freeMessage(&message);
	MQTTClient_free(name);
	return bad;
}

/* CONNECT with this Clean Start; the session is kept when `expiry` is not 0. */
static int hello(MQTTClient client, int clean, int expiry)
{
	MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer5;
	MQTTProperties properties = MQTTProperties_initializer;
	MQTTResponse response;
	int rc;

	options.MQTTVersion = MQTTVERSION_5;
	options.cleanstart = clean;
	add_int(&properties, MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, expiry);
	response = MQTTClient_connect5(client, &options, &properties, NULL);
	rc = (int)response.reasonCode;
	MQTTResponse_free(response);
	MQTTProperties_free(&properties);
	return rc == MQTTREASONCODE_SUCCESS ? 0 : wrong("connect", rc);
}

static int subscribe(MQTTClient client, const char *topic)
{
	MQTTSubscribe_options options = MQTTSubscribe_options_initializer;
	MQTTProperties properties = MQTTProperties_initializer;
	MQTTResponse response;
	int rc;

	options.retainAsPublished = 1;
	add_int(&properties, MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER, SUBSCRIPTION);
	response = MQTTClient_subscribe5(client, topic, 2, &options, &properties);
	rc = (int)response.reasonCode;
	MQTTResponse_free(response);
	MQTTProperties_free(&properties);
	return rc == MQTTREASONCODE_GRANTED_QOS_2 ? 0 : wrong("subscribe", rc);
}

static int unsubscribe(MQTTClient client, const char *topic, int wanted)
{
	MQTTResponse response = MQTTClient_unsubscribe5(client, topic, NULL);
	int rc = (int)response.reasonCode;

	MQTTResponse_free(response);
	return rc == wanted ? 0 : wrong("unsubscribe", rc);
}

static int run(MQTTClient client, const char *topic)
{
	if (hello(client, 1, EXPIRY_S) || subscribe(client, topic))
		return 1;
	for (int qos = 0; qos <= 2; qos++) {
		if (round_trip(client, topic, qos))
			return 1;
	}
	if (MQTTClient_disconnect5(client, TIMEOUT_MS, MQTTREASONCODE_SUCCESS, NULL) != MQTTCLIENT_SUCCESS)
		return wrong("disconnect", 0);
	if (hello(client, 0, 0) || unsubscribe(client, topic, MQTTREASONCODE_SUCCESS) ||
	    unsubscribe(client, topic, MQTTREASONCODE_NO_SUBSCRIPTION_FOUND))
		return 1;
	if (MQTTClient_disconnect5(client, TIMEOUT_MS, MQTTREASONCODE_SUCCESS, NULL) != MQTTCLIENT_SUCCESS)
		return wrong("disconnect", 1);
	return 0;
}

int main(int argc, char **argv)
{
	MQTTClient_createOptions options = MQTTClient_createOptions_initializer;
	MQTTClient client;
	int rc;

	if (argc != 4)
		return wrong("usage: URI CLIENT TOPIC", argc);
	options.MQTTVersion = MQTTVERSION_5;
	rc = MQTTClient_createWithOptions(&client, argv[1], argv[2], MQTTCLIENT_PERSISTENCE_NONE, NULL, &options);
	if (rc != MQTTCLIENT_SUCCESS)
		return wrong("create", rc);
	rc = run(client, argv[3]);
	MQTTClient_destroy(&client);
	if (!rc)
		puts("ok");
	return rc;
}
