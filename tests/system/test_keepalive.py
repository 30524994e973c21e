# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Keep alive: section 3.1.2.10. Lower bounds are the standard's; upper ones only say that it happens."""

import time

from harness.client import Closed, Timeout
from harness.suite import SystemTest

LATE = 15.0  # seconds within which a silent client must be gone


class KeepAlive(SystemTest):
    """One and a half times the interval, and what counts as a sign of life."""

    def gone(self, client, since, interval):
        """The broker closes, not before one and a half times the interval since `since`."""
        client.closed(LATE)
        self.assertGreaterEqual(time.monotonic() - since, 1.5 * interval - 0.05)

    def test_silent(self):
        """Without a packet the connection is closed, as if the network had failed: the will is published, and what a
        client receives is no sign of life of it. [MQTT-3.1.2-24] [MQTT-3.1.2-8]"""
        watch = self.client("watch", keepalive=0)
        watch.subscribe(self.topic("will"))
        listener = self.raw("listener")
        since = time.monotonic()
        listener.connect(self.id("listener"), keepalive=1)
        listener.subscribe(self.topic("noise"))
        silent = self.raw("silent")
        silent.connect(self.id("silent"), keepalive=1, will=(self.topic("will"), "silence", 1, False))
        publisher = self.client("p", keepalive=0)
        gone = set()
        while len(gone) < 2 and time.monotonic() - since < LATE:
            publisher.publish(self.topic("noise"), b"x")
            for client in {listener, silent} - gone:
                try:
                    client.read(0.05)
                except Timeout:
                    pass
                except Closed:
                    gone.add(client)
                    self.assertGreaterEqual(time.monotonic() - since, 1.45)
        self.assertEqual(gone, {listener, silent})
        self.assertEqual(watch.payloads(1), [b"silence"])
        watch.ping()

    def test_signs_of_life(self):
        """Any packet is one: PINGREQ, PUBLISH of each QoS, SUBSCRIBE, UNSUBSCRIBE. Keep alive 0
        needs none. [MQTT-3.1.2-24]"""
        signs = {
            "ping": lambda c, n: c.alive(),
            "publish": lambda c, n: c.publish(self.topic("t"), b"x", n % 3),
            "subscribe": lambda c, n: c.subscribe(self.topic("s")),
            "unsubscribe": lambda c, n: c.unsubscribe(self.topic("s")),
            "none": lambda c, n: None,
        }
        clients = {name: self.client(name, keepalive=0 if name == "none" else 2) for name in signs}
        for n in range(8):  # longer than 3 seconds, and no sign late by that, also on a machine that pauses
            time.sleep(0.4)
            for name, sign in signs.items():
                sign(clients[name], n)
        for client in clients.values():
            client.alive()

    def test_signs_that_the_kernel_sees(self):
        """A publisher whose every message the kernel forwards stays connected; once it is silent it is closed.
        [MQTT-3.1.2-24]"""
        subscriber = self.client("s", keepalive=0)
        subscriber.subscribe(self.topic("t"))
        publisher = self.client("p", keepalive=2)  # shuntctl is asked meanwhile, and may take a second
        self.install(publisher, subscriber, self.topic("t"))
        with self.carries(25, share=0.9):
            for n in range(25):
                time.sleep(0.15)
                publisher.publish(self.topic("t"), b"%d" % n)
                since = time.monotonic()
                self.assertEqual(subscriber.payloads(1), [b"%d" % n])
        self.gone(publisher, since, 2)
        subscriber.ping()

    def test_ping_in_time(self):
        """PINGREQ of a client with a flow is answered, once each, between its messages."""
        subscriber = self.client("s", keepalive=3)
        subscriber.subscribe(self.topic("t"))
        publisher = self.client("p", keepalive=3)
        self.install(publisher, subscriber, self.topic("t"))
        for n in range(10):
            for client in (publisher, subscriber):
                client.ping()
            publisher.publish(self.topic("t"), b"%d" % n)
            publisher.ping()
            self.assertEqual(subscriber.payloads(1), [b"%d" % n])
            time.sleep(0.2)
