# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""MQTT 5.0 where the kernel carries QoS 0: what it may carry, and what it has to leave to the daemon although there is a
flow for the topic."""

from harness import packets as p
from harness import properties as pr
from harness.suite import SystemTest, own, recorded

PROPS = [(pr.USER, ("b", "1")), (pr.PAYLOAD_FORMAT, 1), (pr.USER, ("a", "2")), (pr.CONTENT_TYPE, "text"),
         (pr.RESPONSE_TOPIC, "answer"), (pr.CORRELATION_DATA, b"\x00"), (pr.MESSAGE_EXPIRY, 0xFFFFFFF0)]


class Flows(SystemTest):
    """A publisher and a subscriber of 5.0 with a flow between them."""

    level = 5

    def pair(self, *filters, props=(), **fields):
        """They, and the flow."""
        subscriber, publisher = self.client("s", **fields), self.client("p")
        subscriber.subscribe(*(filters or (self.topic("t"),)), props=props)
        self.install(publisher, subscriber, self.topic("t"))
        return subscriber, publisher

    def each(self, publisher, subscriber, count=50, props=(), wanted=None):
        """So many messages, one by one: what comes, and its properties."""
        for n in range(count):
            publisher.publish(self.topic("t"), b"%d" % n, props=props)
            packet = subscriber.receive()[0]
            self.assertEqual((packet.topic, packet.payload, packet.qos), (self.topic("t"), b"%d" % n, 0))
            self.assertEqual(pr.plain(packet.props), pr.plain(props if wanted is None else wanted))

    @recorded
    def test_carried(self):
        """Messages without properties between clients of 5.0 are carried."""
        subscriber, publisher = self.pair()
        with self.carries(300, share=0.9 if self.road == "local" else 0):
            self.each(publisher, subscriber, 300)

    @recorded
    def test_properties(self):
        """Those with properties arrive as they are, among others without. 5.0 [MQTT-3.3.2-17] [MQTT-3.3.2-18]"""
        subscriber, publisher = self.pair()
        for props in (PROPS, (), PROPS[:1], PROPS[1:2], [(pr.USER, ("k" * 300, "v" * 300))], ()):
            self.each(publisher, subscriber, 20, props)

    @recorded
    def test_alias_of_the_publisher(self):
        """An alias is the sender's: it is understood, and not passed on. 5.0 [MQTT-3.3.2-12] [MQTT-3.3.2-11]
        [MQTT-3.1.2-27]"""
        subscriber, publisher = self.pair()
        for n in range(60):
            alias = n % 10 + 1
            publisher.publish(self.topic("t") if n < 10 or n % 3 else "", b"%d" % n, props=[(pr.TOPIC_ALIAS, alias)])
            packet = subscriber.receive()[0]
            self.assertEqual((packet.topic, packet.payload, packet.props), (self.topic("t"), b"%d" % n, []))
        self.each(publisher, subscriber)

    @own
    def test_alias_above_the_maximum(self):
        """One above the maximum is the end although there is a flow."""
        subscriber, publisher = self.pair()
        publisher.send(p.publish(self.topic("t"), b"x", props=[(pr.TOPIC_ALIAS, 11)]))
        publisher.disconnected(0x94)
        subscriber.ping()

    def test_malformed(self):
        """What is not right is not passed on, and is the end of its sender. 5.0 [MQTT-4.13.1-1] [MQTT-3.3.4-6]
        [MQTT-1.5.7-1] [MQTT-1.5.5-1]"""
        t = self.topic("t")
        cases = {
            "no Property Length": p.packet(0x30, p.string(t)),
            "Property Length beyond the end": p.packet(0x30, p.string(t) + b"\x05\x01\x00"),
            "Property Length not of the fewest bytes": p.packet(0x30, p.string(t) + b"\x80\x00x"),
            "no such property": p.publish(t, b"x", props=[b"\x04\x00"]),
            "property of CONNECT": p.publish(t, b"x", props=[(pr.SESSION_EXPIRY, 1)]),
            "property cut off": p.publish(t, b"x", props=[b"\x02\x00\x00"]),
            "Content Type not UTF-8": p.publish(t, b"x", props=[(pr.CONTENT_TYPE, b"\xff")]),
            "value with U+0000": p.publish(t, b"x", props=[(pr.USER, ("k", "\0"))]),
            "Subscription Identifier": p.publish(t, b"x", props=[(pr.SUBSCRIPTION_ID, 1)]),
            "Payload Format Indicator 2": p.publish(t, b"x", props=[(pr.PAYLOAD_FORMAT, 2)]),
            "Payload Format Indicator twice": p.publish(t, b"x", props=[(pr.PAYLOAD_FORMAT, 1)] * 2),
            "Response Topic #": p.publish(t, b"x", props=[(pr.RESPONSE_TOPIC, "#")]),
            "Topic Alias 0": p.publish(t, b"x", props=[(pr.TOPIC_ALIAS, 0)]),
            "DUP": p.publish(t, b"x", dup=True, props=()),
        }
        for name, data in cases.items():
            with self.subTest(name):
                subscriber, publisher = self.pair()
                self.until_carried(publisher, subscriber, t)
                publisher.send(data)
                came = publisher.closed()
                self.assertTrue(all(x.type == p.DISCONNECT and x.code in (0x81, 0x82, 0x90, 0x94) for x in came), came)
                subscriber.ping()

    @recorded
    def test_subscription_identifier(self):
        """A subscriber with identifiers gets them with every message: from the SUBACK on, and until it is gone.
        5.0 [MQTT-3.3.4-3] [MQTT-3.8.4-3]"""
        subscriber, publisher = self.pair()
        for identifiers in ([5], [300], [], [7]):
            subscriber.subscribe(self.topic("t"), props=[(pr.SUBSCRIPTION_ID, n) for n in identifiers])
            self.each(publisher, subscriber, wanted=[(pr.SUBSCRIPTION_ID, n) for n in identifiers])
        subscriber.subscribe(self.topic("#"), props=[(pr.SUBSCRIPTION_ID, 7)])
        publisher.publish(self.topic("t"), b"x")
        self.assertEqual(set(subscriber.receive()[0].props.all(pr.SUBSCRIPTION_ID)), {7})

    @recorded
    def test_no_local(self):
        """No Local holds where a flow carried the client's own messages before. 5.0 [MQTT-3.8.3-3]"""
        client, other = self.client("c"), self.client("o")
        client.subscribe(self.topic("t"))
        self.install(client, client, self.topic("t"))
        client.subscribe((self.topic("t"), p.NO_LOCAL))
        for n in range(30):
            client.publish(self.topic("t"), b"own")
            other.publish(self.topic("t"), b"%d" % n)
            self.assertEqual(client.payloads(1), [b"%d" % n])
        client.ping()

    @recorded
    def test_retain(self):
        """RETAIN on the way of a flow: stored, and passed on as the subscription says. 5.0 [MQTT-3.3.1-12]
        [MQTT-3.3.1-13] [MQTT-3.3.1-5]"""
        subscriber, publisher = self.pair()
        for options in (p.RETAIN_AS_PUBLISHED | p.DO_NOT_SEND, p.DO_NOT_SEND):
            subscriber.subscribe((self.topic("t"), options))
            for n in range(20):
                publisher.publish(self.topic("t"), b"%d" % n, 0, n % 5 == 0)
                packet = subscriber.receive()[0]
                self.assertEqual((packet.payload, packet.retain),
                                 (b"%d" % n, n % 5 == 0 and bool(options & p.RETAIN_AS_PUBLISHED)))
        publisher.publish(self.topic("t"), b"", 1, True)
        self.assertEqual(subscriber.payloads(1), [b""])

    @own
    def test_maximum_packet_size(self):
        """A subscriber's Maximum Packet Size holds, beside one that takes everything by a flow; what is too large is
        dropped and counted. 5.0 [MQTT-3.1.2-24] [MQTT-3.1.2-25]"""
        subscriber, publisher = self.pair()
        small = self.client("small", props=[(pr.MAXIMUM_PACKET_SIZE, 100)])
        small.subscribe(self.topic("t"))
        rest = len(p.publish(self.topic("t"), b"", props=()))
        before = self.dropped()
        for n in range(40):
            publisher.publish(self.topic("t"), b"x" * (100 - rest + n % 2))
            publisher.publish(self.topic("t"), b"%d" % n)
            self.assertEqual([x.size for x in subscriber.receive(2)], [100 + n % 2, rest + len(str(n))])
            if n % 2 == 0:
                self.assertEqual(small.receive()[0].size, 100)
            self.assertEqual(small.payloads(1), [b"%d" % n])
        self.assertEqual(self.dropped() - before, 20)

    @recorded
    def test_versions_join(self):
        """A subscriber of another version that joins and leaves gets the form of its version, and so does the one that
        was there. 5.0 [MQTT-2.2.2-1]"""
        subscriber, publisher = self.pair()
        for level in (4, 3, 5):
            other = self.client("o", level=level)
            other.subscribe(self.topic("t"))
            for n in range(30):
                publisher.publish(self.topic("t"), b"%d" % n, props=PROPS if n % 3 == 0 else ())
                for client in (subscriber, other):
                    packet = client.receive()[0]
                    self.assertEqual(packet.payload, b"%d" % n)
                    self.assertEqual(pr.plain(packet.props),
                                     pr.plain(PROPS if n % 3 == 0 and client.version == 5 else ()))
            other.disconnect()
            self.each(publisher, subscriber, 20)

    def test_shared(self):
        """Members of a group take turns, however often the topic comes. 5.0 [MQTT-4.8.2-3]"""
        members, publisher = [self.client(name) for name in "abc"], self.client("p")
        for client in members:
            client.subscribe("$share/g/" + self.topic("t"))
        for n in range(60):
            publisher.publish(self.topic("t"), b"%d" % n)
            self.assertEqual(members[n % 3].payloads(1), [b"%d" % n])
        for client in members:
            client.ping()

    def test_ends(self):
        """Who has a flow gets its DISCONNECT like any other: taken over, and after an error. 5.0 [MQTT-3.1.4-3]
        [MQTT-4.13.1-1]"""
        subscriber, publisher = self.pair()
        again = self.client("s")
        subscriber.disconnected(0x8E)
        again.subscribe(self.topic("t"))
        self.install(publisher, again, self.topic("t"))
        again.send(b"\xc1\x00")
        again.disconnected(0x81)
        publisher.send(b"\xc1\x00")
        publisher.disconnected(0x81)


class LargePackets(SystemTest):
    """max_packet_size 1000."""

    level = 5
    options = ("max_packet_size 1000",)

    def test_exceeded(self):
        """A packet above it is the end of its sender although there is a flow: DISCONNECT 0x95."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"))
        publisher.send(p.publish(self.topic("t"), b"x" * 1000, props=()))
        publisher.disconnected(0x95)
        subscriber.ping()
