# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""CONNECT and CONNACK: sections 3.1 and 3.2."""

import struct

from harness import packets as p
from harness.suite import SystemTest, differs

HEADER = p.string("MQTT") + b"\x04"  # of a CONNECT, up to the connect flags
KEEP = b"\x00\x3c"


def connect(flags, *fields):
    """A CONNECT with these flags and payload fields, whether they belong together or not."""
    return p.packet(0x10, HEADER + bytes([flags]) + KEEP + b"".join(p.string(f) for f in fields))


class Connect(SystemTest):
    """What is accepted, what is refused and how."""

    def refused(self, *data, connack=None):
        """The broker closes, after this CONNACK return code or after nothing; answers nothing of what follows."""
        client = self.raw(level=5 if connack and connack >= 0x80 else None)
        client.send(*data)
        came = client.closed()
        if connack is None:
            self.assertEqual(came, [], "expected no CONNACK")
        else:
            self.assertEqual([(c.type, c.code, c.present) for c in came], [(p.CONNACK, connack, False)])

    def test_accepted(self):
        """A valid CONNECT gets CONNACK 0 as the first packet, byte for byte. [MQTT-3.1.4-4] [MQTT-3.2.0-1]
        [MQTT-3.2.2-1] [MQTT-3.1.0-1] [MQTT-7.0.0-2] [MQTT-7.1.1-1]"""
        client = self.raw("a")
        client.send(connect(0x02, self.id("a")))
        self.assertEqual(client.sock.recv(100), bytes.fromhex("20020000"))
        client.ping()

    def test_first_packet_is_connect(self):
        """Anything else first closes the connection without an answer. [MQTT-3.1.0-1] [MQTT-4.8.0-1]"""
        for name, data in (("PINGREQ", p.PING), ("PUBLISH", p.publish("t", b"x")),
                           ("SUBSCRIBE", p.subscribe(1, ("t", 0))), ("CONNACK", b"\x20\x02\x00\x00"),
                           ("DISCONNECT", p.BYE), ("type 0", b"\x00\x00"), ("type 15", b"\xf0\x00"),
                           ("HTTP", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
                           ("TLS", bytes.fromhex("16030100050100000100"))):
            with self.subTest(name):
                self.refused(data)

    def test_second_connect(self):
        """A second CONNECT is a protocol violation, and closes. [MQTT-3.1.0-2]"""
        client = self.client("a")
        client.send(p.connect(self.id("a")))
        self.assertEqual(client.closed(), [])

    def test_second_connect_in_one_write(self):
        """So it is when both came in one segment. [MQTT-3.1.0-2]"""
        client = self.raw()
        client.send(p.connect(self.id("a")), p.connect(self.id("a")))
        self.assertLessEqual(len(client.closed()), 1)

    def test_protocol_name(self):
        """A wrong protocol name is not processed as MQTT. [MQTT-3.1.2-1] [MQTT-3.2.2-6]"""
        for name in ("", "MQT", "MQTTT", "mqtt", "MQTU", "MQIsd", "X" * 300):
            with self.subTest(name):
                self.refused(p.connect(self.id("a"), name=name))

    def test_protocol_level(self):
        """An unsupported protocol level gets a CONNACK, then the connection is closed: 0x01 when it is one of 3.1.1's time,
        otherwise 0x84, which is what 5.0 says. [MQTT-3.1.2-2] [MQTT-3.2.2-4] [MQTT-3.2.2-5] 5.0 [MQTT-3.1.2-2]"""
        self.refused(p.connect(self.id("a"), name="MQTT", level=3), connack=1)
        for level in (0, 1, 2, 6, 9, 127, 255):
            with self.subTest(level):
                self.refused(p.connect(self.id("a"), name="MQTT", level=level), connack=0x84)

    def test_reserved_connect_flag(self):
        """The reserved connect flag closes, without CONNACK. [MQTT-3.1.2-3] [MQTT-3.1.4-1]"""
        self.refused(connect(0x03, self.id("a")))

    def test_client_identifiers(self):
        """1 to 23 bytes of digits and letters are accepted. [MQTT-3.1.3-5] [MQTT-3.1.3-3]"""
        for client_id in ("0", "z", "0123456789ABCDEFGHIJKLM", "abcdefghijklmnopqrstuvw", "NOPQRSTUVWXYZxyz"):
            with self.subTest(client_id):
                self.client("a", client_id=client_id).disconnect()

    def test_long_client_identifier(self):
        """Longer ones with other characters are accepted too, up to the length a string can have."""
        for client_id in ("a b/c#+$", "é" * 40, "x" * 1000, "y" * 65535):
            with self.subTest(client_id[:10]):
                self.client("a", client_id=client_id).disconnect()

    def test_missing_client_identifier(self):
        """A CONNECT that ends before the client identifier is malformed. [MQTT-3.1.3-3] [MQTT-3.1.4-1]"""
        self.refused(p.packet(0x10, HEADER + b"\x02" + KEEP))

    def test_empty_client_identifier(self):
        """With CleanSession 1 each gets an identifier of its own. [MQTT-3.1.3-6]"""
        a, b = self.client("a", client_id=""), self.client("b", client_id="")
        a.ping()
        b.ping()

    def test_empty_client_identifier_not_clean(self):
        """With CleanSession 0 it is refused with 0x02. [MQTT-3.1.3-7] [MQTT-3.1.3-8] [MQTT-3.1.3-9] [MQTT-3.2.2-4]
        [MQTT-3.2.2-5]"""
        self.refused(p.connect("", clean=False), connack=2)

    def test_will_flags(self):
        """Will QoS 3, and will QoS or retain without the will flag, are malformed. [MQTT-3.1.2-11] [MQTT-3.1.2-13]
        [MQTT-3.1.2-14] [MQTT-3.1.2-15]"""
        for flags in (0x0a, 0x12, 0x1a, 0x22, 0x2a):
            with self.subTest(f"no will, flags {flags:#x}"):
                self.refused(connect(flags, self.id("a")))
        with self.subTest("will QoS 3"):
            self.refused(connect(0x1e, self.id("a"), "t", "m"))

    def test_will_fields(self):
        """With the will flag both fields are there. [MQTT-3.1.2-9]"""
        self.refused(connect(0x06, self.id("a")))
        self.refused(connect(0x06, self.id("a"), "will/topic"))

    @differs("mosquitto 2.0 does not look at bytes left in a CONNECT of version 3.1.1")
    def test_fields_without_flag(self):
        """Without a flag its field is not there: bytes left over are malformed. [MQTT-3.1.2-11] [MQTT-3.1.2-18]
        [MQTT-3.1.2-20]"""
        self.refused(connect(0x02, self.id("a"), "more"))
        self.refused(connect(0x82, self.id("a"), "user", "password"))
        self.refused(connect(0x06, self.id("a"), "t", "m", "user"))

    def test_user_and_password(self):
        """User name and password are where their flags say; order of the payload. [MQTT-3.1.2-19] [MQTT-3.1.2-21]
        [MQTT-3.1.3-1]"""
        self.client("a", username="user").disconnect()
        self.client("a", username="user", password=b"\x00\xff binary").disconnect()
        self.client("a", username="", password="").disconnect()
        self.client("a", will=(self.topic("will"), "m", 2, True), username="u", password="p").disconnect()

    def test_user_missing(self):
        """A flag whose field is missing is malformed. [MQTT-3.1.2-19] [MQTT-3.1.2-21]"""
        self.refused(connect(0x82, self.id("a")))
        self.refused(connect(0xc2, self.id("a"), "user"))

    def test_password_without_user(self):
        """Password flag without user name flag. [MQTT-3.1.2-22]"""
        self.refused(connect(0x42, self.id("a"), "password"))

    def test_truncated(self):
        """A CONNECT that ends in the middle of any field is malformed. [MQTT-3.1.4-1]"""
        whole = p.connect(self.id("a"), will=("t", "m", 0, False), username="u", password="p")[2:]
        for n in range(len(whole)):
            with self.subTest(n):
                self.refused(p.packet(0x10, whole[:n]))

    def test_string_beyond_the_end(self):
        """A length that points behind the packet is malformed."""
        self.refused(p.packet(0x10, HEADER + b"\x02" + KEEP + struct.pack("!H", 500) + b"abc"))
        self.refused(p.packet(0x10, b"\xff\xffMQTT\x04\x02\x00\x3c\x00\x01a"))

    def test_fixed_header_flags(self):
        """Reserved bits of CONNECT's fixed header. [MQTT-2.2.2-1] [MQTT-2.2.2-2]"""
        for flags in (1, 2, 4, 8, 15):
            with self.subTest(flags):
                self.refused(bytes([0x10 | flags]) + p.connect(self.id("a"))[1:])

    def test_refused_then_silence(self):
        """What follows a refused CONNECT is not processed. [MQTT-3.1.4-5]"""
        watch = self.client("watch")
        watch.subscribe(self.topic("#"))
        rest = p.publish(self.topic("q0"), b"no") + p.publish(self.topic("q1"), b"no", 1, mid=1)
        self.refused(p.connect("", clean=False), rest, connack=2)
        self.refused(p.connect(self.id("a"), name="MQTT", level=99), rest, connack=0x84)
        self.refused(connect(0x03, self.id("a")), rest)
        publisher = self.client("publisher")
        self.assertEqual(self.drain(publisher, watch), [])

    def test_data_before_connack(self):
        """A client may go on before it has the CONNACK; everything is answered in order. [MQTT-3.2.0-1]"""
        client = self.raw()
        topic = self.topic("t")
        client.send(p.connect(self.id("a")), p.subscribe(7, (topic, 1)), p.publish(topic, b"x", 1, mid=9), p.PING)
        kinds = [client.read() for _ in range(5)]
        self.assertEqual(kinds[0].type, p.CONNACK)
        self.assertEqual(kinds[1].type, p.SUBACK)
        self.assertEqual(sorted(k.type for k in kinds[2:]), [p.PUBLISH, p.PUBACK, p.PINGRESP])

    def test_ping(self):
        """PINGREQ is answered. [MQTT-3.12.4-1]"""
        client = self.client("a")
        client.send(p.PING * 3)
        for _ in range(3):
            client.expect(p.PINGRESP)

    def test_disconnect(self):
        """After DISCONNECT the broker closes. """
        client = self.client("a")
        client.send(p.BYE)
        self.assertEqual(client.closed(), [])

    def test_disconnect_flags(self):
        """DISCONNECT with reserved bits set is no DISCONNECT: the will is published. [MQTT-3.14.1-1]"""
        watch = self.client("watch")
        watch.subscribe(self.topic("will"))
        client = self.client("a", will=(self.topic("will"), "gone", 0, False))
        client.send(b"\xe1\x00")
        client.closed()
        self.assertEqual(watch.payloads(1), [b"gone"])
