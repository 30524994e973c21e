# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""PUBLISH in MQTT 5.0: what is passed on, and how: section 3.3."""

from harness import packets as p
from harness import properties as pr
from harness.suite import SystemTest, differs, recorded

PROPS = [(pr.USER, ("b", "2")), (pr.PAYLOAD_FORMAT, 1), (pr.CONTENT_TYPE, "téxt/plain"), (pr.USER, ("a", "1")),
         (pr.RESPONSE_TOPIC, "answer/here"), (pr.CORRELATION_DATA, bytes(range(256))), (pr.USER, ("b", "2")),
         (pr.USER, ("", "")), (pr.USER, ("a", "\ufeff0"))]


class PassedOn(SystemTest):
    """Properties reach every subscriber as they were."""

    level = 5

    @recorded
    def test_unaltered(self):
        """All of them, for every QoS; user properties in their order, same names and empty ones too. 5.0 [MQTT-3.3.2-4]
        [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20] [MQTT-3.3.2-3] [MQTT-1.5.4-3]"""
        subscribers = [self.client(f"s{n}") for n in range(3)]
        for n, client in enumerate(subscribers):
            client.subscribe((self.topic("t"), n))
        publisher = self.client("p")
        for qos in (0, 1, 2):
            publisher.publish(self.topic("t"), "é", qos, props=PROPS)
            for n, client in enumerate(subscribers):
                packet = client.receive()[0]
                self.assertEqual((packet.topic, packet.payload, packet.qos),
                                 (self.topic("t"), "é".encode(), min(qos, n)))
                self.assertEqual(pr.plain(packet.props), pr.plain(PROPS))

    @recorded
    def test_one_at_a_time(self):
        """Each alone, and none: a message without properties has none. 5.0 [MQTT-2.2.2-1] [MQTT-3.3.2-4]
        [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-20]"""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("t"))
        cases = [[], [(pr.PAYLOAD_FORMAT, 0)], [(pr.PAYLOAD_FORMAT, 1)], [(pr.CONTENT_TYPE, "")],
                 [(pr.CONTENT_TYPE, "x" * 60000)], [(pr.RESPONSE_TOPIC, "r")], [(pr.CORRELATION_DATA, b"")],
                 [(pr.CORRELATION_DATA, b"\x00")], [(pr.USER, ("k" * 60000, "v" * 60000))],
                 [(pr.USER, ("k", "v"))] * 200]
        for props in cases:
            publisher.publish(self.topic("t"), b"x", props=props)
            self.assertEqual(subscriber.receive()[0].props, props)

    @recorded
    def test_retained(self):
        """A retained message keeps its properties. 5.0 [MQTT-3.3.1-5] [MQTT-3.3.2-17] [MQTT-3.3.2-18]"""
        publisher = self.client("p")
        publisher.publish(self.topic("t"), b"first", 1, True, props=[(pr.USER, ("old", "one"))])
        publisher.publish(self.topic("t"), b"second", 1, True, props=PROPS)
        subscriber = self.client("s")
        subscriber.subscribe(self.topic("t"), qos=1)
        packet = subscriber.receive()[0]
        self.assertEqual((packet.payload, packet.retain), (b"second", True))
        self.assertEqual(pr.plain(packet.props), pr.plain(PROPS))
        subscriber.ping()
        publisher.publish(self.topic("t"), b"", 1, True)

    def test_not_interpreted(self):
        """A payload that is no UTF-8 although the Payload Format Indicator says so is passed on, or refused with
        0x99."""
        client = self.client("c")
        client.subscribe(self.topic("t"), qos=1)
        client.send(p.publish(self.topic("t"), b"\xff\xfe", 1, mid=1, props=[(pr.PAYLOAD_FORMAT, 1)]))
        code = client.until(p.PUBACK).code
        self.assertIn(code, (0, 0x99))
        if code == 0:
            self.assertEqual(client.receive()[0].payload, b"\xff\xfe")

    @recorded
    def test_request_response(self):
        """A request and its response: the topic and the data find their way. 5.0 [MQTT-3.3.2-15] [MQTT-3.3.2-16]"""
        requester, responder = self.client("requester"), self.client("responder")
        responder.subscribe(self.topic("request"), qos=1)
        requester.subscribe((self.topic("response"), 1 | p.NO_LOCAL))
        requester.publish(self.topic("request"), b"2 + 2", 1,
                          props=[(pr.RESPONSE_TOPIC, self.topic("response")), (pr.CORRELATION_DATA, b"\x00id")])
        request = responder.receive()[0]
        responder.publish(request.props.get(pr.RESPONSE_TOPIC), b"4", 1,
                          props=[(pr.CORRELATION_DATA, request.props.get(pr.CORRELATION_DATA))])
        response = requester.receive()[0]
        self.assertEqual((response.payload, response.props), (b"4", [(pr.CORRELATION_DATA, b"\x00id")]))

    def test_identifiers_one_two_three(self):
        """Outgoing packet identifiers count 1, 2, 3 ... per session, and on when it is resumed. 5.0 [MQTT-2.2.1-4]
        [MQTT-4.3.2-1] [MQTT-4.3.3-1]"""
        subscriber, publisher = self.client("s", expiry=100), self.client("p")
        subscriber.subscribe(self.topic("t"), qos=2)
        for n in range(1, 8):
            publisher.publish(self.topic("t"), b"x", 1 + n % 2)
            self.assertEqual(subscriber.receive()[0].mid, n)
        subscriber.disconnect()
        publisher.publish(self.topic("t"), b"x", 1)
        subscriber = self.client("s", clean=False, present=True)
        self.assertEqual(subscriber.receive()[0].mid, 8)

    @recorded
    def test_dup_is_not_passed_on(self):
        """DUP of the publisher is not the subscriber's. 5.0 [MQTT-3.3.1-3] [MQTT-3.3.1-2] [MQTT-4.3.1-1] [MQTT-4.3.2-2]
        [MQTT-4.3.3-2] [MQTT-2.2.1-2]"""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("t"), qos=2)
        publisher.publish(self.topic("t"), b"0")
        publisher.publish(self.topic("t"), b"1", 1, dup=True)
        publisher.publish(self.topic("t"), b"2", 2, dup=True)
        came = subscriber.receive(3)
        self.assertEqual([(x.payload, x.qos, x.dup) for x in came], [(b"%d" % n, n, False) for n in range(3)])

    def test_order(self):
        """Messages of one client, topic and QoS keep their order. 5.0 [MQTT-4.6.0-5] [MQTT-4.6.0-6]"""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("+"), qos=2)
        for n in range(60):
            publisher.publish(self.topic(str(n % 2)), b"%d" % n, n % 3)
        came = subscriber.receive(60)
        for topic in ("0", "1"):
            for qos in (0, 1, 2):
                numbers = [int(x.payload) for x in came if x.topic == self.topic(topic) and x.qos == qos]
                self.assertEqual(numbers, sorted(numbers))
                self.assertEqual(len(numbers), 10)


class Refused(SystemTest):
    """A PUBLISH that is not right."""

    level = 5

    def ended(self, data, *codes):
        """DISCONNECT with one of these reason codes; nothing is delivered."""
        watch = self.client("watch")
        watch.subscribe(self.topic("#"))
        client = self.client("c")
        client.send(data)
        self.assertEqual(len(client.disconnected(*codes)), 1)
        watch.ping()

    @differs("mosquitto 2.0.11 just closes on strings that are not UTF-8")
    def test_malformed(self):
        """Malformed packets: 0x81. 5.0 [MQTT-3.3.1-4] [MQTT-3.3.2-1] [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-1.5.5-1]
        [MQTT-1.5.7-1] [MQTT-3.3.2-13] [MQTT-3.3.2-19] [MQTT-4.13.1-1] [MQTT-4.7.3-2] [MQTT-4.13.2-1]"""
        t = self.topic("t")
        cases = {
            "QoS 3": p.publish(t, b"x", 3, mid=1, props=()),
            "QoS 3 and DUP": p.publish(t, b"x", 3, dup=True, mid=1, props=()),
            "topic not UTF-8": p.publish(b"\xff", b"x", props=()),
            "topic with a surrogate": p.publish(b"a\xed\xbf\xbf", b"x", props=()),
            "topic with U+0000": p.publish(b"a\x00", b"x", props=()),
            "topic beyond the end": p.packet(0x30, b"\x00\x09abc"),
            "no topic": p.packet(0x30),
            "no packet identifier": p.packet(0x32, p.string(t)),
            "no Property Length": p.packet(0x30, p.string(t)),
            "Property Length beyond the end": p.packet(0x30, p.string(t) + b"\x05\x01\x00"),
            "Property Length not of the fewest bytes": p.packet(0x30, p.string(t) + b"\x80\x00x"),
            "Property Length of five bytes": p.packet(0x30, p.string(t) + b"\x80\x80\x80\x80\x01x"),
            "no such property": p.publish(t, b"x", props=[b"\x04\x00"]),
            "identifier not of the fewest bytes": p.publish(t, b"x", props=[b"\x81\x00\x00"]),
            "property cut off": p.publish(t, b"x", props=[b"\x02\x00\x00"]),
            "Content Type not UTF-8": p.publish(t, b"x", props=[(pr.CONTENT_TYPE, b"\xff")]),
            "Response Topic not UTF-8": p.publish(t, b"x", props=[(pr.RESPONSE_TOPIC, b"\xff")]),
            "Response Topic with U+0000": p.publish(t, b"x", props=[(pr.RESPONSE_TOPIC, b"a\x00")]),
            "name not UTF-8": p.publish(t, b"x", props=[(pr.USER, (b"\xc0\x80", "v"))]),
            "value not UTF-8": p.publish(t, b"x", props=[(pr.USER, ("k", b"\xff"))]),
            "value with U+0000": p.publish(t, b"x", props=[(pr.USER, ("k", "\0"))]),
        }
        for name, data in cases.items():
            with self.subTest(name):
                self.ended(data, 0x81)

    @differs("mosquitto 2.0.11 does not look at the Payload Format Indicator")
    def test_protocol_errors(self):
        """Protocol Errors: 0x82, or what the standard has for the case. 5.0 [MQTT-3.3.4-6] [MQTT-2.2.1-3]
        [MQTT-4.13.1-1] [MQTT-3.3.2-8] [MQTT-3.3.2-14]"""
        t = self.topic("t")
        cases = {
            "Subscription Identifier": (p.publish(t, b"x", props=[(pr.SUBSCRIPTION_ID, 1)]), 0x82),
            "packet identifier 0, QoS 1": (p.publish(t, b"x", 1, mid=0, props=()), 0x82),
            "packet identifier 0, QoS 2": (p.publish(t, b"x", 2, mid=0, props=()), 0x82),
            "no topic and no alias": (p.publish("", b"x", props=()), 0x82),
            "Payload Format Indicator 2": (p.publish(t, b"x", props=[(pr.PAYLOAD_FORMAT, 2)]), 0x82),
            "Topic Alias 0": (p.publish(t, b"x", props=[(pr.TOPIC_ALIAS, 0)]), 0x82, 0x94),
            "property of CONNECT": (p.publish(t, b"x", props=[(pr.SESSION_EXPIRY, 1)]), 0x81, 0x82),
            "property of the will": (p.publish(t, b"x", props=[(pr.WILL_DELAY, 1)]), 0x81, 0x82),
            "Reason String": (p.publish(t, b"x", props=[(pr.REASON_STRING, "x")]), 0x81, 0x82),
            "Response Topic +": (p.publish(t, b"x", props=[(pr.RESPONSE_TOPIC, "a/+")]), 0x82, 0x90),
            "Response Topic #": (p.publish(t, b"x", props=[(pr.RESPONSE_TOPIC, "#")]), 0x82, 0x90),
        }
        for identifier, value in ((pr.PAYLOAD_FORMAT, 1), (pr.MESSAGE_EXPIRY, 5), (pr.CONTENT_TYPE, "c"),
                                  (pr.RESPONSE_TOPIC, "r"), (pr.CORRELATION_DATA, b"d"), (pr.TOPIC_ALIAS, 1)):
            cases[f"{pr.TABLE[identifier][0]} twice"] = p.publish(t, b"x", props=[(identifier, value)] * 2), 0x82
        for name, (data, *codes) in cases.items():
            with self.subTest(name):
                self.ended(data, *codes)

    @differs("mosquitto 2.0.11 does not look")
    def test_dup_of_qos_0(self):
        """DUP with QoS 0 is not what a publisher may send. 5.0 [MQTT-3.3.1-2]"""
        self.ended(p.publish(self.topic("t"), b"x", dup=True, props=()), 0x81, 0x82)

    def test_wildcards(self):
        """A topic name with a wildcard is refused, whatever the QoS. 5.0 [MQTT-3.3.2-2] [MQTT-4.7.0-1]
        [MQTT-4.7.3-1]"""
        for topic in ("a/+", "#", "a/#/b", "a+b"):
            for qos in (0, 1, 2):
                with self.subTest(f"{topic} QoS {qos}"):
                    self.ended(p.publish(topic, b"x", qos, mid=1 if qos else None, props=()), 0x81, 0x82, 0x90)

    def test_longest_topic(self):
        """The longest topic name there can be is passed on. 5.0 [MQTT-4.7.3-3]"""
        topic = self.topic("t").ljust(65535, "x")
        client = self.client("c")
        client.subscribe(topic, qos=1)
        client.publish(topic, b"x", 1, props=[(pr.USER, ("a", "b"))])
        packet = client.receive()[0]
        self.assertEqual((packet.topic, packet.props), (topic, [(pr.USER, ("a", "b"))]))
