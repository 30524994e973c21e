# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The kernel's log: a test run must not make it warn."""

import contextlib
import os
import re

BAD = re.compile(r"WARNING:|BUG:|Oops|general protection|Call Trace|refcount_t|KASAN|soft lockup|rcu.*stall|hung task")


class KernelLog:
    """What the kernel says from now on."""

    def __init__(self):
        try:
            self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
            os.lseek(self.fd, 0, os.SEEK_END)
        except OSError as error:
            self.fd, self.reason = -1, f"cannot read the kernel's log: {error.strerror}"

    def complaints(self):
        """The bad lines since the start."""
        lines = []
        with contextlib.suppress(BlockingIOError):
            while True:
                with contextlib.suppress(BrokenPipeError):  # overwritten before it was read
                    lines.append(os.read(self.fd, 8192).decode(errors="replace").split(";", 1)[-1].splitlines()[0])
        return [line for line in lines if BAD.search(line)]
