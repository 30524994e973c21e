# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
Calls that fail, each once and in its turn: allocations, accept4(), epoll_ctl(), what writes to sockets, bpf(). A connection
may be closed for it; but the daemon lives, leaks nothing (with AddressSanitizer), serves the others, leaves nobody without an
answer, and has what it acknowledged.

Every SHUNT_INJECT_STRIDE-th call fails, from SHUNT_INJECT_FIRST on; `make inject` takes all of them.
"""

import contextlib
import errno
import os
import shutil
import signal
import tempfile
import unittest.mock

from harness import packets as p
from harness import properties as pr
from harness.client import TIMEOUT, Closed
from harness.daemon import DaemonError
from harness.inject import ACCEPT, BPF, EPOLL, MEMORY, SEND, Inject
from harness.suite import SystemTest, own

STRIDE = int(os.environ.get("SHUNT_INJECT_STRIDE") or 0)
FIRST = int(os.environ.get("SHUNT_INJECT_FIRST") or 0)
ERRORS = {
    MEMORY: [errno.ENOMEM],
    ACCEPT: [errno.EMFILE, errno.ENOMEM, errno.ECONNABORTED],
    EPOLL: [errno.ENOMEM, errno.ENOSPC],
    SEND: [errno.ECONNRESET, errno.ENOMEM, errno.ENOBUFS],
    BPF: [errno.ENOMEM, errno.E2BIG, errno.EPERM],
}
# What libraries say that end the process for want of memory, and how: liburcu; glibc, where a thread first uses the variables of
# a library that was loaded late.
GIVE_UP = {
    "Unrecoverable error: Cannot allocate memory": -signal.SIGABRT,
    "cannot allocate memory for thread-local data: ABORT": 127,
}
SHARED_MEMORY = "/dev/shm"


class Play:
    """Some clients that send and get every type of packet, and what they know for sure afterwards."""

    def __init__(self, test, daemon, name):
        self.test, self.daemon, self.name = test, daemon, name
        self.subscribed = set()  # sessions with a SUBACK
        self.acknowledged = []  # payloads for them, in order
        self.retained = None

    @contextlib.contextmanager
    def scene(self):
        """It ends early when a connection is closed."""
        with contextlib.suppress(Closed, ConnectionError):
            yield

    def client(self, who, level=5, **fields):
        """A connection of one of them; a refusal ends the scene."""
        client = self.test.raw(who, self.daemon, record=False, level=level)
        client.send(client.hello(f"{who}-{self.name}", **fields))
        client.connack = client.expect(p.CONNACK)
        if client.connack.code:
            raise Closed("refused")
        return client

    def ask(self, client, *pairs, props=()):
        """SUBSCRIBE; a refusal ends the scene."""
        client.send(p.subscribe(1, *pairs, props=props))
        if max(client.until(p.SUBACK).codes) >= 0x80:
            raise Closed("refused")

    def run(self):
        """All scenes."""
        for who in ("back", "disk"):
            with self.scene():
                self.subscribe(who)
        with self.scene():
            self.publish()
        with self.scene():
            self.old()
        with self.scene():
            self.live()
        with self.scene():
            self.come_back()
        self.daemon.ctl("stats", check=False)
        self.daemon.ctl("clients", check=False)

    def subscribe(self, who):
        """A session that stays."""
        client = self.client(who, expiry=1000, will=(f"{self.name}/will", b"w", 1, False))
        self.ask(client, (f"{self.name}/t/#", 2), props=[(pr.SUBSCRIPTION_ID, 7)])
        self.subscribed.add(who)
        client.disconnect()

    def publish(self):
        """Messages for it, retained ones, wills that are sent, aliases."""
        client = self.client("p", expiry=1000, will=(f"{self.name}/t/will", b"will", 1, True))
        for qos in (1, 2):
            payload = b"%d" % qos
            client.publish(f"{self.name}/t/a", payload, qos, props=[(pr.USER, ("k", "v")), (pr.MESSAGE_EXPIRY, 1000)])
            self.acknowledged.append(payload)
        client.publish(f"{self.name}/r", b"r", 1, retain=True)
        self.retained = b"r"
        client.publish(f"{self.name}/t/b", b"", 0, props=[(pr.TOPIC_ALIAS, 1)])
        client.publish("", b"", 0, props=[(pr.TOPIC_ALIAS, 1)])
        client.alive()
        client.close()

    def old(self):
        """One of 3.1.1 with a session."""
        client = self.client("old", level=4, clean=False)
        self.ask(client, (f"{self.name}/old", 1), (f"{self.name}/r", 1), props=None)
        for qos in (0, 1, 2):
            client.publish(f"{self.name}/old", b"%d" % qos, qos)
        client.unsubscribe(f"{self.name}/old")
        client.settle()
        client.publish(f"{self.name}/t/old", b"old", 2)
        self.acknowledged.append(b"old")
        client = self.client("old", level=4, clean=False)  # takes it over
        client.settle()
        client.disconnect()

    def live(self):
        """Those who are there, with shared subscriptions, and QoS 0 that may take the fast path."""
        one, two = self.client("one"), self.client("two")
        self.ask(one, (f"{self.name}/live", 2), (f"$share/g/{self.name}/s", 1))
        self.ask(two, (f"{self.name}/live", 0), (f"$share/g/{self.name}/s", 1))
        for n in range(6):
            one.publish(f"{self.name}/live", b"%d" % n, n % 3)
            one.publish(f"{self.name}/s", b"%d" % n, 1)
            two.settle()
            one.settle()
        for n in range(4):
            one.publish(f"{self.name}/live", b"fast")
            two.settle()
        one.unsubscribe(f"{self.name}/live")
        one.disconnect()
        two.disconnect()

    def come_back(self):
        """The session is read from disk, and some of it is taken."""
        client = self.client("back", clean=False, expiry=1000)
        client.alive()

    def check(self, who):
        """Is everything there that was acknowledged? Once each, and in order."""
        client = self.client(who, clean=False, expiry=0)
        if who in self.subscribed:
            self.test.assertTrue(client.connack.present, f"{self.name}: the session of {who} is lost")
            got = []
            while not set(self.acknowledged) <= set(got):
                got.append(client.receive()[0].payload)
            got += [packet.payload for packet in client.settle()]
            kept = [payload for payload in got if payload in self.acknowledged]
            self.test.assertEqual(kept, self.acknowledged, f"{self.name}: {who} got {got}")
        if self.retained:
            client.subscribe(f"{self.name}/r", qos=1)
            got = [packet.payload for packet in client.settle() if packet.topic == f"{self.name}/r"]
            self.test.assertEqual(got, [self.retained], f"{self.name}: {who}")
        client.disconnect()


class Failing(SystemTest):
    """A daemon in which one call after the other fails."""

    own_daemon = True
    level = 5
    limit = 7200 if STRIDE else 120

    def injected(self, *options):
        """A daemon, whose store is in memory."""
        options = ["persistence true", "max_topic_alias 10", *options]
        if os.path.isdir(SHARED_MEMORY):
            store = tempfile.mkdtemp(prefix="shunt-inject-", dir=SHARED_MEMORY)
            self.addCleanup(shutil.rmtree, store, ignore_errors=True)
            os.chmod(store, 0o777)
            options.append(f"persistence_location {store}")

        def before(daemon):
            self.inject = Inject(daemon)
        return self.start(options, before)

    def bystander(self, daemon):
        """Somebody who has nothing to do with it is served as ever."""
        client = self.client("bystander", daemon, client_id="bystander", record=False)
        client.subscribe("bystander", qos=2)
        for qos in range(3):
            client.publish("bystander", b"%d" % qos, qos)
        self.assertEqual(sorted(packet.payload for packet in client.settle()), [b"0", b"1", b"2"])
        client.disconnect()

    def again(self, daemon, plays):
        """Stop it, which tells leaks, and see what is on disk."""
        daemon.stop()
        daemon.start()
        for play in plays:
            with self.subTest(play.name):
                play.check("disk")
        plays.clear()

    def each(self, kind, stride):
        """Every call that the play makes fails once."""
        daemon, plays = self.injected(), []
        warm = Play(self, daemon, "warm")
        warm.run()
        before = self.inject.calls(kind)
        whole = Play(self, daemon, "whole")
        whole.run()
        count = self.inject.calls(kind) - before
        self.assertGreater(count, 0)
        self.assertEqual(whole.subscribed, {"back", "disk"})
        failed = self.inject.failed
        for n in range(FIRST, count, STRIDE or stride):
            errors = ERRORS[kind]
            play = Play(self, daemon, f"{kind}-{n}")
            self.inject.fail(kind, n, errors[n % len(errors)])
            with self.subTest(play.name):
                play.run()
                self.inject.stop()
                self.bystander(daemon)
                play.check("back")
                plays.append(play)
            self.inject.stop()
            daemon.check()
            if len(plays) == 50:
                self.again(daemon, plays)
        self.assertGreater(self.inject.failed, failed)
        self.again(daemon, plays)

    def starts(self, kind, stride):
        """Every call that the start makes fails once: the daemon serves, or says why not."""
        daemon = self.injected("seccomp false")  # libseccomp does not survive it: it loops, or frees what it never had
        count = self.inject.calls(kind)
        daemon.stop()
        if STRIDE:  # the kernel takes minutes for programs from which libbpf has left something out
            self.enterContext(unittest.mock.patch("harness.daemon.START_TIMEOUT", 600))
        for n in range(FIRST, count, STRIDE or stride):
            self.inject.fail(kind, n, ERRORS[kind][n % len(ERRORS[kind])])
            try:
                daemon.start()
                self.inject.stop()
                self.bystander(daemon)
            except (DaemonError, Closed, OSError):  # it may have been reached before it gave up
                said = daemon.tail()
                self.assertEqual(daemon.process.wait(TIMEOUT),
                                 next((status for words, status in GIVE_UP.items() if words in said), 1),
                                 f"call {n}\n{said}")
                daemon.check_log()
                daemon.process = None
                continue
            finally:
                self.inject.stop()
            daemon.stop()


class Calls(Failing):
    """Those of the C library."""

    roads = ("off", "local")

    @own
    def test_memory(self):
        """Allocations."""
        self.each(MEMORY, 151)

    @own
    def test_accept(self):
        """accept4(): whoever could not be accepted is a moment later."""
        self.each(ACCEPT, 7)

    @own
    def test_epoll(self):
        """epoll_ctl()."""
        self.each(EPOLL, 7)

    @own
    def test_send(self):
        """Writing to sockets."""
        self.each(SEND, 41)

    @own
    def test_start(self):
        """Allocations of the start."""
        self.starts(MEMORY, 199 if self.road == "off" else 997)


class Kernel(Failing):
    """bpf()."""

    roads = ("local",)

    @own
    def test_bpf(self):
        """What the kernel does not take, the daemon carries."""
        self.each(BPF, 29)

    @own
    def test_start(self):
        """There is no fast path then, or not all of it."""
        self.starts(BPF, 97)
