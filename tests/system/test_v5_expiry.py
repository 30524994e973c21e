# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Message Expiry Interval of MQTT 5.0: section 3.3.2.3.3."""

from harness import packets as p
from harness import properties as pr
from harness.clock import Clock
from harness.suite import SystemTest, differs


def remaining(packet):
    """The interval that a PUBLISH says."""
    return packet.props.get(pr.MESSAGE_EXPIRY)


class Expiry(SystemTest):
    """What waited too long is not delivered; what is, says how long it may still live."""

    level = 5

    def away(self, qos=1, name="away"):
        """A session without a connection."""
        client = self.client(name, expiry=1000)
        client.subscribe((self.topic("#"), qos))
        client.disconnect()

    def back(self, name="away", **fields):
        """It returns."""
        return self.client(name, clean=False, present=True, **fields)

    def test_at_once(self):
        """Delivered at once, it is what was published; absent is not made up. 5.0 [MQTT-3.3.2-6]"""
        client = self.client("c")
        client.subscribe(self.topic("t"), qos=1)
        for qos in (0, 1):
            client.publish(self.topic("t"), b"x", qos, props=[(pr.MESSAGE_EXPIRY, 0xFFFFFFFF)])
            self.assertIn(remaining(client.receive()[0]), (0xFFFFFFFF, 0xFFFFFFFE))
            client.publish(self.topic("t"), b"x", qos)
            self.assertIsNone(remaining(client.receive()[0]))

    def test_queued(self):
        """In a queue: less by the time it waited; what expired there is gone, what has no interval stays.
        5.0 [MQTT-3.3.2-5] [MQTT-3.3.2-6]"""
        self.away()
        publisher = self.client("p")
        for topic, interval in (("a", 1), ("b", 1000), ("c", None), ("d", 1), ("e", 0xFFFFFFFF)):
            publisher.publish(self.topic(topic), topic, 1,
                              props=[] if interval is None else [(pr.MESSAGE_EXPIRY, interval)])
        clock = Clock(self, 3)
        clock.wait()
        client = self.back()
        came = {x.payload: remaining(x) for x in client.receive(3)}
        self.assertEqual(sorted(came), [b"b", b"c", b"e"])
        self.assertLess(came[b"b"], 999)
        self.assertGreater(came[b"b"], 0)
        self.assertIsNone(came[b"c"])
        self.assertLess(came[b"e"], 0xFFFFFFFE)
        client.alive()

    def test_retained(self):
        """So it is with retained messages. 5.0 [MQTT-3.3.2-5] [MQTT-3.3.2-6]"""
        publisher = self.client("p")
        for topic, interval in (("a", 1), ("b", 1000)):
            publisher.publish(self.topic(topic), topic, 1, True, props=[(pr.MESSAGE_EXPIRY, interval)])
        clock = Clock(self, 3)
        clock.wait()
        for level in (5, 4):
            client = self.client("late", level=level)
            client.subscribe(self.topic("#"), qos=1)
            packet = client.receive()[0]
            self.assertEqual((packet.payload, packet.retain), (b"b", True))
            if level == 5:
                self.assertLess(remaining(packet), 999)
            client.ping()
        publisher.publish(self.topic("b"), b"", 1, True)

    @differs("mosquitto 2.0.11 lets nothing expire there")
    def test_behind_a_full_window(self):
        """What waits for the receive maximum of a connected client expires as well. 5.0 [MQTT-3.3.2-5]"""
        client, publisher = self.client("c", props=[(pr.RECEIVE_MAXIMUM, 1)]), self.client("p")
        client.subscribe(self.topic("t"), qos=1)
        for payload, props in (("first", []), ("expires", [(pr.MESSAGE_EXPIRY, 1)]), ("last", [])):
            publisher.publish(self.topic("t"), payload, 1, props=props)
        first = client.receive(ack=False)[0]
        clock = Clock(self, 3)
        clock.wait()
        client.acknowledge(first)
        self.assertEqual(client.payloads(1), [b"last"])

    @differs("mosquitto 2.0.11 lets what was sent expire")
    def test_begun(self):
        """Once a PUBLISH was sent it does not expire: it is sent again on resumption, and the QoS 2 handshake goes on.
        5.0 [MQTT-4.3.3-7] [MQTT-4.3.3-13] [MQTT-4.4.0-1]"""
        client, publisher = self.client("c", expiry=1000), self.client("p")
        client.subscribe(self.topic("t"), qos=2)
        for payload in ("one", "two"):
            publisher.publish(self.topic("t"), payload, 2, props=[(pr.MESSAGE_EXPIRY, 1)])
        one, two = client.receive(2, ack=False)
        client.send(p.ack(p.PUBREC, one.mid))
        client.expect(p.PUBREL)
        client.close()
        clock = Clock(self, 3)
        clock.wait()
        client = self.back("c")
        again = [client.read(), client.read()]
        self.assertEqual([(x.type, x.mid) for x in again], [(p.PUBREL, one.mid), (p.PUBLISH, two.mid)])
        self.assertEqual((again[1].payload, again[1].dup), (b"two", True))
        client.send(p.ack(p.PUBCOMP, one.mid))
        client.acknowledge(again[1])
        client.ping()

    def test_qos_2_received(self):
        """A QoS 2 message that expires before its PUBREL: the handshake goes on. 5.0 [MQTT-4.3.3-13]"""
        client = self.client("c")
        client.send(p.publish(self.topic("t"), b"x", 2, mid=9, props=[(pr.MESSAGE_EXPIRY, 1)]))
        client.expect(p.PUBREC)
        clock = Clock(self, 2)
        clock.wait()
        client.send(p.ack(p.PUBREL, 9))
        packet = client.expect(p.PUBCOMP)
        self.assertEqual((packet.mid, packet.code), (9, 0))

    @differs("mosquitto 2.0.11 takes it as no interval")
    def test_zero(self):
        """An interval of 0 has passed at once for who is not there."""
        self.away()
        publisher = self.client("p")
        publisher.publish(self.topic("t"), b"gone", 1, props=[(pr.MESSAGE_EXPIRY, 0)])
        publisher.publish(self.topic("t"), b"there", 1)
        clock = Clock(self, 1)
        clock.wait()
        self.assertEqual(self.back().payloads(1), [b"there"])

    def test_other_versions(self):
        """An old client's queue loses them, too, and no interval reaches it. 5.0 [MQTT-3.3.2-5]"""
        old = self.client("old", level=4, clean=False)
        old.subscribe(self.topic("t"), qos=1)
        old.disconnect()
        publisher = self.client("p")
        publisher.publish(self.topic("t"), b"gone", 1, props=[(pr.MESSAGE_EXPIRY, 1)])
        publisher.publish(self.topic("t"), b"there", 1, props=[(pr.MESSAGE_EXPIRY, 1000)])
        clock = Clock(self, 3)
        clock.wait()
        old = self.client("old", level=4, clean=False, present=True)
        self.assertEqual(old.payloads(1), [b"there"])
        old.alive()
        self.client("old", level=4).disconnect()
