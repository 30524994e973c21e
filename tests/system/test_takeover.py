# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A client identifier that connects again: sections 3.1.3.1 and 3.1.4."""

from harness import packets as p
from harness.suite import SystemTest, recorded


class Takeover(SystemTest):
    """The new connection wins, whatever the old one is doing."""

    options = ("workers 4",)

    def test_old_is_closed(self):
        """The existing connection is closed, the new one works. [MQTT-3.1.4-2] [MQTT-3.1.3-2]"""
        old = self.client("a")
        new = self.client("a")
        self.assertEqual(old.closed(), [])
        new.ping()

    def test_other_identifiers_stay(self):
        """Identifiers are compared byte by byte: case and prefixes make others. [MQTT-3.1.3-2]"""
        clients = [self.client("x", client_id=i) for i in ("takeover", "Takeover", "takeove", "takeover1", "takeover ")]
        for client in clients:
            client.ping()

    def test_will_of_the_old(self):
        """The old connection ends without DISCONNECT: its will is published. [MQTT-3.1.2-8]"""
        watch = self.client("watch")
        watch.subscribe(self.topic("will"))
        self.client("a", will=(self.topic("will"), "taken over", 0, False))
        self.client("a", will=(self.topic("will"), "second", 0, False))
        self.assertEqual(watch.payloads(1), [b"taken over"])

    def test_session_goes_on(self):
        """CleanSession 0 takes subscriptions and unacknowledged messages over. [MQTT-3.1.2-4] [MQTT-4.4.0-1]"""
        old = self.client("a", clean=False)
        old.subscribe(self.topic("t"), qos=1)
        publisher = self.client("p")
        publisher.publish(self.topic("t"), b"unacknowledged", 1)
        first = old.receive(ack=False)[0]
        new = self.client("a", clean=False, present=True)
        again = new.receive()[0]
        self.assertEqual((again.payload, again.mid, again.dup), (b"unacknowledged", first.mid, True))
        publisher.publish(self.topic("t"), b"next", 1)
        self.assertEqual(new.payloads(1), [b"next"])
        self.client("a", clean=True)  # leaves no session behind

    def test_clean_session_starts_anew(self):
        """CleanSession 1 takes nothing over. [MQTT-3.1.2-6] [MQTT-3.1.4-3]"""
        old = self.client("a", clean=False)
        old.subscribe(self.topic("t"), qos=1)
        new = self.client("a", clean=True)
        old.closed()
        publisher = self.client("p")
        publisher.publish(self.topic("t"), b"x", 1)
        self.assertEqual(self.drain(publisher, new), [])

    def test_storm(self):
        """A hundred times in a row, without waiting for answers: one is left and it works."""
        clients = []
        for _ in range(100):
            client = self.raw("a")
            client.send(p.connect(self.id("a")), p.subscribe(1, (self.topic("t"), 1)))
            clients.append(client)
        for client in clients[:-1]:
            self.assertLessEqual(len(client.closed()), 2)
        last = clients[-1]
        last.expect(p.CONNACK)
        last.expect(p.SUBACK)
        self.client("p").publish(self.topic("t"), b"one copy", 1)
        self.assertEqual(last.payloads(1), [b"one copy"])
        last.ping()

    def test_subscriber_under_load(self):
        """A persistent subscriber of QoS 1 is taken over again and again while a publisher sends: every message comes,
        at least once, in order."""
        count, rounds = 200, 10
        topic = self.topic("t")
        subscriber = self.client("s", clean=False)
        subscriber.subscribe(topic, qos=1)
        publisher = self.client("p")
        got = []
        for n in range(count):
            publisher.send(p.publish(topic, b"%d" % n, 1, mid=n + 1))
            if n % (count // rounds) == count // rounds - 1:
                got += [int(x) for x in subscriber.payloads(5)]
                subscriber = self.client("s", clean=False, present=True)
        publisher.send(p.publish(topic, b"end", 1, mid=count + 1))
        while (payload := subscriber.payloads(1)[0]) != b"end":
            got.append(int(payload))
        self.assertEqual(sorted(set(got)), list(range(count)))
        firsts = list(dict.fromkeys(got))
        self.assertEqual(firsts, sorted(firsts))
        self.client("s", clean=True)

    @recorded
    def test_publisher_with_flow(self):
        """A publisher whose QoS 0 messages are on their way is taken over: the order stays."""
        topic = self.topic("t")
        subscriber = self.client("s")
        subscriber.subscribe(topic)
        for turn in range(5):
            publisher = self.client("p")
            self.install(publisher, subscriber, topic)
            for n in range(20):
                publisher.publish(topic, b"%d %d" % (turn, n))
            publisher.ping()
            self.assertEqual(subscriber.payloads(20), [b"%d %d" % (turn, n) for n in range(20)])
