# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What a control packet from a broker means, whatever its version: two packets that mean the same are equal here though
their bytes differ. Order of properties, limits that a broker announces, reason strings and an absent reason code 0 do
not count."""

import struct

from . import packets as p

AUTH = 15
BYTE, TWO, FOUR, VARIABLE, BINARY, STRING, PAIR = "byte", "two", "four", "variable", "binary", "string", "pair"

# Section 2.2.2.2 of MQTT 5.0, what a server may send.
PROPERTIES = {
    0x01: ("Payload Format Indicator", BYTE), 0x02: ("Message Expiry Interval", FOUR), 0x03: ("Content Type", STRING),
    0x08: ("Response Topic", STRING), 0x09: ("Correlation Data", BINARY), 0x0B: ("Subscription Identifier", VARIABLE),
    0x11: ("Session Expiry Interval", FOUR), 0x12: ("Assigned Client Identifier", STRING),
    0x13: ("Server Keep Alive", TWO), 0x15: ("Authentication Method", STRING), 0x16: ("Authentication Data", BINARY),
    0x1A: ("Response Information", STRING), 0x1C: ("Server Reference", STRING), 0x1F: ("Reason String", STRING),
    0x21: ("Receive Maximum", TWO), 0x22: ("Topic Alias Maximum", TWO), 0x23: ("Topic Alias", TWO),
    0x24: ("Maximum QoS", BYTE), 0x25: ("Retain Available", BYTE), 0x26: ("User Property", PAIR),
    0x27: ("Maximum Packet Size", FOUR), 0x28: ("Wildcard Subscription Available", BYTE),
    0x29: ("Subscription Identifier Available", BYTE), 0x2A: ("Shared Subscription Available", BYTE),
}
LIMITS = {  # of a CONNACK
    "Session Expiry Interval", "Server Keep Alive", "Receive Maximum", "Topic Alias Maximum", "Maximum QoS",
    "Retain Available", "Maximum Packet Size", "Wildcard Subscription Available", "Subscription Identifier Available",
    "Shared Subscription Available",
}
# Why a server may end a connection over what its client sent, section 3.14.2.1 of MQTT 5.0.
CLIENT_ERRORS = {0x80, 0x81, 0x82, 0x83, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x99, 0x9A, 0x9B, 0x9E, 0xA1, 0xA2}
NAMES = p.NAMES | {AUTH: "AUTH"}


class Frame:
    """A control packet as it came."""

    def __init__(self, data, header):
        self.data, self.type, self.flags, self.body = data, data[0] >> 4, data[0] & 15, data[header:]


class Frames:
    """Bytes in, Frames out: in the place of packets.Parser, for a client that looks at the bytes."""

    def __init__(self):
        self.buffer = b""

    def feed(self, data):
        self.buffer += data

    def next(self):
        """The next whole packet, or None."""
        length = 0
        for i in range(1, min(5, len(self.buffer))):
            length |= (self.buffer[i] & 127) << 7 * (i - 1)
            if not self.buffer[i] & 128:
                break
        else:
            if len(self.buffer) >= 5:
                raise p.Malformed(f"from the broker: Remaining Length of five bytes: {self.buffer[:16].hex()}")
            return None
        end = i + 1 + length
        if len(self.buffer) < end:
            return None
        data, self.buffer = self.buffer[:end], self.buffer[end:]
        return Frame(data, i + 1)


class _Reader:
    """Fields one after the other; past the end is an IndexError."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise IndexError
        self.at += n
        return self.data[self.at - n:self.at]

    def rest(self):
        return self.take(len(self.data) - self.at)

    def left(self):
        return self.at < len(self.data)

    def byte(self):
        return self.take(1)[0]

    def two(self):
        return struct.unpack("!H", self.take(2))[0]

    def four(self):
        return struct.unpack("!I", self.take(4))[0]

    def variable(self):
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.byte()
            value |= (byte & 127) << shift
            if not byte & 128:
                return value
        raise ValueError("a variable byte integer of five bytes")

    def binary(self):
        return self.take(self.two())

    def string(self):
        return self.binary().decode()

    def pair(self):
        return self.string(), self.string()

    def properties(self):
        """[(name, value)], sorted by name: equal ones keep their order."""
        end = self.variable() + self.at
        found = []
        while self.at < end:
            name, kind = PROPERTIES[self.byte()]
            found.append((name, getattr(self, kind)()))
        if self.at != end:
            raise ValueError("properties longer than their length")
        return sorted(found, key=lambda pair: pair[0])


def decode(frame, version):
    """A Frame's fields by name. Raises packets.Malformed."""
    try:
        kind, fields, r = frame.type, {"packet": NAMES[frame.type]}, _Reader(frame.body)
        _FIELDS[kind](r, fields, frame, version)
        if r.left():
            raise ValueError("bytes after the end")
    except (KeyError, IndexError, ValueError) as error:
        raise p.Malformed(f"from the broker: {frame.data[:64].hex()}: {type(error).__name__} {error}") from None
    return fields


def _connack(r, fields, frame, _version):
    fields["session present"], fields["code"] = r.byte(), r.byte()
    if len(frame.body) > 2:  # a refused CONNECT of any version may be answered as MQTT 5.0 does
        _properties(r, fields, LIMITS)


def _publish(r, fields, frame, version):
    fields.update(dup=frame.flags >> 3, qos=frame.flags >> 1 & 3, retain=frame.flags & 1, topic=r.string())
    if fields["qos"]:
        fields["identifier"] = r.two()
    if version == 5:
        _properties(r, fields)
    fields["payload"] = r.rest()


def _answer(r, fields, _frame, version):
    fields["identifier"] = r.two()
    if version == 5:
        _reason(r, fields)


def _suback(r, fields, _frame, version):
    fields["identifier"] = r.two()
    if version == 5:
        _properties(r, fields)
    fields["codes"] = list(r.rest())


def _unsuback(r, fields, frame, version):
    if version == 5:
        _suback(r, fields, frame, version)
    else:
        fields["identifier"] = r.two()


def _reason(r, fields, *_):
    fields["code"] = r.byte() if r.left() else 0
    if r.left():
        _properties(r, fields)


def _nothing(*_):
    pass


def _properties(r, fields, without=frozenset()):
    found = [pair for pair in r.properties() if pair[0] not in without and pair[0] != "Reason String"]
    if found:
        fields["properties"] = found


_FIELDS = {
    p.CONNACK: _connack, p.PUBLISH: _publish, p.PUBACK: _answer, p.PUBREC: _answer, p.PUBREL: _answer,
    p.PUBCOMP: _answer, p.SUBACK: _suback, p.UNSUBACK: _unsuback, p.PINGRESP: _nothing, p.DISCONNECT: _reason,
    AUTH: _reason,
}


def same(wanted, got):
    """Do two packets mean the same? One error that ends a connection is as good as another."""
    if wanted["packet"] == got["packet"] == "DISCONNECT" and wanted["code"] >= 0x80:
        return got["code"] in CLIENT_ERRORS
    return wanted == got


def text(fields):
    """In words."""
    return " ".join(f"{name} {value:#04x}" if name == "code" else str(value) if name == "packet" else f"{name} {value!r}"
                    for name, value in fields.items())
