# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The limits that options set."""

import contextlib
import time

from harness import packets as p
from harness.client import TIMEOUT, Client, Closed
from harness.suite import SystemTest, differs, own


class MaxPacketSize(SystemTest):
    """max_packet_size counts the whole packet."""

    options = ("max_packet_size 1000",)

    def sized(self, size, qos=0):
        """A PUBLISH of so many bytes in all."""
        empty = len(p.publish(self.topic("t"), b"", qos, mid=1 if qos else None))
        packet = p.publish(self.topic("t"), b"x" * (size - empty - 1), qos, mid=1 if qos else None)
        self.assertEqual(len(packet), size)
        return packet

    @differs("mosquitto counts without the fixed header")
    def test_at_the_limit(self):
        """1000 bytes pass, 1001 close the connection, with a line in the log."""
        watch = self.client("watch")
        watch.subscribe(self.topic("t"), qos=1)
        client = self.client("c")
        for qos in (0, 1):
            client.send(self.sized(1000, qos))
            watch.receive()
        for qos in (0, 1):
            client = self.client("c")
            client.send(self.sized(1001, qos))
            self.assertLessEqual(len(client.closed()), 1)
        watch.ping()
        self.daemon.wait_log(r"c-at_the_limit\b.*disconnected: oversize packet")

    def test_by_the_header(self):
        """The length in the fixed header is enough: nothing is waited for, nothing is allocated."""
        for data in (b"\x30\xff\xff\xff\x7f", b"\x32\xff\xff\xff\x7f\x00\x01a", b"\x82\xff\xff\xff\x7f"):
            client = self.client("c")
            client.send(data)
            self.assertEqual(client.closed(), [])

    def test_subscribe(self):
        """A SUBSCRIBE beyond the limit closes, too."""
        client = self.client("c")
        client.send(p.subscribe(1, *[(self.topic(str(n)), 0) for n in range(200)]))
        self.assertEqual(client.closed(), [])

    def test_connect(self):
        """A connection without a session cannot make the broker wait for 256 MB."""
        client = self.raw()
        client.send(b"\x10\xff\xff\xff\x7f\x00\x04MQTT\x04\x02\x00\x3c")
        self.assertEqual(client.closed(), [])


class NoPacketSize(SystemTest):
    """The default is 2,000,000 bytes."""

    @differs("mosquitto 2.0.11 has no limit by default")
    def test_default(self):
        """A packet of 2,000,001 bytes is refused by its header, one of 2,000,000 passes."""
        client = self.client("c")
        client.subscribe(self.topic("t"))
        head = len(p.publish(self.topic("t"), b"x" * 1999900)) - 1999900
        client.publish(self.topic("t"), b"x" * (2000000 - head))
        self.assertEqual(len(client.receive()[0].payload), 2000000 - head)
        client.send(b"\x30\xff\xff\xff\x7f")
        client.closed()


class Queues(SystemTest):
    """max_queued_messages."""

    options = ("max_queued_messages 10", "max_inflight_messages 5", "persistence false")

    def tearDown(self):
        self.client("s", clean=True, present=None).disconnect()

    def test_offline(self):
        """For a client that is away the oldest are kept up to the limit, the rest is dropped and counted."""
        client, publisher = self.client("s", clean=False), self.client("p")
        client.subscribe(self.topic("t"), qos=1)
        client.disconnect()
        before = 0 if self.reference else self.dropped()
        for n in range(100):
            publisher.publish(self.topic("t"), b"%d" % n, 1)
        client = self.client("s", clean=False, present=True)
        got = [int(x.payload) for x in client.settle()]
        self.assertEqual(got, list(range(len(got))))
        self.assertIn(len(got), (10, 15))
        if not self.reference:
            self.assertEqual(self.dropped() - before, 100 - len(got))

    @differs("mosquitto counts those in flight among them")
    def test_online(self):
        """For a client that does not acknowledge: five in flight, ten more."""
        client, publisher = self.client("s"), self.client("p")
        client.subscribe(self.topic("t"), qos=1)
        for n in range(100):
            publisher.publish(self.topic("t"), b"%d" % n, 1)
        flight = client.receive(5, ack=False)
        client.ping()
        for packet in flight:
            client.acknowledge(packet)
        self.assertEqual([int(x) for x in client.payloads(10)], list(range(5, 15)))
        publisher.publish(self.topic("t"), b"later", 1)
        self.assertEqual(client.payloads(1), [b"later"])

    @own
    def test_dropped_by_client(self):
        """The drops are counted at the client."""
        client, publisher = self.client("s"), self.client("p")
        client.subscribe(self.topic("t"), qos=1)
        for n in range(30):
            publisher.publish(self.topic("t"), b"%d" % n, 1)
        mine = [c for c in self.daemon.clients()["clients"] if c["id"] == self.id("s")]
        self.assertEqual([c["dropped"]["queue_full"] for c in mine], [15])


class Qos0Queue(SystemTest):
    """queue_qos0_messages true."""

    options = ("queue_qos0_messages true",)

    def test_kept_while_away(self):
        """QoS 0 is kept, too, in order with the rest."""
        client, publisher = self.client("s", clean=False), self.client("p")
        client.subscribe(self.topic("t"), qos=1)
        client.disconnect()
        for n in range(10):
            publisher.publish(self.topic("t"), b"%d" % n, n % 2)
        client = self.client("s", clean=False, present=True)
        self.assertEqual(sorted(client.payloads(10)), [b"%d" % n for n in range(10)])
        client.alive()
        self.client("s", clean=True).disconnect()


class Connections(SystemTest):
    """max_connections."""

    options = ("max_connections 3",)

    @differs("mosquitto 2.0.11 accepts one more")
    def test_fourth_is_refused(self):
        """The fourth connection is closed; when one leaves there is room."""
        while self.daemon.stats()["connections"]["open"]:
            time.sleep(0.01)
        clients = [self.client(str(n)) for n in range(3)]
        fourth = self.raw()
        try:
            fourth.send(p.connect(self.id("4")))
            fourth.closed()
        except OSError:
            pass
        clients[0].disconnect()
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                self.client("5").ping()
                break
            except (Closed, OSError):
                self.assertLess(time.monotonic(), deadline)


class GlobalConnections(SystemTest):
    """global_max_connections, over all listeners."""

    own_daemon = True

    @own
    def test_over_all_listeners(self):
        """Connections of all listeners count together."""
        other = self.network.free_port()
        daemon = self.start([f"listener {other} {self.network.address}", "global_max_connections 3"])
        while daemon.stats()["connections"]["open"]:
            time.sleep(0.01)
        clients = [self.client(str(n), daemon) for n in range(2)]
        third = Client(self.network.socket(other), "third")
        self.addCleanup(third.close)
        third.connect("third")
        for port in (daemon.port, other):
            fourth = Client(self.network.socket(port), "fourth")
            self.addCleanup(fourth.close)
            with contextlib.suppress(OSError):
                fourth.send(p.connect("fourth"))
                fourth.closed()
        daemon.wait_log(r"(?s)(Client connection from [\w.]+ denied: max_connections exceeded\..*){2}")
        clients[0].alive()
        third.alive()


class GlobalClients(SystemTest):
    """global_max_clients."""

    options = ("global_max_clients 2",)

    @own
    def test_third_is_refused(self):
        """A third client is refused: 0x89 in 5.0 (section 3.2.2.2), 3 before that. Sessions count, and who has one can
        always come back."""
        away = self.client("away", clean=False)
        away.disconnect()
        here = self.client("here")
        for level, code in ((4, 3), (5, 0x89)):
            client = self.raw(level=level)
            client.send(client.hello(self.id("third")))
            self.assertEqual([x.code for x in client.closed()], [code])
        self.daemon.wait_log("denied: global_max_clients exceeded")
        away = self.client("away", clean=False, present=True)
        again = self.client("here")
        here.closed()
        again.alive()
        away.disconnect()
        self.client("away", clean=True).disconnect()
        deadline = time.monotonic() + TIMEOUT
        while self.daemon.stats()["clients"]["total"] > 1:
            self.assertLess(time.monotonic(), deadline)
        self.client("third").alive()


class Connects(SystemTest):
    """Options about CONNECT."""

    options = ("allow_zero_length_clientid false", "max_keepalive 100")

    def test_empty_client_identifier(self):
        """Refused with 0x02. [MQTT-3.1.3-9]"""
        client = self.raw()
        client.send(p.connect(""))
        came = client.closed()
        self.assertEqual([(x.type, x.code, x.present) for x in came], [(p.CONNACK, 2, False)])

    @own
    def test_keepalive(self):
        """A keep alive of 101 seconds, or none, is refused; 100 is not."""
        for keepalive in (0, 101, 65535):
            client = self.raw()
            client.send(p.connect(self.id("c"), keepalive=keepalive))
            self.assertTrue(all(x.type == p.CONNACK and x.code for x in client.closed()))
        self.client("c", keepalive=100).ping()


class AutoId(SystemTest):
    """auto_id_prefix."""

    options = ("auto_id_prefix given-",)

    @own
    def test_prefix(self):
        """Identifiers the broker gives begin with it, and differ. [MQTT-3.1.3-6]"""
        clients = [self.client("c", client_id="") for _ in range(3)]
        ids = [c["id"] for c in self.daemon.clients()["clients"] if c["id"].startswith("given-")]
        self.assertEqual(len(set(ids)), len(clients))


class MaxQos(SystemTest):
    """max_qos 0."""

    options = ("max_qos 0",)

    def test_publish(self):
        """A client that publishes with QoS 1 is disconnected, and a will of QoS 1 is refused or published as QoS 0."""
        client = self.client("c")
        client.publish(self.topic("t"), b"fine")
        client.ping()
        client.send(p.publish(self.topic("t"), b"no", 1, mid=1))
        self.assertEqual(client.closed(), [])


class Expiration(SystemTest):
    """persistent_client_expiration."""

    options = ("persistent_client_expiration 1s",)

    @differs("mosquitto looks once an hour or so")
    def test_forgotten(self):
        """A session whose client stays away is forgotten, one whose client returns is not."""
        gone, back = self.client("gone", clean=False), self.client("back", clean=False)
        gone.subscribe(self.topic("t"), qos=1)
        back.subscribe(self.topic("t"), qos=1)
        gone.disconnect()
        back.disconnect()
        back = self.client("back", clean=False, present=True)
        deadline = time.monotonic() + TIMEOUT
        while any(c["id"] == self.id("gone") for c in self.daemon.clients()["clients"]):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        self.client("gone", clean=False, present=False).disconnect()
        self.client("p").publish(self.topic("t"), b"x", 1)
        self.assertEqual(back.payloads(1), [b"x"])
