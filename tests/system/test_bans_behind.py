# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Bans of addresses for clients by WebSocket and MQTT-SN; those behind a PROXY header are in test_proxy.py."""

import contextlib
import socket

from harness import packets as p
from harness import sn
from harness.client import TIMEOUT, Client
from harness.suite import own, roads
from test_sn import SnTest
from test_websockets import WebSockets

OTHER = "127.0.0.9"  # an address of this host that nobody else comes from


class WebSocket(WebSockets):
    """X-Forwarded-For."""

    def shut_out(self, *headers):
        """Nothing of MQTT comes back."""
        with contextlib.suppress(ConnectionError):
            client = Client(self.open(*headers), "x")
            client.send(p.connect("x"))
            self.assertEqual(client.closed(), [])

    @own
    def test_trusted(self):
        """Of a trusted proxy it counts: who it names is banned, and the proxy is not."""
        daemon = self.begin("trusted_proxy 127.0.0.0/8")
        bad, good = (self.join(name, f"X-Forwarded-For: 198.51.100.{n}") for n, name in ((7, "bad"), (8, "good")))
        daemon.ctl("ban", "198.51.100.7")
        bad.closed()
        good.alive()
        before = daemon.stats()["connections"]["banned"]
        self.shut_out("X-Forwarded-For: 198.51.100.7")
        self.assertEqual(daemon.stats()["connections"]["banned"], before + 1)
        self.join("other", "X-Forwarded-For: 198.51.100.9").alive()
        self.join("direct").alive()

    @own
    def test_not_trusted(self):
        """Of others it counts for nothing: it neither bans nor hides whoever sends it."""
        daemon = self.begin("trusted_proxy 192.0.2.1")
        client = self.join("c", "X-Forwarded-For: 198.51.100.7")
        daemon.ctl("ban", "198.51.100.7")
        client.alive()
        self.join("d", "X-Forwarded-For: 198.51.100.7").alive()
        daemon.ctl("ban", "127.0.0.1")
        client.closed()
        with contextlib.suppress(ConnectionError), socket.create_connection(
                (self.network.address, self.port), TIMEOUT) as sock:
            sock.sendall(b"GET /mqtt HTTP/1.1\r\nX-Forwarded-For: 198.51.100.9\r\n")
            self.assertEqual(sock.recv(100), b"")


@roads("off")
class Datagrams(SnTest):
    """MQTT-SN."""

    def elsewhere(self):
        """A client at another address of this host, not connected."""
        client = self.sn()
        client.sock.close()
        client.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.sock.bind((OTHER, 0))
        client.sock.connect((self.network.address, self.port))
        return client

    @own
    def test_address(self):
        """A client is cut off, and refused until the ban is lifted; nor does PUBLISH with QoS -1 count."""
        daemon = self.begin("mqtt_sn_qos_minus_one nobody")
        reader, client, sender = self.client("r", daemon), self.elsewhere().connect("c"), self.elsewhere()
        reader.subscribe("xy")
        client.publish("xy", b"one")
        sender.send(sn.publish("xy", b"minus one", sn.MINUS_ONE))
        self.assertEqual(sorted(reader.payloads(2)), [b"minus one", b"one"])
        daemon.ctl("ban", OTHER)
        client.expect(sn.DISCONNECT)
        self.elsewhere().connect("d", code=sn.CONGESTION)
        self.sn("here").publish("xy", b"here")
        self.assertEqual(reader.payloads(1), [b"here"])
        before = daemon.stats()["connections"]["banned"]
        sender.send(sn.publish("xy", b"minus one", sn.MINUS_ONE))
        while daemon.stats()["connections"]["banned"] == before:
            pass
        daemon.ctl("unban", OTHER)
        self.elsewhere().connect("e").publish("xy", b"two")
        self.assertEqual(reader.payloads(1), [b"two"])
