# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Cgroups (v2) of the tests, and sockets and processes of somebody else: in a cgroup, under a user, in namespaces."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time

from . import run

COUNT = 0
SETTLE = 5.0  # seconds that the kernel may take to see that a cgroup is empty

# Makes a socket as it is told and hands it over: what the kernel notes of its maker stays with it.
MAKER = """
import ctypes, os, socket, sys
tell = socket.socket(fileno=int(sys.argv[1]))
libc = ctypes.CDLL(None, use_errno=True)
if "new_cgroup_namespace" in sys.argv and libc.unshare(0x02000000):
    raise OSError(ctypes.get_errno(), "unshare")
os.setgroups([])
os.setresuid(*[int(sys.argv[2])] * 3)
made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
socket.send_fds(tell, [b"x"], [made.fileno()])
"""


def root():
    """Where cgroup v2 is mounted; None: nowhere."""
    with open("/proc/self/mountinfo") as mounts:
        found = [line.split() for line in mounts if " - cgroup2 " in line]
    whole = [fields[4] for fields in found if fields[3] == "/"] or [fields[4] for fields in found]
    return whole[0] if whole else None


class Cgroup:
    """A cgroup of the run. `name` is its path below the root."""

    def __init__(self, name=None, parent=None):
        global COUNT
        COUNT += 1
        self.name = name or f"shunt-{run.tag()}-{os.getpid()}-{COUNT}"
        if parent is not None:
            self.name = f"{parent.name}/{name}"
        self.path = f"{root()}/{self.name}"
        self.make()

    def make(self):
        """Make it, anew after remove()."""
        os.mkdir(self.path)

    def inside(self, command):
        """The command, run in it."""
        return ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', self.path, *command]

    def remove(self):
        """Kill who is in it, and remove it and those below."""
        remove(self.path)


def remove(path):
    """Remove a cgroup and those below; who is in them is killed."""
    deadline = time.monotonic() + SETTLE
    for folder, _, _ in os.walk(path, topdown=False):
        while os.path.isdir(folder):
            try:
                os.rmdir(folder)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                _kill(folder)
                time.sleep(0.01)


def _kill(folder):
    with contextlib.suppress(OSError), open(f"{folder}/cgroup.procs") as processes:
        for pid in processes.read().split():
            os.kill(int(pid), signal.SIGKILL)


def remove_run():
    """Remove what this run made."""
    top = root()
    for name in os.listdir(top) if top else ():
        if re.match(rf"shunt-{run.tag()}-", name):
            with contextlib.suppress(OSError):
                remove(f"{top}/{name}")


def foreign_socket(network, cgroup=None, uid=0, new_cgroup_namespace=False):
    """A TCP socket, not connected, that a process in the cgroup has made under the user in the clients' namespace of the
    network."""
    ours, theirs = socket.socketpair()
    words = ["new_cgroup_namespace"] if new_cgroup_namespace else []
    command = network.client_command([sys.executable, "-c", MAKER, str(theirs.fileno()), str(uid), *words])
    with ours, theirs:
        subprocess.run(cgroup.inside(command) if cgroup else command, pass_fds=[theirs.fileno()], check=True)
        fds = socket.recv_fds(ours, 1, 1)[1]
    return socket.socket(fileno=fds[0])
