# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""memory_limit: whatever clients keep in the daemon, it is bounded, and what passes through goes on passing."""

import contextlib
import time

from harness import packets as p
from harness import properties as pr
from harness.client import TIMEOUT
from harness.suite import SystemTest, own

LIMIT = 2000000
OVER = 4000000	# what one look does not see: a turn and a read of each worker
BODY = b"x" * 3900	# such packets may come in parts also when memory is short
SERVER_BUSY, QUOTA_EXCEEDED = 0x89, 0x97


class Memory(SystemTest):
    """A daemon with no other limit that would be reached."""

    options = (f"memory_limit {LIMIT}", "max_queued_messages 0", "workers 2", "persistence false", "sys_interval 0")
    roads = ("off", "local")
    level = 5

    def setUp(self):
        """Two clients that want nothing kept."""
        super().setUp()
        self.until(lambda: not self.memory()["short"])
        self.reader, self.writer, self.count = self.client("reader"), self.client("writer"), 0
        self.reader.subscribe(f"bystander/{self.name}", qos=1)
        self.before = self.memory()["used"]

    def until(self, condition):
        """Wait for it."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)

    def memory(self):
        """What the daemon says of it; more than the limit and a little is never taken."""
        memory = self.daemon.stats()["memory"]
        self.assertLess(memory["used"], LIMIT + OVER)
        return memory

    def bystanders(self):
        """What they exchange comes."""
        for qos in (0, 1):
            self.writer.publish(f"bystander/{self.name}", b"%d" % self.count, qos)
            self.assertEqual(self.reader.payloads(1), [b"%d" % self.count])
            self.count += 1

    def late(self, client):
        """One with a Receive Maximum of 2 that acknowledges only later: it gets the few messages that may wait."""
        sent = [b"%d" % n for n in range(40)]
        for payload in sent:
            self.writer.publish(self.topic("late"), payload, 1)
        got = client.receive(2, ack=False)
        client.nothing()
        for packet in got:
            client.acknowledge(packet)
        got = [packet.payload for packet in got] + client.payloads(16)
        self.assertEqual(got, sent[:18])
        dropped = next(c for c in self.daemon.clients()["clients"] if c["id"] == client.client_id)["dropped"]
        self.assertEqual(dropped["no_memory"], 22)

    @own
    def test_queues(self):
        """Messages for a client that is away are dropped, then, and counted; who has no session is refused with 0x89, and
        who has one can come for what waits: then there is room again. 5.0 section 3.2.2.2"""
        away = self.client("away", expiry=1000)
        away.subscribe(self.topic("t"), qos=1)
        away.disconnect()
        late = self.client("late", props=((pr.RECEIVE_MAXIMUM, 2),))
        late.subscribe(self.topic("late"), qos=1)
        sent = 0
        while sent % 25 or not self.memory()["short"]:
            self.writer.publish(self.topic("t"), b"%08d" % sent + BODY, 1)
            sent += 1
        for _ in range(10):
            self.writer.publish(self.topic("t"), b"%08d" % sent + BODY, 1)
        self.bystanders()
        self.late(late)
        mine = next(c for c in self.daemon.clients()["clients"] if c["id"] == self.id("away"))
        self.assertGreaterEqual(mine["dropped"]["no_memory"], 10)
        self.client("stranger", code=SERVER_BUSY)
        self.daemon.wait_log("Warning: Memory is short, clients take")
        away = self.client("away", clean=False, present=True, expiry=0)
        got = [int(x.payload[:8]) for x in away.settle()]
        self.assertEqual(got, list(range(len(got))))
        self.assertEqual(len(got) + mine["dropped"]["no_memory"], sent + 10)
        self.until(lambda: not self.memory()["short"])
        self.daemon.wait_log("Memory is not short any more")
        self.client("stranger").ping()

    @own
    def test_retained(self):
        """Retained messages and subscriptions are refused with 0x97; what there is can be removed. 5.0 section 3.4.2.1"""
        codes = []
        while QUOTA_EXCEEDED not in codes:
            self.writer.send(p.publish(self.topic(str(len(codes))), BODY, 1, True, mid=1, props=()))
            codes.append(self.writer.expect(p.PUBACK).code)
        self.memory()
        self.bystanders()
        self.reader.subscribe(self.topic("more"), codes=[QUOTA_EXCEEDED])
        for n in range(len(codes)):
            self.writer.publish(self.topic(str(n)), b"", 0, retain=True)
        self.until(lambda: not self.memory()["short"])
        self.reader.subscribe(self.topic("more"))
        self.bystanders()

    @own
    def test_incomplete_packets(self):
        """Clients that send most of a large packet are disconnected when memory is short."""
        before = self.daemon.stats()["closed"]["no_memory"]
        flood = [self.raw().connect(f"flood-{n}") for n in range(20)]
        for client in flood:
            with contextlib.suppress(OSError):
                client.send(p.publish("t", b"x" * 1500000, props=())[:1000000])
            self.bystanders()
        self.memory()
        self.until(lambda: self.daemon.stats()["closed"]["no_memory"] > before)
        for client in flood:
            client.close()
        self.until(lambda: self.memory()["used"] < self.before + 100000)

    @own
    def test_subscriptions(self):
        """A client that fills the topic tree with the deepest filters there are comes to an end of it."""
        greedy = self.client("greedy", expiry=0)
        mid, codes = 0, set()
        while QUOTA_EXCEEDED not in codes:
            mid += 1
            filters = [f"{self.name}/{mid}/{k}" + "/x" * 196 for k in range(5)]
            greedy.send(p.subscribe(mid, *[(one, 0) for one in filters], props=()))
            codes = set(greedy.expect(p.SUBACK).codes)
            self.assertLess(mid, 200)
        self.memory()
        self.bystanders()
        greedy.disconnect()
        self.until(lambda: self.memory()["used"] < self.before + 100000)
        self.bystanders()


class Unlimited(SystemTest):
    """memory_limit 0, and by default half of what the machine has."""

    own_daemon = True
    roads = ("off",)

    @own
    def test_limits(self):
        """What the daemon takes for its limit."""
        with open("/proc/meminfo") as meminfo:
            total = int(next(line for line in meminfo if line.startswith("MemTotal")).split()[1]) * 1024
        self.assertEqual(self.start(["memory_limit 0"]).stats()["memory"]["limit"], 0)
        self.assertAlmostEqual(self.start().stats()["memory"]["limit"], total / 2, delta=8192)
