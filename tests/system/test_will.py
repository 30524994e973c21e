# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The will: sections 3.1.2.5 to 3.1.2.7 and 3.14.4."""

from harness import packets as p
from harness.suite import SystemTest, differs, recorded


class Will(SystemTest):
    """Published on every end but DISCONNECT."""

    def watch(self):
        """A subscriber of every will of the test."""
        watch = self.client("watch")
        watch.subscribe(self.topic("#"), qos=2)
        return watch

    def test_abnormal_ends(self):
        """Close, reset, half close, protocol violation and malformed packet: the will is published, once.
        [MQTT-3.1.2-8] [MQTT-3.1.2-10] [MQTT-4.8.0-1]"""
        ends = {
            "close": lambda c: c.close(),
            "reset": lambda c: c.reset(),
            "half close": lambda c: c.half_close(),
            "violation": lambda c: c.send(p.packet(0x80, p.subscribe(1, ("t", 0))[2:])),
            "wrong direction": lambda c: c.send(b"\x20\x02\x00\x00"),
            "malformed": lambda c: c.send(b"\x36\x03\x00\x01a"),
            "incomplete packet": lambda c: (c.send(p.publish(self.topic("x"), b"cut off")[:-3]), c.close()),
            "incomplete header": lambda c: (c.send(b"\x30\xff"), c.close()),
        }
        watch = self.watch()
        for name, end in ends.items():
            with self.subTest(name):
                client = self.client("c", will=(self.topic("w"), name, 1, False))
                end(client)
                self.assertEqual(watch.payloads(1), [name.encode()])
        watch.nothing()

    @differs("mosquitto 2.0.11 forgets the will on a second CONNECT")
    def test_second_connect(self):
        """So it is after a second CONNECT, and it is the first one's will. [MQTT-3.1.0-2] [MQTT-3.1.2-8]"""
        watch = self.watch()
        client = self.client("c", will=(self.topic("w"), "first", 1, False))
        client.send(p.connect(self.id("c"), will=(self.topic("w"), "second", 1, False)))
        client.closed()
        self.assertEqual(watch.payloads(1), [b"first"])
        watch.nothing()

    def test_not_on_disconnect(self):
        """DISCONNECT discards it; so does one in the same segment as the CONNECT, and one followed by a reset.
        [MQTT-3.14.4-3] [MQTT-3.1.2-10]"""
        watch = self.watch()
        will = (self.topic("w"), "no", 1, False)
        self.client("c", will=will).disconnect()
        client = self.raw()
        client.send(p.connect(self.id("c"), will=will), p.BYE)
        client.closed()
        client = self.client("c", will=will)
        client.send(p.BYE)
        client.reset()
        client = self.client("c", will=will)
        client.send(p.BYE, b"\xff\xff\xff\xff\xff")
        client.closed()
        watch.nothing()

    def test_no_will(self):
        """Without the will flag nothing is published. [MQTT-3.1.2-12]"""
        watch = self.watch()
        client = self.client("c", will=(self.topic("w"), "of the connection before", 1, False))
        client.disconnect()
        self.client("c").reset()
        watch.nothing()

    def test_not_when_refused(self):
        """A refused CONNECT leaves no will. [MQTT-3.1.2-8] [MQTT-3.1.4-5]"""
        watch = self.watch()
        client = self.raw()
        client.send(p.connect("", clean=False, will=(self.topic("w"), "no", 1, False)))
        client.closed()
        watch.nothing()

    @recorded
    def test_fields(self):
        """Topic, payload (binary, empty, long) and each QoS arrive as they were given. [MQTT-3.1.2-9] [MQTT-3.1.2-16]
        [MQTT-3.1.2-14]"""
        watch = self.watch()
        for qos, payload in ((0, bytes(range(256))), (1, b""), (2, b"x" * 65535)):
            self.client("c", will=(self.topic("w", str(qos)), payload, qos, False)).reset()
            packet = watch.receive()[0]
            self.assertEqual((packet.topic, packet.payload, packet.qos, packet.retain),
                             (self.topic("w", str(qos)), payload, qos, False))
        late = self.client("late")
        late.subscribe(self.topic("#"))
        late.ping()

    @recorded
    def test_retained(self):
        """Will retain stores it. [MQTT-3.1.2-17] [MQTT-3.1.2-16]"""
        watch = self.watch()
        self.client("c", will=(self.topic("w"), "gone", 1, True)).reset()
        packet = watch.receive()[0]
        self.assertEqual((packet.payload, packet.retain), (b"gone", False))
        late = self.client("late")
        late.subscribe(self.topic("w"), qos=1)
        packet = late.receive()[0]
        self.assertEqual((packet.payload, packet.retain), (b"gone", True))
        self.client("c", will=(self.topic("w"), "", 1, True)).reset()
        self.assertEqual(watch.payloads(1), [b""])
        later = self.client("later")
        later.subscribe(self.topic("w"), qos=1)
        later.ping()

    def test_to_stored_sessions(self):
        """A will of QoS 1 is stored for who is away. [MQTT-3.1.2-5]"""
        away = self.client("away", clean=False)
        away.subscribe(self.topic("w"), qos=1)
        away.disconnect()
        watch = self.watch()
        self.client("c", will=(self.topic("w"), "gone", 1, False)).reset()
        watch.receive()
        away = self.client("away", clean=False, present=True)
        self.assertEqual(away.payloads(1), [b"gone"])
        away.alive()
        self.client("away", clean=True).disconnect()

    def test_own_session(self):
        """A persistent client that subscribed to its own will finds it when it returns."""
        client = self.client("c", clean=False, will=(self.topic("w"), "mine", 1, False))
        client.subscribe(self.topic("w"), qos=1)
        client.reset()
        self.daemon.wait_log("c-own_session.*(disconnected|closed)")
        client = self.client("c", clean=False, present=True)
        self.assertEqual(client.payloads(1), [b"mine"])
        client.alive()
        self.client("c", clean=True).disconnect()

    def test_many_at_once(self):
        """Fifty clients die together: fifty wills."""
        watch = self.watch()
        clients = [self.client(f"c{n}", will=(self.topic("w", str(n)), "gone", n % 3, False)) for n in range(50)]
        for client in clients:
            client.reset()
        self.assertEqual({x.topic for x in watch.receive(50)}, {self.topic("w", str(n)) for n in range(50)})

    def test_on_topic_with_flow(self):
        """A will on a topic whose messages the kernel forwards comes after them."""
        watch = self.client("s")
        watch.subscribe(self.topic("w"), qos=0)
        publisher = self.client("p", will=(self.topic("w"), "last", 0, False))
        self.install(publisher, watch, self.topic("w"))
        for n in range(20):
            publisher.publish(self.topic("w"), b"%d" % n)
        publisher.close()
        self.assertEqual(watch.payloads(21), [b"%d" % n for n in range(20)] + [b"last"])
