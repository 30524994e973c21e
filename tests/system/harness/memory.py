# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""How much memory the kernel and a daemon use."""

import os
import re
import time

PAGE = os.sysconf("SC_PAGE_SIZE")


def _meminfo():
    with open("/proc/meminfo") as lines:
        return {name: int(value) * 1024 for name, value in re.findall(r"^(\S+):\s+(\d+) kB", lines.read(), re.M)}


def _tcp():
    """Bytes that TCP has charged to sockets."""
    with open("/proc/net/sockstat") as lines:
        return int(re.search(r"^TCP:.* mem (\d+)", lines.read(), re.M)[1]) * PAGE


class ExactTcp:
    """While it is entered, TCP counts what its sockets are charged to a page; else each CPU keeps up to 1 MB (its
    reserve, a sysctl of kernels from 6.4 on) out of the count that _tcp() reads."""

    PATH = "/proc/sys/net/core/mem_pcpu_rsv"

    def __enter__(self):
        self.reserve = None
        if os.path.exists(self.PATH):
            with open(self.PATH, "r+") as sysctl:
                self.reserve = sysctl.read()
                sysctl.write("1")

    def __exit__(self, *error):
        if self.reserve is not None:
            with open(self.PATH, "w") as sysctl:
                sysctl.write(self.reserve)


def _on_free_lists_of_cpus():
    """Bytes of free pages that the CPUs keep at hand, tens of MB after network traffic; MemFree does not count them."""
    with open("/proc/zoneinfo") as lines:
        return sum(int(pages) for pages in re.findall(r"^\s+count: +(\d+)$", lines.read(), re.M)) * PAGE


class Memory:
    """A reading, in bytes. `charged` is what is accounted to someone: the daemon, slabs, sockets. `used` is the daemon
    and all that the kernel uses but page cache and what it keeps for processes: also the pages of network buffers that
    are charged to nobody."""

    def __init__(self, daemon):
        info = _meminfo()
        self.charged = daemon.rss() + info["SUnreclaim"] + _tcp()
        others = ("MemFree", "Buffers", "Cached", "SwapCached", "AnonPages", "SReclaimable", "PageTables",
                  "KernelStack")
        free = sum(info[name] for name in others) + _on_free_lists_of_cpus()
        self.used = daemon.rss() + info["MemTotal"] - free


class Growth:
    """What a daemon and the kernel need more than at the start. Others use the machine too: of many readings the
    smallest difference is the truth, or more than it."""

    def __init__(self, daemon, samples=5):
        self.daemon = daemon
        self.start = [self._read() for _ in range(samples)]

    def _read(self):
        time.sleep(0.02)
        return Memory(self.daemon)

    def bytes(self, limit, patience=6.0):
        """(charged, used) growth now; reads again for a while when it is above the limit, for the noise to pass."""
        charged_from = max(m.charged for m in self.start)
        used_from = max(m.used for m in self.start)
        deadline = time.monotonic() + patience
        charged, used = None, None
        while True:
            now = self._read()
            charged = min(x for x in (charged, now.charged - charged_from) if x is not None)
            used = min(x for x in (used, now.used - used_from) if x is not None)
            if max(charged, used) < limit or time.monotonic() > deadline:
                return charged, used
