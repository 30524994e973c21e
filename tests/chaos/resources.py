# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What a run has to give back: sockets, descriptors, entries of maps, memory."""

import contextlib
import json
import mmap
import os
import re
import subprocess
import time

from harness.memory import Growth
from harness.network import inside

MB = 1 << 20
PATIENCE = 45  # seconds, for connections that are still closing, and for the noise of others
GROWTH = 96 * MB  # the daemon's allocator and the kernel's slabs keep some of a peak
MADE_WHEN_NEEDED = 16  # descriptors of a daemon for its own sockets into the fast path
SOCKETS_OF_OTHERS = 100  # that are open and not connected, on a machine that others use, too


def _sockstat(namespace):
    with inside(namespace), open("/proc/thread-self/net/sockstat") as lines:
        text = lines.read()
    return {name: int(value) for name, value in re.findall(r"(\w+) (\d+)", text[text.index("TCP:"):])}


def _nowhere():
    """TCP sockets of the whole machine that are in no table of a network namespace: such that are just made, and leaked
    ones."""
    found, namespaces = 0, set()
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            namespace = os.readlink(f"/proc/{process}/ns/net")
            if namespace in namespaces:
                continue
            namespaces.add(namespace)
            for file in ("sockstat", "sockstat6"):
                with open(f"/proc/{process}/net/{file}") as lines:
                    found += sum(int(inuse) for inuse in re.findall(r"^TCP6?: inuse (\d+)", lines.read(), re.M))
    with open("/proc/net/sockstat") as lines:
        return int(re.search(r"alloc (\d+)", lines.read())[1]) - found


class Resources:
    """A reading before there are any clients."""

    def __init__(self, daemon):
        self.network = daemon.network
        self.namespaces = sorted({self.network.daemon_ns, self.network.client_ns})
        self.sockets = {name: _sockstat(name)["inuse"] for name in self.namespaces}
        self.nowhere = _nowhere()
        self.memory = Growth(daemon)
        self.daemon = daemon
        self.daemon_started(daemon)

    def daemon_started(self, daemon):
        """Another daemon, which nobody has used yet; its workers may still be starting."""
        self.fds, before = len(self._fds(daemon)), None
        while self.fds != before:
            time.sleep(0.1)
            self.fds, before = len(self._fds(daemon)), self.fds

    def _fds(self, daemon):
        folder, found = f"/proc/{daemon.process.pid}/fd", []
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(f"{folder}/{name}"))
        return found

    def checks(self):
        """[(check, what is wrong or None)], when all clients have left."""
        return [
            ("sockets are gone", self._wait(self._sockets)),
            ("descriptors are closed", self._wait(self._descriptors)),
            ("entries of maps are gone", self._wait(self._entries)),
            ("memory is back", self._wait(self._memory)),
        ]

    def accounts(self):
        """What is wrong with the kernel's account of the memory of the sockets that are connected, when nothing is on its
        way: it reserves whole pages, so what it has charged and what is left come to pages (tests/bpf/kernel-notes.md)."""
        return self._wait(self._miscounted)

    def _miscounted(self):
        for name in self.namespaces:
            for line in _listed(name, "-m", "state", "established").splitlines():
                found = re.search(r"skmem:\(r(\d+),rb\d+,t\d+,tb\d+,f(\d+),w(\d+)", line)
                if found and sum(map(int, found.groups())) % mmap.PAGESIZE:
                    return f"in {name}: {' '.join(line.split())}"
        return None

    def _wait(self, look):
        deadline = time.monotonic() + PATIENCE
        while (wrong := look()) and time.monotonic() < deadline:
            time.sleep(0.5)
        return wrong

    def _sockets(self):
        for name in self.namespaces:
            now = _sockstat(name)["inuse"]
            if now > self.sockets[name]:
                return f"{now} TCP sockets in use in {name}, {self.sockets[name]} at the start\n{_listed(name)[:1000]}"
        nowhere = _nowhere()
        if nowhere > self.nowhere + SOCKETS_OF_OTHERS:
            return f"the kernel has {nowhere} TCP sockets that are in no table, {self.nowhere} at the start"
        return None

    def _descriptors(self):
        now = self._fds(self.daemon)
        if len(now) <= self.fds + MADE_WHEN_NEEDED:
            return None
        return f"the daemon has {len(now)} descriptors, {self.fds} at the start: {' '.join(sorted(now))}"

    def _entries(self):
        """Of a socket that was never released the entry stays."""
        stats = self.daemon.stats()["fastpath"]
        left = {"slots": stats["slots"], "flows": stats["flows"]}
        for name in ("local_clients", "remote_slots"):
            path = f"{self.daemon.pins}/{name}"
            if os.path.exists(path):
                dump = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", path], capture_output=True, text=True)
                left[name] = len(json.loads(dump.stdout))
        left = {name: count for name, count in left.items() if count}
        return f"still there: {left}" if left else None

    def _memory(self):
        charged, used = self.memory.bytes(GROWTH, patience=0)
        if max(charged, used) > GROWTH:
            return f"charged {charged // MB} MB more than at the start, in use {used // MB} MB more"
        return None


def _listed(namespace, *more):
    done = subprocess.run(["nsenter", f"--net=/run/netns/{namespace}", "ss", "-tanHO", *more], capture_output=True, text=True)
    return done.stdout
