# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What is dropped when there is no room in a client's queue: queue_policy, for clients that read slowly and for those
that are away, of each QoS."""

import time

from harness import packets as p
from harness.client import TIMEOUT
from harness.suite import SystemTest, own

BLOCK = 2000  # bytes of payload
RCVBUF = 32768


class Policy(SystemTest):
    """What the three have in common."""

    def numbers(self, packets):
        """The numbers in the payloads."""
        return [int(x.payload[:8]) for x in packets]

    def mine(self, name):
        """What the daemon says of a client of this test."""
        return next(c for c in self.daemon.clients()["clients"] if c["id"] == self.id(name))

    def flood(self, publisher, name, reason, most=30000):
        """Publish QoS 0 until the client named so has missed 200; returns how many."""
        for n in range(most):
            publisher.publish(self.topic("t"), b"%08d" % n + b"x" * BLOCK)
            if n % 100 == 99 and self.mine(name)["dropped"][reason] >= 200:
                return n + 1
        raise AssertionError(f"{most} messages and still no drop")

    def away(self, qos):
        """Ten messages for a client that is away, with a queue of four: what it gets."""
        keep = {"expiry": 1000} if self.level == 5 else {}
        client, publisher = self.client("s", clean=False, **keep), self.client("p")
        client.subscribe(self.topic("t"), qos=qos)
        client.disconnect()
        before = self.dropped()
        for n in range(10):
            publisher.publish(self.topic("t"), b"%08d" % n, qos)
        publisher.ping()
        client = self.client("s", clean=False, present=True, **keep)
        got = self.numbers(client.settle())
        self.assertEqual(self.dropped() - before, 10 - len(got))
        self.daemon.wait_log(rf"being dropped for client {self.id('s')} \[not connected\]: its queue is full")
        self.daemon.wait_log(rf"No more messages are being dropped for client {self.id('s')} "
                             r"\[[^]]*\]: there were 6 \(6 queue_full\)")
        client.disconnect()
        self.client("s", clean=True, present=None).disconnect()
        return got

    def unacknowledged(self, qos):
        """Ten messages for a client that acknowledges nothing: one in flight, four that wait. What it gets."""
        client, publisher = self.client("s"), self.client("p")
        client.subscribe(self.topic("t"), qos=qos)
        for n in range(10):
            publisher.publish(self.topic("t"), b"%08d" % n, qos)
        return client, publisher


class Newest(Policy):
    """queue_policy newest, the default."""

    options = ("max_queued_messages 4", "max_inflight_messages 1", "max_output_bytes 65536", "queue_qos0_messages true",
               "persistence false")

    @own
    def test_away(self):
        """The first four stay."""
        for qos in (0, 1, 2):
            with self.subTest(qos=qos):
                self.assertEqual(self.away(qos), [0, 1, 2, 3])

    @own
    def test_online(self):
        """The one in flight, and the first four behind it."""
        for qos in (1, 2):
            with self.subTest(qos=qos):
                client, publisher = self.unacknowledged(qos)
                self.assertEqual(self.mine("s")["dropped"]["queue_full"], 5)
                self.assertRegex(self.daemon.ctl("clients"), rf"(?m)^{self.id('s')} .* 5 .* 5 queue_full$")
                self.assertEqual(self.numbers(client.settle()), [0, 1, 2, 3, 4])
                publisher.publish(self.topic("t"), b"%08d" % 10, qos)
                self.assertEqual(self.numbers(client.receive()), [10])


class Oldest(Policy):
    """queue_policy oldest."""

    options = (*Newest.options, "queue_policy oldest")

    @own
    def test_away(self):
        """The last four stay."""
        for qos in (0, 1, 2):
            with self.subTest(qos=qos):
                self.assertEqual(self.away(qos), [6, 7, 8, 9])

    @own
    def test_online(self):
        """The one in flight, which was sent, and the last four."""
        for qos in (1, 2):
            with self.subTest(qos=qos):
                client, publisher = self.unacknowledged(qos)
                self.assertEqual(self.mine("s")["dropped"]["queue_full"], 5)
                self.assertEqual(self.numbers(client.settle()), [0, 6, 7, 8, 9])
                publisher.publish(self.topic("t"), b"%08d" % 10, qos)
                self.assertEqual(self.numbers(client.receive()), [10])

    @own
    def test_slow_reader(self):
        """Of QoS 0 the last ones come when it reads again, behind what was written before; none is missing that was not
        counted."""
        client, publisher = self.client("s", rcvbuf=RCVBUF), self.client("p")
        client.subscribe(self.topic("t"))
        sent = self.flood(publisher, "s", "qos0_output_full")
        publisher.ping()
        got = self.numbers(self.drain(publisher, client))
        self.assertEqual(got, sorted(set(got)))
        self.assertEqual(got[-4:], list(range(sent - 4, sent)))
        self.assertEqual(self.mine("s")["dropped"]["qos0_output_full"], sent - len(got))


class Disconnect(Policy):
    """queue_policy disconnect."""

    options = (*Newest.options, "queue_policy disconnect")
    level = 5

    @own
    def test_away(self):
        """Of a client that is away there is nothing to disconnect: the first four stay."""
        for level in (4, 5):
            self.level = level
            self.assertEqual(self.away(1), [0, 1, 2, 3])

    @own
    def test_online(self):
        """A client that does not acknowledge is disconnected, with 0x97 in 5.0 section 3.14.2.1; its session goes on with
        what it has. 3.1.1: just closed."""
        for level in (4, 5):
            with self.subTest(level=level):
                client, publisher = self.raw("s", level=level), self.client("p")
                client.connect(self.id("s"), clean=False, **({"expiry": 1000} if level == 5 else {}))
                client.subscribe(self.topic("t"), qos=1)
                for n in range(6):
                    publisher.publish(self.topic("t"), b"%08d" % n, 1)
                came = client.disconnected(0x97)
                self.assertEqual(self.numbers(x for x in came if x.type == p.PUBLISH), [0])
                self.daemon.wait_log(rf"being dropped for client {self.id('s')} \[[^]]*\d\]: its queue is full")
                self.daemon.wait_log(rf"Client {self.id('s')} \[[^]]*\] disconnected: quota exceeded")
                again = self.raw("s", level=level)
                again.connect(self.id("s"), clean=False, present=True, **({"expiry": 0} if level == 5 else {}))
                self.assertEqual(self.numbers(again.settle()), [0, 1, 2, 3, 4])
                again.disconnect()
                self.client("s", clean=True, present=None).disconnect()

    @own
    def test_slow_reader(self):
        """A client that does not read is disconnected, and others get all."""
        client, publisher, other = self.client("s", rcvbuf=RCVBUF), self.client("p"), self.client("other")
        for one in (client, other):
            one.subscribe(self.topic("t"))
        before = self.daemon.stats()["closed"]["quota_exceeded"]
        n = 0
        while self.daemon.stats()["closed"]["quota_exceeded"] == before:
            for _ in range(50):
                publisher.publish(self.topic("t"), b"%08d" % n + b"x" * BLOCK)
                self.assertEqual(self.numbers(other.receive()), [n])
                n += 1
            self.assertLess(n, 30000)
        deadline = time.monotonic() + TIMEOUT
        while any(c["id"] == self.id("s") for c in self.daemon.clients()["clients"]):
            self.assertLess(time.monotonic(), deadline)
        other.ping()
