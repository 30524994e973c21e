# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Moving in: what clients left at a mosquitto they find again at Shunt, after `shuntctl import`."""

import os
import pwd
import re
import subprocess
import tempfile

from harness import build
from harness import packets as p
from harness import properties as pr
from harness import run
from harness.client import TIMEOUT
from harness.daemon import Daemon
from harness.suite import SystemTest, own

MANY = 700  # more than a session of the store keeps in memory


class Move(SystemTest):
    """Clients of mosquitto, whose broker is another one when they come back."""

    own_daemon = True
    roads = ("off",)

    def setUp(self):
        super().setUp()
        path = build.mosquitto()
        if not path:
            self.skipTest("there is no mosquitto broker: scripts/setup check")
        self.mosquitto = self.broker(path, ["persistence true", "max_queued_messages 0", "queue_qos0_messages true"],
                                     reference=True)
        os.mkdir(f"{self.mosquitto.dir}/store")
        self.shunt = self.broker(self.daemon_path, ["persistence true"])

    def broker(self, path, options, **arguments):
        """One that is not started yet."""
        options = options if arguments else [*self.road_options(), *options]
        broker = Daemon(self.network, options, path, **arguments)
        self.addCleanup(broker.remove)
        return broker

    def shuntctl(self, *arguments):
        """shuntctl import, into Shunt's store: its status and what it says."""
        command = [f"{build.BUILD}/shuntctl", "import", "--database",
                   f"{self.shunt.dir}/store/shunt.db", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
        return done.returncode, done.stdout + done.stderr

    @property
    def file(self):
        """What mosquitto wrote."""
        return f"{self.mosquitto.dir}/store/mosquitto.db"

    def move(self):
        """Stop the one, start the other. Returns the numbers of what was taken over and what not, by the first words."""
        self.mosquitto.stop()
        status, text = self.shuntctl(self.file)
        self.assertEqual(status, 0, text)
        self.shunt.start()
        self.addCleanup(self.shunt.stop)
        return {what: int(n) for n, what in re.findall(r"^ +(\d+)  ([^:\n]+)", text, re.MULTILINE)}

    @own
    def test_queue(self):
        """Subscriptions and what waits for their client, in order, with properties, identifiers and what is left of the
        expiry. 5.0 [MQTT-3.1.2-23] [MQTT-3.3.2-6] [MQTT-4.6.0-6]"""
        self.mosquitto.start()
        client = self.client("s", self.mosquitto, level=5, clean=False, expiry=1000)
        publisher = self.client("p", self.mosquitto, level=5)
        client.subscribe(("q/#", 2), props=[(pr.SUBSCRIPTION_ID, 7)])
        client.subscribe(("own/#", 1 | p.NO_LOCAL), ("as/#", 1 | p.RETAIN_AS_PUBLISHED))
        client.disconnect()
        props = [(pr.CONTENT_TYPE, "text"), (pr.USER, ("a", "b")), (pr.USER, ("a", "c"))]
        for n in range(MANY):
            publisher.publish(f"q/{n % 3}", b"%d" % n, 1 + n % 2,
                              props=[*props, (pr.MESSAGE_EXPIRY, 1000)] if n == 5 else ())
        publisher.publish("q/0", b"", 1)
        publisher.publish("q/0", b"lost", 0)
        publisher.publish("as/a", b"r", 1, retain=True)
        publisher.ping()
        counts = self.move()
        self.assertEqual(counts, {
            "sessions": 1, "subscriptions": 3, "messages that wait for a client": MANY + 2,
            "messages sent to a client that did not acknowledge them to the end": 0,
            "messages of QoS 2 from a client, before their PUBREL": 0, "retained messages": 1,
            "messages of QoS 0 that waited for a client": 1})
        client = self.client("s", self.shunt, level=5, clean=False, present=True, expiry=0)
        got = client.receive(MANY + 2)
        self.assertEqual([x.payload for x in got], [*(b"%d" % n for n in range(MANY)), b"", b"r"])
        self.assertEqual([x.qos for x in got], [*(1 + n % 2 for n in range(MANY)), 1, 1])
        self.assertEqual([x for x in got[5].props if x[0] != pr.MESSAGE_EXPIRY], [(pr.SUBSCRIPTION_ID, 7), *props])
        self.assertIn(got[5].props.get(pr.MESSAGE_EXPIRY), range(500, 1001))
        self.assertTrue(got[-1].retain)
        client.publish("own/a", b"mine", 1)
        self.client("p", self.shunt).publish("own/a", b"theirs", 1)
        self.assertEqual(client.payloads(1), [b"theirs"])
        client.ping()

    @own
    def test_in_flight_to_the_client(self):
        """What was sent is sent again, with the same packet identifiers, in the same order, with DUP; what was received
        goes on with PUBREL; and then comes what was never sent. 5.0 [MQTT-4.4.0-1] [MQTT-4.3.3-6]"""
        self.mosquitto.start()
        client, publisher = self.client("s", self.mosquitto, clean=False), self.client("p", self.mosquitto)
        client.subscribe("t", qos=2)
        for n in range(4):
            publisher.publish("t", b"%d" % n, 1 + n % 2)
        first = client.receive(4, ack=False)
        client.send(p.ack(p.PUBREC, first[1].mid))
        self.assertEqual(client.expect(p.PUBREL).mid, first[1].mid)
        client.close()
        self.mosquitto.wait_log("Client s-.* closed its connection")
        publisher.publish("t", b"4", 2)
        counts = self.move()
        self.assertEqual(counts["messages sent to a client that did not acknowledge them to the end"], 4)
        self.assertEqual(counts["messages that wait for a client"], 1)
        client = self.client("s", self.shunt, clean=False, present=True)
        got = [client.read() for _ in range(4)]
        self.assertEqual([(x.type, x.mid) for x in got],
                         [(p.PUBREL if n == 1 else p.PUBLISH, x.mid) for n, x in enumerate(first)])
        self.assertEqual([(x.payload, x.dup, x.qos) for x in got if x.type == p.PUBLISH],
                         [(b"0", True, 1), (b"2", True, 1), (b"3", True, 2)])
        new = client.receive(ack=False)[0]
        self.assertEqual((new.payload, new.dup, new.qos), (b"4", False, 2))
        self.assertNotIn(new.mid, [x.mid for x in first])
        client.send(p.ack(p.PUBCOMP, first[1].mid))
        for packet in (got[0], got[2]):
            client.acknowledge(packet)
        for packet in (got[3], new):
            client.send(p.ack(p.PUBREC, packet.mid))
            self.assertEqual(client.expect(p.PUBREL).mid, packet.mid)
            client.send(p.ack(p.PUBCOMP, packet.mid))
        client.ping()

    @own
    def test_in_flight_from_the_client(self):
        """QoS 2 that mosquitto received is delivered once, by Shunt, at its PUBREL. 5.0 [MQTT-4.3.3-10]
        [MQTT-4.3.3-12]"""
        self.mosquitto.start()
        client = self.client("s", self.mosquitto, clean=False)
        client.subscribe("t", qos=2)
        publisher = self.client("p", self.mosquitto, clean=False)
        for mid in (5, 6):
            publisher.send(p.publish("t", b"%d" % mid, 2, retain=mid == 6, mid=mid))
            self.assertEqual(publisher.expect(p.PUBREC).mid, mid)
        counts = self.move()
        self.assertEqual(counts["messages of QoS 2 from a client, before their PUBREL"], 2)
        client = self.client("s", self.shunt, clean=False, present=True)
        publisher = self.client("p", self.shunt, clean=False, present=True)
        publisher.send(p.publish("t", b"6", 2, retain=True, dup=True, mid=6))
        self.assertEqual(publisher.expect(p.PUBREC).mid, 6)
        client.ping()
        for mid in (5, 6):
            publisher.send(p.ack(p.PUBREL, mid))
            self.assertEqual(publisher.expect(p.PUBCOMP).mid, mid)
        self.assertEqual(client.payloads(2), [b"5", b"6"])
        client.ping()
        late = self.client("late", self.shunt)
        late.subscribe("t", qos=2)
        self.assertEqual(late.payloads(1), [b"6"])

    @own
    def test_retained(self):
        """Retained messages, with QoS, properties and what is left of the expiry, and No Local, which knows the publisher.
        5.0 [MQTT-3.3.1-5] [MQTT-3.3.2-6]"""
        self.mosquitto.start()
        publisher = self.client("p", self.mosquitto, level=5, clean=False, expiry=1000)
        for n in range(300):
            publisher.publish(f"r/{n}", b"%d" % n, n % 3, retain=True, props=[(pr.USER, ("n", str(n)))])
        publisher.publish("r/2", b"", 1, retain=True)
        publisher.publish("r/3", b"brief", 1, retain=True, props=[(pr.MESSAGE_EXPIRY, 1000)])
        counts = self.move()
        self.assertEqual(counts["retained messages"], 299)
        client = self.client("s", self.shunt, level=5)
        client.subscribe("r/#", qos=2)
        got = {x.topic: x for x in client.receive(299)}
        client.ping()
        self.assertEqual((got["r/299"].payload, got["r/299"].qos), (b"299", 2))
        self.assertEqual(list(got["r/299"].props), [(pr.USER, ("n", "299"))])
        self.assertNotIn("r/2", got)
        self.assertIn(got["r/3"].props.get(pr.MESSAGE_EXPIRY), range(500, 1001))
        publisher = self.client("p", self.shunt, level=5, clean=False, present=True, expiry=0)
        publisher.subscribe(("r/+", 1 | p.NO_LOCAL))
        publisher.ping()

    @own
    def test_refused(self):
        """A store in use, one that is not empty, and files that are not good: the store stays as it was."""
        self.mosquitto.start()
        self.client("s", self.mosquitto, clean=False).subscribe("a")
        self.move()
        self.client("new", self.shunt, clean=False).disconnect()  # so it has its store
        status, text = self.shuntctl(self.file)
        self.assertEqual(status, 1)
        self.assertRegex(text, "in use by another process.*\n.*stop shuntd first")
        self.shunt.stop()
        status, text = self.shuntctl(self.file)
        self.assertEqual(status, 1)
        self.assertRegex(text, "has sessions or retained messages already; with --replace")
        with open(self.file, "rb") as whole, open(f"{self.shunt.dir}/part", "wb") as part:
            part.write(whole.read()[:-1])
        status, text = self.shuntctl("--replace", part.name)
        self.assertEqual(status, 1)
        self.assertRegex(text, r"part: ends within a chunk \(offset \d+, format 6, \d+ bytes\); nothing was changed")
        for name, why in (("/dev/null", "is not a file"), (f"{self.shunt.dir}/none", "No such file")):
            status, text = self.shuntctl("--replace", name)
            self.assertEqual(status, 1)
            self.assertRegex(text, why)
        self.shunt.start()
        self.client("new", self.shunt, clean=False, present=True).disconnect()
        self.shunt.stop()
        status, text = self.shuntctl("--replace", self.file)
        self.assertEqual(status, 0, text)
        self.shunt.start()
        self.client("new", self.shunt, clean=False, present=False)
        self.client("s", self.shunt, clean=False, present=True)


class Where(SystemTest):
    """Which store it is, and whose."""

    own_daemon = True
    roads = ("off",)

    @own
    def test_configuration(self):
        """The configuration says where the store is; it is made for the user that the daemon runs as."""
        file = f"{build.TOP}/tests/fuzz/corpus/mosquitto/mosquitto-2.0"
        for user in ("nobody", "root"):
            folder = tempfile.mkdtemp(dir=run.folder())
            os.chmod(folder, 0o755)
            with open(f"{folder}/conf", "w") as conf:
                conf.write(f"persistence_location {folder}/store\npersistence_file here.db\nuser {user}\n")
            done = subprocess.run([f"{build.BUILD}/shuntctl", "import", "-c", conf.name, file],
                                  capture_output=True, text=True, timeout=TIMEOUT)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"into {folder}/store/here.db:\n         1  sessions\n", done.stdout)
            self.assertIn("conf does not have \"persistence true\"", done.stdout)
            owner = pwd.getpwnam(user).pw_uid if os.geteuid() == 0 else os.geteuid()
            for path in ("store", "store/here.db", "store/here.db.lock"):
                self.assertEqual(os.stat(f"{folder}/{path}").st_uid, owner, path)
