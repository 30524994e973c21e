#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Clients that trouble a broker, at a steady rate until a signal ends it. `bench --floods` runs this beside a load."""

import argparse
import itertools
import os
import select
import socket
import struct
import sys
import time

CLEAN, WILL = 0x02, 0x04  # Connect Flags, section 3.1.2.3 of 3.1.1
STUCK = 20  # clients of "stuck"
BEHIND_MAX = 1.0  # seconds: what could not be done in time is left out
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: close() sends a reset


def text(value):
    """A string with its length."""
    return struct.pack("!H", len(value)) + value


def packet(first, body):
    """A whole packet."""
    length, left = b"", len(body)
    while True:
        left, digit = left >> 7, left & 0x7F
        length += bytes([digit | (0x80 if left else 0)])
        if not left:
            return bytes([first]) + length + body


def connect(client_id, flags=CLEAN, rest=b""):
    """A CONNECT of 3.1.1."""
    return packet(0x10, text(b"MQTT") + bytes([4, flags, 0, 60]) + text(client_id) + rest)


class Flood:
    """One kind of trouble; step() makes a bit of it."""

    def __init__(self, address):
        self.address = address
        self.names = (b"flood-%d-%d" % (os.getpid(), n) for n in itertools.count())

    def open(self, hello):
        """A connection whose CONNECT was answered, or None: that is the broker's right."""
        sock = socket.create_connection(self.address, timeout=5)
        try:
            sock.sendall(hello)
            if len(sock.recv(4)) == 4:
                return sock
        except OSError:
            pass
        sock.close()
        return None

    def step(self):
        """What is done at each beat."""
        raise NotImplementedError


class Connections(Flood):
    """Come and go."""

    def step(self):
        sock = self.open(connect(next(self.names)))
        if sock:
            sock.close()


class Sessions(Flood):
    """Come once under a new name, and leave a session behind."""

    def step(self):
        sock = self.open(connect(next(self.names), 0))
        if sock:
            sock.sendall(packet(0x82, struct.pack("!H", 1) + text(b"flood/#") + b"\1"))
            sock.close()


class Wills(Flood):
    """Are cut off, so that their will is published."""

    def step(self):
        name = next(self.names)
        sock = self.open(connect(name, CLEAN | WILL, text(b"flood/" + name) + text(b"gone")))
        if sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            sock.close()


class OneConnection(Flood):
    """What one client can do; when it is cut off it comes again."""

    sock = None

    def step(self):
        self.sock = self.sock or self.open(connect(next(self.names)))
        if not self.sock:
            return
        try:
            while select.select([self.sock], [], [], 0)[0] and self.sock.recv(65536):
                pass
            self.sock.sendall(self.message())
        except OSError:
            self.sock.close()
            self.sock = None

    def message(self):
        """The next packet."""
        raise NotImplementedError


class Retained(OneConnection):
    """Fills the topic tree."""

    def message(self):
        return packet(0x31, text(b"flood/" + next(self.names)) + bytes(200))


class Subscribe(OneConnection):
    """Subscribes to everything there is, which brings all retained messages each time."""

    def message(self):
        return packet(0x82, struct.pack("!H", 1) + text(b"#") + b"\0")


class Stuck(Flood):
    """Subscribe to everything, and read nothing of it."""

    def __init__(self, address):
        super().__init__(address)
        self.socks = []

    def step(self):
        if len(self.socks) < STUCK:
            sock = self.open(connect(next(self.names)))
            if sock:
                sock.sendall(packet(0x82, struct.pack("!H", 1) + text(b"#") + b"\1"))
                self.socks.append(sock)


KINDS = {"connections": Connections, "sessions": Sessions, "wills": Wills, "retained": Retained,
         "subscribe": Subscribe, "stuck": Stuck}


def main():
    """Until a signal."""
    parser = argparse.ArgumentParser(prog="flood", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--rate", type=float, default=500, help="steps a second (%(default)s)")
    options = parser.parse_args()
    flood, due = KINDS[options.kind]((options.host, options.port)), time.monotonic()
    while True:
        try:
            flood.step()
        except OSError:  # refused, or out of ports
            pass
        due = max(due + 1 / options.rate, time.monotonic() - BEHIND_MAX)
        time.sleep(max(0, due - time.monotonic()))


if __name__ == "__main__":
    sys.exit(main())
