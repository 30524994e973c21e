// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Loading the guard, and what is known of it. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "guard/internal.h"

#include "guard.skel.h" /* needs the types of guard.h */

struct guard guard = {.pins = PINS_NONE, .reason = "not started"};

static int libbpf_line(enum libbpf_print_level level, const char *fmt, va_list args)
{
	char line[512];

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\n")] = '\0';
	log_debug("%s", line);
	return 0;
}

static int refuse(int error, const char *what)
{
	bool permitted = error != -EPERM;

	snprintf(guard.reason, sizeof(guard.reason), "%s: %s%s", what, permitted ? strerror(-error) : "not permitted",
		 permitted ? "" : "; start as root, or with CAP_BPF and CAP_NET_ADMIN");
	return error;
}

/* ---- opening ------------------------------------------------------------------------------------------------------- */

static int load(void)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	int error;

	setrlimit(RLIMIT_MEMLOCK, &unlimited); /* kernels before 5.11 count maps there; no harm in failing */
	libbpf_set_print(libbpf_line);
	guard.bpf = guard_bpf__open();
	error = guard.bpf ? guard_bpf__load(guard.bpf) : -errno;
	if (!error && !guard.bpf->bss) /* libbpf found, rightly or not, that arrays cannot be mapped here */
		error = -EOPNOTSUPP;
	if (error)
		return refuse(error, "cannot load the BPF program");
	guard.control = &guard.bpf->bss->control;
	guard.listeners_fd = bpf_map__fd(guard.bpf->maps.listeners);
	guard.allowed_fd = bpf_map__fd(guard.bpf->maps.allowed);
	guard.blocked_fd = bpf_map__fd(guard.bpf->maps.blocked);
	guard.banned_fd = bpf_map__fd(guard.bpf->maps.banned);
	guard.counters_fd = bpf_map__fd(guard.bpf->maps.counters);
	return 0;
}

/* Only who looks with bpftool misses the pins, so that an error is a warning. */
static void pin(const struct guard_config *cfg)
{
	int error = pins_take(&guard.pins, cfg->pin_path, cfg->uid, cfg->gid);

	if (!error) {
		guard_detach_pinned(&guard.pins);
		pins_clear(&guard.pins);
		error = pins_add_maps(&guard.pins, guard.bpf->obj, cfg->uid, cfg->gid);
		if (error)
			pins_drop(&guard.pins);
	}
	if (error)
		log_warning("Guard: cannot pin the maps at %s: %s.", cfg->pin_path, strerror(-error));
}

static int list_places(char *const *interfaces)
{
	size_t n = 0;

	while (interfaces[n])
		n++;
	guard.places = calloc(n ? n : 1, sizeof(*guard.places));
	if (!guard.places)
		return refuse(-ENOMEM, "cannot list the interfaces");
	for (; guard.nplaces < n; guard.nplaces++) {
		struct guard_place *place = &guard.places[guard.nplaces];

		snprintf(place->name, sizeof(place->name), "%s", interfaces[guard.nplaces]);
		place->link = -1;
	}
	return 0;
}

/* To all interfaces that take it. The error of the first one that does not, with `attached` the number of the others. */
static int attach(size_t *attached)
{
	int first = 0;

	*attached = 0;
	for (size_t i = 0; i < guard.nplaces; i++) {
		struct guard_place *place = &guard.places[i];
		int error = guard_attach(place, bpf_program__fd(guard.bpf->progs.shunt_guard));

		*attached += !error;
		if (!error || first)
			continue;
		first = error;
		snprintf(guard.reason, sizeof(guard.reason), "%s: %s", place->name, place->reason);
	}
	return first;
}

static void unload(void)
{
	for (size_t i = 0; i < guard.nplaces; i++) {
		if (guard.places[i].link >= 0)
			close(guard.places[i].link);
		guard.places[i].link = -1;
	}
	pins_drop(&guard.pins);
	guard_lists_free();
	guard.control = NULL;
	guard_bpf__destroy(guard.bpf);
	guard.bpf = NULL;
}

static int start(const struct guard_config *cfg)
{
	size_t attached;
	int error = load();

	if (error)
		return error;
	guard.fail_closed = cfg->fail_closed;
	pin(cfg);
	error = guard_update(&cfg->rules);
	if (error)
		return refuse(error, "cannot fill the lists");
	error = attach(&attached);
	if (error && (!attached || cfg->require))
		return error;
	guard.reason[0] = '\0';
	return 0;
}

int guard_open(const struct guard_config *cfg)
{
	int error;

	if (!cfg->interfaces) {
		snprintf(guard.reason, sizeof(guard.reason), "there is no guard_interface");
		return 0;
	}
	error = list_places(cfg->interfaces);
	if (!error)
		error = start(cfg);
	if (error)
		unload();
	return error && cfg->require ? -ENOTSUP : 0;
}

void guard_close(void)
{
	if (guard.bpf)
		unload();
	free(guard.places);
	guard.places = NULL;
	guard.nplaces = 0;
}

/* ---- what is known of it ------------------------------------------------------------------------------------------- */

void guard_status(struct guard_status *out)
{
	memset(out, 0, sizeof(*out));
	out->on = guard.bpf != NULL;
	out->fail_closed = guard.fail_closed;
	out->interfaces = guard.nplaces;
	memcpy(out->reason, guard.reason, sizeof(out->reason));
	memcpy(out->pin_path, guard.pins.path, sizeof(out->pin_path));
}

/* An interface that is removed takes the program with it, and the link stays without. */
static bool is_gone(int link)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);

	return !bpf_obj_get_info_by_fd(link, &info, &len) && !info.xdp.ifindex;
}

bool guard_interface(size_t i, struct guard_interface *out)
{
	const struct guard_place *place = &guard.places[i];

	if (i >= guard.nplaces)
		return false;
	memset(out, 0, sizeof(*out));
	memcpy(out->name, place->name, sizeof(out->name));
	memcpy(out->reason, place->reason, sizeof(out->reason));
	out->native = place->native;
	out->attached = place->link >= 0;
	if (out->attached && is_gone(place->link)) {
		out->attached = false;
		snprintf(out->reason, sizeof(out->reason), "the interface was removed");
	}
	return true;
}

static void add(struct shunt_guard_counters *sum, const struct shunt_guard_counters *c)
{
	sum->packets += c->packets;
	sum->bytes += c->bytes;
	sum->allowed += c->allowed;
	sum->retried += c->retried;
	for (size_t i = 0; i < SHUNT_GUARD_REASONS; i++) {
		sum->dropped[i] += c->dropped[i];
		sum->dropped_bytes[i] += c->dropped_bytes[i];
	}
}

void guard_stats(struct guard_stats *out)
{
	int cpus = guard.bpf ? libbpf_num_possible_cpus() : 0;
	struct shunt_guard_counters *values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	uint32_t key = 0;

	memset(out, 0, sizeof(*out));
	out->on = guard.bpf != NULL;
	if (values && !bpf_map_lookup_elem(guard.counters_fd, &key, values)) {
		for (int i = 0; i < cpus; i++)
			add(&out->sum, &values[i]);
	}
	free(values);
}
