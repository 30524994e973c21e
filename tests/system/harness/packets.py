# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""MQTT 3.1 and 3.1.1 control packets as bytes: written by hand, so that a test can also write them wrong."""

import struct

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 8, 9, 10, 11, 12, 13, 14

NAMES = {
    CONNECT: "CONNECT", CONNACK: "CONNACK", PUBLISH: "PUBLISH", PUBACK: "PUBACK", PUBREC: "PUBREC", PUBREL: "PUBREL",
    PUBCOMP: "PUBCOMP", SUBSCRIBE: "SUBSCRIBE", SUBACK: "SUBACK", UNSUBSCRIBE: "UNSUBSCRIBE", UNSUBACK: "UNSUBACK",
    PINGREQ: "PINGREQ", PINGRESP: "PINGRESP", DISCONNECT: "DISCONNECT",
}


def raw(value):
    """Bytes of a str (UTF-8) or bytes."""
    return value.encode() if isinstance(value, str) else bytes(value)


def string(value):
    """A length-prefixed string or binary field, section 1.5.3."""
    value = raw(value)
    return struct.pack("!H", len(value)) + value


def remaining_length(n):
    """Section 2.2.3."""
    out = bytearray()
    while True:
        n, low = divmod(n, 128)
        out.append(low | (0x80 if n else 0))
        if not n:
            return bytes(out)


def packet(first, body=b""):
    """A whole packet from its first byte and what follows the fixed header."""
    return bytes([first]) + remaining_length(len(body)) + body


def connect(client_id="", clean=True, keepalive=60, will=None, username=None, password=None, level=4, name=None,
            flags=None):
    """CONNECT. `will` is (topic, payload, qos, retain); `flags` overrides the connect flags, right or wrong."""
    bits = 0x02 if clean else 0
    payload = string(client_id)
    if will is not None:
        topic, message, qos, retain = will
        bits |= 0x04 | qos << 3 | (0x20 if retain else 0)
        payload += string(topic) + string(message)
    if username is not None:
        bits |= 0x80
        payload += string(username)
    if password is not None:
        bits |= 0x40
        payload += string(password)
    if name is None:
        name = "MQIsdp" if level == 3 else "MQTT"
    header = string(name) + bytes([level, bits if flags is None else flags]) + struct.pack("!H", keepalive)
    return packet(CONNECT << 4, header + payload)


def publish(topic, payload=b"", qos=0, retain=False, dup=False, mid=None):
    """PUBLISH; `mid` is the packet identifier, needed for QoS 1 and 2."""
    body = string(topic) + (struct.pack("!H", mid) if mid is not None else b"") + raw(payload)
    return packet(PUBLISH << 4 | (8 if dup else 0) | qos << 1 | (1 if retain else 0), body)


def ack(kind, mid):
    """PUBACK, PUBREC, PUBREL or PUBCOMP."""
    return packet(kind << 4 | (2 if kind == PUBREL else 0), struct.pack("!H", mid))


def subscribe(mid, *filters):
    """SUBSCRIBE to (filter, qos) pairs."""
    return packet(0x82, struct.pack("!H", mid) + b"".join(string(f) + bytes([q]) for f, q in filters))


def unsubscribe(mid, *filters):
    """UNSUBSCRIBE."""
    return packet(0xA2, struct.pack("!H", mid) + b"".join(string(f) for f in filters))


PING = packet(PINGREQ << 4)
BYE = packet(DISCONNECT << 4)


class Malformed(Exception):
    """The broker sent something that MQTT does not allow."""


class Packet:
    """A packet received: type, flags, body and, by type, its fields."""

    def __init__(self, first, body):
        self.type, self.flags, self.body = first >> 4, first & 15, bytes(body)
        if self.type == PUBLISH:
            self._publish()
        elif self.type == CONNACK:
            self._need(len(body) == 2 and body[0] in (0, 1))
            self.present, self.code = bool(body[0]), body[1]
        elif self.type in (PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK):
            self._need(len(body) == 2)
            self.mid = struct.unpack("!H", body)[0]
        elif self.type == SUBACK:
            self._need(len(body) > 2)
            self.mid, self.codes = struct.unpack("!H", body[:2])[0], list(body[2:])
        elif self.type == PINGRESP:
            self._need(not body)
        else:
            self._need(False)
        if self.type != PUBLISH:
            self._need(self.flags == (2 if self.type == PUBREL else 0))

    def _need(self, condition):
        if not condition:
            raise Malformed(f"from the broker: type {self.type} flags {self.flags} body {self.body[:64].hex()}")

    def _publish(self):
        self.dup, self.qos, self.retain = bool(self.flags & 8), self.flags >> 1 & 3, bool(self.flags & 1)
        self._need(self.qos < 3 and not (self.dup and self.qos == 0) and len(self.body) >= 2)
        n = struct.unpack("!H", self.body[:2])[0]
        start = 2 + n + (2 if self.qos else 0)
        self._need(n > 0 and start <= len(self.body))
        self.topic = self.body[2:2 + n].decode()
        self.mid = struct.unpack("!H", self.body[2 + n:start])[0] if self.qos else None
        self._need(self.mid != 0)
        self.payload = self.body[start:]

    def __repr__(self):
        if self.type == PUBLISH:
            return (f"PUBLISH {self.topic!r} {self.payload[:40]!r} {len(self.payload)} bytes, q{self.qos}"
                    f" r{self.retain:d} d{self.dup:d} m{self.mid}")
        return f"{NAMES[self.type]} {self.body.hex()}"


class Parser:
    """Bytes in, packets out."""

    def __init__(self):
        self.buffer = bytearray()

    def feed(self, data):
        self.buffer += data

    def next(self):
        """The next whole packet, or None."""
        b = self.buffer
        length = shift = 0
        for i in range(1, 6):
            if i >= len(b):
                return None
            if i == 5:
                raise Malformed("from the broker: Remaining Length of five bytes")
            length |= (b[i] & 127) << shift
            shift += 7
            if not b[i] & 128:
                break
        end = i + 1 + length
        if len(b) < end:
            return None
        found = Packet(b[0], b[i + 1:end])
        del b[:end]
        return found
