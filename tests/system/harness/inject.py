# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Calls of a daemon that fail: see tests/faults/inject.c, of which this is the other side."""

import mmap
import os
import struct

from . import build

MEMORY, ACCEPT, EPOLL, SEND, BPF = KINDS = range(5)  # enum kind
CALLS, FAIL_AT, FAILED, KIND, ERROR = 0, 40, 48, 56, 60  # struct page
SIZE = 64


class Inject:
    """Between a daemon that is not started yet and the C library."""

    def __init__(self, daemon):
        path = f"{daemon.dir}/inject"
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(fd, SIZE)
            self.page = mmap.mmap(fd, SIZE)
        finally:
            os.close(fd)
        daemon.environment |= build.preloaded("inject") | {"SHUNT_INJECT_PAGE": path}

    def calls(self, kind):
        """So many there were."""
        return self._get("Q", CALLS + 8 * kind)

    @property
    def failed(self):
        """So many failed."""
        return self._get("Q", FAILED)

    def fail(self, kind, after, error):
        """The call of this kind behind the next `after` ones fails."""
        self.stop()
        struct.pack_into("II", self.page, KIND, kind, error)
        struct.pack_into("Q", self.page, FAIL_AT, self.calls(kind) + after + 1)

    def stop(self):
        """None fails any more."""
        struct.pack_into("Q", self.page, FAIL_AT, 0)

    def _get(self, form, offset):
        return struct.unpack_from(form, self.page, offset)[0]
