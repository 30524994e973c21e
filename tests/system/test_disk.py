# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A disk that fails, or is slow: what needs it waits, all else goes on, and nothing that was acknowledged is lost."""

import errno
import time

from harness import packets as p
from harness import properties as pr
from harness.client import TIMEOUT
from harness.disk import Disk
from harness.suite import APART, SystemTest, own

ERRORS = {
    "full": {"write": errno.ENOSPC},
    "write": {"write": errno.EIO},
    "sync": {"sync": errno.EIO},
    "read_only": {"write": errno.EROFS, "opening": errno.EROFS},
}


class Disks(SystemTest):
    """What the tests need."""

    own_daemon = True
    level = 5

    def trouble(self, *options):
        """A daemon with a disk that can be told to fail: sets self.disk."""
        def before(daemon):
            self.disk = Disk(daemon)
        return self.start(["persistence true", *options], before)

    def until(self, condition, what):
        """Wait until it holds."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.005)

    def silent(self, client, *others):
        """No acknowledgement comes, by the time that others have been served."""
        for other in others:
            other.alive()
        self.assertFalse(client.available_within(0), "an acknowledgement")

    def away(self, daemon, name, count):
        """A stored session with so many messages."""
        client, publisher = self.client(name, daemon, expiry=1000), self.client(f"{name}-p", daemon)
        client.subscribe(self.topic(name), qos=2)
        client.disconnect()
        for n in range(count):
            publisher.publish(self.topic(name), b"%d" % n, 1 + n % 2)
        publisher.disconnect()

    def undisturbed(self, daemon, name):
        """A pair of clients that need no disk: QoS 0, by the kernel where there is a fast path, 1 and 2."""
        subscriber, publisher = self.client(f"{name}-s", daemon), self.client(f"{name}-p", daemon)
        subscriber.subscribe(self.topic(name), qos=2)
        if self.fast:
            self.install(publisher, subscriber, self.topic(name), daemon=daemon)
            self.until_carried(publisher, subscriber, self.topic(name), daemon)
        for n in range(9):
            publisher.publish(self.topic(name), b"%d" % n, n % 3)
        self.assertEqual(subscriber.payloads(9), [b"%d" % n for n in range(9)])
        subscriber.disconnect()
        publisher.disconnect()


class Failing(Disks):
    """Errors of the disk."""

    roads = APART

    def failing(self, error):
        """All of it, with one error."""
        daemon = self.trouble()
        self.away(daemon, "away", 20)
        durable, publisher = self.client("s", daemon, expiry=1000), self.client("p", daemon)
        durable.subscribe(self.topic("t"), qos=2)
        self.undisturbed(daemon, "before")
        self.disk.fail(**ERRORS[error])
        for mid in (1, 2):
            publisher.send(p.publish(self.topic("t"), b"%d" % mid, mid, mid=mid, props=()))
        self.assertEqual(durable.receive(ack=False)[0].payload, b"1")
        self.until(lambda: daemon.stats()["store"]["state"] == "failing", "the store does not tell")
        store = daemon.stats()["store"]
        self.assertTrue(store["error"])
        self.assertGreater(store["waiting"], 0)
        daemon.wait_log("Unable to write the store")
        self.undisturbed(daemon, "meanwhile")
        back = self.client("away", daemon, clean=False, present=True, expiry=1000)  # it is only read
        self.assertEqual(back.receive(ack=False)[0].payload, b"0")
        newcomer = self.client("new", daemon, expiry=1000)
        newcomer.send(p.subscribe(1, (self.topic("t"), 1), props=()))
        self.silent(newcomer, publisher)
        self.assertGreater(self.disk.failed, 0)
        self.disk.fail()
        self.assertEqual(newcomer.expect(p.SUBACK).codes, [1])
        self.assertEqual(publisher.expect(p.PUBACK).mid, 1)
        self.assertEqual(publisher.expect(p.PUBREC).mid, 2)
        daemon.wait_log("can be written again")
        self.assertEqual(daemon.stats()["store"]["state"], "on")
        daemon.kill()
        daemon.start()
        self.client("new", daemon, clean=False, present=True, expiry=0)
        durable = self.client("s", daemon, clean=False, present=True, expiry=0)
        self.assertEqual(durable.receive()[0].payload, b"1")
        back = self.client("away", daemon, clean=False, present=True, expiry=0)
        self.assertEqual(back.payloads(20), [b"%d" % n for n in range(20)])

    @own
    def test_full(self):
        """No space left. 5.0 [MQTT-4.3.2-1] [MQTT-4.3.3-1]"""
        self.failing("full")

    @own
    def test_write(self):
        """I/O errors in writing."""
        self.failing("write")

    @own
    def test_sync(self):
        """I/O errors in syncing: what was written before may be gone, and is written again."""
        self.failing("sync")

    @own
    def test_read_only(self):
        """The file system has become read-only."""
        self.failing("read_only")


class Waiting(Disks):
    """The clients whose acknowledgements wait."""

    roads = ("off",)

    @own
    def test_slow(self):
        """Syncs that last: whoever needs no disk does not wait for it."""
        daemon = self.trouble()
        durable, publisher = self.client("s", daemon, expiry=1000), self.client("p", daemon)
        durable.subscribe(self.topic("t"), qos=1)
        self.disk.sync_ms = 1000 * 1000  # until it is told to be fast again
        publisher.send(p.publish(self.topic("t"), b"x", 1, mid=1, props=()))
        self.assertEqual(durable.receive(ack=False)[0].payload, b"x")
        self.until(lambda: self.disk.slow, "no sync")
        self.undisturbed(daemon, "meanwhile")
        self.silent(publisher, durable)
        self.disk.sync_ms = 0
        self.assertEqual(publisher.expect(p.PUBACK).mid, 1)

    @own
    def test_flood(self):
        """A client of 3.1.1 that goes on publishing is not read any more; when the disk works again, all of it is
        acknowledged, in order. [MQTT-4.6.0-2]"""
        daemon = self.trouble()
        self.away(daemon, "t", 0)
        publisher, other = self.client("p", daemon, level=4), self.client("other", daemon)
        self.disk.fail(write=errno.ENOSPC)
        count = 3000
        publisher.send(*(p.publish(self.topic("t"), b"%d" % n, 1, mid=n) for n in range(1, count + 1)))
        self.until(lambda: daemon.stats()["store"]["state"] == "failing", "the store does not tell")
        other.alive()
        self.assertLess(daemon.stats()["publish"]["received"], count)
        self.silent(publisher, other)
        self.disk.fail()
        self.assertEqual([publisher.expect(p.PUBACK).mid for _ in range(count)], list(range(1, count + 1)))
        daemon.kill()
        daemon.start()
        client = self.client("t", daemon, clean=False, present=True, expiry=0)
        self.assertEqual(client.payloads(count), [b"%d" % n for n in range(1, count + 1)])

    @own
    def test_receive_maximum(self):
        """One of 5.0 is held by Receive Maximum: a message more than it may have open ends its connection, not the
        others'. 5.0 [MQTT-3.3.4-7] [MQTT-4.9.0-1]"""
        daemon = self.trouble("max_inflight_messages 4")
        self.away(daemon, "t", 0)
        publisher, other = self.client("p", daemon), self.client("other", daemon)
        self.assertEqual(publisher.connack.props.get(pr.RECEIVE_MAXIMUM), 4)
        self.disk.fail(sync=errno.EIO)
        publisher.send(*(p.publish(self.topic("t"), b"%d" % n, 1, mid=n, props=()) for n in range(1, 5)))
        self.until(lambda: daemon.stats()["store"]["state"] == "failing", "the store does not tell")
        self.silent(publisher, other)
        self.disk.fail()
        self.assertEqual([publisher.expect(p.PUBACK).mid for _ in range(4)], [1, 2, 3, 4])

    @own
    def test_large(self):
        """Much that is not on disk does not keep a client from what is. 5.0 [MQTT-4.4.0-1]"""
        daemon = self.trouble()
        self.away(daemon, "away", 5)
        self.away(daemon, "t", 0)
        publisher, other = self.client("p", daemon), self.client("other", daemon)
        self.disk.fail(write=errno.ENOSPC)
        for mid in range(1, 9):
            publisher.send(p.publish(self.topic("t"), b"x" * (1 << 20), 1, mid=mid, props=()))
        self.until(lambda: daemon.stats()["store"]["state"] == "failing", "the store does not tell")
        back = self.client("away", daemon, clean=False, present=True, expiry=1000)
        self.assertEqual(back.receive(ack=False)[0].payload, b"0")
        self.silent(publisher, other)
        self.disk.fail()
        self.assertEqual([publisher.expect(p.PUBACK).mid for _ in range(8)], list(range(1, 9)))
