# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Options that change what is delivered, and how."""

from harness import packets as p
from harness import properties as pr
from harness.suite import SystemTest


class Upgrade(SystemTest):
    """upgrade_outgoing_qos true."""

    options = ("upgrade_outgoing_qos true",)

    def test_qos_of_the_subscription(self):
        """Each message goes out with the QoS of the subscription, live or retained."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe((self.topic("one"), 1), (self.topic("two"), 2), (self.topic("none"), 0))
        for topic, qos in (("one", 1), ("two", 2), ("none", 0)):
            for published in (0, 1, 2):
                publisher.publish(self.topic(topic), b"%d" % published, published)
                packet = subscriber.receive()[0]
                self.assertEqual((packet.topic, packet.qos, packet.payload), (self.topic(topic), qos, b"%d" % published))
        publisher.publish(self.topic("kept"), b"x", 0, retain=True)
        publisher.ping()
        subscriber.subscribe(self.topic("kept"), qos=2)
        self.assertEqual(subscriber.receive()[0].qos, 2)
        publisher.publish(self.topic("kept"), b"", 0, retain=True)

    def test_every_time(self):
        """Also of the messages of QoS 0 that the kernel could carry."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("t"), qos=1)
        for _ in range(50):
            publisher.publish(self.topic("t"), b"x")
            self.assertEqual(subscriber.receive()[0].qos, 1)
        self.no_flow(self.topic("t"))

    def test_without(self):
        """By default it is the lower of both."""
        daemon = self.start(["upgrade_outgoing_qos false"])
        subscriber, publisher = self.client("s", daemon), self.client("p", daemon)
        subscriber.subscribe(self.topic("t"), qos=2)
        publisher.publish(self.topic("t"), b"x", 1)
        self.assertEqual(subscriber.receive()[0].qos, 1)


class InflightBytes(SystemTest):
    """max_inflight_bytes 100."""

    options = ("max_inflight_bytes 100",)

    def test_bytes(self):
        """Not more than 100 bytes of payload wait for an acknowledgement, but one message always may."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("t"), qos=1)
        for payload in (b"a" * 40, b"b" * 60, b"c", b"d" * 200, b"e"):
            publisher.publish(self.topic("t"), payload, 1)
        first = subscriber.receive(2, ack=False)
        self.assertEqual([len(packet.payload) for packet in first], [40, 60])
        subscriber.ping()
        subscriber.send(p.ack(p.PUBACK, first[0].mid))
        third = subscriber.receive(ack=False)[0]
        self.assertEqual(third.payload, b"c")
        subscriber.ping()
        subscriber.send(p.ack(p.PUBACK, first[1].mid), p.ack(p.PUBACK, third.mid))
        large = subscriber.receive(ack=False)[0]
        self.assertEqual(len(large.payload), 200)
        subscriber.ping()
        subscriber.send(p.ack(p.PUBACK, large.mid))
        self.assertEqual(subscriber.payloads(1), [b"e"])


class SizeLimit(SystemTest):
    """message_size_limit 10."""

    options = ("message_size_limit 10",)

    def test_every_time(self):
        """Also of the messages of QoS 0 that the kernel could carry."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("t"))
        for n in range(50):
            publisher.publish(self.topic("t"), b"x" * 11)
            publisher.publish(self.topic("t"), b"%d" % n)
            self.assertEqual(subscriber.payloads(1), [b"%d" % n])

    def dropped(self):
        """Messages counted as too large."""
        return self.daemon.stats()["dropped"]["too_large"]

    def test_before_5(self):
        """A longer payload is acknowledged, dropped and counted; the client stays."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("t"), qos=2)
        before = self.dropped()
        for qos in (0, 1, 2):
            publisher.publish(self.topic("t"), b"x" * 11, qos)
            publisher.publish(self.topic("t"), b"x" * 10, qos)
        for qos in (0, 1, 2):
            packet = subscriber.receive()[0]
            self.assertEqual((packet.qos, packet.payload), (qos, b"x" * 10))
        self.assertEqual(self.dropped() - before, 3)

    def test_since_5(self):
        """A client of 5.0 is told: 0x97, in PUBREC the end of it, so that the identifier can be used again. 5.0
        [MQTT-4.3.3-4]"""
        subscriber, publisher = self.client("s", level=5), self.client("p", level=5)
        subscriber.subscribe(self.topic("t"), qos=2)
        for qos, kind in ((1, p.PUBACK), (2, p.PUBREC)):
            publisher.send(p.publish(self.topic("t"), b"x" * 11, qos, mid=7, props=()))
            answer = publisher.expect(kind)
            self.assertEqual((answer.mid, answer.code), (7, 0x97))
            self.assertIn("message_size_limit", answer.props.get(pr.REASON_STRING))
        publisher.publish(self.topic("t"), b"fits", 2, mid=7)
        self.assertEqual(subscriber.payloads(1), [b"fits"])
