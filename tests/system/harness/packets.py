# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
MQTT 3.1, 3.1.1 and 5.0 control packets as bytes: written by hand, so that a test can also write them wrong.

Where a packet of 5.0 has properties, `props` is a list of (identifier, value) pairs, see properties.py; None, the
default, writes the packet of the older versions, which has no such field.
"""

import struct

from . import properties
from .properties import Reader, raw, string
from .properties import varint as remaining_length

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = 8, 9, 10, 11, 12, 13, 14, 15

NAMES = {
    CONNECT: "CONNECT", CONNACK: "CONNACK", PUBLISH: "PUBLISH", PUBACK: "PUBACK", PUBREC: "PUBREC", PUBREL: "PUBREL",
    PUBCOMP: "PUBCOMP", SUBSCRIBE: "SUBSCRIBE", SUBACK: "SUBACK", UNSUBSCRIBE: "UNSUBSCRIBE", UNSUBACK: "UNSUBACK",
    PINGREQ: "PINGREQ", PINGRESP: "PINGRESP", DISCONNECT: "DISCONNECT", AUTH: "AUTH",
}

# Subscription options of 5.0, section 3.8.3.1; bits 0 and 1 are the QoS.
NO_LOCAL, RETAIN_AS_PUBLISHED, SEND_IF_NEW, DO_NOT_SEND = 0x04, 0x08, 0x10, 0x20

# Reason codes that a server may send in 5.0, by packet type: the tables of sections 3.2.2.2 to 3.15.2.1.
_PUBLISH_REASONS = {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}
SERVER_REASONS = {
    CONNACK: {0x00, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F},
    PUBACK: _PUBLISH_REASONS,
    PUBREC: _PUBLISH_REASONS,
    PUBREL: {0x00, 0x92},
    PUBCOMP: {0x00, 0x92},
    SUBACK: {0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2},
    UNSUBACK: {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91},
    DISCONNECT: {0x00, *range(0x80, 0x84), 0x87, 0x89, 0x8B, 0x8C, *range(0x8D, 0x91), *range(0x93, 0xA3)},
    AUTH: {0x00, 0x18},
}


def packet(first, body=b""):
    """A whole packet from its first byte and what follows the fixed header."""
    return bytes([first]) + remaining_length(len(body)) + body


def connect(client_id="", clean=True, keepalive=60, will=None, username=None, password=None, level=4, name=None,
            flags=None, props=(), will_props=()):
    """CONNECT. `will` is (topic, payload, qos, retain); `flags` overrides the connect flags, right or wrong. Properties
    count from level 5 on."""
    bits = 0x02 if clean else 0
    payload = string(client_id)
    if will is not None:
        topic, message, qos, retain = will
        bits |= 0x04 | qos << 3 | (0x20 if retain else 0)
        payload += properties.encode(will_props if level == 5 else None) + string(topic) + string(message)
    if username is not None:
        bits |= 0x80
        payload += string(username)
    if password is not None:
        bits |= 0x40
        payload += string(password)
    if name is None:
        name = "MQIsdp" if level == 3 else "MQTT"
    header = string(name) + bytes([level, bits if flags is None else flags]) + struct.pack("!H", keepalive)
    return packet(CONNECT << 4, header + properties.encode(props if level == 5 else None) + payload)


def publish(topic, payload=b"", qos=0, retain=False, dup=False, mid=None, props=None):
    """PUBLISH; `mid` is the packet identifier, needed for QoS 1 and 2."""
    identifier = struct.pack("!H", mid) if mid is not None else b""
    body = string(topic) + identifier + properties.encode(props) + raw(payload)
    return packet(PUBLISH << 4 | (8 if dup else 0) | qos << 1 | (1 if retain else 0), body)


def _reason(code, props):
    """The reason code and properties of 5.0, each left out when None; properties need a reason code."""
    if code is None and props is not None:
        code = 0
    return (b"" if code is None else bytes([code])) + properties.encode(props)


def ack(kind, mid, code=None, props=None):
    """PUBACK, PUBREC, PUBREL or PUBCOMP."""
    return packet(kind << 4 | (2 if kind == PUBREL else 0), struct.pack("!H", mid) + _reason(code, props))


def subscribe(mid, *filters, props=None):
    """SUBSCRIBE to (filter, QoS or subscription options) pairs."""
    pairs = b"".join(string(f) + bytes([options]) for f, options in filters)
    return packet(0x82, struct.pack("!H", mid) + properties.encode(props) + pairs)


def unsubscribe(mid, *filters, props=None):
    """UNSUBSCRIBE."""
    return packet(0xA2, struct.pack("!H", mid) + properties.encode(props) + b"".join(string(f) for f in filters))


def disconnect(code=None, props=None):
    """DISCONNECT of 5.0, with a reason code and properties where given."""
    return packet(DISCONNECT << 4, _reason(code, props))


def auth(code=None, props=None):
    """AUTH."""
    return packet(AUTH << 4, _reason(code, props))


PING = packet(PINGREQ << 4)
BYE = packet(DISCONNECT << 4)


class Malformed(Exception):
    """The broker sent something that MQTT does not allow."""


class Packet:
    """
    A packet received: type, flags, body and, by type, its fields. `code` is the return or reason code, `codes` those of
    a SUBACK or UNSUBACK; `props` the properties, empty before 5.0; `size` that of the whole packet.
    """

    def __init__(self, first, body, version=4):
        self.type, self.flags, self.body, self.version = first >> 4, first & 15, bytes(body), version
        self.size = 1 + len(remaining_length(len(body))) + len(body)
        self.props = properties.Properties()
        try:
            reader = Reader(self.body)
            _READ.get(self.type, Packet._unknown)(self, reader)
            self._need(not reader.left(), "bytes left over")
            self._need(self.type == PUBLISH or self.flags == (2 if self.type == PUBREL else 0), "reserved flags")
        except ValueError as error:
            raise Malformed(f"from the broker: {NAMES.get(self.type)} flags {self.flags} body {self.body[:64].hex()}: "
                            f"{error}") from None

    def _need(self, condition, what):
        if not condition:
            raise ValueError(what)

    def _unknown(self, _reader):
        self._need(False, "a packet that a server does not send")

    def _properties(self, reader):
        if self.version == 5:
            self.props = reader.properties(NAMES[self.type])

    def _check_code(self, code):
        self._need(self.version < 5 or code in SERVER_REASONS[self.type], f"reason code {code:#x}")

    def _connack(self, reader):
        flags, self.code = reader.byte(), reader.byte()
        self._need(flags in (0, 1), "reserved connect acknowledge flags")
        self.present = bool(flags)
        # A server that does not speak 5.0 answers in the format of its own version.
        if self.version == 5 and not (self.code == 1 and not reader.left()):
            self._check_code(self.code)
            self._need(not (self.present and self.code), "Session Present in a refusal")
            self._properties(reader)

    def _publish(self, reader):
        self.dup, self.qos, self.retain = bool(self.flags & 8), self.flags >> 1 & 3, bool(self.flags & 1)
        self._need(self.qos < 3 and not (self.dup and self.qos == 0), "QoS or DUP")
        self.topic = reader.utf8()
        self.mid = reader.two() if self.qos else None
        self._need(self.mid != 0, "packet identifier 0")
        self._properties(reader)
        self.alias = self.props.get(properties.TOPIC_ALIAS)
        self._need(self.topic or self.alias, "no topic name")
        self._need(not set("+#") & set(self.topic), "wildcard in a topic name")
        self._need(self.alias != 0, "topic alias 0")
        self.payload = reader.take(reader.left())

    def _ack(self, reader):
        self.mid, self.code = reader.two(), 0
        self._need(self.mid != 0, "packet identifier 0")
        if self.version == 5:
            self._reasoned(reader)

    def _reasoned(self, reader):
        """Reason code and properties, which may be left out from the end."""
        self.code = reader.byte() if reader.left() else 0
        self._check_code(self.code)
        if reader.left():
            self._properties(reader)

    def _suback(self, reader):
        self.mid = reader.two()
        self._properties(reader)
        self.codes = list(reader.take(reader.left()))
        self._need(bool(self.codes) != (self.type == UNSUBACK and self.version < 5), "number of return codes")
        for code in self.codes:
            self._check_code(code)

    def _disconnect(self, reader):
        self._need(self.version == 5, "only a server of 5.0 sends it")
        self._reasoned(reader)
        self._need(self.props.get(properties.SESSION_EXPIRY) is None, "Session Expiry Interval from a server")

    def _auth(self, reader):
        self._need(self.version == 5, "only 5.0 has it")
        self._reasoned(reader)

    def _empty(self, _reader):
        pass

    def __repr__(self):
        props = f" {self.props}" if self.props else ""
        if self.type == PUBLISH:
            return (f"PUBLISH {self.topic!r} {self.payload[:40]!r} {len(self.payload)} bytes, q{self.qos}"
                    f" r{self.retain:d} d{self.dup:d} m{self.mid}{props}")
        return f"{NAMES[self.type]} {self.body.hex()}{props}"


_READ = {
    CONNACK: Packet._connack, PUBLISH: Packet._publish, PUBACK: Packet._ack, PUBREC: Packet._ack, PUBREL: Packet._ack,
    PUBCOMP: Packet._ack, SUBACK: Packet._suback, UNSUBACK: Packet._suback, PINGRESP: Packet._empty,
    DISCONNECT: Packet._disconnect, AUTH: Packet._auth,
}


class Parser:
    """Bytes in, packets out."""

    def __init__(self, version=4):
        self.buffer, self.version = bytearray(), version

    def feed(self, data):
        """Append what a recv() returned."""
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
        if bytes(b[1:i + 1]) != remaining_length(length):
            raise Malformed("from the broker: Remaining Length of more bytes than needed")
        end = i + 1 + length
        if len(b) < end:
            return None
        found = Packet(b[0], b[i + 1:end], self.version)
        del b[:end]
        return found
