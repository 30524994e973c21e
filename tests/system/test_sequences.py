# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
Exchanges of bytes that a broker must answer as the standards say, from a file that is not the project's: at
$SHUNT_SEQUENCES, or shared/sequences/sequences.jsonl beside the project. A JSON object a line:
{"name": N, "version": V, "steps": [...], "then": "closed" or "open"}, each on a connection of its own, one after the other.
Steps are {"connect": V}, {"send": HEX}, {"expect": HEX} and {"publish": {...}}, which another client does.
"""

import contextlib
import json
import os
import unittest
import zlib

from harness import build, meaning
from harness import packets as p
from harness.client import TIMEOUT, Closed, Timeout
from harness.suite import SystemTest

PATH = os.environ.get("SHUNT_SEQUENCES") or os.path.join(build.TOP, "../shared/sequences/sequences.jsonl")
WANTED = os.environ.get("SHUNT_EXCHANGE", "")  # only those with this in their name
SHOWN = 30  # failures told in full
REFERENCE_FAILS = 12  # one exchange in so many may fail with the reference broker: Debian's 2.0.11 fails one in fourteen
HASTE = 0.5  # seconds after which a PINGREQ asks whether there is more to wait for


class Differs(AssertionError):
    """The broker did something else."""


class Exchange:
    """One exchange on a connection of its own."""

    def __init__(self, test, exchange):
        self.steps, self.then, self.version = exchange["steps"], exchange["then"], exchange["version"]
        self.test, self.name, self.timeout = test, exchange["name"], test.timeout
        self.client = test.raw(record=False)
        self.client.parser, self.asked = meaning.Frames(), 0

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
        self._send(connect(client_id, version))
        got = self._next("CONNACK code 0x00")
        if got["packet"] != "CONNACK" or got["code"] != 0:
            raise Differs(f"to CONNECT: {meaning.text(got)}")

    def send(self, data):
        self._send(bytes.fromhex(data))

    def expect(self, data):
        parser = meaning.Frames()
        parser.feed(bytes.fromhex(data))
        wanted = meaning.decode(parser.next(), self.version)
        try:
            got = self._next(meaning.text(wanted))
        except Closed:
            if self.test.reference and wanted.get("code", 0) >= 0x80:  # it does not say why
                return
            raise Differs(f"expected {meaning.text(wanted)}\n     got a closed connection") from None
        if not meaning.same(wanted, got):
            raise Differs(f"expected {meaning.text(wanted)}\n     got {meaning.text(got)}")

    def publish(self, message):
        self.test.publisher.publish(message["topic"], message["payload"], message["qos"])

    # ---- ends

    def open(self):
        """Nothing else came and it still answers; then it ends well, so that nothing of it is left."""
        self._send(p.PING)
        got = self._late("PINGRESP")
        if got["packet"] != "PINGRESP":
            raise Differs(f"expected nothing more, got {meaning.text(got)}")
        self._send(p.BYE)
        self.closed()

    def closed(self):
        """The broker closes; in MQTT 5.0 it may say why."""
        while True:
            try:
                got = self._next("it to close")
            except Closed:
                return
            refused = got["packet"] == "CONNACK" and got["code"] and "connect" not in self.steps[0]
            ended = self.version == 5 and got["packet"] == "DISCONNECT" and got["code"] >= 0x80
            if not refused and not ended:
                raise Differs(f"expected it to close, got {meaning.text(got)}")

    # ---- the connection

    def _send(self, data):
        with contextlib.suppress(ConnectionError):  # whether that is right shows when reading
            self.client.send(data)

    def _next(self, wanted):
        """The next packet's meaning. Raises Closed. A broker that answers PINGREQ will not answer what was before."""
        try:
            return self._read(HASTE)
        except Timeout:
            self._send(p.PING)
            self.asked += 1
        got = self._late(wanted, 1)
        if got["packet"] == "PINGRESP":
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
                got = meaning.decode(self.client.read(timeout), self.version)
            except p.Malformed as error:
                raise Differs(str(error)) from None
            if got["packet"] != "PINGRESP" or self.asked <= asked:
                return got
            self.asked -= 1


def connect(client_id, version):
    """CONNECT with Clean Start."""
    name, properties = ("MQIsdp" if version == 3 else "MQTT"), (b"\0" if version == 5 else b"")
    header = p.string(name) + bytes([version, 2, 0, 60]) + properties
    return p.packet(p.CONNECT << 4, header + p.string(client_id))


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
        failures = [failure for exchange in exchanges if WANTED in exchange["name"] and (failure := self.fails(exchange))]
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
