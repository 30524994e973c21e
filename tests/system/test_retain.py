# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Retained messages: section 3.3.1.3."""

from harness.suite import SystemTest, recorded


class Retain(SystemTest):
    """Set, replace, clear, deliver."""

    def read(self, *filters, qos=2):
        """What a new subscription to the filters gets: {topic: packet}."""
        client = self.client("reader")
        client.subscribe(*filters, qos=qos)
        client.send(b"\xc0\x00")
        came = {}
        while (packet := client.read()).type != 13:
            client.acknowledge(packet)
            came[packet.topic] = packet
        client.disconnect()
        return came

    @recorded
    def test_stored_and_delivered(self):
        """The message and its QoS are stored and go to new subscriptions with RETAIN 1. [MQTT-3.3.1-5] [MQTT-3.3.1-6]
        [MQTT-3.3.1-8] [MQTT-3.8.4-6]"""
        publisher = self.client("p")
        for qos in (0, 1, 2):
            publisher.publish(self.topic(str(qos)), b"kept %d" % qos, qos, retain=True)
        for granted in (0, 1, 2):
            came = self.read(self.topic("+"), qos=granted)
            self.assertEqual({t: (x.payload, x.qos, x.retain, x.dup) for t, x in came.items()},
                             {self.topic(str(q)): (b"kept %d" % q, min(q, granted), True, False) for q in (0, 1, 2)})

    @recorded
    def test_live_has_no_retain(self):
        """To an established subscription RETAIN is 0. [MQTT-3.3.1-9]"""
        client, publisher = self.client("s"), self.client("p")
        client.subscribe(self.topic("t"), qos=2)
        for qos in (0, 1, 2):
            publisher.publish(self.topic("t"), b"%d" % qos, qos, retain=True)
            packet = client.receive()[0]
            self.assertEqual((packet.payload, packet.retain), (b"%d" % qos, False))

    def test_replaced(self):
        """The last one counts, of whatever QoS. [MQTT-3.3.1-7] [MQTT-3.3.1-5]"""
        publisher = self.client("p")
        for n, qos in enumerate((2, 0, 1, 0)):
            publisher.publish(self.topic("t"), b"%d" % n, qos, retain=True)
            publisher.alive()
            came = self.read(self.topic("t"))[self.topic("t")]
            self.assertEqual((came.payload, came.qos), (b"%d" % n, qos))

    def test_not_retained_leaves_it(self):
        """RETAIN 0 neither stores nor replaces nor removes. [MQTT-3.3.1-12]"""
        publisher = self.client("p")
        publisher.publish(self.topic("t"), b"kept", 1, retain=True)
        for payload in (b"other", b""):
            for qos in (0, 1, 2):
                publisher.publish(self.topic("t"), payload, qos)
                publisher.publish(self.topic("u"), payload, qos)
        self.assertEqual({t: x.payload for t, x in self.read(self.topic("+")).items()}, {self.topic("t"): b"kept"})

    @recorded
    def test_cleared(self):
        """An empty retained message is delivered, with RETAIN 0, and removes; it is not stored. [MQTT-3.3.1-10]
        [MQTT-3.3.1-11]"""
        client, publisher = self.client("s"), self.client("p")
        for qos in (0, 1, 2):
            publisher.publish(self.topic("t"), b"kept", 1, retain=True)
            client.subscribe(self.topic("t"), qos=2)
            self.assertEqual(client.payloads(1), [b"kept"])
            publisher.publish(self.topic("t"), b"", qos, retain=True)
            packet = client.receive()[0]
            self.assertEqual((packet.payload, packet.retain), (b"", False))
            publisher.alive()
            self.assertEqual(self.read(self.topic("t")), {})
            client.unsubscribe(self.topic("t"))

    def test_wildcards(self):
        """A wildcard subscription gets every match, once each. [MQTT-3.3.1-6]"""
        publisher = self.client("p")
        names = ["a", "a/b", "a/b/c", "b", "b/b", "b/b/c", "a//c", "/"]
        for name in names:
            publisher.publish(self.topic(name), name, 1, retain=True)
        for filter_, wanted in (("#", names), ("+", ["a", "b"]), ("a/#", ["a", "a/b", "a/b/c", "a//c"]),
                                ("+/b", ["a/b", "b/b"]), ("+/b/#", ["a/b", "a/b/c", "b/b", "b/b/c"]),
                                ("a/+/c", ["a/b/c", "a//c"]), ("+/+", ["a/b", "b/b", "/"]), ("a/b/c/#", ["a/b/c"]),
                                ("x/#", []), ("a/b/c/+", [])):
            with self.subTest(filter_):
                came = self.read(self.topic(filter_))
                self.assertEqual(sorted(x.payload.decode() for x in came.values()), sorted(wanted))

    def test_many(self):
        """Two thousand retained messages, to one subscription."""
        publisher = self.client("p")
        for n in range(2000):
            publisher.publish(self.topic(str(n % 50), str(n)), b"%d" % n, 0, retain=True)
        publisher.alive()
        client = self.client("reader")
        client.subscribe(self.topic("#"))
        self.assertEqual({x.payload for x in client.receive(2000)}, {b"%d" % n for n in range(2000)})
        client.nothing()

    def test_again_on_same_filter(self):
        """Subscribing again to the same filter brings them again. [MQTT-3.8.4-3]"""
        client, publisher = self.client("s"), self.client("p")
        publisher.publish(self.topic("t"), b"kept", 1, retain=True)
        for _ in range(3):
            client.subscribe(self.topic("t"), qos=1)
            packet = client.receive()[0]
            self.assertEqual((packet.payload, packet.retain), (b"kept", True))
        client.ping()

    def test_not_on_resume(self):
        """A resumed session is no new subscription."""
        client, publisher = self.client("s", clean=False), self.client("p")
        publisher.publish(self.topic("t"), b"kept", 1, retain=True)
        client.subscribe(self.topic("t"), qos=1)
        client.receive()
        client.alive()
        client.disconnect()
        client = self.client("s", clean=False, present=True)
        client.ping()
        self.client("s", clean=True).disconnect()

    def test_after_live_flow(self):
        """A retained message on a topic whose QoS 0 messages the kernel forwards is stored all the same, and the live
        subscriber gets it in its place."""
        client, publisher = self.client("s"), self.client("p")
        client.subscribe(self.topic("t"))
        self.install(publisher, client, self.topic("t"))
        for n in range(10):
            publisher.publish(self.topic("t"), b"live %d" % n)
            publisher.publish(self.topic("t"), b"kept %d" % n, retain=True)
        self.assertEqual(client.payloads(20), [b"%s %d" % (w, n) for n in range(10) for w in (b"live", b"kept")])
        self.assertEqual(self.read(self.topic("t"))[self.topic("t")].payload, b"kept 9")


class NotAvailable(SystemTest):
    """retain_available false."""

    options = ("retain_available false",)

    def test_refused(self):
        """A retained PUBLISH closes the connection; nothing is stored."""
        client = self.client("p")
        client.send(b"\x31\x05\x00\x03a/bx")
        client.closed()
        reader = self.client("r")
        reader.subscribe("a/b")
        reader.ping()
