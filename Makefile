# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   make             builds everything into build/          make lint      checks the sources; DEEP=1 deeply
#   make run         starts the broker on 127.0.0.1:1883    make format    formats the C sources
#   make check       runs every test, or ONLY="unit lint"   make fuzz      fuzzes, FUZZ_SECONDS each target
#   make chaos       clients, daemon and network in trouble for SECONDS, again with SEED
#   make equivalence runs every system test on every road, also with clients on both, and compares what clients got; and
#                    once more with everything on disk that outlives the daemon
#   make model       runs random operations against a model of a broker, OPERATIONS of them, again with SHUNT_MODEL_SEED
#   make powercut    tries STATES states that a power cut may leave of the store, of each kind, again with SEED
#   make crash       kills a daemon that writes to its store, KILLS times in each way, again with SEED
#   make inject      lets every allocation, accept4(), epoll_ctl(), write to a socket and bpf() fail once, under a sanitizer
#   make soak        everything at once for MINUTES: nothing may be wrong, or left over, and memory is to be flat
#   make bench       runs the benchmarks                    make install   DESTDIR, PREFIX, SYSCONFDIR
#
# V=1 shows the commands. SANITIZE=address,undefined or SANITIZE=thread builds with sanitizers, into a folder of its own.
# WITH_BPF=0 leaves the fast path out, as a machine without BTF does, WITH_HTTP=0 what http_listener serves, WITH_CURL=0 the
# server of auth_http_url, WITH_SECCOMP=0 the filter of system calls. BUILD=DIR builds into DIR.

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
SANITIZE ?=
FUZZ_SECONDS ?= 60
OPERATIONS ?= 200000
SECONDS ?= 3600
STATES ?= 10000
KILLS ?= 2000
MINUTES ?= 30
SEED ?=
VMLINUX_BTF ?= /sys/kernel/btf/vmlinux
WITH_BPF ?= $(if $(wildcard $(VMLINUX_BTF)),1,0)
WITH_HTTP ?= 1
WITH_CURL ?= 1
WITH_SECCOMP ?= 1
comma := ,
BUILD ?= build$(if $(SANITIZE),/sanitize-$(subst $(comma),-,$(SANITIZE)))

ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
CFLAGS ?= -O2 -g
JOBS := $(shell nproc)
export PATH := $(PATH):/usr/sbin:/sbin
MAKEFLAGS += --no-builtin-rules
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(JOBS)
endif
submake = @+$(MAKE) --no-print-directory

ifneq ($(SANITIZE),)
mode := -fsanitize=$(SANITIZE) -fno-omit-frame-pointer $(if $(findstring undefined,$(SANITIZE)),-fno-sanitize-recover=undefined)
else
mode := -D_FORTIFY_SOURCE=2 -fstack-protector-strong
ldmode := -Wl,-z,relro,-z,now
endif
cppflags = -Iinclude -Iuser -I$(BUILD)/gen -D_GNU_SOURCE= -DWITH_BPF=$(WITH_BPF) $(CPPFLAGS)
cflags = -std=gnu11 $(CFLAGS) -Wall -Wextra -Werror $(mode)
ldflags = $(CFLAGS) $(mode) $(ldmode) $(LDFLAGS)
libs := -lurcu-qsbr -lurcu-common -lcjson -lssl -lcrypto -largon2 -lwslay -lsqlite3 -lpthread \
	$(if $(filter 1,$(WITH_HTTP)),-lmicrohttpd) $(if $(filter 1,$(WITH_CURL)),-lcurl) $(if $(filter 1,$(WITH_SECCOMP)),-lseccomp) \
	$(if $(filter 1,$(WITH_BPF)),-lbpf -lelf -lz)
bpf_arch := $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/; s/ppc64le/powerpc/; s/s390x/s390/; s/riscv64/riscv/')
bpfflags = -O2 -g -target bpf -D__TARGET_ARCH_$(bpf_arch) -Wall -Wextra -Werror -Wno-unused-parameter -Iinclude -I$(BUILD)/gen

ifneq ($(V),1)
Q := @
say = @printf '%8s  %s\n' $1 $2
endif

# ---- what there is --------------------------------------------------------------------------------------------------
TOOLS := $(patsubst user/%/main.c,%,$(wildcard user/*/main.c))
LIB := base mqtt auth net store broker sn fastpath guard conf admin
LIB_SRC := $(wildcard $(LIB:%=user/%/*.c))
UNIT := $(patsubst %.c,%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst %.c,%,$(wildcard tests/fuzz/fuzz_*.c))
BPF_SRC := bpf/fastpath.bpf.c bpf/guard.bpf.c $(wildcard tests/bpf/*.bpf.c)
BPF := $(patsubst %.c,%,$(wildcard tests/bpf/test_*.c))
MAN := $(addprefix $(BUILD)/man/,$(addsuffix .1,$(filter-out shuntd,$(TOOLS))) \
	$(if $(filter shuntd,$(TOOLS)),shuntd.8 shunt.conf.5))
CHAOS := $(BUILD)/tests/chaos/storm $(BUILD)/gen/lossy.bpf.o
left_out := user/fastpath/none.c user/guard/none.c
ifneq ($(WITH_BPF),1)
left_out := $(filter-out $(left_out) user/guard/names.c,$(wildcard user/fastpath/*.c user/guard/*.c)) $(BPF_SRC) $(wildcard tests/bpf/*.c)
CHAOS := $(filter-out %.bpf.o,$(CHAOS))
endif
ifeq ($(WITH_HTTP),1)
left_out += user/admin/http_none.c
else
left_out += $(filter-out user/admin/http_none.c,$(wildcard user/admin/http_*.c) user/admin/metrics.c)
endif
left_out += $(if $(filter 1,$(WITH_CURL)),user/auth/hook_none.c,user/auth/hook.c user/auth/hook_load.c)
left_out += $(if $(filter 1,$(WITH_SECCOMP)),user/base/sandbox_none.c,user/base/sandbox.c)
UNIT := $(if $(filter 1,$(WITH_SECCOMP)),$(UNIT),$(filter-out %/test_sandbox,$(UNIT)))
LIB_SRC := $(filter-out $(left_out),$(LIB_SRC))
BPF_SRC := $(filter-out $(left_out),$(BPF_SRC))
BPF := $(filter-out $(left_out:.c=),$(BPF))
SKELS := $(patsubst %.bpf.c,$(BUILD)/gen/%.skel.h,$(notdir $(BPF_SRC)))

# ---- build ----------------------------------------------------------------------------------------------------------
all: $(TOOLS:%=$(BUILD)/%) $(MAN)
ifneq ($(WITH_BPF),1)
	@echo "    note  built without the fast path: $(if $(wildcard $(VMLINUX_BTF)),WITH_BPF=$(WITH_BPF),no $(VMLINUX_BTF))"
endif
tests: unit-tests $(BPF:%=$(BUILD)/%) $(CHAOS)
unit-tests: $(UNIT:%=$(BUILD)/%) $(BUILD)/tests/acl/decide
fuzzers: $(FUZZ:%=$(BUILD)/%)
.PHONY: all tests unit-tests fuzzers FORCE
.DELETE_ON_ERROR:
.PRECIOUS: $(BUILD)/obj/%.o $(BUILD)/gen/%.bpf.o $(BUILD)/gen/%.skel.h

# A stamp's time changes only when its words do: all is compiled anew when the flags are others, and linked anew when a
# source came or went.
stamp = @mkdir -p $(@D); printf '%s\n' '$(strip $1)' | cmp -s - $@ || printf '%s\n' '$(strip $1)' >$@
$(BUILD)/flags: FORCE
	$(call stamp,$(CC) $(cppflags) $(cflags) $(ldflags) $(libs))
$(BUILD)/bpf-flags: FORCE
	$(call stamp,$(CLANG) $(bpfflags) $(VMLINUX_BTF))
$(BUILD)/sources: FORCE
	$(call stamp,$(LIB_SRC) $(foreach t,$(TOOLS),$(wildcard user/$t/*.c)))

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(SKELS)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(cppflags) $(cflags) -MMD -MP -c -o $@ $<

# The page is in it.
$(BUILD)/obj/user/admin/http_page.o: $(wildcard user/admin/dashboard/*)

$(BUILD)/libshunt.a: $(LIB_SRC:%.c=$(BUILD)/obj/%.o) $(BUILD)/sources
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $(filter %.o,$^)

define link
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ldflags) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LINK_WITH) $(libs)
endef
$(foreach t,$(TOOLS),$(eval $(BUILD)/$t: $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard user/$t/*.c))))
$(TOOLS:%=$(BUILD)/%): $(BUILD)/libshunt.a $(BUILD)/sources
	$(link)
$(BUILD)/tests/unit/% $(BUILD)/tests/bpf/%: LINK_WITH = -lcmocka
$(addprefix $(BUILD)/tests/unit/test_,acl_memory auth_memory session_memory tls_memory): LINK_WITH = -lcmocka -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
$(BUILD)/tests/unit/test_websocket: LINK_WITH = -lcmocka -Wl,--wrap=wslay_frame_context_init
$(BUILD)/tests/unit/test_checker: LINK_WITH = -lcmocka -Wl,--wrap=sysconf,--wrap=password_check,--wrap=loop_send
$(BUILD)/tests/unit/test_powercut: $(addprefix $(BUILD)/obj/tests/faults/,disk.o journal.o steps.o)
$(BUILD)/tests/fuzz/%: LINK_WITH = -fsanitize=fuzzer
$(BUILD)/tests/fuzz/fuzz_sessions: LINK_WITH = -fsanitize=fuzzer -Wl,--wrap=clock_gettime,--wrap=getrandom
.SECONDEXPANSION:
helpers = $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out tests/$1/test_% tests/$1/fuzz_% %.bpf.c,$(wildcard tests/$1/*.c)))
$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(BUILD)/libshunt.a $$(call helpers,$$(*D))
	$(link)

# The manual pages come from the tables of options that the parsers use.
define page
	$(call say,MAN,$@)
	@mkdir -p $(@D)
	$(Q)$< $(or $1,--man) >$@
endef
$(BUILD)/man/shunt.conf.5: $(BUILD)/shuntd
	$(call page,--man-conf)
$(BUILD)/man/%.8: $(BUILD)/%
	$(page)
$(BUILD)/man/%.1: $(BUILD)/%
	$(page)

# ---- BPF ------------------------------------------------------------------------------------------------------------
$(BUILD)/gen/vmlinux.h: $(BUILD)/bpf-flags
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)bpftool btf dump file $(VMLINUX_BTF) format c >$@

vpath %.bpf.c bpf tests/bpf tests/chaos
$(BUILD)/gen/%.bpf.o: %.bpf.c $(BUILD)/gen/vmlinux.h
	$(call say,BPF,$<)
	$(Q)$(CLANG) $(bpfflags) -MMD -MP -c -o $@ $<
	$(Q)llvm-strip -g $@

$(BUILD)/gen/%.skel.h: $(BUILD)/gen/%.bpf.o
	$(call say,GEN,$@)
	$(Q){ echo '/* NOLINTBEGIN */'; bpftool gen skeleton $<; echo '/* NOLINTEND */'; } >$@

# ---- use ------------------------------------------------------------------------------------------------------------
run:
	@scripts/setup build
	$(submake) all
	@exec $(BUILD)/shuntd $(ARGS)

check:
	@scripts/setup check
	$(submake) all tests
	@BUILD=$(BUILD) FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/check $(ONLY)

model:
	@scripts/setup check
	$(submake) all
	@SHUNT_BUILD=$(BUILD) SHUNT_MODEL_OPERATIONS=$(OPERATIONS) tests/system/run -k test_model

equivalence:
	@scripts/setup check
	$(submake) all
	@SHUNT_BUILD=$(BUILD) tests/system/run --require-fastpath $(addprefix --road ,off local remote both)
	@SHUNT_BUILD=$(BUILD) tests/system/run --fastpath off --persistence sync

powercut:
	@scripts/setup check
	$(submake) $(BUILD)/tests/unit/test_powercut
	@SHUNT_POWERCUT_STATES=$(STATES) SHUNT_POWERCUT_SEED=$(SEED) $(BUILD)/tests/unit/test_powercut

crash:
	@scripts/setup check
	$(submake) all
	@SHUNT_BUILD=$(BUILD) SHUNT_CRASH_KILLS=$(KILLS) SHUNT_CRASH_SEED=$(SEED) tests/system/run --road off -k test_crash

inject:
	@scripts/setup check
	$(submake) SANITIZE=address,undefined all
	@SHUNT_BUILD=build/sanitize-address-undefined SHUNT_INJECT_STRIDE=1 ASAN_OPTIONS=allocator_may_return_null=1 \
		UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 tests/system/run -k test_inject

soak:
	@scripts/setup check
	$(submake) all
	@SHUNT_BUILD=$(BUILD) SHUNT_SOAK_SECONDS=$$((60 * $(MINUTES))) tests/system/run --road both -k test_soak

chaos:
	@scripts/setup check
	$(submake) all $(CHAOS)
	@SHUNT_BUILD=$(BUILD) tests/chaos/run --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

bench:
	@BUILD=$(BUILD) scripts/setup bench
	$(submake) all
	@BUILD=$(BUILD) scripts/bench --json $(BUILD)/bench.json --html $(BUILD)/bench.html

fuzz: $(FUZZ:tests/fuzz/fuzz_%=fuzz-%)
fuzz-build:
	$(submake) BUILD=$(BUILD)/fuzz CC=$(CLANG) SANITIZE=address,undefined,fuzzer-no-link \
		WITH_BPF=0 fuzzers
fuzz-%: fuzz-build
	@scripts/fuzz $(BUILD)/fuzz/tests/fuzz/fuzz_$* $(FUZZ_SECONDS)
.PHONY: run check model equivalence powercut crash inject soak chaos bench fuzz fuzz-build

# ---- lint -----------------------------------------------------------------------------------------------------------
c_files = $(wildcard bpf/*.[ch] include/*.h user/*/*.[ch] tests/*/*.[ch])
c_units = $(filter-out %.bpf.c $(filter-out %none.c,$(left_out)),$(filter %.c,$(c_files)))
scripts = $(shell find scripts tests -type f -perm -u+x)
sh_files = .ci/run $(shell grep -lE '^.!/bin/(ba)?sh' $(scripts))
py_files = $(shell find scripts tests -name '*.py') $(shell grep -l '^.!/usr/bin/python3' $(scripts))

# The analyzer takes nearly all of clang-tidy's time, most of it in few functions: it looks at a third of the states that it
# may, and at each function of the tests, which run under sanitizers, for itself. DEEP=1 lets it look as far as it can.
analyzer = $(if $(DEEP),,-Xclang -analyzer-config -Xclang $(if $(filter tests/%,$1),mode=shallow,max-nodes=75000))

lint: lint-format lint-tidy lint-cppcheck lint-shell lint-python
lint-format:
	$(Q)clang-format --dry-run -Werror $(c_files)
lint-tidy: $(c_units:%.c=$(BUILD)/lint/%.tidy)
$(BUILD)/lint/%.tidy: %.c $(BUILD)/obj/%.o .clang-tidy tests/.clang-tidy
	$(call say,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)clang-tidy --quiet $< -- $(cppflags) -std=gnu11 -Wall -Wextra $(call analyzer,$<) \
		2>$@.log || { cat $@.log >&2; exit 1; }
	@touch $@
lint-cppcheck:
	@mkdir -p $(BUILD)/lint/cppcheck
	$(Q)cppcheck -q -j $(JOBS) --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --cppcheck-build-dir=$(BUILD)/lint/cppcheck -Iinclude -Iuser $(c_units)
lint-shell:
	$(Q)shellcheck $(sh_files)
lint-python:
	$(Q)/usr/bin/python3 -m pyflakes $(py_files)
format:
	$(Q)clang-format -i $(c_files)
.PHONY: lint lint-format lint-tidy lint-cppcheck lint-shell lint-python format

install: all
	@BUILD=$(BUILD) DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) SYSCONFDIR=$(SYSCONFDIR) scripts/install
uninstall:
	@DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) scripts/install --remove
clean:
	rm -rf $(BUILD)
.PHONY: install uninstall clean

-include $(wildcard $(BUILD)/gen/*.d) $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
