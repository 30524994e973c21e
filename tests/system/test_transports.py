# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""MQTT through TLS, WebSocket, and both: the same as without. What is special to each has a file of its own."""

import json
import select
import time

from harness import transports
from harness.client import TIMEOUT, Client
from harness.suite import SystemTest, own, roads


@roads("off", "local")
class Transports(SystemTest):
    """A daemon with a listener of each kind, beside the plain one."""

    own_daemon = True

    def begin(self, *options):
        """Start it; the kinds with their ports."""
        self.kinds = {}
        lines = []
        for kind in transports.KINDS:
            port = self.network.free_port(unseen=True)
            self.network.transports[port] = made = self.kind(kind)
            self.kinds[kind] = port
            lines += [f"listener {port} {self.network.address}", *made.lines]
        return self.start([*lines, *options])

    def kind(self, kind):
        """Certificates are made once."""
        made = self.made.get(kind)
        if not made:
            made = self.made[kind] = transports.Kind(kind)
        return made

    made = {}

    def join(self, kind, name, **fields):
        """A client through that kind of listener."""
        client = Client(self.network.socket(self.kinds[kind], rcvbuf=fields.pop("rcvbuf", None)), name,
                        version=fields.pop("version", 4))
        self.addCleanup(client.close)
        return client.connect(f"{name}-{self.name}", **fields)

    @own
    def test_all_to_all(self):
        """Each QoS, each version, from each kind to each, with small and large packets.
        3.1.1 [MQTT-6.0.0-1] [MQTT-6.0.0-2] [MQTT-6.0.0-4], 5.0 [MQTT-6.0.0-1] [MQTT-6.0.0-2] [MQTT-6.0.0-4]"""
        daemon = self.begin("max_packet_size 0")
        clients = [self.client("plain", daemon)]
        clients += [self.join(kind, kind.replace(" ", "-"), version=version)
                    for kind, version in zip(transports.KINDS, (4, 5, 3))]
        for client in clients:
            client.subscribe("t", qos=2)
        for n, publisher in enumerate(clients):
            for qos in (0, 1, 2):
                for size in (0, 1, 125, 126, 16383, 16384, 70000, 300000):
                    payload = bytes([n, qos]) * (size // 2) + b"x" * (size % 2)
                    publisher.publish("t", payload, qos)
                    for client in clients:
                        self.assertEqual([(x.payload, x.qos) for x in client.receive()], [(payload, qos)])
        for client in clients:
            client.alive()
        if self.road != "off":
            why = json.loads(daemon.ctl("why", "--json", "t", self.id("tls")))
            self.assertIn("TLS", json.dumps(why))

    @own
    def test_one_byte_at_a_time(self):
        """Records and frames of a byte each. 3.1.1 [MQTT-6.0.0-2], 5.0 [MQTT-6.0.0-2]"""
        self.begin()
        for kind in transports.KINDS:
            client = Client(self.network.socket(self.kinds[kind]), kind)
            self.addCleanup(client.close)
            for byte in client.hello(f"byte-{kind}"):
                client.send(bytes([byte]))
            self.assertEqual(client.read().code, 0)
            client.alive()

    @own
    def test_slow_reader(self):
        """Who does not read gets whole packets in their order when he does, and others wait for nothing."""
        daemon = self.begin("max_queued_messages 0", "max_output_bytes 0")
        publisher, other = self.client("publisher", daemon), self.client("other", daemon)
        other.subscribe("t")
        readers = [self.join(kind, kind.replace(" ", "-"), rcvbuf=4096) for kind in transports.KINDS]
        for reader in readers:
            reader.subscribe("t")
        payloads = [b"%06d" % n * (1 if n % 3 else 3000) for n in range(600)]
        for payload in payloads:
            publisher.publish("t", payload)
            self.assertEqual(other.payloads(1), [payload])
        for reader in readers:
            self.assertEqual(reader.payloads(len(payloads)), payloads)
            reader.alive()

    @own
    def test_ends(self):
        """Takeover, keepalive, wills, and a stop with clients of every kind."""
        daemon = self.begin()
        watcher = self.client("watcher", daemon)
        watcher.subscribe("will/#")
        for n, kind in enumerate(transports.KINDS):
            first = self.join(kind, f"same{n}", version=5, will=(f"will/{n}", b"taken over", 0, False))
            second = self.join(kind, f"same{n}", version=5, will=(f"will/{n}", b"stopped", 0, False))
            self.assertEqual([x.code for x in first.closed()], [0x8E])
            self.assertEqual(watcher.payloads(1), [b"taken over"])
            second.sock.close()  # with or without close_notify, it is no DISCONNECT
            self.assertEqual(watcher.payloads(1), [b"stopped"])
            late = self.join(kind, f"late{n}", version=5, keepalive=1)
            self.assertEqual([x.code for x in late.closed()], [0x8D])
        last = [self.join(kind, f"last{n}", version=5) for n, kind in enumerate(transports.KINDS)]
        daemon.stop()
        for client in last:
            self.assertEqual([x.code for x in client.closed()], [0x8B])

    @own
    def test_stop_on_the_way(self):
        """Connections that are on their way in do not keep the daemon from ending, nor does a limit count them twice."""
        daemon = self.begin()
        for kind in transports.KINDS:
            for _ in range(3):
                port = self.kinds[kind]
                waiting = self.network.socket(port, plain=True)
                self.addCleanup(waiting.close)
        self.client("x", daemon).alive()
        daemon.wait_log("New connection from ", count=11)  # with that of start(); until then some wait to be accepted
        daemon.stop()
        self.assertEqual(len([line for line in daemon.log().splitlines() if "server shutting down" in line]), 10)

    @own
    def test_limit(self):
        """max_connections counts who is on the way, and forgets who failed."""
        self.begin()
        port = self.network.free_port(unseen=True)
        self.network.transports[port] = kind = self.kind("tls")
        daemon = self.start([f"listener {port} {self.network.address}", *kind.lines, "max_connections 2"])
        for n in range(5):
            # Which of them is refused is a matter of which worker is faster.
            three = [self.network.socket(port, plain=True) for _ in range(3)]
            refused = select.select(three, [], [], TIMEOUT)[0]
            self.assertEqual([sock.recv(1) for sock in refused], [b""])
            for sock in three:
                sock.close()
            while daemon.stats()["closed"]["tls"] < 2 * (n + 1):
                time.sleep(0.01)
        self.kinds["tls"] = port
        for n in range(2):
            self.join("tls", f"in{n}").alive()
