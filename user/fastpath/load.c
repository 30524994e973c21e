// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Loading the fast path: programs, maps, attachment, the probe; and the switch. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "fastpath/internal.h"

#include "fastpath.skel.h" /* needs the types of maps.h */

struct fastpath fp = {.pins = PINS_NONE, .reason = "not started"};
uint32_t fp_without;

/* The program that the kernel did not take; libbpf tells it nowhere else than in its lines. */
static char refused_program[64];

/* libbpf tells what failed in many lines; they belong into the debug log. */
static int libbpf_line(enum libbpf_print_level level, const char *fmt, va_list args)
{
	char line[512];
	const char *prog;

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(line, sizeof(line), fmt, args);
	prog = strstr(line, "prog '");
	if (prog && !refused_program[0] && strstr(line, "load failed"))
		sscanf(prog, "prog '%63[^']'", refused_program);
	line[strcspn(line, "\n")] = '\0';
	log_debug("%s", line);
	return 0;
}

static int attach_to_map(const struct bpf_program *prog, const struct bpf_map *map, enum bpf_attach_type type)
{
	return bpf_prog_attach(bpf_program__fd(prog), bpf_map__fd(map), type, 0) ? -errno : 0;
}

static int attach_to_maps(void)
{
	int error = attach_to_map(fp.bpf->progs.local_publish, fp.bpf->maps.local_socks, BPF_SK_MSG_VERDICT);

	if (!error)
		error = attach_to_map(fp.bpf->progs.local_deliver, fp.bpf->maps.broker_socks, BPF_SK_MSG_VERDICT);
	if (!error)
		error = attach_to_map(fp.bpf->progs.local_herald, fp.bpf->maps.herald_socks, BPF_SK_MSG_VERDICT);
	if (!error)
		error = attach_to_map(fp.bpf->progs.remote_verdict, fp.bpf->maps.remote_socks, BPF_SK_SKB_VERDICT);
	if (!error)
		error = attach_to_map(fp.bpf->progs.inject_verdict, fp.bpf->maps.injectors, BPF_SK_SKB_VERDICT);
	return error;
}

static uint64_t own_netns_cookie(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (fd < 0)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		cookie = 0;
	close(fd);
	return cookie;
}

static void set_control(const struct fp_config *cfg)
{
	volatile struct shunt_control *c = fp.control;

	c->netns_cookie = own_netns_cookie();
	c->heartbeat_ns = clock_ns();
	c->stale_ns = (uint64_t)FP_STALE_MS * NS_PER_MS;
	c->busy_ns = (uint64_t)FP_BUSY_MS * NS_PER_MS;
	c->local_cap = FP_LOCAL_FLOW_CAP;
	c->remote_cap = FP_REMOTE_FLOW_CAP;
	c->busy_skbs = FP_BUSY_SKBS;
	c->remote_window = (uint32_t)(get_nprocs() * (FP_REMOTE_RATE_PER_CPU / (NS_PER_S / SHUNT_LOAD_WINDOW_NS)));
	c->max_packet = cfg->max_packet_size ? cfg->max_packet_size : UINT32_MAX;
	c->ncpus = bpf_map__max_entries(fp.bpf->maps.local_aims);
	c->nports = 0;
	for (size_t i = 0; i < cfg->nports && i < SHUNT_PORTS_MAX; i++)
		c->ports[c->nports++] = cfg->ports[i];
}

static int map_memory(void)
{
	size_t size = sizeof(struct shunt_slot) * SHUNT_SLOTS_MAX;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(fp.bpf->maps.slots), 0);

	if (p == MAP_FAILED)
		return -errno;
	fp.slots = p;
	size = sizeof(struct shunt_member) * SHUNT_MEMBERS_MAX;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(fp.bpf->maps.members), 0);
	if (p == MAP_FAILED)
		return -errno;
	fp.members = p;
	fp_members_start();
	size = sizeof(struct shunt_herald) * SHUNT_HERALDS_MAX;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(fp.bpf->maps.heralds), 0);
	if (p == MAP_FAILED)
		return -errno;
	fp.heralds = p;
	fp.herald_socks_fd = bpf_map__fd(fp.bpf->maps.herald_socks);
	if (!fp.bpf->bss) /* libbpf found, rightly or not, that arrays cannot be mapped here */
		return -EOPNOTSUPP;
	fp.sinks = fp.bpf->bss->sinks;
	fp.turns = fp.bpf->bss->share_turns;
	fp.load = &fp.bpf->bss->remote_load;
	fp.sink_socks_fd = bpf_map__fd(fp.bpf->maps.sink_socks);
	fp.control = &fp.bpf->bss->control;
	fp.flows_fd = bpf_map__fd(fp.bpf->maps.flows);
	fp.counters_fd = bpf_map__fd(fp.bpf->maps.counters);
	fp.sock_state_fd = bpf_map__fd(fp.bpf->maps.sock_state);
	fp.local_clients_fd = bpf_map__fd(fp.bpf->maps.local_clients);
	fp.broker_socks_fd = bpf_map__fd(fp.bpf->maps.broker_socks);
	fp.remote_socks_fd = bpf_map__fd(fp.bpf->maps.remote_socks);
	fp.remote_slots_fd = bpf_map__fd(fp.bpf->maps.remote_slots);
	fp.injectors_fd = bpf_map__fd(fp.bpf->maps.injectors);
	fp.look_fd = bpf_program__fd(fp.bpf->progs.local_look);
	return 0;
}

static int refuse(int error, const char *what)
{
	if (error == -EPERM || error == -EACCES)
		snprintf(fp.reason, sizeof(fp.reason),
			 "%s: not permitted; start as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON", what);
	else
		snprintf(fp.reason, sizeof(fp.reason), "%s: %s", what, strerror(-error));
	return error;
}

static bool has_capabilities(void)
{
	static const unsigned needed[] = {CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &header, caps))
		return true;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (!(caps[needed[i] / 32].effective >> needed[i] % 32 & 1) &&
		    !(caps[CAP_SYS_ADMIN / 32].effective >> CAP_SYS_ADMIN % 32 & 1))
			return false;
	}
	return true;
}

/* EPERM is for who may not load programs at all; other errors may come from the verifier. */
static int refuse_programs(int error)
{
	if (error == -EPERM || !has_capabilities())
		return refuse(-EPERM, "cannot load the BPF programs");
	snprintf(fp.reason, sizeof(fp.reason), "this kernel refuses the BPF program%s%s: %s; log_type debug tells more",
		 refused_program[0] ? " " : "s", refused_program, strerror(-error));
	return error;
}

/* Rather no local road than one for those who are to be kept off it. */
static void restrict_clients(const struct fp_config *cfg)
{
	int error = fp_clients_restrict(cfg);

	if (!error)
		return;
	fp.local = fp.many = fp.tells = false;
	snprintf(fp.reason, sizeof(fp.reason), "cannot restrict the local road to the clients of the configuration: %s",
		 strerror(-error));
	log_notice("Fast path: no local road: %s.", fp.reason);
}

static int load(const struct fp_config *cfg)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	int error, cpus = libbpf_num_possible_cpus();

	setrlimit(RLIMIT_MEMLOCK, &unlimited); /* kernels before 5.11 count maps there; no harm in failing */
	fp.bpf = fastpath_bpf__open();
	if (!fp.bpf)
		return refuse(-errno, "cannot open the BPF programs");
	fp.bpf->rodata->without = fp_without;
	error = cpus < 0 ? cpus : bpf_map__set_max_entries(fp.bpf->maps.local_aims, (uint32_t)cpus);
	if (error)
		return refuse(error, "cannot count the CPUs");
	error = fp_clients_size(cfg);
	if (error)
		return refuse(error, "cannot size the maps");
	fp.flows_max = cfg->flows ? cfg->flows : SHUNT_FLOWS_MAX;
	error = bpf_map__set_max_entries(fp.bpf->maps.flows, fp.flows_max);
	if (error)
		return refuse(error, "cannot set the number of flows");
	error = fastpath_bpf__load(fp.bpf);
	if (error)
		return refuse_programs(error);
	error = map_memory();
	if (error)
		return refuse(error, "cannot map the BPF maps");
	set_control(cfg);
	error = attach_to_maps();
	if (error)
		return refuse(error, "cannot attach to the socket maps");
	error = fp_grace_check();
	if (error)
		return refuse(error, "membarrier");
	error = fp_clients_attach();
	if (error)
		log_notice("Fast path: no local road, cannot attach to cgroup v2: %s.", strerror(-error));
	if (!fp_without)
		fp_probe(!error, fp.reason, sizeof(fp.reason));
	else
		fp.local = fp.remote = fp.many = fp.tells = fp.pings[FP_ROAD_LOCAL] = fp.pings[FP_ROAD_REMOTE] = true;
	if (fp.local) /* not before the probe, whose sockets may be what is excluded */
		restrict_clients(cfg);
	if (!fp.local && !fp.remote)
		return -ENOTSUP;
	return 0;
}

static void unload(void)
{
	if (fp.control)
		fp.control->enabled = fp.control->local = 0;
	fp.control = NULL;
	fp.load = NULL;
	fp_grace_stop();
	fp_inject_stop();
	fp_sink_stop();
	fp_herald_stop();
	if (fp.heralds)
		munmap(fp.heralds, sizeof(struct shunt_herald) * SHUNT_HERALDS_MAX);
	fp.heralds = NULL;
	if (fp.members)
		munmap(fp.members, sizeof(struct shunt_member) * SHUNT_MEMBERS_MAX);
	fp.members = NULL;
	if (fp.slots)
		munmap(fp.slots, sizeof(struct shunt_slot) * SHUNT_SLOTS_MAX);
	fp.slots = NULL;
	fastpath_bpf__destroy(fp.bpf);
	fp.bpf = NULL;
	fp.local = fp.remote = fp.many = fp.tells = fp.taking = false;
	memset(fp.pings, 0, sizeof(fp.pings));
}

static int pin(const struct fp_config *cfg)
{
	int error = pins_take(&fp.pins, cfg->pin_path, cfg->uid, cfg->gid);

	if (error)
		return error;
	pins_clear(&fp.pins);
	error = pins_add_maps(&fp.pins, fp.bpf->obj, cfg->uid, cfg->gid);
	if (error)
		pins_drop(&fp.pins);
	return error;
}

int fp_open(const struct fp_config *cfg)
{
	int error;

	libbpf_set_print(libbpf_line);
	fp.reason[0] = '\0';
	error = load(cfg);
	if (error) {
		unload();
		return cfg->mode == FP_MODE_REQUIRE ? -ENOTSUP : 0;
	}
	if (!cfg->local)
		fp.local = fp.many = fp.tells = fp.pings[FP_ROAD_LOCAL] = false;
	error = pin(cfg);
	if (error)
		log_warning("Fast path: cannot pin the maps at %s: %s; bpftool will find them by number only.",
			    cfg->pin_path, strerror(-error));
	return fp_enable(cfg->mode != FP_MODE_OFF);
}

int fp_start(void)
{
	return fp.bpf ? fp_grace_start() : 0;
}

int fp_enable(bool on)
{
	if (!fp.bpf)
		return on ? -ENOTSUP : 0;
	if (on) {
		fp.control->local = fp.local;
		__atomic_store_n(&fp.taking, true, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&fp.control->enabled, on, __ATOMIC_RELEASE);
	if (!on)
		snprintf(fp.reason, sizeof(fp.reason), "switched off");
	else
		fp.reason[0] = '\0';
	return 0;
}

void fp_status(struct fp_status *out)
{
	memset(out, 0, sizeof(*out));
	out->loaded = fp.bpf != NULL;
	out->enabled = fp.bpf && fp.control->enabled;
	out->local = fp.local;
	out->remote = fp.remote;
	memcpy(out->reason, fp.reason, sizeof(out->reason));
	memcpy(out->pin_path, fp.pins.path, sizeof(out->pin_path));
}

/* A queue goes with the map its socket is in; what TCP had, it would keep. */
static void let_clients_read(void)
{
	for (int ms = 0; ms < FP_GOODBYE_MS && fp_look_unread(); ms += 5)
		usleep(5000);
}

void fp_close(void)
{
	if (!fp.bpf)
		return;
	fp_flows_clear();
	let_clients_read();
	pins_drop(&fp.pins);
	unload();
}
