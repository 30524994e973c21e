# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Where things are, and the C programs of the tests: compiled once into the build directory when they are needed."""

import contextlib
import fcntl
import functools
import os
import subprocess

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP = os.path.dirname(os.path.dirname(HERE))
NODE_MODULES = os.path.join(TOP, "build/npm/node_modules")  # scripts/setup makes it
BUILD = os.path.join(TOP, os.environ.get("SHUNT_BUILD", "build"))

CFLAGS = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", f"-I{TOP}/include"]


def program(name, *libraries):
    """The path of build/tests/system/NAME, made from tests/system/NAME.c."""
    return _compiled(f"{HERE}/{name}.c", f"{BUILD}/tests/system/{name}", *libraries)


def preloaded(name):
    """The environment of a daemon that is to have tests/faults/NAME.c between itself and the C library."""
    library = _compiled(f"{TOP}/tests/faults/{name}.c", f"{BUILD}/tests/faults/{name}.so", "-D_GNU_SOURCE", "-shared",
                        "-fPIC", "-ldl")
    # AddressSanitizer wants to be the first library, but does not have to.
    asan = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))
    return {"LD_PRELOAD": library, "ASAN_OPTIONS": asan}


def _compiled(source, target, *libraries):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(f"{target}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(target) or os.path.getmtime(target) < os.path.getmtime(source):
            subprocess.run([os.environ.get("CC", "gcc"), *CFLAGS, "-o", target, source, *libraries], check=True)
    return target


def mosquitto():
    """The path of Debian's mosquitto, the broker: installed, or where scripts/setup unpacks it, for a build with sanitizers
    in the folder above. None: there is none."""
    roots = ("", f"{BUILD}/peer", f"{BUILD}/../peer", f"{TOP}/build/peer")
    paths = (f"{root}/usr/sbin/mosquitto" for root in roots)
    return next((path for path in paths if os.access(path, os.X_OK)), None)


@functools.cache
def sanitized():
    """Is the daemon built with a sanitizer, which makes it slow and large?"""
    with contextlib.suppress(OSError), open(f"{BUILD}/shuntd", "rb") as binary:
        data = binary.read()
        return b"__asan_init" in data or b"__tsan_init" in data
    return False
