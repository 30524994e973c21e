// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A client by paho C's synchronous library: subscribes, publishes to itself with each QoS and checks what comes back.
 * Arguments: URI, client identifier, topic, messages. Prints `ok`, or what is wrong. */
#include <MQTTClient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 10000 };

static int wrong(const char *what, int rc)
{
	fprintf(stderr, "%s: %d\n", what, rc);
	return 1;
}

/* Send message n and wait for it. */
static int round_trip(MQTTClient client, const char *topic, int qos, int n)
{
	MQTTClient_message *message = NULL;
	char payload[64], *name = NULL;
	MQTTClient_deliveryToken token;
	int name_len, rc, bad;

	snprintf(payload, sizeof(payload), "%d %d", qos, n);
	rc = MQTTClient_publish(client, topic, (int)strlen(payload), payload, qos, 0, &token);
	if (rc != MQTTCLIENT_SUCCESS)
		return wrong("publish", rc);
	rc = MQTTClient_waitForCompletion(client, token, TIMEOUT_MS);
	if (rc != MQTTCLIENT_SUCCESS)
		return wrong("completion", rc);
	rc = MQTTClient_receive(client, &name, &name_len, &message, TIMEOUT_MS);
	if (rc != MQTTCLIENT_SUCCESS || !message)
		return wrong("receive", rc);
	bad = message->qos != qos || message->payloadlen != (int)strlen(payload) ||
	      memcmp(message->payload, payload, strlen(payload)) != 0;
	MQTTClient_freeMessage(&message);
	MQTTClient_free(name);
	return bad ? wrong("not the message sent", n) : 0;
}

int main(int argc, char **argv)
{
	MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
	MQTTClient client;
	int rc, failed = 0;

	if (argc != 5)
		return wrong("usage: URI CLIENT TOPIC COUNT", argc);
	rc = MQTTClient_create(&client, argv[1], argv[2], MQTTCLIENT_PERSISTENCE_NONE, NULL);
	if (rc != MQTTCLIENT_SUCCESS)
		return wrong("create", rc);
	options.MQTTVersion = MQTTVERSION_3_1_1;
	rc = MQTTClient_connect(client, &options);
	if (rc != MQTTCLIENT_SUCCESS)
		return wrong("connect", rc);
	rc = MQTTClient_subscribe(client, argv[3], 2);
	if (rc != MQTTCLIENT_SUCCESS)
		return wrong("subscribe", rc);
	for (int qos = 0; qos <= 2 && !failed; qos++) {
		for (int n = 0; n < atoi(argv[4]) && !failed; n++)
			failed = round_trip(client, argv[3], qos, n);
	}
	rc = MQTTClient_unsubscribe(client, argv[3]);
	if (rc != MQTTCLIENT_SUCCESS)
		failed = wrong("unsubscribe", rc);
	rc = MQTTClient_disconnect(client, TIMEOUT_MS);
	if (rc != MQTTCLIENT_SUCCESS)
		failed = wrong("disconnect", rc);
	MQTTClient_destroy(&client);
	if (!failed)
		puts("ok");
	return failed;
}
