# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""UNSUBSCRIBE and UNSUBACK: section 3.10."""

from harness import packets as p
from harness.suite import SystemTest, recorded


class Unsubscribe(SystemTest):
    """What is deleted, and when it takes effect."""

    @recorded
    def test_takes_effect(self):
        """After UNSUBACK nothing more comes, of no QoS. [MQTT-3.10.4-2] [MQTT-3.10.4-4] [MQTT-2.3.1-7]"""
        client, publisher = self.client("s"), self.client("p")
        for qos in (0, 1, 2):
            client.subscribe(self.topic("t"), qos=qos)
            publisher.publish(self.topic("t"), b"yes", qos)
            self.assertEqual(client.payloads(1), [b"yes"])
            client.unsubscribe(self.topic("t"))
            publisher.publish(self.topic("t"), b"no", qos)
            self.assertEqual(self.drain(publisher, client), [])

    @recorded
    def test_with_flow(self):
        """So it is when the kernel forwards to the client: from the UNSUBACK on, nothing. [MQTT-3.10.4-2]"""
        client, publisher = self.client("s"), self.client("p")
        for _ in range(10):
            client.subscribe(self.topic("t"))
            self.install(publisher, client, self.topic("t"))
            client.unsubscribe(self.topic("t"))
            self.no_flow(self.topic("t"))
            for n in range(5):
                publisher.publish(self.topic("t"), b"no %d" % n)
            self.assertEqual(self.drain(publisher, client), [])

    def test_exact_filter(self):
        """Filters are compared byte by byte, wildcards too. [MQTT-3.10.4-1] [MQTT-3.10.4-5]"""
        client, publisher = self.client("s"), self.client("p")
        client.subscribe(self.topic("+"))
        client.unsubscribe(self.topic("t"))
        client.unsubscribe(self.topic("#"))
        client.unsubscribe(self.topic("T"))
        publisher.publish(self.topic("t"), b"still there")
        self.assertEqual(client.payloads(1), [b"still there"])
        client.unsubscribe(self.topic("+"))
        publisher.publish(self.topic("t"), b"no")
        self.assertEqual(self.drain(publisher, client), [])

    def test_unknown(self):
        """UNSUBACK comes also when nothing was deleted. [MQTT-3.10.4-5] [MQTT-3.10.4-4]"""
        client = self.client("s")
        for _ in range(3):
            client.unsubscribe(self.topic("never"))
        client.unsubscribe(self.topic("a"), self.topic("a"), "#", "+/+")

    def test_several(self):
        """Several filters, one UNSUBACK. [MQTT-3.10.4-6]"""
        client, publisher = self.client("s"), self.client("p")
        client.subscribe(*[self.topic(x) for x in "abcd"])
        client.unsubscribe(self.topic("a"), self.topic("never"), self.topic("c"))
        client.ping()
        for x in "abcd":
            publisher.publish(self.topic(x), x)
        self.assertEqual([x.payload for x in self.drain(publisher, client)], [b"b", b"d"])

    def test_others_keep_theirs(self):
        """Another client's subscription to the same filter stays, overlapping ones of the same client too."""
        client, other, publisher = self.client("s"), self.client("o"), self.client("p")
        for c in (client, other):
            c.subscribe(self.topic("t"), self.topic("+"))
        client.unsubscribe(self.topic("t"))
        other.unsubscribe(self.topic("+"))
        publisher.publish(self.topic("t"), b"x")
        for c in (client, other):
            self.assertEqual(c.payloads(1), [b"x"])
            c.ping()

    def test_deliveries_are_completed(self):
        """QoS 1 and 2 messages already sent are completed. [MQTT-3.10.4-3]"""
        client, publisher = self.client("s"), self.client("p")
        client.subscribe(self.topic("t"), qos=2)
        publisher.publish(self.topic("t"), b"1", 1)
        publisher.publish(self.topic("t"), b"2", 2)
        one, two = client.receive(2, ack=False)
        client.unsubscribe(self.topic("t"))
        client.send(p.ack(p.PUBACK, one.mid), p.ack(p.PUBREC, two.mid))
        self.assertEqual(client.expect(p.PUBREL).mid, two.mid)
        client.send(p.ack(p.PUBCOMP, two.mid))
        client.ping()

    def test_thousand_times(self):
        """Subscribing and unsubscribing in turn, against a publisher: never a message after the UNSUBACK."""
        client, publisher = self.client("s"), self.client("p")
        for n in range(300):
            client.subscribe(self.topic("t"))
            publisher.publish(self.topic("t"), b"%d" % n)
            self.assertEqual(client.payloads(1), [b"%d" % n])
            client.unsubscribe(self.topic("t"))
            publisher.publish(self.topic("t"), b"no")
            publisher.publish(self.topic("handled"), b"", 1)
        self.assertEqual(self.drain(publisher, client), [])

    def test_malformed(self):
        """No filter, wrong flags, lengths: the connection is closed. [MQTT-3.10.3-2] [MQTT-3.10.1-1]"""
        good = p.unsubscribe(1, "t")
        bad = {
            "no filter": p.packet(0xa2, b"\x00\x01"),
            "no identifier": p.packet(0xa2, b""),
            "empty filter": p.unsubscribe(1, ""),
            "filter beyond the end": p.packet(0xa2, b"\x00\x01\x00\x09t"),
            "half a length": p.packet(0xa2, b"\x00\x01\x00\x01t\x00"),
            "misplaced wildcard": p.unsubscribe(1, "a/#/b"),
        }
        for flags in (0, 1, 3, 4, 6, 10, 15):
            bad[f"flags {flags}"] = bytes([0xa0 | flags]) + good[1:]
        for name, data in bad.items():
            with self.subTest(name):
                client = self.client("s")
                client.send(data)
                self.assertEqual(client.closed(), [])
