# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""mosquitto_pub, mosquitto_sub and mosquitto_rr as processes, run where a test's clients live."""

import shutil
import subprocess
import unittest

from .client import TIMEOUT


class Tool:
    """One of mosquitto's clients, connected to a daemon."""

    def __init__(self, test, daemon, name, *arguments, stdin=None, stdout=subprocess.PIPE):
        if not shutil.which(name):
            raise unittest.SkipTest(f"no {name}: install mosquitto-clients")
        command = [name, "-h", daemon.network.address, "-p", str(daemon.port), *arguments]
        self.process = subprocess.Popen(daemon.network.client_command(command), stdin=stdin, stdout=stdout,
                                        stderr=subprocess.PIPE)
        test.addCleanup(self.end)

    def finish(self, data=None, timeout=TIMEOUT):
        """Wait for its end, which must be good; returns its output."""
        out, err = self.process.communicate(data, timeout)
        assert self.process.returncode == 0, f"status {self.process.returncode}: {err.decode(errors='replace')}"
        return out

    def end(self):
        """Kill it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe and not pipe.closed:
                pipe.close()


def subscribed(test, daemon, client_id, timeout=TIMEOUT):
    """Wait until a client of this identifier has a subscription: by what the log says of SUBSCRIBE."""
    daemon.wait_log(rf"(^|: ){client_id} \d |Received SUBSCRIBE from {client_id}", timeout)
