/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The control socket: how shuntctl and other programs ask a running daemon.
 *
 * It is a Unix stream socket. A request is one line of at most CONTROL_REQUEST_MAX bytes, a JSON object; the answer is
 * one line, a JSON object too. Any number of requests may follow one another on a connection; the next is read when the
 * answer was taken. Requests:
 *
 *	{"command":"stats"}			numbers of the daemon
 *	{"command":"status"}			version, listeners and the state of the fast path
 *	{"command":"clients","client":"c"}	{"clients":[...]}; without client: all
 *	{"command":"flows"}			{"at_ms":...,"flows":[...]}; the time is that of a clock which never steps
 *	{"command":"why","topic":"t","client":"c"}	why the kernel does not carry it: {"why":{...}}; without client: of
 *						whoever publishes
 *	{"command":"bans"}			{"bans":[...]}
 *	{"command":"ban","address":"192.0.2.0/24","seconds":300,"reason":"text"}	{"banned":[...]}; "client" or "user" in
 *						place of "address"; without seconds until it is lifted
 *	{"command":"unban","address":"192.0.2.0/24"}	{"unbanned":true}
 *	{"command":"fastpath","state":"on"}	switch the fast path on or "off"; {"fastpath":{"state":...,"reason":...}}
 *
 *	{"command":"topics","filter":"f"}	{"topics":[...],"more":false}: where something is subscribed or retained
 *	{"command":"retained","filter":"f"}	the same of retained messages; without filter, as above: #
 *	{"command":"subscriptions","client":"c"}	and of subscriptions; without client: of all. These three list up to
 *						"limit":1000; more: there are more
 *	{"command":"kick","client":"c"}		disconnect it
 *	{"command":"publish","topic":"t","payload":"p"}	publish it; with "qos" and "retain", if they are not 0 and false
 *
 * clients, topics, retained, subscriptions, why, kick, publish, and ban and unban of a client or user, may have the member
 * "namespace":"n" as well: they are then about that one. Without it clients and subscriptions list those of all, unless they
 * ask for a client; the others, and these then, are about the default namespace. In answers, what is in another one says so
 * by a member of that name; flows always have it, "" in the default one.
 *
 * A request that cannot be served is answered by {"error":"text"}. Members may be added to answers; those that are
 * there stay. user/admin/answers.c has them all.
 *
 * Who may connect is a matter of the file: it belongs to the daemon's user and group, mode 0660.
 */
#ifndef SHUNT_CONTROL_H
#define SHUNT_CONTROL_H

#include <stddef.h>
#include <sys/types.h>

enum {
	CONTROL_REQUEST_MAX = 4096, /* bytes of a request, with its line end */
	CONTROL_CLIENTS_MAX = 16,   /* connections at once; the others wait */
	CONTROL_TIMEOUT_S = 10,	    /* for a whole request to come, and for an answer to be taken */
	CONTROL_PATH_MAX = 108,	    /* bytes of a path, with its NUL */
};

/* Where the socket is if the configuration does not say: for a process of root CONTROL_ROOT_PATH, else
 * $XDG_RUNTIME_DIR/shunt.sock, else /tmp/shunt-UID.sock. */
#define CONTROL_ROOT_PATH "/run/shunt/control.sock"
void control_default_path(char path[CONTROL_PATH_MAX]);

struct control;

/* Create the socket at `path` (NULL: the default place) and give it to a user ((uid_t)-1: leave it). A file that a dead
 * daemon left is replaced. Returns 0 or -1, after logging what is wrong. A default place that cannot be used is only
 * warned of: then *control is NULL, which the functions below accept. Before there are other threads. */
int control_open(struct control **control, const char *path, uid_t uid, gid_t gid);

/* Make the answer to one request, which is NUL-terminated and without its line end: one line, to be freed, without its
 * line end; NULL when memory is short. Called in the control thread. */
typedef char *control_answer_fn(const char *request, size_t *len);

/* Serve it in a thread of its own. 0 or -errno. */
int control_start(struct control *control, control_answer_fn *answer);

/* Stop the thread, close the connections, remove the socket. Not while a request could wait for the caller. */
void control_close(struct control *control);

#endif
