# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Properties of MQTT 5.0, section 2.2.2: (identifier, value) pairs in order, repeats and all."""

import struct

PAYLOAD_FORMAT, MESSAGE_EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA = 0x01, 0x02, 0x03, 0x08, 0x09
SUBSCRIPTION_ID, SESSION_EXPIRY, ASSIGNED_CLIENT_ID, SERVER_KEEP_ALIVE = 0x0B, 0x11, 0x12, 0x13
AUTH_METHOD, AUTH_DATA, REQUEST_PROBLEM, WILL_DELAY, REQUEST_RESPONSE = 0x15, 0x16, 0x17, 0x18, 0x19
RESPONSE_INFORMATION, SERVER_REFERENCE, REASON_STRING, RECEIVE_MAXIMUM = 0x1A, 0x1C, 0x1F, 0x21
TOPIC_ALIAS_MAXIMUM, TOPIC_ALIAS, MAXIMUM_QOS, RETAIN_AVAILABLE, USER = 0x22, 0x23, 0x24, 0x25, 0x26
MAXIMUM_PACKET_SIZE, WILDCARD_AVAILABLE, SUBSCRIPTION_ID_AVAILABLE, SHARED_AVAILABLE = 0x27, 0x28, 0x29, 0x2A

# Packets by the names of their types, and the will, which is not a packet.
_MESSAGE = {"PUBLISH", "WILL"}
_ACKS = {"PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBACK", "UNSUBACK"}
_REASONED = {"CONNACK", "DISCONNECT", "AUTH", *_ACKS}
_EVERYWHERE = {"CONNECT", "SUBSCRIBE", "UNSUBSCRIBE", *_MESSAGE, *_REASONED}

# identifier -> (name, type, where it may stand): table 2-4
TABLE = {
    PAYLOAD_FORMAT: ("Payload Format Indicator", "byte", _MESSAGE),
    MESSAGE_EXPIRY: ("Message Expiry Interval", "four", _MESSAGE),
    CONTENT_TYPE: ("Content Type", "utf8", _MESSAGE),
    RESPONSE_TOPIC: ("Response Topic", "utf8", _MESSAGE),
    CORRELATION_DATA: ("Correlation Data", "binary", _MESSAGE),
    SUBSCRIPTION_ID: ("Subscription Identifier", "varint", {"PUBLISH", "SUBSCRIBE"}),
    SESSION_EXPIRY: ("Session Expiry Interval", "four", {"CONNECT", "CONNACK", "DISCONNECT"}),
    ASSIGNED_CLIENT_ID: ("Assigned Client Identifier", "utf8", {"CONNACK"}),
    SERVER_KEEP_ALIVE: ("Server Keep Alive", "two", {"CONNACK"}),
    AUTH_METHOD: ("Authentication Method", "utf8", {"CONNECT", "CONNACK", "AUTH"}),
    AUTH_DATA: ("Authentication Data", "binary", {"CONNECT", "CONNACK", "AUTH"}),
    REQUEST_PROBLEM: ("Request Problem Information", "byte", {"CONNECT"}),
    WILL_DELAY: ("Will Delay Interval", "four", {"WILL"}),
    REQUEST_RESPONSE: ("Request Response Information", "byte", {"CONNECT"}),
    RESPONSE_INFORMATION: ("Response Information", "utf8", {"CONNACK"}),
    SERVER_REFERENCE: ("Server Reference", "utf8", {"CONNACK", "DISCONNECT"}),
    REASON_STRING: ("Reason String", "utf8", _REASONED),
    RECEIVE_MAXIMUM: ("Receive Maximum", "two", {"CONNECT", "CONNACK"}),
    TOPIC_ALIAS_MAXIMUM: ("Topic Alias Maximum", "two", {"CONNECT", "CONNACK"}),
    TOPIC_ALIAS: ("Topic Alias", "two", {"PUBLISH"}),
    MAXIMUM_QOS: ("Maximum QoS", "byte", {"CONNACK"}),
    RETAIN_AVAILABLE: ("Retain Available", "byte", {"CONNACK"}),
    USER: ("User Property", "pair", _EVERYWHERE),
    MAXIMUM_PACKET_SIZE: ("Maximum Packet Size", "four", {"CONNECT", "CONNACK"}),
    WILDCARD_AVAILABLE: ("Wildcard Subscription Available", "byte", {"CONNACK"}),
    SUBSCRIPTION_ID_AVAILABLE: ("Subscription Identifier Available", "byte", {"CONNACK"}),
    SHARED_AVAILABLE: ("Shared Subscription Available", "byte", {"CONNACK"}),
}


def raw(value):
    """Bytes of a str (UTF-8) or bytes."""
    return value.encode() if isinstance(value, str) else bytes(value)


def string(value):
    """A length-prefixed string or binary field, sections 1.5.4 and 1.5.6."""
    value = raw(value)
    return struct.pack("!H", len(value)) + value


def varint(n):
    """A Variable Byte Integer of the fewest bytes, section 1.5.5."""
    out = bytearray()
    while True:
        n, low = divmod(n, 128)
        out.append(low | (0x80 if n else 0))
        if not n:
            return bytes(out)


ENCODE = {
    "byte": lambda value: bytes([value]),
    "two": lambda value: struct.pack("!H", value),
    "four": lambda value: struct.pack("!I", value),
    "varint": varint,
    "utf8": string,
    "binary": string,
    "pair": lambda value: string(value[0]) + string(value[1]),
}


def encode_one(identifier, value):
    """One property without regard to where it may stand."""
    return varint(identifier) + ENCODE[TABLE[identifier][1]](value)


def encode(props):
    """Property Length and properties. A member that is bytes already goes out as it is, so that a test can write wrong
    ones; None: there is no such field, as before 5.0."""
    if props is None:
        return b""
    body = b"".join(one if isinstance(one, bytes) else encode_one(*one) for one in props)
    return varint(len(body)) + body


class Properties(list):
    """The properties of a packet received."""

    def get(self, identifier, absent=None):
        """The value of the first property of this kind."""
        return next((value for i, value in self if i == identifier), absent)

    def all(self, identifier):
        """The values of all of this kind, in their order."""
        return [value for i, value in self if i == identifier]

    def __repr__(self):
        return "{" + ", ".join(f"{TABLE[i][0]}: {value!r}" for i, value in self) + "}"


def plain(props):
    """To compare: properties without an order of their own, sorted, and the user properties in theirs."""
    return sorted(one for one in props if one[0] != USER), [one for one in props if one[0] == USER]


class Reader:
    """Reads fields from the front of a packet's body; ValueError when there is not enough or they are not valid."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        """Number of bytes not read yet."""
        return len(self.data) - self.at

    def take(self, n):
        """The next n bytes."""
        if self.left() < n:
            raise ValueError("too short")
        self.at += n
        return self.data[self.at - n:self.at]

    def byte(self):
        """One byte."""
        return self.take(1)[0]

    def two(self):
        """A Two Byte Integer."""
        return struct.unpack("!H", self.take(2))[0]

    def four(self):
        """A Four Byte Integer."""
        return struct.unpack("!I", self.take(4))[0]

    def varint(self):
        """A Variable Byte Integer, which must be of the fewest bytes."""
        value, start = 0, self.at
        for shift in (0, 7, 14, 21):
            byte = self.byte()
            value |= (byte & 127) << shift
            if not byte & 128:
                if self.data[start:self.at] != varint(value):
                    raise ValueError("a Variable Byte Integer longer than needed")
                return value
        raise ValueError("a Variable Byte Integer of five bytes")

    def binary(self):
        """Binary Data."""
        return self.take(self.two())

    def utf8(self):
        """A UTF-8 Encoded String."""
        text = self.binary().decode()  # strict: no surrogates
        if "\0" in text:
            raise ValueError("U+0000 in a string")
        return text

    def pair(self):
        """A UTF-8 String Pair."""
        return self.utf8(), self.utf8()

    def properties(self, where):
        """Property Length and properties; each must be allowed there, and only those that may repeat do."""
        inner = Reader(self.take(self.varint()))
        found = Properties()
        while inner.left():
            identifier = inner.varint()
            if identifier not in TABLE:
                raise ValueError(f"no property {identifier:#x}")
            name, kind, places = TABLE[identifier]
            if where not in places:
                raise ValueError(f"{name} in {where}")
            repeats = identifier == USER or (identifier == SUBSCRIPTION_ID and where == "PUBLISH")
            if not repeats and found.all(identifier):
                raise ValueError(f"{name} twice")
            found.append((identifier, getattr(inner, kind)()))
        return found
