// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A connection's place in the fast path: its road, its slot, the fence, and whether it may receive by flows. */
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "fastpath/internal.h"

/* A generation is never used twice, so a flow can never reach a later connection in the same slot. */
static uint64_t next_generation(void)
{
	static uint64_t last;

	return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

static void init_slot(struct fp_link *link, uint16_t ns, uint8_t form, const char *client_id)
{
	struct shunt_slot *slot = fp_slot(link->slot);

	store64(&slot->fence, 0);
	store64(&slot->generation, 0);
	store64(&slot->returned, 0);
	memset(&slot->last_seen_ns, 0, sizeof(*slot) - offsetof(struct shunt_slot, last_seen_ns));
	slot->sink = fp_sink_number();
	slot->held = 0;
	slot->ns = ns;
	slot->publisher = 0;
	slot->form = form;
	slot->road = (uint8_t)link->road;
	memset(slot->name, 0, sizeof(slot->name));
	snprintf(slot->name, sizeof(slot->name), "%s", client_id);
	store64(&slot->isn_pair, link->isn_pair);
}

/* Is the other end a socket on this host that sockops has put into local_socks? */
static bool find_local_client(int fd, struct shunt_sock *state)
{
	struct shunt_local_client client;

	if (!fp.local || bpf_map_lookup_elem(fp.sock_state_fd, &fd, state))
		return false;
	return !bpf_map_lookup_elem(fp.local_clients_fd, &state->isn_pair, &client);
}

static int attach_local(struct fp_link *link, int fd, struct shunt_sock *state)
{
	uint64_t value = (uint64_t)fd;
	int error;

	/* The daemon's end first: once it is in the map all output goes to the client's queue directly. */
	state->slot = link->slot;
	if (bpf_map_update_elem(fp.sock_state_fd, &fd, state, BPF_EXIST))
		return -errno;
	error = fp_look_bind(state->isn_pair, link->slot);
	if (error)
		return error;
	if (bpf_map_update_elem(fp.broker_socks_fd, &link->slot, &value, BPF_ANY))
		return -errno;
	link->whole_max = FP_LOCAL_WHOLE;
	return 0;
}

static int attach_remote(struct fp_link *link, int fd)
{
	socklen_t len = sizeof(link->cookie);
	uint64_t value = (uint64_t)fd;
	const int seconds = 1;

	/* What the client sent and nobody has read does not make a close a reset when it waits in the queue of a map. A
	 * client that is blocked by a full window would hear nothing until what is left of the connection has gone: for a
	 * minute, without this. Cannot fail. */
	setsockopt(fd, IPPROTO_TCP, TCP_LINGER2, &seconds, sizeof(seconds));
	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &link->cookie, &len))
		return -errno;
	if (bpf_map_update_elem(fp.remote_slots_fd, &link->cookie, &link->slot, BPF_ANY))
		return -errno;
	if (bpf_map_update_elem(fp.remote_socks_fd, &link->slot, &value, BPF_ANY)) {
		int error = -errno;

		bpf_map_delete_elem(fp.remote_slots_fd, &link->cookie);
		return error;
	}
	return 0;
}

/* The maps take Unix sockets, too, but the programs know TCP. */
static bool is_tcp(int fd)
{
	int protocol = 0;
	socklen_t len = sizeof(protocol);

	return !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) && protocol == IPPROTO_TCP;
}

void fp_attach(struct fp_link *link, int fd, uint16_t ns, uint8_t form, const char *client_id, uint64_t received)
{
	struct shunt_sock state = {0};
	int error;

	memset(link, 0, sizeof(*link));
	link->no_road = !fp.bpf || !fp_taking() ? "the fast path was off when it connected"
			: !is_tcp(fd)		? "it is no TCP connection"
						: NULL;
	if (link->no_road)
		return;
	if (find_local_client(fd, &state)) {
		link->road = FP_ROAD_LOCAL;
	} else if (fp.remote) {
		link->road = FP_ROAD_REMOTE;
	} else {
		link->no_road = "the local road did not take it, and there is no remote road";
		return;
	}
	link->slot = fp_slot_alloc();
	if (!link->slot) {
		link->road = FP_ROAD_NONE;
		link->no_road = "the kernel knows as many connections as it can";
		return;
	}
	link->isn_pair = link->road == FP_ROAD_LOCAL ? state.isn_pair : 0;
	link->base = link->road == FP_ROAD_LOCAL ? 0 : received;
	init_slot(link, ns, form, client_id);
	error = link->road == FP_ROAD_LOCAL ? attach_local(link, fd, &state) : attach_remote(link, fd);
	if (error) {
		log_debug("Client %s stays on the slow road: %s.", client_id, strerror(-error));
		store64(&fp_slot(link->slot)->isn_pair, 0);
		fp_slot_free(link->slot);
		memset(link, 0, sizeof(*link));
		link->no_road = "the kernel did not take its socket; log_type debug tells more";
	}
}

void fp_publish_alone(struct fp_link *link, bool alone)
{
	if (link->road == FP_ROAD_NONE)
		return;
	link->alone = alone;
	link->known_version = 0;
	__atomic_store_n(&fp_slot(link->slot)->publisher, alone ? (uint16_t)link->slot : 0, __ATOMIC_RELEASE);
}

void fp_handled(struct fp_link *link, uint64_t received)
{
	if (link->road != FP_ROAD_NONE)
		store64(&fp_slot(link->slot)->fence, SHUNT_FENCE_OPEN | (uint32_t)(received - link->base));
}

void fp_hold(struct fp_link *link, bool held)
{
	if (link->road != FP_ROAD_NONE)
		__atomic_store_n(&fp_slot(link->slot)->held, held, __ATOMIC_RELEASE);
}

void fp_make_target(struct fp_link *link, int fd, const char *client_id)
{
	if (link->leaving)
		(void)fp_leave(link, fd);
	if (link->road == FP_ROAD_NONE || link->target || clock_ns() < link->rests_until_ns)
		return;
	if (link->road == FP_ROAD_REMOTE && fp_loaded(clock_ns())) {
		link->yields = true;
		link->rests_until_ns = clock_ns() + (uint64_t)FP_YIELD_MS * NS_PER_MS;
		return;
	}
	if (link->road == FP_ROAD_REMOTE && !(fp_without & SHUNT_WITHOUT_ONE_WRITER)) {
		int error = fp_inject_ready();

		if (!error)
			error = fp_inject_from(link, fd);
		if (error) {
			log_debug("Client %s receives no flows: %s.", client_id, strerror(-error));
			return;
		}
		link->whole_max = FP_REMOTE_WHOLE; /* from here on all output is injected */
	}
	link->target = true;
	link->generation = next_generation();
	store64(&fp_slot(link->slot)->generation, link->generation);
}

/* A bucket that leaks. */
bool fp_heard(struct fp_link *link, uint64_t now_ns)
{
	uint64_t leaked;

	if (link->road != FP_ROAD_REMOTE || !link->target || link->leaving)
		return false;
	leaked = (now_ns - link->heard_ns) / ((uint64_t)FP_HEARD_MS * NS_PER_MS);
	link->heard = link->heard > leaked ? link->heard - leaked : 0;
	link->heard_ns = link->heard ? link->heard_ns + leaked * FP_HEARD_MS * NS_PER_MS : now_ns;
	return ++link->heard > FP_HEARD_MAX;
}

static void leave_until(struct fp_link *link, uint64_t until_ns)
{
	link->rests_until_ns = until_ns;
	store64(&fp_slot(link->slot)->generation, 0);
	link->generation = 0;
	link->ticket = fp_grace_request();
	link->leaving = true;
}

void fp_rest(struct fp_link *link, uint64_t now_ns)
{
	leave_until(link, now_ns + ((uint64_t)FP_REST_MS << link->rests) * NS_PER_MS);
	link->yields = false;
	link->rests += link->rests < FP_REST_DOUBLE_MAX;
	link->heard = 0;
}

/* The kernel's numbers, each of which may be older than the other: a burst more or less taken for load does no harm. */
bool fp_loaded(uint64_t now_ns)
{
	return fp.load && load64(&fp.load->busy_until_ns) > now_ns &&
	       now_ns - load64(&fp.load->busy_since_ns) > (uint64_t)FP_LOADED_MS * NS_PER_MS;
}

bool fp_burdens(const struct fp_link *link, uint64_t now_ns)
{
	return link->road == FP_ROAD_REMOTE && link->target && !link->leaving && fp_loaded(now_ns);
}

void fp_yield(struct fp_link *link, uint64_t now_ns)
{
	leave_until(link, now_ns + (uint64_t)FP_YIELD_MS * NS_PER_MS);
	link->yields = true;
}

bool fp_leave(struct fp_link *link, int fd)
{
	if (link->large_left || !fp_grace_passed(link->ticket))
		return true; /* as before */
	if (!fp_arrived(link, fd))
		return false;
	link->ticket = 0;
	link->leaving = link->target = link->draining = false;
	link->whole_max = 0;
	return true;
}

void fp_answer_pings(struct fp_link *link, int fd, const char *client_id)
{
	/* What is needed is what a receiver of flows has: one way for all its output, and no redirect while a large packet goes
	 * out in pieces. */
	if (fp.pings[link->road])
		fp_make_target(link, fd, client_id);
}

void fp_let_pings(bool on)
{
	for (unsigned road = 0; fp.bpf && road < SHUNT_ROADS; road++)
		__atomic_store_n(&fp.control->ping_ns[road],
				 on && fp.pings[road] ? (uint64_t)FP_PING_STALE_MS * NS_PER_MS : 0, __ATOMIC_RELEASE);
}

void fp_retire(struct fp_link *link)
{
	if (link->road != FP_ROAD_NONE) {
		store64(&fp_slot(link->slot)->fence, 0);
		store64(&fp_slot(link->slot)->generation, 0);
	}
	link->generation = 0;
	if (link->road == FP_ROAD_REMOTE && link->target)
		link->ticket = fp_grace_request(); /* for fp_drained() */
}

void fp_detach(struct fp_link *link)
{
	if (link->road == FP_ROAD_NONE)
		return;
	if (link->road == FP_ROAD_REMOTE)
		bpf_map_delete_elem(fp.remote_slots_fd, &link->cookie);
	store64(&fp_slot(link->slot)->generation, 0);
	store64(&fp_slot(link->slot)->isn_pair, 0);
	if (link->alone)
		fp_flows_forget(link->slot);
	fp_slot_free(link->slot);
	memset(link, 0, sizeof(*link));
}

uint64_t fp_last_seen_ns(const struct fp_link *link)
{
	return link->road == FP_ROAD_NONE ? 0 : load64(&fp_slot(link->slot)->last_seen_ns);
}

void fp_client_counters(const struct fp_link *link, struct fp_client_counters *out)
{
	const struct shunt_slot *slot;

	memset(out, 0, sizeof(*out));
	if (link->road == FP_ROAD_NONE)
		return;
	slot = fp_slot(link->slot);
	out->sent_messages = load64(&slot->sent_messages);
	out->sent_bytes = load64(&slot->sent_bytes);
	out->received_messages = load64(&slot->received_messages);
	out->received_bytes = load64(&slot->received_bytes);
}
