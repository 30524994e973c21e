// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The fast path that is not there: built with WITH_BPF=0. Every connection has FP_ROAD_NONE and every byte goes through
 * the daemon. */
#include "fastpath/fastpath.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int fp_open(const struct fp_config *cfg)
{
	return cfg->mode == FP_MODE_REQUIRE ? -ENOTSUP : 0;
}

void fp_close(void)
{
}

int fp_start(void)
{
	return 0;
}

void fp_listening(int fd)
{
	(void)fd;
}

int fp_enable(bool on)
{
	return on ? -ENOTSUP : 0;
}

void fp_status(struct fp_status *out)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->reason, sizeof(out->reason), "built without BPF");
}

void fp_attach(struct fp_link *link, int fd, uint16_t ns, uint8_t form, const char *client_id, uint64_t received)
{
	(void)fd, (void)ns, (void)form, (void)client_id, (void)received;
	link->road = FP_ROAD_NONE;
	link->no_road = "there is none without BPF";
}

void fp_publish_alone(struct fp_link *link, bool alone)
{
	(void)link, (void)alone;
}

void fp_handled(struct fp_link *link, uint64_t received)
{
	(void)link, (void)received;
}

void fp_hold(struct fp_link *link, bool held)
{
	(void)link, (void)held;
}

ssize_t fp_send(struct fp_link *link, int fd, const struct iovec *iov, int iovcnt)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)iovcnt};
	ssize_t n;

	(void)link;
	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int fp_herald_open(void)
{
	return -ENOTSUP;
}

size_t fp_tell_max(size_t len)
{
	(void)len;
	return 0;
}

bool fp_tell_fits(const struct fp_link *link)
{
	(void)link;
	return false;
}

size_t fp_tell(struct fp_link *const *to, size_t n, const void *bytes, size_t len, bool *told)
{
	(void)to, (void)bytes, (void)len;
	memset(told, false, n * sizeof(*told));
	return 0;
}

void fp_make_target(struct fp_link *link, int fd, const char *client_id)
{
	(void)link, (void)fd, (void)client_id;
}

bool fp_heard(struct fp_link *link, uint64_t now_ns)
{
	(void)link, (void)now_ns;
	return false;
}

void fp_rest(struct fp_link *link, uint64_t now_ns)
{
	(void)link, (void)now_ns;
}

bool fp_loaded(uint64_t now_ns)
{
	(void)now_ns;
	return false;
}

bool fp_burdens(const struct fp_link *link, uint64_t now_ns)
{
	(void)link, (void)now_ns;
	return false;
}

void fp_yield(struct fp_link *link, uint64_t now_ns)
{
	(void)link, (void)now_ns;
}

bool fp_leave(struct fp_link *link, int fd)
{
	(void)link, (void)fd;
	return true;
}

void fp_retire(struct fp_link *link)
{
	(void)link;
}

bool fp_drained(struct fp_link *link, int fd)
{
	(void)link, (void)fd;
	return true;
}

void fp_detach(struct fp_link *link)
{
	(void)link;
}

uint64_t fp_last_seen_ns(const struct fp_link *link)
{
	(void)link;
	return 0;
}

void fp_client_counters(const struct fp_link *link, struct fp_client_counters *out)
{
	(void)link;
	memset(out, 0, sizeof(*out));
}

void fp_heartbeat(unsigned worker)
{
	(void)worker;
}

bool fp_wants_heartbeat(void)
{
	return false;
}

bool fp_is_on(void)
{
	return false;
}

bool fp_topic_fits(uint8_t form, size_t topic_len)
{
	(void)form, (void)topic_len;
	return false;
}

bool fp_flow_wanted(struct fp_link *publisher, const char *topic, size_t topic_len)
{
	(void)publisher, (void)topic, (void)topic_len;
	return false;
}

int fp_flow_install(struct fp_link *publisher, uint16_t ns, uint8_t form, const char *topic, size_t topic_len,
		    struct fp_receiver *to, size_t n, uint32_t *turn, const char *receiver_id)
{
	(void)publisher, (void)ns, (void)form, (void)topic, (void)topic_len, (void)to, (void)n, (void)turn,
		(void)receiver_id;
	return -ENOTSUP;
}

size_t fp_receivers_max(enum fp_road road)
{
	(void)road;
	return 0;
}

uint32_t *fp_turn_new(void)
{
	return NULL;
}

void fp_turn_free(uint32_t *turn)
{
	(void)turn;
}

bool fp_forms_mix(enum fp_road road)
{
	(void)road;
	return false;
}

void fp_answer_pings(struct fp_link *link, int fd, const char *client_id)
{
	(void)link, (void)fd, (void)client_id;
}

void fp_let_pings(bool on)
{
	(void)on;
}

int fp_sink_open(void)
{
	return -ENOTSUP;
}

bool fp_sink_waits(void)
{
	return false;
}

void fp_sink_read(void (*each)(const struct fp_diverted *, void *), void *arg)
{
	(void)each, (void)arg;
}

void fp_returned(struct fp_link *link, uint64_t messages)
{
	(void)link, (void)messages;
}

void fp_flow_invalidate(uint16_t ns, const char *filter, size_t filter_len)
{
	(void)ns, (void)filter, (void)filter_len;
}

void fp_flows_clear(void)
{
}

void fp_flow_remove_receiver(uint32_t slot)
{
	(void)slot;
}

bool fp_flow_find(const struct fp_link *publisher, uint16_t ns, uint8_t form, enum fp_road road, const char *topic,
		  size_t topic_len, struct fp_flow_info *out)
{
	(void)publisher, (void)ns, (void)form, (void)road, (void)topic, (void)topic_len, (void)out;
	return false;
}

int fp_flow_each(int (*each)(const struct fp_flow_info *, void *), void *arg)
{
	(void)each, (void)arg;
	return 0;
}

void fp_stats(struct fp_stats *out)
{
	memset(out, 0, sizeof(*out));
}
