# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A terminal, and a program on it."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

from .client import TIMEOUT


class Terminal:
    """The master's side; the program has the other for its controlling terminal."""

    def __init__(self, test, command, lines=24, columns=80):
        self.master, slave = pty.openpty()
        test.addCleanup(os.close, self.master)
        self.output = b""
        self.resize(lines, columns)
        # The slave is the child's controlling terminal, where a password is asked for.
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        test.addCleanup(self.end)

    def resize(self, lines, columns):
        """Give it another size; the program is told."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))

    def echoes(self):
        """Does it show what is typed?"""
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def until(self, text):
        """Read until this has come; `output` has what came behind it."""
        deadline = time.monotonic() + TIMEOUT
        while text not in self.output:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.master], [], [], left)[0], f"no {text!r} in {self.output!r}"
            self.output += os.read(self.master, 65536)
        before, _, self.output = self.output.partition(text)
        return before

    def type(self, text):
        """Keys."""
        os.write(self.master, text)

    def answer(self, prompt, text):
        """Type when the prompt has come and echo is off."""
        deadline = time.monotonic() + TIMEOUT
        self.until(prompt)
        while self.echoes():
            assert time.monotonic() < deadline, "the password would be shown"
            time.sleep(0.001)
        self.type(text)

    def finish(self):
        """The exit status; `output` has what came after the last answer."""
        deadline = time.monotonic() + TIMEOUT
        while self.process.poll() is None:  # read meanwhile: a full terminal would hold it up
            assert time.monotonic() < deadline, "it does not end"
            if select.select([self.master], [], [], 0.01)[0]:
                self._read()
        self.echo = self.echoes()
        while self._read():
            pass
        return self.process.returncode

    def _read(self):
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False  # how a terminal tells that nobody is there any more
        self.output += data
        return bool(data)

    def end(self):
        """Kill it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
