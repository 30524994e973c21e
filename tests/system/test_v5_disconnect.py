# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""DISCONNECT of MQTT 5.0, both ways, and the packets that are not a client's to send: sections 3.12 to 3.14, 4.13."""

from harness import packets as p
from harness import properties as pr
from harness.suite import SystemTest, differs


class FromClient(SystemTest):
    """Its forms."""

    level = 5

    def test_forms(self):
        """Each form ends the connection without an answer. 5.0 [MQTT-3.14.4-1]"""
        for data in (p.BYE, p.disconnect(0), p.disconnect(0, ()), p.disconnect(0x04), p.disconnect(0x81),
                     p.disconnect(0, [(pr.REASON_STRING, "x"), (pr.USER, ("a", "b")), (pr.USER, ("a", "b"))])):
            client = self.client("c")
            client.send(data, p.PING)
            self.assertEqual(client.closed(), [])

    def ended(self, data, *codes):
        """DISCONNECT with one of these reason codes."""
        client = self.client("c")
        client.send(data)
        self.assertEqual(len(client.disconnected(*codes)), 1)

    @differs("mosquitto 2.0.11 just closes on strings that are not UTF-8")
    def test_malformed(self):
        """Reserved bits and a wrong form: 0x81. 5.0 [MQTT-3.14.1-1] [MQTT-2.1.3-1] [MQTT-4.13.1-1]"""
        for flags in (1, 2, 4, 8, 15):
            with self.subTest(f"flags {flags}"):
                self.ended(p.packet(0xE0 | flags), 0x81)
        cases = {
            "Property Length beyond the end": p.packet(0xE0, b"\x00\x05"),
            "bytes left over": p.packet(0xE0, b"\x00\x00\x00"),
            "no such property": p.disconnect(0, [b"\x04\x00"]),
            "Session Expiry Interval cut off": p.disconnect(0, [b"\x11\x00"]),
            "Reason String not UTF-8": p.disconnect(0, [(pr.REASON_STRING, b"\xff")]),
        }
        for name, data in cases.items():
            with self.subTest(name):
                self.ended(data, 0x81)

    @differs("mosquitto 2.0.11 just closes")
    def test_protocol_errors(self):
        """Protocol Errors: 0x82. 5.0 [MQTT-4.13.1-1]"""
        self.ended(p.disconnect(0, [(pr.SESSION_EXPIRY, 1)]), 0x82)
        self.ended(p.disconnect(0, [(pr.REASON_STRING, "a")] * 2), 0x82)
        self.ended(p.disconnect(0, [(pr.SESSION_EXPIRY, 0)] * 2), 0x82)
        for one in ((pr.SERVER_REFERENCE, "x"), (pr.RECEIVE_MAXIMUM, 5)):
            self.ended(p.disconnect(0, [one]), 0x81, 0x82)

    def test_reason_codes(self):
        """Reason codes that a client may not send, and those that there are not: the end, with DISCONNECT or not.
        5.0 [MQTT-4.13.1-1]"""
        for code in (0x01, 0x03, 0x7F, 0x87, 0x8B, 0x8E, 0x9C, 0xFF):
            client = self.client("c")
            client.send(p.disconnect(code))
            for packet in client.closed():
                self.assertEqual(packet.type, p.DISCONNECT)
                self.assertIn(packet.code, (0x81, 0x82))


class FromServer(SystemTest):
    """Its reasons."""

    level = 5
    own_daemon = True

    @differs("mosquitto 2.0.11 just closes")
    def test_shutdown(self):
        """Who stops says so: 0x8B to clients of 5.0, and closes; nothing follows it. 5.0 [MQTT-3.14.2-1]
        [MQTT-3.14.2-2] [MQTT-3.14.4-1] [MQTT-3.14.4-2]"""
        daemon = self.start()
        clients = [self.client(str(n), daemon) for n in range(5)]
        old = self.client("old", daemon, level=4)
        daemon.stop()
        for client in clients:
            self.assertEqual([x.type for x in client.disconnected(0x8B)], [p.DISCONNECT])
        self.assertEqual(old.closed(), [])


class NotForClients(SystemTest):
    """What a client never sends, and what is cut off."""

    level = 5

    @differs("mosquitto 2.0.11 ignores some")
    def test_wrong_direction(self):
        """CONNACK, SUBACK, UNSUBACK, PINGRESP, type 0: 0x82 or 0x81. 5.0 [MQTT-4.13.1-1]"""
        for data in (b"\x20\x03\x00\x00\x00", b"\x90\x04\x00\x01\x00\x00", b"\xb0\x04\x00\x01\x00\x00", b"\xd0\x00",
                     b"\x00\x00"):
            with self.subTest(data.hex()):
                client = self.client("c")
                client.send(data)
                self.assertEqual(len(client.disconnected(0x81, 0x82)), 1)

    @differs("mosquitto 2.0.11 does not look at the flags")
    def test_pingreq(self):
        """PINGREQ gets PINGRESP; with flags or a payload it is malformed. 5.0 [MQTT-3.12.4-1] [MQTT-2.1.3-1]"""
        client = self.client("c")
        client.send(p.PING * 20)
        self.assertEqual([client.read().type for _ in range(20)], [p.PINGRESP] * 20)
        for data in (b"\xc1\x00", b"\xc2\x00", b"\xc8\x00", b"\xc0\x01\x00"):
            with self.subTest(data.hex()):
                client = self.client("c")
                client.send(data)
                self.assertEqual(len(client.disconnected(0x81)), 1)

    @differs("mosquitto 2.0.11 takes longer ones than needed")
    def test_remaining_length(self):
        """A Remaining Length of five bytes, or of more than needed, is malformed, whatever the packet.
        5.0 [MQTT-1.5.5-1] [MQTT-4.13.1-1]"""
        for first in range(0x30, 0xF1, 0x10):
            first |= 2 if first in (0x60, 0x80, 0xA0) else 0
            with self.subTest(hex(first)):
                client = self.client("c")
                client.send(bytes([first]) + b"\x80\x80\x80\x80\x01")
                client.disconnected(0x81)
        for data in (b"\xc0\x80\x00", b"\xe0\x81\x00\x00"):
            with self.subTest(data.hex()):
                client = self.client("c")
                client.send(data)
                client.disconnected(0x81)

    @differs("mosquitto 2.0.11 forgets the will on a second CONNECT")
    def test_will_of_who_is_cut_off(self):
        """Who is cut off for what it sent leaves its will. 5.0 [MQTT-3.1.2-8] [MQTT-4.13.1-1] [MQTT-4.13.2-1]"""
        watch = self.client("watch")
        watch.subscribe(self.topic("w"), qos=1)
        cases = {
            "second CONNECT": p.connect("x", level=5),
            "CONNACK": b"\x20\x03\x00\x00\x00",
            "PUBLISH": p.publish("t", b"x", 3, mid=1, props=()),
            "PUBLISH above the alias maximum": p.publish("t", b"x", props=[(pr.TOPIC_ALIAS, 99)]),
            "PUBACK": p.packet(0x40),
            "PUBREC": p.packet(0x50, b"\x00"),
            "PUBREL": p.packet(0x60, b"\x00\x01"),
            "PUBCOMP": p.packet(0x7F, b"\x00\x01"),
            "SUBSCRIBE": p.subscribe(1, ("t", 0x40), props=()),
            "SUBACK": b"\x90\x04\x00\x01\x00\x00",
            "UNSUBSCRIBE": p.unsubscribe(1, props=()),
            "UNSUBACK": b"\xb0\x04\x00\x01\x00\x00",
            "PINGREQ": b"\xc1\x00",
            "PINGRESP": b"\xd0\x00",
            "DISCONNECT": b"\xe1\x00",
            "AUTH": p.auth(0x18, [(pr.AUTH_METHOD, "x")]),
            "AUTH with flags": b"\xf1\x00",
            "type 0": b"\x00\x00",
        }
        for name, data in cases.items():
            with self.subTest(name):
                client = self.client("c", will=(self.topic("w"), name, 1, False))
                client.send(data)
                client.disconnected(0x81, 0x82, 0x94)
                self.assertEqual(watch.payloads(1), [name.encode()])
        watch.nothing()


class KeepAlive(SystemTest):
    """Section 3.1.2.10."""

    level = 5

    @differs("mosquitto 2.0.11 just closes")
    def test_silent(self):
        """Silence for one and a half times the Keep Alive: DISCONNECT 0x8D, and the will; a PUBACK is a sign of life.
        5.0 [MQTT-3.1.2-22] [MQTT-3.2.2-22] [MQTT-3.1.2-8]"""
        watch = self.client("watch", keepalive=0)
        watch.subscribe(self.topic("w"), qos=1)
        silent = self.client("silent", keepalive=3, will=(self.topic("w"), b"silence", 1, False))
        talker = self.client("talker", keepalive=2)
        talker.subscribe(self.topic("talk"), qos=1)
        publisher = self.client("p", keepalive=0)
        while not watch.available_within(0.3):
            publisher.publish(self.topic("talk"), b"x", 1)
            talker.receive()
        silent.disconnected(0x8D)
        talker.ping()
        self.assertEqual(watch.payloads(1), [b"silence"])
