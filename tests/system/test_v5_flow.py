# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Receive Maximum of MQTT 5.0, both ways: sections 3.3.4 and 4.9."""

from harness import packets as p
from harness import properties as pr
from harness.suite import SystemTest, differs, own


class OfTheServer(SystemTest):
    """What clients may have open."""

    level = 5

    def fill(self, client, count, qos=2):
        """Begin so many handshakes of QoS 2; each is answered by PUBREC."""
        for mid in range(1, count + 1):
            client.send(p.publish(self.topic("t"), b"%d" % mid, qos, mid=mid, props=()))
            packet = client.expect(p.PUBREC)
            self.assertEqual(packet.mid, mid)

    @own
    def test_exceeded(self):
        """The CONNACK announces 20; the 21st open QoS 2 message: DISCONNECT 0x93. 5.0 [MQTT-3.3.4-7] [MQTT-4.13.2-1]"""
        client = self.client("c")
        self.assertEqual(client.connack.props.get(pr.RECEIVE_MAXIMUM), 20)
        self.fill(client, 20)
        client.ping()
        client.send(p.publish(self.topic("t"), b"one too many", 2, mid=21, props=()))
        self.assertEqual(len(client.disconnected(0x93)), 1)

    def test_kept(self):
        """All 20 can be open; QoS 0 does not count, a repetition does not, PUBCOMP makes room; QoS 1, acknowledged at
        once, has room in turn. 5.0 [MQTT-3.3.4-7] [MQTT-4.3.3-10] [MQTT-4.9.0-3]"""
        client = self.client("c")
        self.fill(client, 20)
        client.publish(self.topic("t"), b"x")
        client.send(p.publish(self.topic("t"), b"3", 2, dup=True, mid=3, props=()))
        self.assertEqual(client.expect(p.PUBREC).mid, 3)
        client.send(p.ack(p.PUBREL, 7))
        self.assertEqual(client.expect(p.PUBCOMP).mid, 7)
        for mid in range(100, 150):
            client.publish(self.topic("t"), b"x", 1, mid=mid)
        client.publish(self.topic("t"), b"x", 2, mid=200)
        client.ping()

    @own
    def test_qos_1_beside_20(self):
        """A QoS 1 message beside 20 open ones is one too many as well. 5.0 [MQTT-3.3.4-7]"""
        client = self.client("c")
        self.fill(client, 20)
        client.send(p.publish(self.topic("t"), b"x", 1, mid=21, props=()))
        client.disconnected(0x93)


class Options(SystemTest):
    """max_inflight_messages."""

    level = 5
    options = ("max_inflight_messages 3",)

    @differs("mosquitto 2.0.11 answers PUBREC 0x97")
    def test_announced(self):
        """It is what the CONNACK announces. 5.0 [MQTT-3.3.4-7]"""
        client = self.client("c")
        self.assertEqual(client.connack.props.get(pr.RECEIVE_MAXIMUM), 3)
        for mid in (1, 2, 3):
            client.send(p.publish(self.topic("t"), b"x", 2, mid=mid, props=()))
            client.expect(p.PUBREC)
        client.send(p.publish(self.topic("t"), b"x", 2, mid=4, props=()))
        client.disconnected(0x93)

    @differs("mosquitto 2.0.11 sends what the client can take")
    def test_smaller_one_counts(self):
        """It also bounds what a client that could take more is sent. 5.0 [MQTT-4.9.0-1]"""
        client, publisher = self.client("c", props=[(pr.RECEIVE_MAXIMUM, 10)]), self.client("p")
        client.subscribe(self.topic("t"), qos=1)
        for n in range(6):
            publisher.publish(self.topic("t"), b"%d" % n, 1)
        came = client.receive(3, ack=False)
        client.ping()
        for packet in came:
            client.acknowledge(packet)
        self.assertEqual(client.payloads(3), [b"3", b"4", b"5"])


class OfTheClient(SystemTest):
    """What the server may have open."""

    level = 5

    def flooded(self, maximum, count, qos=1, **fields):
        """A client with a receive maximum, so many messages for it, and who published them."""
        client = self.client("c", props=[(pr.RECEIVE_MAXIMUM, maximum)], **fields)
        client.subscribe(self.topic("t"), qos=2)
        publisher = self.client("p")
        for n in range(count):
            publisher.publish(self.topic("t"), b"%d" % n, qos)
        return client, publisher

    @differs("mosquitto 2.0.11 sends one more than it may")
    def test_qos_1(self):
        """So many go out, and one more for each PUBACK. 5.0 [MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2]"""
        for maximum in (1, 2, 5):
            with self.subTest(maximum):
                client, _ = self.flooded(maximum, 10)
                came = client.receive(maximum, ack=False)
                client.ping()
                for n in range(maximum, 10):
                    client.acknowledge(came[n - maximum])
                    came += client.receive(1, ack=False)
                    client.ping()
                self.assertEqual([x.payload for x in came], [b"%d" % n for n in range(10)])
                client.disconnect()

    def test_qos_2(self):
        """With QoS 2 it is the PUBCOMP that makes room, not the PUBREC. 5.0 [MQTT-3.3.4-9] [MQTT-4.9.0-2]"""
        client, _ = self.flooded(2, 3, 2)
        first, _second = client.receive(2, ack=False)
        client.send(p.ack(p.PUBREC, first.mid))
        self.assertEqual(client.expect(p.PUBREL).mid, first.mid)
        client.ping()
        client.send(p.ack(p.PUBCOMP, first.mid))
        self.assertEqual(client.payloads(1), [b"2"])

    def test_failed_pubrec(self):
        """A PUBREC of 0x80 or more, and a PUBACK of it, ends the delivery and makes room, too. 5.0 [MQTT-3.3.4-9]
        [MQTT-4.4.0-2]"""
        client, publisher = self.flooded(1, 3, 2, expiry=100)
        first = client.receive(1, ack=False)[0]
        client.send(p.ack(p.PUBREC, first.mid, 0x97))
        second = client.receive(1, ack=False)[0]
        self.assertEqual(second.payload, b"1")
        client.send(p.ack(p.PUBREC, second.mid, 0x80, [(pr.REASON_STRING, "no"), (pr.USER, ("a", "b"))]))
        third = client.receive(1)[0]
        self.assertEqual(third.payload, b"2")
        publisher.publish(self.topic("t"), b"3", 1)
        publisher.publish(self.topic("t"), b"4", 1)
        fourth = client.receive(1, ack=False)[0]
        client.send(p.ack(p.PUBACK, fourth.mid, 0x99))
        self.assertEqual(client.payloads(1), [b"4"])
        client.ping()
        client.close()
        client = self.client("c", clean=False, present=True)
        client.ping()  # and nothing is sent again

    def test_other_packets_go_on(self):
        """At quota 0 everything else goes on: QoS 0, SUBACK, PINGRESP, PUBACK, PUBREC, UNSUBACK. 5.0 [MQTT-3.3.4-10]
        [MQTT-4.9.0-3]"""
        client, publisher = self.flooded(1, 3)
        first = client.receive(1, ack=False)[0]
        publisher.publish(self.topic("t"), b"QoS 0")
        self.assertEqual(client.payloads(1), [b"QoS 0"])
        client.subscribe(self.topic("u"))
        client.unsubscribe(self.topic("u"))
        client.publish(self.topic("v"), b"x", 1)
        client.publish(self.topic("v"), b"x", 2)
        client.ping()
        client.acknowledge(first)
        self.assertEqual(client.payloads(2), [b"1", b"2"])

    @differs("mosquitto 2.0.11 sends one more than it may")
    def test_resumed_with_less(self):
        """On resumption the new receive maximum holds, for what is sent again as well. 5.0 [MQTT-3.3.4-9]
        [MQTT-4.4.0-1] [MQTT-4.9.0-1]"""
        client, _ = self.flooded(5, 8, expiry=100)
        mids = [x.mid for x in client.receive(5, ack=False)]
        client.close()
        client = self.client("c", clean=False, present=True, props=[(pr.RECEIVE_MAXIMUM, 2)])
        came = client.receive(2, ack=False)
        client.ping()
        for n in range(2, 8):
            client.acknowledge(came[n - 2])
            came += client.receive(1, ack=False)
            client.ping()
        self.assertEqual([x.payload for x in came], [b"%d" % n for n in range(8)])
        self.assertEqual([x.mid for x in came[:5]], mids)
        self.assertEqual([x.dup for x in came], [True] * 5 + [False] * 3)

    def test_resumed_with_more(self):
        """And a larger one opens the window. 5.0 [MQTT-4.9.0-1]"""
        client, _ = self.flooded(1, 4, expiry=100)
        client.receive(1, ack=False)
        client.close()
        client = self.client("c", clean=False, present=True, props=[(pr.RECEIVE_MAXIMUM, 10)])
        self.assertEqual([x.payload for x in client.receive(4, ack=False)], [b"0", b"1", b"2", b"3"])
