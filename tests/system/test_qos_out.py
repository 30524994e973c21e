# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Messages from broker to client: QoS, retransmission, the window in flight: sections 3.3.1, 4.3, 4.4 and 4.6."""

from harness import packets as p
from harness.suite import SystemTest, differs, recorded


class Outbound(SystemTest):
    """The broker as sender."""

    def tearDown(self):
        self.client("s", clean=True, present=None).disconnect()

    def subscriber(self, **fields):
        """A persistent subscriber of the test's topics with QoS 2."""
        client = self.client("s", clean=False, **fields)
        if not fields.get("present"):
            client.subscribe(self.topic("#"), qos=2)
        return client

    @recorded
    def test_minimum_of_both_qos(self):
        """The QoS of a delivery is the lesser of published and granted. [MQTT-3.8.4-6] [MQTT-3.3.2-3]"""
        publisher = self.client("p")
        for granted in (0, 1, 2):
            client = self.client(f"s{granted}")
            topic = self.topic(str(granted))
            client.subscribe(topic, qos=granted)
            for qos in (0, 1, 2):
                publisher.publish(topic, b"%d" % qos, qos)
                packet = client.receive()[0]
                self.assertEqual((packet.qos, packet.payload), (min(qos, granted), b"%d" % qos))
            client.ping()

    def test_identifiers_in_flight_differ(self):
        """Packet identifiers in flight are not zero and not used twice. [MQTT-2.3.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1]"""
        client, publisher = self.subscriber(), self.client("p")
        for n in range(20):
            publisher.publish(self.topic("t"), b"%d" % n, 1 + n % 2)
        came = client.receive(20, ack=False)
        self.assertEqual(len({x.mid for x in came}), 20)
        self.assertEqual({x.dup for x in came}, {False})

    @recorded
    def test_sent_again_in_order(self):
        """Unacknowledged messages come again after reconnecting: DUP, the same identifiers, the same order; the
        acknowledged do not. [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-4.6.0-1] [MQTT-2.3.1-4] [MQTT-4.3.2-1]"""
        client, publisher = self.subscriber(), self.client("p")
        for n in range(10):
            publisher.publish(self.topic("t"), b"%d" % n, 1 + n % 2)
        first = client.receive(10, ack=False)
        client.acknowledge(first[0])
        client.acknowledge(first[1])
        client.alive()
        for _ in range(3):
            client.close()
            client = self.subscriber(present=True)
            again = client.receive(8, ack=False)
            self.assertEqual([(x.payload, x.mid, x.qos) for x in again], [(x.payload, x.mid, x.qos) for x in first[2:]])
            self.assertEqual({x.dup for x in again}, {True})
            client.ping()
        for packet in again:
            client.acknowledge(packet)
        client.alive()
        client.close()
        client = self.subscriber(present=True)
        client.ping()

    def test_pubrel_again(self):
        """After PUBREC it is PUBREL that comes again, never the PUBLISH. [MQTT-4.3.3-1] [MQTT-4.4.0-1]"""
        client, publisher = self.subscriber(), self.client("p")
        publisher.publish(self.topic("t"), b"x", 2)
        packet = client.receive(ack=False)[0]
        client.send(p.ack(p.PUBREC, packet.mid))
        self.assertEqual(client.expect(p.PUBREL).mid, packet.mid)
        for _ in range(2):
            client.close()
            client = self.subscriber(present=True)
            self.assertEqual(client.expect(p.PUBREL).mid, packet.mid)
            client.ping()
        client.send(p.ack(p.PUBCOMP, packet.mid))
        client.alive()
        client.close()
        self.subscriber(present=True).ping()

    def test_pubrels_in_order(self):
        """PUBREL in the order of PUBREC, also when that is not the order of PUBLISH. [MQTT-4.6.0-4] [MQTT-4.3.3-1]"""
        client, publisher = self.subscriber(), self.client("p")
        for n in range(6):
            publisher.publish(self.topic("t"), b"%d" % n, 2)
        mids = [x.mid for x in client.receive(6, ack=False)]
        order = [mids[n] for n in (3, 0, 5, 1, 4, 2)]
        client.send(*[p.ack(p.PUBREC, mid) for mid in order])
        self.assertEqual([client.expect(p.PUBREL).mid for _ in range(6)], order)
        client.send(*[p.ack(p.PUBCOMP, mid) for mid in order])
        client.ping()

    def test_not_sent_again_while_connected(self):
        """On a living connection nothing is sent twice, acknowledged or not. [MQTT-3.3.1-1]"""
        client, publisher = self.subscriber(), self.client("p")
        publisher.publish(self.topic("t"), b"1", 1)
        publisher.publish(self.topic("t"), b"2", 2)
        client.receive(2, ack=False)
        client.nothing(0.3)
        self.assertEqual(self.drain(publisher, client), [])

    def test_wrong_acknowledgements(self):
        """Acknowledgements for unknown identifiers change nothing and close nothing that 3.1.1 does not close."""
        client, publisher = self.subscriber(), self.client("p")
        publisher.publish(self.topic("t"), b"1", 1)
        packet = client.receive(ack=False)[0]
        client.send(p.ack(p.PUBACK, packet.mid % 65535 + 1))
        client.alive()
        client.close()
        client = self.subscriber(present=True)
        self.assertEqual(client.payloads(1), [b"1"])

    def test_acknowledged_twice(self):
        """A second PUBACK or PUBCOMP does no harm."""
        client, publisher = self.subscriber(), self.client("p")
        for n in range(5):
            publisher.publish(self.topic("t"), b"%d" % n, 1 + n % 2)
            packet = client.receive()[0]
            client.send(p.ack(p.PUBACK if packet.qos == 1 else p.PUBCOMP, packet.mid))
            client.alive()


class Window(SystemTest):
    """max_inflight_messages 1: the next goes out when the one before is acknowledged."""

    options = ("max_inflight_messages 1",)

    @recorded
    def test_one_at_a_time(self):
        """QoS 1 waits for PUBACK, QoS 2 for PUBCOMP; QoS 0 does not wait. [MQTT-4.6.0-6] [MQTT-4.6.0-5]"""
        client, publisher = self.client("s"), self.client("p")
        client.subscribe(self.topic("t"), qos=2)
        for n in range(6):
            publisher.publish(self.topic("t"), b"%d" % n, 1 + n % 2)
        for n in range(6):
            packet = client.receive(ack=False)[0]
            self.assertEqual(packet.payload, b"%d" % n)
            client.ping()
            if packet.qos == 2:
                client.send(p.ack(p.PUBREC, packet.mid))
                self.assertEqual(client.expect(p.PUBREL).mid, packet.mid)
                client.ping()
                client.send(p.ack(p.PUBCOMP, packet.mid))
            else:
                client.send(p.ack(p.PUBACK, packet.mid))

    def test_waiting_messages_survive(self):
        """What waits behind the window is kept with the session."""
        client, publisher = self.client("s", clean=False), self.client("p")
        client.subscribe(self.topic("t"), qos=1)
        for n in range(10):
            publisher.publish(self.topic("t"), b"%d" % n, 1)
        first = client.receive(ack=False)[0]
        client.close()
        client = self.client("s", clean=False, present=True)
        came = client.receive(10)
        self.assertEqual([x.payload for x in came], [b"%d" % n for n in range(10)])
        self.assertEqual((came[0].mid, came[0].dup, came[1].dup), (first.mid, True, False))
        self.client("s", clean=True).disconnect()


class DefaultWindow(SystemTest):
    """The default is 20."""

    @differs("mosquitto 2.0.11 sends one more after acknowledgements out of order")
    def test_twenty(self):
        """Twenty go out, and one more for each acknowledged, whatever their order."""
        client, publisher = self.client("s"), self.client("p")
        client.subscribe(self.topic("t"), qos=1)
        for n in range(60):
            publisher.publish(self.topic("t"), b"%d" % n, 1)
        came = client.receive(20, ack=False)
        client.ping()
        for packet in reversed(came[10:]):
            client.acknowledge(packet)
        came += client.receive(10, ack=False)
        client.ping()
        for packet in came[:10] + came[20:]:
            client.acknowledge(packet)
        came += client.receive(30)
        self.assertEqual([x.payload for x in came], [b"%d" % n for n in range(60)])
