# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Many publishers and subscribers at once, paced so that nothing has to be dropped, every message numbered."""

import collections
import select
import time

from . import packets as p
from .client import TIMEOUT


class Stream:
    """What one publisher sends: `count` messages in turn on its topics, at most `window` of them on their way."""

    def __init__(self, client, topics, count, qos=0, window=10, size=0):
        self.client, self.topics, self.count, self.qos = client, topics, count, qos
        self.window, self.size = window, size
        self.sent, self.confirmed = 0, 0
        self.open = {}  # packet identifiers

    def payload(self, n):
        """`publisher number`, filled up to the size."""
        return b"%s %d " % (self.client.name.encode(), n) + b"." * self.size

    def send(self):
        """Send what the window allows."""
        while self.sent < self.count and self.sent - self.confirmed < self.window:
            mid = self.client.mid() if self.qos else None
            if mid:
                self.open[mid] = self.sent
            topic = self.topics[self.sent % len(self.topics)]
            self.client.send(p.publish(topic, self.payload(self.sent), self.qos, mid=mid))
            self.sent += 1

    def answered(self, packet):
        """An acknowledgement came."""
        if packet.type == p.PUBREC:
            self.client.send(p.ack(p.PUBREL, packet.mid))
        else:
            del self.open[packet.mid]


class Traffic:
    """Runs streams until every subscriber has everything it is to get."""

    def __init__(self, streams, subscribers):
        self.streams = {stream.client: stream for stream in streams}
        self.by_name = {stream.client.name: stream for stream in streams}
        self.subscribers = subscribers
        # subscriber -> publisher -> numbers, in the order of arrival
        self.unreleased = 0  # PUBREC sent by a subscriber, PUBREL not yet there
        self.got = {s.name: collections.defaultdict(list) for s in subscribers}

    def run(self, each=None, quiet=TIMEOUT):
        """Until every message of every stream came to every subscriber once; each() is called every turn. Raises when
        nothing happens for `quiet` seconds."""
        last = time.monotonic()
        while not self._done():
            for stream in self.streams.values():
                stream.send()
            if each:
                each()
            if self._turn():
                last = time.monotonic()
            assert time.monotonic() - last < quiet, f"nothing came for {quiet} s: {self.summary()}"

    def _turn(self):
        clients = {c.sock: c for c in [*self.streams, *self.subscribers]}
        readable = select.select(list(clients), [], [], 0.1)[0]
        for sock in readable:
            for packet in clients[sock].available():
                self._packet(clients[sock], packet)
        return bool(readable)

    def _packet(self, client, packet):
        if packet.type == p.PUBLISH:
            name, number = packet.payload.split(b" ")[:2]
            self.got[client.name][name.decode()].append(int(number))
            self._confirm(name.decode())
            self.unreleased += packet.qos == 2
            if packet.qos:
                client.send(p.ack(p.PUBACK if packet.qos == 1 else p.PUBREC, packet.mid))
        elif packet.type == p.PUBREL:
            self.unreleased -= 1
            client.send(p.ack(p.PUBCOMP, packet.mid))
        elif packet.type in (p.PUBACK, p.PUBREC, p.PUBCOMP):
            self.streams[client].answered(packet)

    def _confirm(self, name):
        stream = self.by_name[name]
        stream.confirmed = min(len(got[name]) for got in self.got.values())

    def _done(self):
        return not self.unreleased and all(s.confirmed >= s.count and not s.open for s in self.streams.values())

    def summary(self):
        """How far it came."""
        return {s.client.name: f"{s.confirmed} of {s.sent} sent, {len(s.open)} open" for s in self.streams.values()}

    def check(self):
        """Nothing lost, twice or out of order."""
        for subscriber, got in self.got.items():
            for name, numbers in got.items():
                count = self.by_name[name].count
                assert numbers == list(range(count)), f"{subscriber} from {name}: {_wrong(numbers, count)}"


def _wrong(numbers, count):
    """In words what is wrong with a list that should be 0 .. count - 1."""
    n = next((i for i, (x, y) in enumerate(zip(numbers, range(count))) if x != y), min(len(numbers), count))
    return (f"{len(numbers)} of {count}, {len(numbers) - len(set(numbers))} twice, at place {n} comes "
            f"{numbers[n:n + 5]}, missing {sorted(set(range(count)) - set(numbers))[:5]}")
