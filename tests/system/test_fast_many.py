# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Messages with several receivers, of any version, and shared subscriptions: the kernel carries them on the local road, and
nobody can tell. PINGREQ too."""

import time

from harness import packets as p
from harness.client import TIMEOUT
from harness.suite import SystemTest, own, recorded

RECEIVERS = 12


class Many(SystemTest):
    """[MQTT-3.3.5-1] [MQTT-4.6.0-6]"""

    options = ("workers 3", "max_inflight_messages 1000")

    def subscribers(self, count, levels=(4, 5), **fields):
        """So many, of these versions in turn."""
        clients = []
        for n in range(count):
            client = self.client(f"s{n}", level=levels[n % len(levels)], **fields)
            client.subscribe(self.topic("#"))
            clients.append(client)
        return clients

    def send_to_all(self, publisher, subscribers, topic, *payloads):
        """One by one, each received by all."""
        for payload in payloads:
            publisher.publish(topic, payload)
            for client in subscribers:
                self.assertEqual([(x.topic, x.payload) for x in client.receive()], [(topic, payload)])

    def install_many(self, publisher, subscribers, topic):
        """Publish until the kernel carries what is published on the topic."""
        if self.road != "local":
            return
        for _ in range(200):
            before = self.forwarded()
            self.send_to_all(publisher, subscribers, topic, b"install")
            if self.forwarded() > before:
                return
        self.fail(f"no flow: {self.daemon.ctl('why', topic)}")

    def test_all_versions(self):
        """Every receiver gets every message in its own version's form, whatever the publisher's."""
        subscribers = self.subscribers(RECEIVERS)
        for level in 4, 5, 3:
            publisher = self.client(f"p{level}", level=level)
            topic = self.topic(f"t{level}")
            self.install_many(publisher, subscribers, topic)
            before = self.forwarded()
            self.send_to_all(publisher, subscribers, topic, *(b"." * n for n in (0, 1, 90, 120, 1000, 16000, 70000)))
            if self.road == "local":
                self.assertGreaterEqual(self.forwarded() - before, 3 * RECEIVERS)

    @recorded
    def test_one_of_another_version(self):
        """A single receiver whose version is not the publisher's."""
        for level in 4, 5:
            subscriber, publisher = self.client(f"s{level}", level=9 - level), self.client(f"p{level}", level=level)
            topic = self.topic(str(level))
            subscriber.subscribe(topic)
            for n in range(50):
                publisher.publish(topic, b"%d" % n)
                self.assertEqual(subscriber.payloads(1), [b"%d" % n])
            if self.road == "local":
                self.install(publisher, subscriber, topic, count=0)

    def test_subscribers_come_and_go(self):
        """Who subscribes gets the next message, who unsubscribes or leaves none, and the others miss nothing."""
        subscribers, publisher = self.subscribers(4), self.client("p")
        topic = self.topic("t")
        for n in range(20):
            self.install_many(publisher, subscribers, topic)
            leaver = subscribers.pop(0)
            if n % 2:
                leaver.disconnect()
            else:
                leaver.unsubscribe(self.topic("#"))
            newcomer = self.client(f"n{n}", level=4 + n % 2)
            newcomer.subscribe(self.topic("#"))
            subscribers.append(newcomer)
            self.send_to_all(publisher, subscribers, topic, b"%d" % n)
            if not n % 2:
                leaver.nothing(0.01)

    def test_slow_reader(self):
        """One who does not read for a while gets everything in order afterwards; the others get it at once."""
        slow = self.client("slow", rcvbuf=4096)
        slow.subscribe(self.topic("t"))
        subscribers, publisher = self.subscribers(3), self.client("p")
        topic, payloads = self.topic("t"), [b"%6d" % n + b"." * 1000 for n in range(400)]
        self.install_many(publisher, subscribers, topic)
        self.send_to_all(publisher, subscribers, topic, *payloads)
        if self.road == "local":
            self.assertGreater(self.daemon.stats()["fastpath"]["local"]["diverted"], 0)
        got = slow.payloads(len(payloads))
        while got[-1] != payloads[-1]:
            got += slow.payloads(1)
        self.assertEqual(got[-len(payloads):], payloads)
        self.send_to_all(publisher, [slow, *subscribers], topic, b"end")

    def test_other_qos_among_them(self):
        """Messages of QoS 1, which the daemon handles, keep their place among those of the same topic. [MQTT-4.6.0-6]"""
        subscribers, publisher = self.subscribers(3), self.client("p")
        topic = self.topic("t")
        self.install_many(publisher, subscribers, topic)
        for n in range(300):
            publisher.publish(topic, b"%d" % n, int(n % 10 == 0))
        for client in subscribers:
            self.assertEqual(client.payloads(300), [b"%d" % n for n in range(300)])


class Share(SystemTest):
    """Shared subscriptions, section 4.8.2 of 5.0."""

    def test_in_turn(self):
        """Each message goes to the member whose turn it is, whoever takes it: the daemon the first ones, the kernel the
        others. 5.0 [MQTT-4.8.2-1] [MQTT-4.8.2-3]"""
        members = [self.client(name) for name in "abc"]
        for client in members:
            client.subscribe("$share/g/" + self.topic("+"))
        publishers = [self.client(name) for name in "pq"]
        before, n, deadline = self.forwarded(), 0, time.monotonic() + TIMEOUT
        # How many of them the kernel takes is a matter of how soon the daemon is done with the ones before.
        while n < 90 or (self.road == "local" and self.forwarded() - before <= 30):
            self.assertLess(time.monotonic(), deadline, f"{n} messages, {self.forwarded() - before} by the kernel")
            for n in range(n, n + 90):
                publishers[n % 2].publish(self.topic(str(n // 45 % 2)), b"%d" % n, int(n % 10 == 9))
                self.assertEqual(members[n % 3].payloads(1), [b"%d" % n])
            n += 1

    def gone(self):
        """Sessions have ended whose connections the daemon has closed: it does both before it tells of its clients."""
        if not self.reference:
            self.daemon.clients()

    def test_members_come_and_go(self):
        """A member that leaves is left out, one that comes is the last in turn."""
        members, publisher, turn = [self.client(name) for name in "ab"], self.client("p"), 0
        for client in members:
            client.subscribe("$share/g/" + self.topic("t"))
        for rest in range(6):
            for n in range(4 * len(members)):
                publisher.publish(self.topic("t"), b"%d" % n)
                turn %= len(members)
                self.assertEqual(members[turn].payloads(1), [b"%d" % n])
                turn += 1
            if rest % 2:
                members.pop().disconnect()
                self.gone()
            else:
                members.append(self.client(f"m{rest}"))
                members[-1].subscribe("$share/g/" + self.topic("t"))


class Ping(SystemTest):
    """PINGREQ that the kernel answers."""

    def counted(self, daemon):
        """The statistics, with all that the workers have written: the list of clients comes when they have counted it."""
        daemon.clients()
        return daemon.stats()

    @own
    def test_counted(self):
        """They count as received, and answers as sent, as if the daemon had done it, and keep the client alive.
        [MQTT-3.12.4-1] [MQTT-3.1.2-24]"""
        daemon = self.start()
        before = self.counted(daemon)  # which may take longer than the client may be silent
        client = self.raw("c", daemon)
        hello, connack = client.hello(self.id("c"), keepalive=2), b"\x20\2\0\0"
        client.send(hello)
        client.expect(p.CONNACK)
        for _ in range(20):
            client.ping()
            time.sleep(0.2)
        after = self.counted(daemon)
        for way, first in ("received", hello), ("sent", connack):
            self.assertEqual(after["messages"][way] - before["messages"][way], 1 + 20)
            self.assertEqual(after["bytes"][way] - before["bytes"][way], len(first) + 20 * 2)
        if self.fast:
            self.assertGreaterEqual(sum(after["fastpath"][road]["pings"] for road in ("local", "remote")), 15)

    @own
    def test_busy_receiver(self):
        """A remote client that is sent something between its PINGREQ gets the answers from the daemon, whose output to it
        would cost more otherwise. [MQTT-3.12.4-1]"""
        daemon = self.start()
        client = self.client("c", daemon)
        client.subscribe(self.topic("t"), qos=1)
        for n in range(10):
            client.ping()
            client.publish(self.topic("t"), b"%d" % n, qos=1)
            self.assertEqual(client.payloads(1), [b"%d" % n])
        if self.road == "remote":
            self.assertEqual(daemon.stats()["fastpath"]["remote"]["pings"], 0)

    @own
    def test_logged(self):
        """With log_type debug each is logged, so the daemon answers."""
        daemon = self.start(["log_type all"])
        client = self.client("c", daemon)
        for _ in range(5):
            client.ping()
        self.assertEqual(daemon.log().count("Received PINGREQ from"), 5)
