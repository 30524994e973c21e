# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Descriptors run out, peers vanish, clients come and go."""

import contextlib
import time

from harness import packets as p
from harness.client import TIMEOUT, Client, Closed, Timeout
from harness.suite import SystemTest, differs, roads


class Descriptors(SystemTest):
    """EMFILE."""

    own_daemon = True

    def test_emfile(self):
        """With few descriptors the daemon serves whom it can, uses no processor time for those it cannot, and accepts
        again when clients leave. [MQTT-4.8.0-2]"""
        daemon = self.start(["workers 1"], nofile=160)
        first, second = self.client("a", daemon), self.client("b", daemon)
        second.subscribe(self.topic("t"))
        crowd = []
        for n in range(200):
            with contextlib.suppress(OSError):
                crowd.append(self.raw(daemon=daemon))
                crowd[-1].send(p.connect(f"crowd{n}"))
        self.until_idle(daemon)
        for n in range(20):
            first.publish(self.topic("t"), b"%d" % n, n % 3)
            self.assertEqual(second.payloads(1), [b"%d" % n])
        for client in crowd:
            client.close()
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                self.client("late", daemon).ping()
                break
            except (OSError, Closed, Timeout):
                self.assertLess(time.monotonic(), deadline)
        second.ping()


    def until_idle(self, daemon):
        """It has seen to those it has descriptors for, and rests: what spins on accept never does."""
        deadline, used = time.monotonic() + TIMEOUT, float("inf")
        while used >= 0.35:
            self.assertLess(time.monotonic(), deadline, "spins on accept")
            before = daemon.cpu()
            time.sleep(0.7)
            used = daemon.cpu() - before


class Peers(SystemTest):
    """Peers that are half there."""

    def test_silent_connections(self):
        """Connections that send nothing, or a byte, or half a CONNECT, disturb nobody."""
        halves = []
        for data in (b"", b"\x10", p.connect("half")[:9], p.connect("half")[:-1]):
            for _ in range(20):
                client = self.raw()
                client.send(data)
                halves.append(client)
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("t"))
        for n in range(50):
            publisher.publish(self.topic("t"), b"%d" % n)
            self.assertEqual(subscriber.payloads(1), [b"%d" % n])
        for client in halves[::2]:
            client.reset()

    @differs("mosquitto waits longer for a CONNECT")
    def test_connect_deadline(self):
        """A connection without a CONNECT is closed after a while, also when its bytes trickle."""
        silent, trickle = self.raw(), self.raw()
        data = iter(p.connect("x" * 200))
        deadline = time.monotonic() + 30
        gone = set()
        while len(gone) < 2 and time.monotonic() < deadline:
            for client in {silent, trickle} - gone:
                try:
                    if client is trickle:
                        client.send(bytes([next(data)]))
                    client.read(0.2)
                except Timeout:
                    pass
                except (Closed, OSError):
                    gone.add(client)
        self.assertEqual(len(gone), 2)

    def test_half_closed_publisher(self):
        """What a client sent before its FIN is delivered; then the connection ends."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"))
        for n in range(100):
            publisher.publish(self.topic("t"), b"%d" % n)
        publisher.half_close()
        self.assertEqual(subscriber.payloads(100), [b"%d" % n for n in range(100)])
        publisher.closed()

    def test_half_closed_subscriber(self):
        """A subscriber that closed its sending side is gone; its publisher goes on."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"))
        subscriber.half_close()
        for n in range(100):
            publisher.publish(self.topic("t"), b"%d" % n)
        came = [x.payload for x in subscriber.closed()]
        self.assertEqual(came, [b"%d" % n for n in range(len(came))])
        publisher.alive()

    @roads("remote")
    def test_vanished(self):
        """A client whose network is cut, without FIN or RST, is given up by its keep alive; its will is published; the
        publisher of its flow is not disturbed. [MQTT-3.1.2-24]"""
        far = self.namespaces.clients()
        daemon = self.start(listen="0.0.0.0")
        watch, publisher = self.client("watch", daemon), self.client("p", daemon)
        watch.subscribe(self.topic("will"))
        sock = far.socket(daemon.port)
        victim = Client(sock, "victim")
        self.addCleanup(victim.close)
        victim.connect(self.id("victim"), keepalive=3, will=(self.topic("will"), "vanished", 1, False))
        victim.subscribe(self.topic("t"))
        self.install(publisher, victim, self.topic("t"), daemon=daemon)
        self.namespaces.cut(far)
        for _ in range(500):
            publisher.publish(self.topic("t"), b"x" * 1000)
        self.assertEqual(watch.payloads(1), [b"vanished"])
        publisher.alive()

    def test_churn(self):
        """Five hundred clients come, subscribe, publish and leave in every way; the daemon keeps nothing of them."""
        subscriber = self.client("s")
        subscriber.subscribe(self.topic("#"))
        ends = ("disconnect", "close", "reset", "half_close")
        for n in range(500):
            client = self.client("c", client_id=f"churn{n % 50}")
            client.subscribe(self.topic("own", str(n % 7)))
            client.send(p.publish(self.topic("t"), b"%d" % n), p.publish(self.topic("own", str(n % 7)), b"own"), p.PING)
            client.until(p.PINGRESP)
            getattr(client, ends[n % 4])()
            client.close()
        got = [int(x.payload) for x in subscriber.receive(1000) if x.payload != b"own"]
        self.assertEqual(sorted(got), list(range(500)))
        if not self.reference:
            deadline = time.monotonic() + TIMEOUT
            while len(self.daemon.clients()["clients"]) > 1:
                self.assertLess(time.monotonic(), deadline, self.daemon.clients())
                time.sleep(0.02)

    def test_many_connections(self):
        """Five hundred connections at once, each with its topic."""
        clients = []
        for n in range(500):
            client = self.raw(str(n))
            client.send(p.connect(f"many{n}"), p.subscribe(1, (self.topic(str(n)), 0)))
            clients.append(client)
        for client in clients:
            client.expect(p.CONNACK)
            client.expect(p.SUBACK)
        publisher = self.client("p")
        for turn in range(2):
            for n in range(500):
                publisher.publish(self.topic(str(n)), b"%d %d" % (turn, n))
        for n, client in enumerate(clients):
            self.assertEqual(client.payloads(2), [b"%d %d" % (turn, n) for turn in range(2)])
