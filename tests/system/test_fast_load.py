# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""100,000 messages of 64 bytes from one mosquitto_pub to one mosquitto_sub."""

import subprocess
import time

from harness.suite import SystemTest
from harness.tools import Tool, subscribed

COUNT = 100_000
BATCH = 100  # lines written at once; mosquitto_pub reads and sends them one by one


class Load(SystemTest):
    """Paced by what has arrived, so that at no time more than a few messages are on their way."""

    exclusive = True
    limit = 180
    options = tuple(f"log_type {kind}" for kind in ("error", "warning", "notice", "information", "subscribe"))

    def test_hundred_thousand(self):
        """All arrive in order, more than 95 % of them by the kernel, the same bytes on every road."""
        sub = Tool(self, self.daemon, "mosquitto_sub", "-i", self.id("s"), "-t", self.topic("t"), "-C", str(COUNT),
                   stdout=subprocess.PIPE)
        subscribed(self, self.daemon, self.id("s"))
        pub = Tool(self, self.daemon, "mosquitto_pub", "-l", "-t", self.topic("t"), stdin=subprocess.PIPE)
        with self.carries(COUNT, share=0.95 if self.road == "local" else 0.5):
            for n in range(0, COUNT, BATCH):
                pub.process.stdin.write(b"".join(b"%064d\n" % m for m in range(n, n + BATCH)))
                pub.process.stdin.flush()
                time.sleep(0.002)
            pub.process.stdin.close()
            out, err = sub.process.stdout.read(), sub.process.stderr.read()
            self.assertEqual(sub.process.wait(), 0, err)
            self.assertEqual(pub.process.wait(), 0)
        lines = out.splitlines()
        self.assertEqual(len(lines), COUNT)
        self.assertTrue(all(int(line) == n and len(line) == 64 for n, line in enumerate(lines)), "not in order")
