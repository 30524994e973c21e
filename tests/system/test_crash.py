# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A daemon that is killed again and again under load: what it acknowledged is never lost, QoS 2 never comes twice."""

import collections
import os
import random
import signal
import threading
import time

from harness import packets as p
from harness.client import TIMEOUT, Client, Closed, Timeout
from harness.disk import ALL, SYNCS, Disk
from harness.suite import SystemTest, own

KILLS = int(os.environ.get("SHUNT_CRASH_KILLS", "20"))
WINDOW = 10  # messages that a publisher has open
AHEAD = 300  # messages that it is ahead of the subscriber, so that a long run does not end with hours of them


class Peer(threading.Thread):
    """A client with a persistent session that comes back whenever its connection is lost."""

    def __init__(self, daemon, name):
        super().__init__(daemon=True)
        self.target, self.name = daemon, name
        self.stopping, self.error, self.client = threading.Event(), None, None

    def run(self):
        try:
            while not self.over():
                try:
                    self.client = Client(self.target.network.socket(self.target.port), self.name)
                    self.client.connect(self.name, clean=False, present=None)
                    self.connected()
                    while not self.over():
                        self.turn()
                except (OSError, Closed, Timeout):
                    time.sleep(0.005)
                finally:
                    if self.client:
                        self.client.close()
                        self.client = None
        except BaseException as error:  # pylint: disable=broad-except
            self.error = error

    def read(self):
        """A packet if there is one soon, else None."""
        try:
            return self.client.read(0.05)
        except Timeout:
            return None


class Publisher(Peer):
    """Numbers on a topic of its own, with QoS 1 or 2; `acknowledged` is what the daemon has confirmed for good."""

    def __init__(self, daemon, name, qos, subscriber, ahead):
        super().__init__(daemon, name)
        self.topic, self.qos, self.subscriber, self.ahead = f"crash/{name}", qos, subscriber, ahead
        self.number, self.acknowledged, self.ended = 0, set(), False
        self.open = {}  # packet identifier -> [number, PUBREC came], in the order sent

    def over(self):
        return self.ended and not self.open

    def may_go_on(self):
        """Is it not too far ahead?"""
        return self.ahead is None or self.number < self.subscriber.last(self.topic) + self.ahead

    def connected(self):
        """Everything again that was not confirmed, in the same order [MQTT-4.6.0-1]."""
        for mid, (number, received) in self.open.items():
            if received:
                self.client.send(p.ack(p.PUBREL, mid))
            else:
                self.client.send(p.publish(self.topic, b"%d" % number, self.qos, dup=True, mid=mid))

    def turn(self):
        while len(self.open) < WINDOW and not self.ended and self.may_go_on():
            self.ended = self.stopping.is_set()  # there is a last message behind the last crash
            self.number += 1
            mid = self.number % 65535 + 1
            self.open[mid] = [self.number, False]
            self.client.send(p.publish(self.topic, b"%d" % self.number, self.qos, mid=mid))
        packet = self.read()
        if packet is None:
            return
        if packet.type == p.PUBREC:
            self.open[packet.mid][1] = True
            self.client.send(p.ack(p.PUBREL, packet.mid))
        elif packet.mid in self.open:  # PUBACK, PUBCOMP; once more after a repeated PUBREL is allowed
            self.acknowledged.add(self.open.pop(packet.mid)[0])


class Subscriber(Peer):
    """Notes what it gets; of QoS 2 by method B of section 4.3.3: an identifier counts until its PUBREL."""

    def __init__(self, daemon, name):
        super().__init__(daemon, name)
        self.got, self.held, self.sessions = {}, set(), 0

    def last(self, topic):
        """The number that came last."""
        return self.got.get(topic, [0])[-1]

    def story(self):
        """For who wonders what it waits for."""
        return f"{self.name} has {({topic: got[-1] for topic, got in self.got.items()})}, {self.error!r}"

    def over(self):
        return self.stopping.is_set()

    def connected(self):
        if not self.client.connack.present:
            self.held.clear()
            self.client.subscribe("crash/#", qos=2)
            self.sessions += 1

    def turn(self):
        packet = self.read()
        if packet is None:
            return
        if packet.type == p.PUBREL:
            self.held.discard(packet.mid)
            self.client.send(p.ack(p.PUBCOMP, packet.mid))
            return
        if packet.qos < 2 or packet.mid not in self.held:
            self.got.setdefault(packet.topic, []).append(int(packet.payload))
        if packet.qos == 2:
            self.held.add(packet.mid)
        self.client.send(p.ack(p.PUBACK if packet.qos == 1 else p.PUBREC, packet.mid))


class Crash(SystemTest):
    """SIGKILL at random moments, and next to what the store writes."""

    own_daemon = True
    roads = ("off",)
    limit = 60 + 2 * KILLS

    def storm(self, options, faithful, kill, before=None):
        """Kill it under load; `faithful`: it keeps what it promised. `kill` ends it and starts it again."""
        daemon = self.start(["persistence true", *options], before)
        subscriber = Subscriber(daemon, "s")
        subscriber.start()
        self.eventually(lambda: subscriber.sessions)
        ahead = AHEAD if faithful else None  # what a crash may take never comes
        publishers = [Publisher(daemon, f"{name}{qos}", qos, subscriber, ahead) for name in "ab" for qos in (1, 2)]
        for publisher in publishers:
            publisher.start()
        rng = random.Random(os.environ.get("SHUNT_CRASH_SEED") or None)
        for _ in range(KILLS):
            kill(daemon, rng)
        for publisher in publishers:
            publisher.stopping.set()
        for publisher in publishers:
            publisher.join(30)
            self.assertFalse(publisher.is_alive(), f"{publisher.name}: not all is acknowledged: {publisher.open} of "
                             f"{publisher.number}; {subscriber.story()}; {daemon.clients()}; {daemon.stats()['store']}")
        self.eventually(lambda: all(subscriber.last(one.topic) == one.number for one in publishers))
        subscriber.stopping.set()
        subscriber.join(30)
        for peer in (subscriber, *publishers):
            if peer.error:
                raise peer.error
        if faithful:
            self.assertEqual(subscriber.sessions, 1, "the session was lost")
        for publisher in publishers if faithful else ():
            self.check(publisher, subscriber.got[publisher.topic])
        self.assertGreater(sum(len(publisher.acknowledged) for publisher in publishers), KILLS)
        return daemon

    def at_any_time(self, daemon, rng):
        """Between two starts, up to 0.4 s of work."""
        time.sleep(rng.uniform(0.01, 0.4))
        daemon.kill()
        daemon.start()

    def at_writes(self, disk, daemon, rng):
        """Before or after one of the next calls that change the store's files, or one of the next syncs; the same while it
        reads, and repairs, what the last crash has left."""
        disk.die(rng.randrange(40), rng.choice((ALL, SYNCS)), rng.choice((False, True)))
        self.assertEqual(daemon.process.wait(TIMEOUT), -signal.SIGKILL)
        if rng.random() < 0.5:
            disk.die(rng.randrange(6), rng.choice((ALL, SYNCS)), rng.choice((False, True)))
            if self.serves(disk, daemon):
                return
        disk.live()
        self.assertTrue(self.serves(disk, daemon), daemon.tail())

    def serves(self, disk, daemon):
        """Start it, and let no call be its last one any more. False when one was."""
        try:
            daemon.start()
            disk.live()
            daemon.stats()
        except AssertionError:
            if daemon.process.wait(TIMEOUT) != -signal.SIGKILL:
                raise
            return False
        return True

    def eventually(self, condition, timeout=30):
        """Wait until it holds; what the test finds afterwards says what is wrong if it never does."""
        deadline = time.monotonic() + timeout
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.01)

    def check(self, publisher, got):
        """Nothing lost, nothing twice with QoS 2, order by the first time each came."""
        name = publisher.name
        self.assertEqual(sorted(publisher.acknowledged - set(got)), [], f"{name}: acknowledged, and lost")
        if publisher.qos == 2:
            self.assertEqual(sorted(n for n, times in collections.Counter(got).items() if times > 1), [], f"{name}: came twice")
        first = list(dict.fromkeys(got))
        self.assertEqual(first, sorted(first), f"{name}: out of order")

    @own
    def test_sync(self):
        """With `durability sync` a crash costs nothing. [MQTT-4.3.2-1] [MQTT-4.3.3-1] [MQTT-4.6.0-6]"""
        self.storm(["durability sync"], True, self.at_any_time)

    @own
    def test_writes(self):
        """And not at those moments that matter, either: next to each write, sync, unlink of the store's files. [MQTT-4.3.2-1]
        [MQTT-4.3.3-1] [MQTT-4.6.0-6]"""
        disks = []
        self.storm(["durability sync"], True, lambda daemon, rng: self.at_writes(disks[0], daemon, rng),
                   lambda daemon: disks.append(Disk(daemon)))

    @own
    def test_off(self):
        """With `durability off` what was written is kept; of the rest nothing is promised, and all goes on."""
        self.storm(["durability off"], False, self.at_any_time)
