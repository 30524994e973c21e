# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What the kernel carries: after the first of a topic nearly everything, and the same bytes as without it."""

import json
import shutil
import subprocess
import time
import unittest

from harness import packets as p
from harness.client import TIMEOUT, Client
from harness.network import Network
from harness.suite import SystemTest, own, recorded, roads
from harness.traffic import Stream, Traffic


class Forward(SystemTest):
    """Flows are used."""

    def pair(self, topic=None, qos=0):
        """A subscriber and a publisher with a flow."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(topic or self.topic("t"), qos=qos)
        self.install(publisher, subscriber, topic or self.topic("t"))
        return subscriber, publisher

    @recorded
    def test_one_by_one(self):
        """A thousand messages, each received before the next: more than 95 % by the kernel. Not at the highest speed: above
        20,000 a second and core the remote road leaves them to the daemon."""
        subscriber, publisher = self.pair()
        with self.carries(1000):
            for n in range(1000):
                time.sleep(0.0001)
                publisher.publish(self.topic("t"), b"%d" % n)
                self.assertEqual(subscriber.payloads(1), [b"%d" % n])

    @recorded
    def test_few_on_the_way(self):
        """Five at a time. The remote road may leave such a load to the daemon, which batches."""
        subscriber, publisher = self.pair()
        with self.carries(1000, share=0.8 if self.road == "local" else 0):
            traffic = Traffic([Stream(publisher, [self.topic("t")], 1000, window=5)], [subscriber])
            traffic.run()
        traffic.check()

    @recorded
    def test_by_wildcard(self):
        """A subscription with wildcards gets flows, one for each topic, also when it is granted QoS 1 or 2."""
        for qos in (0, 1, 2):
            subscriber, publisher = self.client("s"), self.client("p")
            subscriber.subscribe(self.topic(str(qos), "#"), qos=qos)
            topics = [self.topic(str(qos), str(n)) for n in range(20)]
            self.install(publisher, subscriber, *topics, count=2)
            with self.carries(400):
                for n in range(400):
                    publisher.publish(topics[n % 20], b"%d" % n)
                    packet = subscriber.receive()[0]
                    self.assertEqual((packet.topic, packet.payload, packet.qos), (topics[n % 20], b"%d" % n, 0))

    @recorded
    def test_overlapping_subscriptions(self):
        """Several subscriptions of one client are one receiver: one copy."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("#"), self.topic("t"), self.topic("+"))
        self.install(publisher, subscriber, self.topic("t"))
        with self.carries(100):
            for n in range(100):
                publisher.publish(self.topic("t"), b"%d" % n)
                self.assertEqual(subscriber.payloads(1), [b"%d" % n])
        self.assertEqual(self.drain(publisher, subscriber), [])

    @recorded
    def test_to_itself(self):
        """A client that subscribes to what it publishes."""
        client = self.client("c")
        client.subscribe(self.topic("t"))
        self.install(client, client, self.topic("t"))
        for n in range(200):
            client.publish(self.topic("t"), b"%d" % n)
            self.assertEqual(client.payloads(1), [b"%d" % n])

    @recorded
    def test_both_ways(self):
        """Two clients that talk to each other."""
        one, two = self.client("one"), self.client("two")
        one.subscribe(self.topic("one"))
        two.subscribe(self.topic("two"))
        self.install(one, two, self.topic("two"))
        self.install(two, one, self.topic("one"))
        with self.carries(600):
            for n in range(300):
                one.publish(self.topic("two"), b"%d" % n)
                self.assertEqual(two.payloads(1), [b"%d" % n])
                two.publish(self.topic("one"), b"%d" % n)
                self.assertEqual(one.payloads(1), [b"%d" % n])

    @recorded
    def test_sizes(self):
        """Every size up to a few segments."""
        subscriber, publisher = self.pair()
        sizes = [*range(0, 140), 1000, 1400, 1460, 1500, 4000, 8192, 16000, 16384, 30000, 65535, 70000]
        for size in sizes:
            payload = bytes(n % 251 for n in range(size))
            publisher.publish(self.topic("t"), payload)
            self.assertTrue(subscriber.payloads(1)[0] == payload, f"{size} bytes arrived changed")

    @recorded
    def test_topic_lengths(self):
        """Topics around the size of a flow's key."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("#"))
        for length in [*range(len(self.topic("x")), 40), 126, 127, 128, 129, 130, 200]:
            topic = self.topic("x").ljust(length, "y")
            for n in range(4):
                publisher.publish(topic, b"%d" % n)
                packet = subscriber.receive()[0]
                self.assertEqual((packet.topic, packet.payload), (topic, b"%d" % n))

    @recorded
    def test_similar_topics(self):
        """Topics that begin alike go to different receivers."""
        topics = [self.topic(last) for last in ("a", "aa", "a/", "a/b", "A", "b")]
        subscribers = []
        publisher = self.client("p")
        for n, topic in enumerate(topics):
            client = self.client(f"s{n}")
            client.subscribe(topic)
            self.install(publisher, client, topic)
            subscribers.append(client)
        for turn in range(50):
            for n, topic in enumerate(topics):
                publisher.publish(topic, b"%d %d" % (turn, n))
        for n, client in enumerate(subscribers):
            self.assertEqual(client.payloads(50), [b"%d %d" % (turn, n) for turn in range(50)])

    @recorded
    def test_other_publisher(self):
        """A flow serves whoever publishes on its topic; a publisher that comes later is in order, too."""
        subscriber, _ = self.pair()
        for who in range(10):
            publisher = self.client(f"p{who}")
            for n in range(20):
                publisher.publish(self.topic("t"), b"%d %d" % (who, n))
                self.assertEqual(subscriber.payloads(1), [b"%d %d" % (who, n)])

    @recorded
    def test_not_with_two_receivers(self):
        """Two receivers: both get all."""
        one, publisher = self.pair()
        two = self.client("s2")
        two.subscribe(self.topic("t"))
        for n in range(100):
            publisher.publish(self.topic("t"), b"%d" % n)
        for client in (one, two):
            self.assertEqual(client.payloads(100), [b"%d" % n for n in range(100)])

    def test_not_for_dollar_sys(self):
        """What is published below $SYS reaches nobody, however often it is tried."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe("$SYS/mine/#")
        for _ in range(20):
            publisher.send(p.publish("$SYS/mine/x", b"no"))
        self.assertEqual(self.drain(publisher, subscriber), [])

    @roads("local", "remote")
    @own
    def test_bpftool(self):
        """bpftool shows topic and receiver of a flow in words."""
        if not shutil.which("bpftool"):
            raise unittest.SkipTest("no bpftool")
        subscriber, publisher = self.pair()
        publisher.publish(self.topic("t"), b"x")
        subscriber.receive()
        command = ["map", "dump", "pinned", f"{self.daemon.pins}/flows"]
        dump = subprocess.run(["bpftool", "-j", *command], capture_output=True, text=True)
        self.assertEqual(dump.returncode, 0, dump.stderr)
        flows = [entry.get("formatted", entry) for entry in json.loads(dump.stdout)]
        mine = [flow for flow in flows if _text(flow["key"]["topic"]) == self.topic("t")]
        self.assertEqual(len(mine), 1, dump.stdout[:500])
        self.assertEqual(_text(mine[0]["value"]["receiver"]), self.id("s")[:31])
        self.assertGreaterEqual(mine[0]["value"]["messages"], 1)
        words = subprocess.run(["bpftool", *command], capture_output=True, text=True)
        self.assertIn(self.topic("t"), words.stdout)
        self.assertIn(self.id("s")[:31], words.stdout)

    @roads("local", "remote")
    @own
    def test_client_counters(self):
        """shuntctl clients counts per client what the kernel carried."""
        subscriber, publisher = self.pair()
        before, deadline = self.forwarded(), time.monotonic() + TIMEOUT
        while (carried := self.forwarded() - before) < 95:
            self.assertLess(time.monotonic(), deadline, f"{carried} carried")
            for n in range(100):
                publisher.publish(self.topic("t"), b"%d" % n)
                subscriber.receive()
        clients = {c["id"]: c["fastpath"] for c in self.daemon.clients()["clients"]}
        sent, received = clients[self.id("p")], clients[self.id("s")]
        self.assertEqual((sent["road"], received["road"]), (self.road, self.road))
        self.assertTrue(received["target"])
        self.assertGreaterEqual(sent["messages_in"], carried)
        self.assertEqual(sent["messages_in"], received["messages_out"])


def _text(value):
    """A char array as bpftool's JSON has it: a string or a list of characters."""
    if isinstance(value, list):
        value = "".join(v if isinstance(v, str) and len(v) == 1 else chr(int(str(v), 0)) for v in value)
    return value.split("\0")[0]


class AcrossNamespaces(SystemTest):
    """Containers: clients in another network namespace of this host are local."""

    own_daemon = True
    roads = ("remote",)

    def road_options(self):
        """Both roads on."""
        return ["fastpath true", "fastpath_local on"]

    @own
    def test_local_across_namespaces(self):
        """The local road carries between a client in another namespace and one in the daemon's, both ways."""
        daemon = self.start(listen="0.0.0.0")
        near = Client(Network("127.0.0.1", self.network.daemon_ns, self.network.daemon_ns).socket(daemon.port), "near")
        self.addCleanup(near.close)
        near.connect("near")
        far = self.client("far", daemon)
        near.subscribe(self.topic("near"))
        far.subscribe(self.topic("far"))
        self.install(far, near, self.topic("near"), daemon=daemon)
        self.install(near, far, self.topic("far"), daemon=daemon)
        deadline = time.monotonic() + TIMEOUT
        while daemon.stats()["fastpath"]["local"]["forwarded"] < 380:
            self.assertLess(time.monotonic(), deadline)
            for n in range(200):
                far.publish(self.topic("near"), b"%d" % n)
                self.assertEqual(near.payloads(1), [b"%d" % n])
                near.publish(self.topic("far"), b"%d" % n)
                self.assertEqual(far.payloads(1), [b"%d" % n])


class SmallSegments(SystemTest):
    """As on a real link: a segment a packet, none put together."""

    own_daemon = True
    roads = ("remote",)

    @recorded
    def test_segments(self):
        """Messages below and above the size of a segment, in turn: nothing lost, order kept, small ones forwarded."""
        far = self.namespaces.clients()
        self.namespaces.small_segments(far)
        daemon = self.start(network=far)
        subscriber, publisher = self.client("s", daemon), self.client("p", daemon)
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"), daemon=daemon)
        with self.carries(200, share=0.25, daemon=daemon):  # behind a large one the fence may still be closed
            for n in range(200):
                payload = b"%05d" % n * (1 if n % 4 else 500)
                publisher.publish(self.topic("t"), payload)
                self.assertEqual(subscriber.payloads(1), [payload])
        wanted = [b"%05d" % n * (1 + n * 7 % 600) for n in range(300)]
        for n, payload in enumerate(wanted):
            publisher.publish(self.topic("t"), payload)
            if n % 10 == 9:
                self.assertEqual(subscriber.payloads(10), wanted[n - 9:n + 1])
