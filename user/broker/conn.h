/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A network connection. It belongs to the worker that accepted it until its CONNECT is read, and from then on to the
 * worker of its client identifier. Closing is only ever done by conn_close(), which nothing below the packet handlers
 * and the end of the turn calls: whatever goes wrong in between sets `broken`.
 */
#ifndef SHUNT_CONN_H
#define SHUNT_CONN_H

#include "broker/internal.h"
#include "broker/session.h"
#include "broker/worker.h"
#include "net/listener.h"

struct token;
struct transport;

enum conn_state {
	CONN_NEW,    /* waits for CONNECT; with `auth`, for the AUTH that follows it */
	CONN_MOVING, /* on its way to another worker */
	CONN_OPEN,
	CONN_CLOSED, /* waits for deliveries to be acknowledged, then freed */
};

enum {
	CONNECT_DEADLINE_MS = 10000, /* for the CONNECT, from accept, without the time for checking a password */
	/* The most a CONNECT of 3.1.1 can be: five strings of 65,535 bytes with their lengths, and the rest. In 5.0 there
	 * might be more properties; nobody who has not said who he is may make us keep them. */
	CONNECT_SIZE_MAX = 5 * 65537 + 15,
	/* Acknowledgements that wait for a client that does not read: above the first nothing more is read from it,
	 * below the second it goes on. Bytes. */
	CONTROL_HIGH = 65536,
	CONTROL_LOW = 32768,
	RETRIES_SOON = 8,  /* after -EBUSY of fp_send(): each after 1 ms, */
	RETRY_MAX_MS = 64, /* then twice as long each time, up to this */
};

/* What stands for the socket of a connection that has none: its packets are carried by something else. Embedded in that;
 * called on the worker of the connection. */
struct conn_wire {
	/* Send a packet that is no PUBLISH. */
	void (*send)(struct conn *c, const uint8_t *packet, size_t len);
	/* Take PUBLISH and PUBREL out of the output, as far as the client may have them; if it may not have what is there,
	 * set c->blocked, and clear it and call conn_dirty() when it may. */
	void (*write)(struct conn *c);
	/* It has ended: forget it. */
	void (*closed)(struct conn *c, enum close_reason why);
	uint32_t max_packet; /* bytes of a PUBLISH in its output */
};

struct conn {
	struct watch watch;
	struct conn_wire *wire;	     /* NULL: there is a socket */
	struct transport *transport; /* NULL: the socket carries MQTT itself */
	struct worker *worker;
	struct list all;
	struct list ready, dirty, fence, committing, loading; /* members of the worker's lists */
	enum conn_state state;
	uint8_t version;	/* enum mqtt_version; 3.1.1 until CONNECT says */
	bool placed;		/* is on the worker of its client identifier */
	struct worker *move_to; /* its CONNECT names another worker: do not touch the input any more */
	bool readable;		/* the socket may have more */
	bool hangup;		/* EPOLLRDHUP was seen: read to the end */
	bool paused; /* not read, because of acknowledgements it does not take, of the disk, of room_full() or rate_over() */
	bool waits_for_session; /* not read, until its session came from the store */
	bool blocked;		/* the socket takes nothing more for now */
	bool unwelcome;		/* by rules that have changed: not read, and closed at the end of the turn */
	bool broken;		/* to be closed at the end of the turn, with `why` */
	enum close_reason why;
	unsigned listener;
	uint64_t order; /* later connections have greater ones */
	char peer[NET_ADDRESS_MAX];
	char *identity;	       /* who it is by its certificate or key, where the listener goes by that; NULL: */
	const char *lacks;     /* it lacks that, static text; NULL: the listener does not ask */
	char *client_name;     /* for the log, as session->name; between CONNECT and the session */
	char *client_id;       /* the end of it; NULL with it */
	bool assigned_id;      /* it is ours */
	bool problem_info;     /* Request Problem Information, section 3.1.2.11.7 of 5.0 */
	bool not_kept;	       /* max_sessions: its session ends with it, whatever it wants */
	bool expires_at_close; /* its CONNECT had a Session Expiry Interval of 0 [MQTT-3.14.2-2] */
	uint8_t peer_reason;   /* of its DISCONNECT */
	struct session *session;
	struct session_sink sink;
	struct alias_in aliases; /* of the client */
	struct {
		uint32_t inflight; /* of QoS 2; 0 no limit */
		uint16_t topic_alias;
		uint8_t qos;
		bool retain;
	} told;		       /* limits of ours when it connected: a change of the configuration does not break them */
	char *username;	       /* with which it was let in; its session's from then on; NULL: none */
	struct login *login;   /* its password is being checked; NULL: not */
	struct asking *asking; /* an HTTP hook is being asked; NULL: not; at most one of both */
	struct token *token;   /* by which it was let in; its session's from then on; NULL: none */
	bool login_known;      /* it was, and this came of it: */
	int login_result;      /* 0 or enum mqtt_reason */
	uint64_t access_epoch; /* by which rules it was let in */
	struct connect_auth *auth; /* enhanced authentication, authenticate.c; NULL: none */

	uint8_t *in; /* begins with a packet that is not complete, or not handled because of `paused` */
	size_t in_len, in_cap;
	uint64_t received; /* bytes read from the socket */
	uint64_t bytes_in, bytes_out;
	uint64_t carried_in, carried_out; /* messages, by conn_count_carried() */
	uint64_t counted_bytes;		  /* of the output, in the counters */
	uint32_t counted_packets;	  /* PUBLISH */
	uint64_t last_rx_ns;
	uint64_t connected_ns;

	uint16_t keep_alive;   /* seconds; 0 off */
	struct timer deadline; /* for CONNECT, then of the keepalive */
	struct timer retry;
	uint32_t retries; /* since something was written */

	struct message *will; /* a reference; NULL: none. Published when the connection ends without DISCONNECT */
	bool will_retain;
	uint32_t will_delay; /* seconds */

	struct fp_link link;
	bool held; /* fp_hold() was told so */
	bool want_target;
	bool pinged;		/* it sends PINGREQ, which the kernel might answer */
	uint64_t pinged_at;	/* bytes of output in all, with the last PINGRESP */
	uint64_t returned;	/* diverted messages in the output, of which the kernel was not told */
	uint64_t flow_retry_ns; /* no flow is tried before, */
	int flow_error;		/* after an install that ended with this -errno */
	uint32_t pending;	/* deliveries on other workers, and markers, that were not acknowledged */

	struct list waiting;	    /* room.c's: PUBLISH that wait for room */
	struct list waits_for_room; /* member of the worker's list, while any waits */
	uint64_t waiting_bytes, waiting_ns;

	struct timer rate;		    /* rate.c's: while it runs, nothing is read */
	uint64_t rate_messages, rate_bytes; /* of base/rate.h */
	bool said_too_fast;		    /* in the log */

	struct list held_answers; /* durable.c's: they wait for the disk */
	uint32_t held_n;
	uint64_t operations, failures; /* store_client's, before the packet that is being handled */

	struct inbox_item move;
};

/* What a connection begins with. */
struct newcomer {
	int fd;
	unsigned listener;
	const char *peer;
	uint64_t order;
	struct transport *transport; /* NULL: none; taken over, as `identity` */
	uint8_t *rest;		     /* read from the socket already; spoilt */
	size_t rest_len;
	char *identity;
	const char *lacks;
};

/* Take over a socket that was accepted, and that the listener's gate, if it has one, has let through. Closes it when there
 * is no memory. */
void conn_accept(struct worker *w, const struct newcomer *n);

/* Close a socket that was accepted and does not become a connection. */
void conn_refuse(struct worker *w, int fd, unsigned listener, const char *peer, enum close_reason why);

/* Hand the connection to the worker `move_to`; its input buffer begins with the CONNECT. */
void conn_move(struct conn *c);

/* Give the client CONNECT_DEADLINE_MS from now on to be connected. */
void conn_await_connect(struct conn *c);

/* Read and handle what is there, within the turn's share. */
void conn_read(struct conn *c);

/* Begin a connection without a socket, on the worker of its client; the caller has counted it for its listener. NULL without
 * memory. */
struct conn *conn_open(struct worker *w, struct conn_wire *wire, const struct newcomer *n);

/* Can it take a packet now? Not so while it is closed, paused, or waits for something. */
bool conn_takes(const struct conn *c);

/* Handle a packet, which is readable for WIRE_HEADER_MAX bytes more, of a connection without a socket that takes one. It may be
 * closed then. */
void conn_feed(struct conn *c, const uint8_t *packet, size_t len);

/* Handle what was read before the connection began. */
void conn_take(struct conn *c, uint8_t *data, size_t len);

/* Free the buffer of what was read and not handled. */
void conn_release_input(struct conn *c);

/* Append a packet that is no PUBLISH. */
void conn_send(struct conn *c, const uint8_t *packet, size_t len);

/* There is output: write at the end of the turn. */
void conn_dirty(struct conn *c);

/* Write what the socket takes. Does not close: see `broken`. */
void conn_write(struct conn *c);

/* Of the next `len` bytes of the output, that were gathered by the rule of its link, `n` were written. */
void conn_written(struct conn *c, size_t n, size_t len);

/* Count for its namespace what the kernel has carried since the last time, unless it is the default one. */
void conn_count_carried(struct conn *c);

/* The end of the turn for a connection with output: write, let the session go on, hold or release. */
void conn_flush(struct conn *c);

/* Close at the end of the turn. */
void conn_break(struct conn *c, enum close_reason why);

/* Close now: log, publish the will, let the session go. The struct stays until the end of the turn at least. */
void conn_close(struct conn *c, enum close_reason why);

/* Wait until the sockets of all closed connections of the worker are closed, too: the broker stops. */
void conn_finish_lingering(struct worker *w);

/* Free a closed one nothing refers to. */
void conn_free(struct conn *c);

/* Start the keepalive, 1.5 times the client's [MQTT-3.1.2-24]. */
void conn_keepalive(struct conn *c);

/* packets.c: handle one whole packet. Returns 0, or conn_fail() of the reason to close. With `move_to` set the packet
 * was not consumed. */
int conn_handle(struct conn *c, uint8_t first, const uint8_t *body, size_t len);

/* connect.c: the same for the first packet, and for AUTH until the client is known. */
int conn_handle_connect(struct conn *c, uint8_t first, const uint8_t *body, size_t len);

/* connack.c */
struct connack {
	uint8_t version; /* of the client, as far as known */
	bool session_present;
	enum mqtt_reason reason;
	const struct mqtt_packet *connect; /* NULL: it was refused */
	uint32_t expiry_interval;	   /* of the session */
};
void conn_send_connack(struct conn *c, const struct connack *a);
/* A DISCONNECT for this reason to a client of 5.0, section 3.14; nothing to others. */
void conn_send_disconnect(struct conn *c, enum close_reason why);

/* Where it is, that of its listener. */
static inline struct namespace *conn_namespace(const struct conn *c)
{
	return c->worker->broker->listener_namespaces[c->listener];
}

static inline int conn_fail(enum close_reason why)
{
	return (int)why + 1;
}

/* The close reason that stands for a reason of the codec. */
enum close_reason conn_close_reason(int mqtt_reason);

#endif
