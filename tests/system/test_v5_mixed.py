# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Clients of 3.1, 3.1.1 and 5.0 on one topic: every message reaches each in the form of its version."""

from harness import packets as p
from harness import properties as pr
from harness.suite import SystemTest, recorded

LEVELS = (3, 4, 5)
PROPS = [(pr.PAYLOAD_FORMAT, 1), (pr.CONTENT_TYPE, "text"), (pr.USER, ("k", "v")), (pr.CORRELATION_DATA, b"\x00")]


class Mixed(SystemTest):
    """Publishers and subscribers of all versions. The parser of each subscriber takes only its own version's form."""

    @recorded
    def test_all_to_all(self):
        """All versions to all, each QoS, small and large, with properties where there are such. 5.0 [MQTT-3.8.4-8]
        [MQTT-3.3.2-17] [MQTT-2.2.2-1]"""
        subscribers = {level: self.client(f"s{level}", level=level) for level in LEVELS}
        publishers = {level: self.client(f"p{level}", level=level) for level in LEVELS}
        for client in subscribers.values():
            client.subscribe(self.topic("t"), qos=2)
        for level, publisher in publishers.items():
            for qos in (0, 1, 2):
                for props in ([], PROPS):
                    for payload in (b"", b"%d %d" % (level, qos), b"x" * 70000):
                        publisher.publish(self.topic("t"), payload, qos, props=props)
                        for to, client in subscribers.items():
                            packet = client.receive()[0]
                            self.assertEqual((packet.topic, packet.payload, packet.qos),
                                             (self.topic("t"), payload, qos))
                            self.assertEqual(pr.plain(packet.props), pr.plain(props if level == to == 5 else []))

    @recorded
    def test_steadily(self):
        """So it is when one publisher sends many to one subscriber of another version, which the kernel may carry only
        where the forms are the same. 5.0 [MQTT-2.2.2-1]"""
        for of in LEVELS:
            for to in LEVELS:
                topic = self.topic(f"{of}-{to}")
                publisher = self.client(f"p{of}{to}", level=of)
                subscriber = self.client(f"s{of}{to}", level=to)
                subscriber.subscribe(topic)
                for n in range(60):
                    publisher.publish(topic, b"%d" % n, props=PROPS if n % 7 == 0 else [])
                    packet = subscriber.receive()[0]
                    self.assertEqual(packet.payload, b"%d" % n)
                    self.assertEqual(pr.plain(packet.props), pr.plain(PROPS if of == to == 5 and n % 7 == 0 else []))

    @recorded
    def test_retained(self):
        """Retained by each version, to each. 5.0 [MQTT-3.3.1-5] [MQTT-3.3.2-17]"""
        for of in LEVELS:
            publisher = self.client(f"p{of}", level=of)
            publisher.publish(self.topic("t"), b"kept", 1, True, props=PROPS)
            for to in LEVELS:
                client = self.client(f"s{of}{to}", level=to)
                client.subscribe(self.topic("t"), qos=1)
                packet = client.receive()[0]
                self.assertEqual((packet.payload, packet.retain), (b"kept", True))
                self.assertEqual(pr.plain(packet.props), pr.plain(PROPS if of == to == 5 else []))
            publisher.publish(self.topic("t"), b"", 1, True)

    def test_sessions(self):
        """A session that changes its version while messages wait gets them in the form of the new one.
        5.0 [MQTT-3.1.2-5]"""
        publisher = self.client("p", level=5)
        for before in LEVELS:
            for after in LEVELS:
                with self.subTest(f"{before} to {after}"):
                    name, topic = f"s{before}{after}", self.topic(f"{before}-{after}")
                    client = self.client(name, level=before, clean=False, **({"expiry": 100} if before == 5 else {}))
                    client.subscribe(topic, qos=1)
                    publisher.publish(topic, b"in flight", 1, props=PROPS)
                    client.receive(ack=False)
                    client.disconnect()
                    publisher.publish(topic, b"queued", 1, props=PROPS)
                    client = self.client(name, level=after, clean=False, present=True if after > 3 else None)
                    came = client.receive(2)
                    self.assertEqual([(x.payload, x.dup) for x in came], [(b"in flight", True), (b"queued", False)])
                    for packet in came:
                        self.assertEqual(pr.plain(packet.props), pr.plain(PROPS if after == 5 else []))
                    client.disconnect()
                    self.client(name, level=4).disconnect()

    def test_wills(self):
        """A will of each version reaches each. 5.0 [MQTT-3.1.2-8]"""
        watch = [self.client(f"w{level}", level=level) for level in LEVELS]
        for client in watch:
            client.subscribe(self.topic("w"), qos=1)
        for level in LEVELS:
            client = self.client("c", level=level, will=(self.topic("w"), b"%d" % level, 1, False), will_props=PROPS)
            client.close()
            for to in watch:
                packet = to.receive()[0]
                self.assertEqual(packet.payload, b"%d" % level)
                self.assertEqual(pr.plain(packet.props), pr.plain(PROPS if level == to.version == 5 else []))

    @recorded
    def test_options_do_not_leak(self):
        """Subscription options and identifiers of one client change nothing for another. 5.0 [MQTT-3.8.3-3]
        [MQTT-3.3.1-12] [MQTT-3.3.1-13]"""
        new, old = self.client("new", level=5), self.client("old")
        new.subscribe((self.topic("t"), 1 | p.RETAIN_AS_PUBLISHED | p.NO_LOCAL), props=[(pr.SUBSCRIPTION_ID, 5)])
        old.subscribe(self.topic("t"), qos=1)
        old.publish(self.topic("t"), b"a", 1, True)
        packet = new.receive()[0]
        self.assertEqual((packet.retain, packet.props), (True, [(pr.SUBSCRIPTION_ID, 5)]))
        self.assertFalse(old.receive()[0].retain)
        new.publish(self.topic("t"), b"", 1, True)
        self.assertEqual(old.payloads(1), [b""])
        new.ping()

    def test_aliases(self):
        """A message that came by its alias reaches old versions with its topic name. 5.0 [MQTT-3.3.2-12]"""
        old, new = self.client("old"), self.client("new", level=5)
        old.subscribe(self.topic("t"), qos=1)
        for topic in (self.topic("t"), "", ""):
            new.publish(topic, b"x", 1, props=[(pr.TOPIC_ALIAS, 1)])
            self.assertEqual(old.receive()[0].topic, self.topic("t"))
