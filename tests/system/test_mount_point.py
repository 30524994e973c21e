# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""mount_point: clients of a listener have the topics below it, and see them without it."""

import json

from harness import build
from harness import packets as p
from harness import properties as pr
from harness.client import Client
from harness.daemon import Daemon
from harness.suite import SystemTest, own

INVALID_NAME, INVALID_FILTER, DENIED = 0x90, 0x8F, 0x87


class Mounted(SystemTest):
    """A daemon with a plain listener and one that is mounted."""

    own_daemon = True
    mount = "m/"

    def begin(self, *options):
        """Start it."""
        self.port = self.network.free_port(unseen=True)
        self.lines = [f"listener {self.port} {self.network.address}", f"mount_point {self.mount}"]
        return self.start([*options, *self.lines])

    def mounted(self, name, level=5, **fields):
        """A client of the listener that is mounted."""
        client = Client(self.network.socket(self.port), name, version=level)
        self.addCleanup(client.close)
        return client.connect(self.id(name), **fields)

    def topics(self, client, n=1):
        """Of the next n messages."""
        return [packet.topic for packet in client.receive(n)]


class MountPoint(Mounted):
    """What comes in gets it, what goes out is without it."""

    @own
    def test_messages(self):
        """Each QoS, version and direction, small and large, and again and again, as for flows."""
        daemon = self.begin()
        outside, inside = self.client("outside", daemon, level=5), [self.mounted(f"i{v}", v) for v in (3, 4, 5)]
        outside.subscribe("#", qos=2)
        for client in inside:
            client.subscribe("#", qos=2)
        for n, publisher in enumerate(inside):
            for qos in (0, 1, 2):
                for size in (0, 5, 3000, 70000):
                    publisher.publish("t", b"%d" % n * size, qos)
                    for client, topic in ((outside, "m/t"), *((client, "t") for client in inside)):
                        got = client.receive()[0]
                        self.assertEqual((got.topic, got.qos, got.payload), (topic, qos, b"%d" % n * size))
        for n in range(20):
            outside.publish("t", b"no")  # not below it
            outside.publish("m/t", b"%d" % n)
            for client in inside:
                got = client.receive()[0]
                self.assertEqual((got.topic, got.payload), ("t", b"%d" % n))
            self.assertEqual(self.topics(outside, 2), ["t", "m/t"])
        for client in (outside, *inside):
            client.ping()

    @own
    def test_not_below(self):
        """m/# matches m as well, which nobody can be sent without m/."""
        daemon = self.begin()
        inside, outside = self.mounted("i"), self.client("o", daemon)
        inside.subscribe("#")
        for topic in ("m", "m/", "m/t"):
            outside.publish(topic, b"", 1)
        self.assertEqual(self.topics(inside), ["t"])
        inside.ping()
        dropped = daemon.clients()["clients"]
        self.assertEqual(sum(c["dropped"]["denied"] for c in dropped), 2)

    @own
    def test_fast_path(self):
        """Why the kernel does not carry their messages."""
        daemon = self.begin()
        inside, outside = self.mounted("i"), self.client("o", daemon, level=5)
        inside.subscribe("t")
        for n in range(20):
            outside.publish("m/t", b"%d" % n)
            self.assertEqual(inside.payloads(1), [b"%d" % n])
            inside.publish("u", b"")
        for topic, client, reason in (("m/t", "o", "receiver_no_road"), ("m/u", "i", "publisher_no_road")):
            why = json.loads(daemon.ctl("why", "--json", topic, self.id(client)))["why"]
            if self.road != "off":
                self.assertEqual((why["reason"], why["detail"]), (reason, "its listener has a mount point"))


class MountPointPackets(Mounted):
    """What does not concern the fast path."""

    roads = ("off",)

    @own
    def test_retained(self):
        """Retained messages, set and cleared from both sides."""
        daemon = self.begin()
        inside, outside = self.mounted("i"), self.client("o", daemon)
        inside.publish("a", b"in", 1, retain=True)
        outside.publish("m/b", b"out", 1, retain=True)
        outside.publish("c", b"other", 1, retain=True)
        inside.subscribe("#")
        self.assertEqual({(x.topic, x.payload, x.retain) for x in inside.receive(2)},
                         {("a", b"in", True), ("b", b"out", True)})
        outside.subscribe("m/+")
        self.assertEqual(set(self.topics(outside, 2)), {"m/a", "m/b"})
        for topic in ("a", "b"):
            inside.publish(topic, b"", 1, retain=True)
        late = self.mounted("late")
        late.subscribe("#")
        late.ping()

    @own
    def test_unsubscribe(self):
        """By the names the client knows."""
        daemon = self.begin()
        inside, outside = self.mounted("i"), self.client("o", daemon)
        inside.subscribe("a", "$share/g/b")
        inside.unsubscribe("a", "$share/g/b", "m/a", codes=[0, 0, 0x11])
        for topic in ("m/a", "m/b"):
            outside.publish(topic, b"", 1)
        inside.ping()

    @own
    def test_shared(self):
        """The mount point goes behind the name of the group, which is the same one from outside."""
        daemon = self.begin()
        inside, outside = self.mounted("i"), self.client("o", daemon, level=5)
        inside.subscribe("$share/g/t/+")
        outside.subscribe("$share/g/m/t/+")
        for _ in range(4):
            outside.publish("m/t/x", b"", 1)
        self.assertEqual(self.topics(inside, 2), ["t/x"] * 2)
        self.assertEqual(self.topics(outside, 2), ["m/t/x"] * 2)
        inside.ping()
        outside.ping()

    @own
    def test_will(self):
        """Its topic, and the response topic, which is left as it is."""
        daemon = self.begin()
        outside, inside = self.client("o", daemon, level=5), self.mounted("i")
        outside.subscribe("#")
        inside.subscribe("w")
        self.mounted("w", will=("w", b"gone", 0, False), will_props=[(pr.RESPONSE_TOPIC, "r")]).close()
        for client, topic in ((outside, "m/w"), (inside, "w")):
            got = client.receive()[0]
            self.assertEqual((got.topic, got.payload, list(got.props)), (topic, b"gone", [(pr.RESPONSE_TOPIC, "r")]))

    @own
    def test_alias(self):
        """Topic Aliases of both sides stand for the names the client knows."""
        daemon = self.begin()
        inside, outside = self.mounted("i", props=[(pr.TOPIC_ALIAS_MAXIMUM, 5)]), self.client("o", daemon)
        outside.subscribe("#")
        inside.publish("t", b"", 1, props=[(pr.TOPIC_ALIAS, 1)])
        inside.publish("", b"", 1, props=[(pr.TOPIC_ALIAS, 1)])
        self.assertEqual(self.topics(outside, 2), ["m/t", "m/t"])
        inside.subscribe("u")
        for topic in ("u", ""):
            outside.publish("m/u")
            got = inside.receive()[0]
            self.assertEqual((got.topic, got.props.get(pr.TOPIC_ALIAS)), (topic, 1))

    @own
    def test_sys(self):
        """$SYS of the broker is out of sight, and $SYS below the mount point is a topic like others."""
        daemon = self.begin("sys_interval 1")
        inside, outside = self.mounted("i"), self.client("o", daemon, level=5)
        inside.subscribe("$SYS/#")
        inside.ping()
        outside.subscribe("m/$SYS/x")
        inside.publish("$SYS/x", b"", 1)
        self.assertEqual(self.topics(outside), ["m/$SYS/x"])
        self.assertEqual(self.topics(inside), ["$SYS/x"])

    @own
    def test_length(self):
        """65535 bytes with the mount point, and not one more."""
        self.begin()
        inside = self.mounted("i")
        most, more = "t" * 65533, "t" * 65534
        inside.subscribe(most)
        inside.publish(most, b"", 1)
        self.assertEqual(self.topics(inside), [most])
        inside.subscribe(more, "t", codes=[INVALID_FILTER, 0])
        inside.unsubscribe(more, "t", codes=[INVALID_FILTER, 0])
        inside.send(p.publish(more, b"", 1, mid=7, props=[]))
        inside.disconnected(INVALID_NAME)
        self.mounted("w", will=(most, b"", 0, False)).disconnect()
        self.mounted("w", will=(more, b"", 0, False), code=INVALID_NAME)

    @own
    def test_levels(self):
        """max_topic_levels counts those of the mount point."""
        self.begin("max_topic_levels 3")
        inside = self.mounted("i")
        inside.subscribe("a/b", "a/b/c", codes=[0, INVALID_FILTER])
        inside.publish("a/b", b"", 1)
        self.assertEqual(self.topics(inside), ["a/b"])
        inside.send(p.publish("a/b/c", b"", 1, mid=7, props=[]))
        inside.disconnected(INVALID_NAME)
        self.mounted("w", will=("a/b/c", b"", 0, False), code=INVALID_NAME)

    @own
    def test_acl(self):
        """Rules have the whole topic."""
        daemon = self.begin()
        daemon.stop()
        with open(f"{daemon.dir}/acl", "w", encoding="ascii") as file:
            file.write("topic readwrite m/a\ntopic readwrite b\ntopic readwrite m/%c\ntopic write m/w\n")
        daemon.options.append(f"acl_file {file.name}")
        daemon.start()
        inside = self.mounted("i")
        inside.subscribe("#")
        for topic in ("a", "b", "w"):
            inside.send(p.publish(topic, b"", 1, mid=7, props=[]))
            self.assertEqual(inside.until(p.PUBACK).code == DENIED, topic == "b")
            if topic == "a":
                inside.settle()
        self.assertEqual(inside.settle(), [])

    @own
    def test_other_listener(self):
        """A session that comes back by another listener has its subscriptions, and is sent only what it may see."""
        daemon = self.begin()
        outside = self.client("o", daemon)
        client = self.client("s", daemon, level=5, expiry=100)
        client.subscribe("x", "m/y", qos=1)
        client.disconnect()
        for topic in ("x", "m/y"):
            outside.publish(topic, b"", 1)
        client = self.mounted("s", clean=False, present=True, expiry=100)
        self.assertEqual(self.topics(client), ["y"])
        client.subscribe("z", qos=1)
        client.ping()
        client.disconnect()
        client = self.client("s", daemon, level=5, clean=False, present=True)
        for topic in ("x", "m/y", "m/z"):
            outside.publish(topic, b"", 1)
        self.assertEqual(self.topics(client, 3), ["x", "m/y", "m/z"])

    @own
    def test_persistence(self):
        """A session of the store has its mount point after a restart, once."""
        daemon = self.begin("persistence true")
        client = self.mounted("s", expiry=1000, will=("w", b"", 0, False), will_props=[(pr.WILL_DELAY, 1000)])
        client.subscribe("t", "$share/g/u", qos=2)
        client.close()
        outside = self.client("o", daemon)
        for topic in ("m/t", "m/u"):
            outside.publish(topic, b"1", 2)
        daemon.kill()
        daemon.start()
        client = self.mounted("s", clean=False, present=True, expiry=1000)
        self.assertEqual(self.topics(client, 2), ["t", "u"])
        client.publish("t", b"", 1)
        self.assertEqual(self.topics(client), ["t"])
        client.unsubscribe("t", "$share/g/u")

    @own
    def test_configuration(self):
        """No wildcards."""
        daemon = Daemon(self.network, ["mount_point a/#"], self.daemon_path)
        self.addCleanup(daemon.remove)
        with self.assertRaisesRegex(Exception, "mount_point: \"a/#\" cannot begin topics"):
            daemon.start()


class WithoutSlash(Mounted):
    """It is what the topics begin with, whatever its end."""

    roads = ("off",)
    mount = "m"

    @own
    def test_filters(self):
        """Wildcards can then not come first."""
        daemon = self.begin()
        inside, outside = self.mounted("i"), self.client("o", daemon)
        inside.subscribe("t", "/+", "+", "#", codes=[0, 0, INVALID_FILTER, INVALID_FILTER])
        for topic in ("mt", "m/u"):
            outside.publish(topic, b"", 1)
        self.assertEqual(self.topics(inside, 2), ["t", "/u"])


class AsMosquitto(Mounted):
    """Clients outside see what they see with mosquitto. (Debian's version, 2.0.11, does not leave the mount point out of
    what it sends: so nothing can be compared of that.)"""

    roads = ("off",)

    def seen(self, daemon):
        """What clients outside see of those inside, and what these get an answer to."""
        outside = self.client("o", daemon)
        outside.subscribe("#", "m/$SYS/#")
        inside = self.mounted("i", 4)
        inside.publish("a", b"0")
        inside.publish("$SYS/x", b"1", 1)
        inside.publish("/b", b"2", 2)
        inside.publish("r", b"3", 1, retain=True)
        self.mounted("w", 4, will=("w", b"will", 0, False)).close()
        came = [(x.topic, x.payload) for x in outside.receive(5)]
        late = self.client("late", daemon)
        late.subscribe("m/r", "r")
        kept = [(x.topic, x.payload, x.retain) for x in late.settle()]
        inside.subscribe("s")
        for topic, payload in (("s", b"no"), ("m/s", b"yes")):
            outside.publish(topic, payload, 1)
        return came, kept, [x.payload for x in inside.receive(1)]  # in this order, if both came

    @own
    def test_outside(self):
        """The same."""
        if not build.mosquitto():
            self.skipTest("there is no mosquitto broker: scripts/setup check")
        ours = self.seen(self.begin())
        self.port = self.network.free_port(unseen=True)
        self.lines[0] = f"listener {self.port} {self.network.address}"
        reference = Daemon(self.network, self.lines, build.mosquitto(), reference=True)
        self.addCleanup(reference.remove)
        reference.start()
        self.addCleanup(reference.stop)
        self.assertEqual(ours, self.seen(reference))
