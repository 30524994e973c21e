# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The PROXY protocol: who the client is by the word of a trusted proxy, and what else may come in its place."""

import contextlib
import json
import socket
import struct

from harness import packets as p
from harness import transports
from harness.client import TIMEOUT, Client
from harness.suite import SystemTest, own, roads

V2 = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0, 1


def header(family=0x11, addresses=b"", tlvs=b"", command=PROXY):
    """Of version 2."""
    body = addresses + tlvs
    return V2 + bytes([0x20 | command, family]) + struct.pack("!H", len(body)) + body


def tcp4(source, port, **fields):
    """A client of IPv4."""
    return header(0x11, socket.inet_aton(source) + socket.inet_aton("192.0.2.99") + struct.pack("!HH", port, 1883), **fields)


def tcp6(source, port, **fields):
    """A client of IPv6."""
    return header(0x21, socket.inet_pton(socket.AF_INET6, source) * 2 + struct.pack("!HH", port, 1883), **fields)


def tls_tlv(name=None, verified=True):
    """That the client came by TLS, with a certificate if it has a name."""
    inner = b"\x22" + struct.pack("!H", len(name)) + name if name else b""
    body = bytes([1 | (4 if name else 0)]) + struct.pack("!I", 0 if verified else 1) + inner
    return b"\x20" + struct.pack("!H", len(body)) + body


@roads("off", "local")
class Proxy(SystemTest):
    """A daemon behind a proxy, which is this test."""

    own_daemon = True

    def begin(self, version, *lines):
        """Start it."""
        if self.reference:
            self.skipTest("Debian's has no PROXY protocol")
        self.port = self.network.free_port(unseen=True)
        self.daemon = self.start([f"listener {self.port} {self.network.address}", f"enable_proxy_protocol {version}", *lines])
        return self.daemon

    def come(self, head, pieces=1):
        """A connection that begins so."""
        sock = self.network.socket(self.port)
        self.addCleanup(sock.close)
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(head), max(1, len(head) // pieces)):
                sock.sendall(head[at:at + max(1, len(head) // pieces)])
        return sock

    def join(self, head, name, pieces=1, **fields):
        """A client behind a header."""
        return Client(self.come(head, pieces), name).connect(f"{name}-{self.name}", **fields)

    def address(self, name):
        """Of a client, as the daemon lists it."""
        return {c["id"]: c["address"] for c in self.daemon.clients()["clients"]}[self.id(name)]

    def refused(self, head, why):
        """Closed without a word, logged and counted."""
        before = self.daemon.stats()["closed"]["proxy"]
        sock = self.come(head + p.connect("x"))
        with contextlib.suppress(ConnectionError):
            self.assertEqual(sock.recv(100), b"")
        self.daemon.wait_log(rf"Client <unknown> \[\S+\] disconnected: PROXY protocol: {why}")
        self.assertEqual(self.daemon.stats()["closed"]["proxy"], before + 1)

    @own
    def test_version_1(self):
        """IPv4, IPv6, and one that is not known; in one piece and in many."""
        self.begin(1)
        for n, (line, address) in enumerate((("TCP4 198.51.100.7 192.0.2.1 4711 1883", "198.51.100.7:4711"),
                                             ("TCP6 2001:db8::7 2001:db8::1 4711 1883", "2001:db8::7:4711"))):
            client = self.join(f"PROXY {line}\r\n".encode(), f"c{n}", pieces=1 + n * 100)
            self.assertEqual(self.address(f"c{n}").replace("[", "").replace("]", ""), address)
            client.alive()
        self.join(b"PROXY UNKNOWN\r\n", "unknown")
        self.assertRegex(self.address("unknown"), r"127\.0\.0\.1:\d+")

    @own
    def test_version_2(self):
        """IPv4, IPv6, a health check of the proxy's own; messages go between them and those that come directly."""
        daemon = self.begin(2)
        four = self.join(tcp4("198.51.100.7", 4711), "four", pieces=100)
        six = self.join(tcp6("2001:db8::7", 4711, tlvs=tls_tlv(b"ann")), "six")
        local = self.join(header(0, command=LOCAL), "local")
        self.assertEqual(self.address("four"), "198.51.100.7:4711")
        self.assertRegex(self.address("local"), r"127\.0\.0\.1:\d+")
        direct = self.client("direct", daemon)
        for client in (four, six, local, direct):
            client.subscribe("t")
        for n, publisher in enumerate((four, six, local, direct)):
            for k in range(10):
                publisher.publish("t", b"%d %d" % (n, k))
                for client in (four, six, local, direct):
                    self.assertEqual(client.payloads(1), [b"%d %d" % (n, k)])

    @own
    def test_wrong(self):
        """No header, another version, a broken one, one that is too long, and one of somebody who is not trusted."""
        self.begin(2)
        self.refused(b"", ".+")
        self.refused(b"PROXY TCP4 198.51.100.7 192.0.2.1 4711 1883\r\n", "its header has version 1")
        self.refused(V2 + b"\x31\x11\0\x0c" + b"\0" * 12, ".+")
        self.refused(V2 + b"\x21\x11\xff\xff" + b"\0" * 9000, ".+")
        self.begin(1, "trusted_proxy 192.0.2.0/24")
        self.refused(b"PROXY TCP4 198.51.100.7 192.0.2.1 4711 1883\r\n", "it is not a trusted_proxy")
        self.begin(1)
        self.refused(b"PROXY TCP4 198.51.100.7 192.0.2.1 4711 1883 " + b"x" * 100, ".+")

    @own
    def test_not_asked_for(self):
        """A header where none is expected is no MQTT."""
        daemon = self.start()
        sock = self.network.socket(daemon.port)
        self.addCleanup(sock.close)
        sock.sendall(b"PROXY TCP4 198.51.100.7 192.0.2.1 4711 1883\r\n" + p.connect("x"))
        with contextlib.suppress(ConnectionError):
            self.assertEqual(sock.recv(100), b"")
        daemon.wait_log(r"Client <unknown> \[127\S+\] disconnected: (protocol error|malformed packet)")

    @own
    def test_tls_of_the_proxy(self):
        """proxy_protocol_v2_require_tls, and the name in a certificate that the proxy has verified."""
        daemon = self.begin(2, "proxy_protocol_v2_require_tls true", "use_identity_as_username true")
        self.refused(tcp4("198.51.100.7", 1), "the client did not come to the proxy by TLS")
        self.join(tcp4("198.51.100.7", 2, tlvs=tls_tlv(b"ann")), "ann", username="liar")
        self.assertEqual({c["id"]: c.get("username") for c in daemon.clients()["clients"]}[self.id("ann")], "ann")
        for tlv in (tls_tlv(), tls_tlv(b"ann", verified=False)):
            client = Client(self.come(tcp4("198.51.100.7", 3, tlvs=tlv)), "x")
            client.send(client.hello("x"))
            self.assertEqual([x.code for x in client.closed()], [5])

    @own
    def test_inside(self):
        """TLS, WebSocket and both behind the header."""
        for kind in transports.KINDS:
            made = transports.Kind(kind)
            self.begin(2, *made.lines)
            sock = made.wrap(self.come(tcp4("198.51.100.7", 4711)))
            self.addCleanup(sock.close)
            client = Client(sock, "c").connect(self.id("c"))
            self.assertEqual(self.address("c"), "198.51.100.7:4711")
            client.alive()

    def shut_out(self, head):
        """Closed without a word."""
        sock = self.come(head + p.connect("x"))
        with contextlib.suppress(ConnectionError):
            sock.settimeout(TIMEOUT)
            self.assertEqual(sock.recv(100), b"")

    @own
    def test_ban(self):
        """A ban of a source cuts off and refuses what comes from it, and nobody else behind the same proxy; a ban of the
        proxy's address none of them."""
        daemon = self.begin(2)
        bad, good, six = (self.join(head, name) for head, name in (
            (tcp4("198.51.100.7", 1), "bad"), (tcp4("198.51.100.8", 2), "good"), (tcp6("2001:db8::7", 3), "six")))
        daemon.ctl("ban", "198.51.100.7")
        daemon.ctl("ban", "2001:db8::/64")
        for client in (bad, six):
            client.closed()
        good.alive()
        self.shut_out(tcp4("198.51.100.7", 4))
        self.shut_out(tcp6("2001:db8::8", 5))
        self.assertEqual(daemon.stats()["connections"]["banned"], 2)
        self.join(tcp4("198.51.100.9", 6), "other").alive()

    @own
    def test_automatic_ban(self):
        """Errors of a source ban it; the proxy goes on bringing others."""
        daemon = self.begin(1, "ban_after_failures 3", "ban_exempt 192.0.2.0/24")
        for _ in range(3):
            sock = self.come(b"PROXY TCP4 198.51.100.7 192.0.2.1 4711 1883\r\nGET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                self.assertEqual(sock.recv(100), b"")
        daemon.wait_log("Banned address 198.51.100.7 for 300 s: 3 failed logins or protocol errors")
        self.assertEqual([ban["address"] for ban in json.loads(daemon.ctl("bans", "--json"))["bans"]], ["198.51.100.7"])
        self.shut_out(b"PROXY TCP4 198.51.100.7 192.0.2.1 4711 1883\r\n")
        self.join(b"PROXY TCP4 198.51.100.8 192.0.2.1 4711 1883\r\n", "other").alive()
