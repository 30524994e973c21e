# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""SUBSCRIBE and SUBACK, overlapping subscriptions: sections 3.8, 3.9 and 3.3.5."""

from harness import packets as p
from harness.suite import SystemTest, differs, recorded


class Subscribe(SystemTest):
    """Answers, replacement, overlap."""

    def test_suback(self):
        """SUBACK with the packet identifier and a return code for each filter, in order. [MQTT-3.8.4-1] [MQTT-3.8.4-2]
        [MQTT-3.8.4-5] [MQTT-3.9.3-1] [MQTT-3.9.3-2] [MQTT-2.3.1-7] [MQTT-3.8.4-4]"""
        client = self.client("s")
        wanted = [(self.topic(str(n)), n * 7 % 3) for n in range(50)]
        for mid in (1, 65535, 300):
            client.send(p.subscribe(mid, *wanted))
            suback = client.expect(p.SUBACK)
            self.assertEqual((suback.mid, suback.codes), (mid, [qos for _, qos in wanted]))

    def test_many_in_one_packet(self):
        """A thousand filters in one SUBSCRIBE, each in effect. [MQTT-3.8.4-4]"""
        client, publisher = self.client("s"), self.client("p")
        client.subscribe(*[self.topic(str(n), "+") for n in range(1000)])
        for n in range(0, 1000, 37):
            publisher.publish(self.topic(str(n), "x"), b"%d" % n)
            self.assertEqual(client.payloads(1), [b"%d" % n])

    def test_same_filter_twice_in_one_packet(self):
        """The same filter twice in one packet is the same as in two: the later QoS counts, one copy comes.
        [MQTT-3.8.4-4] [MQTT-3.8.4-3]"""
        client, publisher = self.client("s"), self.client("p")
        client.subscribe((self.topic("t"), 0), (self.topic("t"), 2))
        publisher.publish(self.topic("t"), b"x", 2)
        self.assertEqual([x.qos for x in self.drain(publisher, client)], [2])

    @recorded
    def test_replaced(self):
        """The same filter again replaces the subscription; its QoS changes, copies do not double. [MQTT-3.8.4-3]"""
        client, publisher = self.client("s"), self.client("p")
        for qos in (2, 0, 1, 1):
            client.subscribe(self.topic("t"), qos=qos)
            publisher.publish(self.topic("t"), b"x", 2)
            self.assertEqual([x.qos for x in self.drain(publisher, client)], [qos])

    @recorded
    def test_replaced_in_the_flow(self):
        """Subscribing again in the middle of a stream interrupts nothing and loses nothing. [MQTT-3.8.4-3]"""
        client, publisher = self.client("s"), self.client("p")
        client.subscribe(self.topic("t"))
        self.install(publisher, client, self.topic("t"))
        for n in range(50):
            publisher.publish(self.topic("t"), b"%d" % n)
            if n % 10 == 5:
                client.subscribe(self.topic("t"))
        self.assertEqual(client.payloads(50), [b"%d" % n for n in range(50)])

    @differs("mosquitto 2.0.11 sends its one copy with the QoS of the first match")
    @recorded
    def test_overlapping(self):
        """Overlapping subscriptions of one client: one copy or one for each, the highest QoS of all among them.
        [MQTT-3.3.5-1]"""
        publisher = self.client("p")
        client = self.client("s")
        client.subscribe((self.topic("#"), 0), (self.topic("+", "b"), 2), (self.topic("a", "b"), 1))
        for qos in (0, 1, 2):
            publisher.publish(self.topic("a", "b"), b"%d" % qos, qos)
            came = self.drain(publisher, client)
            came = [x for x in came if x.topic == self.topic("a", "b")]
            self.assertIn(len(came), (1, 3))
            self.assertEqual(max(x.qos for x in came), qos)
            self.assertEqual({x.payload for x in came}, {b"%d" % qos})

    def test_one_copy(self):
        """Ours is one copy, whatever overlaps, QoS 0 included."""
        publisher, client = self.client("p"), self.client("s")
        client.subscribe(self.topic("#"), self.topic("+"), self.topic("t"), "#", "+/t")
        for n in range(5):
            publisher.publish(self.topic("t"), b"%d" % n)
        came = [x.payload for x in self.drain(publisher, client) if x.topic == self.topic("t")]
        self.assertEqual(came, [b"%d" % n for n in range(5)])

    @recorded
    def test_many_subscribers(self):
        """Fifty subscribers, each with its own QoS, all get every message once. [MQTT-4.5.0-1]"""
        publisher = self.client("p")
        clients = [self.client(f"s{n}") for n in range(50)]
        for n, client in enumerate(clients):
            client.subscribe(self.topic("+") if n % 2 else self.topic("t"), qos=n % 3)
        for qos in (0, 1, 2, 0, 1, 2):
            publisher.publish(self.topic("t"), b"%d" % qos, qos)
        for n, client in enumerate(clients):
            self.assertEqual([(x.payload, x.qos) for x in client.receive(6)],
                             [(b"%d" % q, min(q, n % 3)) for q in (0, 1, 2, 0, 1, 2)])
            client.ping()

    def test_malformed(self):
        """No filter, QoS 3, reserved bits, wrong flags: the connection is closed. [MQTT-3.8.3-3] [MQTT-3.8.3-4]
        [MQTT-3.8.1-1] [MQTT-2.2.2-2]"""
        good = p.subscribe(1, ("t", 0))
        bad = {
            "no filter": p.packet(0x82, b"\x00\x01"),
            "no identifier": p.packet(0x82, b""),
            "half an identifier": p.packet(0x82, b"\x00"),
            "QoS 3": p.subscribe(1, ("t", 3)),
            "reserved bit 2": p.subscribe(1, ("t", 4)),
            "reserved bit 7": p.subscribe(1, ("t", 0x81)),
            "second QoS 3": p.subscribe(1, ("t", 0), ("u", 3)),
            "no QoS": p.packet(0x82, b"\x00\x01" + p.string("t")),
            "no second QoS": p.packet(0x82, b"\x00\x01" + p.string("t") + b"\x00" + p.string("u")),
            "filter beyond the end": p.packet(0x82, b"\x00\x01\x00\x09t\x00"),
            "half a length": p.packet(0x82, b"\x00\x01\x00"),
        }
        for flags in (0, 1, 3, 4, 6, 10, 15):
            bad[f"flags {flags}"] = bytes([0x80 | flags]) + good[1:]
        for name, data in bad.items():
            with self.subTest(name):
                client = self.client("s")
                client.send(data)
                self.assertEqual(client.closed(), [])


class MaxQos(SystemTest):
    """max_qos 1: a lower QoS is granted than asked for."""

    options = ("max_qos 1",)

    def test_granted(self):
        """SUBACK says what is granted, deliveries keep to it. [MQTT-3.8.4-5] [MQTT-3.8.4-6]"""
        client, publisher = self.client("s"), self.client("p")
        if self.reference:
            self.skipTest("mosquitto's max_qos limits publishing only")
        client.subscribe((self.topic("t"), 2), (self.topic("u"), 1), codes=[1, 1])
        publisher.publish(self.topic("t"), b"x", 1)
        self.assertEqual(client.receive()[0].qos, 1)
