# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A client of MQTT-SN 1.2 that does what a test says, and nothing else. It knows nothing of the daemon's own codec."""

import contextlib
import select
import socket
import struct
from collections import namedtuple

from .client import TIMEOUT

ADVERTISE, SEARCHGW, GWINFO = 0x00, 0x01, 0x02
CONNECT, CONNACK, WILLTOPICREQ, WILLTOPIC, WILLMSGREQ, WILLMSG = range(0x04, 0x0A)
REGISTER, REGACK, PUBLISH, PUBACK, PUBCOMP, PUBREC, PUBREL = range(0x0A, 0x11)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(0x12, 0x19)
WILLTOPICUPD, WILLTOPICRESP, WILLMSGUPD, WILLMSGRESP = range(0x1A, 0x1E)
FORWARDED = 0xFE
ACCEPTED, CONGESTION, INVALID_TOPIC, NOT_SUPPORTED = range(4)
NORMAL, PREDEFINED, SHORT = range(3)
DUP, RETAIN, WILL, CLEAN = 0x80, 0x10, 0x08, 0x04
MINUS_ONE = 3  # in the place of a QoS
NAMES = {value: name for name, value in list(globals().items()) if name.isupper() and isinstance(value, int)
         and name not in ("DUP", "RETAIN", "WILL", "CLEAN", "TIMEOUT", "ACCEPTED", "CONGESTION", "INVALID_TOPIC",
                          "NOT_SUPPORTED", "NORMAL", "PREDEFINED", "SHORT", "MINUS_ONE")}

Packet = namedtuple("Packet", "type body")
Message = namedtuple("Message", "qos retain dup topic_type topic_id msg_id payload name")


class Silence(AssertionError):
    """Nothing came."""


def packet(kind, body=b""):
    """A packet in a datagram."""
    if len(body) + 2 < 256:
        return bytes((len(body) + 2, kind)) + body
    return b"\x01" + struct.pack("!HB", len(body) + 4, kind) + body


def parse(datagram):
    """The packet of a datagram, which must be all of it."""
    head = 1 if datagram[0] != 1 else 3
    length = datagram[0] if head == 1 else struct.unpack("!H", datagram[1:3])[0]
    assert length == len(datagram), f"length {length} of {datagram.hex()}"
    return Packet(datagram[head], datagram[head + 1:])


def topic_bytes(topic_id):
    """The id of a topic as it is sent: a number, or a short name."""
    return topic_id.encode() if isinstance(topic_id, str) else struct.pack("!H", topic_id)


def topic_type(topic_id):
    """What it is."""
    return SHORT if isinstance(topic_id, str) else NORMAL


def connect(client_id, clean=True, will=False, duration=0, protocol=1):
    """A CONNECT."""
    flags = (CLEAN if clean else 0) | (WILL if will else 0)
    return packet(CONNECT, struct.pack("!BBH", flags, protocol, duration) + client_id.encode())


def publish(topic_id, payload=b"", qos=0, retain=False, dup=False, msg_id=0, kind=None):
    """A PUBLISH."""
    kind = topic_type(topic_id) if kind is None else kind
    flags = (DUP if dup else 0) | qos << 5 | (RETAIN if retain else 0) | kind
    return packet(PUBLISH, bytes((flags,)) + topic_bytes(topic_id) + struct.pack("!H", msg_id) + payload)


class SnClient:
    """One address."""

    patience = TIMEOUT  # seconds

    def __init__(self, network, port, node=None, wire=None):
        family = socket.AF_INET6 if ":" in network.address else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.bind((network.address, 0))
        self.sock.connect((network.address, port))
        self.node, self.wire = node, wire
        self.id, self.names, self.waiting, self.last_id = None, {}, [], 0

    def close(self):
        """Say nothing more."""
        self.sock.close()

    # ---- datagrams

    def send(self, datagram):
        """Send it; of a node behind a forwarder in an envelope."""
        if self.wire is not None:
            self.wire.append((True, datagram))
        if self.node is not None:
            datagram = bytes((3 + len(self.node), FORWARDED, 1)) + self.node + datagram
        with contextlib.suppress(ConnectionRefusedError):
            self.sock.send(datagram)

    def _receive(self, timeout=None):
        timeout = self.patience if timeout is None else timeout
        if not select.select([self.sock], [], [], timeout)[0]:
            return None
        datagram = self.sock.recv(65536)
        if self.node is not None:
            head = datagram[0]
            assert datagram[1] == FORWARDED and datagram[3:head] == self.node, datagram.hex()
            datagram = datagram[head:]
        if self.wire is not None:
            self.wire.append((False, datagram))
        return parse(datagram)

    def read(self, timeout=None):
        """The next packet."""
        if self.waiting:
            return self.waiting.pop(0)
        got = self._receive(timeout)
        if got is None:
            raise Silence(f"{self.id}: nothing came")
        return got

    def expect(self, kind, timeout=None):
        """The next packet, which must be of this type: its body."""
        got = self.read(timeout)
        assert got.type == kind, f"{self.id}: {NAMES.get(got.type, got.type)} {got.body.hex()} instead of {NAMES[kind]}"
        return got.body

    def until(self, kind):
        """The body of the next packet of this type; those before it are kept."""
        kept, self.waiting = self.waiting, []
        for at, got in enumerate(kept):
            if got.type == kind:
                self.waiting = kept[:at] + kept[at + 1:]
                return got.body
        while True:
            got = self._receive()
            if got is None:
                self.waiting = kept
                raise Silence(f"{self.id}: no {NAMES[kind]}, but {kept}")
            if got.type == kind:
                self.waiting = kept
                return got.body
            kept.append(got)

    def nothing(self, wait=0.05):
        """Nothing comes."""
        got = self.waiting.pop(0) if self.waiting else self._receive(wait)
        assert got is None, f"{self.id}: {NAMES.get(got.type)} {got.body.hex()}"

    def next_id(self):
        """A message id that was not used lately."""
        self.last_id = self.last_id % 65535 + 1
        return self.last_id

    # ---- what a client does

    def connect(self, client_id, code=ACCEPTED, clean=True, duration=0, will=None):
        """CONNECT and all that follows; `will`: topic, message, QoS, retain."""
        self.id = client_id
        if clean:
            self.names = {}
        self.send(connect(client_id, clean, will is not None, duration))
        if will:
            topic, message, qos, retain = will
            self.expect(WILLTOPICREQ)
            self.send(packet(WILLTOPIC, bytes((qos << 5 | (RETAIN if retain else 0),)) + topic.encode()))
            self.expect(WILLMSGREQ)
            self.send(packet(WILLMSG, message))
        got = self.expect(CONNACK)
        assert got == bytes((code,)), f"{client_id}: CONNACK {got.hex()}"
        return self

    def register(self, name, code=ACCEPTED):
        """The id of a topic."""
        mid = self.next_id()
        self.send(packet(REGISTER, struct.pack("!HH", 0, mid) + name.encode()))
        topic_id, got_mid, got_code = struct.unpack("!HHB", self.until(REGACK))
        assert (got_mid, got_code) == (mid, code), f"{self.id}: REGACK {got_mid} {got_code}"
        if code == ACCEPTED:
            self.names[topic_id] = name
        return topic_id

    def publish(self, topic_id, payload=b"", qos=0, retain=False, kind=None, code=ACCEPTED):
        """PUBLISH and its handshake."""
        mid = self.next_id() if qos in (1, 2) else 0
        self.send(publish(topic_id, payload, qos, retain, msg_id=mid, kind=kind))
        if qos == 1 or code != ACCEPTED:
            got = self.until(PUBACK)
            want = topic_bytes(topic_id) + struct.pack("!HB", mid, code)
            assert got == want, f"{self.id}: PUBACK {got.hex()} instead of {want.hex()}"
        elif qos == 2:
            assert self.until(PUBREC) == struct.pack("!H", mid)
            self.send(packet(PUBREL, struct.pack("!H", mid)))
            assert self.until(PUBCOMP) == struct.pack("!H", mid)

    def subscribe(self, topic, qos=0, kind=NORMAL, granted=None, code=ACCEPTED):
        """SUBSCRIBE: the topic id of the SUBACK."""
        mid = self.next_id()
        where = topic.encode() if isinstance(topic, str) else struct.pack("!H", topic)
        self.send(packet(SUBSCRIBE, struct.pack("!BH", qos << 5 | kind, mid) + where))
        flags, topic_id, got_mid, got_code = struct.unpack("!BHHB", self.until(SUBACK))
        granted = (qos if granted is None else granted) if code == ACCEPTED else 0
        assert (flags >> 5 & 3, got_mid, got_code) == (granted, mid, code), f"{self.id}: SUBACK {flags} {got_code}"
        if topic_id and kind == NORMAL:
            self.names[topic_id] = topic
        return topic_id

    def unsubscribe(self, topic, kind=NORMAL):
        """UNSUBSCRIBE."""
        mid = self.next_id()
        where = topic.encode() if isinstance(topic, str) else struct.pack("!H", topic)
        self.send(packet(UNSUBSCRIBE, struct.pack("!BH", kind, mid) + where))
        assert self.until(UNSUBACK) == struct.pack("!H", mid)

    def message(self, timeout=None):
        """The next PUBLISH, in which REGISTER may come before it; neither is acknowledged but REGISTER."""
        got = self.read(timeout)
        while got.type == REGISTER:
            self.registered(got.body)
            got = self.read(timeout)
        assert got.type == PUBLISH, f"{self.id}: {NAMES.get(got.type)} {got.body.hex()} instead of PUBLISH"
        flags, topic_id, mid = struct.unpack("!BHH", got.body[:5])
        kind = flags & 3
        name = got.body[1:3].decode() if kind == SHORT else self.names.get(topic_id) if kind == NORMAL else topic_id
        return Message(flags >> 5 & 3, bool(flags & RETAIN), bool(flags & DUP), kind, topic_id, mid, got.body[5:], name)

    def registered(self, body, code=ACCEPTED):
        """Take a REGISTER of the gateway, and say so."""
        topic_id, mid = struct.unpack("!HH", body[:4])
        if code == ACCEPTED:
            self.names[topic_id] = body[4:].decode()
        self.send(packet(REGACK, struct.pack("!HHB", topic_id, mid, code)))

    def acknowledge(self, message, code=ACCEPTED):
        """All of its handshake."""
        mid = struct.pack("!H", message.msg_id)
        if message.qos == 1:
            self.send(packet(PUBACK, struct.pack("!HHB", message.topic_id, message.msg_id, code)))
        elif message.qos == 2:
            self.send(packet(PUBREC, mid))
            assert self.until(PUBREL) == mid
            self.send(packet(PUBCOMP, mid))

    def receive(self, n=1):
        """The next messages, acknowledged: (name, payload) of each."""
        out = []
        for _ in range(n):
            message = self.message()
            self.acknowledge(message)
            out.append((message.name, message.payload))
        return out

    def ping(self):
        """It is connected and awake."""
        self.send(packet(PINGREQ))
        assert self.expect(PINGRESP) == b""

    def sleep(self, seconds):
        """DISCONNECT for a while."""
        self.send(packet(DISCONNECT, struct.pack("!H", seconds)))
        assert self.expect(DISCONNECT) == b""

    def wake(self):
        """PINGREQ of one that sleeps, and all it gets before PINGRESP: (name, payload)."""
        self.send(packet(PINGREQ, self.id.encode()))
        out = []
        while True:
            got = self.read()
            if got.type == PINGRESP:
                return out
            self.waiting.insert(0, got)
            out += self.receive()

    def disconnect(self):
        """Good-bye."""
        self.send(packet(DISCONNECT))
        assert self.until(DISCONNECT) == b""
