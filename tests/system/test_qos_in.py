# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Messages from client to broker: sections 3.3.4 and 4.3."""

from harness import packets as p
from harness.suite import SystemTest, recorded


class Inbound(SystemTest):
    """Acknowledgements, packet identifiers, exactly once."""

    def watch(self, qos=2):
        """A subscriber of the test's topic."""
        watch = self.client("watch")
        watch.subscribe(self.topic("t"), qos=qos)
        return watch

    @recorded
    def test_each_qos(self):
        """QoS 0 gets no answer, QoS 1 PUBACK, QoS 2 PUBREC and PUBCOMP, with its packet identifier. [MQTT-3.3.4-1]
        [MQTT-2.3.1-5] [MQTT-2.3.1-6] [MQTT-4.3.1-1] [MQTT-4.3.2-2] [MQTT-4.3.3-2]"""
        watch, client = self.watch(), self.client("p")
        topic = self.topic("t")
        client.send(p.publish(topic, b"0"))
        client.ping()
        client.send(p.publish(topic, b"1", 1, mid=65535))
        self.assertEqual(client.expect(p.PUBACK).mid, 65535)
        client.send(p.publish(topic, b"2", 2, mid=1))
        self.assertEqual(client.expect(p.PUBREC).mid, 1)
        client.send(p.ack(p.PUBREL, 1))
        self.assertEqual(client.expect(p.PUBCOMP).mid, 1)
        client.ping()
        self.assertEqual([(x.payload, x.qos) for x in watch.receive(3)], [(b"0", 0), (b"1", 1), (b"2", 2)])

    def test_qos1_again_is_new(self):
        """After PUBACK the same identifier is a new message, DUP or not. [MQTT-4.3.2-2]"""
        watch, client = self.watch(1), self.client("p")
        for dup in (False, True, False):
            client.publish(self.topic("t"), b"x", 1, dup=dup, mid=7)
        self.assertEqual(watch.payloads(3), [b"x"] * 3)

    def test_qos2_exactly_once(self):
        """Until PUBREL, a PUBLISH with the same identifier is acknowledged and not delivered again; after PUBCOMP it is
        new. [MQTT-4.3.3-2]"""
        watch, client = self.watch(), self.client("p")
        topic = self.topic("t")
        for payload in (b"first", b"second"):
            for dup in (False, True):
                client.send(p.publish(topic, payload, 2, dup=dup, mid=3))
                self.assertEqual(client.expect(p.PUBREC).mid, 3)
            for _ in range(2):
                client.send(p.ack(p.PUBREL, 3))
                self.assertEqual(client.expect(p.PUBCOMP).mid, 3)
        self.assertEqual([x.payload for x in self.drain(client, watch)], [b"first", b"second"])

    def test_qos2_across_reconnects(self):
        """The receiver's state is part of the session: PUBLISH again with DUP after reconnecting, PUBREL after that, is
        one message. [MQTT-4.3.3-2] [MQTT-4.4.0-1] [MQTT-3.1.2-4]"""
        watch = self.watch()
        client = self.client("p", clean=False)
        client.send(p.publish(self.topic("t"), b"once", 2, mid=9))
        client.expect(p.PUBREC)
        client.close()
        client = self.client("p", clean=False, present=True)
        client.send(p.publish(self.topic("t"), b"once", 2, dup=True, mid=9))
        client.expect(p.PUBREC)
        client.send(p.ack(p.PUBREL, 9))
        client.close()
        client = self.client("p", clean=False, present=True)
        client.send(p.ack(p.PUBREL, 9))
        client.expect(p.PUBCOMP)
        self.assertEqual([x.payload for x in self.drain(client, watch)], [b"once"])
        self.client("p", clean=True).disconnect()

    def test_unknown_pubrel(self):
        """A PUBREL for an unknown identifier is answered with PUBCOMP, and changes nothing. [MQTT-4.3.3-2]"""
        client = self.client("p")
        client.send(p.ack(p.PUBREL, 77))
        self.assertEqual(client.expect(p.PUBCOMP).mid, 77)
        client.ping()

    def test_order_of_acknowledgements(self):
        """Acknowledgements come in the order of the packets. [MQTT-4.6.0-2] [MQTT-4.6.0-3] [MQTT-4.6.0-4]"""
        client = self.client("p")
        client.send(*[p.publish(self.topic("t"), b"x", 1, mid=mid) for mid in range(100, 150)])
        self.assertEqual([client.expect(p.PUBACK).mid for _ in range(50)], list(range(100, 150)))
        client.send(*[p.publish(self.topic("t"), b"x", 2, mid=mid) for mid in range(20, 0, -1)])
        self.assertEqual([client.expect(p.PUBREC).mid for _ in range(20)], list(range(20, 0, -1)))
        client.send(*[p.ack(p.PUBREL, mid) for mid in range(20, 0, -1)])
        self.assertEqual([client.expect(p.PUBCOMP).mid for _ in range(20)], list(range(20, 0, -1)))

    @recorded
    def test_dup_is_not_propagated(self):
        """DUP from the publisher does not reach subscribers. [MQTT-3.3.1-3] [MQTT-3.3.1-2]"""
        watch, client = self.watch(), self.client("p")
        client.publish(self.topic("t"), b"1", 1, dup=True, mid=1)
        client.publish(self.topic("t"), b"2", 2, dup=True, mid=2)
        self.assertEqual([x.dup for x in watch.receive(2)], [False, False])

    def test_packet_identifier_zero(self):
        """Packet identifier 0 is a violation. [MQTT-2.3.1-1] [MQTT-4.8.0-1]"""
        for name, data in (("PUBLISH 1", p.publish("t", b"", 1, mid=0)), ("PUBLISH 2", p.publish("t", b"", 2, mid=0)),
                           ("SUBSCRIBE", p.subscribe(0, ("t", 0))), ("UNSUBSCRIBE", p.unsubscribe(0, "t"))):
            with self.subTest(name):
                client = self.client("p")
                client.send(data)
                self.assertEqual(client.closed(), [])

    def test_no_subscriber(self):
        """A message nobody wants is acknowledged all the same."""
        client = self.client("p")
        for qos in (0, 1, 2):
            client.publish(self.topic("nobody"), b"x", qos)
        client.ping()

    def test_own_subscription(self):
        """A publisher that subscribes gets its own messages, and its acknowledgement."""
        client = self.client("p")
        client.subscribe(self.topic("t"), qos=2)
        for qos in (0, 1, 2):
            client.publish(self.topic("t"), b"%d" % qos, qos, mid=9 if qos else None)
            packet = client.receive()[0]
            self.assertEqual((packet.payload, packet.qos), (b"%d" % qos, qos))
        client.ping()

    def test_many_unfinished_qos2(self):
        """Identifiers without PUBREL stay open, up to all 65535 minus one used at a time, and nothing else suffers."""
        client, watch = self.client("p"), self.watch()
        data = [p.publish(self.topic("other"), b"", 2, mid=mid) for mid in range(1, 5001)]
        answers = 0
        for n in range(0, len(data), 500):
            client.send(*data[n:n + 500])
            for _ in range(500):
                if client.read().type == p.PUBREC:
                    answers += 1
        self.assertEqual(answers, 5000)
        other = self.client("p2")
        other.publish(self.topic("t"), b"fine", 2)
        self.assertEqual(watch.payloads(1), [b"fine"])
