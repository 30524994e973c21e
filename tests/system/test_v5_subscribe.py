# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""SUBSCRIBE and SUBACK of MQTT 5.0: sections 3.8, 3.9, and what is delivered because of the options."""

from harness import packets as p
from harness import properties as pr
from harness.suite import SystemTest, differs, recorded

ID = pr.SUBSCRIPTION_ID


class Answers(SystemTest):
    """SUBACK, or the end."""

    level = 5

    def test_suback(self):
        """A reason code for each filter, in their order, with the packet identifier of the request. 5.0 [MQTT-3.8.4-1]
        [MQTT-3.8.4-2] [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.9.3-1] [MQTT-3.9.3-2] [MQTT-2.2.1-6]"""
        client = self.client("c")
        for mid in (1, 77, 65535):
            filters = [(self.topic(str(n)), n % 3) for n in range(50)]
            client.send(p.subscribe(mid, *filters, props=()))
            suback = client.expect(p.SUBACK)
            self.assertEqual((suback.mid, suback.codes, suback.props), (mid, [n % 3 for n in range(50)], []))

    def test_user_properties(self):
        """SUBSCRIBE may have user properties. 5.0 [MQTT-3.8.4-1]"""
        client = self.client("c")
        client.subscribe(self.topic("t"), props=[(pr.USER, ("a", "b")), (pr.USER, ("a", "b"))])

    def ended(self, data, *codes):
        """DISCONNECT with one of these reason codes; nothing was subscribed."""
        client = self.client("c", expiry=100)
        client.send(data)
        self.assertEqual(len(client.disconnected(*codes)), 1)
        client = self.client("c", clean=False, present=True)
        client.publish("t", b"x", 1)
        client.ping()
        client.disconnect()

    @differs("mosquitto 2.0.11 subscribes to what stands before the fault")
    def test_malformed(self):
        """Malformed packets: 0x81. 5.0 [MQTT-3.8.1-1] [MQTT-2.1.3-1] [MQTT-3.8.3-1] [MQTT-3.8.3-5] [MQTT-4.7.3-2]
        [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-4.13.1-1] [MQTT-1.5.5-1]"""
        good = p.subscribe(1, ("t", 0), props=())
        cases = {
            "no options": p.packet(0x82, b"\x00\x01\x00" + p.string("t")),
            "no second options": p.packet(0x82, b"\x00\x01\x00" + p.string("t") + b"\x00" + p.string("u")),
            "filter beyond the end": p.packet(0x82, b"\x00\x01\x00\x00\x05t"),
            "filter not UTF-8": p.subscribe(1, ("t", 0), (b"\xff", 0), props=()),
            "filter with a surrogate": p.subscribe(1, (b"\xed\xa0\x80", 0), props=()),
            "filter with U+0000": p.subscribe(1, (b"a\x00", 0), props=()),
            "options, bit 6": p.subscribe(1, ("t", 0x40), props=()),
            "options, bit 7": p.subscribe(1, ("t", 0x80), props=()),
            "no Property Length": p.packet(0x82, b"\x00\x01"),
            "no packet identifier": p.packet(0x82),
            "Property Length beyond the end": p.packet(0x82, b"\x00\x01\x09" + p.string("t") + b"\x00"),
            "no such property": p.subscribe(1, ("t", 0), props=[b"\x7f\x00"]),
            "Subscription Identifier cut off": p.subscribe(1, ("t", 0), props=[b"\x0b\x80"]),
            "Subscription Identifier not of the fewest bytes": p.subscribe(1, ("t", 0), props=[b"\x0b\x81\x00"]),
            "Subscription Identifier of five bytes": p.subscribe(1, ("t", 0), props=[b"\x0b\x80\x80\x80\x80\x01"]),
        }
        for flags in (0x80, 0x81, 0x83, 0x8A, 0x8F):
            cases[f"flags {flags:#x}"] = bytes([flags]) + good[1:]
        for name, data in cases.items():
            with self.subTest(name):
                self.ended(data, 0x81)

    @differs("mosquitto 2.0.11 says 0x81 or nothing")
    def test_protocol_errors(self):
        """Protocol Errors: 0x82 (for some the form is wrong as well as the contents: 0x81). 5.0 [MQTT-3.8.3-2]
        [MQTT-3.8.3-4] [MQTT-2.2.1-3] [MQTT-4.13.1-1]"""
        cases = {
            "no filter": (p.subscribe(1, props=()), 0x82, 0x81),
            "QoS 3": (p.subscribe(1, ("t", 3), props=()), 0x82, 0x81),
            "Retain Handling 3": (p.subscribe(1, ("t", 0x30), props=()), 0x82, 0x81),
            "packet identifier 0": (p.subscribe(0, ("t", 0), props=()), 0x82, 0x81),
            "Session Expiry Interval": (p.subscribe(1, ("t", 0), props=[(pr.SESSION_EXPIRY, 1)]), 0x82, 0x81),
            "Subscription Identifier 0": (p.subscribe(1, ("t", 0), props=[(ID, 0)]), 0x82),
            "Subscription Identifier twice": (p.subscribe(1, ("t", 0), props=[(ID, 1), (ID, 2)]), 0x82),
            "No Local on a shared subscription": (p.subscribe(1, ("$share/g/t", p.NO_LOCAL), props=()), 0x82),
            "the same, second": (p.subscribe(1, ("t", 0), ("$share/g/t", p.NO_LOCAL), props=()), 0x82),
        }
        for name, (data, *codes) in cases.items():
            with self.subTest(name):
                self.ended(data, *codes)

    def failed(self, filter_):
        """The filter is refused, by its reason code in the SUBACK or by DISCONNECT; another one is not touched by
        it."""
        client = self.client("c")
        client.send(p.subscribe(1, (filter_, 0), props=()))
        packet = client.read()
        if packet.type == p.SUBACK:
            self.assertIn(packet.codes[0], (0x8F, 0x80))
        else:
            self.assertEqual(packet.type, p.DISCONNECT)
            self.assertIn(packet.code, (0x81, 0x82, 0x8F))
            client.closed()

    def test_filters(self):
        """Filters that are none. 5.0 [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1]"""
        for filter_ in ("", "a#", "#a", "a/#/b", "#/", "##", "a+", "+a", "a/+b/c", "++", "+#", "a/b+"):
            with self.subTest(filter_):
                self.failed(filter_)

    @differs("mosquitto 2.0.11 accepts some")
    def test_shared_filters(self):
        """Shared subscriptions that are none. 5.0 [MQTT-4.8.2-1] [MQTT-4.8.2-2]"""
        for filter_ in ("$share", "$share/", "$share/g", "$share/g/", "$share//t", "$share/+/t", "$share/#/t",
                        "$share/g+/t", "$share/a#/t", "$share/g/a#", "$share/#"):
            with self.subTest(filter_):
                if filter_ != "$share":  # that is a filter like another
                    self.failed(filter_)


class Matching(SystemTest):
    """What filters match, on a daemon of its own because # sees everything."""

    level = 5

    def test_matching(self):
        """Levels, wildcards, topics that begin with $, no normalisation. 5.0 [MQTT-4.7.2-1] [MQTT-4.7.3-4]
        [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-3.3.2-3] [MQTT-4.5.0-1] [MQTT-4.7.3-1]"""
        cases = (("#", ["a", "/", "a/b/", " "], ["$a", "$a/b"]), ("+", ["a", "é"], ["a/b", "/", "$a"]),
                 ("+/b", ["a/b", "/b"], ["b", "$a/b", "a/b/c"]), ("a/#", ["a", "a/", "a/b/c"], ["b", "A/b", "aa"]),
                 ("$a/#", ["$a", "$a/b"], ["a"]), ("é", ["é"], ["e\u0301", "e"]), 
                 ("a//b", ["a//b"], ["a/b", "a/ /b"]), ("\ufeff", ["\ufeff"], ["a"]))
        publisher = self.client("p")
        for filter_, hits, misses in cases:
            with self.subTest(filter_):
                client = self.client("c")
                client.subscribe(filter_, qos=1)
                for topic in misses + hits:
                    publisher.publish(topic, topic, 1)
                self.assertEqual([x.topic for x in client.receive(len(hits))], hits)
                client.ping()
                client.disconnect()


class Identifiers(SystemTest):
    """Subscription Identifiers."""

    level = 5

    @recorded
    def test_one(self):
        """It comes with every message of its subscription, from 1 to 268,435,455, also retained ones, and with no
        other. 5.0 [MQTT-3.3.4-3] [MQTT-3.3.4-4]"""
        client = self.client("c")
        client.publish(self.topic("1"), b"retained", 1, True)
        for identifier in (1, 127, 128, 16383, 16384, 2097151, 2097152, 268435455):
            client.subscribe(self.topic(str(identifier)), qos=1, props=[(ID, identifier)])
            if identifier == 1:
                self.assertEqual(client.receive()[0].props, [(ID, 1)])
            for qos in (0, 1):
                client.publish(self.topic(str(identifier)), b"x", qos)
                self.assertEqual(client.receive()[0].props, [(ID, identifier)])
        client.subscribe(self.topic("none"))
        client.publish(self.topic("none"), b"x")
        self.assertEqual(client.receive()[0].props, [])
        client.publish(self.topic("1"), b"", 1, True)
        client.receive()

    @differs("mosquitto 2.0.11 sends the identifiers of one")
    @recorded
    def test_overlaps(self):
        """A message that several subscriptions match carries the identifiers of all of them, and the highest QoS; the
        same one twice where two subscriptions have it, or once. 5.0 [MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.3.4-4]"""
        client, publisher = self.client("c"), self.client("p")
        client.subscribe((self.topic("#"), 0), props=[(ID, 3)])
        client.subscribe((self.topic("+"), 2), props=[(ID, 1)])
        client.subscribe((self.topic("t"), 1), props=[(ID, 2)])
        client.subscribe((self.topic("+", "#"), 1))
        client.subscribe((self.topic("u"), 1), (self.topic("u", "#"), 0), props=[(ID, 9)])
        for topic, qos, identifiers in (("t", 2, [1, 2, 3]), ("x", 2, [1, 3]), ("a/b", 1, [3])):
            publisher.publish(self.topic(topic), b"x", 2)
            packet = client.receive()[0]
            self.assertEqual((packet.qos, sorted(packet.props.all(ID))), (qos, identifiers))
        publisher.publish(self.topic("u"), b"x", 1)
        self.assertEqual(set(client.receive()[0].props.all(ID)), {1, 3, 9})
        client.ping()

    def test_replaced(self):
        """Subscribing again replaces it, or removes it. 5.0 [MQTT-3.8.4-3]"""
        client = self.client("c")
        for props, wanted in (([(ID, 5)], [5]), ([(ID, 6)], [6]), ((), [])):
            client.subscribe(self.topic("t"), qos=1, props=props)
            client.publish(self.topic("t"), b"x", 1)
            self.assertEqual(client.receive()[0].props.all(ID), wanted)
        client.ping()

    def test_of_the_publisher(self):
        """What the publisher's own subscriptions have does not travel. 5.0 [MQTT-3.3.4-3]"""
        publisher, client = self.client("p"), self.client("c")
        publisher.subscribe(self.topic("t"), props=[(ID, 1)])
        client.subscribe(self.topic("t"), props=[(ID, 2)])
        publisher.publish(self.topic("t"), b"x")
        self.assertEqual(publisher.receive()[0].props, [(ID, 1)])
        self.assertEqual(client.receive()[0].props, [(ID, 2)])


class Copies(SystemTest):
    """allow_duplicate_messages true: a copy for each subscription."""

    level = 5
    options = ("allow_duplicate_messages true",)

    def test_identifiers(self):
        """Each copy has the identifier and the QoS of its subscription. 5.0 [MQTT-3.3.4-5]"""
        client = self.client("c")
        client.subscribe((self.topic("#"), 0), props=[(ID, 3)])
        client.subscribe((self.topic("t"), 1), props=[(ID, 2)])
        client.subscribe((self.topic("+"), 1))
        client.publish(self.topic("t"), b"x", 1)
        came = client.receive(3)
        self.assertEqual(sorted((x.qos, x.props.all(ID)) for x in came), [(0, [3]), (1, []), (1, [2])])
        client.ping()


class Options(SystemTest):
    """No Local, Retain As Published, Retain Handling, QoS."""

    level = 5

    @recorded
    def test_no_local(self):
        """No Local keeps a client's own messages from it, and only those; not where another subscription matches too.
        5.0 [MQTT-3.8.3-3]"""
        client, other = self.client("c"), self.client("o")
        client.subscribe((self.topic("t"), 2 | p.NO_LOCAL))
        other.subscribe((self.topic("t"), 2))
        for qos in (0, 1, 2):
            client.publish(self.topic("t"), b"own", qos)
            self.assertEqual(other.receive()[0].payload, b"own")
            other.publish(self.topic("t"), b"other's", qos)
            self.assertEqual(client.receive()[0].payload, b"other's")
            other.receive()
        client.subscribe(self.topic("#"))
        client.publish(self.topic("t"), b"own", 1)
        self.assertEqual([x.payload for x in client.receive()], [b"own"])
        client.ping()

    @differs("mosquitto 2.0.11 cannot switch it off")
    def test_no_local_follows_the_client_identifier(self):
        """It is the client identifier that counts, not the connection; subscribing again switches it off.
        5.0 [MQTT-3.8.3-3] [MQTT-3.8.4-3]"""
        first = self.client("c", expiry=100)
        first.subscribe((self.topic("t"), 1 | p.NO_LOCAL))
        first.close()
        second = self.client("c", clean=False, present=True, expiry=100)
        second.publish(self.topic("t"), b"own", 1)
        second.ping()
        second.subscribe((self.topic("t"), 1))
        second.publish(self.topic("t"), b"own", 1)
        self.assertEqual(second.payloads(1), [b"own"])

    @recorded
    def test_retain_as_published(self):
        """RETAIN of what is forwarded: 0, or as it was published. 5.0 [MQTT-3.3.1-12] [MQTT-3.3.1-13]"""
        plain, kept, publisher = self.client("a"), self.client("b"), self.client("p")
        plain.subscribe((self.topic("t"), 2))
        kept.subscribe((self.topic("t"), 2 | p.RETAIN_AS_PUBLISHED))
        for qos in (0, 1, 2):
            for retain in (True, False):
                publisher.publish(self.topic("t"), b"x", qos, retain)
                self.assertFalse(plain.receive()[0].retain)
                self.assertEqual(kept.receive()[0].retain, retain)
        publisher.publish(self.topic("t"), b"", 1, True)
        self.assertTrue(kept.receive()[0].retain)

    @recorded
    def test_retained(self):
        """What a subscription gets of the store has RETAIN 1, whatever the option. 5.0 [MQTT-3.3.1-9] [MQTT-3.3.1-5]
        [MQTT-3.3.1-8]"""
        publisher = self.client("p")
        publisher.publish(self.topic("t"), b"kept", 1, True)
        publisher.publish(self.topic("t"), b"not kept", 1)
        for options in (1, 1 | p.RETAIN_AS_PUBLISHED):
            client = self.client("c")
            client.subscribe((self.topic("t"), options))
            packet = client.receive()[0]
            self.assertEqual((packet.payload, packet.retain), (b"kept", True))
            client.disconnect()
        publisher.publish(self.topic("t"), b"", 1, True)

    def got(self, client, options, filter_="t"):
        """Payloads of the retained messages that subscribing brings."""
        client.subscribe((self.topic(filter_), options))
        return sorted(x.payload for x in client.settle())

    def test_retain_handling(self):
        """0: at each subscribe; 1: when the subscription is new; 2: never. 5.0 [MQTT-3.3.1-9] [MQTT-3.3.1-10]
        [MQTT-3.3.1-11] [MQTT-3.8.4-4]"""
        publisher = self.client("p")
        for name in "ab":
            publisher.publish(self.topic(name), name, 1, True)
        for first, second, wanted in ((0, 0, 2), (1, 1, 1), (2, 2, 0), (2, 1, 0), (2, 0, 1), (1, 0, 2), (0, 1, 1)):
            with self.subTest(f"{first} then {second}"):
                client = self.client("c")
                came = [self.got(client, 1 | first << 4, "+"), self.got(client, 1 | second << 4, "+")]
                self.assertEqual(sum(x == [b"a", b"b"] for x in came), wanted)
                self.assertEqual(sum(x == [] for x in came), 2 - wanted)
                client.unsubscribe(self.topic("+"))
                self.assertEqual(self.got(client, 1 | p.SEND_IF_NEW, "+"), [b"a", b"b"])
                client.disconnect()
        for name in "ab":
            publisher.publish(self.topic(name), b"", 1, True)

    def test_retain_handling_of_a_session(self):
        """A subscription of a session that is resumed is not new. 5.0 [MQTT-3.3.1-10]"""
        client = self.client("c", expiry=100)
        client.publish(self.topic("t"), b"kept", 1, True)
        self.assertEqual(self.got(client, 1 | p.SEND_IF_NEW), [b"kept"])
        client.close()
        client = self.client("c", clean=False, present=True)
        self.assertEqual(self.got(client, 1 | p.SEND_IF_NEW), [])
        self.assertEqual(self.got(client, 1), [b"kept"])
        client.publish(self.topic("t"), b"", 1, True)

    def test_empty_retained(self):
        """An empty one is delivered, removes the retained message and is not stored. 5.0 [MQTT-3.3.1-6]
        [MQTT-3.3.1-7]"""
        client = self.client("c")
        client.subscribe(self.topic("t"), qos=1)
        for payload in (b"kept", b""):
            client.publish(self.topic("t"), payload, 1, True, props=[(pr.USER, ("a", "b"))])
            self.assertEqual(client.payloads(1), [payload])
        self.assertEqual(self.got(self.client("late"), 1), [])

    def test_replacement_loses_nothing(self):
        """Messages that are published while a subscription is replaced again and again all arrive, once.
        5.0 [MQTT-3.8.4-4] [MQTT-3.8.4-3]"""
        client, publisher = self.client("c"), self.client("p")
        client.subscribe((self.topic("t"), 1))
        for n in range(200):
            publisher.send(p.publish(self.topic("t"), b"%d" % n, 1, mid=n % 20 + 1, props=()))
            if n % 2:
                client.subscribe((self.topic("t"), 1 | (n % 3) << 4 | (n & 4 and p.RETAIN_AS_PUBLISHED)),
                                 props=[(ID, n)])
            if n % 20 == 19:
                for _ in range(20):
                    publisher.expect(p.PUBACK)
        came = client.receive(200)
        self.assertEqual([x.payload for x in came], [b"%d" % n for n in range(200)])
        client.ping()

    @recorded
    def test_qos(self):
        """The QoS of delivery is the lower one of published and granted. 5.0 [MQTT-3.8.4-8]"""
        client, publisher = self.client("c"), self.client("p")
        for granted in (0, 1, 2):
            client.subscribe((self.topic("t"), granted))
            for qos in (0, 1, 2):
                publisher.publish(self.topic("t"), b"x", qos)
                self.assertEqual(client.receive()[0].qos, min(qos, granted))

    @differs("mosquitto 2.0.11 counts otherwise")
    def test_many_at_once(self):
        """One SUBSCRIBE with the same filter twice is as two: the last one stays. 5.0 [MQTT-3.8.4-5]"""
        client = self.client("c")
        client.publish(self.topic("t"), b"kept", 1, True)
        client.send(p.subscribe(5, (self.topic("t"), 1), (self.topic("u"), 2), (self.topic("t"), 0 | p.DO_NOT_SEND),
                                props=()))
        self.assertEqual(client.until(p.SUBACK).codes, [1, 2, 0])
        self.assertEqual(client.payloads(1), [b"kept"])
        client.publish(self.topic("t"), b"", 1, True)
        self.assertEqual(client.receive()[0].qos, 0)
        client.ping()
