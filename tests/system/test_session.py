# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Clean and persistent sessions: sections 3.1.2.4, 3.2.2.2 and 4.1."""

from harness import packets as p
from harness.suite import SystemTest, recorded


class Session(SystemTest):
    """What is kept, for whom, and what Session Present says."""

    def tearDown(self):
        for name in ("a", "b"):
            self.client(name, clean=True, present=None).disconnect()

    def test_session_present(self):
        """0 for a new session, 1 for a stored one, 0 for CleanSession 1 and after it. [MQTT-3.1.2-4] [MQTT-3.2.2-1]
        [MQTT-3.2.2-2] [MQTT-3.2.2-3] [MQTT-3.1.2-6]"""
        self.client("a", clean=False, present=False).disconnect()
        self.client("a", clean=False, present=True).disconnect()
        self.client("a", clean=False, present=True).close()
        self.client("a", clean=True, present=False).disconnect()
        self.client("a", clean=False, present=False).disconnect()

    def test_subscriptions_are_kept(self):
        """A persistent session keeps its subscriptions, with their QoS. [MQTT-3.1.2-4] [MQTT-4.1.0-1]"""
        client = self.client("a", clean=False)
        client.subscribe((self.topic("zero"), 0), (self.topic("two", "+"), 2))
        client.disconnect()
        client = self.client("a", clean=False, present=True)
        publisher = self.client("p")
        publisher.publish(self.topic("zero"), b"0", 2)
        publisher.publish(self.topic("two", "x"), b"2", 2)
        self.assertEqual([(x.payload, x.qos) for x in client.receive(2)], [(b"0", 0), (b"2", 2)])

    def test_clean_session_forgets(self):
        """A clean session ends with its connection, and with it its subscriptions. [MQTT-3.1.2-6] [MQTT-4.1.0-2]"""
        client = self.client("a", clean=True)
        client.subscribe(self.topic("t"), qos=1)
        client.disconnect()
        publisher = self.client("p")
        publisher.publish(self.topic("t"), b"missed", 1)
        client = self.client("a", clean=False, present=False)
        publisher.publish(self.topic("t"), b"missed too", 1)
        self.assertEqual(self.drain(publisher, client), [])

    @recorded
    def test_messages_while_away(self):
        """QoS 1 and 2 messages are stored for a disconnected session and come in order. [MQTT-3.1.2-5] [MQTT-4.5.0-1]
        [MQTT-4.6.0-6]"""
        client = self.client("a", clean=False)
        client.subscribe((self.topic("one"), 1), (self.topic("two"), 2))
        client.disconnect()
        publisher = self.client("p")
        for n in range(15):
            publisher.publish(self.topic("one"), b"%d" % n, 1)
            publisher.publish(self.topic("two"), b"%d" % n, 2)
        client = self.client("a", clean=False, present=True)
        came = client.receive(30)
        for level, qos in (("one", 1), ("two", 2)):
            some = [x for x in came if x.topic == self.topic(level)]
            self.assertEqual([x.payload for x in some], [b"%d" % n for n in range(15)])
            self.assertEqual({(x.qos, x.dup, x.retain) for x in some}, {(qos, False, False)})

    def test_qos0_while_away(self):
        """QoS 0 messages, and those of QoS 0 subscriptions, are not stored by default."""
        client = self.client("a", clean=False)
        client.subscribe((self.topic("one"), 1), (self.topic("zero"), 0))
        client.disconnect()
        publisher = self.client("p")
        publisher.publish(self.topic("one"), b"qos 0", 0)
        publisher.publish(self.topic("zero"), b"granted 0", 1)
        publisher.publish(self.topic("one"), b"kept", 1)
        client = self.client("a", clean=False, present=True)
        self.assertEqual(client.payloads(1), [b"kept"])
        self.assertEqual(self.drain(publisher, client), [])

    def test_unsubscribed_stays_unsubscribed(self):
        """UNSUBSCRIBE changes the stored session."""
        client = self.client("a", clean=False)
        client.subscribe(self.topic("t"), self.topic("u"), qos=1)
        client.unsubscribe(self.topic("t"))
        client.disconnect()
        publisher = self.client("p")
        publisher.publish(self.topic("t"), b"no", 1)
        publisher.publish(self.topic("u"), b"yes", 1)
        client = self.client("a", clean=False, present=True)
        self.assertEqual(client.payloads(1), [b"yes"])
        client.ping()

    def test_abnormal_end_keeps_the_session(self):
        """So does every other way to end a connection. [MQTT-3.1.2-4]"""
        for name, end in (("reset", lambda c: c.reset()), ("close", lambda c: c.close()),
                          ("malformed", lambda c: (c.send(b"\xff\x00"), c.closed()))):
            with self.subTest(name):
                client = self.client("a", clean=False, present=None)
                client.subscribe(self.topic(name), qos=1)
                end(client)
                self.client("p").publish(self.topic(name), b"kept", 1)
                client = self.client("a", clean=False, present=True)
                self.assertEqual(client.payloads(1), [b"kept"])

    def test_two_sessions(self):
        """Sessions are by client identifier: two keep their own. [MQTT-3.1.3-2]"""
        for name in ("a", "b"):
            client = self.client(name, clean=False)
            client.subscribe(self.topic(name), qos=1)
            client.disconnect()
        publisher = self.client("p")
        for name in ("a", "b"):
            publisher.publish(self.topic(name), name, 1)
        for name in ("a", "b"):
            client = self.client(name, clean=False, present=True)
            self.assertEqual(client.payloads(1), [name.encode()])
            client.ping()

    def test_retained_outlives_the_session(self):
        """Retained messages are no session state. [MQTT-3.1.2-7]"""
        client = self.client("a", clean=True)
        client.publish(self.topic("t"), b"retained", 1, retain=True)
        client.disconnect()
        reader = self.client("b")
        reader.subscribe(self.topic("t"))
        self.assertEqual(reader.payloads(1), [b"retained"])
        reader.publish(self.topic("t"), b"", 1, retain=True)

    def test_clean_publisher_qos2_state_is_discarded(self):
        """The receiver's QoS 2 state of a clean session ends with it: the same packet identifier is new.
        [MQTT-3.1.2-6]"""
        watch = self.client("b")
        watch.subscribe(self.topic("t"))
        for n in (1, 2):
            client = self.client("a", clean=True)
            client.send(p.publish(self.topic("t"), b"%d" % n, 2, mid=5))
            self.assertEqual(client.expect(p.PUBREC).mid, 5)
            client.send(p.ack(p.PUBREL, 5))
            self.assertEqual(client.expect(p.PUBCOMP).mid, 5)
            client.send(p.publish(self.topic("t"), b"unfinished %d" % n, 2, mid=5))
            client.expect(p.PUBREC)
            client.close()
        came = [x.payload for x in self.drain(self.client("p"), watch)]
        self.assertEqual([x for x in came if not x.startswith(b"unfinished")], [b"1", b"2"])
