# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The guard: what is dropped in front of the broker, and that nobody else notices."""

import json
import os
import re
import socket
import subprocess
import time

from harness import frames, run
from harness import packets as p
from harness.client import TIMEOUT
from harness.network import LOOPBACK, Network, inside
from harness.suite import SystemTest, own

SHORT = 0.3  # seconds in which what is dropped does not arrive


def bpftool(*words):
    """Its answer."""
    done = subprocess.run(["bpftool", "--json", *words], capture_output=True, text=True, check=True,
                          env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"})
    return json.loads(done.stdout)


class Guard(SystemTest):
    """What the tests below share: daemons with a guard, in namespaces of their own."""

    own_daemon = True
    roads = ("remote",)  # where there are namespaces
    fastpath = False

    def road_options(self):
        """Without the fast path, except where it is what is tested."""
        return super().road_options() if self.fastpath else ["fastpath false"]

    def guarded(self, *options, interfaces="to-c1", **arguments):
        """A daemon with a guard on the interfaces."""
        return self.start([f"guard_interface {interfaces}", *options], **arguments)

    def address(self, address, namespace=None, device="to-daemon"):
        """The clients have this address as well."""
        subprocess.run(["ip", "-n", namespace or self.network.client_ns, "address", "replace", address, "dev", device,
                        *(["nodad"] if ":" in address else [])], check=True)

    @staticmethod
    def state(daemon):
        """shuntctl guard --json."""
        return json.loads(daemon.ctl("guard", "--json"))["guard"]

    def assert_on(self, daemon, mode="native"):
        """On its interface, in this way."""
        self.assertEqual([(i["attached"], i["mode"]) for i in self.state(daemon)["interfaces"]], [(True, mode)])

    def assert_dropped(self, daemon, **reasons):
        """These and no others; None: some."""
        dropped = {name: n for name, n in self.state(daemon)["dropped"].items() if n}
        self.assertEqual(set(dropped), set(reasons), dropped)
        for name, n in reasons.items():
            if n is not None:
                self.assertEqual(dropped[name], n, name)

    def assert_shut(self, daemon, address=None):
        """No connection can be made."""
        with inside(self.network.client_ns):
            sock = socket.socket()
        with sock:
            sock.settimeout(SHORT)
            if address:
                sock.bind((address, 0))
            self.assertRaises(TimeoutError, sock.connect, (self.network.address, daemon.port))

    def from_address(self, daemon, address):
        """A connected client from one of several addresses."""
        with inside(self.network.client_ns):
            sock = socket.create_connection((self.network.address, daemon.port), TIMEOUT, (address, 0))
        self.addCleanup(sock.close)
        return sock

    def assert_reset(self, sock, garbage=b"GET / HTTP/1.1\r\n\r\n"):
        """Whoever sends this on a new connection has none any more."""
        with sock, self.assertRaises(ConnectionError):
            sock.settimeout(TIMEOUT)
            sock.sendall(garbage)
            if not sock.recv(1):
                raise ConnectionResetError

    def until(self, true):
        """Wait: the kernel may take a moment."""
        deadline = time.monotonic() + TIMEOUT
        while not true():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def sender(self):
        """Of packets, into the clients' link."""
        sender = frames.Sender(self.network.client_ns, self.network.address)
        self.addCleanup(sender.close)
        return sender

    def programs(self):
        """The XDP programs on the daemon's end of the link."""
        done = subprocess.run(["ip", "-n", self.network.daemon_ns, "-d", "link", "show", "dev", "to-c1"], capture_output=True,
                              text=True, check=True)
        return re.findall(r"prog/xdp\w* id (\d+)", done.stdout)


class Over6:
    """A network whose clients connect over IPv6."""

    def __init__(self, network):
        self.network, self.address = network, "fd00:7::1"

    def __getattr__(self, name):
        return getattr(self.network, name)

    def socket(self, port, *_, **__):
        """A client's connection."""
        with inside(self.network.client_ns):
            return socket.create_connection((self.address, port), TIMEOUT)


class Clients(Guard):
    """Clients that do nothing wrong."""

    @own
    def test_all_versions(self):
        """Clients of all versions connect, publish and receive, with the CONNECT in one piece, cut at every byte, or with
        more behind it; nothing is dropped."""
        daemon = self.guarded()
        self.assert_on(daemon)
        reader = self.client("reader", daemon)
        reader.subscribe(self.topic("#"))
        for level in (3, 4, 5):
            hello = self.raw("x", daemon, level=level).hello(f"v{level}")
            for cut in range(len(hello) + 1):
                client = self.raw("writer", daemon, level=level)
                client.send(hello[:cut])
                client.send(hello[cut:], p.publish(self.topic("t"), b"%d" % cut, props=() if level == 5 else None))
                self.assertEqual(client.expect(p.CONNACK).code, 0)
                self.assertEqual(reader.expect(p.PUBLISH).payload, b"%d" % cut)
                client.close()
        self.assert_dropped(daemon)
        self.assertGreater(self.state(daemon)["packets"], 100)

    @own
    def test_ipv6(self):
        """Clients over IPv6: let in, and reset."""
        self.address("fd00:7::1/64", self.network.daemon_ns, "to-c1")
        self.address("fd00:7::2/64")
        daemon = self.guarded(listen="fd00:7::1", network=Over6(self.network))
        self.client("x", daemon).ping()
        self.assert_reset(self.raw("bad", daemon, record=False).sock)
        self.assert_dropped(daemon, not_mqtt=1)
        self.assertGreater(self.state(daemon)["packets"], 5)


class Garbage(Guard):
    """What is no MQTT."""

    @own
    def test_first_bytes(self):
        """A connection whose first bytes are no CONNECT's is gone in the broker before it has read one; a client beside it
        notices nothing."""
        daemon = self.guarded("log_type all")
        here = self.client("here", daemon)
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\3\1\2\0\1\0", b"\x10\x0c\0\4HTTP", b"\0" * 1000):
            self.assert_reset(self.raw("bad", daemon, record=False).sock, garbage)
        self.until(lambda: daemon.stats()["connections"]["open"] == 1)
        here.ping()
        self.assert_dropped(daemon, not_mqtt=4)

    @own
    def test_datagrams_and_flags(self):
        """Datagrams that are too large, to a listener of MQTT-SN only, and flags that nobody sends."""
        port = self.network.free_port()
        daemon = self.guarded("guard_udp_size 100", f"listener {port} {self.network.address}", "protocol mqtt-sn")
        with inside(self.network.client_ns), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for size in (100, 101, 1400):
                sock.sendto(bytes(size), (self.network.address, port))
            sock.sendto(bytes(1400), (self.network.address, daemon.port))
        self.sender().send([frames.tcp("10.203.1.2", self.network.address, 1000, daemon.port, flags) for flags in (3, 6, 0)])
        self.until(lambda: self.state(daemon)["packets"] >= 6)
        self.assert_dropped(daemon, oversized=2, malformed=3)


    @own
    def test_other_listeners(self):
        """Where connections begin with HTTP, TLS or a proxy's header, and not with MQTT, nobody looks for a CONNECT."""
        daemon = self.guarded("protocol websockets", "guard_connection_rate 1 1", "trusted_proxy 10.203.1.2")
        for _ in range(5):
            web = self.raw("web", daemon, record=False)
            web.send(b"GET / HTTP/1.1\r\n\r\n")
            self.assertEqual(web.sock.recv(5), b"HTTP/")
        self.assert_dropped(daemon)


class Lists(Guard):
    """guard_block and guard_allow."""

    @own
    def test_reload(self):
        """Who is blocked is shut out, and cut off where it was connected, before the broker sees anything of it; lists are
        taken over from a configuration that is read again, and counts of the rules that stay are kept."""
        self.address("10.203.1.3/24")
        self.address("10.203.1.4/24")
        path = f"{run.folder()}/guard.conf"
        self.write(path, "guard_block 10.203.1.3 2001:db8::/32")
        daemon = self.guarded(arguments=["-c", path])
        self.assert_shut(daemon, "10.203.1.3")
        self.assertNotIn("10.203.1.3", daemon.log())
        four = self.from_address(daemon, "10.203.1.4")
        four.sendall(p.connect("four"))
        self.assertEqual(four.recv(4), b"\x20\2\0\0")
        self.reload(daemon, path, "guard_block 10.203.1.0/24", "guard_allow 10.203.1.2/32", "guard_block 10.203.1.3")
        received = daemon.stats()["bytes"]["received"]
        four.sendall(b"\xc0\0")
        self.client("two", daemon).ping()
        self.assertLess(daemon.stats()["bytes"]["received"] - received, 40)
        rules = bpftool("map", "dump", "pinned", f"{daemon.pins}-guard/blocked")
        self.assertEqual({r["formatted"]["key"]["bits"] for r in rules}, {96 + 24, 128})
        self.assertTrue(all(r["formatted"]["value"]["packets"] for r in rules))
        self.reload(daemon, path, "guard_allow 10.203.1.2")
        self.assertEqual(four.recv(2), b"\xd0\0")  # sent again until it is let in
        self.from_address(daemon, "10.203.1.3")
        self.assert_dropped(daemon, blocked=None)
        self.assertGreater(self.state(daemon)["allowed"], 0)

    @staticmethod
    def write(path, *lines):
        """The file."""
        with open(path, "w") as conf:
            conf.writelines(f"{line}\n" for line in lines)
        os.chmod(path, 0o644)

    def reload(self, daemon, path, *lines):
        """Another file."""
        self.write(path, *lines)
        daemon.reload()


class Bans(Guard):
    """Bans of the broker."""

    @own
    def test_bans(self):
        """What comes from a network that is banned does not reach the broker, as long as it is: a ban by hand, and one that
        an address brought on itself, whose end the kernel knows."""
        self.address("10.203.1.3/24")
        daemon = self.guarded("ban_after_failures 2")
        daemon.ctl("ban", "--address", "10.203.1.0/24")
        self.assert_shut(daemon, "10.203.1.3")
        self.assertNotIn("10.203.1.3", daemon.log())
        daemon.ctl("unban", "--address", "10.203.1.0/24")
        with self.from_address(daemon, "10.203.1.3") as sock:
            sock.sendall(p.connect("three"))
            self.assertEqual(sock.recv(4), b"\x20\2\0\0")
        self.assertEqual(bpftool("map", "dump", "pinned", f"{daemon.pins}-guard/banned"), [])
        for _ in range(2):
            with self.from_address(daemon, "10.203.1.3") as sock:
                sock.sendall(b"\x10\x0c\0\4MQTT\4\1\0\x3c\0\0")  # a flag that has to be 0
                self.assertEqual(sock.recv(4), b"")
        daemon.wait_log("10.203.1.3 banned|[Bb]anned address 10.203.1.3")
        self.assert_shut(daemon, "10.203.1.3")
        rule, = bpftool("map", "dump", "pinned", f"{daemon.pins}-guard/banned")
        self.assertEqual(rule["formatted"]["key"]["bits"], 128)
        self.assertGreater(rule["formatted"]["value"]["until_ns"], time.clock_gettime_ns(time.CLOCK_MONOTONIC))
        self.client("here", daemon).ping()
        self.assert_dropped(daemon, banned=None)


class Budgets(Guard):
    """Who sends too much."""

    @own
    def test_connections(self):
        """guard_connection_rate: an address may open so many at once, and others are not harmed."""
        self.address("10.203.1.3/24")
        daemon = self.guarded("guard_connection_rate 1 5")
        here = self.client("here", daemon)
        for _ in range(100):
            with inside(self.network.client_ns), socket.socket() as sock:
                sock.setblocking(False)
                sock.connect_ex((self.network.address, daemon.port))
        here.ping()
        self.from_address(daemon, "10.203.1.3").sendall(p.connect("other"))
        self.assert_dropped(daemon, connection_rate=None)

    @own
    def test_packets(self):
        """guard_packet_rate."""
        daemon = self.guarded("guard_packet_rate 1000 20", "guard_allow 10.203.1.2")
        here = self.client("here", daemon)
        self.sender().send([frames.tcp("10.203.1.77", self.network.address, 1000, daemon.port, frames.ACK)] * 2000)
        here.ping()
        self.assert_dropped(daemon, packet_rate=None)

    @own
    def test_syn_flood(self):
        """guard_syn_rate: SYNs from addresses without end. Who is connected goes on, and who was connected before comes
        back at once."""
        daemon = self.guarded("guard_syn_rate 1 30", "guard_connection_rate 0")
        here = self.client("here", daemon)
        here.ping()
        self.sender().send([frames.tcp(f"10.{i >> 8}.{i & 255}.9", self.network.address, 1000 + i, daemon.port)
                               for i in range(1000)])
        here.ping()
        self.client("again", daemon).ping()
        dropped = self.state(daemon)["dropped"]["syn_rate"]
        self.assertGreater(dropped, 900)
        self.assert_dropped(daemon, syn_rate=None)
        self.assertEqual(bpftool("map", "dump", "pinned", f"{daemon.pins}-guard/proven")[0]["formatted"]["key"]
                         ["in6_u"]["u6_addr8"][-4:], [10, 203, 1, 2])


class Interfaces(Guard):
    """Where the guard is."""

    @own
    def test_generic(self):
        """An interface whose driver cannot do it has the program in front of the network stack, and it does the same."""
        daemon = self.guarded(interfaces="lo", network=Network("127.0.0.1", self.network.daemon_ns, self.network.daemon_ns))
        self.assert_on(daemon, "generic")
        here = self.client("here", daemon)
        self.assert_reset(self.raw("bad", daemon, record=False).sock)
        here.ping()
        self.assert_dropped(daemon, not_mqtt=1)
        self.assertRegex(daemon.log(), "Guard on: lo, in front of the network stack, maps in ")

    @own
    def test_taken(self):
        """There is another program: its name is told, and the broker runs without a guard; or does not, with
        guard_require. On an interface that there is not, likewise; the guard is on the others."""
        first = self.guarded()
        second = self.guarded()
        self.assertEqual(self.state(second)["state"], "off")
        reason = 'to-c1: the XDP program "shunt_guard" with id [0-9]+ is on the interface'
        self.assertRegex(self.state(second)["reason"], reason)
        second.wait_log(f"Guard off: {reason}")
        self.client("x", second).ping()
        self.assert_on(first)
        with self.assertRaisesRegex(AssertionError, f"(?s)exit status 1.*guard_require.*{reason}"):
            self.guarded("guard_require true")
        first.stop()
        third = self.guarded(interfaces="nowhere0 to-c1")
        self.assertEqual([i["attached"] for i in self.state(third)["interfaces"]], [False, True])
        third.wait_log("Guard off on nowhere0: there is no such interface")
        self.assertIn("to-c1            on, in the driver", third.ctl("guard"))

    @own
    def test_end(self):
        """A broker that stops, or is killed, leaves no program behind, and everything passes; with guard_fail_closed a
        killed one does, with the lists it had, until the next one comes."""
        daemon = self.guarded()
        self.assertNotEqual(self.programs(), [])
        daemon.kill()
        self.assert_gone()
        daemon.start()
        self.assert_on(daemon)
        daemon.stop()
        daemon = self.guarded("guard_fail_closed true")
        daemon.stop()
        self.assert_gone()
        daemon = self.guarded("guard_fail_closed true", "guard_block 10.203.1.0/24", "guard_allow 10.203.1.2")
        daemon.kill()
        with inside(self.network.daemon_ns), socket.create_server((self.network.address, daemon.port)):
            self.sender().send([frames.tcp("10.203.1.9", self.network.address, 1000, daemon.port)] * 10)
            self.until(lambda: bpftool("map", "dump", "pinned", f"{daemon.pins}-guard/blocked")
                       [0]["formatted"]["value"]["packets"] >= 10)
        old = self.programs()
        daemon.start()
        self.assert_on(daemon)
        self.assertNotEqual(self.programs(), old)
        self.client("x", daemon).ping()

    def assert_gone(self):
        """No program is left."""
        self.until(lambda: not self.programs())

    @own
    def test_sys(self):
        """$SYS/broker/guard."""
        daemon = self.guarded("sys_interval 1", "guard_block 192.0.2.0/24")
        self.sender().send([frames.tcp("192.0.2.1", self.network.address, 1000, daemon.port)] * 7)
        reader = self.client("reader", daemon)
        reader.subscribe("$SYS/broker/guard/dropped/blocked")
        while reader.expect(p.PUBLISH).payload != b"7":
            pass


class FastPath(Guard):
    """The guard and the fast path."""

    fastpath = True

    @own
    def test_together(self):
        """The kernel carries messages of clients that come through the guard."""
        daemon = self.guarded()
        self.assert_on(daemon)
        subscriber, publisher = self.client("s", daemon), self.client("p", daemon)
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"), daemon=daemon)
        self.until_carried(publisher, subscriber, self.topic("t"), daemon=daemon)
        self.assert_reset(self.raw("bad", daemon, record=False).sock)
        self.assert_dropped(daemon, not_mqtt=1)


class Wrong(Guard):
    """Options that cannot be."""

    @own
    def test_values(self):
        """Each is told with its place."""
        for line, why in (("guard_interface a/b", "is not the name of a network interface"),
                          ("guard_interface eth0 eth0", "is given twice"),
                          ("guard_block 10.0.0.1/8", "bits set behind"), ("guard_allow unix", "Unix sockets"),
                          ("guard_block 10.0.0.0/33", "number of bits"), ("guard_allow nowhere", "no address"),
                          ("guard_syn_rate many", "is not a whole number"), ("guard_syn_rate 5 0", "is not a whole"),
                          ("guard_packet_rate 5 6 7", "is not a whole"), ("guard_ipv6_prefix 0", "from 32 to 128")):
            with self.subTest(line=line):
                with self.assertRaisesRegex(AssertionError, f"Error in -o '{line}.*: {line.split()[0]}: .*{why}"):
                    self.start([line], network=LOOPBACK)
