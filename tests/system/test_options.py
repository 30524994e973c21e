# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The command line, the configuration file, what is wrong with them; the log."""

import os
import signal
import socket
import subprocess

from harness import build, run
from harness import packets as p
from harness.client import Client
from harness.daemon import START_TIMEOUT
from harness.network import LOOPBACK
from harness.suite import SystemTest, own, roads


class Options(SystemTest):
    """Runs of the daemon that end by themselves."""

    own_daemon = True
    roads = ("off",)

    def setUp(self):
        super().setUp()
        if self.reference:
            self.skipTest("the reference has options of its own")

    def run_daemon(self, *arguments):
        """Exit status, standard output and error."""
        done = subprocess.run([self.daemon_path or f"{build.BUILD}/shuntd", *arguments], capture_output=True, text=True,
                              timeout=START_TIMEOUT, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    def file(self, text, name="shunt.conf"):
        """A configuration file."""
        path = f"{run.folder()}/{self.name}-{name}"
        with open(path, "w") as conf:
            conf.write(text)
        return path

    def test_help(self):
        """-h prints the options and exits with 0."""
        for flag in ("-h", "--help"):
            status, out, _ = self.run_daemon(flag)
            self.assertEqual(status, 0)
            for word in ("-c", "-p", "-v", "-o", "--test-config", "max_inflight_messages", "fastpath_local"):
                self.assertIn(word, out)

    def test_unknown_flag(self):
        """An unknown flag, a missing argument, a stray word."""
        for arguments in (["-Z"], ["-p"], ["--nonsense"], ["-p", "notaport"], ["-p", "70000"], ["stray"]):
            status, _, err = self.run_daemon(*arguments)
            self.assertNotEqual(status, 0, arguments)
            self.assertTrue(err, arguments)

    def test_good_configuration(self):
        """--test-config is silent about a good file and starts nothing."""
        path = self.file("# comment\n\nlistener 1 127.0.0.1\r\nallow_anonymous true\nmax_queued_messages 5\n"
                         "log_type error\nlog_type warning notice\n")
        status, out, err = self.run_daemon("-c", path, "--test-config")
        self.assertEqual((status, err), (0, ""), out)

    def test_errors_name_file_and_line(self):
        """Every error is reported with file and line."""
        path = self.file("listener 1883 127.0.0.1\nmax_inflight_messages many\nno_such_option 1\n\n# x\n"
                         "fastpath perhaps\nmax_queued_messages\nallow_anonymous yes?\n")
        status, _, err = self.run_daemon("-c", path, "--test-config")
        self.assertEqual(status, 1)
        for line in (2, 3, 6, 7, 8):
            self.assertRegex(err, rf"{path}:{line}\b")
        self.assertNotIn(f"{path}:1:", err)
        self.assertNotIn(f"{path}:5:", err)

    def test_same_without_test_config(self):
        """The daemon does not start with such a file either."""
        path = self.file("max_inflight_messages many\n")
        status, _, err = self.run_daemon("-c", path)
        self.assertEqual(status, 1)
        self.assertRegex(err, rf"{path}:1\b")

    def test_option_lines(self):
        """-o is checked as a line of the file is."""
        self.assertEqual(self.run_daemon("-o", "max_qos 1", "--test-config")[0], 0)
        for line in ("max_qos 3", "nonsense", "max_qos", "listener", "listener 0x", "log_type loud", "workers -1",
                     "max_packet_size 5", "bpf_pin_path relative"):
            status, _, err = self.run_daemon("-o", line, "--test-config")
            self.assertEqual(status, 1, f"{line!r}: {err}")
            self.assertTrue(err, line)

    def test_missing_file(self):
        """A file that is not there."""
        status, _, err = self.run_daemon("-c", "/nonexistent/shunt.conf", "--test-config")
        self.assertEqual(status, 1)
        self.assertIn("/nonexistent/shunt.conf", err)

    def test_odd_files(self):
        """Empty, with NUL bytes, a line of a megabyte, a folder: an error or not, but never a crash."""
        for text in ("", "\n\n\n", "\0\0\0\n", "max_qos 1\0\n", "x" * 1000000, "listener " + "9" * 1000 + "\n",
                     "\ufeff# x\n", "max_qos\t\t1  \n", "   max_qos 1\n"):
            status, _, err = self.run_daemon("-c", self.file(text), "--test-config")
            self.assertIn(status, (0, 1), f"{text[:20]!r}: {err[:500]}")
        status, _, _ = self.run_daemon("-c", "/tmp", "--test-config")
        self.assertEqual(status, 1)

    def test_include_dir(self):
        """include_dir reads *.conf; an error there names its file."""
        folder = f"{run.folder()}/conf.d"
        os.mkdir(folder)
        with open(f"{folder}/a.conf", "w") as conf:
            conf.write("max_qos 1\nmax_qos 9\n")
        with open(f"{folder}/ignored.txt", "w") as conf:
            conf.write("nonsense\n")
        status, _, err = self.run_daemon("-c", self.file(f"include_dir {folder}\n"), "--test-config")
        self.assertEqual(status, 1)
        self.assertRegex(err, rf"{folder}/a\.conf:2\b")
        self.assertNotIn("ignored", err)

    def test_port_in_use(self):
        """A port that is taken is an error that names it."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            status, _, err = self.run_daemon("-o", f"listener {port} 127.0.0.1", "-o", "fastpath false",
                                             "-o", "allow_anonymous true")
        self.assertEqual(status, 1)
        self.assertIn(str(port), err)


class Running(SystemTest):
    """Options of a daemon that runs."""

    own_daemon = True

    @roads("off")
    @own
    def test_port(self):
        """-p listens on loopback, for anybody."""
        port = LOOPBACK.free_port()
        command = [self.daemon_path or f"{build.BUILD}/shuntd", "-p", str(port), "-o", "fastpath false",
                   "-o", f"control_socket {run.folder()}/port.sock"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            for line in process.stderr:
                if line.endswith("running\n"):
                    break
            client = Client(LOOPBACK.socket(port))
            client.connect("c").disconnect()
        finally:
            process.terminate()
            process.stderr.read()
            self.assertEqual(process.wait(START_TIMEOUT), 0)
            process.stderr.close()

    @roads("off")
    @own
    def test_anonymous_refused(self):
        """With a listener line and without allow_anonymous nobody gets in: CONNACK 5. [MQTT-3.2.2-5] [MQTT-3.2.2-4]"""
        daemon = self.start(["allow_anonymous false"])
        client = self.raw(daemon=daemon)
        client.send(p.connect("c"), p.publish("t", b"x"))
        self.assertEqual([(x.type, x.code, x.present) for x in client.closed()], [(p.CONNACK, 5, False)])

    @own
    def test_log(self):
        """Connects and disconnects in mosquitto's words."""
        daemon = self.start()
        client = self.client("c", daemon, keepalive=17)
        host, port = client.sock.getsockname()
        daemon.wait_log(rf"^\d+: New connection from {host}:{port} on port {daemon.port}\.$")
        daemon.wait_log(rf"^\d+: New client connected from {host}:{port} as c-log \(p\d, c1, k17\)\.$")
        client.disconnect()
        daemon.wait_log(r"^\d+: Client c-log .*disconnected\.$")
        self.client("c", daemon).close()
        daemon.wait_log(r"^\d+: Client c-log .*disconnected: connection closed by client\.$")
        first = self.client("c", daemon)
        self.client("c", daemon)
        first.closed()
        daemon.wait_log(r"^\d+: Client c-log .*already connected, closing old connection\.$"
                        r"|^\d+: Client c-log .*disconnected: session taken over\.$")

    @own
    def test_verbose(self):
        """log_type all logs each message, and turns flows off, so that it logs each."""
        daemon = self.start(["log_type all"])
        subscriber, publisher = self.client("s", daemon), self.client("p", daemon)
        subscriber.subscribe(self.topic("t"))
        for n in range(20):
            publisher.publish(self.topic("t"), b"%d" % n)
            subscriber.receive()
        publisher.alive()
        self.assertEqual(daemon.log().count("Received PUBLISH from p-verbose"), 20)
        self.assertEqual(daemon.log().count("Sending PUBLISH to s-verbose"), 20)
        self.assertEqual(self.forwarded(daemon), 0)

    @own
    def test_listeners(self):
        """Several listeners: one broker, messages between them."""
        other = self.network.free_port()
        daemon = self.start([f"listener {other} {self.network.address}", "max_connections 100"])
        subscriber = Client(self.network.socket(other), "s")
        self.addCleanup(subscriber.close)
        subscriber.connect("s")
        subscriber.subscribe(self.topic("t"))
        publisher = self.client("p", daemon)
        for n in range(10):
            publisher.publish(self.topic("t"), b"%d" % n)
            self.assertEqual(subscriber.payloads(1), [b"%d" % n])

    @roads("off")
    @own
    def test_log_file(self):
        """log_dest file; SIGHUP opens it again."""
        folder = f"{run.folder()}/log-file"
        os.mkdir(folder)
        os.chmod(folder, 0o777)
        path = f"{folder}/shunt.log"
        daemon = self.start([f"log_dest file {path}"])
        self.client("c", daemon).disconnect()
        os.rename(path, f"{path}.1")
        daemon.signal(signal.SIGHUP)
        for _ in range(1000):
            self.client("d", daemon).disconnect()
            if os.path.exists(path):
                break
        self.client("e", daemon).disconnect()
        daemon.stop()
        with open(path) as new, open(f"{path}.1") as old:
            self.assertIn("as e-log_file", new.read())
            self.assertIn("as c-log_file", old.read())
