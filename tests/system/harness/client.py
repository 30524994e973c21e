# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A blocking MQTT client that shows every byte: it sends what it is given and answers only what it is told to."""

import collections
import contextlib
import itertools
import math
import socket
import ssl
import struct
import time

from . import packets as p
from . import properties, transports

TIMEOUT = 20.0  # seconds to wait for what must come; only a failing test spends them


class Closed(Exception):
    """The broker closed the connection."""


class Timeout(Exception):
    """What was expected did not come."""


class Client:
    """
    One connection of a protocol version: 3, 4 or 5, by default. `log` gets every PUBLISH received, for the comparison
    of roads; None: do not record. What the CONNECT said the client can take is required of every packet received.
    """

    def __init__(self, sock, name="", log=None, version=4):
        self.sock, self.name, self.log, self.version = sock, name, log, version
        self.parser, self.pending = p.Parser(version), collections.deque()
        self.mids = itertools.cycle(range(1, 65536))
        self.connack = self.answer = None  # CONNACK; the last acknowledgement of publish(), subscribe(), unsubscribe()
        self.asked, self.client_id = properties.Properties(), ""  # of the CONNECT
        self.road = None  # that its connection is to take, where a test wants to know
        sock.settimeout(TIMEOUT)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # ---- bytes

    def send(self, *chunks):
        """Write bytes, in one system call where the socket takes them."""
        self.sock.sendall(b"".join(chunks))

    def read(self, timeout=TIMEOUT):
        """The next packet. Raises Timeout or Closed."""
        deadline = time.monotonic() + timeout
        while not self.pending:
            left = deadline - time.monotonic()
            if left < 0 or not self._readable(left):
                raise Timeout(f"{self.name}: no packet in {timeout} s")
            self._receive()
        return self.pending.popleft()

    def _readable(self, seconds):
        """Does something come within that time?"""
        return transports.readable(self.sock, math.ceil(seconds * 1000))

    def _receive(self):
        try:
            data = self.sock.recv(1 << 18)
        except (ConnectionError, ssl.SSLError) as error:
            raise Closed(f"{self.name}: {error}") from None
        if not data:
            raise Closed(f"{self.name}: closed by the broker")
        self.parser.feed(data)
        while (packet := self.parser.next()) is not None:
            if self.asked:
                self._check(packet)
            if packet.type == p.PUBLISH and self.log is not None:
                self.log.append(packet)
            self.pending.append(packet)

    def _check(self, packet):
        """Does the packet keep within what the CONNECT allowed?"""
        get = self.asked.get
        limit = get(properties.MAXIMUM_PACKET_SIZE)
        if limit is not None and packet.size > limit:
            raise p.Malformed(f"from the broker: {packet.size} bytes, more than Maximum Packet Size: {packet}")
        if packet.type == p.PUBLISH and packet.alias and packet.alias > get(properties.TOPIC_ALIAS_MAXIMUM, 0):
            raise p.Malformed(f"from the broker: a topic alias above the maximum: {packet}")
        if get(properties.REQUEST_PROBLEM) == 0 and packet.type not in (p.PUBLISH, p.CONNACK, p.DISCONNECT):
            if {properties.REASON_STRING, properties.USER} & {identifier for identifier, _ in packet.props}:
                raise p.Malformed(f"from the broker: problem information that was not asked for: {packet}")

    def available_within(self, seconds):
        """Does a packet come within that time? It stays readable."""
        try:
            self.pending.appendleft(self.read(seconds))
        except Timeout:
            return False
        return True

    def available(self):
        """The packets of one recv(), for a socket that select() found readable."""
        self._receive()
        packets = list(self.pending)
        self.pending.clear()
        return packets

    def expect(self, kind, timeout=TIMEOUT):
        """The next packet, which must be of this type."""
        packet = self.read(timeout)
        assert packet.type == kind, f"{self.name}: expected {p.NAMES[kind]}, got {packet}"
        return packet

    def until(self, kind, timeout=TIMEOUT):
        """The next packet of this type; what comes before it stays readable."""
        skipped = []
        deadline = time.monotonic() + timeout
        while (packet := self.read(max(0.0, deadline - time.monotonic()))).type != kind:
            skipped.append(packet)
        self.pending.extendleft(reversed(skipped))
        return packet

    def closed(self, timeout=TIMEOUT):
        """Wait for the broker to close; returns the packets that came before."""
        came = []
        while True:
            try:
                came.append(self.read(timeout))
            except Closed:
                return came
            except Timeout:
                raise AssertionError(f"{self.name}: not closed in {timeout} s, got {came}") from None

    def disconnected(self, *codes):
        """Wait for the broker to close; 5.0: after a DISCONNECT with one of these reason codes. Returns it and what
        came before, or all that came in an older version."""
        came = self.closed()
        if self.version < 5:
            return came
        assert came and came[-1].type == p.DISCONNECT, f"{self.name}: closed without DISCONNECT, after {came}"
        assert came[-1].code in codes, f"{self.name}: {came[-1]}, expected {[hex(code) for code in codes]}"
        return came

    def nothing(self, wait=0.15):
        """Nothing comes for a while."""
        try:
            packet = self.read(wait)
        except Timeout:
            return
        raise AssertionError(f"{self.name}: unexpected {packet}")

    # ---- the protocol

    def connect(self, client_id="", code=0, present=False, expiry=None, **fields):
        """CONNECT, and CONNACK with this return code and Session Present. `expiry` is short for a Session Expiry
        Interval, 5.0."""
        self.send(self.hello(client_id, expiry, **fields))
        self.connack = self.expect(p.CONNACK)
        assert self.connack.code == code, f"{self.name}: CONNACK {self.connack}, expected {code:#x}"
        if present is not None:
            assert self.connack.present == present, f"{self.name}: Session Present {self.connack.present}"
        return self

    def hello(self, client_id="", expiry=None, **fields):
        """The bytes of a CONNECT; the connection speaks its protocol version from now on."""
        self.client_id = client_id
        self.version = self.parser.version = fields.setdefault("level", self.version)
        if expiry is not None:
            fields["props"] = [*fields.get("props", ()), (properties.SESSION_EXPIRY, expiry)]
        self.asked = properties.Properties(one for one in fields.get("props", ()) if not isinstance(one, bytes))
        return p.connect(client_id, **fields)

    def mid(self):
        """A packet identifier not used for long."""
        return next(self.mids)

    def _props(self, props):
        """Properties to send, or None for a version that has none."""
        return props if self.version == 5 else None

    def subscribe(self, *filters, qos=0, codes=None, props=()):
        """SUBSCRIBE to filters (each a string, or (string, QoS or subscription options)); checks the SUBACK and returns
        its codes."""
        pairs = [(f, qos) if isinstance(f, (str, bytes)) else f for f in filters]
        mid = self.mid()
        self.send(p.subscribe(mid, *pairs, props=self._props(props)))
        suback = self.answer = self.until(p.SUBACK)
        assert suback.mid == mid, f"SUBACK for {suback.mid}, not {mid}"
        assert suback.codes == ([o & 3 for _, o in pairs] if codes is None else codes), f"SUBACK codes {suback.codes}"
        return suback.codes

    def unsubscribe(self, *filters, codes=None, props=()):
        """UNSUBSCRIBE and its UNSUBACK; in 5.0 each filter is one that was subscribed, unless `codes` says
        otherwise."""
        mid = self.mid()
        self.send(p.unsubscribe(mid, *filters, props=self._props(props)))
        unsuback = self.answer = self.until(p.UNSUBACK)
        assert unsuback.mid == mid, f"UNSUBACK for {unsuback.mid}, not {mid}"
        if self.version == 5:
            assert unsuback.codes == ([0] * len(filters) if codes is None else codes), f"UNSUBACK {unsuback.codes}"

    def publish(self, topic, payload=b"", qos=0, retain=False, dup=False, mid=None, props=()):
        """PUBLISH and, for QoS 1 and 2, the whole handshake, which must succeed. Returns the packet identifier."""
        if qos and mid is None:
            mid = self.mid()
        self.send(p.publish(topic, payload, qos, retain, dup, mid, self._props(props)))
        if qos:
            self.answer = self.until(p.PUBACK if qos == 1 else p.PUBREC)
            assert self.answer.mid == mid and self.answer.code < 0x80, f"{self.answer} for {mid}"
        if qos == 2:
            self.send(p.ack(p.PUBREL, mid))
            done = self.until(p.PUBCOMP)
            assert done.mid == mid and done.code == 0, f"{done} for {mid}"
        return mid

    def acknowledge(self, packet):
        """The subscriber's side of the handshake of a PUBLISH just received."""
        if packet.qos == 1:
            self.send(p.ack(p.PUBACK, packet.mid))
        elif packet.qos == 2:
            self.send(p.ack(p.PUBREC, packet.mid))
            assert self.until(p.PUBREL).mid == packet.mid
            self.send(p.ack(p.PUBCOMP, packet.mid))

    def receive(self, n=1, ack=True, timeout=TIMEOUT):
        """The next n PUBLISH packets, acknowledged unless told not to."""
        got = []
        for _ in range(n):
            packet = self.expect(p.PUBLISH, timeout)
            if ack:
                self.acknowledge(packet)
            got.append(packet)
        return got

    def payloads(self, n, timeout=TIMEOUT):
        """The payloads of the next n PUBLISH packets."""
        return [packet.payload for packet in self.receive(n, timeout=timeout)]

    def ping(self):
        """PINGREQ and its PINGRESP, which must be the next packet."""
        self.send(p.PING)
        self.expect(p.PINGRESP)

    def settle(self):
        """Acknowledge and return the PUBLISH packets that come until three PINGREQ in a row bring nothing but their answers:
        a worker may read a client's packets twice before it looks at what another one has for that client."""
        came, quiet = [], 0
        while quiet < 3:
            before = len(came)
            self.send(p.PING)
            while (packet := self.read()).type != p.PINGRESP:
                if packet.type == p.PUBLISH:
                    self.acknowledge(packet)
                    came.append(packet)
                elif packet.type == p.PUBREL:
                    self.send(p.ack(p.PUBCOMP, packet.mid))
            quiet = quiet + 1 if len(came) == before else 0
        return came

    def alive(self):
        """PINGREQ and its PINGRESP, whatever else is queued."""
        self.send(p.PING)
        self.until(p.PINGRESP)

    # ---- the end

    def disconnect(self, code=None, props=None):
        """DISCONNECT, in 5.0 with a reason code and properties where given, and wait for the broker to close."""
        self.send(p.disconnect(code, props))
        try:
            self.closed()
        finally:
            self.close()

    def close(self):
        """Close without DISCONNECT."""
        self.sock.close()

    def reset(self):
        """Close with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def half_close(self):
        """Send FIN and keep reading."""
        with contextlib.suppress(OSError):  # the broker was faster
            transports.half_close(self.sock)
