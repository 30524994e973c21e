# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
Everything at once, for as long as SHUNT_SOAK_SECONDS says: clients that come and go, with sessions, wills, retained messages,
shared subscriptions, takeovers, resets; a configuration that is read again, a fast path that is switched; and beside them the
random operations of test_model, every one of which has to have the outcome that the model says.

It goes in rounds. At the end of each everything ends, and then nothing may be left: no session, no subscription, no message,
no row in the store, no descriptor, and no memory that there was not after the first rounds.
"""

import os
import random
import signal
import sqlite3
import threading
import time

import test_model
from harness import build
from harness import properties as pr
from harness.client import TIMEOUT, Client
from harness.suite import STRANGER, SystemTest, own

SECONDS = int(os.environ.get("SHUNT_SOAK_SECONDS") or 0)  # 0: one short round
OPERATIONS = 4000 if SECONDS else 600  # of the model in a round
CHURNERS = 4
WARM = 0.3  # of the rounds, before memory is compared
ROUNDS = 8  # least, to compare memory
ROOM = 2 << 20  # bytes: what malloc() keeps differs from round to round


class Churner(threading.Thread):
    """Scenes one after the other, of clients of its own. Topics begin with $, so that the model's wildcards do not match."""

    def __init__(self, daemon, number, stop):
        super().__init__(daemon=True)
        self.target, self.number, self.stop = daemon, number, stop
        self.rng, self.error, self.scenes = random.Random(number), None, 0
        self.open = []

    def run(self):
        scenes = (self.session, self.will, self.retained, self.takeover, self.shared, self.flow, self.crowd, self.old)
        try:
            while not self.stop.is_set():
                self.rng.choice(scenes)()
                self.close()
                self.scenes += 1
        except BaseException as error:  # pylint: disable=broad-except
            self.error = error
        finally:
            self.close()

    def close(self):
        """The connections of the scene."""
        for client in self.open:
            client.close()
        self.open.clear()

    def topic(self, name):
        """One of this churner alone."""
        return f"$soak/{self.number}/{name}"

    def client(self, who, level=5, **fields):
        """A connection, on one of the two roads."""
        user = STRANGER if self.rng.random() < 0.5 else None
        client = Client(self.target.network.socket(self.target.port, user=user), who, None, level)
        self.open.append(client)
        return client.connect(f"{who}-{self.number}" if who else "", present=None, **fields)

    def check(self, got, expected):
        """The same payloads, in order."""
        assert got == expected, f"churner {self.number}: {got}, not {expected}"

    def session(self):
        """Messages wait for a client that comes back, is cut off, and comes back again."""
        client, publisher = self.client("s", expiry=1000, clean=True), self.client("p")
        client.subscribe((self.topic("s/#"), 2))
        client.reset()
        sent = [b"%d" % n for n in range(self.rng.randrange(1, 30))]
        for n, payload in enumerate(sent):
            publisher.publish(self.topic("s/t"), payload, 1 + n % 2, props=[(pr.USER, ("a", "b"))])
        client = self.client("s", clean=False, expiry=1000)
        first = client.receive(ack=False)
        client.close()
        self.check([first[0].payload], sent[:1])
        client = self.client("s", clean=False, expiry=0)
        self.check([packet.payload for packet in client.receive(len(sent))], sent)
        client.disconnect()

    def will(self):
        """A will, at once."""
        watcher = self.client("w")
        watcher.subscribe(self.topic("w"), qos=1)
        self.client("dying", will=(self.topic("w"), b"will", 1, False), expiry=self.rng.randrange(2)).reset()
        self.check(watcher.payloads(1), [b"will"])
        self.client("dying", clean=True).disconnect()

    def retained(self):
        """Retained messages, with and without an end."""
        publisher, late = self.client("p"), self.client("late")
        topics = [self.topic(f"r/{n}") for n in range(10)]
        for n, topic in enumerate(topics):
            publisher.publish(topic, b"r", n % 3, retain=True, props=[(pr.MESSAGE_EXPIRY, 1000)] if n % 2 else ())
        publisher.alive()
        late.subscribe((self.topic("r/+"), 1))
        self.check([packet.payload for packet in late.settle()], [b"r"] * 10)
        for topic in topics:
            publisher.publish(topic, b"", 1, retain=True)

    def takeover(self):
        """The same client again and again."""
        for _ in range(5):
            client = self.client("t", expiry=1000, clean=False)
            client.subscribe((self.topic("t"), 1))
        self.client("t", clean=True, expiry=0).disconnect()

    def shared(self):
        """A group."""
        one, two, publisher = self.client("one"), self.client("two"), self.client("p")
        for member in (one, two):
            member.subscribe((f"$share/g/{self.topic('g')}", 1))
        for n in range(20):
            publisher.publish(self.topic("g"), b"%d" % n, 1)
        got = [int(payload) for member in (one, two) for payload in member.payloads(10)]  # in turns
        self.check(sorted(got), list(range(20)))

    def flow(self):
        """QoS 0, most of it by the kernel while that is switched on."""
        subscriber, publisher = self.client("f"), self.client("p")
        subscriber.subscribe(self.topic("f"))
        for n in range(200):
            publisher.publish(self.topic("f"), b"%d" % n)
            self.check(subscriber.payloads(1), [b"%d" % n])

    def crowd(self):
        """Clients without a name."""
        clients = [self.client("") for _ in range(20)]
        for client in clients:
            client.subscribe((self.topic("c"), 0))
        clients[0].publish(self.topic("c"), b"x")
        for client in clients:
            self.check(client.payloads(1), [b"x"])

    def old(self):
        """3.1.1 with a session that a clean one ends."""
        client = self.client("o", level=4, clean=False)
        client.subscribe(self.topic("o"), qos=2)
        for n in range(10):
            client.publish(self.topic("o"), b"%d" % n, n % 3)
        client.settle()
        client.unsubscribe(self.topic("o"))
        client.disconnect()
        self.client("o", level=4, clean=True).disconnect()


class Soak(SystemTest):
    """The rounds."""

    own_daemon = True
    roads = ("both",)
    limit = 2 * SECONDS + 600

    def steer(self, daemon, stop):
        """What an operator does, more often."""
        try:
            while not stop.wait(0.2):
                daemon.signal(signal.SIGHUP)
                daemon.ctl("fastpath", "off")
                daemon.ctl("stats")
                daemon.ctl("fastpath", "on")
                daemon.clients()
                daemon.flows()
        except BaseException as error:  # pylint: disable=broad-except
            self.error = error

    def model(self, seed):
        """Operations, each with the right outcome."""
        run = test_model.Run(self, seed, OPERATIONS)
        try:
            run.run()
        except Exception as error:
            raise AssertionError(f"SHUNT_MODEL_SEED={seed}, round {run.rounds}: {error}") from error
        for one in run.online():
            one.client.close()

    def end_all(self, daemon):
        """The sessions and retained messages that the model has left."""
        for client in daemon.clients()["clients"]:
            self.client("end", daemon, client_id=client["id"], clean=True, present=False, level=4).disconnect()
        client = self.client("last", daemon, level=4)
        client.subscribe("#", qos=2)
        topics = {packet.topic for packet in client.settle()}
        client.unsubscribe("#")
        for topic in topics:
            client.publish(topic, b"", 1, retain=True)
        client.disconnect()

    def until(self, condition, what):
        """Wait until it holds."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.01)

    def rows(self, daemon):
        """How many there are in the store's tables of what comes and goes."""
        database = sqlite3.connect(f"file:{daemon.dir}/store/shunt.db?mode=ro", uri=True)
        try:
            tables = "session", "ended", "subscription", "message", "delivery", "held", "retained"
            return {table: n for table in tables
                    if (n := database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])}
        finally:
            database.close()

    def nothing_left(self, daemon):
        """Only what an idle daemon has. Returns its memory and its descriptors."""
        self.until(lambda: not daemon.clients()["clients"], "clients are left")
        self.until(lambda: not daemon.stats()["subscriptions"], "subscriptions are left")
        self.until(lambda: (stats := daemon.stats())["messages"]["stored"] == stats["retained"],
                   "more messages than those of $SYS are left")
        self.until(lambda: not self.rows(daemon), f"rows are left: {self.rows(daemon)}")
        return daemon.rss(), len(os.listdir(f"/proc/{daemon.process.pid}/fd"))

    def round(self, daemon, number):
        """One: (memory, descriptors) at its end."""
        stop, self.error = threading.Event(), None
        churners = [Churner(daemon, n, stop) for n in range(CHURNERS)]
        threads = [*churners, threading.Thread(target=self.steer, args=(daemon, stop), daemon=True)]
        for thread in threads:
            thread.start()
        try:
            self.model(f"{self.seed}-{number}")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        for error in [self.error, *(churner.error for churner in churners)]:
            if error:
                raise error
        self.assertGreater(sum(churner.scenes for churner in churners), 0)
        self.end_all(daemon)
        return self.nothing_left(daemon)

    @own
    def test_soak(self):
        """Nothing is wrong, nothing is left."""
        self.seed = os.environ.get("SHUNT_MODEL_SEED") or str(time.time_ns())
        daemon = self.daemon = self.start(["persistence true", "durability batch 20", "workers 4", "log_type error",
                                           "max_inflight_messages 60000", "max_queued_messages 100000"])
        end, readings = time.monotonic() + SECONDS, []
        while not readings or time.monotonic() < end:
            readings.append(self.round(daemon, len(readings)))
            if SECONDS:
                print(f"round {len(readings)}: {readings[-1][0] >> 10} kB, {readings[-1][1]} descriptors", flush=True)
        warm = readings[int(len(readings) * WARM):]
        self.assertLessEqual(warm[-1][1], max(fds for _, fds in readings[:2]), "descriptors")
        if len(readings) >= ROUNDS and not build.sanitized():  # a sanitizer keeps what was freed
            third = len(warm) // 3
            self.assertLess(min(rss for rss, _ in warm[-third:]), max(rss for rss, _ in warm[:third]) + ROOM, readings)
