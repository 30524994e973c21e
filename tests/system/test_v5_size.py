# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Maximum Packet Size of MQTT 5.0, both ways: sections 3.1.2.11.4 and 3.2.2.3.6. That nothing larger is sent is checked
for every packet that a client with a maximum receives."""

from harness import packets as p
from harness import properties as pr
from harness.suite import SystemTest, differs


class OfTheClient(SystemTest):
    """What the server may send."""

    level = 5

    def limited(self, maximum, **fields):
        """A client with a maximum."""
        return self.client("c", props=[(pr.MAXIMUM_PACKET_SIZE, maximum)], **fields)

    def payload(self, size, qos, props=()):
        """A payload that makes a PUBLISH to a subscriber of so many bytes."""
        rest = len(p.publish(self.topic("t"), b"", qos, mid=1 if qos else None, props=props))
        return b"x" * (size - rest)

    @differs("mosquitto 2.0.11 counts one byte less")
    def test_boundary(self):
        """What is just as large is sent, one byte more is not; the publisher and other subscribers see no difference,
        and what comes later comes. 5.0 [MQTT-3.1.2-24] [MQTT-3.1.2-25]"""
        client, other, publisher = self.limited(100), self.client("o"), self.client("p")
        for one in (client, other):
            one.subscribe(self.topic("t"), qos=2)
        for qos in (0, 1, 2):
            for size in (100, 101, 99, 120, 127):
                publisher.publish(self.topic("t"), self.payload(size, qos), qos)
        sizes = [100, 101, 99, 120, 127]
        self.assertEqual([x.size for x in other.receive(15)], sizes * 3)
        self.assertEqual([(x.size, x.qos) for x in client.receive(6)], [(n, q) for q in (0, 1, 2) for n in (100, 99)])
        client.ping()

    @differs("mosquitto 2.0.11 counts one byte less")
    def test_properties_count(self):
        """The properties and Subscription Identifiers of the packet count. 5.0 [MQTT-3.1.2-24]"""
        client, publisher = self.limited(100), self.client("p")
        client.subscribe(self.topic("t"), props=[(pr.SUBSCRIPTION_ID, 200)])
        props = [(pr.USER, ("key", "value"))]
        publisher.publish(self.topic("t"), self.payload(98, 0, props), props=props)
        publisher.publish(self.topic("t"), self.payload(97, 0, props), props=props)
        packet = client.receive()[0]
        self.assertEqual(packet.size, 100)
        self.assertEqual(pr.plain(packet.props), ([(pr.SUBSCRIPTION_ID, 200)], props))
        client.ping()

    @differs("it has no such counter")
    def test_counted(self):
        """The drop is counted. 5.0 [MQTT-3.1.2-25]"""
        client = self.limited(100)
        client.subscribe(self.topic("t"))
        before = self.dropped()
        client.publish(self.topic("t"), b"x" * 200)
        client.publish(self.topic("t"), b"y")
        self.assertEqual(client.payloads(1), [b"y"])
        self.assertEqual(self.dropped() - before, 1)

    @differs("mosquitto 2.0.11 holds the window")
    def test_does_not_use_up_the_window(self):
        """It is as if it had been sent and acknowledged: the window stays open. 5.0 [MQTT-3.1.2-25]"""
        client = self.client("c", props=[(pr.MAXIMUM_PACKET_SIZE, 100), (pr.RECEIVE_MAXIMUM, 2)])
        client.subscribe(self.topic("t"), qos=2)
        publisher = self.client("p")
        for n in range(10):
            publisher.publish(self.topic("t"), b"x" * 200, 1 + n % 2)
        for n in range(3):
            publisher.publish(self.topic("t"), b"%d" % n, 1 + n % 2)
        self.assertEqual(client.payloads(3), [b"0", b"1", b"2"])

    def test_stored(self):
        """Retained messages and those of a session, too, with the maximum of the connection that gets them.
        5.0 [MQTT-3.1.2-24] [MQTT-3.1.2-25]"""
        client, publisher = self.client("c", expiry=100), self.client("p")
        client.subscribe(self.topic("t"), qos=1)
        publisher.publish(self.topic("t"), b"in flight" + b"x" * 200, 1)
        client.receive(ack=False)
        client.close()
        publisher.publish(self.topic("t"), b"stored" + b"x" * 200, 1)
        publisher.publish(self.topic("t"), b"small", 1)
        publisher.publish(self.topic("r", "large"), b"x" * 200, 1, True)
        publisher.publish(self.topic("r", "small"), b"retained", 1, True)
        client = self.limited(100, clean=False, present=True)
        self.assertEqual(client.payloads(1), [b"small"])
        client.subscribe(self.topic("r", "+"), qos=1)
        self.assertEqual(client.payloads(1), [b"retained"])
        client.ping()
        for name in ("small", "large"):
            publisher.publish(self.topic("r", name), b"", 1, True)

    def test_acknowledgements(self):
        """No acknowledgement and no DISCONNECT becomes larger by a Reason String or User Property. 5.0 [MQTT-3.1.2-24]
        [MQTT-3.6.2-2] [MQTT-3.6.2-3] [MQTT-3.7.2-2]
        [MQTT-3.7.2-3] [MQTT-3.9.2-1] [MQTT-3.9.2-2] [MQTT-3.11.2-1] [MQTT-3.11.2-2] [MQTT-3.14.2-3] [MQTT-3.14.2-4]
        [MQTT-3.2.2-19] [MQTT-3.2.2-20]"""
        for maximum in range(24, 60, 5):
            client = self.limited(maximum)
            client.publish("t", b"", 1)
            client.publish("t", b"", 2)
            client.send(p.ack(p.PUBREL, 99))
            client.expect(p.PUBCOMP)
            client.subscribe("s")
            client.unsubscribe("s", "none", codes=[0, 0x11])
            client.subscribe("s", qos=2)
            client.publish("s", b"", 2)
            client.receive()
            client.send(p.publish("a/#", b"", props=()))
            client.disconnected(0x81, 0x82, 0x90)

    def test_too_small_for_anything(self):
        """A maximum that not even a CONNACK fits into, of an accepted and of a refused client: nothing larger is sent.
        5.0 [MQTT-3.1.2-24] [MQTT-3.2.2-19] [MQTT-3.2.2-20]"""
        for maximum in (1, 2, 4, 5, 8, 12):
            client = self.raw("c")
            client.send(client.hello(self.id("c"), props=[(pr.MAXIMUM_PACKET_SIZE, maximum)]), p.BYE)
            self.assertLessEqual(len(client.closed()), 1)
            client = self.raw("c")
            client.send(client.hello(self.id("c"), props=[(pr.MAXIMUM_PACKET_SIZE, maximum), (pr.AUTH_METHOD, "none")]))
            self.assertLessEqual(len(client.closed()), 1)

    def test_refusal_without_reason_string(self):
        """A CONNACK that says no comes without its Reason String where that does not fit. 5.0 [MQTT-3.2.2-19]
        [MQTT-3.1.2-24] [MQTT-4.12.0-1]"""
        for maximum in range(5, 60, 6):
            client = self.raw("c")
            client.send(client.hello(self.id("c"), props=[(pr.MAXIMUM_PACKET_SIZE, maximum), (pr.AUTH_METHOD, "none")]))
            self.assertEqual([(x.type, x.code) for x in client.closed()], [(p.CONNACK, 0x8C)])


class OfTheServer(SystemTest):
    """max_packet_size 1000."""

    level = 5
    options = ("max_packet_size 1000",)

    def test_kept(self):
        """It is announced; a packet of it is taken. 5.0 [MQTT-3.1.4-5]"""
        client = self.client("c")
        self.assertEqual(client.connack.props.get(pr.MAXIMUM_PACKET_SIZE), 1000)
        client.subscribe(self.topic("t"))
        rest = len(p.publish(self.topic("t"), b"x" * 500, props=())) - 500
        client.publish(self.topic("t"), b"x" * (1000 - rest))
        self.assertEqual(len(client.receive()[0].payload), 1000 - rest)

    def test_exceeded(self):
        """One that is larger: DISCONNECT 0x95, before all of it has come; the will is published. 5.0 [MQTT-3.1.2-8]
        [MQTT-4.13.1-1]"""
        watch = self.client("watch")
        watch.subscribe(self.topic("w"), qos=1)
        for data in (p.publish(self.topic("t"), b"x" * 1001, props=()), p.publish("t", b"x" * 100000, props=())[:50],
                     p.subscribe(1, *[(f"{n}/" + "x" * 100, 0) for n in range(10)], props=())):
            client = self.client("c", will=(self.topic("w"), b"too large", 1, False))
            client.send(data)
            self.assertEqual(len(client.disconnected(0x95)), 1)
            self.assertEqual(watch.payloads(1), [b"too large"])

    def test_connect(self):
        """A CONNECT that is larger: CONNACK 0x95, if any, and the end."""
        client = self.raw("c")
        client.send(p.connect(self.id("c"), level=5, props=[(pr.USER, ("a", "b" * 1000))]))
        for packet in client.closed():
            self.assertEqual((packet.type, packet.code), (p.CONNACK, 0x95))
