# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A daemon under test: its start, its log, its control socket, and an end that must be clean."""

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import build, run
from .client import TIMEOUT, Timeout

SANITIZER = re.compile(r"(ERROR: (Address|Leak|Undefined|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:)")
START_TIMEOUT = 30.0
STOP_TIMEOUT = 30.0
MOSQUITTO = "/usr/sbin/mosquitto"
# Options that Debian's mosquitto does not have: it is started without them.
OWN_OPTIONS = {
    "seccomp", "fastpath", "fastpath_local", "fastpath_cgroup", "fastpath_exclude_uid", "fastpath_exclude_cgroup",
    "fastpath_flows", "bpf_pin_path", "guard_interface", "guard_require", "guard_fail_closed", "guard_allow", "guard_block",
    "guard_connection_rate", "guard_packet_rate", "guard_syn_rate", "guard_udp_size", "guard_ipv6_prefix", "control_socket", "http_listener", "http_tokens", "http_host",
    "workers", "max_output_bytes", "scram_file",
    "queue_policy", "durable_queue_policy", "max_connection_rate", "global_max_connection_rate", "max_sessions",
    "max_publish_rate", "max_publish_bytes", "max_subscriptions", "max_topic_levels", "max_retained_messages",
    "max_retained_bytes", "max_retained_payload", "max_retained_levels",
    "response_information", "server_reference", "wildcard_subscriptions", "shared_subscriptions",
    "subscription_identifiers", "durability", "persistence_damaged", "max_topic_alias", "max_topic_alias_broker", "accept_protocol_versions",
    "jwt_key_file", "jwt_issuer", "jwt_audience", "jwt_username_claim", "jwt_leeway",
    "socket_name", "namespace", "ban_after_failures", "ban_after_flapping", "ban_flapping", "ban_window", "ban_time", "ban_exempt",
    "auth_http_url", "auth_http_cafile", "auth_http_timeout", "auth_http_cache", "auth_http_max_pending", "listener_auth_http_url",
}


class DaemonError(AssertionError):
    """The daemon did what no daemon may: died, leaked, raced or would not stop."""


class Daemon:
    """One process. `options` are lines of the configuration; `reference` is mosquitto in its place."""

    count = 0
    lag = {}  # the environment of those whose threads are to be late
    transport = None  # a transports.Kind, for those whose clients speak MQTT through something
    persistence = ()  # lines of the configuration, for those that do not have their own

    def __init__(self, network, options=(), path=None, reference=False, nofile=None, pins=None, arguments=(),
                 port=None, listen=None):
        Daemon.count += 1
        self.network, self.reference = network, reference
        self.path = path or (MOSQUITTO if reference else f"{build.BUILD}/shuntd")
        self.dir = tempfile.mkdtemp(prefix="daemon-", dir=run.folder())
        os.chmod(self.dir, 0o777)  # the daemon gives up root
        self.port = port or network.free_port(unseen=self.transport)
        self.control = f"{self.dir}/control.sock"
        self.pins = pins or f"{run.pins()}-{os.getpid()}-{Daemon.count}"
        self.nofile, self.arguments = nofile, list(arguments)
        self.environment = dict(self.lag)  # more than ours
        self.options = self._options(options, listen or network.address)
        self.process, self.stderr = None, f"{self.dir}/stderr"
        self.checked = 0

    def _options(self, options, listen):
        lines = [f"listener {self.port} {listen}", "allow_anonymous true"]
        if self.transport:
            lines += self.transport.lines
            self.network.transports[self.port] = self.transport
        lines += options
        if not any(line.startswith("persistence ") for line in lines):
            lines += self.persistence
        if not any(line.startswith("persistence_location ") for line in lines):
            lines.append(f"persistence_location {self.dir}/store")
        if self.reference:
            lines += ["user root", "set_tcp_nodelay true"]
            return [line for line in lines if line.split()[0] not in OWN_OPTIONS]
        return [*lines, f"control_socket {self.control}", f"bpf_pin_path {self.pins}"]

    # ---- start and stop

    def command(self):
        """The command line."""
        if self.reference:
            with open(f"{self.dir}/conf", "w") as conf:
                conf.writelines(f"{line}\n" for line in self.options)
            command = [self.path, "-c", conf.name]
        else:
            command = [self.path, *self.arguments]
            for line in self.options:
                command += ["-o", line]
        if self.nofile:
            command = ["prlimit", f"--nofile={self.nofile}:{self.nofile}", *command]
        return self.network.daemon_command(command)

    def start(self):
        """Start, and wait until it accepts connections."""
        with open(self.stderr, "ab") as stderr:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                                            start_new_session=True, env={**os.environ, **self.environment})
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise DaemonError(f"exit status {self.process.returncode} at start\n{self.log()}")
            with contextlib.suppress(OSError):
                if not self.reference:
                    self._control().close()
                self.network.socket(self.port).close()
                return self
            time.sleep(0.005)
        self.kill()
        raise DaemonError(f"not ready in {START_TIMEOUT} s\n{self.log()}")

    def _control(self):
        """A connection to the control socket, which is there when the daemon serves."""
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(TIMEOUT)
            sock.connect(self.control)
        except OSError:
            sock.close()
            raise
        return sock

    def running(self):
        """Is the process there?"""
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        """Send a signal."""
        self.process.send_signal(number)

    def reload(self):
        """SIGHUP, and wait until the configuration is taken over."""
        before = self.log().count("Config reloaded")
        self.signal(signal.SIGHUP)
        self.wait_log("Config reloaded", count=before + 1)

    @contextlib.contextmanager
    def stopped(self):
        """SIGSTOP it for the time of the block."""
        self.signal(signal.SIGSTOP)
        deadline = time.monotonic() + TIMEOUT
        while not self._all_stopped() and time.monotonic() < deadline:
            time.sleep(0.001)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def _all_stopped(self):
        tasks = f"/proc/{self.process.pid}/task"
        return all(_state(f"{tasks}/{task}") == "T" for task in os.listdir(tasks))

    def stop(self):
        """SIGTERM; it must exit with 0 and without a sanitizer's report."""
        if self.process is None:
            return
        if self.running():
            self.signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DaemonError(f"did not stop in {STOP_TIMEOUT} s\n{self.tail()}") from None
        self.check_log()
        if status != 0:
            raise DaemonError(f"exit status {status}\n{self.tail()}")

    def kill(self):
        """SIGKILL."""
        if self.running():
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def remove(self):
        """Leave no trace of it."""
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)
        self.remove_pins()

    def remove_pins(self):
        """Unlink the maps that a killed daemon left."""
        for folder in (self.pins, f"{self.pins}-guard"):
            with contextlib.suppress(OSError):
                for name in os.listdir(folder):
                    os.unlink(f"{folder}/{name}")
                os.rmdir(folder)

    # ---- what it says

    def log(self):
        """All it wrote to stderr."""
        with contextlib.suppress(OSError), open(self.stderr, errors="replace") as stderr:
            return stderr.read()
        return ""

    def tail(self, lines=25):
        """The end of the log, for messages; the whole of a sanitizer's report."""
        text = self.log()
        found = SANITIZER.search(text)
        return text[found.start():][:6000] if found else "\n".join(line[:160] for line in text.splitlines()[-lines:])

    def wait_log(self, pattern, timeout=TIMEOUT, count=1):
        """The match of a regular expression in the log, once it is there so often. Counted here: to find what is repeated
        often by one expression takes for ever as long as the last is missing."""
        deadline = time.monotonic() + timeout
        while True:
            found = [*itertools.islice(re.finditer(pattern, self.log(), re.MULTILINE), count)]
            if len(found) == count:
                return found[-1]
            if time.monotonic() > deadline:
                raise Timeout(f"not in the log: {pattern}\n{self.tail()}")
            time.sleep(0.01)

    def check_log(self):
        """Raise when a sanitizer has reported."""
        if SANITIZER.search(self.log()):
            raise DaemonError(f"sanitizer report\n{self.tail()}")

    def check(self):
        """Raise unless it runs and is healthy."""
        if not self.running():
            raise DaemonError(f"died with status {self.process.returncode}\n{self.tail()}")
        self.check_log()

    # ---- shuntctl

    def ctl(self, *arguments, check=True):
        """Run shuntctl; returns its output."""
        done = subprocess.run([f"{os.path.dirname(self.path)}/shuntctl", "-s", self.control, *arguments],
                              capture_output=True, text=True, timeout=TIMEOUT)
        if check and done.returncode:
            raise AssertionError(f"shuntctl {' '.join(arguments)}: status {done.returncode}: {done.stderr}")
        return done.stdout

    def stats(self):
        """shuntctl stats --json."""
        return json.loads(self.ctl("stats", "--json"))

    def clients(self):
        """shuntctl clients --json."""
        return json.loads(self.ctl("clients", "--json"))

    def flows(self):
        """shuntctl flows --json, without rates."""
        return json.loads(self.ctl("flows", "--json", "--interval", "0"))

    # ---- resources

    def rss(self):
        """Resident memory in bytes."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) * 1024

    def cpu(self):
        """Seconds of processor time used."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _state(task):
    with contextlib.suppress(OSError), open(f"{task}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0]
    return "T"

