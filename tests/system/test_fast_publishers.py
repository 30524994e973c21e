# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Publishers are never harmed by what happens to subscribers: no send fails."""

import contextlib
import re
import socket
import subprocess

from harness import build
from harness import packets as p
from harness.client import Timeout
from harness.suite import SystemTest


class Publishers(SystemTest):
    """The result of every send is looked at."""

    limit = 120

    def test_churn(self):
        """Thousands of subscribers close, reset, half-close, disconnect and die in the middle of their streams: no
        publisher's send gets EPIPE, ECONNRESET or anything else."""
        closes, seconds = ("100", "12") if build.sanitized() else ("8000" if self.road == "local" else "2000", "40")
        command = [build.program("churn"), self.network.address, str(self.daemon.port), "4", closes, seconds]
        done = subprocess.run(self.network.client_command(command), capture_output=True, text=True, timeout=self.limit)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        numbers = {name: int(n) for name, n in re.findall(r"(\w+) (\d+)", done.stdout.splitlines()[0])}
        self.assertGreaterEqual(numbers["closes"], 10 if build.sanitized() else 100)
        self.assertEqual(numbers["failed"], 0, done.stdout)
        after = self.client("after")
        after.subscribe("churn/#")
        after.alive()

    def test_receiver_closes_with_unread_data(self):
        """The receiver of a flow closes with data unread: a reset of its connection, not of the publisher's."""
        publisher = self.client("p")
        for n in range(50):
            subscriber = self.client("s")
            subscriber.subscribe(self.topic("t"))
            self.install(publisher, subscriber, self.topic("t"), count=2)
            for _ in range(20):
                publisher.publish(self.topic("t"), b"unread")
            subscriber.close() if n % 2 else subscriber.reset()
            for _ in range(20):
                publisher.publish(self.topic("t"), b"nobody")
            publisher.ping()

    def test_receiver_shuts_its_reading_side(self):
        """shutdown(SHUT_RD) of the receiver."""
        publisher = self.client("p")
        subscriber = self.client("s")
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"))
        subscriber.sock.shutdown(socket.SHUT_RD)
        for n in range(200):
            publisher.publish(self.topic("t"), b"%d" % n)
        publisher.ping()
        subscriber.close()
        publisher.ping()

    def test_nonblocking_publisher(self):
        """A publisher with a non-blocking socket and a small buffer sees only EAGAIN, and partial sends go on."""
        subscriber, publisher = self.client("s"), self.client("p", sndbuf=4096)
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"))
        stream = b"".join(p.publish(self.topic("t"), b"%06d" % n + b"x" * 3000) for n in range(300))
        publisher.sock.setblocking(False)
        sent, got = 0, []
        while sent < len(stream):
            try:
                sent += publisher.sock.send(stream[sent:sent + 50000])
            except BlockingIOError:
                with contextlib.suppress(Timeout):
                    got += subscriber.receive(timeout=0.05)
        publisher.sock.settimeout(10)
        got += subscriber.receive(300 - len(got))
        self.assertEqual([int(x.payload[:6]) for x in got], list(range(300)))
