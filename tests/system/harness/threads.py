# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""One thread of a daemon stands still while the others go on: what a busy machine does to it, at will."""

import contextlib
import ctypes
import os
import time

from .client import TIMEOUT

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_WALL = 0x40000000	# of waitpid(): for threads, too


def _ptrace(request, thread):
    if _libc.ptrace(request, thread, None, None) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of {thread}")


def _field(thread, name):
    with open(f"/proc/{thread}/{name}") as file:
        return file.read().split()[0]


def _waits(thread):
    """Is it a worker that waits for events?"""
    return _field(thread, "comm") == "worker" and "epoll" in _field(thread, "wchan")


def workers(daemon, count):
    """The threads that are its workers, of which there are `count`."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        found = [int(task) for task in os.listdir(f"/proc/{daemon.process.pid}/task") if _waits(task)]
        if len(found) == count:
            return found
        assert time.monotonic() < deadline, f"{len(found)} workers of {count} wait"
        time.sleep(0.001)


def _stop(thread):
    """Stop it. True if it was where it waits for events, and so in the middle of nothing."""
    number = _field(thread, "syscall") if _waits(thread) else None
    _ptrace(_SEIZE, thread)
    _ptrace(_INTERRUPT, thread)
    os.waitpid(thread, _WALL)
    return number is not None and _field(thread, "syscall") == number


@contextlib.contextmanager
def stopped(thread):
    """The thread does nothing for the time of the block. It holds no lock then."""
    deadline = time.monotonic() + TIMEOUT
    while not _stop(thread):
        _ptrace(_DETACH, thread)
        assert time.monotonic() < deadline, f"{thread} never waits"
        time.sleep(0.001)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):  # the daemon died
            _ptrace(_DETACH, thread)
