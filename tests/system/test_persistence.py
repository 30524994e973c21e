# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What outlives the daemon: sessions and retained messages, section 4.1, over an orderly end and over SIGKILL."""

import contextlib
import os
import sqlite3
import subprocess

from harness import build
from harness import packets as p
from harness import properties as pr
from harness import run
from harness.client import TIMEOUT
from harness.daemon import Daemon
from harness.disk import SYNC_FOLDER, Disk
from harness.suite import SystemTest, own

DURABLE = ["persistence true"]


class Restart(SystemTest):
    """Everything a session has, before and after. Each test ends the daemon with SIGKILL and with SIGTERM."""

    own_daemon = True
    roads = ("off",)
    level = 5
    limit = 120	# thousands of messages, each synced, also with a sanitizer

    def daemon_with(self, *options):
        """A daemon that keeps what it has."""
        return self.start([*DURABLE, *options])

    def again(self, daemon, how):
        """End it and start it anew."""
        if how == "kill":
            daemon.kill()
        else:
            daemon.stop()
        daemon.start()

    def both(self, test):
        """Run a test for both ways to end, each with a daemon of its own."""
        for how in ("kill", "stop"):
            with self.subTest(how):
                test(how)

    def database(self, daemon):
        """Its store, read as anybody may."""
        return sqlite3.connect(f"file:{daemon.dir}/store/shunt.db?mode=ro", uri=True)

    def ask(self, daemon, sql):
        """The one value that a query gives."""
        database = self.database(daemon)
        try:
            return database.execute(sql).fetchone()[0]
        finally:
            database.close()

    @own
    def test_queue(self):
        """Messages that wait for a client, their order, properties and payloads. 5.0 [MQTT-4.1.0-1]"""
        def test(how):
            daemon = self.daemon_with()
            client, publisher = self.client("s", daemon, expiry=1000), self.client("p", daemon)
            client.subscribe(("q/#", 2), props=[(pr.SUBSCRIPTION_ID, 7)])
            client.disconnect()
            props = [(pr.CONTENT_TYPE, "text"), (pr.USER, ("a", "b")), (pr.USER, ("a", "c"))]
            for n in range(2000):
                publisher.publish(f"q/{n % 3}", b"%d" % n, 1 + n % 2, props=props if n == 5 else ())
            self.again(daemon, how)
            client = self.client("s", daemon, clean=False, present=True, expiry=1000)
            got = client.receive(2000)
            self.assertEqual([x.payload for x in got], [b"%d" % n for n in range(2000)])
            self.assertEqual([x.qos for x in got], [1 + n % 2 for n in range(2000)])
            self.assertEqual(list(got[5].props), [(pr.SUBSCRIPTION_ID, 7), *props])
            client.ping()
            client.disconnect()
            self.again(daemon, how)
            client = self.client("s", daemon, clean=False, present=True, expiry=0)
            # Nobody was promised that a PUBCOMP is on disk: after a kill the last PUBREL may come again.
            self.assertEqual(client.settle(), [])
            self.assertEqual(self.ask(daemon, "SELECT count(*) FROM message"), 0)
        self.both(test)

    @own
    def test_in_flight_to_the_client(self):
        """What was sent is sent again, with the same packet identifiers, in the same order, with DUP; what was received
        goes on with PUBREL. 5.0 [MQTT-4.4.0-1] [MQTT-4.3.3-6]"""
        def test(how):
            daemon = self.daemon_with()
            client, publisher = self.client("s", daemon, expiry=1000), self.client("p", daemon)
            client.subscribe("t", qos=2)
            for n in range(4):
                publisher.publish("t", b"%d" % n, 1 + n % 2)
            first = client.receive(4, ack=False)
            client.send(p.ack(p.PUBREC, first[1].mid))
            self.assertEqual(client.expect(p.PUBREL).mid, first[1].mid)
            self.again(daemon, how)
            client = self.client("s", daemon, clean=False, present=True, expiry=1000)
            got = [client.read() for _ in range(4)]
            self.assertEqual([(x.type, x.mid) for x in got],
                             [(p.PUBREL if n == 1 else p.PUBLISH, x.mid) for n, x in enumerate(first)])
            self.assertEqual([(x.payload, x.dup) for x in got if x.type == p.PUBLISH],
                             [(b"0", True), (b"2", True), (b"3", True)])
            client.send(p.ack(p.PUBCOMP, first[1].mid))
            client.acknowledge(got[0])
            client.acknowledge(got[2])
            client.send(p.ack(p.PUBREC, got[3].mid))
            self.assertEqual(client.expect(p.PUBREL).mid, got[3].mid)
            client.send(p.ack(p.PUBCOMP, got[3].mid))
            client.subscribe("so/that/what/was/before/is/on/disk")
            self.again(daemon, how)
            client = self.client("s", daemon, clean=False, present=True, expiry=0)
            client.ping()
        self.both(test)

    @own
    def test_in_flight_from_the_client(self):
        """QoS 2 that was received is delivered once, at its PUBREL, whenever that comes. 5.0 [MQTT-4.3.3-10]
        [MQTT-4.3.3-12]"""
        def test(how):
            daemon = self.daemon_with()
            client = self.client("s", daemon, expiry=1000)
            client.subscribe("t", qos=2)
            publisher = self.client("p", daemon, expiry=1000)
            for mid in (5, 6):
                publisher.send(p.publish("t", b"%d" % mid, 2, mid=mid, props=()))
                self.assertEqual(publisher.expect(p.PUBREC).mid, mid)
            publisher.send(p.ack(p.PUBREL, 5))
            self.assertEqual(publisher.expect(p.PUBCOMP).mid, 5)
            self.again(daemon, how)
            publisher = self.client("p", daemon, clean=False, present=True, expiry=1000)
            publisher.send(p.publish("t", b"6", 2, dup=True, mid=6, props=()))
            self.assertEqual(publisher.expect(p.PUBREC).mid, 6)
            for mid in (5, 6):
                publisher.send(p.ack(p.PUBREL, mid))
                self.assertEqual(publisher.expect(p.PUBCOMP).mid, mid)
            client = self.client("s", daemon, clean=False, present=True, expiry=1000)
            self.assertEqual(client.payloads(2), [b"5", b"6"])
            client.ping()
        self.both(test)

    @own
    def test_subscriptions(self):
        """Options and identifiers of subscriptions, and those that were given up. 5.0 [MQTT-3.1.2-23]"""
        def test(how):
            daemon = self.daemon_with()
            client = self.client("s", daemon, expiry=1000)
            client.subscribe(("own/#", 1 | p.NO_LOCAL), ("as/#", 1 | p.RETAIN_AS_PUBLISHED), ("gone", 1), ("plain", 0))
            client.subscribe(("plain", 1), props=[(pr.SUBSCRIPTION_ID, 9)])
            client.unsubscribe("gone")
            self.again(daemon, how)
            client = self.client("s", daemon, clean=False, present=True, expiry=1000)
            publisher = self.client("p", daemon)
            client.publish("own/a", b"mine", 1)
            publisher.publish("own/a", b"theirs", 1)
            publisher.publish("as/a", b"r", 1, retain=True)
            publisher.publish("gone", b"x", 1)
            publisher.publish("plain", b"id", 1)
            got = client.receive(3)
            self.assertEqual([(x.payload, x.retain) for x in got], [(b"theirs", False), (b"r", True), (b"id", False)])
            self.assertEqual(list(got[2].props), [(pr.SUBSCRIPTION_ID, 9)])
            client.ping()
        self.both(test)

    @own
    def test_retained(self):
        """Retained messages of every QoS, replaced and removed ones too, and No Local, which knows the publisher.
        5.0 [MQTT-3.3.1-5]"""
        def test(how):
            daemon = self.daemon_with()
            publisher = self.client("p", daemon, expiry=1000)
            for n in range(300):
                publisher.publish(f"r/{n}", b"%d" % n, n % 3, retain=True, props=[(pr.USER, ("n", str(n)))])
            publisher.publish("r/1", b"new", 1, retain=True)
            publisher.publish("r/2", b"", 1, retain=True)
            publisher.publish("r/3", b"brief", 1, retain=True, props=[(pr.MESSAGE_EXPIRY, 1000)])
            publisher.publish("none", b"x", 1)
            self.again(daemon, how)
            client = self.client("s", daemon)
            client.subscribe("r/#", "none", qos=2)
            got = {x.topic: x for x in client.receive(299)}
            client.ping()
            self.assertEqual(got["r/1"].payload, b"new")
            self.assertEqual((got["r/299"].payload, got["r/299"].qos), (b"299", 2))
            self.assertEqual(list(got["r/299"].props), [(pr.USER, ("n", "299"))])
            self.assertNotIn("r/2", got)
            self.assertIn(got["r/3"].props.get(pr.MESSAGE_EXPIRY), range(900, 1001))
            publisher = self.client("p", daemon, clean=False, present=True, expiry=0)
            publisher.subscribe(("r/+", 1 | p.NO_LOCAL))
            publisher.ping()
        self.both(test)

    @own
    def test_session_expires_meanwhile(self):
        """A Session Expiry Interval goes on while there is no daemon. 5.0 [MQTT-4.1.0-2]"""
        daemon = self.daemon_with()
        for name, expiry in (("short", 1), ("long", 1000)):
            client = self.client(name, daemon, expiry=expiry)
            client.subscribe("t", qos=1)
            client.disconnect()
        daemon.kill()
        daemon.start()
        daemon.wait_log("Expiring client short-")
        self.client("short", daemon, clean=False, present=False)
        self.client("long", daemon, clean=False, present=True, expiry=0).disconnect()

    @own
    def test_will(self):
        """A will whose delay runs, and those of clients that were connected when the daemon was killed. 5.0
        [MQTT-3.1.2-8] [MQTT-3.1.3-9]"""
        daemon = self.daemon_with()
        watcher = self.client("w", daemon, expiry=1000)
        watcher.subscribe("will/#", qos=1)
        delayed = self.client("delayed", daemon, expiry=1000, will=("will/delayed", b"x", 1, False),
                              will_props=[(pr.WILL_DELAY, 2)])
        delayed.close()
        self.client("left", daemon, expiry=1000, will=("will/left", b"x", 1, False)).disconnect()
        cut = self.client("cut", daemon, expiry=1000, will=("will/cut", b"y", 1, True))
        back = self.client("back", daemon, expiry=1000, will=("will/back", b"x", 1, False),
                           will_props=[(pr.WILL_DELAY, 1000)])
        daemon.wait_log("Client delayed-.*closed")
        watcher.subscribe("so/that/what/was/before/is/on/disk", qos=1)
        daemon.kill()
        daemon.start()
        watcher = self.client("w", daemon, clean=False, present=True, expiry=1000)
        got = {x.topic: x.payload for x in watcher.receive(2)}
        self.assertEqual(got, {"will/cut": b"y", "will/delayed": b"x"})
        self.client("back", daemon, clean=False, present=True, expiry=0).disconnect()
        watcher.ping()
        del cut, back

    @own
    def test_will_expiry(self):
        """The Message Expiry Interval of a will begins when it is published, also behind a restart. 5.0 [MQTT-3.1.2-8]
        [MQTT-3.3.2-6]"""
        daemon = self.daemon_with()
        away = self.client("s", daemon, expiry=1000)
        away.subscribe("will/#", qos=1)
        away.disconnect()
        for name, delay in (("now", 0), ("later", 2)):
            self.client(name, daemon, expiry=1000, will=(f"will/{name}", b"x", 1, False),
                        will_props=[(pr.WILL_DELAY, delay), (pr.MESSAGE_EXPIRY, 1000)]).close()
            daemon.wait_log(f"Client {name}-.*closed")
        self.client("w", daemon, expiry=1000).subscribe("so/that/what/was/before/is/on/disk", qos=1)
        daemon.kill()
        daemon.start()
        got = self.client("s", daemon, clean=False, present=True, expiry=0).receive(2)
        self.assertEqual([packet.topic for packet in got], ["will/now", "will/later"])
        for packet in got:
            self.assertIn(packet.props.get(pr.MESSAGE_EXPIRY), range(900, 1001))

    @own
    def test_shared(self):
        """What a member of a shared subscription did not acknowledge goes to another when its session ends, also from
        disk. 5.0 section 4.8.2"""
        daemon = self.daemon_with()
        gone, publisher = self.client("gone", daemon, expiry=1000), self.client("p", daemon)
        gone.subscribe("$share/g/t", qos=1)
        gone.disconnect()
        for n in range(300):
            publisher.publish("t", b"%d" % n, 1)
        daemon.kill()
        daemon.start()
        other = self.client("other", daemon, expiry=1000)
        other.subscribe("$share/g/t", qos=1)
        self.client("gone", daemon, clean=True, present=False, expiry=0).disconnect()
        self.assertEqual(sorted(int(x) for x in other.payloads(300)), list(range(300)))
        other.ping()

    @own
    def test_clean_start(self):
        """A clean start leaves nothing on disk, either. 5.0 [MQTT-3.1.2-4]"""
        daemon = self.daemon_with()
        client, publisher = self.client("s", daemon, expiry=1000), self.client("p", daemon)
        client.subscribe("t", qos=2)
        client.disconnect()
        for n in range(1000):
            publisher.publish("t", b"%d" % n, 1)
        self.client("s", daemon, clean=True, present=False, expiry=0).disconnect()
        daemon.stop()
        daemon.start()
        self.client("s", daemon, clean=False, present=False).disconnect()
        self.assertEqual(self.ask(daemon, "SELECT count(*) FROM session"), 0)

    @own
    def test_takeover(self):
        """A client takes its session over again and again, with messages in flight: none is lost, none comes twice with
        QoS 2. 5.0 [MQTT-3.1.4-3]"""
        daemon = self.daemon_with()
        client, publisher = self.client("s", daemon, expiry=1000), self.client("p", daemon)
        client.subscribe("t", qos=2)
        got = []
        for n in range(40):
            publisher.publish("t", b"%d" % n, 2)
            if n % 4 == 3:
                got += client.payloads(2)
                client = self.client("s", daemon, clean=False, present=True, expiry=1000)
        got += client.payloads(40 - len(got))
        self.assertEqual(got, [b"%d" % n for n in range(40)])
        client.ping()

    @own
    def test_slow_reader(self):
        """A client that is connected and does not acknowledge: what is behind the window is on disk, not in memory."""
        daemon = self.daemon_with("max_inflight_messages 5")
        client, publisher = self.client("s", daemon, expiry=1000), self.client("p", daemon)
        client.subscribe("t", qos=1)
        before = daemon.rss()
        for n in range(600):
            publisher.publish("t", b"%08d" % n + b"x" * 50000, 1)
        if not build.sanitized():  # a sanitizer keeps what was freed
            self.assertLess(daemon.rss() - before, 12 << 20)
        self.assertEqual([int(x.payload[:8]) for x in client.receive(600)], list(range(600)))
        client.ping()


class Folder(SystemTest):
    """Where the store is."""

    own_daemon = True
    roads = ("off",)

    @own
    def test_made(self):
        """A folder that was made is on disk itself before anything in it is: its name is synced, too."""
        disks = []

        def before(daemon):
            disks.append(Disk(daemon, daemon.dir))
            disks[0].record = 1
        daemon = self.start(DURABLE, before)
        self.client("any", daemon).ping()  # it can be reached before it has opened the store
        done = disks[0].journal()
        parent = done.index((SYNC_FOLDER, 1, ""))
        self.assertLess(parent, next(at for at, entry in enumerate(done) if entry[2] == "store/shunt.db"))


class Trouble(SystemTest):
    """Files that are not as they should be."""

    own_daemon = True
    roads = ("off",)

    def ruin(self, daemon, at, data):
        """Stop it and overwrite a part of its store."""
        daemon.stop()
        self.assertEqual(sorted(os.listdir(f"{daemon.dir}/store")), ["shunt.db", "shunt.db.lock"])
        with open(f"{daemon.dir}/store/shunt.db", "r+b") as store:
            store.seek(at)
            store.write(data)

    def refuses(self, daemon, why):
        """It ends at its start, and says why."""
        with contextlib.suppress(AssertionError):
            daemon.start()  # it listens before it opens its store
        self.assertEqual(daemon.process.wait(TIMEOUT), 1)
        self.assertRegex(daemon.log(), why)
        daemon.process = None

    @own
    def test_damaged(self):
        """A damaged store is set aside, and the daemon starts with an empty one."""
        daemon = self.start(DURABLE)
        self.client("s", daemon, clean=False).disconnect()
        self.ruin(daemon, 0, b"\0" * 4096)
        daemon.start()
        self.client("s", daemon, clean=False, present=False)
        aside = [name for name in os.listdir(f"{daemon.dir}/store") if ".damaged-" in name]
        self.assertEqual(len(aside), 1)
        daemon.wait_log("is damaged. It was renamed to")

    @own
    def test_damaged_inside(self):
        """Also when that is seen only in reading it, because it was closed in order."""
        daemon = self.start(DURABLE)
        client = self.client("s", daemon, clean=False)
        for n in range(200):
            client.publish(f"{self.name}/{n}", b"x" * 1000, 1, retain=True)
        client.disconnect()
        daemon.stop()
        size = os.path.getsize(f"{daemon.dir}/store/shunt.db")
        with open(f"{daemon.dir}/store/shunt.db", "r+b") as store:
            store.seek(size // 8192 * 4096)  # a page in the middle: of messages
            store.write(b"\xff" * 4096)
        daemon.start()
        client = self.client("s", daemon, clean=False, present=False)
        client.subscribe(f"{self.name}/#")
        client.ping()
        daemon.wait_log("Unable to read the store .* malformed")
        daemon.wait_log("is damaged. It was renamed to")

    @own
    def test_damaged_refused(self):
        """Or the daemon does not start, if that is wanted."""
        daemon = self.start([*DURABLE, "persistence_damaged refuse"])
        self.client("s", daemon, clean=False).disconnect()
        self.ruin(daemon, 0, b"\0" * 4096)
        self.refuses(daemon, "Error: Unable to open the store .*shunt.db: .*set_aside")

    @own
    def test_in_use(self):
        """Two daemons never write one store."""
        daemon = self.start(DURABLE)
        second = Daemon(self.network, [*DURABLE, f"persistence_location {daemon.dir}/store"], self.daemon_path)
        self.addCleanup(second.remove)
        self.refuses(second, "is in use by another process")

    @own
    def test_mosquittos(self):
        """mosquitto's file is never taken for a damaged one."""
        daemon = self.start(DURABLE)
        self.ruin(daemon, 0, b"\x00\xb5\x00mosquitto db\x00" + b"\0" * 64)
        self.refuses(daemon, "shunt.db was written by mosquitto")

    @own
    def test_full_disk(self):
        """While the disk takes nothing, QoS 0 and clients that need no disk go on; PUBACKs for those that do come when it
        takes it."""
        folder = f"{run.folder()}/full"
        os.mkdir(folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=777", "full", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", folder], check=True)
        daemon = self.start([*DURABLE, f"persistence_location {folder}"])
        durable, publisher = self.client("s", daemon, clean=False), self.client("p", daemon)
        plain, other = self.client("plain", daemon), self.client("other", daemon)
        durable.subscribe("t", qos=1)
        plain.subscribe("u", qos=1)
        filler = os.open(f"{folder}/filler", os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while True:
                os.write(filler, b"x" * 4096)
        os.close(filler)
        publisher.send(p.publish("t", b"x" * 100000, 1, mid=1))
        self.assertEqual(durable.receive(ack=False)[0].mid, 1)
        daemon.wait_log("Unable to write the store .* disk is full")
        for n in range(10):
            other.publish("u", b"%d" % n, n % 2)
        self.assertEqual(plain.payloads(10), [b"%d" % n for n in range(10)])
        self.assertFalse(publisher.available_within(0))
        os.unlink(f"{folder}/filler")
        self.assertEqual(publisher.expect(p.PUBACK).mid, 1)
        daemon.wait_log("can be written again")
        daemon.kill()
        daemon.start()
        durable = self.client("s", daemon, clean=False, present=True)
        self.assertEqual(len(durable.receive()[0].payload), 100000)
        daemon.stop()
