# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Good packets, sent to do harm: identifiers that are not answered or answered wrongly, takeovers, names and filters made to
confuse, wills; through every kind of listener, beside a pair that notices nothing."""

import contextlib
import os

from harness import packets as p
from harness import properties as pr
from harness import run
from harness.client import Closed
from harness.hostile import DOORS, USER, Hostile

NEVER = 0xFFFFFFFF


class Identifiers(Hostile):
    """Of packets."""

    options = ("max_inflight_messages 20", "max_queued_messages 50", "max_sessions 50")

    def test_never_released(self):
        """QoS 2 with the same identifier again and again, and no PUBREL: one message is kept; with others, as many as may be
        open. 3.1.1 [MQTT-4.3.3-2], 5.0 [MQTT-4.3.3-10] [MQTT-3.3.4-9]"""
        for door in DOORS:
            with self.case(door):
                client = self.join(door, "same", expiry=NEVER)
                client.send(*[p.publish("t", b"x" * 100, 2, dup=n > 0, mid=7, props=()) for n in range(300)])
                self.assertEqual({client.expect(p.PUBREC).mid for _ in range(300)}, {7})
                client.send(*[p.publish("t", b"x" * 100, 2, mid=n, props=()) for n in range(100, 200)])
                client.disconnected(0x93)
                client = self.join(door, "same", clean=False, present=True, expiry=0)
                client.disconnect()
        self.left_alone()

    def test_unknown(self):
        """Acknowledgements of nothing, of the wrong kind, and twice: they open no window. 5.0 [MQTT-4.9.0-1]"""
        for door in DOORS:
            with self.case(door):
                client = self.join(door, "wrong", props=[(pr.RECEIVE_MAXIMUM, 2)])
                client.subscribe("t", qos=2)
                stray = [p.ack(kind, mid) for mid in (1, 2, 77, 65535) for kind in (p.PUBACK, p.PUBCOMP)]
                client.send(*stray, *[p.ack(p.PUBREL, mid) for mid in (1, 77, 65535)])
                self.assertLessEqual({client.until(p.PUBCOMP).code for _ in range(3)}, {0, 0x92})
                for n in range(6):
                    self.writer.publish("t", b"%d" % n, 2 if n % 2 else 1)
                first, second = client.receive(2, ack=False)
                self.assertEqual((first.qos, second.qos), (1, 2))
                client.send(*stray[4:])
                client.ping()  # nothing but its answer: the window is closed
                client.send(p.ack(p.PUBACK, first.mid), p.ack(p.PUBACK, first.mid))
                self.assertEqual(client.receive(1, ack=False)[0].payload, b"2")
                client.ping()
                client.send(p.ack(p.PUBACK, second.mid))  # it is of QoS 2
                client.disconnected(0x82)
                client = self.join(door, "wrong")
                client.disconnect()
        self.left_alone()


class Takeover(Hostile):
    """One client identifier for all."""

    options = ("max_sessions 50",)

    def test_storm(self):
        """It comes again and again through all listeners at once, with a will, subscribing, unsubscribing, publishing to
        itself, and with a session that ends at once, later, or never."""
        watch = self.client("watch", props=[(pr.RECEIVE_MAXIMUM, 65535)])
        watch.subscribe("storm/will")
        expiry = (None, 0, 3600, NEVER)
        clients = []
        for n in range(160):
            door = DOORS[n % 4]
            client = self.door(door)
            with contextlib.suppress(OSError):
                client.send(client.hello("storm", expiry[n // 4 % 4], clean=n % 3 == 0, will=("storm/will", b"%d" % n, 0, False),
                                         **self.who()),
                            p.subscribe(1, ("storm/t", 1), ("$share/g/storm/t", 2), props=()),
                            p.publish("storm/t", b"%d" % n, n % 3, mid=2 if n % 3 else None, props=()),
                            p.unsubscribe(3, "storm/t" if n % 2 else "$share/g/storm/t", props=()),
                            p.subscribe(4, ("storm/#", 2), props=()), p.publish("storm/t", b"last", 1, mid=5, props=()))
            clients.append(client)
            if n % 16 == 0:
                self.innocent(0, 1, 2)
        last = clients.pop()
        last.alive()
        for client in clients:
            with contextlib.suppress(AssertionError):  # of a client that was faster than its DISCONNECT
                client.closed()
            client.close()
        self.assertEqual([c["id"] for c in self.daemon.clients()["clients"] if c["connected"]].count("storm"), 1)
        last.disconnect(0, [(pr.SESSION_EXPIRY, 0)] if expiry[159 // 4 % 4] else None)
        wills = [x.payload for x in self.drain(self.writer, watch)]
        self.assertEqual(len(wills), len(set(wills)))
        self.assertNotIn(b"159", wills)
        watch.disconnect()
        self.left_alone()


class Names(Hostile):
    """Of users, clients and topics."""

    options = ("max_subscriptions 500", "max_topic_levels 128", "retain_available true")

    def test_filters(self):
        """Filters that are none, and sets of them that overlap; each is granted or refused for itself. 5.0 [MQTT-3.8.4-5]"""
        bad = ["a#", "#/a", "a/+b", "$share//t", "$share/g", "$share/g/", "$share/+/t", "$share/#/t", "$share/g+/t"]
        deep = "/".join("+" * 128)
        for door in DOORS:
            with self.case(door):
                for one in bad:
                    client = self.join(door, "filter")
                    client.send(p.subscribe(1, ("good", 0), (one, 0), props=()))
                    came = client.closed() if not client.available_within(0) else [client.read()]
                    self.assertTrue(came and (came[-1].type == p.DISCONNECT or came[-1].codes[1] >= 0x80), (one, came))
                    client.close()
                client = self.join(door, "filter")
                client.subscribe(deep, "$share/g/#", "$share/g/$SYS/#", "t", "$share/g/t", "$share/h/t")
                self.assertEqual(client.subscribe("/".join("+" * 129), codes=[0x8F]), [0x8F])
                for turn in range(20):  # the same with and without a share, mismatched
                    client.send(p.unsubscribe(10, "t" if turn % 2 else "$share/g/t", "$share/h/t", props=()),
                                p.subscribe(11, ("$share/h/t", 1), ("t" if turn % 3 else "$share/g/t", 2), props=()),
                                p.publish("t", b"x", 1, mid=12, props=()))
                client.settle()
                client.disconnect()
        self.left_alone()

    def test_many_overlapping(self):
        """400 filters of one client that match one topic, again and again, and their end at once."""
        for door in DOORS:
            with self.case(door):
                client = self.join(door, "overlap")
                for n in range(0, 400, 50):
                    client.subscribe(*["/".join(f"x{i}" if k >> i & 1 else "+" for i in range(9)) for k in range(n, n + 50)], qos=1)
                topic = "/".join(f"x{i}" for i in range(9))
                for n in range(20):
                    self.writer.publish(topic, b"%d" % n, 1)
                self.assertEqual(client.payloads(20), [b"%d" % n for n in range(20)])
                client.reset() if door == "tcp" else client.close()
        self.left_alone()

    def test_wills(self):
        """A will to wildcards or to nothing is refused, one to $SYS reaches nobody, one that is to be retained is, once."""
        watch = self.client("watch")
        watch.subscribe("kept")
        system = self.client("system")
        system.subscribe("$SYS/broker/uptime")
        for door in DOORS:
            with self.case(door):
                for topic in ("a/#", "+/b", "", b"a\0b"):
                    client = self.door(door)
                    client.send(client.hello("will", will=(topic, b"x", 0, True)))
                    self.assertGreaterEqual(client.closed()[0].code, 0x80)
                client = self.door(door)
                client.send(client.hello("will", will=("$SYS/broker/uptime", b"evil", 1, True), **self.who()))
                with contextlib.suppress(Closed):
                    client.read()
                client.close()
                self.until(lambda: self.daemon.stats()["clients"]["connected"] == 4)
                client = self.join(door, "will", will=("kept", door, 1, True))
                client.close()
                self.assertEqual(watch.payloads(1), [door.encode()])
                self.writer.publish("kept", b"", 1, retain=True)
                self.assertEqual(watch.payloads(1), [b""])
        self.assertNotIn(b"evil", [x.payload for x in system.settle()])
        system.disconnect()
        watch.disconnect()
        self.left_alone()

    def test_users(self):
        """Names that would be wildcards, levels or other names in a pattern get their owners nowhere."""
        names = ["#", "+", "a/b", "%c", "%u", "$SYS", "../ann", "ann\u0001", "x" * 65535]
        for door in DOORS:
            with self.case(door):
                for name in names:
                    client = self.door(door)
                    client.send(client.hello(name, username=name, password=b"pencil"), p.PING)
                    self.assertNotIn(0, [x.code for x in client.closed()])
                    client = self.door(door)
                    client.send(client.hello(name, username=USER, password=name.encode()), p.PING)
                    self.assertNotIn(0, [x.code for x in client.closed()])
        self.left_alone()


class Patterns(Hostile):
    """Rules by the name of the client, for clients with names to confuse them."""

    def setUp(self):
        rules = f"{run.folder()}/patterns-{self.road}"
        with open(rules, "w") as file:
            file.write("topic readwrite innocent\npattern readwrite own/%c/#\ntopic readwrite patterns/innocent\n")
        os.chmod(rules, 0o644)
        self.options = (f"acl_file {rules}",)
        super().setUp()

    def test_patterns(self):
        """Nobody gets what is another's: not by a wildcard, not by levels in his name."""
        for door in DOORS:
            with self.case(door):
                for name in ("#", "+", "x/..", "..", "$SYS", "+/#", "own"):
                    client = self.door(door)
                    client.send(client.hello(name))
                    if client.read().code:  # it need not be let in
                        continue
                    client.send(p.subscribe(1, ("own/#", 0), ("own/+/secret", 0), ("#", 0), ("$SYS/#", 0), ("own/other/#", 0), props=()))
                    client.until(p.SUBACK)
                    other = self.join(door, "other")
                    other.publish("own/other/secret", name, 1)
                    client.ping()
                    other.disconnect()
                    client.disconnect()
        self.left_alone()
