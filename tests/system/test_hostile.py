# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Packets that are none, through every kind of listener, from clients with a name and without: the reason code, the close,
one line of the log, the counters, and others who notice nothing. What has a test of its own is in tests/hostile.md."""

import collections
import contextlib

from harness import packets as p
from harness import properties as pr
from harness import transports
from harness.client import Client
from harness.hostile import DOORS, Hostile

TOO_LONG = b"\xff\xff\xff\xff\x7f"  # a variable byte integer of five bytes
MALFORMED, PROTOCOL, TOPIC, ALIAS = (0x81, "malformed packet"), (0x82, "protocol error"), (0x90, "invalid topic"), \
    (0x94, "invalid topic alias")


def publish(topic, *rest, first=0x30, props=b"\0"):
    """A PUBLISH of 5.0 whose properties are bytes, good or not."""
    return p.packet(first, p.string(topic) + b"".join(rest) + props + b"x")


# After CONNECT in 5.0: bytes, and the reason.
CONNECTED = {
    "five bytes of Remaining Length": (b"\x30" + TOO_LONG, MALFORMED),
    "more bytes than needed": (b"\xc0\x80\x00", MALFORMED),
    "five bytes of Property Length": (publish("a", props=TOO_LONG), MALFORMED),
    "Property Length of more bytes than needed": (publish("a", props=b"\x80\x00"), MALFORMED),
    "Property Length beyond the end": (publish("a", props=b"\x7f"), MALFORMED),
    "half a user property": (publish("a", props=b"\x04\x26\0\x01a"), MALFORMED),
    "type 0": (b"\0\0", MALFORMED),
    "second CONNECT": (p.connect("second", level=5), PROTOCOL),
    "CONNACK": (b"\x20\x03\0\0\0", PROTOCOL),
    "SUBACK": (b"\x90\x04\0\x01\0\0", PROTOCOL),
    "SUBACK without codes": (b"\x90\x03\0\x01\0", (0x81, 0x82)),
    "UNSUBACK": (b"\xb0\x04\0\x01\0\0", PROTOCOL),
    "PINGRESP": (b"\xd0\0", PROTOCOL),
    "AUTH": (p.auth(0x18, [(pr.AUTH_METHOD, "x")]), PROTOCOL),
    "no topic and no alias": (publish(""), PROTOCOL),
    "alias 0": (publish("a", props=b"\x03\x23\0\0"), ALIAS),
    "alias above the maximum": (publish("a", props=b"\x03\x23\xff\xff"), ALIAS),
    "alias that was not set": (publish("", props=b"\x03\x23\0\x01"), PROTOCOL),
    "topic with #": (publish("a/#"), TOPIC),
    "topic with +": (publish("+/a"), TOPIC),
    "topic with U+0000": (publish(b"a\0b"), MALFORMED),
    "topic with U+D800": (publish(b"\xed\xa0\x80"), MALFORMED),
    "QoS 3": (publish("a", b"\0\x01", first=0x36), MALFORMED),
    "QoS 0 with DUP": (publish("a", first=0x38), (0x81, 0x82)),
    "identifier 0": (publish("a", b"\0\0", first=0x32), (0x81, 0x82)),
    "topic beyond the end": (b"\x30\x05\0\xffabc", MALFORMED),
    "ends before the identifier": (b"\x32\x03\0\x01a", MALFORMED),
    "SUBSCRIBE ends before the options": (p.packet(0x82, b"\0\x01\0" + p.string("a")), MALFORMED),
    "SUBSCRIBE without filters": (p.packet(0x82, b"\0\x01\0"), PROTOCOL),
    "SUBSCRIBE with reserved options": (p.packet(0x82, b"\0\x01\0" + p.string("a") + b"\x40"), (0x81, 0x82)),
    "Retain Handling 3": (p.packet(0x82, b"\0\x01\0" + p.string("a") + b"\x30"), (0x81, 0x82)),
    "Subscription Identifier 0": (p.packet(0x82, b"\0\x01\x02\x0b\0" + p.string("a") + b"\0"), PROTOCOL),
    "Subscription Identifier of five bytes": (p.packet(0x82, b"\0\x01\x06\x0b" + TOO_LONG + p.string("a") + b"\0"), MALFORMED),
    "UNSUBSCRIBE without filters": (p.packet(0xa2, b"\0\x01\0"), PROTOCOL),
    "No Local of a shared subscription": (p.subscribe(1, ("$share/g/a", p.NO_LOCAL), props=()), PROTOCOL),
    "Session Expiry Interval from 0 to 1": (p.disconnect(0, [(pr.SESSION_EXPIRY, 1)]), PROTOCOL),
}
# In place of CONNECT.
FIRST = {
    "PINGREQ": p.PING,
    "PUBLISH": b"\x30\x04\0\x01ax",
    "CONNACK": b"\x20\x02\0\0",
    "type 0": b"\0\0",
    "AUTH": p.auth(0x18, [(pr.AUTH_METHOD, "x")]),
    "five bytes of Remaining Length": b"\x10" + TOO_LONG,
    "256 MB": b"\x10\xff\xff\xff\x7f",
    "a large one that is no CONNECT": b"\x30\xff\xff\xff\x7f",
    "TLS": b"\x16\x03\x01\0\x7a\x01\0\0\x76\x03\x03" + b"Z" * 111,
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "PROXY": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\0" * 12,
}


def connect(flags, payload, level=4, name="MQTT"):
    """A CONNECT whose flags and fields need not agree."""
    return p.packet(0x10, p.string(name) + bytes([level, flags]) + b"\0\x3c" + (b"\0" if level == 5 else b"") + payload)


ID = p.string("bad")
# A CONNECT of 3.1.1 and older, and the return code if there may be one.
CONNECT_4 = {
    "reserved flag": (connect(0x03, ID), None),
    "password without user name": (connect(0x42, ID + p.string("x")), None),
    "will QoS without will": (connect(0x0a, ID), None),
    "will retain without will": (connect(0x22, ID), None),
    "will QoS 3": (connect(0x1e, ID + p.string("a") + p.string("b")), None),
    "level 0": (connect(0x02, ID, level=0), 0x84),
    "level 6": (connect(0x02, ID, level=6), 0x84),
    "a bridge's level": (connect(0x02, ID, level=0x84), 0x84),
    "MQIsdp of level 4": (connect(0x02, ID, name="MQIsdp"), 1),
    "MQTT of level 3": (connect(0x02, ID, level=3), 1),
    "no identifier, not clean": (connect(0x00, p.string("")), 2),
    "will of a wildcard": (connect(0x06, ID + p.string("a/#") + p.string("b")), None),
    "identifier that is no UTF-8": (connect(0x02, p.string(b"\xff\xfe")), None),
}
# Properties of a CONNECT in 5.0, and the reason code.
PROPERTIES = {
    "Receive Maximum 0": ([(pr.RECEIVE_MAXIMUM, 0)], 0x82),
    "Receive Maximum twice": ([(pr.RECEIVE_MAXIMUM, 1)] * 2, 0x82),
    "Maximum Packet Size 0": ([(pr.MAXIMUM_PACKET_SIZE, 0)], 0x82),
    "Topic Alias of a PUBLISH": ([(pr.TOPIC_ALIAS, 1)], (0x81, 0x82)),
    "Topic Alias Maximum cut off": ([b"\x22\0"], 0x81),
    "none that there is": ([b"\x7e\0"], 0x81),
    "a user property without its value": ([b"\x26\0\x01a"], 0x81),
    "a user property cut off in its key": ([b"\x26\0\xffa"], 0x81),
    "five bytes": ([b"\x0b" + TOO_LONG], (0x81, 0x82)),
    "data without a method": ([(pr.AUTH_DATA, b"x")], 0x82),
}


class Packets(Hostile):
    """Each table, through each kind of listener."""

    def test_connected(self):
        """Packets after CONNECT, in 5.0 with the reason in DISCONNECT. 5.0 section 4.13"""
        reasons = collections.Counter()
        for n, (name, (data, why)) in enumerate(CONNECTED.items()):
            codes, text = ((why[0],), why[1]) if isinstance(why[1], str) else (why, "malformed packet|protocol error")
            for door in DOORS:
                with self.case(f"{name}, {door}"):
                    client = self.join(door, f"v5-{n}-{door}")
                    client.send(data)
                    self.assertEqual(len(client.disconnected(*codes)), 1)
                    self.ended(f"v5-{n}-{door}", text)
                    reasons["closed"] += 1
        counted = self.closed_since()
        self.assertEqual(set(counted), {"malformed_packet", "protocol_error", "topic_invalid", "topic_alias_invalid"})
        self.assertEqual(sum(counted.values()), reasons["closed"])
        self.left_alone()

    def test_before_5(self):
        """The same from a client of 3.1.1, who is told nothing; right after a message that is delivered."""
        watch = self.client("watch", level=4)
        watch.subscribe("right")
        for n, data in enumerate((b"\0\0", b"\xf0\0", b"\x30" + TOO_LONG, b"\x36\x06\0\x01a\0\x01x", b"\x30\x03\0\0x",
                                  b"\x82\x05\0\x01\0\x01a", b"\x82\x06\0\x01\0\x01a\x03", b"\xa2\x02\0\x01", b"\x62\x02\0\0",
                                  b"\x20\x02\0\0", b"\x90\x03\0\x01\0", p.connect("again"))):
            for door in DOORS:
                with self.case(f"{data.hex()}, {door}"):
                    client = self.join(door, f"v4-{n}-{door}", level=4)
                    client.send(p.publish("right", door), data)
                    self.assertEqual(client.closed(), [])
                    self.assertEqual(watch.payloads(1), [door.encode()])
                    self.ended(f"v4-{n}-{door}", "malformed packet|protocol error|invalid topic")
        watch.disconnect()
        self.left_alone()

    def test_first(self):
        """In place of CONNECT: closed at once, without an answer. 3.1.1 [MQTT-3.1.0-1], 5.0 [MQTT-3.1.0-1]"""
        for name, data in FIRST.items():
            for door in DOORS:
                with self.case(f"{name}, {door}"):
                    client = self.door(door)
                    client.send(data)
                    self.assertEqual(client.closed(), [])
        counted = self.closed_since()
        self.assertEqual(sum(counted.values()), len(FIRST) * len(DOORS))
        self.assertEqual(set(counted), {"malformed_packet", "protocol_error", "oversize_packet"})
        self.left_alone()

    def test_wrong_door(self):
        """MQTT where TLS or WebSocket is spoken, WebSocket where TLS is, TLS where WebSocket is."""
        request = b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
                  b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        for kind in transports.KINDS:
            for data in (p.connect("lost"), request if "tls" in kind else FIRST["TLS"], b"\0" * 5000, b"\xff" * 5000):
                with self.case(f"{data[:8]!r}, {kind}"):
                    sock = self.network.socket(self.ports[kind], plain=True)
                    self.addCleanup(sock.close)
                    with contextlib.suppress(OSError):
                        sock.sendall(data)
                        transports.half_close(sock)
                        while sock.recv(4096):
                            pass
        counted = self.closed_since()
        self.assertLessEqual(set(counted), {"tls", "websocket", "connection_closed"})  # some wait for more
        self.assertEqual(sum(counted.values()), 12)
        self.left_alone()

    def test_connect(self):
        """CONNECT that is none, before 5.0."""
        for name, (data, code) in CONNECT_4.items():
            for door in DOORS:
                with self.case(f"{name}, {door}"):
                    client = self.door(door, level=5 if code == 0x84 else 4)
                    client.send(data, p.PING)
                    self.assertEqual([x.code for x in client.closed()], [] if code is None else [code])
        self.assertEqual(sum(self.closed_since().values()), len(CONNECT_4) * len(DOORS))
        self.left_alone()

    def test_properties(self):
        """CONNECT of 5.0 with properties that it may not have; also those of a will."""
        for name, (props, code) in PROPERTIES.items():
            codes = code if isinstance(code, tuple) else (code,)
            for door in DOORS:
                with self.case(f"{name}, {door}"):
                    client = self.door(door)
                    client.send(p.connect("bad", level=5, props=props), p.PING)
                    came = client.closed()
                    self.assertEqual(len(came), 1)
                    self.assertIn(came[0].code, codes)
                    client = self.door(door)
                    client.send(client.hello("bad", will=("w", b"", 0, False), will_props=[(pr.SERVER_KEEP_ALIVE, 1), *props]))
                    self.assertIn(client.closed()[0].code, (0x81, 0x82))
        self.left_alone()

    def test_many_user_properties(self):
        """60,000 of them in a CONNECT, and in a PUBLISH."""
        many = [b"\x26\0\0\0\0" * 60000]
        for door in DOORS:
            with self.case(door):
                client = self.door(door)
                client.send(client.hello("many", props=many, **self.who()))
                self.assertEqual(client.read().code, 0)
                client.publish("nobody", b"x", 1, props=many)
                client.disconnect()
        self.left_alone()

    def test_after_a_refusal(self):
        """Who was refused does not come in by another CONNECT. 3.1.1 [MQTT-3.1.4-5]"""
        for door in DOORS:
            with self.case(door):
                client = self.door(door)
                client.send(client.hello("refused", username="ann", password=b"wrong"), p.connect("refused", level=5), p.PING)
                self.assertEqual([x.type for x in client.closed()], [p.CONNACK])
        self.assertEqual(self.closed_since(), {"not_authorised": len(DOORS)})
        self.left_alone()


class Frames(Hostile):
    """Frames of WebSocket that carry no MQTT, or not to its end."""

    def open(self, kind):
        """A connection without CONNECT, and its WebSocket."""
        client = self.door(kind)
        return client, client.sock

    def test_lengths(self):
        """A frame of 2^63 bytes, of 2^62, one in more bytes than needed; they wait for nothing."""
        for kind in transports.KINDS[1:]:
            for head in (b"\x82\xff" + b"\x80" + b"\0" * 7, b"\x82\xff\x40" + b"\0" * 7, b"\x82\xfe\0\x05", b"\x82\xff" + b"\0" * 7 + b"\x05"):
                with self.case(f"{head.hex()}, {kind}"):
                    client, ws = self.open(kind)
                    client.connect(self.id("long"), **self.who())
                    ws.sock.sendall(head + b"mask" + b"x" * 100)
                    ws.sock.settimeout(20)
                    client.closed()
        self.left_alone()

    def test_cut_off(self):
        """A message that ends within a packet, and the connection with it; one packet in frames of no byte and of one."""
        for kind in transports.KINDS[1:]:
            with self.case(kind):
                client, ws = self.open(kind)
                client.connect(self.id("cut"), **self.who())
                ws.send_frame(transports.BINARY, p.publish("t", b"x" * 100, props=())[:50])
                ws.send_frame(transports.CLOSE, b"\x03\xe8")
                client.closed()
                client, ws = self.open(kind)
                for byte in client.hello(self.id("cut"), **self.who()):
                    ws.send_frame(transports.BINARY, b"", fin=False)
                    ws.send_frame(transports.CONTINUATION, bytes([byte]))
                self.assertEqual(client.read().code, 0)
                client.disconnect()
        self.left_alone()

    def test_pings(self):
        """A flood of them from who reads no answer: others do not wait."""
        for kind in transports.KINDS[1:]:
            with self.case(kind):
                client, ws = self.open(kind)
                client.connect(self.id("flood"), **self.who())
                ws.sock.settimeout(0.2)
                with contextlib.suppress(OSError):
                    for n in range(3000):
                        ws.send_frame(transports.PING, b"p" * 125)
                        if n % 300 == 0:
                            self.innocent()
                client.close()
        self.left_alone()


class Slow(Hostile):
    """Who takes his time."""

    options = ("max_packet_size 1000000",)

    def test_drip(self):
        """Packets that are announced and do not come take no memory before they do."""
        for door in DOORS:
            with self.case(door):
                dripping = []
                for n in range(20):
                    if n % 2:
                        client = self.join(door, f"drip{n}")
                        client.send(p.packet(0x30, b"\0\x01a" + b"\0" * 900000)[:8])
                    else:
                        client = self.door(door)
                        client.send(b"\x10\x80\x80\x12\0")
                    dripping.append(client)
                for _ in range(5):
                    for client in dripping:
                        client.send(b"\0")
                    self.innocent()
                self.assertLess(self.daemon.stats()["memory"]["used"], self.before["memory"]["used"] + 20 * 16384)
                for client in dripping:
                    client.close()
        self.left_alone()

    def test_stops_reading(self):
        """Who stops in the middle of a packet is closed or waited for; who stops the connection from its side, or resets it
        while it is sent to, is forgotten."""
        for door in DOORS:
            with self.case(door):
                stuck = [Client(self.network.socket(self.ports[door], rcvbuf=4096), version=5) for _ in range(4)]
                for n, client in enumerate(stuck):
                    self.addCleanup(client.close)
                    client.connect(f"stuck{n}", **self.who())
                    client.subscribe("much")
                for n in range(60):
                    self.writer.publish("much", b"x" * 20000)
                    if n == 20:
                        stuck[0].half_close()
                        stuck[1].reset()
                    if n % 10 == 0:
                        self.innocent()
                self.writer.ping()
                for client in stuck:
                    client.close()
        self.left_alone()
