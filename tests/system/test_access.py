# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""password_file and acl_file: who comes in, what they may do, and what a reload makes of it."""

import json
import os
import signal
import subprocess
import time

from harness import build, run
from harness import packets as p
from harness import properties as pr
from harness.client import TIMEOUT
from harness.suite import SystemTest, own

NOT_AUTHORIZED = 0x87
USERS = {"ann": "pencil", "bob": "rubber", "cat": "crayon"}
KINDS = {"ann": "sha512", "bob": "sha512-pbkdf2", "cat": "argon2id"}
RULES = """
topic read news/#
user ann
topic #
user bob
topic write in/+
topic read out/#
topic deny out/secret
pattern readwrite own/%u/%c/#
"""


class Access(SystemTest):
    """Daemons whose files are the test's."""

    own_daemon = True
    level = 5

    def setUp(self):
        super().setUp()
        if self.reference:
            self.skipTest("the reference has files of its own")
        self.folder = f"{run.folder()}/{type(self).__module__}-{self.name}-{self.road}"
        os.makedirs(self.folder, mode=0o755, exist_ok=True)
        self.passwords, self.acl = f"{self.folder}/users", f"{self.folder}/acl"

    def set_user(self, name, password=None):
        """Put a user into the file."""
        new = [] if os.path.exists(self.passwords) else ["-c"]
        subprocess.run([f"{build.BUILD}/shuntctl", "passwd", *new, "-b", "-H", KINDS[name], self.passwords, name,
                        password or USERS[name]], check=True, timeout=TIMEOUT)
        os.chmod(self.passwords, 0o644)

    def set_rules(self, text):
        """Write the rules."""
        with open(self.acl, "w") as rules:
            rules.write(text)
        os.chmod(self.acl, 0o644)

    def begin(self, *lines, users=USERS, rules=None):
        """A daemon with the files."""
        for name in users:
            self.set_user(name)
        if rules is not None:
            self.set_rules(rules)
            lines = (f"acl_file {self.acl}", *lines)
        if users:
            lines = (f"password_file {self.passwords}", *lines)
        return self.start(lines)

    def user(self, daemon, name, client_id=None, password=None, **fields):
        """A client of a user."""
        return self.client(client_id or name, daemon, username=name,
                           password=(password or USERS[name]).encode() if name in USERS else None, **fields)


class Passwords(Access):
    """Coming in."""

    limit = 120	# a password may take a second with a sanitizer, and longer on a busy machine

    @own
    def test_kinds(self):
        """All of mosquitto's hashes; with the wrong password nobody comes in, nor does a name that is not there."""
        daemon = self.begin("allow_anonymous false")
        for level in (3, 4, 5):
            for name, password in USERS.items():
                self.user(daemon, name, level=level).alive()
                for wrong in (password[:-1], password + "x", USERS["ann" if name != "ann" else "bob"]):
                    self.refused(daemon, level, username=name, password=wrong.encode())
            self.refused(daemon, level, username="dan", password=b"pencil")
            self.refused(daemon, level, username="ann")
            self.refused(daemon, level)
        daemon.wait_log(r"Client \S+ \[127|Client \S+ \[10")
        self.assertGreater(daemon.stats()["closed"]["not_authorised"], 15)
        self.assertNotIn("crayo", daemon.log())

    def refused(self, daemon, level, **fields):
        """It is told so, and cut off. 3.1.1 [MQTT-3.2.2-5], 5.0 [MQTT-3.2.2-7]"""
        client = self.raw("x", daemon, record=False)
        client.send(client.hello("x", level=level, **fields))
        self.assertEqual([x.code for x in client.closed()], [NOT_AUTHORIZED if level == 5 else 5])

    @own
    def test_anonymous_too(self):
        """allow_anonymous lets in who gives no name, and only those."""
        daemon = self.begin("allow_anonymous true", users=["ann"])
        self.client("nobody", daemon).alive()
        self.user(daemon, "ann").alive()
        self.refused(daemon, 5, username="ann", password=b"x")

    @own
    def test_others_go_on(self):
        """A flood of logins that take long: others do not wait for them, and who goes away meanwhile hurts nobody."""
        daemon = self.begin("allow_anonymous true", users=["cat"])
        reader, writer = self.client("r", daemon), self.client("w", daemon)
        reader.subscribe(self.topic("t"))
        refused, flood, deadline = 0, [], time.monotonic() + TIMEOUT
        while refused >= len(flood):  # else some still wait
            self.assertLess(time.monotonic(), deadline, "the logins are always faster")
            for n in range(max(8, len(flood))):
                client = self.raw(f"flood-{n}", daemon, record=False)
                client.send(client.hello(f"flood-{n}", username="cat", password=b"wrong"))
                flood.append(client)
            for n in range(20):
                writer.publish(self.topic("t"), b"%d" % n)
                self.assertEqual(reader.payloads(1), [b"%d" % n])
            refused = daemon.stats()["closed"]["not_authorised"]
        for client in flood[::2]:
            client.close()
        for client in flood[1::2]:
            self.assertEqual([x.code for x in client.closed(3 * TIMEOUT)], [NOT_AUTHORIZED])
        self.user(daemon, "cat").alive()

    @own
    def test_reload_meanwhile(self):
        """A reload while passwords are being checked turns nobody away who may come in by the new files, and lets nobody
        in who may not."""
        daemon = self.begin("allow_anonymous false", users=["cat"])
        for password in ("", "other"):
            if password:
                self.set_user("cat", password)
            waiting = []
            for n in range(8):
                client = self.raw(f"w{n}", daemon, record=False)
                client.send(client.hello(f"w{n}", username="cat", password=USERS["cat"].encode()))
                waiting.append(client)
            daemon.reload()
            for client in waiting:
                if password:
                    self.assertEqual(client.closed(3 * TIMEOUT)[-1].code, NOT_AUTHORIZED)
                else:
                    self.assertEqual(client.read(3 * TIMEOUT).code, 0)
                    client.alive()
                    client.disconnect()

    @own
    def test_stop(self):
        """A daemon that stops leaves nothing of the checks that it has not done."""
        daemon = self.begin("allow_anonymous true", users=["cat"])
        for n in range(20):
            client = self.raw(f"flood-{n}", daemon, record=False)
            client.send(client.hello(f"flood-{n}", username="cat", password=b"wrong"))
        self.client("last", daemon).alive()
        daemon.stop()

    @own
    def test_changed_users(self):
        """Who is connected as a user that left, or whose password changed, is disconnected; others notice nothing."""
        daemon = self.begin("allow_anonymous true")
        ann, bob, cat, anybody = (self.user(daemon, "ann"), self.user(daemon, "bob"), self.user(daemon, "cat"),
                                  self.client("anybody", daemon))
        subprocess.run([f"{build.BUILD}/shuntctl", "passwd", "-D", self.passwords, "ann"], check=True, timeout=TIMEOUT)
        self.set_user("bob", "other")
        daemon.reload()
        for gone in (ann, bob):
            self.assertEqual([x.code for x in gone.closed()], [NOT_AUTHORIZED])
        for there in (cat, anybody):
            there.alive()
        self.refused(daemon, 5, username="ann", password=b"pencil")
        self.user(daemon, "bob", password="other").alive()

    @own
    def test_bad_file(self):
        """A file that is wrong is not taken over, and does not start a daemon."""
        daemon = self.begin("allow_anonymous false", users=["ann"])
        with open(self.passwords, "a") as users:
            users.write("bob:plain\n")
        daemon.signal(signal.SIGHUP)
        daemon.wait_log(r"is not taken over")
        self.assertRegex(daemon.log(), rf"{self.passwords}:2: ")
        self.user(daemon, "ann").alive()
        done = subprocess.run([f"{build.BUILD}/shuntd", "-o", f"password_file {self.passwords}", "--test-config"],
                              capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{self.passwords}:2: ", done.stderr)

    @own
    def test_mosquitto_clients(self):
        """As mosquitto's own clients see it."""
        daemon = self.begin("allow_anonymous false", users=["ann"])
        for password, status in (("pencil", 0), ("x", 5)):
            command = ["mosquitto_pub", "-h", daemon.network.address, "-p", str(daemon.port), "-u", "ann", "-P", password,
                       "-t", "t", "-m", "x", "-V", "mqttv311"]
            done = subprocess.run(daemon.network.client_command(command), capture_output=True, timeout=TIMEOUT)
            self.assertEqual(done.returncode, status, done.stderr)


class Rights(Access):
    """What clients may do."""

    def carried(self, daemon):
        """Messages that the kernel forwarded."""
        fastpath = daemon.stats()["fastpath"]
        return sum(fastpath[road]["forwarded"] for road in ("local", "remote"))

    @own
    def test_publish(self):
        """What may not be published is acknowledged and dropped. 3.1.1 [MQTT-3.3.5-2], 5.0 section
        3.4.2.1"""
        daemon = self.begin("allow_anonymous true", rules=RULES)
        ann = self.user(daemon, "ann")
        ann.subscribe("#", qos=2)
        for level in (4, 5):
            bob = self.user(daemon, "bob", level=level)
            for topic, allowed in (("in/a", True), ("in/a/b", False), ("out/a", False), ("own/bob/x", False),
                                   (f"own/bob/{self.id('bob')}/x", True)):
                for qos in (0, 1, 2):
                    if level == 4:
                        bob.publish(topic, b"4", qos)
                    else:
                        bob.send(p.publish(topic, b"5", qos, mid=9, props=()))
                        if qos:
                            code = bob.expect(p.PUBACK if qos == 1 else p.PUBREC).code
                            self.assertEqual(code, 0 if allowed else NOT_AUTHORIZED)
                        if qos == 2 and allowed:
                            bob.send(p.ack(p.PUBREL, 9))
                            bob.expect(p.PUBCOMP)
                    if allowed:
                        self.assertEqual([(x.topic, x.qos) for x in ann.receive(1)], [(topic, qos)])
            bob.alive()
        ann.nothing()
        self.assertEqual(daemon.stats()["publish"]["denied"], 18)

    @own
    def test_receive(self):
        """Whatever it has subscribed to, a client gets only what it may read; live, retained, queued, and by whatever road."""
        daemon = self.begin("allow_anonymous true", rules=RULES)
        ann = self.user(daemon, "ann")
        ann.publish("out/kept", b"r", 1, retain=True)
        ann.publish("out/secret", b"r", 1, retain=True)
        bob, nobody = self.user(daemon, "bob", expiry=100), self.client("nobody", daemon)
        bob.subscribe("#", qos=1)
        nobody.subscribe("#", qos=1)
        self.assertEqual([x.topic for x in bob.receive(1)], ["out/kept"])
        for n in range(20):
            for topic in ("out/a", "out/secret", "in/x", "news/1"):
                ann.publish(topic, b"%d" % n, n % 2)
            self.assertEqual([(x.topic, x.payload) for x in bob.receive(1)], [("out/a", b"%d" % n)])
            self.assertEqual([(x.topic, x.payload) for x in nobody.receive(1)], [("news/1", b"%d" % n)])
        bob.disconnect()
        for topic in ("out/a", "out/secret"):
            ann.publish(topic, b"away", 1)
        bob = self.user(daemon, "bob", clean=False, present=True)
        self.assertEqual([x.topic for x in bob.receive(1)], ["out/a"])
        bob.nothing()
        client = next(c for c in daemon.clients()["clients"] if c["id"] == self.id("bob"))
        self.assertGreater(client["dropped"]["denied"], 40)
        self.assertEqual(client["username"], "bob")

    @own
    def test_flows(self):
        """The kernel carries what is allowed and nothing else, to the same topic, for those who may and those who may not."""
        daemon = self.begin("allow_anonymous true", "log_type error", rules="topic read #\n" + RULES)
        ann, bob, nobody = (self.user(daemon, name, record=False, road="local") for name in ("ann", "bob", None))
        sub = self.client("sub", daemon, record=False, road="local")
        sub.subscribe("in/#")
        before = self.carried(daemon)
        for n in range(60):
            for who, topic in ((ann, "in/a"), (bob, "in/a"), (nobody, "in/a"), (bob, "in/a/b"), (ann, "in/a/b")):
                who.publish(topic, b"%d" % n)
                if who is nobody or (who is bob and topic == "in/a/b"):
                    continue
                self.assertEqual([(x.topic, x.payload) for x in sub.receive(1)], [(topic, b"%d" % n)])
            time.sleep(0.002)
        sub.nothing()
        self.assertEqual(daemon.stats()["publish"]["denied"], 120)
        if self.road != "off":
            self.assertGreater(self.carried(daemon), before + 60)
            for who, topic, reason in ((bob, "in/a/b", "publisher_denied"), (bob, "in/a", "possible")):
                self.assertEqual(self.why(daemon, topic, who), reason)

    @own
    def test_will(self):
        """A will that may not be published is not."""
        daemon = self.begin("allow_anonymous true", rules=RULES)
        ann = self.user(daemon, "ann")
        ann.subscribe("#")
        for topic in ("out/will", "in/will"):
            self.user(daemon, "bob", will=(topic, b"gone", 0, False)).close()
        self.assertEqual([x.topic for x in ann.receive(1)], ["in/will"])
        ann.nothing()

    @own
    def test_shared(self):
        """A member of a group that may not have a message is left out."""
        daemon = self.begin("allow_anonymous true", rules=RULES)
        ann, other, bob = self.user(daemon, "ann"), self.user(daemon, "ann", "other"), self.user(daemon, "bob")
        for member in (bob, other):
            member.subscribe("$share/g/#", qos=1)
        for n in range(10):
            ann.publish("in/x", b"%d" % n, n % 2)
            self.assertEqual(other.payloads(1), [b"%d" % n])
        bob.nothing()

    @own
    def test_subscribe(self):
        """acl_subscribe. 5.0 section 3.9.3, 3.1.1 [MQTT-3.9.3-2]"""
        cases = (("never", {}), ("any", {"in/#": 1, "x": 1, "$share/g/in/+": 1}),
                 ("all", {"in/#": 1, "x": 1, "$share/g/in/+": 1, "#": 1, "out/+": 1}))
        for value, refusals in cases:
            daemon = self.begin("allow_anonymous true", f"acl_subscribe {value}", rules=RULES)
            for level, code in ((5, NOT_AUTHORIZED), (4, 0x80)):
                bob = self.user(daemon, "bob", level=level)
                for topic in ("out/a", "in/#", "x", "$share/g/in/+", "#", "out/+", "out/a/#"):
                    bob.subscribe(topic, codes=[code if topic in refusals else 0])
            daemon.stop()

    @own
    def test_reload(self):
        """What is sent after it obeys the new rules: live messages, queued ones, those that wait for an acknowledgement, and
        what the kernel carries."""
        daemon = self.begin("allow_anonymous true", rules=RULES)
        ann, bob = self.user(daemon, "ann"), self.user(daemon, "bob", expiry=100, props=((pr.RECEIVE_MAXIMUM, 1),))
        free = self.user(daemon, "ann", "free")
        bob.subscribe("out/#", qos=1)
        free.subscribe("in/#")
        for n in range(30):
            bob.publish("in/a", b"%d" % n)
            free.payloads(1)
        for topic in ("out/1", "out/2", "out/1", "out/2"):
            ann.publish(topic, b"x", 1)
        first = bob.receive(1, ack=False)
        self.assertEqual(first[0].topic, "out/1")
        self.set_rules("user ann\ntopic #\nuser bob\ntopic read out/2\n")
        daemon.reload()
        bob.publish("in/a", b"late")
        bob.send(p.publish("in/a", b"late", 1, mid=77, props=()))
        self.assertEqual(bob.until(p.PUBACK).code, NOT_AUTHORIZED)
        free.nothing()
        bob.acknowledge(first[0])
        self.assertEqual([x.topic for x in bob.receive(2)], ["out/2", "out/2"])
        ann.publish("out/1", b"y", 0)
        bob.nothing()
        ann.publish("out/2", b"z", 1)
        self.assertEqual(bob.receive(1, ack=False)[0].payload, b"z")
        bob.close()
        self.set_rules("user ann\ntopic #\n")
        daemon.reload()
        bob = self.user(daemon, "bob", clean=False, present=True)
        bob.nothing()
        self.set_rules("topic #\n" + RULES)
        daemon.reload()
        ann.publish("out/3", b"w", 1)
        self.assertEqual(bob.payloads(1), [b"w"])

    @own
    def test_restart(self):
        """The rights of a client that was not there since the daemon started are not known until it comes."""
        daemon = self.begin("allow_anonymous true", "persistence true", rules=RULES)
        bob = self.user(daemon, "bob", expiry=100)
        bob.subscribe("#", qos=1)
        bob.disconnect()
        daemon.stop()
        daemon.start()
        ann = self.user(daemon, "ann")
        ann.publish("out/1", b"x", 1)
        daemon.reload()
        for topic in ("out/2", "in/1", "out/secret"):
            ann.publish(topic, b"x", 1)
        bob = self.user(daemon, "bob", clean=False, present=True)
        self.assertEqual([x.topic for x in bob.receive(2)], ["out/1", "out/2"])
        bob.nothing()

    def why(self, daemon, topic, client):
        """The reason that shuntctl why gives."""
        return json.loads(daemon.ctl("why", "--json", topic, client.client_id))["why"]["reason"]

    @own
    def test_listeners(self):
        """Rules and users of a listener alone."""
        other = self.network.free_port()
        self.set_user("ann")
        self.set_rules("topic read #\n")
        daemon = self.start([f"listener {other} {self.network.address}", "listener_allow_anonymous true",
                             f"listener_acl_file {self.acl}"])
        free = self.client("free", daemon)
        free.subscribe("#")
        command = ["mosquitto_pub", "-h", self.network.address, "-p", str(other), "-t", "t", "-m", "x"]
        subprocess.run(self.network.client_command(command), check=True, timeout=TIMEOUT)
        free.nothing()
        free.publish("t", b"y")
        self.assertEqual(free.payloads(1), [b"y"])
