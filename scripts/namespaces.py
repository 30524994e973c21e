# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Network namespaces for brokers and their clients, for the time of a benchmark."""

import os
import subprocess


class BenchError(Exception):
    """Why the comparison cannot go on."""


def ip(*words):
    """iproute2's command."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Road:
    """Where the broker is and where its clients are: namespaces by name, or None for this machine's own."""

    def __init__(self, name, address, broker_ns=None, client_ns=None):
        self.name, self.address, self.broker_ns, self.client_ns = name, address, broker_ns, client_ns

    @staticmethod
    def enter(namespace, command):
        """The command, run in the namespace under the same pid. `ip netns exec` would hide the BPF file system."""
        return ["nsenter", f"--net=/run/netns/{namespace}", *command] if namespace else command


class Namespaces:
    """Makes network namespaces and removes them; names carry our pid."""

    def __init__(self, congestion):
        self.congestion, self.names = congestion, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)

    def make(self, suffix):
        """A namespace with its loopback up."""
        name = f"shunt-bench-{os.getpid()}-{suffix}"
        ip("netns", "add", name)
        self.names.append(name)
        ip("-n", name, "link", "set", "lo", "up")
        for destination in ("127.0.0.1", "127.0.0.0/8"):
            self.set_congestion(name, "local", destination, "dev", "lo", "table", "local", "scope", "host",
                                "src", "127.0.0.1")
        return name

    def set_congestion(self, name, *route):
        """Of connections by the route, at both ends. The sysctl of a namespace takes only what the host has allowed."""
        ip("-n", name, "route", "replace", *route, "proto", "kernel", "congctl", self.congestion)

    def link(self, name, device, network, address):
        """Set up one end of a link."""
        ip("-n", name, "address", "add", f"{address}/24", "dev", device)
        ip("-n", name, "link", "set", device, "up")
        self.set_congestion(name, network, "dev", device, "scope", "link", "src", address)

    def roads(self, which):
        """The roads that were asked for."""
        broker, made = self.make("broker"), []
        if which in ("local", "both"):
            made.append(Road("local", "127.0.0.1", broker, broker))
        if which in ("remote", "both"):
            clients = self.make("clients")
            ip("link", "add", "to-broker", "netns", clients, "type", "veth",
               "peer", "name", "to-clients", "netns", broker)
            self.link(broker, "to-clients", "10.0.0.0/24", "10.0.0.1")
            self.link(clients, "to-broker", "10.0.0.0/24", "10.0.0.2")
            made.append(Road("remote", "10.0.0.1", broker, clients))
        return made
