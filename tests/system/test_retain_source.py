# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""check_retain_source: a retained message goes to new subscribers only while who published it may still do so."""

from harness.client import Client
from harness.suite import own, roads
from test_access import USERS, Access

ALL = "topic readwrite #\nuser ann\ntopic #\ntopic $other/#\nuser bob\ntopic #\ntopic $other/#\n"
NOT_BOB = "topic readwrite #\nuser ann\ntopic #\ntopic $other/#\nuser bob\ntopic read #\n"
NOBODY = "topic read #\nuser ann\ntopic read #\ntopic read $SYS/#\nuser bob\ntopic read #\n"


class Source(Access):
    """The publisher of what is retained."""

    names = ("ann", "bob")  # of users; none: they are not checked

    def got(self, daemon, *filters):
        """The payloads that a new subscription brings, by topic."""
        client = self.client("reader", daemon, client_id="reader", username="ann" if self.names else None,
                             password=USERS["ann"].encode() if self.names else None)
        client.subscribe(*(filters or ["#"]), qos=1)
        client.send(b"\xc0\x00")
        came = {}
        while (packet := client.read()).type != 13:
            client.acknowledge(packet)
            came[packet.topic] = packet.payload
        client.disconnect()
        return came

    def reload(self, daemon, rules):
        """New rules."""
        self.set_rules(rules)
        daemon.reload()

    @own
    @roads("off", "local")
    def test_right_taken(self):
        """What a user published is held back from when a reload takes the right away until one gives it back; it is not
        removed, who is subscribed gets what is live, and others may replace it."""
        daemon = self.begin("allow_anonymous true", users=self.names, rules=ALL)
        ann, bob, live = self.user(daemon, "ann"), self.user(daemon, "bob"), self.client("live", daemon)
        live.subscribe("t/#")
        for qos in (0, 1, 2):
            bob.publish(f"t/{qos}", b"bob", qos, retain=True)
            ann.publish(f"u/{qos}", b"ann", qos, retain=True)
        bob.publish("$other/t", b"bob", 1, retain=True)
        self.assertEqual(live.payloads(3), [b"bob"] * 3)
        bob.disconnect()
        ours, his = {f"u/{n}": b"ann" for n in range(3)}, {f"t/{n}": b"bob" for n in range(3)}
        self.assertEqual(self.got(daemon), {**ours, **his})
        self.reload(daemon, NOT_BOB)
        daemon.wait_log("may not do so any more: 4")
        self.assertEqual(self.got(daemon), ours)
        self.assertEqual(self.got(daemon, "t/1", "t/+", "$other/#"), {})
        ann.publish("t/1", b"new", 1, retain=True)
        self.assertEqual(live.payloads(1), [b"new"])
        self.assertEqual(self.got(daemon), {**ours, "t/1": b"new"})
        self.reload(daemon, ALL)
        self.assertEqual(self.got(daemon), {**ours, **his, "t/1": b"new"})
        self.assertEqual(self.got(daemon, "$other/#"), {"$other/t": b"bob"})

    @own
    @roads("off")
    def test_anonymous(self):
        """Clients without a user name have the rights of such, and of patterns by their identifier."""
        own_topics = "user ann\ntopic #\npattern readwrite own/%c/#\n"
        daemon = self.begin("allow_anonymous true", users=self.names, rules=own_topics + "user bob\n")
        for name in ("a", "b"):
            self.client(name, daemon, client_id=name).publish(f"own/{name}/t", b"x", 1, retain=True)
        self.assertEqual(self.got(daemon), {"own/a/t": b"x", "own/b/t": b"x"})
        self.reload(daemon, "topic readwrite own/b/#\nuser ann\ntopic #\n")
        self.assertEqual(self.got(daemon), {"own/b/t": b"x"})
        self.reload(daemon, own_topics)
        self.assertEqual(self.got(daemon), {"own/a/t": b"x", "own/b/t": b"x"})

    @own
    @roads("off")
    def test_will(self):
        """A retained will is its client's."""
        daemon = self.begin("allow_anonymous true", users=self.names, rules=ALL)
        watcher = self.user(daemon, "ann")
        watcher.subscribe("w/#")
        self.user(daemon, "bob", will=("w/bob", b"gone", 1, True)).close()
        self.assertEqual(watcher.payloads(1), [b"gone"])
        self.assertEqual(self.got(daemon), {"w/bob": b"gone"})
        self.reload(daemon, NOT_BOB)
        self.assertEqual(self.got(daemon), {})

    @own
    @roads("off")
    def test_waits_for_release(self):
        """QoS 2 whose PUBREL comes when the right is gone is retained, and held back."""
        daemon = self.begin("allow_anonymous true", users=self.names, rules=ALL)
        bob = self.user(daemon, "bob")
        bob.send(b"\x35\x07\x00\x01t\x00\x07\x00x")
        self.assertEqual(bob.read().mid, 7)
        self.reload(daemon, NOT_BOB)
        bob.send(b"\x62\x02\x00\x07")
        self.assertEqual(bob.read().mid, 7)
        self.assertEqual(self.got(daemon), {})
        self.reload(daemon, ALL)
        self.assertEqual(self.got(daemon), {"t": b"x"})

    @own
    @roads("off")
    def test_restart(self):
        """The store knows who published it: a right that is gone when the daemon comes back, and one that comes back
        later."""
        daemon = self.begin("allow_anonymous true", "persistence true", users=self.names, rules=ALL)
        self.user(daemon, "bob").publish("t/bob", b"x", 1, retain=True)
        self.user(daemon, "ann").publish("t/ann", b"x", 1, retain=True)
        self.client("c", daemon).publish("t/nobody", b"x", 1, retain=True)
        everything = {f"t/{who}": b"x" for who in ("bob", "ann", "nobody")}
        self.set_rules(NOT_BOB)
        for end in (daemon.kill, daemon.stop):
            end()
            daemon.start()
            self.assertEqual(self.got(daemon), {t: x for t, x in everything.items() if t != "t/bob"})
        self.reload(daemon, NOBODY)
        self.assertEqual(self.got(daemon), {})
        self.assertIn("$SYS/broker/version", self.got(daemon, "$SYS/#"))
        self.reload(daemon, ALL)
        self.assertEqual(self.got(daemon), everything)

    @own
    @roads("off")
    def test_listeners(self):
        """The file of the listener counts, over a restart as well; without the listener, the global one, and with
        per_listener_settings nothing is delivered."""
        for own_files in (False, True):
            with self.subTest(own_files=own_files):
                self.listeners(own_files)

    def listeners(self, own_files):
        """With per_listener_settings or without."""
        self.names = ()
        other = self.network.free_port()
        paths = [f"{self.folder}/{name}" for name in ("main", "other")]
        for self.acl in paths:
            self.set_rules("topic read #\n" if self.acl == paths[0] else "topic readwrite #\n")
        with open(f"{self.folder}/conf", "w") as conf:
            conf.write(f"per_listener_settings {str(own_files).lower()}\n")
        second = [f"listener {other} {self.network.address}", "listener_allow_anonymous true", f"listener_acl_file {self.acl}"]
        daemon = self.start(["persistence true", f"acl_file {paths[0]}", *second], arguments=["-c", conf.name])
        client = Client(self.network.socket(other), "other", None, 5)
        self.addCleanup(client.close)
        client.connect("c").publish("t", b"x", 1, retain=True)
        self.assertEqual(self.got(daemon), {"t": b"x"})
        self.reload(daemon, "topic read #\n")
        self.assertEqual(self.got(daemon), {})
        daemon.stop()
        daemon.start()
        self.assertEqual(self.got(daemon), {})
        self.reload(daemon, "topic readwrite #\n")
        self.assertEqual(self.got(daemon), {"t": b"x"})
        daemon.stop()
        daemon.options = [line for line in daemon.options if line not in second]
        self.acl = paths[0]
        for rules, came in (("topic read #\n", {}), ("topic readwrite #\n", {} if own_files else {"t": b"x"})):
            self.set_rules(rules)
            daemon.start()
            self.assertEqual(self.got(daemon), came)
            daemon.stop()

    @own
    @roads("off")
    def test_switch(self):
        """check_retain_source false delivers everything; a reload changes it."""
        path = f"{self.folder}/conf"

        def write(value):
            with open(path, "w") as conf:
                conf.write(f"check_retain_source {value}\n")

        write("false")
        daemon = self.begin_with(path)
        self.user(daemon, "bob").publish("t", b"x", 1, retain=True)
        for value, came in (("false", {"t": b"x"}), ("true", {}), ("false", {"t": b"x"})):
            write(value)
            self.reload(daemon, NOT_BOB)
            self.assertEqual(self.got(daemon), came)

    def begin_with(self, path):
        """A daemon with a file of its own as well."""
        for name in self.names:
            self.set_user(name)
        self.set_rules(ALL)
        return self.start(["allow_anonymous true", f"password_file {self.passwords}", f"acl_file {self.acl}"],
                          arguments=["-c", path])
