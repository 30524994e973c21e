// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A subscriber by paho C's asynchronous library: prints what it receives.
 * Arguments: URI, client identifier, filter, QoS, messages. Prints `ready` when subscribed, then `QOS PAYLOAD` for so
 * many messages, a line each, and ends. */
#include <MQTTAsync.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TIMEOUT_S = 60 };

struct subscriber {
	MQTTAsync client;
	const char *filter;
	int qos, wanted;
	sem_t done;
};

static void failed(void *context, MQTTAsync_failureData *why)
{
	(void)context;
	fprintf(stderr, "failed: %d\n", why ? why->code : 0);
	exit(1);
}

static void lost(void *context, char *cause)
{
	(void)context;
	fprintf(stderr, "connection lost: %s\n", cause ? cause : "");
	exit(1);
}

static void subscribed(void *context, MQTTAsync_successData *data)
{
	(void)context;
	(void)data;
	puts("ready");
	fflush(stdout);
}

static void connected(void *context, MQTTAsync_successData *data)
{
	MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
	struct subscriber *s = context;

	(void)data;
	options.onSuccess = subscribed;
	options.onFailure = failed;
	if (MQTTAsync_subscribe(s->client, s->filter, s->qos, &options) != MQTTASYNC_SUCCESS)
		failed(s, NULL);
}

static int arrived(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
	struct subscriber *s = context;

	(void)topic_len;
	printf("%d %.*s\n", message->qos, message->payloadlen, (char *)message->payload);
	if (--s->wanted == 0)
		sem_post(&s->done);
	MQTTAsync_freeMessage(&message);
	MQTTAsync_free(topic);
	return 1;
}

int main(int argc, char **argv)
{
	MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
	struct subscriber s;
	struct timespec until;

	if (argc != 6) {
		fputs("usage: URI CLIENT FILTER QOS COUNT\n", stderr);
		return 2;
	}
	s = (struct subscriber){.filter = argv[3], .qos = atoi(argv[4]), .wanted = atoi(argv[5])};
	sem_init(&s.done, 0, 0);
	if (MQTTAsync_create(&s.client, argv[1], argv[2], MQTTCLIENT_PERSISTENCE_NONE, NULL) != MQTTASYNC_SUCCESS ||
	    MQTTAsync_setCallbacks(s.client, &s, lost, arrived, NULL) != MQTTASYNC_SUCCESS)
		failed(&s, NULL);
	options.onSuccess = connected;
	options.onFailure = failed;
	options.context = &s;
	if (MQTTAsync_connect(s.client, &options) != MQTTASYNC_SUCCESS)
		failed(&s, NULL);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += TIMEOUT_S;
	if (sem_timedwait(&s.done, &until)) {
		fprintf(stderr, "%d messages missing\n", s.wanted);
		return 1;
	}
	fflush(stdout);
	MQTTAsync_destroy(&s.client);
	return 0;
}
