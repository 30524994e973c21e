# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""shuntctl and the control socket."""

import json
import os
import socket
import subprocess
import time

from harness.client import TIMEOUT
from harness.suite import APART, SystemTest, own, roads

STATS = """version uptime workers clients.connected clients.total connections.open closed.malformed_packet
messages.received bytes.received publish.received publish.sent subscriptions retained dropped.total dropped.kernel
fastpath.state fastpath.reason fastpath.remote.forwarded fastpath.remote.passed fastpath.local.forwarded
fastpath.local.passed""".split()


class Control(SystemTest):
    """What it says, and that it says so to whom it should."""

    def member(self, value, path):
        """A member of a JSON value by its dotted path."""
        for name in path.split("."):
            self.assertIn(name, value, path)
            value = value[name]
        return value

    @own
    def test_stats(self):
        """The JSON of stats has the members that tools and tests read."""
        stats = self.daemon.stats()
        for path in STATS:
            self.member(stats, path)
        self.assertEqual(stats["fastpath"]["state"], "off" if self.road == "off" else "on", stats["fastpath"]["reason"])
        self.assertEqual(stats["fastpath"]["reason"] == "", self.road != "off")

    @own
    def test_stats_for_people(self):
        """Without --json the same in words."""
        text = self.daemon.ctl("stats")
        for word in ("fast", "forwarded", "dropped"):
            self.assertIn(word, text.lower())
        self.assertRaises(ValueError, json.loads, text)

    @own
    def test_counts(self):
        """stats and clients count what was done."""
        before = self.daemon.stats()
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("t"), qos=1)
        for n in range(10):
            publisher.publish(self.topic("t"), b"%d" % n, n % 2)
            subscriber.receive()
        publisher.alive()
        after = self.daemon.stats()
        self.assertEqual(after["publish"]["received"] - before["publish"]["received"], 10)
        self.assertEqual(after["publish"]["sent"] - before["publish"]["sent"], 10)
        clients = {c["id"]: c for c in self.daemon.clients()["clients"]}
        mine = clients[self.id("p")]
        self.assertEqual([mine[name] for name in ("connected", "version", "clean", "keep_alive")],
                         [True, "3.1.1", True, 60])
        self.assertEqual(mine["address"].rsplit(":", 1)[1], str(publisher.sock.getsockname()[1]))
        self.assertEqual(clients[self.id("s")]["subscriptions"], 1)
        self.assertIn("p-counts", self.daemon.ctl("clients"))

    @own
    def test_closed_by_reason(self):
        """Why connections ended is counted."""
        before = self.daemon.stats()["closed"]
        client = self.client("c")
        client.send(b"\x36\x05\x00\x01a\x00\x01")
        client.closed()
        self.client("d").disconnect()
        after = self.daemon.stats()["closed"]
        self.assertEqual(after["malformed_packet"] + after["protocol_error"]
                         - before["malformed_packet"] - before["protocol_error"], 1)
        self.assertEqual(after["disconnect"] - before["disconnect"], 1)

    @own
    @roads(*APART)
    def test_flows(self):
        """flows names topic and receiver, and counts."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"))
        before, deadline = self.forwarded(), time.monotonic() + TIMEOUT
        while True:
            for n in range(10):
                publisher.publish(self.topic("t"), b"%d" % n)
                subscriber.receive()
            flows = {f["topic"]: f for f in self.daemon.flows()["flows"]}
            if not self.fast or self.forwarded() - before >= 10:
                break
            self.assertLess(time.monotonic(), deadline)
        if self.road == "off":
            self.assertEqual(flows, {})
            return
        flow = flows[self.topic("t")]
        self.assertEqual((flow["receiver"], flow["road"]), (self.id("s")[:31], self.road))
        self.assertGreaterEqual(flow["messages"], 10)
        self.assertIn(self.topic("t"), self.daemon.ctl("flows"))
        subscriber.disconnect()
        self.no_flow(self.topic("t"))

    @own
    def test_errors(self):
        """Unknown commands and sockets: a status and a message."""
        ctl = f"{os.path.dirname(self.daemon.path)}/shuntctl"
        for arguments in (["-s", self.daemon.control, "nonsense"], ["-s", "/nonexistent.sock", "stats"], [],
                          ["-s", self.daemon.control, "fastpath"], ["-s", self.daemon.control, "fastpath", "maybe"]):
            done = subprocess.run([ctl, *arguments], capture_output=True, text=True, timeout=10)
            self.assertNotEqual(done.returncode, 0, arguments)
            self.assertTrue(done.stderr, arguments)

    @own
    def test_socket_is_private(self):
        """Others may not use the socket."""
        self.assertEqual(os.stat(self.daemon.control).st_mode & 0o007, 0)

    @own
    def test_bad_requests(self):
        """Whatever comes in on the socket gets an error or a close, and the daemon goes on."""
        for data in (b"\n", b"nonsense\n", b"{}\n", b'{"command":5}\n', b'{"command":"x"}\n', b"[" * 3000 + b"\n",
                     b"\xff\xfe\x00\n", b"x" * 100000 + b"\n", b'{"command":"stats"'):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(10)
                sock.connect(self.daemon.control)
                try:
                    sock.sendall(data)
                    sock.shutdown(socket.SHUT_WR)
                    answer = sock.recv(100000)
                except OSError:
                    continue
                if answer:
                    self.assertIn("error", json.loads(answer.split(b"\n")[0]))
        self.daemon.stats()

    @own
    def test_requests_in_a_row(self):
        """Several requests on a connection, and several connections at once."""
        socks = []
        for _ in range(8):
            sock = socket.socket(socket.AF_UNIX)
            self.addCleanup(sock.close)
            sock.settimeout(10)
            sock.connect(self.daemon.control)
            socks.append(sock.makefile("rw"))
        for _ in range(3):
            for sock in socks:
                sock.write('{"command":"stats"}\n')
                sock.flush()
            for sock in socks:
                self.assertIn("fastpath", json.loads(sock.readline()))
        for sock in socks:
            sock.close()
