# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What the daemon needs to start, and what it has left when it serves."""

import glob
import json
import os
import pwd
import re
import signal
import tempfile
import time
import urllib.request

from harness import run
from harness.client import TIMEOUT
from harness.suite import SystemTest, own, roads

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
        """Every thread runs as the user, has these sets of capabilities, and the filter of system calls if it can be had."""
        threads = status_of(daemon)
        filtered = daemon.stats()["seccomp"]["state"] == "on"
        self.assertGreater(len(threads), 2)
        for thread in threads:
            self.assertEqual(thread["Seccomp"], "2" if filtered else "0", thread)
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


@roads("off", "local")
class Seccomp(SystemTest):
    """The filter of system calls, which tests/unit/test_sandbox.c looks at from inside."""

    own_daemon = True
    LACKS = r"a sanitizer needs other system calls|this shuntd was built without libseccomp .*"

    def modes(self, daemon):
        """Of all threads: those that serve, and those that only do so at times."""
        return {thread["Seccomp"] for thread in status_of(daemon)}

    def has(self, daemon, state, line):
        """It is in that state, and says so, or says why it cannot be. Whether it is."""
        seccomp = daemon.stats()["seccomp"]
        if seccomp["state"] != state:
            self.assertRegex(seccomp["reason"], f"^({self.LACKS})$")
            line = f"Seccomp off: ({self.LACKS})"
        self.assertEqual(len(re.findall(r"Seccomp .*", daemon.log())), 1)
        daemon.wait_log(rf"{line}\.$")
        self.assertRegex(daemon.ctl("stats"), rf"(?m)^seccomp +{seccomp['state']}")
        return seccomp["state"] == state

    @own
    def test_on(self):
        """By default every thread has it: of the workers, the store, the doors, HTTP and the fast path; what they do goes on,
        also after a reload."""
        port = self.network.free_port()
        daemon = self.start([f"http_listener 127.0.0.1:{port}", "persistence true"])
        on = self.has(daemon, "on", "Seccomp on: other system calls are refused")
        self.assertEqual(self.modes(daemon), {"2" if on else "0"})
        for _ in range(2):
            client = self.client("c", daemon, clean=False, present=None)
            client.subscribe(self.topic("t"), qos=1)
            client.publish(self.topic("t"), b"x", 1)
            self.assertEqual(client.payloads(1), [b"x"])
            client.disconnect()
            daemon.reload()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/status", timeout=TIMEOUT) as answer:
            self.assertEqual(json.load(answer)["seccomp"]["state"] == "on", on)

    @own
    def test_log(self):
        """Nothing is refused, and the kernel tells what would be."""
        daemon = self.start(["seccomp log"])
        on = self.has(daemon, "log", "Seccomp on: the kernel's log tells of other system calls")
        self.assertEqual(self.modes(daemon), {"2" if on else "0"})
        self.client("c", daemon).alive()

    @own
    def test_off(self):
        """Who does not want it has none; a change counts at the next start."""
        daemon = self.start(["seccomp false"])
        self.assertEqual(daemon.stats()["seccomp"], {"state": "off", "reason": "the option seccomp says so"})
        self.assertEqual(self.modes(daemon), {"0"})
        daemon.wait_log(r"Seccomp off: the option seccomp says so\.$")
