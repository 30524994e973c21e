# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Floods of one kind after the other: each comes up against a bound, and clients that have nothing to do with it get all
that is theirs, complete and in order."""

import contextlib
import time

from harness import packets as p
from harness import properties as pr
from harness.client import TIMEOUT
from harness.suite import SystemTest, own

CONNECTIONS, SESSIONS, RETAINED, QUEUED, OUTPUT = 60, 20, 30, 10, 65536
NEVER = 0xFFFFFFFF


class Floods(SystemTest):
    """All of them against one daemon with small limits."""

    options = (f"max_connections {CONNECTIONS}", f"max_sessions {SESSIONS}", f"max_retained_messages {RETAINED}",
               f"max_queued_messages {QUEUED}", f"max_output_bytes {OUTPUT}", "max_subscriptions 4", "workers 2",
               "sys_interval 0", "persistence false")
    level = 5
    roads = ("off", "local")

    def setUp(self):
        """Two clients that have nothing to do with it."""
        super().setUp()
        self.until(lambda: self.daemon.stats()["connections"]["open"] == 0)
        self.reader, self.writer, self.count = self.client("reader"), self.client("writer"), 0
        self.reader.subscribe(f"bystander/{self.name}", qos=2)

    def until(self, condition):
        """Wait for it."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)

    def bystanders(self):
        """What they exchange comes, and nothing else does."""
        for qos in (0, 1, 2):
            self.writer.publish(f"bystander/{self.name}", b"%d" % self.count, qos)
            self.assertEqual(self.reader.payloads(1), [b"%d" % self.count])
            self.count += 1
        self.reader.ping()

    def forget(self):
        """Nothing is retained any more."""
        reader = self.raw("forget").connect("forget")
        reader.subscribe("#")
        reader.send(p.PING)
        while (packet := reader.read()).type == p.PUBLISH:
            if packet.retain:
                self.writer.publish(packet.topic, b"", 0, retain=True)
        self.writer.ping()
        reader.close()

    @own
    def test_connections(self):
        """max_connections: of 300 connections that say nothing all are closed but those there is room for."""
        flood = []
        for n in range(300):
            with contextlib.suppress(OSError):
                flood.append(self.raw())
            if n % 30 == 0:
                self.bystanders()
        self.until(lambda: self.daemon.stats()["connections"]["open"] == CONNECTIONS)
        self.bystanders()
        for client in flood:
            client.close()
        self.until(lambda: self.daemon.stats()["connections"]["open"] == 2)
        self.bystanders()

    @own
    def test_sessions(self):
        """max_sessions: 200 clients come, each with another identifier and a session that never expires, subscribe to
        everything and go."""
        for n in range(200):
            client = self.raw()
            client.connect(f"random-{n}", clean=False, expiry=NEVER)
            client.subscribe("flood/#", qos=1)
            client.disconnect()
            if n % 20 == 0:
                self.bystanders()
        self.until(lambda: self.daemon.stats()["clients"]["total"] == SESSIONS + 2)
        for n in range(100):
            self.writer.publish("flood/t", b"%d" % n, 1)
        kept = [c for c in self.daemon.clients()["clients"] if c["id"].startswith("random-")]
        self.assertEqual([c["queued"] for c in kept], [QUEUED] * SESSIONS)
        self.assertEqual([c["dropped"]["queue_full"] for c in kept], [100 - QUEUED] * SESSIONS)
        self.bystanders()
        for client in kept:
            self.raw().connect(client["id"], expiry=0).disconnect()
        self.until(lambda: self.daemon.stats()["clients"]["total"] == 2)

    @own
    def test_wills(self):
        """150 clients die, each with a will that is to be retained for a topic of its own: who takes them gets all, for who
        does not some are dropped, and no more are retained than may be. [MQTT-3.1.2-8]"""
        watch, deaf = self.client("watch"), self.client("deaf", props=[(pr.RECEIVE_MAXIMUM, 1)])
        watch.subscribe("will/#", qos=1)
        deaf.subscribe("will/#", qos=1)
        for n in range(0, 150, 30):
            dying = [self.raw().connect(f"dying-{k}", will=(f"will/{k}", b"%d" % k, 1, True)) for k in range(n, n + 30)]
            for client in dying:
                client.reset()
            self.assertEqual(sorted(int(x) for x in watch.payloads(30)), list(range(n, n + 30)))
            self.bystanders()
        watch.ping()
        stats = self.daemon.stats()
        self.assertEqual(stats["retained"], RETAINED)
        self.assertGreaterEqual(stats["retained_refused"], 150 - RETAINED)
        mine = next(c for c in self.daemon.clients()["clients"] if c["id"] == self.id("deaf"))
        self.assertEqual((mine["inflight"], mine["queued"], mine["dropped"]["queue_full"]), (1, QUEUED, 149 - QUEUED))
        self.forget()

    @own
    def test_retained(self):
        """1000 messages are to be retained for as many topics, and come: but as many are kept as may be."""
        watch = self.client("watch")
        watch.subscribe("flood/#")
        for n in range(1000):
            self.writer.publish(f"flood/{n}", b"%d" % n, 0, retain=True)
            self.assertEqual(watch.payloads(1), [b"%d" % n])
            if n % 100 == 0:
                self.bystanders()
        self.assertEqual(self.daemon.stats()["retained"], RETAINED)
        self.forget()

    @own
    def test_subscriptions_to_all(self):
        """20 clients that never read subscribe again and again to everything: what waits for them is bounded, and none has
        more subscriptions than it may."""
        for n in range(RETAINED):
            self.writer.publish(f"flood/{n}", b"x" * 1000, 1, retain=True)
        deaf = [self.client(f"deaf{n}", rcvbuf=4096) for n in range(20)]
        for client in deaf:
            client.send(*[p.subscribe(n + 1, ("#", 0), (f"other/{n}", 0), props=()) for n in range(30)])
            self.bystanders()
        self.until(lambda: sorted({c["subscriptions"] for c in self.daemon.clients()["clients"]}) == [0, 1, 4])
        for n in range(200):
            self.writer.publish("flood/t", b"x" * 1000)
        self.bystanders()
        for client in self.daemon.clients()["clients"]:
            self.assertLess(client["output_bytes"], 2 * OUTPUT)
            self.assertLessEqual(client["queued"], 30 * RETAINED)
        for client in deaf:
            client.reset()
        self.until(lambda: self.daemon.stats()["connections"]["open"] == 2)
        self.forget()
