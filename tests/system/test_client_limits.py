# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What a client may have: subscriptions, levels of topics, sessions that outlive their connections, retained messages."""

from harness import packets as p
from harness import properties as pr
from harness.suite import SystemTest, own

QUOTA_EXCEEDED, FAILURE = 0x97, 0x80
TOPIC_NAME_INVALID, TOPIC_FILTER_INVALID = 0x90, 0x8F


class Subscriptions(SystemTest):
    """max_subscriptions."""

    options = ("max_subscriptions 3",)

    @own
    def test_quota_exceeded(self):
        """A fourth is refused, with 0x97 in 5.0 section 3.9.3 and 0x80 in 3.1.1 [MQTT-3.9.3-2]; those there are can be
        changed, and given up for others."""
        for level, code in ((4, FAILURE), (5, QUOTA_EXCEEDED)):
            with self.subTest(level=level):
                client = self.raw("c", level=level).connect(self.id("c"))
                client.subscribe(*[self.topic(str(n)) for n in range(5)], codes=[0, 0, 0, code, code])
                client.subscribe(self.topic("0"), qos=1)
                client.unsubscribe(self.topic("0"))
                client.subscribe(f"$share/g/{self.topic('4')}", self.topic("5"), codes=[0, code])
                client.subscribe(f"$share/g/{self.topic('4')}", qos=1)
                client.publish(self.topic("5"), b"not wanted")
                client.publish(self.topic("1"), b"x")
                self.assertEqual(client.payloads(1), [b"x"])
                self.client("other").subscribe(*[self.topic(str(n)) for n in range(3)])


class Levels(SystemTest):
    """max_topic_levels."""

    options = ("max_topic_levels 3",)

    @own
    def test_levels(self):
        """Three levels are allowed, in topic names, filters and wills; four are not. 5.0 section 3.14.2.1"""
        deep, most = self.topic("a", "b", "c"), self.topic("a", "b")
        for level, code in ((4, FAILURE), (5, TOPIC_FILTER_INVALID)):
            with self.subTest(level=level):
                client = self.raw("c", level=level).connect(self.id("c"))
                client.subscribe(most, f"$share/g/{most}", self.topic("+", "#"), deep, f"$share/g/{deep}",
                                 codes=[0, 0, 0, code, code])
                client.publish(most, b"x")
                self.assertEqual(client.payloads(2), [b"x"] * 2)
                client.send(p.publish(deep, b"no", props=() if level == 5 else None))
                client.disconnected(TOPIC_NAME_INVALID)
                willing = self.raw("w", level=level)
                willing.send(willing.hello(self.id("w"), will=(deep, b"x", 0, False)))
                came = willing.closed()
                self.assertTrue(all(x.type == p.CONNACK and x.code for x in came), came)
                self.raw("w", level=level).connect(self.id("w"), will=(most, b"x", 0, False)).ping()


class Sessions(SystemTest):
    """max_sessions."""

    options = ("max_sessions 2", "workers 2")

    def keep(self, name, level, code=0, expiry=1000, **fields):
        """A client whose session is to be kept."""
        client = self.raw(name, level=level)
        more = {"expiry": expiry} if level == 5 else {}
        client.connect(self.id(name), clean=False, code=code, **more, **fields)
        return client

    @own
    def test_no_more_are_kept(self):
        """Above it a client of 5.0 is told that its session ends with the connection, one of 3.1.1 is
        refused; who has a session keeps it, and others are served. 5.0 section 3.2.2.3.2"""
        one, two = self.keep("one", 4), self.keep("two", 5)
        one.disconnect()
        self.keep("three", 4, code=3)
        three = self.keep("three", 5)
        self.assertEqual(three.connack.props.get(pr.SESSION_EXPIRY), 0)
        self.daemon.wait_log(rf"The session of client {self.id('three')} \[[^]]*\] is not kept: max_sessions exceeded")
        self.assertIsNone(two.connack.props.get(pr.SESSION_EXPIRY))
        three.disconnect(0, [(pr.SESSION_EXPIRY, 1000)])
        self.keep("three", 5, present=False).disconnect()
        self.client("clean").ping()
        self.keep("one", 4, present=True).disconnect()
        self.client("one", clean=True).disconnect()
        four = self.keep("four", 5)
        self.assertIsNone(four.connack.props.get(pr.SESSION_EXPIRY))
        four.disconnect(0, [(pr.SESSION_EXPIRY, 0)])
        self.keep("five", 4).disconnect()
        self.assertGreaterEqual(self.daemon.stats()["clients"]["not_kept"], 3)
        two.disconnect(0, [(pr.SESSION_EXPIRY, 0)])
        self.client("five", clean=True).disconnect()


class Retained(SystemTest):
    """max_retained_messages and the others."""

    options = ("max_retained_messages 3", "max_retained_bytes 300", "max_retained_payload 200", "max_retained_levels 2")
    level = 5

    def setUp(self):
        super().setUp()
        self.publisher, self.used = self.client("p"), set()

    def retain(self, name, payload, qos=1, code=None):
        """Publish a message to be retained; the reason code of the acknowledgement."""
        topic = self.topic(name)
        self.used.add(topic)
        self.publisher.send(p.publish(topic, payload, qos, True, mid=7 if qos else None, props=()))
        if qos:
            answer = self.publisher.expect(p.PUBACK if qos == 1 else p.PUBREC)
            self.assertEqual(answer.code, code or answer.code & 0x10)
            if qos == 2 and answer.code < 0x80:
                self.publisher.send(p.ack(p.PUBREL, 7))
                self.publisher.expect(p.PUBCOMP)
        else:
            self.publisher.ping()

    def retained(self):
        """What is retained, by the last part of the topic."""
        reader = self.client("reader")
        reader.subscribe(self.topic("#"))
        reader.send(p.PING)
        got = {}
        while (packet := reader.read()).type == p.PUBLISH:
            got[packet.topic.removeprefix(self.topic(""))] = packet.payload
        reader.close()
        return got

    def tearDown(self):
        for topic in self.used:
            self.publisher.publish(topic, b"", 0, retain=True)
        self.publisher.ping()

    @own
    def test_count(self):
        """A fourth is refused with 0x97 and delivered to nobody; those there are can be replaced and removed. 5.0 section
        3.4.2.1 [MQTT-3.3.1-5]"""
        watch = self.client("watch")
        watch.subscribe(self.topic("#"), qos=2)
        for name in "abc":
            self.retain(name, b"1")
        before = self.daemon.stats()["retained_refused"]
        for qos in (1, 2):
            self.retain("d", b"1", qos, QUOTA_EXCEEDED)
        self.assertEqual(self.daemon.stats()["retained_refused"] - before, 2)
        self.retain("a", b"2")
        self.retain("b", b"")
        self.retain("d", b"1", 2)
        self.assertEqual([x.topic[-1] + x.payload.decode() for x in watch.receive(6)], ["a1", "b1", "c1", "a2", "b", "d1"])
        watch.ping()
        self.assertEqual(self.retained(), {"a": b"2", "c": b"1", "d": b"1"})

    @own
    def test_who_cannot_be_told(self):
        """Of QoS 0, and before 5.0, the message is delivered and not retained, and what was retained before is removed.
        3.1.1 [MQTT-3.3.1-7]"""
        watch, old = self.client("watch"), self.raw("old", level=4).connect(self.id("old"))
        watch.subscribe(self.topic("#"), qos=1)
        self.retain("a", b"1")
        self.retain("b", b"1")
        self.retain("a", b"x" * 201, 0)
        self.assertEqual([len(x.payload) for x in watch.receive(3)], [1, 1, 201])
        old.publish(self.topic("b"), b"x" * 202, 1, retain=True)
        old.publish(self.topic("c"), b"x" * 203, 2, retain=True)
        self.assertEqual([len(x.payload) for x in watch.receive(2)], [202, 203])
        self.assertEqual(self.retained(), {})

    @own
    def test_bytes(self):
        """All of them together; what is not larger takes the place of another."""
        size = 140 - len(self.topic("a"))
        self.retain("a", b"x" * size)
        self.retain("b", b"x" * size)
        self.retain("c", b"x" * size, 1, QUOTA_EXCEEDED)
        self.retain("b", b"x" * (size + 21), 1, QUOTA_EXCEEDED)
        self.retain("b", b"x" * (size + 20))
        self.retain("b", b"x" * size)
        self.retain("a", b"")
        self.retain("c", b"x" * size)
        self.assertEqual(set(self.retained()), {"b", "c"})

    @own
    def test_payload_and_levels(self):
        """Of each."""
        self.retain("a", b"x" * 200)
        self.retain("a", b"x" * 201, 1, QUOTA_EXCEEDED)
        self.retain("a/b", b"x", 1, QUOTA_EXCEEDED)
        self.assertEqual({k: len(v) for k, v in self.retained().items()}, {"a": 200})
        self.assertEqual(self.publisher.pending, type(self.publisher.pending)())
