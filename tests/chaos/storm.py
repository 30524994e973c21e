# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The clients of a chaos run: build/tests/chaos/storm as a process."""

import json
import subprocess

from harness import build

STORM = f"{build.BUILD}/tests/chaos/storm"


class Storm:
    """Publishers and subscribers, steered by commands; every answer is a report."""

    def __init__(self, daemon, seed, publishers, subscribers, crowd):
        command = [STORM, daemon.network.address, daemon.port, seed, publishers, subscribers, crowd]
        self.process = subprocess.Popen(daemon.network.client_command([str(word) for word in command]),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, command):
        """Give a command and read the report that answers it."""
        try:
            self.process.stdin.write(f"{command}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the clients' process ended with status {self.process.wait()}")
        return json.loads(answer)

    def end(self):
        """All leave. Returns the last report, with the last events."""
        report = self.tell("end")
        self.process.wait()
        return report

    def kill(self):
        """Whatever it does."""
        self.process.kill()
        self.process.wait()


class Idle:
    """Clients that only stay connected, in a few processes: one may not have so many files open."""

    def __init__(self, daemon, count, processes=2):
        command = [STORM, "idle", daemon.network.address, str(daemon.port), str(count // processes)]
        self.count = count // processes * processes
        self.processes = [subprocess.Popen(daemon.network.client_command(command), stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                          for _ in range(processes)]

    def wait(self):
        """Until all are connected; what went wrong, or None."""
        return self._read("connected")

    def end(self):
        """Close all. What went wrong, or None."""
        for process in self.processes:
            process.stdin.close()
        wrong = self._read("there")
        self.kill()
        return wrong

    def kill(self):
        """Whatever they do."""
        for process in self.processes:
            process.kill()
            process.wait()

    def _read(self, what):
        lines = [process.stdout.readline().strip() for process in self.processes]
        wanted = f"{what} {self.count // len(self.processes)}"
        return None if all(line == wanted for line in lines) else f"idle clients: {lines}, expected {wanted}"
