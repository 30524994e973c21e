# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""More topics than flows, and many subscriptions that come and go beside many flows."""

import json
import os
import subprocess
import time

from harness import packets as p
from harness.client import TIMEOUT
from harness.suite import SystemTest, own, recorded


class Few(SystemTest):
    """fastpath_flows 16."""

    options = ("fastpath_flows 16",)

    def table(self):
        """The flows, which are never more than there may be."""
        stats = self.daemon.stats()["fastpath"]
        self.assertEqual(stats["flows_max"], 16)
        self.assertLessEqual(stats["flows"], 16)
        return {f["topic"] for f in self.daemon.flows()["flows"]}, stats["evicted"]

    @own
    def test_map(self):
        """The kernel's map has that size."""
        if not self.fast:
            self.skipTest("there is none")
        shown = subprocess.run(["bpftool", "-j", "map", "show", "pinned", f"{self.daemon.pins}/flows"], text=True,
                               capture_output=True, check=True, env={"PATH": f"{os.environ['PATH']}:/usr/sbin"})
        self.assertEqual(json.loads(shown.stdout)["max_entries"], 16)

    def each(self, publisher, subscriber, topics, round_):
        """A message on each topic, one by one; all arrive."""
        for topic in topics:
            publisher.publish(topic, b"%d" % round_)
            packet = subscriber.receive()[0]
            self.assertEqual((packet.topic, packet.payload), (topic, b"%d" % round_))

    @own
    def test_busy_ones_stay(self):
        """Of twenty topics the twelve busy ones keep their flows, the others take turns at what is left."""
        subscriber, publisher = self.client("s", road="local"), self.client("p", road="local")
        subscriber.subscribe(self.topic("+"))
        busy = [self.topic(f"busy{n}") for n in range(12)]
        rare = [self.topic(f"rare{n}") for n in range(8)]
        if not self.fast:
            self.each(publisher, subscriber, busy + rare, 0)
            return
        self.install(publisher, subscriber, *busy)
        seen, evicted, round_ = set(), self.table()[1], 0
        before = self.forwarded()
        deadline = time.monotonic() + TIMEOUT
        room = 16 - len(busy)
        while len(seen) <= room:
            assert time.monotonic() < deadline, f"only {seen} got a flow"
            round_ += 1
            self.each(publisher, subscriber, busy * 5, round_)
            self.each(publisher, subscriber, rare[round_ % 8:round_ % 8 + 1], round_)
            topics, now = self.table()
            self.assertLessEqual(set(busy), topics)
            seen |= topics & set(rare)
        self.assertGreaterEqual(now - evicted, len(seen) - room)
        if self.road == "local":  # remote: a message may find the one before still on its way
            self.assertGreater(self.forwarded() - before, 0.9 * 60 * round_)

    @recorded
    def test_all_arrive(self):
        """However many topics there are, each message arrives once, in order. [MQTT-4.6.0-6]"""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("#"))
        wanted = []
        for n in range(3000):
            topic = self.topic(str(n * n % 67))
            publisher.publish(topic, b"%d" % n)
            wanted.append((topic, b"%d" % n))
            if n % 20 == 19:
                self.assertEqual([(x.topic, x.payload) for x in subscriber.receive(20)], wanted[-20:])
        if self.fast:
            self.table()

    @own
    def test_clear_of_others(self):
        """A flow that is not there any more is no flow: its topic's messages arrive as before."""
        subscriber, publisher = self.client("s", road="local"), self.client("p", road="local")
        subscriber.subscribe(self.topic("#"))
        self.install(publisher, subscriber, *(self.topic(str(n)) for n in range(16)))
        if self.fast:
            self.install(publisher, subscriber, self.topic("one more"))
            self.assertGreater(self.table()[1], 0)
        for round_ in range(10):
            self.each(publisher, subscriber, [self.topic(str(n)) for n in range(17)], round_)


class Churn(SystemTest):
    """Ten thousand flows, and clients that subscribe and unsubscribe without pause."""

    exclusive = True
    limit = 120
    FLOWS = 10000
    TURNS = 200

    def fill(self, publisher, subscriber):
        """So many flows, on topics of a house with rooms."""
        topics = [self.topic(str(n // 100), str(n % 100)) for n in range(self.FLOWS)]
        for turn in range(6):
            flows = self.daemon.stats()["fastpath"]["flows"] if self.fast else self.FLOWS
            if turn and flows >= self.FLOWS:
                break
            for start in range(0, self.FLOWS, 50):  # one by one, or the fence keeps the next from the kernel
                publisher.send(*(p.publish(topic, b"fill") for topic in topics[start:start + 50]))
                subscriber.receive(50)
                self.slowly()
        else:
            self.fail(f"{flows} flows of {self.FLOWS}")
        return topics

    def slowly(self):
        """Not so much a second that the daemon takes the remote road from the kernel, and the receiver's flows with it."""
        if self.road != "off":
            time.sleep(0.005)

    def wait_acks(self, client, count, kind):
        """So many acknowledgements, whatever else comes."""
        for _ in range(count):
            client.until(kind)

    @own
    def test_churn(self):
        """Filters that match nothing leave all flows alone, filters that match some remove these only, and in all that
        time messages arrive in order and without loss."""
        subscriber, publisher = self.client("s", road="local"), self.client("p", road="local")
        other = self.client("other", road="remote")
        subscriber.subscribe(self.topic("+", "+"))
        topics = self.fill(publisher, subscriber)
        flows = self.daemon.stats()["fastpath"]["flows"]
        for name, filters in (
                ("unrelated", ["elsewhere/%d/#", "+/+/+/x%d", self.topic("+", "x%d"), "+/elsewhere%d/#"]),
                ("related", [self.topic("7", "+", "%d", "#"), self.topic("8", "#"), self.topic("+", "9"),
                             self.topic("20", "30", "#")])):
            before, sent = self.forwarded(), 0
            for turn in range(self.TURNS):
                for n in range(5):
                    filter_ = filters[(turn * 5 + n) % len(filters)]
                    filter_ = filter_ % turn if "%" in filter_ else filter_
                    other.send(p.subscribe(1, (filter_, 0)), p.unsubscribe(2, filter_))
                wanted = [(topics[(turn * 37 + n * 1009) % self.FLOWS], b"%d %d" % (turn, n)) for n in range(20)]
                for topic, payload in wanted:
                    publisher.publish(topic, payload)
                sent += len(wanted)
                self.assertEqual([(x.topic, x.payload) for x in subscriber.receive(20)], wanted)
                self.wait_acks(other, 5, p.UNSUBACK)
                other.pending.clear()
                self.slowly()
            if name == "unrelated" and self.fast:
                self.assertEqual(self.daemon.stats()["fastpath"]["flows"], flows)
                self.assertGreater(self.forwarded() - before, sent // 2 if self.road == "local" else 0)
            elif self.fast:
                left = {f["topic"] for f in self.daemon.flows()["flows"]}
                levels = [t.split("/")[1:] for t in topics]
                self.assertLessEqual({self.topic(*two) for two in levels
                                      if two[0] not in ("7", "8") and two[1] != "9" and two != ["20", "30"]}, left)
