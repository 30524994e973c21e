/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the files of the gateway share. "The owner" is the worker that watches the socket, "home" that of a client. */
#ifndef SHUNT_SN_INTERNAL_H
#define SHUNT_SN_INTERNAL_H

#include <netinet/in.h>

#include "broker/conn.h"
#include "broker/internal.h"
#include "sn/gateway.h"
#include "sn/packet.h"
#include "sn/predefined.h"
#include "sn/topics.h"

enum {
	SN_SOURCES = 4096,   /* rates of sources that are kept; several may share one */
	SN_BATCH = 16,	     /* datagrams received at once */
	SN_REQUESTS = 16,    /* of a client, that wait for their answer */
	SN_MAIL_MAX = 16384, /* datagrams of a socket on their way to their clients */
};

/* Where a client is: an address, and behind a forwarder the node there. */
struct sn_address {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} at;
	/* Which of our addresses it speaks to: answers come from there. Unspecified: any. */
	union {
		struct in_addr in;
		struct in6_addr in6;
	} to;
	struct sn_envelope envelope;
};

struct sn_client;

/* One socket. Constant, or the owner's, but for what says otherwise. */
struct sn_gateway {
	struct sn_gateway *next;
	struct watch watch;
	struct worker *worker; /* the owner */
	struct broker *broker;
	unsigned listener;
	struct table peers; /* struct sn_peer by address */
	uint64_t rates[SN_SOURCES];
	uint32_t mails; /* atomic */
	uint8_t *buffers;
	struct timer advertise;
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} everybody;			  /* where ADVERTISE goes */
	struct sn_predefined *predefined; /* NULL: none */
	struct session *nobody;		  /* who publishes without a connection; NULL: nobody may */
	uint64_t nobody_epoch, nobody_rate;
	uint64_t said_malformed_ns, said_refused_ns; /* in the log */
	uint64_t malformed;			     /* since then */
};

static inline const struct conf_listener *sn_conf(const struct sn_gateway *g)
{
	return &g->broker->conf->listeners[g->listener];
}

/* A datagram on its way between the owner and a client's home. */
struct sn_mail {
	struct inbox_item item;
	struct sn_gateway *gateway;
	struct sn_client *client;
	struct sn_address address;
	bool replaced; /* there is no datagram: the address is another client's now */
	size_t len;
	uint8_t data[];
};

/* ---- datagrams.c --------------------------------------------------------------------------------------------------- */

/* Send a packet. Any thread. 0, or -EAGAIN: not now; what cannot be sent otherwise is lost, as datagrams are. */
int sn_send(const struct sn_gateway *g, const struct sn_address *to, const uint8_t *packet, size_t len);
/* The same for a packet without a string. */
void sn_answer(const struct sn_gateway *g, const struct sn_address *to, const struct sn_packet *p);

/* Receive a batch, for sn_take(). The owner. False: there is nothing more. */
bool sn_receive(struct sn_gateway *g);

/* ---- gateway.c --------------------------------------------------------------------------------------------------- */

/* Handle a datagram; *from gets the envelope it is in. The owner. */
void sn_take(struct sn_gateway *g, struct sn_address *from, const uint8_t *data, size_t len);

/* A datagram was for a client that is no more: handle it anew, at the owner. */
void sn_return(struct sn_mail *mail);

/* ---- discovery.c: the owner ---------------------------------------------------------------------------------------- */

/* 0, or -errno after logging. Main thread. */
int sn_discovery_open(struct sn_gateway *g);
void sn_discovery_start(struct sn_gateway *g);
void sn_search(struct sn_gateway *g, const struct sn_address *from);

/* ---- nobody.c: QoS -1; the owner ----------------------------------------------------------------------------------- */

/* 0 or -ENOMEM. */
int sn_nobody_open(struct sn_gateway *g);
void sn_nobody_close(struct sn_gateway *g);
void sn_nobody_publishes(struct sn_gateway *g, const struct sn_packet *p);

/* ---- client.c ---------------------------------------------------------------------------------------------------- */

enum sn_state {
	SN_NEW,
	SN_WANTS_TOPIC, /* of the will */
	SN_WANTS_MESSAGE,
	SN_CONNECTING, /* waits for the broker's CONNACK */
	SN_ACTIVE,
	SN_ASLEEP,
	SN_AWAKE, /* gets what waited while it was asleep */
	SN_GONE,
};

/* Something that the client has to acknowledge before it gets the next. */
struct sn_pending {
	uint8_t type; /* of the packet: SN_REGISTER, SN_PUBLISH, SN_PUBREL; SN_PUBREC: PUBREL will follow; 0: nothing */
	uint8_t qos;  /* of SN_PUBLISH */
	bool registering; /* SN_PUBLISH: its client did not know the topic, and is told it first */
	bool again;	  /* SN_PUBLISH: that was done once */
	uint16_t msg_id, register_id;
	uint8_t tries;
	uint8_t *packet; /* malloc()ed */
	size_t len;
	struct sn_topic *topic; /* NULL: none that is registered */
};

struct sn_client {
	struct conn_wire wire;
	struct sn_gateway *gateway;
	struct worker *home;
	struct sn_address address;
	char *id;
	struct conn *conn; /* NULL: before it, and in SN_GONE */
	enum sn_state state;
	uint64_t connect_hash; /* of the CONNECT that is in force */
	bool fresh;	       /* nothing has come since */
	/* of that CONNECT, until it is handled */
	bool clean;
	uint16_t duration;
	uint8_t will_qos;
	bool will_retain;
	uint8_t *will_topic;
	uint32_t will_topic_len;

	uint16_t last_register;
	bool writing;
	const struct sn_topic *refused; /* it has said that it will not have this one */
	struct sn_pending pending;
	struct timer retry;
	struct {
		uint8_t type; /* SN_PUBLISH, SN_SUBSCRIBE; 0: none */
		uint16_t msg_id, topic_id;
	} requests[SN_REQUESTS];
	struct inbox_item gone;
};

/* A client that was not known, in SN_NEW; NULL without memory. The owner's until it gets its first mail. */
struct sn_client *sn_client_new(struct sn_gateway *g, const struct sn_address *a, struct mqtt_str id);
void sn_client_free(struct sn_client *k);
/* Mail. At home. */
void sn_client_receive(struct inbox_item *item, void *worker);
void sn_client_answer(struct sn_client *k, const struct sn_packet *p);
/* Is the packet for the broker taken? Encode and feed it; the connection may be closed then. False: not now. */
bool sn_client_feed(struct sn_client *k, const struct mqtt_packet *p, const struct mqtt_filter *filter);

/* ---- from_client.c ----------------------------------------------------------------------------------------------- */

/* A packet of a client that is connected, other than CONNECT. */
void sn_from_client(struct sn_client *k, const struct sn_packet *p);
/* Remember a request until its answer, whose fields it has. False: there are too many. */
bool sn_request(struct sn_client *k, uint8_t type, uint16_t msg_id, uint16_t topic_id);
/* Forget it; its topic id, 0 if there is none. */
uint16_t sn_request_done(struct sn_client *k, uint8_t type, uint16_t msg_id);

/* ---- to_client.c ------------------------------------------------------------------------------------------------- */

/* For struct conn_wire. */
void sn_wire_send(struct conn *c, const uint8_t *packet, size_t len);
void sn_wire_write(struct conn *c);

/* ---- pending.c --------------------------------------------------------------------------------------------------- */

/* From now on this is what the client has to acknowledge; takes its bytes. Nothing else goes out of the output. */
void sn_expect(struct sn_client *k, struct sn_pending p);
void sn_send_pending(const struct sn_client *k);
/* Tell it a topic, by the REGISTER that is pending or that comes before what is. */
void sn_send_register(struct sn_client *k, const struct sn_topic *topic);
/* A message id for that. Nobody who cannot see our datagrams knows it, so that he cannot acknowledge for the client. */
uint16_t sn_register_id(struct sn_client *k);
/* The client does not get a message, which is counted; of QoS 1 and 2 it is over for its session. */
void sn_give_up_message(struct sn_client *k, uint8_t qos, uint16_t pid);
/* Go on with the output in a moment: the socket takes nothing now. */
void sn_try_soon(struct sn_client *k);

/* The client may have output, or something that was not acknowledged again. */
void sn_go_on(struct sn_client *k);
/* It sleeps: nothing goes out. */
void sn_hold_back(struct sn_client *k);
/* Its acknowledgement came, maybe of nothing that is pending. */
void sn_acknowledged(struct sn_client *k, const struct sn_packet *p);
void sn_forget_pending(struct sn_client *k);

#endif
