# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""100,000 messages of 64 bytes from one mosquitto_pub to one mosquitto_sub, at a moderate rate."""

import os
import subprocess
import time

from harness import run
from harness.client import TIMEOUT
from harness.suite import SystemTest
from harness.tools import Tool, subscribed

COUNT = 100_000
BATCH = 20  # lines written at once; mosquitto_pub reads and sends them one by one
AHEAD = 300  # messages that may be on their way; mosquitto_sub writes its output in pages
LINE = 65


class Load(SystemTest):
    """Few at once, then a pause."""

    exclusive = True
    limit = 180
    options = tuple(f"log_type {kind}" for kind in ("error", "warning", "notice", "information", "subscribe"))

    def keep_up(self, received, sent):
        """Wait for the receiver, which may have little of the processors."""
        deadline = time.monotonic() + TIMEOUT
        while sent - os.fstat(received.fileno()).st_size // LINE > AHEAD and time.monotonic() < deadline:
            time.sleep(0.0005)

    def test_pub_to_sub(self):
        """All arrive in order, the same bytes on every road, more than 95 % of them by the kernel on the local one. On
        the remote one TCP puts the messages of such a client together, so that segments are not packets."""
        with open(f"{run.folder()}/{self.road}-received", "w+b") as received:
            sub = Tool(self, self.daemon, "mosquitto_sub", "-i", self.id("s"), "-t", self.topic("t"), "-C", str(COUNT),
                       stdout=received)
            subscribed(self, self.daemon, self.id("s"))
            pub = Tool(self, self.daemon, "mosquitto_pub", "-l", "-t", self.topic("t"), stdin=subprocess.PIPE)
            with self.carries(COUNT, share=0.95 if self.road == "local" else 0):
                for n in range(0, COUNT, BATCH):
                    pub.process.stdin.write(b"".join(b"%064d\n" % m for m in range(n, n + BATCH)))
                    pub.process.stdin.flush()
                    time.sleep(0.0005)
                    self.keep_up(received, n)
                pub.process.stdin.close()
                self.assertEqual(pub.process.wait(TIMEOUT), 0)
                self.assertEqual(sub.process.wait(TIMEOUT), 0)
            received.seek(0)
            out = received.read()
        lines = out.splitlines()
        self.assertEqual(len(lines), COUNT)
        self.assertTrue(all(int(line) == n and len(line) == 64 for n, line in enumerate(lines)), "not in order")
