# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The daemon stops, dies, comes back, or is not alone: invariant 10, and pins."""

import contextlib
import os
import threading
import time

from harness import packets as p
from harness.client import TIMEOUT, Closed, Timeout
from harness.suite import SystemTest, own, recorded


class Stop(SystemTest):
    """SIGSTOP in the middle."""

    own_daemon = True

    def pair(self, daemon):
        """A subscriber with two topics, a publisher, both with flows."""
        subscriber, publisher = self.client("s", daemon), self.client("p", daemon)
        subscriber.subscribe((self.topic("t"), 0), (self.topic("u"), 0), (self.topic("slow"), 1))
        self.install(publisher, subscriber, self.topic("t"), self.topic("u"), daemon=daemon)
        self.until_carried(publisher, subscriber, self.topic("t"), daemon=daemon)
        return subscriber, publisher

    def test_flows_go_on(self):
        """While the daemon is stopped the messages of installed flows arrive, at a moderate rate: until the stop is
        noticed the remote road gives what looks like load to the daemon."""
        if not self.fast:
            self.skipTest("nothing arrives through a stopped daemon")
        daemon = self.start()
        subscriber, publisher = self.pair(daemon)
        with daemon.stopped():
            for n in range(300):
                publisher.publish(self.topic("t" if n % 2 else "u"), b"%d" % n)
                self.assertEqual(subscriber.payloads(1), [b"%d" % n])
                time.sleep(0.003)
        publisher.ping()
        subscriber.ping()

    def test_flows_go_on_for_long(self):
        """Also when the daemon's heartbeat has long been stale; the queue in front of a reader that pauses is bounded,
        and what is above it waits for the daemon, in order."""
        if not self.fast:
            self.skipTest("nothing arrives through a stopped daemon")
        daemon = self.start()
        subscriber, publisher = self.pair(daemon)
        with daemon.stopped():
            time.sleep(1.0)
            for n in range(100):  # the queue holds a few
                publisher.publish(self.topic("t"), b"%d" % n)
                if n % 10 == 9:
                    self.assertEqual(subscriber.payloads(10), [b"%d" % m for m in range(n - 9, n + 1)])
            wanted = [b"%05d" % n + b"x" * 1000 for n in range(400)]
            for payload in wanted:
                publisher.publish(self.topic("t"), payload)
        got = [x.payload for x in self.drain(publisher, subscriber)]
        self.assertEqual(got, wanted)

    @recorded
    def test_nothing_lost_or_reordered(self):
        """Fast messages, new topics, QoS 1 and PINGREQ while the daemon is stopped: all there after SIGCONT, in
        order."""
        daemon = self.start()
        subscriber, publisher = self.pair(daemon)
        other = self.client("other", daemon)
        subscriber.subscribe((self.topic("new", "+"), 0))
        wanted, mine = [], []
        for turn in range(5):
            with daemon.stopped():
                for n in range(20):
                    payload = b"%d %d" % (turn, n)
                    if n == 5:
                        publisher.send(p.publish(self.topic("slow"), payload, 1, mid=turn + 1))
                    elif n == 9:
                        publisher.send(p.PING, p.publish(self.topic("new", str(turn)), payload))
                    else:
                        publisher.send(p.publish(self.topic("t" if n % 2 else "u"), payload))
                    wanted.append(payload)
                other.send(p.publish(self.topic("slow"), b"other %d" % turn))
                mine.append(b"other %d" % turn)
            got = subscriber.payloads(21)
            self.assertEqual([x for x in got if not x.startswith(b"other")], wanted[-20:])
            self.assertEqual([x for x in got if x.startswith(b"other")], mine[-1:])
            self.assertEqual({publisher.read().type for _ in range(2)}, {p.PUBACK, p.PINGRESP})
        for name in ("s", "other"):  # publishers differ: order is per publisher
            self.records.pop(name, None)
        self.note("received", [x.decode() for x in wanted])

    @recorded
    def test_subscriptions_wait(self):
        """SUBSCRIBE and UNSUBSCRIBE wait for the daemon, and hold from their answers on."""
        daemon = self.start()
        subscriber, publisher = self.pair(daemon)
        second = self.client("second", daemon)
        with daemon.stopped():
            second.send(p.subscribe(1, (self.topic("t"), 0)))
            for n in range(20):
                publisher.publish(self.topic("t"), b"%d" % n)
            second.nothing()
        second.until(p.SUBACK)
        for n in range(20, 40):
            publisher.publish(self.topic("t"), b"%d" % n)
        self.assertEqual(subscriber.payloads(40), [b"%d" % n for n in range(40)])
        got = [int(x.payload) for x in self.drain(publisher, second)]
        self.assertEqual(got, list(range(got[0], 40)))
        self.assertLessEqual(got[0], 20)
        self.records.pop("second")

    def test_receiver_leaves_meanwhile(self):
        """The receiver closes while the daemon is stopped: no error at the publisher."""
        daemon = self.start()
        for end in ("close", "reset"):
            subscriber, publisher = self.pair(daemon)
            with daemon.stopped():
                publisher.publish(self.topic("t"), b"unread")
                getattr(subscriber, end)()
                for n in range(50):
                    publisher.publish(self.topic("t"), b"%d" % n)
            publisher.alive()
            publisher.close()


class Kill(SystemTest):
    """SIGKILL, and a new daemon in its place."""

    own_daemon = True

    def pins(self, daemon):
        """The pinned maps."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(os.listdir(daemon.pins))
        return []

    def test_clients_see_a_close(self):
        """When the daemon is killed every client sees its connection closed, and its next sends fail in the ordinary
        ways; nothing hangs."""
        daemon = self.start()
        subscriber, publisher = self.client("s", daemon), self.client("p", daemon)
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"), daemon=daemon)
        idle = self.client("idle", daemon)
        for n in range(50):
            publisher.publish(self.topic("t"), b"%d" % n)
        daemon.kill()
        came = [x.payload for x in subscriber.closed()]
        self.assertEqual(came, [b"%d" % n for n in range(len(came))])
        for client in (idle, publisher):
            client.closed()
        deadline = time.monotonic() + TIMEOUT
        with self.assertRaises(OSError):
            while time.monotonic() < deadline:
                publisher.publish(self.topic("t"), b"to nobody")
        daemon.process = None  # has nothing to stop any more

    def test_restart(self):
        """A daemon in the place of a killed one takes its pins over; clients that reconnect have flows again. Five
        times."""
        daemon = self.start()
        for _ in range(5):
            subscriber, publisher = self.client("s", daemon), self.client("p", daemon)
            subscriber.subscribe(self.topic("t"))
            self.install(publisher, subscriber, self.topic("t"), daemon=daemon)
            daemon.kill()
            subscriber.closed()
            publisher.closed()
            daemon.start()
            if self.fast:
                self.assertEqual(daemon.stats()["fastpath"]["state"], "on", daemon.stats()["fastpath"]["reason"])
                self.assertEqual(daemon.flows()["flows"], [])
                self.assertIn("flows", self.pins(daemon))
        subscriber, publisher = self.client("s", daemon), self.client("p", daemon)
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"), daemon=daemon)
        with self.carries(100, daemon=daemon):
            for n in range(100):
                publisher.publish(self.topic("t"), b"%d" % n)
                self.assertEqual(subscriber.payloads(1), [b"%d" % n])

    def test_reconnected_at_once(self):
        """Clients that reconnect the moment a new daemon listens have flows as all others."""
        daemon = self.start()
        for _ in range(3):
            daemon.kill()
            starting = threading.Thread(target=daemon.start)
            starting.start()
            clients = [self.connect_when_it_listens(name, daemon) for name in ("s", "p")]
            starting.join()
            subscriber, publisher = clients
            subscriber.subscribe(self.topic("t"))
            self.install(publisher, subscriber, self.topic("t"), daemon=daemon)

    def connect_when_it_listens(self, name, daemon):
        """A client that tries again and again."""
        deadline = time.monotonic() + 30
        while True:
            try:
                return self.client(name, daemon)
            except (OSError, Closed):
                self.assertLess(time.monotonic(), deadline)

    @own
    def test_pins_are_removed(self):
        """A daemon that ends in order leaves no pins."""
        daemon = self.start()
        if self.road != "off":
            self.assertIn("flows", self.pins(daemon))
        daemon.stop()
        self.assertEqual(self.pins(daemon), [])

    def test_killed_in_a_flood(self):
        """Killed while publishers send as fast as they can, five times; whoever reconnects is served."""
        daemon = self.start(["workers 2"])
        for _ in range(5):
            subscriber, publisher = self.client("s", daemon), self.client("p", daemon)
            subscriber.subscribe(self.topic("#"))
            self.install(publisher, subscriber, self.topic("t"), daemon=daemon)
            data = p.publish(self.topic("t"), b"x" * 64)
            for _ in range(500):
                publisher.send(data)
            daemon.kill()
            with contextlib.suppress(OSError, Closed, Timeout):
                for _ in range(500):
                    publisher.send(data)
            subscriber.closed()
            daemon.start()


class Two(SystemTest):
    """Two daemons on one machine."""

    own_daemon = True

    @recorded
    def test_same_names(self):
        """The same client identifiers and topics on both: messages stay with their daemon, both have flows."""
        daemons = [self.start(), self.start()]
        pairs = []
        for n, daemon in enumerate(daemons):
            subscriber = self.client("s", daemon)
            subscriber.subscribe(self.topic("#"))
            publisher = self.client("p", daemon)
            self.install(publisher, subscriber, self.topic("t"), daemon=daemon)
            pairs.append((subscriber, publisher))
        with self.carries(200, daemon=daemons[0]), self.carries(200, daemon=daemons[1]):
            for n in range(200):
                for which, (subscriber, publisher) in enumerate(pairs):
                    publisher.publish(self.topic("t"), b"%d %d" % (which, n))
                    self.assertEqual(subscriber.payloads(1), [b"%d %d" % (which, n)])
        for subscriber, _ in pairs:
            subscriber.ping()

    def test_one_ends(self):
        """One is stopped, one is killed: the other's flows go on."""
        stays, goes = self.start(), self.start()
        subscriber, publisher = self.client("s", stays), self.client("p", stays)
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"), daemon=stays)
        for end in ("stop", "kill"):
            with self.carries(100, daemon=stays):
                for n in range(100):
                    if n == 50:
                        getattr(goes, end)()
                    publisher.publish(self.topic("t"), b"%d" % n)
                    self.assertEqual(subscriber.payloads(1), [b"%d" % n])
            goes.start()

    @own
    def test_same_pins(self):
        """A second daemon with the pin path of a living one does not take it over: it says so, serves without pins or
        without the fast path, and the first goes on."""
        if self.road == "off":
            self.skipTest("no pins")
        first = self.start()
        subscriber, publisher = self.client("s", first), self.client("p", first)
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"), daemon=first)
        second = self.start(pins=first.pins)
        with self.carries(100, daemon=first):
            for n in range(100):
                publisher.publish(self.topic("t"), b"%d" % n)
                self.assertEqual(subscriber.payloads(1), [b"%d" % n])
        other = self.client("other", second)
        other.subscribe(self.topic("t"))
        other.publish(self.topic("t"), b"mine")
        self.assertEqual(other.payloads(1), [b"mine"])
        second.stop()
        self.assertIn("flows", os.listdir(first.pins))

    def test_client_of_both(self):
        """One process with clients of both daemons forwards from one to the other, and back: a bridge."""
        one, two = self.start(), self.start()
        here, there = self.client("here", one), self.client("there", two)
        source, sink = self.client("source", one), self.client("sink", two)
        here.subscribe(self.topic("t"))
        sink.subscribe(self.topic("t"))
        for n in range(200):
            source.publish(self.topic("t"), b"%d" % n)
            there.publish(self.topic("t"), here.payloads(1)[0])
            self.assertEqual(sink.payloads(1), [b"%d" % n])
