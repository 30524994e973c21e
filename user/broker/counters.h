/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the broker counts. Every thread that handles MQTT has a struct counters of its own, which only it writes;
 * readers add all of them up and may be a moment behind. The names here are those of broker_stats and of `shuntctl
 * stats`.
 */
#ifndef SHUNT_COUNTERS_H
#define SHUNT_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

/* Why a message that should have gone to a client did not. */
enum drop_reason {
	DROP_QOS0_OUTPUT_FULL, /* QoS 0, and the client does not take its output */
	DROP_QUEUE_FULL,       /* max_queued_messages or max_queued_bytes */
	DROP_TOO_LARGE,	       /* Maximum Packet Size of the client */
	DROP_EXPIRED,	       /* its Message Expiry Interval passed while it waited */
	DROP_NO_MEMORY,
	DROP_DENIED, /* its client may not read the topic */
	DROP_REASONS,
};

/* Why a connection ended. */
enum close_reason {
	CLOSE_DISCONNECT, /* the client sent DISCONNECT */
	CLOSE_PEER,	  /* the client closed or reset the connection without it */
	CLOSE_TIMEOUT,	  /* keepalive, or no CONNECT in time */
	CLOSE_MALFORMED,
	CLOSE_PROTOCOL,
	CLOSE_OVERSIZE,
	CLOSE_NOT_AUTHORISED,
	CLOSE_BAD_METHOD,    /* of enhanced authentication */
	CLOSE_TOKEN_EXPIRED, /* by which it was let in */
	CLOSE_TOPIC_INVALID,
	CLOSE_FILTER_INVALID,
	CLOSE_TOPIC_ALIAS,
	CLOSE_RECEIVE_MAXIMUM,
	CLOSE_QOS,     /* above the maximum QoS */
	CLOSE_RETAIN,  /* retained messages are not available */
	CLOSE_QUOTA,   /* its queue is full, or what it published waits for another one's for too long */
	CLOSE_REFUSED, /* CONNECT refused for another reason */
	CLOSE_TAKEN_OVER,
	CLOSE_KICKED, /* by an administrator */
	CLOSE_NO_MEMORY,
	CLOSE_SOCKET_ERROR,
	CLOSE_TLS,
	CLOSE_WEBSOCKET,
	CLOSE_PROXY, /* its PROXY header */
	CLOSE_BANNED,
	CLOSE_SHUTDOWN,
	CLOSE_REASONS,
};

struct close_text {
	const char *name; /* in statistics */
	const char *log;  /* behind "disconnected: " in mosquitto's wording; NULL: nothing */
	uint8_t reason;	  /* enum mqtt_reason of the DISCONNECT that a client of 5.0 gets; 0: none is sent */
};
extern const struct close_text close_texts[CLOSE_REASONS];
extern const char *const drop_names[DROP_REASONS];

struct counters {
	/* since the start */
	uint64_t messages_received, messages_sent; /* MQTT packets */
	uint64_t bytes_received, bytes_sent;
	uint64_t publish_received, publish_sent;
	uint64_t publish_bytes_received, publish_bytes_sent; /* payload */
	uint64_t publish_refused;     /* quota exceeded: a queue is full, or it cannot be retained */
	uint64_t publish_denied;      /* the client may not publish to the topic */
	uint64_t publish_paused;      /* how often a client was not read because of its rate */
	uint64_t retain_refused;      /* messages that were not retained, by max_retained_... */
	uint64_t connections;	      /* accepted by a listener */
	uint64_t sockets_refused;     /* max_connections */
	uint64_t connections_delayed; /* how often one had to wait, by max_connection_rate */
	uint64_t connections_banned;  /* refused because of a ban */
	uint64_t bans_automatic;      /* that somebody brought about by what he did */
	uint64_t bans_failed;	      /* for which there was no room */
	uint64_t sessions_refused;    /* max_sessions */
	uint64_t hook_allowed, hook_refused, hook_failed; /* answers of auth_http_url, or none */
	uint64_t hook_cached;				  /* it was allowed lately */
	uint64_t hook_busy;				  /* not asked: too many were */
	uint64_t sn_datagrams;				  /* of MQTT-SN, received */
	uint64_t sn_malformed;
	uint64_t sn_limited;	    /* dropped, by mqtt_sn_max_rate */
	uint64_t sn_ignored;	    /* nothing was done: from strangers, not allowed, or there was no room */
	uint64_t sn_retransmitted;  /* packets that were sent again */
	uint64_t connects_received; /* CONNECT, accepted or not */
	uint64_t connects;	    /* CONNECT accepted */
	uint64_t expired;	    /* sessions that were not resumed in time */
	uint64_t dropped[DROP_REASONS];
	uint64_t closed[CLOSE_REASONS];
	/* now; a thread's share may be negative, the sum is not */
	int64_t sockets;
	int64_t memory; /* bytes, see memory.h */
	int64_t clients_connected, sessions;
	int64_t subscriptions, shared_subscriptions, retained;
	int64_t out_packets, out_bytes; /* PUBLISH packets and bytes of all packets that wait for sockets */
	int64_t stored_messages, stored_bytes;
	int64_t publish_waiting; /* PUBLISH that wait for room in a session, see room.h */
} __attribute__((aligned(64)));

/* The calling thread's: its own after counters_bind(), otherwise one that such threads share. */
extern struct counters counters_shared;
extern __thread struct counters *counters_mine;

/* NULL: the shared one again. */
void counters_bind(struct counters *c);

/* Add the shared one and the n given to *sum, which the caller cleared. */
void counters_sum(const struct counters *const *c, size_t n, struct counters *sum);

static inline void counter_add(uint64_t *c, uint64_t n)
{
	if (counters_mine == &counters_shared)
		__atomic_fetch_add(c, n, __ATOMIC_RELAXED);
	else
		__atomic_store_n(c, __atomic_load_n(c, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

/* COUNTER_ADD(publish_sent, 1) */
#define COUNTER_ADD(member, n) counter_add((uint64_t *)&counters_mine->member, (uint64_t)(n))

#endif
