# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
What a test file is written with: SystemTest and the decorators.

Each test runs on every road: `off` (no fast path), `local` (clients on this host, the sk_msg road), `remote` (clients
in a network namespace of their own, the sk_skb road), `both` (each connection on one of the two, by a coin that falls
alike in every run, so that messages cross between the roads and stay on one, on the same topics). The daemon is one per
class and road, with the options of the class; so topics and client identifiers carry the name of the test.
"""

import functools
import hashlib
import itertools
import os
import unittest
import zlib

from . import fast
from .client import Client
from .daemon import Daemon

APART = ("off", "local", "remote")	# for tests that say what a road does
ROADS = (*APART, "both")
STRANGER = 54322	# no user has this number; sockets of this user stay off the local road of the road `both`
COINS = os.environ.get("SHUNT_COINS", "")	# for other sides of the coins of the road `both`
ROAD_OPTIONS = {
    "off": ["fastpath false"],
    "local": ["fastpath true", "fastpath_local on"],
    "remote": ["fastpath true", "fastpath_local off"],
    "both": ["fastpath true", "fastpath_local on", f"fastpath_exclude_uid {STRANGER}"],
}


def roads(*names):
    """Only on these roads."""
    return functools.partial(_mark, roads=names)


def recorded(test=None, by=None):
    """Compare what every client received between the roads: all in order or, with `by`, in order per by(packet)."""
    if test is None:
        return functools.partial(recorded, by=by)
    return _mark(test, recorded=True, record_by=by or (lambda packet: ""))


def differs(reason):
    """The reference broker is known to behave differently; Shunt's own rule is tested."""
    return functools.partial(_mark, differs=reason)


def own(test):
    """Only Shunt has what is tested."""
    return _mark(test, differs="only Shunt has it")


def _mark(test, **attributes):
    for name, value in attributes.items():
        setattr(test, name, value)
    return test


class SystemTest(unittest.TestCase, fast.FastMixin):
    """A test against a running daemon. The runner sets the class attributes below before it runs a test."""

    options = ()	# of the daemon, lines of the configuration
    roads = ROADS
    exclusive = False	# alone on the machine: measures memory or needs both cores
    limit = 60		# seconds a test may take
    own_daemon = False	# every test starts what it needs itself
    level = 4		# protocol version of clients that do not say theirs
    maxDiff = 2000

    road = network = namespaces = daemon = None
    reference = False
    daemon_path = None

    def setUp(self):
        self.records, self.notes, self.coins = {}, {}, itertools.count()

    # ---- names

    @property
    def name(self):
        """The test's own name, without test_."""
        return self._testMethodName.removeprefix("test_")

    def topic(self, *levels):
        """A topic of this test alone."""
        return "/".join((self.name, *levels))

    def id(self, name=None):
        """A client identifier of this test alone; without a name what unittest wants: the test's."""
        return super().id() if name is None else f"{name}-{self.name}"

    # ---- clients and daemons

    def raw(self, name="", daemon=None, network=None, rcvbuf=None, sndbuf=None, record=True, level=None, road=None):
        """A TCP connection without CONNECT. What a named one receives is recorded. `road`: local or remote, where both
        are and the coin is not to decide."""
        daemon = daemon or self.daemon
        record = record and name and getattr(self._method(), "recorded", False)
        log = self.records.setdefault(name, []) if record else None
        road = (road or self._coin()) if self.road == "both" else self.road
        user = STRANGER if self.road == "both" and road == "remote" else None
        client = Client((network or daemon.network).socket(daemon.port, rcvbuf, sndbuf, user=user), name, log,
                        level or self.level)
        client.road = road
        self.addCleanup(client.close)
        return client

    def _coin(self):
        return ("local", "remote")[zlib.crc32(f"{COINS} {self} {next(self.coins)}".encode()) >> 16 & 1]

    def client(self, name, daemon=None, network=None, rcvbuf=None, sndbuf=None, record=True, client_id=None, road=None,
               **fields):
        """A connected client, named after `name` and the test."""
        client = self.raw(name, daemon, network, rcvbuf, sndbuf, record, road=road)
        return client.connect(self.id(name) if client_id is None else client_id, **fields)

    def start(self, options=(), before=None, **arguments):
        """Another daemon, stopped and checked at the end of the test; `before` is called with it before it starts."""
        arguments.setdefault("network", self.network)
        daemon = Daemon(options=[*self.road_options(), *options], path=self.daemon_path, reference=self.reference,
                        **arguments)
        self.addCleanup(daemon.remove)
        if before:
            before(daemon)
        daemon.start()
        self.addCleanup(daemon.stop)
        return daemon

    def road_options(self):
        """The options that make this road."""
        return ROAD_OPTIONS[self.road]

    def drain(self, publisher, subscriber, ack=True):
        """What the subscriber has got of all the publisher has sent until now, and nothing later: PUBLISH packets."""
        fence = self.topic("drain", subscriber.name)
        subscriber.subscribe(fence)
        publisher.publish(fence, b"drain")
        came = []
        while (packet := subscriber.receive(ack=ack)[0]).topic != fence:
            came.append(packet)
        subscriber.unsubscribe(fence)
        return came

    # ---- the comparison of roads

    def note(self, name, value):
        """A value that must be the same on every road."""
        self.notes[name] = value

    def record(self):
        """What this run of the test recorded, as plain data."""
        by = getattr(self._method(), "record_by", None)
        data = {f"note {name}": value for name, value in self.notes.items()}
        for client, packets in self.records.items():
            for packet in packets:
                data.setdefault(f"{client} {by(packet)}".strip(), []).append(_plain(packet))
        return data

    def _method(self):
        return getattr(self, self._testMethodName)

    def __str__(self):
        return f"{type(self).__module__}.{self.name}"


def _plain(packet):
    payload = packet.payload
    shown = repr(payload) if len(payload) <= 64 else f"{len(payload)} bytes {hashlib.sha1(payload).hexdigest()}"
    plain = [packet.topic, shown, f"q{packet.qos} r{packet.retain:d} d{packet.dup:d}"]
    return [*plain, repr(packet.props)] if packet.props else plain
