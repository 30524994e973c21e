# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A bad link between the namespaces: lossy.bpf.c at both ends of the veth, and a slow way for what is to come late."""

import shutil
import subprocess

from harness import build, run

OBJECT = f"{build.BUILD}/gen/lossy.bpf.o"
SLOW_RATE = "tbf rate 40mbit burst 16k latency 60ms"  # of the detour; what does not fit is lost
FULL = 65536


def _do(command):
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{command}: {done.stderr.strip()}")


class BadLink:
    """Shares of packets that are dropped, doubled and late, in both directions."""

    def __init__(self, network):
        self.pins = f"{run.pins()}-link"
        number = network.address.split(".")[2]
        _do(f"mkdir -p {self.pins} && bpftool prog load {OBJECT} {self.pins}/lossy type classifier pinmaps {self.pins}")
        for namespace, link in ((network.daemon_ns, f"to-c{number}"), (network.client_ns, "to-daemon")):
            # Not `tc -n`: it hides /sys/fs/bpf.
            enter = f"nsenter --net=/run/netns/{namespace}"
            _do(f"ip -n {namespace} link add slow type ifb && ip -n {namespace} link set slow up")
            _do(f"{enter} tc qdisc add dev slow root {SLOW_RATE}")
            _do(f"{enter} tc qdisc add dev {link} clsact")
            _do(f"{enter} tc filter add dev {link} egress pref 1 bpf da pinned {self.pins}/lossy")
            _do(f"{enter} tc filter add dev {link} egress pref 2 protocol all u32 match u32 0 0 "
                "action mirred egress redirect dev slow")
        self.set(0, 0, 0)

    def set(self, dropped, doubled, late):
        """Shares, 0 to 1."""
        value = b"".join(int(share * FULL).to_bytes(4, "little") for share in (dropped, doubled, late))
        _do(f"bpftool map update pinned {self.pins}/lossy_shares key 0 0 0 0 value {' '.join(map(str, value))}")

    def close(self):
        """The programs go with the namespaces."""
        shutil.rmtree(self.pins, ignore_errors=True)
