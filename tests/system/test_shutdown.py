# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The end of the daemon: status 0, and clients that see their connection closed. The harness checks status and reports
of sanitizers of every daemon."""

import signal
import threading

from harness import packets as p
from harness.suite import SystemTest


class Shutdown(SystemTest):
    """SIGTERM and SIGINT."""

    own_daemon = True

    def setUp(self):
        super().setUp()
        self.hung = []

    def crowd(self, daemon):
        """Clients in every state."""
        subscriber, publisher = self.client("s", daemon), self.client("p", daemon)
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"), daemon=daemon)
        away = self.client("away", daemon, clean=False)
        away.subscribe(self.topic("q1"), qos=1)
        away.disconnect()
        publisher.publish(self.topic("q1"), b"stored", 1)
        publisher.publish(self.topic("r"), b"retained", 1, retain=True)
        unacknowledged = self.client("u", daemon)
        unacknowledged.subscribe(self.topic("u"), qos=2)
        for n in range(40):
            publisher.publish(self.topic("u"), b"%d" % n, 1 + n % 2)
        unacknowledged.receive(5, ack=False)
        will = self.client("will", daemon, will=(self.topic("t"), "will", 1, True))
        publisher.send(p.publish(self.topic("half"), b"x" * 1000, 2, mid=1)[:500])
        half, nothing = self.raw(daemon=daemon), self.raw(daemon=daemon)
        half.send(b"\x10\x30")
        return [subscriber, publisher, unacknowledged, will, half, nothing]

    def ends(self, number):
        """The signal ends a daemon with clients in every state."""
        daemon = self.start(["workers 3"])
        clients = self.crowd(daemon)
        daemon.signal(number)
        for client in clients:
            client.closed()
        daemon.stop()

    def test_sigterm(self):
        """SIGTERM."""
        self.ends(signal.SIGTERM)

    def test_sigint(self):
        """SIGINT."""
        self.ends(signal.SIGINT)

    def test_idle(self):
        """Without any client, and before any."""
        self.start().stop()

    def test_in_a_flood(self):
        """While publishers send as fast as they can: their connections end, their sends do not hang."""
        daemon = self.start(["workers 3"])
        subscriber = self.client("s", daemon)
        subscriber.subscribe(self.topic("#"))
        publishers = [self.client(f"p{n}", daemon) for n in range(3)]
        threads = [threading.Thread(target=self.flood, args=(c, n % 3)) for n, c in enumerate(publishers)]
        for thread in threads:
            thread.start()
        subscriber.read()
        daemon.signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        daemon.stop()
        self.assertEqual(self.hung, [])

    def flood(self, client, qos):
        """Send until the connection ends; note who is not told of its end."""
        data = p.publish(self.topic(client.name), b"x" * 100, qos, mid=1 if qos else None) * 50
        try:
            while True:
                client.send(data)
        except TimeoutError:
            self.hung.append(client.name)
        except OSError:
            pass

    def test_restart(self):
        """Started again on the same port at once."""
        first = self.start()
        self.client("c", first)
        first.stop()
        second = self.start(port=first.port)
        self.client("c", second).ping()
