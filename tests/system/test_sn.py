# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""MQTT-SN: clients of the gateway and clients of MQTT, each publishing to the other. Sections are of MQTT-SN 1.2."""

import os
import struct
import subprocess
import time

from harness import build, run, sn
from harness.client import TIMEOUT
from harness.daemon import START_TIMEOUT
from harness.suite import SystemTest, own, roads


class SnTest(SystemTest):
    """A daemon with a gateway beside the plain listener."""

    own_daemon = True

    def begin(self, *lines, own_lines=(), **arguments):
        """Start it; `lines` of the gateway, `own_lines` of the daemon."""
        if self.reference:
            self.skipTest("mosquitto has none")
        self.port = self.network.free_port(unseen=True)
        self.daemon = self.start([*own_lines, f"listener {self.port} {self.network.address}", "protocol mqtt-sn", *lines],
                                 **arguments)
        return self.daemon

    def write(self, name, text):
        """A file of the test: its path."""
        folder = f"{run.folder()}/{self.name}-{self.road}"
        os.makedirs(folder, mode=0o755, exist_ok=True)
        with open(f"{folder}/{name}", "w") as f:
            f.write(text)
        os.chmod(f.name, 0o644)
        return f.name

    def sn(self, name=None, node=None, **fields):
        """A client of the gateway, connected if it has a name."""
        client = sn.SnClient(self.network, self.port, node)
        self.addCleanup(client.close)
        return client.connect(self.id(name), **fields) if name else client

    def run_daemon(self, *arguments):
        """Exit status and standard error of one that is not to start."""
        done = subprocess.run([self.daemon_path or f"{build.BUILD}/shuntd", *arguments], capture_output=True, text=True,
                              timeout=START_TIMEOUT, stdin=subprocess.DEVNULL)
        return done.returncode, done.stderr

    def count(self, name):
        """A counter of the gateway."""
        return self.daemon.stats()["mqtt_sn"][name]

    def until_count(self, name, least):
        """A counter of the gateway, once it has come so far: what is never answered has been taken then."""
        deadline = time.monotonic() + TIMEOUT
        while (count := self.count(name)) < least:
            self.assertLess(time.monotonic(), deadline, f"{name} is {count}, not {least}")
            time.sleep(0.01)
        return count


@roads("off", "local")
class Sn(SnTest):
    """What every client does."""

    @own
    def test_publish(self):
        """By a registered id, a predefined one and a short name, with each QoS: clients of MQTT get it."""
        path = self.write("topics", "# of the plant\n7 plant/7\n")
        self.begin(f"mqtt_sn_predefined {path}")
        watch = self.client("watch")
        watch.subscribe(("#", 2))
        client = self.sn("c")
        topic_id = client.register("a/long/name")
        self.assertEqual(client.register("a/long/name"), topic_id)
        for qos in range(3):
            client.publish(topic_id, b"one %d" % qos, qos)
            client.publish(7, b"two", qos, kind=sn.PREDEFINED)
            client.publish("ab", b"", qos)
            got = watch.receive(3)
            self.assertEqual([(m.topic, m.payload, m.qos) for m in got],
                             [("a/long/name", b"one %d" % qos, qos), ("plant/7", b"two", qos), ("ab", b"", qos)])
        client.publish(topic_id, b"kept", 1, retain=True)
        self.assertEqual(watch.receive()[0].payload, b"kept")
        late = self.client("late")
        late.subscribe("a/#")
        self.assertTrue(late.receive()[0].retain)
        client.disconnect()
        client.nothing()

    @own
    def test_subscribe(self):
        """By name (with its id in the SUBACK), wildcard (then REGISTER comes first), short name and predefined id, with
        each QoS; what was retained comes behind the SUBACK. Sections 6.9, 6.10"""
        path = self.write("topics", "7 plant/7\n")
        self.begin(f"mqtt_sn_predefined {path}")
        pub = self.client("pub")
        pub.publish("r/1", b"retained", qos=1, retain=True)
        for qos in range(3):
            client = self.sn(f"c{qos}")
            topic_id = client.subscribe("by/name", qos)
            self.assertNotEqual(topic_id, 0)
            self.assertEqual(client.subscribe("wild/+", qos), 0)
            client.subscribe("xy", qos, kind=sn.SHORT)
            client.subscribe(7, qos, kind=sn.PREDEFINED)
            for name in ("by/name", "wild/1", "wild/2", "wild/1", "xy", "plant/7"):
                pub.publish(name, name.encode(), qos=2)
            got = []
            for _ in range(6):
                got.append(client.message())
                client.acknowledge(got[-1])
            self.assertEqual([(m.topic_type, m.qos, m.payload.decode()) for m in got], [
                (sn.NORMAL, qos, "by/name"), (sn.NORMAL, qos, "wild/1"), (sn.NORMAL, qos, "wild/2"),
                (sn.NORMAL, qos, "wild/1"), (sn.SHORT, qos, "xy"), (sn.PREDEFINED, qos, "plant/7")])
            self.assertEqual(got[0].topic_id, topic_id)
            self.assertEqual([m.name for m in got[1:4]], ["wild/1", "wild/2", "wild/1"])
            client.subscribe("r/1", 1)
            message = client.message()
            client.acknowledge(message)
            self.assertEqual((message.name, message.retain, message.payload), ("r/1", True, b"retained"))
            client.unsubscribe("by/name")
            client.unsubscribe("wild/+")
            client.unsubscribe("xy", kind=sn.SHORT)
            client.unsubscribe(struct.unpack("!H", b"\0\7")[0], kind=sn.PREDEFINED)
            pub.publish("wild/1", b"no more", qos=1)
            client.ping()
            client.disconnect()

    @own
    def test_between(self):
        """Two clients of the gateway, and a large message: the length of three bytes."""
        self.begin()
        one, two = self.sn("one"), self.sn("two")
        two.subscribe("to/two", 1)
        topic_id = one.register("to/two")
        for size in (0, 1, 240, 250, 255, 256, 1400, 60000):
            one.publish(topic_id, b"x" * size, 1)
            self.assertEqual(two.receive(), [("to/two", b"x" * size)])

    @own
    def test_refusals(self):
        """Unknown ids, reserved types, bad names: the reason goes back, and the client stays connected."""
        self.begin()
        client = self.sn("c")
        for qos in range(3):
            client.publish(99, b"", qos, code=sn.INVALID_TOPIC)
            client.publish(99, b"", qos, kind=sn.PREDEFINED, code=sn.INVALID_TOPIC)
            client.publish("a#", b"", qos, code=sn.INVALID_TOPIC)
        for name in ("", "a/#", "a/+", "a\0b", "/".join("x" * 201)):
            self.assertEqual(client.register(name, code=sn.NOT_SUPPORTED), 0)
        client.subscribe("a/#/b", code=sn.NOT_SUPPORTED)
        client.subscribe("", code=sn.NOT_SUPPORTED)
        client.subscribe(99, kind=sn.PREDEFINED, code=sn.INVALID_TOPIC)
        client.ping()

    @own
    def test_connect_refused(self):
        """Another protocol, no client identifier; and the wrong topic of a will."""
        self.begin()
        client = self.sn()
        client.send(sn.connect("c", protocol=2))
        self.assertEqual(client.expect(sn.CONNACK), bytes((sn.NOT_SUPPORTED,)))
        client.send(sn.connect(""))
        self.assertEqual(client.expect(sn.CONNACK), bytes((sn.NOT_SUPPORTED,)))
        client.send(sn.connect("c", will=True))
        client.expect(sn.WILLTOPICREQ)
        client.send(sn.packet(sn.WILLTOPIC, b"\0a/#"))
        self.assertEqual(client.expect(sn.CONNACK), bytes((sn.NOT_SUPPORTED,)))
        client.connect("c")
        client.ping()

    @own
    def test_nobody_in(self):
        """Where clients without a user name are not let in."""
        self.begin("listener_allow_anonymous false")
        self.sn("c", code=sn.NOT_SUPPORTED)
        self.daemon.wait_log("it gave no user name")

    @own
    def test_rights(self):
        """The rights of acl_file, by client identifier: what is not allowed is acknowledged and dropped, or not sent."""
        path = self.write("acl", "topic read all/#\npattern readwrite own/%c/#\ntopic read secret/of/others\n")
        self.begin(own_lines=[f"acl_file {path}"])
        client = self.sn("c")
        client.subscribe("#", 1)
        other = self.client("other")
        mine = client.register(f"own/{self.id('c')}/x")
        theirs = client.register("own/other/x")
        client.publish(theirs, b"denied", 1)
        client.publish(mine, b"mine", 1)
        self.assertEqual(client.receive(), [(f"own/{self.id('c')}/x", b"mine")])
        other.publish(f"own/{self.id('other')}/x", b"for other", qos=1)
        client.ping()
        self.assertEqual(self.daemon.stats()["publish"]["denied"], 1)

    @own
    def test_takeover(self):
        """One client identifier: by the gateway, by TCP, and by the gateway from elsewhere."""
        self.begin()
        first = self.sn("c")
        tcp = self.client("c")
        self.assertEqual(first.expect(sn.DISCONNECT), b"")
        second = self.sn("c")
        tcp.closed()
        third = self.sn("c")
        self.assertEqual(second.expect(sn.DISCONNECT), b"")
        third.ping()
        second.send(sn.packet(sn.PINGREQ))
        self.assertEqual(second.expect(sn.DISCONNECT), b"")

    @own
    def test_session(self):
        """A session goes from one to the other: its subscriptions, and the messages that wait."""
        self.begin()
        pub = self.client("pub")
        client = self.sn("c", clean=False)
        client.subscribe("s/+", 1)
        client.disconnect()
        pub.publish("s/1", b"one", qos=1)
        tcp = self.client("c", clean=False, present=True)
        self.assertEqual(tcp.receive()[0].payload, b"one")
        tcp.disconnect()
        pub.publish("s/2", b"two", qos=1)
        pub.publish("s/3", b"three", qos=1)
        client.connect(self.id("c"), clean=False)
        self.assertEqual(client.receive(2), [("s/2", b"two"), ("s/3", b"three")])
        client.disconnect()
        client.connect(self.id("c"))
        pub.publish("s/4", b"four", qos=1)
        client.ping()

    @own
    def test_keepalive(self):
        """Silence for 1.5 times the keep alive: the client is lost, its will is published."""
        self.begin()
        watch = self.client("watch")
        watch.subscribe("w")
        client = self.sn("c", duration=1, will=("w", b"gone", 0, False))
        self.assertEqual(watch.receive()[0].payload, b"gone")
        self.assertEqual(client.expect(sn.DISCONNECT), b"")

    @own
    def test_same_port(self):
        """MQTT on TCP and MQTT-SN on UDP may have the same port, also after a reload."""
        if self.reference:
            self.skipTest("mosquitto has none")
        self.port = self.network.free_port()
        self.daemon = self.start([f"listener {self.port} {self.network.address}", "protocol mqtt-sn"], port=self.port)
        client, tcp = self.sn("c"), self.client("tcp")
        self.daemon.reload()
        client.publish("ab", b"x", 1)
        client.ping()
        tcp.ping()

    @own
    def test_stop(self):
        """The daemon stops: clients are told, wills are published."""
        self.begin()
        client = self.sn("c")
        asleep = self.sn("d")
        asleep.sleep(100)
        self.daemon.stop()
        self.assertEqual(client.expect(sn.DISCONNECT), b"")


@roads("off")
class Wills(SnTest):
    """Sections 6.3 and 6.4."""

    @own
    def test_will(self):
        """With each QoS, retained or not; at the end without DISCONNECT only."""
        self.begin()
        watch = self.client("watch")
        watch.subscribe(("w/#", 2))
        for qos in range(3):
            client = self.sn("c", will=(f"w/{qos}", b"gone", qos, qos == 1))
            self.client("c").disconnect()
            message = watch.receive()[0]
            self.assertEqual((message.topic, message.payload, message.qos), (f"w/{qos}", b"gone", qos))
            client.expect(sn.DISCONNECT)
            client.connect(self.id("c"), will=(f"w/{qos}", b"gone", qos, False))
            client.disconnect()
        watch.nothing()
        late = self.client("late")
        late.subscribe("w/#")
        self.assertEqual(late.receive()[0].topic, "w/1")

    @own
    def test_no_topic(self):
        """An empty WILLTOPIC: there is no will."""
        self.begin()
        watch = self.client("watch")
        watch.subscribe("#")
        client = self.sn()
        client.send(sn.connect(self.id("c"), will=True))
        client.expect(sn.WILLTOPICREQ)
        client.send(sn.packet(sn.WILLTOPIC))
        self.assertEqual(client.expect(sn.CONNACK), bytes((sn.ACCEPTED,)))
        self.client("c")
        client.expect(sn.DISCONNECT)
        watch.nothing()

    @own
    def test_lost_on_the_way(self):
        """What the gateway asked got lost: the client says the same again, and is asked again."""
        self.begin()
        client = self.sn()
        for _ in range(2):
            client.send(sn.connect(self.id("c"), will=True))
            client.expect(sn.WILLTOPICREQ)
        for _ in range(2):
            client.send(sn.packet(sn.WILLTOPIC, b"\0w"))
            client.expect(sn.WILLMSGREQ)
        client.send(sn.packet(sn.WILLMSG, b"m"))
        self.assertEqual(client.expect(sn.CONNACK), bytes((sn.ACCEPTED,)))

    @own
    def test_update(self):
        """WILLTOPICUPD and WILLMSGUPD; without a topic there is no will any more, and then no message of it."""
        self.begin()
        watch = self.client("watch")
        watch.subscribe("#")

        def update(client, kind, body, code=sn.ACCEPTED):
            client.send(sn.packet(kind, body))
            self.assertEqual(client.expect(kind + 1), bytes((code,)))

        client = self.sn("c", will=("old", b"old message", 0, False))
        update(client, sn.WILLTOPICUPD, b"\0new")
        update(client, sn.WILLMSGUPD, b"new message")
        update(client, sn.WILLTOPICUPD, b"\0a/#", sn.NOT_SUPPORTED)
        update(client, sn.WILLTOPICUPD, b"\x60new", sn.NOT_SUPPORTED)
        self.client("c").disconnect()
        message = watch.receive()[0]
        self.assertEqual((message.topic, message.payload), ("new", b"new message"))
        client.expect(sn.DISCONNECT)
        client.connect(self.id("c"), will=("old", b"old message", 0, False))
        update(client, sn.WILLTOPICUPD, b"")
        update(client, sn.WILLMSGUPD, b"x", sn.NOT_SUPPORTED)
        self.client("c").disconnect()
        client.expect(sn.DISCONNECT)
        watch.nothing()
