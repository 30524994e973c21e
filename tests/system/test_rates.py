# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""How fast clients may connect and publish: who is too fast waits, nothing is lost, and others notice nothing."""

from harness import packets as p
from harness.suite import SystemTest, own


class Connections(SystemTest):
    """max_connection_rate and global_max_connection_rate."""

    own_daemon = True
    roads = ("off",)
    COUNT = 6	# of which two a second may come, and two at once

    def flood(self, option):
        """All are served in the end, and who is connected is served meanwhile."""
        daemon = self.start([option])
        here = self.client("here", daemon)
        flood = [self.raw(daemon=daemon) for _ in range(self.COUNT)]
        for n, client in enumerate(flood):
            client.send(client.hello(f"flood-{n}"))
        for client in flood:
            here.ping()
            self.assertEqual(client.expect(p.CONNACK).code, 0)
        self.assertGreater(daemon.stats()["connections"]["delayed"], 0)
        self.assertEqual(daemon.stats()["connections"]["refused"], 0)
        daemon.wait_log("Clients connect faster than they may")
        here.ping()

    @own
    def test_of_a_listener(self):
        """max_connection_rate"""
        self.flood("max_connection_rate 2")

    @own
    def test_of_all(self):
        """global_max_connection_rate"""
        self.flood("global_max_connection_rate 2")


class Publish(SystemTest):
    """max_publish_rate: what comes faster than 200 messages a second waits in the socket."""

    options = ("max_publish_rate 200",)

    @own
    def test_nothing_is_lost(self):
        """A client that publishes all at once is held back, and all of it comes, in order; another one is not held back.
        [MQTT-4.6.0-6]"""
        for qos in (0, 1, 2):
            with self.subTest(qos=qos):
                reader, publisher, other = self.client("reader"), self.client("p"), self.client("other")
                reader.subscribe(self.topic("t"), qos=qos)
                before = self.daemon.stats()["publish"]["paused"]
                publisher.send(*[p.publish(self.topic("t"), b"%d" % n, qos, mid=n + 1 if qos else None)
                                 for n in range(300)])
                other.publish(self.topic("other"), b"x", qos)
                other.ping()
                if qos == 2:
                    for n in range(300):
                        self.assertEqual(publisher.until(p.PUBREC).mid, n + 1)
                        publisher.send(p.ack(p.PUBREL, n + 1))
                got = reader.receive(300)
                self.assertEqual([x.payload for x in got], [b"%d" % n for n in range(300)])
                self.assertGreater(self.daemon.stats()["publish"]["paused"], before)
                self.daemon.wait_log(rf"Client {self.id('p')} \[[^]]*\] publishes faster than it may")


class PublishBytes(SystemTest):
    """max_publish_bytes."""

    options = ("max_publish_bytes 100000",)

    @own
    def test_nothing_is_lost(self):
        """The same by bytes; a message that is larger than that of a second passes, too."""
        reader, publisher = self.client("reader"), self.client("p")
        reader.subscribe(self.topic("t"), qos=1)
        sizes = [150000, *[5000] * 4]
        for n, size in enumerate(sizes):
            publisher.send(p.publish(self.topic("t"), b"x" * size, 1, mid=n + 1))
        self.assertEqual([len(x.payload) for x in reader.receive(len(sizes))], sizes)
        self.assertEqual([publisher.expect(p.PUBACK).mid for _ in sizes], list(range(1, len(sizes) + 1)))
        self.assertGreater(self.daemon.stats()["publish"]["paused"], 0)
        publisher.ping()
