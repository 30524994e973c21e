// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* conn->answer is what has come of the packet sent last: an enum answer, or a negative errno. */
#include "shunt-bench/handshake.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "mqtt/encode.h"

enum answer {
	ANSWERED = 0,
	AWAITING_CONNACK = MQTT_CONNACK,
	AWAITING_SUBACK = MQTT_SUBACK,
};

static int check_suback(const struct mqtt_packet *packet)
{
	for (uint32_t i = 0; i < packet->codes.len; i++) {
		if (packet->codes.data[i] & 0x80) /* [MQTT-3.9.3-2] */
			return -EACCES;
	}
	return ANSWERED;
}

static int on_answer(struct conn *c, const struct mqtt_packet *packet, uint64_t now_ns)
{
	(void)now_ns;
	if (c->answer != packet->type)
		c->answer = -EPROTO;
	else if (packet->type == MQTT_SUBACK)
		c->answer = check_suback(packet);
	else
		c->answer = packet->reason ? -EACCES : ANSWERED;
	return 0;
}

static int wait_for(const struct conn *c, short events, uint64_t deadline_ns)
{
	struct pollfd pollfd = {.fd = c->fd, .events = events};
	int64_t left_ms = (int64_t)(deadline_ns - clock_ns()) / 1000000 + 1;
	int n = poll(&pollfd, 1, left_ms > 0 ? (int)left_ms : 0);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n ? 0 : -ETIMEDOUT;
}

/* Send the packet and wait for its answer. */
static int ask(struct conn *c, const uint8_t *packet, size_t len, enum answer answer)
{
	uint64_t deadline_ns = clock_ns() + HANDSHAKE_TIMEOUT_S * NS_PER_S;
	int err = 0;

	c->on_packet = on_answer;
	c->answer = answer;
	conn_write(c, packet, len);
	while (!err && c->fd >= 0 && c->answer > ANSWERED) {
		err = wait_for(c, c->out.len ? POLLIN | POLLOUT : POLLIN, deadline_ns);
		if (!err)
			conn_event(c, EPOLLIN | EPOLLOUT);
	}
	if (err)
		return err;
	return c->answer > ANSWERED ? -ECONNRESET : c->answer;
}

static int open_socket(struct conn *c, const struct addrinfo *to, const struct options *o)
{
	uint64_t deadline_ns = clock_ns() + HANDSHAKE_TIMEOUT_S * NS_PER_S;
	int one = 1, err = 0;
	socklen_t len = sizeof(err);

	c->fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (c->fd < 0)
		return -errno;
	if (!o->nagle && setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
		return -errno;
	if (o->cc && setsockopt(c->fd, IPPROTO_TCP, TCP_CONGESTION, o->cc, (socklen_t)strlen(o->cc)) < 0)
		return -errno;
	if (connect(c->fd, to->ai_addr, to->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	err = wait_for(c, POLLOUT, deadline_ns);
	if (err)
		return err;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	return -err;
}

int handshake_connect(struct conn *c, struct io *io, const struct addrinfo *to, const struct options *o,
		      const char *client_id, bool clean)
{
	struct mqtt_connect connect = {
		.version = (enum mqtt_version)o->mqtt,
		.clean_start = clean,
		.keep_alive = (uint16_t)o->keepalive,
		.client_id = mqtt_str(client_id),
		.has_username = o->username,
		.has_password = o->password,
		.username = mqtt_str(o->username ? o->username : ""),
		.password = mqtt_str(o->password ? o->password : ""),
	};
	uint8_t packet[1024];
	size_t len = mqtt_encode_connect(packet, sizeof(packet), &connect, NULL);
	int err;

	*c = (struct conn){.fd = -1, .io = io, .version = (uint8_t)o->mqtt};
	if (len == 0)
		return -EMSGSIZE;
	err = open_socket(c, to, o);
	if (!err)
		err = conn_watch(c);
	if (!err)
		err = ask(c, packet, len, AWAITING_CONNACK);
	if (err)
		conn_close(c);
	return err;
}

int handshake_subscribe(struct conn *c, const struct options *o, const struct mqtt_str *names, size_t n)
{
	struct mqtt_filter filters[HANDSHAKE_FILTERS] = {0};
	uint8_t *packet = NULL;
	size_t len;
	int err;

	for (size_t i = 0; i < n; i++) {
		filters[i].topic = names[i];
		filters[i].qos = (uint8_t)o->qos;
	}
	len = mqtt_encode_filters(NULL, 0, c->version, MQTT_SUBSCRIBE, 1, filters, n, NULL);
	packet = malloc(len);
	if (!packet || len == 0)
		err = len ? -ENOMEM : -EMSGSIZE;
	else if (mqtt_encode_filters(packet, len, c->version, MQTT_SUBSCRIBE, 1, filters, n, NULL) != len)
		err = -EMSGSIZE;
	else
		err = ask(c, packet, len, AWAITING_SUBACK);
	free(packet);
	if (err)
		conn_close(c);
	return err;
}
