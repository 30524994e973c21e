# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""CONNECT and CONNACK of MQTT 5.0: sections 3.1 and 3.2."""

import struct

from harness import packets as p
from harness import properties as pr
from harness.suite import SystemTest, differs

HEADER = p.string("MQTT") + b"\x05"  # of a CONNECT, up to the connect flags
KEEP = b"\x00\x3c"
EMPTY = b"\x00"  # Property Length


def connect(flags, *fields, props=EMPTY):
    """A CONNECT with these flags and payload fields, whether they belong together or not; bytes are taken as they
    are."""
    payload = b"".join(p.string(f) if isinstance(f, str) else f for f in fields)
    return p.packet(0x10, HEADER + bytes([flags]) + KEEP + props + payload)


class Refusals(SystemTest):
    """A CONNECT that is not accepted."""

    level = 5

    def refused(self, *data, code):
        """The broker closes, after a CONNACK with this reason code, or one of them, or after nothing; it answers
        nothing of what follows."""
        client = self.raw()
        client.send(*data)
        came = client.closed()
        codes = code if isinstance(code, tuple) else (code,)
        for connack in came:
            self.assertEqual(connack.type, p.CONNACK)
            self.assertIn(connack.code, codes)
            self.assertFalse(connack.present)
        self.assertLessEqual(len(came), 1)
        return came

    def test_first_packet_is_connect(self):
        """Anything else first closes the connection, without CONNACK and without DISCONNECT. 5.0 [MQTT-3.1.0-1]
        [MQTT-3.14.0-1] [MQTT-3.2.0-1] [MQTT-4.13.1-1]"""
        for name, data in (("PINGREQ", p.PING), ("PUBLISH", p.publish("t", b"x", props=())), ("DISCONNECT", p.BYE),
                           ("SUBSCRIBE", p.subscribe(1, ("t", 0), props=())), ("AUTH", p.auth()),
                           ("AUTH 0x18", p.auth(0x18, [(pr.AUTH_METHOD, "x")])), ("type 0", b"\x00\x00"),
                           ("CONNACK", b"\x20\x03\x00\x00\x00")):
            with self.subTest(name):
                client = self.raw()
                client.send(data)
                self.assertEqual(client.closed(), [])

    def test_protocol_name(self):
        """A wrong protocol name is refused. 5.0 [MQTT-3.1.2-1]"""
        for name in ("", "MQT", "MQTTT", "mqtt", "MQTU", "MQIsdp", "X" * 300):
            with self.subTest(name):
                self.refused(p.connect(self.id("a"), name=name, level=5), code=(0x84, 0x01))

    def test_protocol_version(self):
        """An unsupported protocol version is refused, with 0x84 or in the words of the older versions.
        5.0 [MQTT-3.1.2-2]"""
        for level in (0, 1, 2, 6, 7, 9, 127, 255):
            with self.subTest(level):
                self.refused(p.connect(self.id("a"), name="MQTT", level=level), code=(0x84, 0x01))

    def test_malformed(self):
        """What does not have the form of a CONNECT is malformed: 0x81 if anything. 5.0 [MQTT-3.1.2-3] [MQTT-3.1.4-1]
        [MQTT-3.1.3-3] [MQTT-3.1.2-9] [MQTT-3.1.2-11] [MQTT-3.1.2-12] [MQTT-3.1.2-13] [MQTT-3.1.2-16] [MQTT-3.1.2-17]
        [MQTT-3.1.2-18] [MQTT-3.1.2-19] [MQTT-2.2.2-1] [MQTT-2.1.3-1] [MQTT-3.2.2-7] [MQTT-3.14.0-1]"""
        cases = {
            "reserved connect flag": connect(0x03, "a"),
            "reserved flags of the fixed header": b"\x11" + connect(0x02, "a")[1:],
            "no will, will QoS 1": connect(0x0A, "a"),
            "no will, will QoS 2": connect(0x12, "a"),
            "no will, will QoS 3": connect(0x1A, "a"),
            "no will, will retain": connect(0x22, "a"),
            "will QoS 3": connect(0x1E, "a", EMPTY, "t", "m"),
            "no will properties": connect(0x06, "a"),
            "will properties only": connect(0x06, "a", EMPTY),
            "no will payload": connect(0x06, "a", EMPTY, "t"),
            "no user name": connect(0x82, "a"),
            "no password": connect(0x42, "a"),
            "no password after the user name": connect(0xC2, "a", "user"),
            "a user name without its flag": connect(0x02, "a", "user"),
            "a password without its flag": connect(0x82, "a", "user", "password"),
            "a byte left over": connect(0x02, "a", b"\x00"),
            "no properties": p.packet(0x10, HEADER + b"\x02" + KEEP),
            "Property Length beyond the end": connect(0x02, "a", props=b"\x7f"),
            "no keep alive": p.packet(0x10, HEADER + b"\x02"),
            "empty": p.packet(0x10),
        }
        for name, data in cases.items():
            with self.subTest(name):
                self.refused(data, code=0x81)

    def test_missing_client_identifier(self):
        """A client identifier that is not all there is malformed, or not valid. 5.0 [MQTT-3.1.3-3]"""
        self.refused(connect(0x02), code=(0x81, 0x85))
        self.refused(connect(0x02, b"\x00\x05ab"), code=(0x81, 0x85))

    def test_strings(self):
        """Client identifier, will topic and user name are UTF-8. 5.0 [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-3.1.3-4]
        [MQTT-3.1.3-11] [MQTT-3.1.3-12]"""
        for bad in (b"\xff", b"a\x00b", b"\xed\xa0\x80", b"\xc0\x80", b"\xe2\x82"):
            with self.subTest(bad):
                self.refused(p.connect(bad, level=5), code=(0x81, 0x85))
                self.refused(p.connect("a", level=5, will=(bad, b"", 0, False)), code=(0x81, 0x90))
                self.refused(p.connect("a", level=5, username=bad), code=(0x81, 0x86))

    @differs("mosquitto 2.0.11 accepts Authentication Data without a method")
    def test_properties(self):
        """Values out of range and single properties that come twice are Protocol Errors, 0x82; what does not have the
        form of a property is malformed, 0x81; one of other packets is one of both. 5.0 [MQTT-3.1.4-1] [MQTT-1.5.5-1]
        [MQTT-1.5.7-1] [MQTT-4.13.1-1] [MQTT-4.13.2-1]"""
        wrong = {
            "Receive Maximum 0": [(pr.RECEIVE_MAXIMUM, 0)],
            "Maximum Packet Size 0": [(pr.MAXIMUM_PACKET_SIZE, 0)],
            "Request Response Information 2": [(pr.REQUEST_RESPONSE, 2)],
            "Request Problem Information 2": [(pr.REQUEST_PROBLEM, 2)],
            "Authentication Data without a method": [(pr.AUTH_DATA, b"x")],
        }
        for identifier, value in ((pr.SESSION_EXPIRY, 1), (pr.RECEIVE_MAXIMUM, 5), (pr.MAXIMUM_PACKET_SIZE, 5000),
                                  (pr.TOPIC_ALIAS_MAXIMUM, 3), (pr.REQUEST_RESPONSE, 0), (pr.REQUEST_PROBLEM, 1)):
            wrong[f"{pr.TABLE[identifier][0]} twice"] = [(identifier, value)] * 2
        for name, props in wrong.items():
            with self.subTest(name):
                self.refused(p.connect("a", level=5, props=props), code=0x82)
        for name, props in (("Authentication Method twice", [(pr.AUTH_METHOD, "x")] * 2),):
            with self.subTest(name):
                self.refused(p.connect("a", level=5, props=props), code=(0x82, 0x8C))
        malformed = {
            "no such property": [b"\x05\x00"],
            "no such property, two bytes": [b"\x80\x01\x00"],
            "not the fewest bytes": [b"\x91\x00\x00\x00\x00\x01"],
            "cut off": [b"\x11\x00\x00"],
            "a pair of one": [b"\x26\x00\x01a"],
            "a pair with U+0000": [(pr.USER, (b"a", b"\x00"))],
            "a pair with a surrogate": [(pr.USER, (b"\xed\xa0\x80", b"a"))],
        }
        for name, props in malformed.items():
            with self.subTest(name):
                self.refused(p.connect("a", level=5, props=props), code=0x81)
        for one in ((pr.TOPIC_ALIAS, 1), (pr.WILL_DELAY, 1), (pr.REASON_STRING, "x"), (pr.PAYLOAD_FORMAT, 1),
                    (pr.MAXIMUM_QOS, 1), (pr.SERVER_KEEP_ALIVE, 1), (pr.SUBSCRIPTION_ID, 1)):
            with self.subTest(pr.TABLE[one[0]][0]):
                self.refused(p.connect("a", level=5, props=[one]), code=(0x81, 0x82))

    @differs("mosquitto 2.0.11 does not look at their values")
    def test_will_properties(self):
        """So it is with those of the will. 5.0 [MQTT-3.1.4-1] [MQTT-3.3.2-13] [MQTT-3.3.2-14] [MQTT-3.3.2-19]"""
        cases = {
            "twice": ([(pr.WILL_DELAY, 1)] * 2, 0x82),
            "Payload Format Indicator 2": ([(pr.PAYLOAD_FORMAT, 2)], 0x82),
            "Session Expiry Interval": ([(pr.SESSION_EXPIRY, 1)], (0x81, 0x82)),
            "Topic Alias": ([(pr.TOPIC_ALIAS, 1)], (0x81, 0x82)),
            "Subscription Identifier": ([(pr.SUBSCRIPTION_ID, 1)], (0x81, 0x82)),
            "Content Type not UTF-8": ([(pr.CONTENT_TYPE, b"\xff")], 0x81),
            "Response Topic not UTF-8": ([(pr.RESPONSE_TOPIC, b"\xff")], 0x81),
            "Response Topic with a wildcard": ([(pr.RESPONSE_TOPIC, "a/#")], (0x81, 0x82, 0x90)),
            "cut off": ([b"\x18\x00"], 0x81),
        }
        for name, (props, code) in cases.items():
            with self.subTest(name):
                self.refused(p.connect("a", level=5, will=("t", b"", 0, False), will_props=props), code=code)

    def test_will_topic(self):
        """A will topic without a character or with a wildcard is refused."""
        for topic in ("", "a/+", "#"):
            with self.subTest(topic):
                self.refused(p.connect("a", level=5, will=(topic, b"", 0, False)), code=(0x81, 0x82, 0x90))

    def test_nothing_after_a_refusal(self):
        """What follows a refused CONNECT is not processed: one CONNACK, with Session Present 0 although there is a
        session, nothing published, no answer. 5.0 [MQTT-3.1.4-6] [MQTT-3.2.0-2] [MQTT-3.2.2-6] [MQTT-3.2.2-8]"""
        watch = self.client("watch")
        watch.subscribe(self.topic("#"))
        self.client("c", expiry=100).disconnect()
        bad = p.connect(self.id("c"), clean=False, level=5, props=[(pr.RECEIVE_MAXIMUM, 0)])
        self.refused(bad + p.publish(self.topic("t"), b"no", props=()) + p.PING + p.connect(self.id("c"), level=5),
                     code=0x82)
        watch.nothing()

    @differs("mosquitto 2.0.11 just closes")
    def test_second_connect(self):
        """A second CONNECT is a Protocol Error: DISCONNECT 0x82, whether in one segment with the first or not.
        5.0 [MQTT-3.1.0-2] [MQTT-3.2.0-2]"""
        client = self.client("a")
        client.send(p.connect(self.id("a"), level=5))
        self.assertEqual(len(client.disconnected(0x82)), 1)
        client = self.raw()
        client.send(p.connect(self.id("a"), level=5) * 2)
        self.assertEqual([x.type for x in client.disconnected(0x82)], [p.CONNACK, p.DISCONNECT])


class Accepted(SystemTest):
    """A CONNECT that is."""

    level = 5

    def test_connack(self):
        """CONNACK 0x00 comes first, with no property that says what cannot be done, and the limits the server has.
        5.0 [MQTT-3.1.4-5] [MQTT-3.2.0-1] [MQTT-3.2.2-1] [MQTT-3.1.2-6] [MQTT-3.1.4-2] [MQTT-4.2.0-1]
        [MQTT-4.12.0-6] [MQTT-3.1.2-28]"""
        connack = self.client("a").connack
        for identifier in (pr.MAXIMUM_QOS, pr.SESSION_EXPIRY, pr.ASSIGNED_CLIENT_ID, pr.SERVER_KEEP_ALIVE,
                           pr.AUTH_METHOD, pr.AUTH_DATA, pr.RESPONSE_INFORMATION, pr.SERVER_REFERENCE):
            self.assertIsNone(connack.props.get(identifier), pr.TABLE[identifier][0])
        for identifier in (pr.RETAIN_AVAILABLE, pr.WILDCARD_AVAILABLE, pr.SUBSCRIPTION_ID_AVAILABLE,
                           pr.SHARED_AVAILABLE):
            self.assertEqual(connack.props.get(identifier, 1), 1, pr.TABLE[identifier][0])
        self.assertEqual(connack.props.get(pr.RECEIVE_MAXIMUM), 20)
        self.assertEqual(connack.props.get(pr.TOPIC_ALIAS_MAXIMUM), 10)

    def test_flags(self):
        """Every field where it belongs, in the standard's order: all of them at once are accepted.
        5.0 [MQTT-3.1.3-1] [MQTT-3.1.2-9] [MQTT-3.1.2-17] [MQTT-3.1.2-19]"""
        watch = self.client("watch")
        watch.subscribe(self.topic("w"), qos=2)
        client = self.raw()
        client.send(connect(0xF6, self.id("a"), pr.encode([(pr.CONTENT_TYPE, "c")]), self.topic("w"), "gone", "user",
                            "password", props=pr.encode([(pr.SESSION_EXPIRY, 0)])))
        self.assertEqual(client.expect(p.CONNACK).code, 0)
        client.close()
        will = watch.receive()[0]
        self.assertEqual((will.payload, will.qos, will.props), (b"gone", 2, [(pr.CONTENT_TYPE, "c")]))
        watch.publish(self.topic("w"), b"", 1, retain=True)

    def test_password_without_user_name(self):
        """5.0 allows a password alone. 5.0 [MQTT-3.1.2-16] [MQTT-3.1.2-19]"""
        self.client("a", password="x").ping()

    def test_every_property(self):
        """Every property that CONNECT can have, user properties repeated, is accepted. 5.0 [MQTT-3.1.4-5]"""
        props = [(pr.SESSION_EXPIRY, 5), (pr.RECEIVE_MAXIMUM, 65535), (pr.MAXIMUM_PACKET_SIZE, 0xFFFFFFFF),
                 (pr.TOPIC_ALIAS_MAXIMUM, 65535), (pr.REQUEST_RESPONSE, 1), (pr.REQUEST_PROBLEM, 0),
                 *[(pr.USER, ("same", "name")), (pr.USER, ("", ""))] * 3]
        will_props = [(pr.WILL_DELAY, 0), (pr.PAYLOAD_FORMAT, 1), (pr.MESSAGE_EXPIRY, 9), (pr.CONTENT_TYPE, "c"),
                      (pr.RESPONSE_TOPIC, "r"), (pr.CORRELATION_DATA, b"\xff\x00"), (pr.USER, ("a", "b"))]
        client = self.client("a", props=props, will=(self.topic("w"), b"", 0, False), will_props=will_props)
        client.ping()
        client.disconnect(0, [(pr.SESSION_EXPIRY, 0)])

    def test_client_identifiers(self):
        """1 to 23 bytes of digits and letters are accepted, and others too. 5.0 [MQTT-3.1.3-5] [MQTT-3.1.3-3]
        [MQTT-3.1.3-2] [MQTT-1.5.4-3]"""
        for client_id in ("0", "z", "0123456789ABCDEFGHIJKLM", "abcdefghijklmnopqrstuvw", "NOPQRSTUVWXYZxyz",
                          "a b/c#+$", "é" * 40, "\ufeffa", "x" * 1000):
            with self.subTest(client_id[:10]):
                client = self.client("a", client_id=client_id)
                self.assertIsNone(client.connack.props.get(pr.ASSIGNED_CLIENT_ID))
                client.disconnect()
        first = self.client("a", client_id="bom-" + self.name, expiry=100)
        self.client("a", client_id="\ufeffbom-" + self.name, clean=False)  # another session
        first.ping()

    def test_assigned_client_identifier(self):
        """An empty client identifier gets a unique one, with Clean Start 0 as well, and the CONNACK tells it: with it
        the session can be resumed. 5.0 [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]"""
        assigned = []
        for clean in (True, False, True):
            client = self.client("a", client_id="", clean=clean, expiry=100)
            assigned.append(client.connack.props.get(pr.ASSIGNED_CLIENT_ID))
            client.subscribe(self.topic("t"), qos=1)
            client.close()
        self.assertTrue(all(assigned))
        self.assertEqual(len(set(assigned)), 3)
        for client_id in assigned:
            self.client("b", client_id=client_id, clean=False, present=True).disconnect(0, [(pr.SESSION_EXPIRY, 0)])

    @differs("mosquitto 2.0.11 just closes when the new connection is one of 3.1.1")
    def test_takeover(self):
        """The older connection of the same client identifier gets DISCONNECT 0x8E; also when it is one of 3.1.1, which
        is just closed. 5.0 [MQTT-3.1.4-3] [MQTT-3.14.4-2] [MQTT-3.14.4-1]"""
        first = self.client("a")
        second = self.client("a", level=4)
        self.assertEqual([x.type for x in first.disconnected(0x8E)], [p.DISCONNECT])
        third = self.client("a")
        self.assertEqual(second.closed(), [])
        fourth = self.client("a", clean=False, present=None)
        third.disconnected(0x8E)
        fourth.ping()

    def test_in_pieces(self):
        """A CONNECT byte by byte, and one together with what follows it. 5.0 [MQTT-3.1.4-5]"""
        client = self.raw()
        for byte in p.connect(self.id("a"), level=5, props=[(pr.USER, ("a", "b"))]):
            client.send(struct.pack("B", byte))
        self.assertEqual(client.expect(p.CONNACK).code, 0)
        client = self.raw()
        client.send(p.connect(self.id("b"), level=5), p.subscribe(7, ("t", 1), props=()), p.PING)
        self.assertEqual([client.read().type for _ in range(3)], [p.CONNACK, p.SUBACK, p.PINGRESP])


class NoEmptyIdentifier(SystemTest):
    """allow_zero_length_clientid false."""

    level = 5
    options = ("allow_zero_length_clientid false",)

    @differs("mosquitto 2.0.11 says 0x80")
    def test_refused(self):
        """CONNACK 0x85, if any, then the end. 5.0 [MQTT-3.1.3-8] [MQTT-3.2.2-6] [MQTT-3.2.2-7] [MQTT-3.2.2-8]"""
        for clean in (True, False):
            client = self.raw()
            client.send(p.connect("", clean=clean, level=5))
            self.assertEqual([(x.type, x.code) for x in client.closed()], [(p.CONNACK, 0x85)])


class Authorisation(SystemTest):
    """Anonymous clients are not wanted."""

    level = 5
    own_daemon = True

    @differs("its options need a file")
    def test_not_authorised(self):
        """CONNACK 0x87 or 0x86, Session Present 0, and the end. 5.0 [MQTT-3.1.4-2] [MQTT-3.2.2-7] [MQTT-4.13.2-1]"""
        daemon = self.start(["allow_anonymous false"])
        client = self.raw(daemon=daemon)
        client.send(p.connect("a", level=5))
        came = client.closed()
        self.assertEqual([x.type for x in came], [p.CONNACK])
        self.assertIn(came[0].code, (0x86, 0x87))
