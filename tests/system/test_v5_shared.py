# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Shared subscriptions of MQTT 5.0: section 4.8.2."""

from harness import packets as p
from harness import properties as pr
from harness.suite import SystemTest, differs, own


class Shared(SystemTest):
    """One of the group gets it."""

    level = 5

    def shared(self, group="g", *levels):
        """The filter of a group."""
        return f"$share/{group}/" + self.topic(*levels or ("t",))

    def members(self, *names, qos=1, **fields):
        """Clients that subscribe one after the other."""
        found = []
        for name in names:
            client = self.client(name, **fields)
            client.subscribe((self.shared(), qos))
            found.append(client)
        return found

    def test_round_robin(self):
        """In the order of subscribing, for every QoS; each message goes to one. 5.0 [MQTT-4.8.2-1] [MQTT-4.8.2-3]
        [MQTT-4.5.0-1]"""
        members, publisher = self.members("a", "b", "c", qos=2), self.client("p")
        for n in range(12):
            publisher.publish(self.topic("t"), b"%d" % n, n % 3)
        for n, client in enumerate(members):
            self.assertEqual(client.payloads(4), [b"%d" % m for m in range(n, 12, 3)])
            client.ping()

    def test_of_many_publishers(self):
        """The turn is the group's, whoever publishes, and across the topics of a filter with wildcards. What comes from
        two publishers has no order between them."""
        members = []
        for name in "ab":
            client = self.client(name)
            client.subscribe((self.shared("g", "+"), 1))
            members.append(client)
        publishers = [self.client(name) for name in "pq"]
        for n in range(8):
            publishers[n % 4 // 2].publish(self.topic(str(n)), b"%d" % n, 1)
        for n, client in enumerate(members):
            self.assertEqual(sorted(client.payloads(4)), [b"%d" % m for m in range(n, 8, 2)])
            client.ping()

    def test_groups(self):
        """Each group gets every message, and so does a plain subscription, also one of a member."""
        first, second, plain = self.client("a"), self.client("b"), self.client("c")
        first.subscribe((self.shared("g"), 1), (self.topic("t"), 0))
        second.subscribe((self.shared("h"), 1))
        plain.subscribe((self.topic("#"), 1))
        self.client("p").publish(self.topic("t"), b"x", 1)
        self.assertEqual(sorted(x.qos for x in first.receive(2)), [0, 1])
        for client in (second, plain):
            self.assertEqual(client.payloads(1), [b"x"])
        for client in (first, second, plain):
            client.ping()

    def test_member_leaves(self):
        """Who unsubscribes or ends its session is not counted on; UNSUBACK tells 0x00. 5.0 [MQTT-3.10.4-1]"""
        (a, b, c), publisher = self.members("a", "b", "c"), self.client("p")
        b.unsubscribe(self.shared())
        c.disconnect()
        for n in range(4):
            publisher.publish(self.topic("t"), b"%d" % n, 1)
        self.assertEqual(a.payloads(4), [b"0", b"1", b"2", b"3"])
        a.unsubscribe(self.shared())
        publisher.publish(self.topic("t"), b"no", 1)
        for client in (a, b):
            client.ping()

    def test_granted_qos(self):
        """Each member has the QoS it was granted. 5.0 [MQTT-4.8.2-3] [MQTT-3.8.4-8]"""
        members = [self.members(name, qos=qos)[0] for qos, name in enumerate("abc")]
        publisher = self.client("p")
        for _ in range(3):
            publisher.publish(self.topic("t"), b"x", 2)
        self.assertEqual([client.receive()[0].qos for client in members], [0, 1, 2])

    @differs("mosquitto 2.0.11 sends them again")
    def test_nothing_retained(self):
        """No retained messages are sent for a shared subscription; RETAIN of what is forwarded is as for others."""
        publisher = self.client("p")
        publisher.publish(self.topic("t"), b"kept", 1, True)
        for options in (1, 1 | p.SEND_IF_NEW, 1 | p.RETAIN_AS_PUBLISHED):
            client = self.client("a")
            client.subscribe((self.shared(), options))
            self.assertEqual(client.settle(), [])
            publisher.publish(self.topic("t"), b"again", 1, True)
            self.assertEqual(client.receive()[0].retain, bool(options & p.RETAIN_AS_PUBLISHED))
            client.disconnect()
        publisher.publish(self.topic("t"), b"", 1, True)

    def test_identifier(self):
        """The Subscription Identifier of the member that gets it is there, beside those of its other subscriptions or
        in a copy of its own. 5.0 [MQTT-3.3.4-3]"""
        a, b = self.client("a"), self.client("b")
        a.subscribe((self.shared(), 1), props=[(pr.SUBSCRIPTION_ID, 1)])
        b.subscribe((self.shared(), 1), props=[(pr.SUBSCRIPTION_ID, 2)])
        publisher = self.client("p")
        for _ in range(2):
            publisher.publish(self.topic("t"), b"x", 1)
        self.assertEqual([c.receive()[0].props.all(pr.SUBSCRIPTION_ID) for c in (a, b)], [[1], [2]])

    def test_properties(self):
        """Properties are passed on as to others. 5.0 [MQTT-3.3.2-17] [MQTT-3.3.2-18]"""
        props = [(pr.USER, ("b", "1")), (pr.CONTENT_TYPE, "c"), (pr.USER, ("a", "2"))]
        member = self.members("a")[0]
        self.client("p").publish(self.topic("t"), b"x", 1, props=props)
        self.assertEqual(pr.plain(member.receive()[0].props), pr.plain(props))

    def test_other_versions(self):
        """Members of 3.1.1 and of 5.0 share one group."""
        old = self.client("a", level=4)
        old.subscribe((self.shared(), 1))
        new = self.members("b")[0]
        publisher = self.client("p", level=4)
        for n in range(4):
            publisher.publish(self.topic("t"), b"%d" % n, 1)
        self.assertEqual((old.payloads(2), new.payloads(2)), ([b"0", b"2"], [b"1", b"3"]))

    @own
    def test_qos_1_moves(self):
        """A QoS 1 message that a member has not acknowledged when its session ends goes to another one; one that it has
        does not, and a member that may return keeps its own."""
        a, b = self.members("a", "b")
        publisher = self.client("p")
        publisher.publish(self.topic("t"), b"acknowledged", 1)
        publisher.publish(self.topic("t"), b"to b", 1)
        publisher.publish(self.topic("t"), b"not acknowledged", 1)
        a.acknowledge(a.receive(ack=False)[0])
        self.assertEqual(a.receive(ack=False)[0].payload, b"not acknowledged")
        self.assertEqual(b.payloads(1), [b"to b"])
        a.close()
        packet = b.receive()[0]
        self.assertEqual((packet.payload, packet.dup), (b"not acknowledged", False))
        b.ping()

    @own
    def test_qos_1_waits_for_a_session(self):
        """As long as the session lasts it waits for its member, and moves when the session ends."""
        a, b = self.members("a", "b", expiry=100)
        publisher = self.client("p")
        publisher.publish(self.topic("t"), b"for a", 1)
        mid = a.receive(ack=False)[0].mid
        a.close()
        b.ping()
        a = self.client("a", clean=False, present=True, expiry=100)
        again = a.receive(ack=False)[0]
        self.assertEqual((again.mid, again.dup, again.payload), (mid, True, b"for a"))
        a.disconnect(0, [(pr.SESSION_EXPIRY, 0)])
        self.assertEqual(b.payloads(1), [b"for a"])

    @own
    def test_all_that_waits_moves(self):
        """So do those that wait for the receive maximum, all in their order, with properties; a session that expires
        and one that a Clean Start ends are no different."""
        publisher = self.client("p")
        for end in ("DISCONNECT", "expiry", "Clean Start"):
            with self.subTest(end):
                a = self.members("a", props=[(pr.RECEIVE_MAXIMUM, 1)], expiry=1 if end == "expiry" else 100)[0]
                for n in range(5):
                    publisher.publish(self.topic("t"), b"%d" % n, 1, props=[(pr.USER, ("n", str(n)))])
                a.receive(ack=False)
                b = self.members("b")[0]
                if end == "DISCONNECT":
                    a.disconnect(0, [(pr.SESSION_EXPIRY, 0)])
                else:
                    a.close()
                if end == "Clean Start":
                    self.client("a", clean=True).disconnect()
                came = b.receive(5)
                self.assertEqual([x.payload for x in came], [b"%d" % n for n in range(5)])
                self.assertEqual([x.props for x in came], [[(pr.USER, ("n", str(n)))] for n in range(5)])
                b.ping()
                b.disconnect()

    @own
    def test_qos_1_of_members_who_leave(self):
        """Members on other workers leave while messages are on their way to them, and acknowledge none: the one who stays
        gets every message, whether it was in flight, queued, or not yet with their sessions. 5.0 section 4.8.2"""
        daemon = self.start(["workers 4"])
        stays, publisher = self.client("stays", daemon), self.client("p", daemon)
        stays.subscribe((self.shared(), 1))
        for turn in range(60):
            leaves = self.client(f"leaves{turn}", daemon)
            leaves.subscribe((self.shared(), 1))
            payloads = [b"%d %d" % (turn, n) for n in range(20)]
            publisher.send(*(p.publish(self.topic("t"), payload, 1, mid=1 + n, props=())
                             for n, payload in enumerate(payloads)))
            leaves.send(p.BYE)
            self.assertEqual(sorted(stays.payloads(20)), sorted(payloads))
            for _ in payloads:
                publisher.expect(p.PUBACK)
            leaves.close()
        stays.ping()

    def test_qos_2_stays(self):
        """A QoS 2 message whose delivery to a member has begun goes to no other one when its session ends: neither
        before nor after the PUBREC. 5.0 [MQTT-4.8.2-5]"""
        a, b = self.members("a", "b", qos=2, expiry=100)
        publisher = self.client("p")
        for n in range(4):
            publisher.publish(self.topic("t"), b"%d" % n, 2)
        first, _ = a.receive(2, ack=False)
        a.send(p.ack(p.PUBREC, first.mid))
        a.expect(p.PUBREL)
        a.disconnect(0, [(pr.SESSION_EXPIRY, 0)])
        self.assertEqual(b.payloads(2), [b"1", b"3"])
        publisher.publish(self.topic("t"), b"fence", 2)
        self.assertEqual(b.payloads(1), [b"fence"])
        b.ping()
        b.disconnect(0, [(pr.SESSION_EXPIRY, 0)])

    def test_qos_2_is_completed(self):
        """It is completed when the member returns. 5.0 [MQTT-4.8.2-4]"""
        a, b = self.members("a", "b", qos=2, expiry=100)
        publisher = self.client("p")
        for n in range(3):
            publisher.publish(self.topic("t"), b"%d" % n, 2)
        first, second = a.receive(2, ack=False)
        a.send(p.ack(p.PUBREC, first.mid))
        a.expect(p.PUBREL)
        a.close()
        self.assertEqual(b.payloads(1), [b"1"])
        a = self.client("a", clean=False, present=True)
        came = [a.read(), a.read()]
        self.assertEqual([(x.type, x.mid) for x in came], [(p.PUBREL, first.mid), (p.PUBLISH, second.mid)])
        self.assertEqual((came[1].payload, came[1].dup), (b"2", True))
        b.ping()
        b.disconnect(0, [(pr.SESSION_EXPIRY, 0)])

    def test_refused_by_a_member(self):
        """What a member refuses by PUBACK or PUBREC of 0x80 or more is gone. 5.0 [MQTT-4.8.2-6]"""
        a, b = self.members("a", "b", qos=2)
        publisher = self.client("p")
        for kind, qos in ((p.PUBACK, 1), (p.PUBREC, 2)):
            publisher.publish(self.topic("t"), b"refused", qos)
            packet = a.receive(ack=False)[0]
            a.send(p.ack(kind, packet.mid, 0x83))
            a.ping()
            publisher.publish(self.topic("t"), b"next", qos)
            self.assertEqual(b.payloads(1), [b"next"])
        a.close()
        b.ping()
