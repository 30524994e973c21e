# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Topic names and filters: section 4.7."""

import contextlib

from harness import packets as p
from harness.client import Closed
from harness.suite import SystemTest, recorded

# filter, topics it matches, topics it does not match
MATCHING = [
    ("a/b", ["a/b"], ["a", "a/b/c", "a/B", "A/b", "/a/b", "a/b/", "a//b"]),
    ("#", ["a", "a/b", "/", "/a", "a/", "//", " "], ["$a", "$SYS/x", "$"]),
    ("+", ["a", " ", "é"], ["a/b", "/a", "a/", "/", "$a"]),
    ("/", ["/"], ["a", "//", "a/", "/a"]),
    ("/+", ["/a", "/"], ["a", "a/b", "//", "/a/b"]),
    ("+/", ["a/", "/"], ["a", "a/b", "$a/"]),
    ("+/+", ["a/b", "/a", "a/", "/"], ["a", "a/b/c", "//", "$a/b"]),
    ("a/#", ["a", "a/b", "a/b/c", "a/"], ["b", "A", "aa", "/a", "b/a"]),
    ("a/+", ["a/b", "a/"], ["a", "a/b/c", "b/a"]),
    ("a/+/c", ["a/b/c", "a//c"], ["a/c", "a/b/d", "a/b/b/c"]),
    ("a/+/#", ["a/b", "a/b/c", "a/", "a//"], ["a", "b/a"]),
    ("+/b/#", ["a/b", "a/b/c", "/b"], ["a/c", "b", "$a/b"]),
    ("+/+/+", ["a/b/c", "//"], ["a/b", "a/b/c/d"]),
    ("$a/#", ["$a", "$a/b", "$a/"], ["a", "a/b", "$b"]),
    ("$a/+", ["$a/b"], ["$a", "$b/b"]),
    ("a/$b", ["a/$b"], ["a/b"]),
    ("+/$b", ["a/$b"], ["$b", "$a/$b"]),
    ("a b/ c", ["a b/ c"], ["ab/c", "a b/c"]),
    ("\ufeff", ["\ufeff"], ["a", "\ufeff\ufeff"]),
    ("é", ["é"], ["e\u0301", "e", "É"]),
    ("a/é/#", ["a/é", "a/é/ü"], ["a/e"]),
    ("sport/tennis/player1/#", ["sport/tennis/player1", "sport/tennis/player1/ranking",
                                "sport/tennis/player1/score/wimbledon"], ["sport/tennis/player2", "sport/tennis"]),
]


class Filters(SystemTest):
    """Matching, on a daemon of its own because # sees everything."""

    def test_matching(self):
        """Each filter against topics it matches and topics it does not. [MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.2-1]
        [MQTT-4.7.3-1] [MQTT-4.7.3-4] [MQTT-3.3.2-3] [MQTT-1.5.3-3] [MQTT-3.8.3-2]"""
        publisher = self.client("p")
        for filter_, hits, misses in MATCHING:
            with self.subTest(filter_):
                client = self.client("s")
                client.subscribe(filter_, qos=1)
                for topic in misses + hits:
                    publisher.publish(topic, topic, 1)
                got = client.receive(len(hits))
                self.assertEqual([x.topic for x in got], hits)
                self.assertEqual([x.payload.decode() for x in got], hits)
                client.ping()
                client.disconnect()

    @recorded
    def test_each_topic_many_filters(self):
        """All filters at once, by one client each; QoS 0, several times, so that flows are used where there is one
        receiver. [MQTT-4.5.0-1]"""
        clients = []
        for n, (filter_, _, _) in enumerate(MATCHING):
            client = self.client(f"s{n}")
            client.subscribe(filter_)
            clients.append(client)
        publisher = self.client("p")
        topics = sorted({t for _, hits, misses in MATCHING for t in hits + misses if t != "$SYS/x"})
        for turn in range(3):
            for topic in topics:
                publisher.publish(topic, b"%d" % turn)
        for client in clients:
            client.subscribe("end")
        publisher.publish("end", b"end")
        for client, (filter_, hits, misses) in zip(clients, MATCHING):
            got = []
            while (packet := client.receive()[0]).topic != "end":
                got.append((packet.topic, int(packet.payload)))
            wanted = [(t, turn) for turn in range(3) for t in topics if t in hits]
            known = set(hits) | set(misses)
            self.assertEqual([x for x in got if x[0] in known], wanted, filter_)

    def test_invalid_filters(self):
        """Misplaced wildcards and empty filters close the connection. [MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.3-1]
        [MQTT-4.8.0-1]"""
        for filter_ in ("", "a#", "#a", "a/#/b", "#/", "##", "a+", "+a", "a/+b/c", "++", "+#", "a/b+"):
            with self.subTest(filter_):
                client = self.client("s")
                client.send(p.subscribe(1, (filter_, 0)))
                self.assertEqual(client.closed(), [])

    def test_invalid_topics(self):
        """Wildcards and empty topic names in PUBLISH close the connection. [MQTT-3.3.2-2] [MQTT-4.7.1-1] [MQTT-4.7.3-1]
        [MQTT-3.3.2-1]"""
        watch, publisher = self.client("watch"), self.client("p")
        watch.subscribe(self.topic("#"), "#")
        for topic in ("#", "+", "a/#", "a/+", "a/+/b", "a#", "+a", ""):
            for qos in (0, 1):
                with self.subTest(f"{topic!r} {qos}"):
                    client = self.client("c")
                    client.send(p.publish(topic, b"x", qos, mid=1 if qos else None))
                    self.assertEqual(client.closed(), [])
        self.assertEqual([x.topic for x in self.drain(publisher, watch) if "drain" not in x.topic], [])

    def test_longest(self):
        """Topics and filters of 65535 bytes. [MQTT-4.7.3-3]"""
        client = self.client("c")
        for topic in ("x" * 65535, "/".join(["y" * 500] * 130), "é" * 32767):
            client.subscribe(topic, qos=1)
            client.publish(topic, b"long", 1)
            packet = client.receive()[0]
            self.assertEqual((packet.topic, packet.payload), (topic, b"long"))
            client.unsubscribe(topic)

    def test_deepest(self):
        """Tens of thousands of levels either work or close that connection; others notice nothing."""
        bystander = self.client("bystander")
        for topic in ("/" * 65535, "a/" * 32767 + "b", "+/" * 32767 + "#", "+/" * 200 + "+"):
            with self.subTest(topic[:4]):
                client = self.client("c")
                try:
                    client.send(p.subscribe(1, (topic, 0)))
                    client.expect(p.SUBACK)
                    client.send(p.publish(topic.replace("+", "a").replace("#", "b"), b"deep", 1, mid=1))
                    client.until(p.PUBACK)
                    client.disconnect()
                except (Closed, BrokenPipeError, ConnectionResetError):
                    pass
                bystander.ping()

    def test_dollar_topics(self):
        """Topics that begin with $ are hidden from leading wildcards only. [MQTT-4.7.2-1]"""
        client, publisher = self.client("s"), self.client("p")
        client.subscribe("#", "+/#", "+", "+/" + self.name)
        publisher.publish("$mine/" + self.name, b"hidden", 1)
        self.assertEqual(self.drain(publisher, client), [])
        client.subscribe("$mine/#")
        publisher.publish("$mine/" + self.name, b"seen", 1)
        self.assertEqual(client.payloads(1), [b"seen"])

    def test_sys_is_the_brokers(self):
        """What a client publishes below $SYS reaches nobody; it is acknowledged, or the connection closed.
        [MQTT-3.3.5-2]"""
        client = self.client("s")
        client.subscribe("$SYS/mine/#", qos=2)
        for qos in (0, 1, 2):
            publisher = self.client("p")
            with contextlib.suppress(Closed):
                publisher.publish("$SYS/mine/x", b"no", qos)
                publisher.ping()
        self.assertEqual(self.drain(self.client("p2"), client), [])
