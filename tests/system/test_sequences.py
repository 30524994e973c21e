# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
Exchanges of bytes that a broker must answer as the standards say, from a file that is not the project's: at
$SHUNT_SEQUENCES, or shared/sequences/sequences.jsonl beside the project. A JSON object a line:
{"name": N, "version": V, "steps": [...], "then": "closed" or "open"}, each on a connection of its own, one after the
other. Steps are {"connect": V}, {"send": HEX}, {"expect": HEX} and {"publish": {...}}, which another client does.

Packets are compared by meaning: the order of properties, the limits that a server announces, reason strings and an
absent reason code 0 do not count, and one error that ends a connection is as good as another.
"""

import contextlib
import json
import os
import unittest
import zlib

from harness import build
from harness import packets as p
from harness import properties
from harness.client import TIMEOUT, Closed, Timeout
from harness.suite import SystemTest

PATH = os.environ.get("SHUNT_SEQUENCES") or os.path.join(build.TOP, "../shared/sequences/sequences.jsonl")
WANTED = os.environ.get("SHUNT_EXCHANGE", "")  # only those with this in their name
SHOWN = 30  # failures told in full
REFERENCE_FAILS = 12  # of so many exchanges the reference broker may fail one: Debian's 2.0.11 fails one in fourteen
HASTE = 0.5  # seconds after which a PINGREQ asks whether there is more to wait for
# What a server may say of itself in a CONNACK.
LIMITS = {
    properties.SESSION_EXPIRY, properties.SERVER_KEEP_ALIVE, properties.RECEIVE_MAXIMUM, properties.TOPIC_ALIAS_MAXIMUM,
    properties.MAXIMUM_QOS, properties.RETAIN_AVAILABLE, properties.MAXIMUM_PACKET_SIZE, properties.WILDCARD_AVAILABLE,
    properties.SUBSCRIPTION_ID_AVAILABLE, properties.SHARED_AVAILABLE,
}
# Why a server may end a connection over what its client sent, section 3.14.2.1 of MQTT 5.0.
CLIENT_ERRORS = {0x80, 0x81, 0x82, 0x83, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x99, 0x9A, 0x9B, 0x9E, 0xA1, 0xA2}


def meaning(packet):
    """What a packet says, whatever its bytes."""
    fields = {name: value for name, value in vars(packet).items() if name not in ("body", "size", "version", "props")}
    ignored = {properties.REASON_STRING} | (LIMITS if packet.type == p.CONNACK else set())
    fields["props"] = sorted((one for one in packet.props if one[0] not in ignored), key=lambda one: one[0])
    if packet.type == p.DISCONNECT and packet.code in CLIENT_ERRORS:
        fields["code"] = CLIENT_ERRORS
    return fields


class Differs(AssertionError):
    """The broker did something else."""


class Parser(p.Parser):
    """A CONNECT of another version than the exchange's is answered in the form of that version."""

    def __init__(self, version):
        super().__init__(version)
        self.usual = version

    def next(self):
        long_connack = self.buffer[:1] == b"\x20" and self.buffer[1:2] > b"\x02"
        short_connack = self.buffer[:2] == b"\x20\x02"
        self.version = 5 if long_connack else 4 if short_connack else self.usual
        return super().next()


class Exchange:
    """One exchange on a connection of its own."""

    def __init__(self, test, exchange):
        self.steps, self.then, self.version = exchange["steps"], exchange["then"], exchange["version"]
        self.test, self.name, self.timeout = test, exchange["name"], test.timeout
        self.client = test.raw(record=False)
        self.client.parser, self.asked = Parser(self.version), 0

    def run(self):
        """Raises Differs."""
        try:
            for step in self.steps:
                (kind, value), = step.items()
                getattr(self, kind)(value)
            getattr(self, self.then)()
        except Closed:
            raise Differs("closed by the broker") from None
        finally:
            self.client.close()

    # ---- steps

    def connect(self, version):
        client_id = self.name if version > 3 else f"s-{zlib.crc32(self.name.encode())}"  # of at most 23 bytes
        self._send(p.connect(client_id, level=version))
        got = self._next("CONNACK code 0x00")
        if got.type != p.CONNACK or got.code != 0:
            raise Differs(f"to CONNECT: {got}")

    def send(self, data):
        self._send(bytes.fromhex(data))

    def expect(self, data):
        parser = Parser(self.version)
        parser.feed(bytes.fromhex(data))
        wanted = parser.next()
        try:
            got = self._next(wanted)
        except Closed:
            if self.test.reference and getattr(wanted, "code", 0) >= 0x80:  # it does not say why
                return
            raise Differs(f"expected {wanted}\n     got a closed connection") from None
        if meaning(wanted) != meaning(got):
            raise Differs(f"expected {wanted}\n     got {got}")

    def publish(self, message):
        self.test.publisher.publish(message["topic"], message["payload"], message["qos"])

    # ---- ends

    def open(self):
        """Nothing else came and it still answers; then it ends well, so that nothing of it is left."""
        self._send(p.PING)
        got = self._late("PINGRESP")
        if got.type != p.PINGRESP:
            raise Differs(f"expected nothing more, got {got}")
        self._send(p.BYE)
        self.closed()

    def closed(self):
        """The broker closes; in MQTT 5.0 it may say why."""
        while True:
            try:
                got = self._next("it to close")
            except Closed:
                return
            refused = got.type == p.CONNACK and got.code and "connect" not in self.steps[0]
            if not refused and got.type != p.DISCONNECT:
                raise Differs(f"expected it to close, got {got}")

    # ---- the connection

    def _send(self, data):
        with contextlib.suppress(ConnectionError):  # whether that is right shows when reading
            self.client.send(data)

    def _next(self, wanted):
        """The next packet. Raises Closed. A broker that answers PINGREQ will not answer what was before."""
        try:
            return self._read(HASTE)
        except Timeout:
            self._send(p.PING)
            self.asked += 1
        got = self._late(wanted, 1)
        if got.type == p.PINGRESP:
            raise Differs(f"expected {wanted}\n     got nothing, but PINGREQ is answered")
        return got

    def _late(self, wanted, asked=0):
        """The same, with all the patience there is."""
        try:
            return self._read(self.timeout, asked)
        except Timeout:
            self.test.timeout = HASTE  # one exchange may wait so long, not all
            raise Differs(f"expected {wanted}\n     got nothing") from None

    def _read(self, timeout, asked=0):
        """The next packet that is not the answer to a PINGREQ of _next(), but for the last `asked`."""
        while True:
            try:
                got = self.client.read(timeout)
            except p.Malformed as error:
                raise Differs(str(error)) from None
            if got.type != p.PINGRESP or self.asked <= asked:
                return got
            self.asked -= 1


class Sequences(SystemTest):
    """The exchanges of the file."""

    limit = 300

    @unittest.skipUnless(os.path.exists(PATH), f"no {os.path.normpath(PATH)}: set SHUNT_SEQUENCES")
    def test_sequences(self):
        """Every exchange. Of the reference broker is known that it fails a few."""
        with open(PATH) as lines:
            exchanges = [json.loads(line) for line in lines]
        self.timeout = TIMEOUT
        self.publisher = self.client("publisher", record=False, keepalive=0)
        failures = list(filter(None, (self.fails(exchange) for exchange in exchanges if WANTED in exchange["name"])))
        allowed = len(exchanges) // REFERENCE_FAILS if self.reference else 0
        if len(failures) > allowed:
            more = f"\nand {len(failures) - SHOWN} more" if len(failures) > SHOWN else ""
            self.fail(f"{len(failures)} of {len(exchanges)} exchanges\n" + "\n".join(failures[:SHOWN]) + more)

    def fails(self, exchange):
        """The story of a failure, or None."""
        try:
            Exchange(self, exchange).run()
        except Differs as error:
            sent = ", ".join(str(next(iter(step.values()))) for step in exchange["steps"] if "expect" not in step)
            return f"{exchange['name']}\n{error}\n    sent {sent}"
        return None
