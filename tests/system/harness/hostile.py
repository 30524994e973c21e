# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
What tests of hostile input have in common: a daemon with a listener of each kind, clients with a name and password and
without, and a pair that notices nothing. tests/hostile.md says which input is tested where.
"""

import contextlib
import itertools
import os
import re
import subprocess
import time

from . import build, run, transports
from .client import TIMEOUT, Client
from .suite import SystemTest

DOORS = ("tcp", *transports.KINDS)
USER, PASSWORD = "ann", "pencil"


class Hostile(SystemTest):
    """The daemon is the class's test's own, with `options`."""

    own_daemon = True
    roads = ("off", "local")
    level = 5
    kinds, users = {}, {}  # made once: certificates, and password files by road

    def setUp(self):
        super().setUp()
        if self.reference:
            self.skipTest("the reference has no such listeners")
        self.turn = itertools.count()
        self.ports, lines = {}, [f"password_file {self._users()}"]
        for kind in transports.KINDS:
            if kind not in self.kinds:
                self.kinds[kind] = transports.Kind(kind)
            port = self.ports[kind] = self.network.free_port(unseen=True)
            self.network.transports[port] = self.kinds[kind]
            lines += [f"listener {port} {self.network.address}", *self.kinds[kind].lines]
        self.daemon = self.start([*self.options, *lines])
        self.ports["tcp"] = self.daemon.port
        self.reader, self.writer, self.count = self.client("reader"), self.client("writer"), 0
        self.reader.subscribe(self.topic("innocent"), qos=2)
        self.install(self.writer, self.reader, self.topic("innocent"))
        self.before = self.daemon.stats()

    def _users(self):
        path = self.users.get(self.road)
        if not path:
            path = self.users[self.road] = f"{run.folder()}/hostile-{os.getpid()}-{self.road}"
            subprocess.run([f"{build.BUILD}/shuntctl", "passwd", "-c", "-b", "-H", "sha512", path, USER, PASSWORD],
                           check=True, timeout=TIMEOUT)
            os.chmod(path, 0o644)
        return path

    # ---- who comes

    def door(self, door, level=None, **socket):
        """A connection that says nothing yet."""
        client = Client(self.network.socket(self.ports[door], **socket), door, version=level or self.level)
        self.addCleanup(client.close)
        return client

    def who(self):
        """Fields of a CONNECT: of nobody, and of a user, in turn."""
        return {"username": USER, "password": PASSWORD.encode()} if next(self.turn) % 2 else {}

    def join(self, door, client_id, level=None, **fields):
        """A client, connected."""
        return self.door(door, level).connect(client_id, **self.who(), **fields)

    # ---- what comes of it

    def innocent(self, *qos):
        """The pair gets what is its own."""
        for each in qos or (0, 1):
            self.writer.publish(self.topic("innocent"), b"%d" % self.count, each)
            self.assertEqual(self.reader.payloads(1), [b"%d" % self.count])
            self.count += 1

    def ended(self, client_id, reason):
        """One line says that it was disconnected, and why."""
        line = rf"^.*Client {re.escape(client_id)} \[.*disconnected.*$"
        self.daemon.wait_log(line)  # it may come after the close
        lines = re.findall(line, self.daemon.log(), re.M)
        self.assertEqual(len(lines), 1, lines)
        self.assertRegex(lines[0], reason)

    def closed_since(self):
        """How often a connection ended since the test began, by reason."""
        now, then = self.daemon.stats()["closed"], self.before["closed"]
        return {reason: n - then[reason] for reason, n in now.items() if n != then[reason]}

    def until(self, condition):
        """Wait for it."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def left_alone(self, slack=65536):
        """All others have gone, and so has what they took, but for a few bytes that are kept to be used again."""
        self.until(lambda: self.daemon.stats()["connections"]["open"] == 2)
        self.until(lambda: self.daemon.stats()["clients"]["total"] == 2)
        self.until(lambda: self.daemon.stats()["memory"]["used"] <= self.before["memory"]["used"] + slack)
        self.innocent(0, 1, 2)

    @contextlib.contextmanager
    def case(self, name):
        """One line of a table; the pair is looked at after it."""
        with self.subTest(name):
            yield
            self.innocent(0)
