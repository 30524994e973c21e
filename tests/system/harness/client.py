# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A blocking MQTT client that shows every byte: it sends what it is given and answers only what it is told to."""

import collections
import contextlib
import itertools
import select
import socket
import struct
import time

from . import packets as p

TIMEOUT = 20.0  # seconds to wait for what must come; only a failing test spends them


class Closed(Exception):
    """The broker closed the connection."""


class Timeout(Exception):
    """What was expected did not come."""


class Client:
    """One connection. `log` gets every PUBLISH received, for the comparison of roads; None: do not record."""

    def __init__(self, sock, name="", log=None):
        self.sock, self.name, self.log = sock, name, log
        self.parser, self.pending = p.Parser(), collections.deque()
        self.mids = itertools.cycle(range(1, 65536))
        self.connack = None
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
            if left < 0 or not select.select([self.sock], [], [], left)[0]:
                raise Timeout(f"{self.name}: no packet in {timeout} s")
            self._receive()
        return self.pending.popleft()

    def _receive(self):
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionError as error:
            raise Closed(f"{self.name}: {error}") from None
        if not data:
            raise Closed(f"{self.name}: closed by the broker")
        self.parser.feed(data)
        while (packet := self.parser.next()) is not None:
            if packet.type == p.PUBLISH and self.log is not None:
                self.log.append(packet)
            self.pending.append(packet)

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

    def nothing(self, wait=0.15):
        """Nothing comes for a while."""
        try:
            packet = self.read(wait)
        except Timeout:
            return
        raise AssertionError(f"{self.name}: unexpected {packet}")

    # ---- the protocol

    def connect(self, client_id="", code=0, present=False, **fields):
        """CONNECT, and CONNACK with this return code and Session Present."""
        self.send(p.connect(client_id, **fields))
        self.connack = self.expect(p.CONNACK)
        assert self.connack.code == code, f"{self.name}: CONNACK return code {self.connack.code}, expected {code}"
        if present is not None:
            assert self.connack.present == present, f"{self.name}: Session Present {self.connack.present}"
        return self

    def mid(self):
        """A packet identifier not used for long."""
        return next(self.mids)

    def subscribe(self, *filters, qos=0, codes=None):
        """SUBSCRIBE to filters (each a string, or (string, qos)); checks the SUBACK and returns its codes."""
        pairs = [(f, qos) if isinstance(f, (str, bytes)) else f for f in filters]
        mid = self.mid()
        self.send(p.subscribe(mid, *pairs))
        suback = self.until(p.SUBACK)
        assert suback.mid == mid, f"SUBACK for {suback.mid}, not {mid}"
        assert suback.codes == ([q for _, q in pairs] if codes is None else codes), f"SUBACK codes {suback.codes}"
        return suback.codes

    def unsubscribe(self, *filters):
        """UNSUBSCRIBE and its UNSUBACK."""
        mid = self.mid()
        self.send(p.unsubscribe(mid, *filters))
        unsuback = self.until(p.UNSUBACK)
        assert unsuback.mid == mid, f"UNSUBACK for {unsuback.mid}, not {mid}"

    def publish(self, topic, payload=b"", qos=0, retain=False, dup=False, mid=None):
        """PUBLISH and, for QoS 1 and 2, the whole handshake. Returns the packet identifier."""
        if qos and mid is None:
            mid = self.mid()
        self.send(p.publish(topic, payload, qos, retain, dup, mid))
        if qos == 1:
            assert self.until(p.PUBACK).mid == mid
        elif qos == 2:
            assert self.until(p.PUBREC).mid == mid
            self.send(p.ack(p.PUBREL, mid))
            assert self.until(p.PUBCOMP).mid == mid
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
        """Acknowledge and return the PUBLISH packets that come until a PINGREQ brings nothing but its answer."""
        came, before = [], -1
        while len(came) > before:
            before = len(came)
            self.send(p.PING)
            while (packet := self.read()).type != p.PINGRESP:
                if packet.type == p.PUBLISH:
                    self.acknowledge(packet)
                    came.append(packet)
        return came

    def alive(self):
        """PINGREQ and its PINGRESP, whatever else is queued."""
        self.send(p.PING)
        self.until(p.PINGRESP)

    # ---- the end

    def disconnect(self):
        """DISCONNECT, and wait for the broker to close."""
        self.send(p.BYE)
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
            self.sock.shutdown(socket.SHUT_WR)
