# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Sockets that a service manager passes, and listeners of one network interface."""

import os
import signal
import socket
import subprocess
import sys

from harness.client import Client
from harness.daemon import DaemonError
from harness.suite import SystemTest, own, roads

# What a service manager does: opens sockets (words of NAME=PORT[@ADDRESS], NAME=PATH), then becomes the daemon.
MANAGER = """
import fcntl, os, socket, sys
end = sys.argv.index("--")
names, socks = [], []
for word in sys.argv[1:end]:
    name, where = word.split("=")
    if where.startswith("/"):
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(where)
        os.chmod(where, 0o777)
    elif where.startswith("udp"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    else:
        port, _, address = where.partition("@")
        sock = socket.socket(socket.AF_INET if address else socket.AF_INET6)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address or "::", int(port)))
    if sock.type == socket.SOCK_STREAM:
        sock.listen(16)
    names.append(name)
    socks.append(fcntl.fcntl(sock, fcntl.F_DUPFD, 100))
for n, fd in enumerate(socks):
    os.dup2(fd, 3 + n)
    os.close(fd)
os.environ.update(LISTEN_FDS=str(len(socks)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=":".join(names))
os.execvp(sys.argv[end + 1], sys.argv[end + 1:])
"""


class _Managed:
    """The network of the test, with a daemon that is passed sockets."""

    def __init__(self, network, *sockets):
        self.network, self.sockets = network, sockets

    def __getattr__(self, name):
        return getattr(self.network, name)

    def daemon_command(self, command):
        """The command, run where the daemon lives, by the manager."""
        return self.network.daemon_command([sys.executable, "-c", MANAGER, *self.sockets, "--", *command])


class Activation(SystemTest):
    """LISTEN_FDS."""

    own_daemon = True

    def setUp(self):
        super().setUp()
        if self.reference:
            self.skipTest("the reference opens its sockets itself")

    def pass_on(self, *sockets, lines=(), port=None):
        """A daemon that is passed these sockets."""
        return self.start(lines, network=_Managed(self.network, *sockets), port=port)

    @own
    @roads("off", "local")
    def test_sockets(self):
        """By port and address, of all addresses at once, by path and by name; what is not passed is opened. After a reload they
        are as before, and at the end the file of a Unix socket is left."""
        path = f"/tmp/shunt-activation-{os.getpid()}-{self.road}"
        ports = [self.network.free_port(unseen=True) for _ in range(4)]
        address = self.network.address
        lines = [f"listener {ports[1]}", f"listener {ports[2]}", "socket_name special", f"listener 0 {path}",
                 f"listener {ports[3]} {address}"]
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        daemon = self.pass_on(f"a={ports[0]}@{address}", f"a={ports[1]}", f"special={ports[2] + 1}@{address}", f"u={path}",
                              lines=lines, port=ports[0])
        self.assertEqual(daemon.log().count("Taking over the "), 4, daemon.log())
        daemon.signal(signal.SIGHUP)
        daemon.wait_log("Config reloaded, 0 options")
        for port in (ports[0], ports[1], ports[2] + 1, ports[3]):
            self.at(socket.create_connection((address, port), 5), str(port))
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        self.at(sock, "unix")
        self.assertRaises(OSError, socket.create_connection, (address, ports[2]), 5)
        subscriber, publisher = self.client("s", daemon), self.client("p", daemon)
        subscriber.subscribe(self.topic("t"))
        if self.road == "local":
            self.install(publisher, subscriber, self.topic("t"), daemon=daemon)
        publisher.publish(self.topic("t"), b"x")
        self.assertEqual(subscriber.payloads(1), [b"x"])
        daemon.stop()
        self.assertTrue(os.path.exists(path))

    def at(self, sock, name):
        """A client can connect by it."""
        client = Client(sock, name)
        self.addCleanup(client.close)
        client.connect(self.id(name)).alive()

    @own
    @roads("off")
    def test_refused(self):
        """Sockets without a listener, listeners without their named socket, and what is no such socket: the daemon does not
        start and says what to write."""
        port, other = (self.network.free_port(unseen=True) for _ in range(2))
        mine = f"a={port}@127.0.0.1"
        for sockets, lines, message in (
                ([mine, f"b={other}@127.0.0.1"], [], f"a socket for port {other} of 127.0.0.1, and there is no listener"),
                ([mine], [f"listener {other}", "socket_name b"], "no socket with the name b"),
                (["b=udp"], [], "descriptor 3, and it is no listening stream socket")):
            with self.assertRaisesRegex(DaemonError, message):
                self.pass_on(*sockets, lines=lines, port=port)


class Default(SystemTest):
    """Without a listener line."""

    own_daemon = True

    @own
    @roads("off")
    def test_loopback_only(self):
        """Nothing listens but on loopback addresses, whatever else is on."""
        if self.reference:
            self.skipTest("the options are of Shunt")
        port = self.network.free_port(unseen=True)
        daemon = self.start(before=self.take_listeners, port=port, arguments=["-p", str(port)])
        self.client("c", daemon).alive()
        places = self.listening(daemon.process.pid)
        self.assertIn(("0100007F", port), places)
        self.assertLessEqual({address for address, _ in places}, {"0100007F", "0" * 24 + "01000000"})

    @staticmethod
    def take_listeners(daemon):
        """Leave out the lines of listeners."""
        daemon.options = [line for line in daemon.options if line.split()[0] not in ("listener", "allow_anonymous")]

    @staticmethod
    def listening(pid):
        """Where the process listens, of IPv4 and IPv6: hexadecimal address, port."""
        mine, places = set(), set()
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                mine.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
            except FileNotFoundError:
                continue
        for name in ("tcp", "tcp6"):
            with open(f"/proc/{pid}/net/{name}") as table:
                for line in list(table)[1:]:
                    words = line.split()
                    if words[3] == "0A" and f"socket:[{words[9]}]" in mine:
                        address, port = words[1].split(":")
                        places.add((address, int(port, 16)))
        return places


class Interface(SystemTest):
    """bind_interface."""

    own_daemon = True

    @own
    @roads("remote")
    def test_other_interface(self):
        """Who comes by another interface than the listener's finds nobody; who comes by that one is served."""
        ports = [self.network.free_port(unseen=True) for _ in range(2)]
        daemon = self.start([f"listener {ports[0]}", "bind_interface lo", f"listener {ports[1]}",
                             f"bind_interface {self.device()}"])
        self.assertRaises(ConnectionRefusedError, self.network.socket, ports[0])
        client = Client(self.network.socket(ports[1], plain=True), "c")
        self.addCleanup(client.close)
        client.connect(self.id("c")).alive()
        self.client("d", daemon).alive()

    def device(self):
        """The interface of the daemon's namespace that clients come by."""
        command = self.network.daemon_command(["ip", "-o", "-4", "addr", "show"])
        text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
        return next(line.split()[1] for line in text.splitlines() if f" {self.network.address}/" in line)

    @own
    @roads("off")
    def test_none(self):
        """An interface that is not there."""
        port = self.network.free_port(unseen=True)
        with self.assertRaisesRegex(DaemonError, f"Unable to listen on port {port} of interface nosuch0: No such device"):
            self.start([f"listener {port}", "bind_interface nosuch0"])
