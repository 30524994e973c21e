# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The daemon stops, dies, comes back, or is not alone: invariant 10, and pins."""

import array
import contextlib
import errno
import fcntl
import json
import os
import select
import subprocess
import termios
import threading
import time

from harness import packets as p
from harness import run
from harness.client import TIMEOUT, Closed, Timeout
from harness.network import Namespaces, Network
from harness.suite import SystemTest, own, recorded, roads


class Stop(SystemTest):
    """SIGSTOP in the middle."""

    own_daemon = True

    def pair(self, daemon, road=None):
        """A subscriber with two topics, a publisher, both with flows."""
        subscriber, publisher = self.client("s", daemon, road=road), self.client("p", daemon, road=road)
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
        subscriber, publisher = self.pair(daemon, road="local")
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
        subscriber, publisher = self.pair(daemon, road="remote")
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


class Gone(SystemTest):
    """What a daemon that is gone leaves to its clients: what TCP alone leaves."""

    own_daemon = True

    def pair(self, daemon, name=""):
        """A subscriber and a publisher with a flow."""
        subscriber, publisher = self.client(f"s{name}", daemon), self.client(f"p{name}", daemon)
        subscriber.subscribe(self.topic("t", name))
        self.install(publisher, subscriber, self.topic("t", name), daemon=daemon)
        return subscriber, publisher

    def sender(self, client, data):
        """A thread in blocking sends of the data again and again, and a list that gets the error which ends it."""
        client.sock.settimeout(None)
        errors = []

        def send():
            try:
                while True:
                    client.sock.sendall(data)
            except OSError as error:
                errors.append(error.errno)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        return thread, errors

    def assert_ends(self, thread, errors):
        """It ends as a sender to a closed connection does."""
        thread.join(TIMEOUT)
        self.assertFalse(thread.is_alive(), "hangs in send()")
        self.assertIn(errors[0], (errno.EPIPE, errno.ECONNRESET), os.strerror(errors[0]))

    def until_blocked(self, client):
        """The socket takes nothing more."""
        deadline, since = time.monotonic() + TIMEOUT, time.monotonic()
        while time.monotonic() < since + 0.3:
            self.assertLess(time.monotonic(), deadline)
            if select.select([], [client.sock], [], 0.01)[1]:
                since = time.monotonic()

    def test_blocked_publisher(self):
        """Publishers that wait in send() for a stopped daemon, with messages that have a flow and with others, get the
        error of a closed connection when it is killed; the subscriber what was on its way, and the end."""
        for qos in (0, 1):
            daemon = self.start()
            subscriber, publisher = self.pair(daemon)
            with daemon.stopped():
                data = p.publish(self.topic("t", ""), b"x" * 1000, qos, mid=1 if qos else None)
                sending = self.sender(publisher, data)
                self.until_blocked(publisher)
                self.assertEqual(sending[1], [])
                daemon.kill()
            self.assert_ends(*sending)
            self.assertTrue(all(packet.payload == b"x" * 1000 for packet in subscriber.closed()))
            daemon.process = None  # has nothing to stop any more

    def test_unread_is_kept(self):
        """What has reached a subscriber before the daemon is killed can be read afterwards, also when nothing was pinned
        and when a new daemon has removed the pins; then comes the end."""
        wanted = [b"%d" % n for n in range(50)]
        for pins, restart in ((None, False), ("/proc/none", False), (None, True)):
            daemon = self.start(pins=pins)
            subscriber, publisher = self.pair(daemon)
            for payload in wanted:
                publisher.publish(self.topic("t", ""), payload)
            publisher.publish(self.topic("t", ""), b"end", 1)
            self.until_arrived(subscriber, sum(len(p.publish(self.topic("t", ""), x)) for x in [*wanted, b"end"]))
            daemon.kill()
            if restart:
                daemon.start()
                again = self.client("again", daemon)
                again.ping()
            self.assertEqual([packet.payload for packet in subscriber.closed()], [*wanted, b"end"])
            publisher.closed()
            if not restart:
                daemon.process = None

    def until_arrived(self, client, size):
        """So many bytes can be read."""
        deadline, unread = time.monotonic() + TIMEOUT, array.array("i", [0])
        while unread[0] < size:
            self.assertLess(time.monotonic(), deadline, f"{unread[0]} bytes of {size}")
            fcntl.ioctl(client.sock, termios.FIONREAD, unread)
            time.sleep(0.01)

    def test_busy_publishers(self):
        """Publishers in the middle of a flood get no other error when the daemon is killed, and when it is stopped."""
        for end in ("kill", "stop"):
            daemon = self.start(["workers 2"])
            pairs = [self.pair(daemon, str(n)) for n in range(4)]
            senders = [self.sender(publisher, p.publish(self.topic("t", str(n)), b"x" * 64) * 10)
                       for n, (_, publisher) in enumerate(pairs)]
            for subscriber, _ in pairs:
                subscriber.receive(100)
            getattr(daemon, end)()
            for sending in senders:
                self.assert_ends(*sending)
            for subscriber, _ in pairs:
                subscriber.closed()
            daemon.process = None

    def test_no_socket_left(self):
        """When a daemon was killed or stopped, in the middle of messages, and its clients have closed, no socket is left
        in the kernel; and what was connected to it before does not keep a client off the next one's fast path."""
        namespaces = Namespaces(f"{run.tag()}-{os.getpid()}-gone")
        self.addCleanup(namespaces.close)
        network = namespaces.clients()
        if self.road == "local":
            network = Network("127.0.0.1", namespaces.daemon_ns, namespaces.daemon_ns)
        port = network.free_port()
        base = self.settled(namespaces)
        daemon = self.start(network=network, port=port)
        for end in ("kill", "stop", "kill"):
            pairs = [self.pair(daemon, str(n)) for n in range(10)]
            idle = [self.client(f"idle{n}", daemon) for n in range(10)]
            senders = [self.sender(publisher, p.publish(self.topic("t", str(n)), b"x" * 64))
                       for n, (_, publisher) in enumerate(pairs)]
            pairs[0][0].receive(100)
            getattr(daemon, end)()
            for sending in senders:
                self.assert_ends(*sending)
            for client in [*idle, *(client for pair in pairs for client in pair)]:
                client.close()
            deadline = time.monotonic() + TIMEOUT
            while namespaces.sockets() != base:
                self.assertLess(time.monotonic(), deadline, f"{namespaces.sockets()} sockets, at first {base}")
                time.sleep(0.01)
            daemon.start()

    def settled(self, namespaces):
        """The number of sockets when what made the namespaces has gone."""
        number, since = namespaces.sockets(), time.monotonic()
        while time.monotonic() < since + 0.5:
            time.sleep(0.01)
            if (now := namespaces.sockets()) != number:
                number, since = now, time.monotonic()
        return number

    @own
    @roads("local", "remote")
    def test_no_map_left(self):
        """What a killed daemon had pinned is removed by the next one, and the kernel frees it when the last of its
        clients has closed; these can wait as long as they like, and see the end of the connection."""
        daemon = self.start()
        subscriber, publisher = self.pair(daemon)
        before = self.maps(daemon)
        self.assertIn("local_socks", before)
        daemon.kill()
        daemon.start()
        self.assertFalse(set(before.values()) & set(self.maps(daemon).values()))
        self.assertEqual(daemon.flows()["flows"], [])
        again = self.pair(daemon, "again")
        with self.carries(100, daemon=daemon):
            for n in range(100):
                again[1].publish(self.topic("t", "again"), b"%d" % n)
                self.assertEqual(again[0].payloads(1), [b"%d" % n])
        for client in (subscriber, publisher):
            client.closed()
            client.close()
        deadline = time.monotonic() + TIMEOUT
        while left := {name for name, number in before.items() if self.exists(number)}:
            self.assertLess(time.monotonic(), deadline, f"{left} left")
            time.sleep(0.01)

    def maps(self, daemon):
        """Name -> number of the daemon's pinned maps."""
        names = os.listdir(daemon.pins)
        shown = [subprocess.run(["bpftool", "-j", "map", "show", "pinned", f"{daemon.pins}/{name}"],
                                capture_output=True, check=True).stdout for name in names]
        return {name: json.loads(text)["id"] for name, text in zip(names, shown)}

    def exists(self, number):
        """Is there a map of this number?"""
        return subprocess.run(["bpftool", "map", "show", "id", str(number)], capture_output=True).returncode == 0


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
