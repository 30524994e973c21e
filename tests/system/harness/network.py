# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
Networks of the tests: loopback, or two namespaces joined by a veth pair, the daemon in one, its clients in the other.

Names carry the pid of the runner that made them, so that runs do not disturb each other and what a killed run left
behind can be told from what is in use. Nothing outside these namespaces is touched.
"""

import contextlib
import ctypes
import os
import random
import re
import socket
import subprocess

from .client import TIMEOUT

CLONE_NEWNET = 0x40000000
PORTS = 10000, 30000  # of daemons: from, below; below the ephemeral ones
UNSEEN = 6000, 10000  # of listeners for something else than MQTT in the clear, which is of no use in a capture
SYSCTL = "/proc/sys/net/ipv4"  # of the namespace of who opens it
_libc = ctypes.CDLL(None, use_errno=True)


def _ip(*args):
    done = subprocess.run(["ip", *args], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(args)}: {done.stderr.strip()}")


@contextlib.contextmanager
def inside(namespace):
    """The calling thread is in the namespace (None: stays where it is). Sockets stay in the one they were made in."""
    if namespace is None:
        yield
        return
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{namespace}") as there:
        _setns(there.fileno())
        try:
            yield
        finally:
            _setns(home.fileno())


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Network:
    """Where a daemon listens and from where its clients come."""

    def __init__(self, address="127.0.0.1", daemon_ns=None, client_ns=None):
        self.address, self.daemon_ns, self.client_ns = address, daemon_ns, client_ns
        self.transports = {}  # port -> transports.Kind of who listens there
        self._reserved = []

    def socket(self, port, rcvbuf=None, sndbuf=None, namespace=None, address=None, user=None, plain=False):
        """A client's TCP connection to the port, as if the socket were this user's; with TLS or whatever is expected
        there, unless it is to be plain."""
        with inside(namespace or self.client_ns):
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if user is not None:
                os.fchown(sock.fileno(), user, -1)
            if rcvbuf:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            if sndbuf:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
            sock.settimeout(TIMEOUT)
            sock.connect((address or self.address, port))
        except OSError:
            sock.close()
            raise
        return sock if plain or port not in self.transports else self.transports[port].wrap(sock)

    def free_port(self, unseen=False):
        """A port of the daemon's namespace, of those in PORTS or UNSEEN, that nobody has and nobody else is given."""
        for _ in range(1000):
            port = random.SystemRandom().randrange(*(UNSEEN if unseen else PORTS))
            with inside(self.daemon_ns):
                holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                holder.bind(("0.0.0.0", port))
            except OSError:
                holder.close()
                continue
            # Bound without this option, so that no other holder gets the port; a daemon has it, and may listen.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._reserved.append(holder)
            return port
        raise OSError("no free port")

    def daemon_command(self, command):
        """The command, run where the daemon lives."""
        return _enter(self.daemon_ns, command)

    def client_command(self, command):
        """The command, run where the clients live."""
        return _enter(self.client_ns, command)


def _enter(namespace, command):
    # Not `ip netns exec`: it hides /sys/fs/bpf and the cgroups behind a new /sys.
    return ["nsenter", f"--net=/run/netns/{namespace}", *command] if namespace else command


LOOPBACK = Network()


class Namespaces:
    """A pair of namespaces and its veth; more clients' namespaces on request."""

    def __init__(self, tag):
        self.prefix, self.made, self.links = f"shunt-{tag}", [], 0
        self.daemon_ns = self._namespace("d")

    def _namespace(self, suffix):
        name = f"{self.prefix}-{suffix}"
        _ip("netns", "add", name)
        self.made.append(name)
        _ip("-n", name, "link", "set", "lo", "up")
        with inside(name), contextlib.suppress(OSError), open(f"{SYSCTL}/tcp_congestion_control", "w") as control:
            control.write("cubic")  # what most machines use
        return name

    def clients(self):
        """A new namespace linked to the daemon's, as a Network."""
        self.links += 1
        n = self.links
        name = self._namespace(f"c{n}")
        _ip("link", "add", "to-daemon", "netns", name, "type", "veth",
            "peer", "name", f"to-c{n}", "netns", self.daemon_ns)
        _ip("-n", self.daemon_ns, "address", "add", f"10.203.{n}.1/24", "dev", f"to-c{n}")
        _ip("-n", name, "address", "add", f"10.203.{n}.2/24", "dev", "to-daemon")
        _ip("-n", self.daemon_ns, "link", "set", f"to-c{n}", "up")
        _ip("-n", name, "link", "set", "to-daemon", "up")
        return Network(f"10.203.{n}.1", self.daemon_ns, name)

    def shared_address(self, network, address):
        """The clients have this address, too, which clients of other namespaces may have as well; answers to it go to
        those who asked for the daemon's address of this network."""
        n = network.address.split(".")[2]
        _ip("-n", network.client_ns, "address", "add", f"{address}/32", "dev", "to-daemon")
        _ip("-n", self.daemon_ns, "rule", "add", "from", network.address, "table", f"10{n}")
        _ip("-n", self.daemon_ns, "route", "add", "default", "dev", f"to-c{n}", "table", f"10{n}")
        with inside(self.daemon_ns):
            for link in ("all", f"to-c{n}"):
                with open(f"{SYSCTL}/conf/{link}/rp_filter", "w") as rp_filter:
                    rp_filter.write("0")

    def small_segments(self, network):
        """As on a real link: one segment a packet, nothing put together on the way in."""
        n = network.address.split(".")[2]
        for namespace, link in ((self.daemon_ns, f"to-c{n}"), (network.client_ns, "to-daemon")):
            _ip("-n", namespace, "link", "set", link, "gso_max_segs", "1")
            _ip("-n", namespace, "link", "set", link, "gro_max_size", "1500")

    def sockets(self):
        """How many sockets there are in all of the namespaces, also those that no process has any more; those in
        TIME_WAIT do not count."""
        used = 0
        for name in self.made:
            with inside(name), open("/proc/thread-self/net/sockstat") as sockstat:
                used += int(re.search(r"sockets: used (\d+)", sockstat.read())[1])
        return used

    def cut(self, network):
        """The clients vanish: neither FIN nor RST gets through."""
        _ip("-n", network.client_ns, "link", "set", "to-daemon", "down")

    def close(self):
        """Remove everything."""
        for name in reversed(self.made):
            with contextlib.suppress(OSError):
                _ip("netns", "del", name)
        self.made.clear()


def why_not():
    """Why namespaces cannot be made here, or None."""
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    try:
        Namespaces(f"{os.getpid()}-probe").close()
    except OSError as error:
        return f"no network namespaces: {error}"
    return None


def remove_stale():
    """Namespaces of runs whose runner is gone."""
    with contextlib.suppress(OSError):
        for name in os.listdir("/run/netns"):
            match = re.match(r"shunt-(\d+)(-|$)", name)
            if match and not os.path.exists(f"/proc/{match[1]}"):
                with contextlib.suppress(OSError):
                    _ip("netns", "del", name)
