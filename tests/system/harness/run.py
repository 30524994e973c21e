# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What a run of the suite leaves behind is marked, so that its end, however it comes, can remove all of it."""

import contextlib
import glob
import os
import shutil
import signal
import subprocess
import tempfile

from . import cgroup, network

MARK = "SHUNT_TEST_RUN"  # in the environment of every process of a run: its folder
BPFFS = "/sys/fs/bpf"


def begin():
    """Mark this process and its children. Returns the run's folder."""
    folder = tempfile.mkdtemp(prefix=f"shunt-system-{os.getpid()}-")
    os.chmod(folder, 0o755)
    os.environ[MARK] = folder
    network.remove_stale()
    return folder


def folder():
    """The run's folder for temporary files."""
    return os.environ[MARK]


def tag():
    """What makes names unique: the pid of the process that began the run."""
    return os.path.basename(folder()).split("-")[2]


def pins():
    """The beginning of every bpf_pin_path of the run."""
    return f"{BPFFS}/shunt-test-{tag()}"


def processes():
    """The processes of the run but this one."""
    mark = f"{MARK}={folder()}".encode()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/environ", "rb") as environ:
                if mark in environ.read().split(b"\0"):
                    yield int(entry)


def end():
    """Kill what is left and remove namespaces, pins and files."""
    for pid in processes():
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        for name in os.listdir("/run/netns"):
            if name.startswith(f"shunt-{tag()}-"):
                subprocess.run(["ip", "netns", "del", name], check=False)
    cgroup.remove_run()
    for path in glob.glob(f"{pins()}-*"):
        shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(folder(), ignore_errors=True)
