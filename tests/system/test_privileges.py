# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What the daemon needs to start, and what it has left when it serves."""

import glob
import os
import pwd
import re
import signal
import tempfile
import time

from harness import run
from harness.client import TIMEOUT
from harness.suite import SystemTest, own

SOMEBODY = 54321  # no user has this number
NEEDED = ("bpf", "net_admin", "perfmon")
DAC_OVERRIDE = 1 << 1
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


class _Started:
    """The network of the test, with a daemon that is started in another way."""

    def __init__(self, network, *command):
        self.network, self.command = network, command

    def __getattr__(self, name):
        return getattr(self.network, name)

    def daemon_command(self, command):
        """The command, run where the daemon lives and as it is to be started."""
        return self.network.daemon_command([*self.command, *command])


def status_of(daemon):
    """For each thread: a dictionary of the lines of its status."""
    daemon.stats()  # when the workers have answered all threads are there
    threads = []
    for path in glob.glob(f"/proc/{daemon.process.pid}/task/*/status"):
        with open(path) as status:
            threads.append(dict(re.findall(r"^(\w+):\s*(.*)$", status.read(), re.MULTILINE)))
    return threads


class Privileges(SystemTest):
    """Capabilities and users."""

    own_daemon = True
    roads = ("local", "remote")

    def assert_works(self, daemon):
        """The kernel carries messages; a new flow, one that goes, switching and reading the configuration again all work
        without privileges."""
        subscriber, publisher = self.client("s", daemon), self.client("p", daemon)
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"), daemon=daemon)
        self.until_carried(publisher, subscriber, self.topic("t"), daemon=daemon)
        daemon.ctl("fastpath", "off")
        daemon.ctl("fastpath", "on")
        subscriber.unsubscribe(self.topic("t"))
        self.no_flow(self.topic("t"), daemon)

    def assert_left(self, daemon, uid, **sets):
        """Every thread runs as the user and has these sets of capabilities."""
        threads = status_of(daemon)
        self.assertGreater(len(threads), 2)
        for thread in threads:
            self.assertEqual(set(thread["Uid"].split()), {str(uid)}, thread)
            self.assertEqual(thread["NoNewPrivs"], "1", thread)
            for name, want in sets.items():
                self.assertEqual(int(thread[name], 16), want, f"{name} of {thread}")

    @own
    def test_root(self):
        """Started as root: an unprivileged user without any capability, nor the way to one."""
        daemon = self.start()
        user = next(one for name in ("shunt", "nobody") for one in pwd.getpwall() if one.pw_name == name)
        self.assert_left(daemon, user.pw_uid, **dict.fromkeys(SETS, 0))
        self.assertEqual(status_of(daemon)[0]["Groups"].split(), [str(user.pw_gid)])
        self.assert_works(daemon)

    @own
    def test_stays_root(self):
        """With `user root` what is left is CAP_DAC_OVERRIDE, and the log says so: files in folders of other users can be
        opened again."""
        daemon = self.start(["user root", f"log_dest file {self.folder()}/log"])
        self.assert_left(daemon, 0, CapInh=0, CapPrm=DAC_OVERRIDE, CapEff=DAC_OVERRIDE, CapBnd=DAC_OVERRIDE, CapAmb=0)
        self.assert_works(daemon)
        os.rename(f"{self.path}/log", f"{self.path}/log.1")
        with open(f"{self.path}/log.1") as log:
            self.assertIn("with CAP_DAC_OVERRIDE only", log.read())
        daemon.signal(signal.SIGRTMIN)
        other = self.client("after", daemon)
        other.ping()
        self.until_exists(f"{self.path}/log")

    def folder(self):
        """One that another user owns and nobody else may write to."""
        self.path = tempfile.mkdtemp(dir=run.folder())
        os.chmod(self.path, 0o755)
        os.chown(self.path, SOMEBODY, SOMEBODY)
        return self.path

    def until_exists(self, path):
        """The file is there in time."""
        deadline = time.monotonic() + TIMEOUT
        while not os.path.exists(path):
            self.assertLess(time.monotonic(), deadline, path)
            time.sleep(0.01)

    def given(self, *names):
        """Started as an unprivileged user with these capabilities, as a service manager does it."""
        some = "".join(f",+{name}" for name in names)
        return _Started(self.network, "setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups",
                        f"--inh-caps=-all{some}", f"--ambient-caps=-all{some}", f"--bounding-set=-all{some}")

    @own
    def test_only_what_is_needed(self):
        """Started as another user with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON and nothing else: the fast path is there,
        and all three are given up."""
        daemon = self.start(network=self.given(*NEEDED))
        self.assertEqual(daemon.stats()["fastpath"]["state"], "on", daemon.stats()["fastpath"]["reason"])
        self.assert_left(daemon, SOMEBODY, CapInh=0, CapPrm=0, CapEff=0, CapAmb=0)
        self.assert_works(daemon)

    @own
    def test_less_than_needed(self):
        """Without any of the three the fast path is off, the reason is told, and clients are served."""
        for left_out in NEEDED:
            daemon = self.start(network=self.given(*(name for name in NEEDED if name != left_out)))
            fastpath = daemon.stats()["fastpath"]
            self.assertEqual(fastpath["state"], "off")
            self.assertRegex(fastpath["reason"], "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")
            self.assert_left(daemon, SOMEBODY, CapInh=0, CapPrm=0, CapEff=0, CapAmb=0)
            client = self.client(left_out, daemon)
            client.subscribe(self.topic("t"))
            client.publish(self.topic("t"), b"slow")
            self.assertEqual(client.payloads(1), [b"slow"])
            daemon.stop()
