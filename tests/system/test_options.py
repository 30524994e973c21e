# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The command line, the configuration file, what is wrong with them; the log."""

import os
import re
import signal
import socket
import subprocess
import time

from harness import build, run
from harness import packets as p
from harness import properties
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
        for arguments in (["--tls-keylog", "x"], ["-p", "1"] * 11, ["-Z"], ["-p"], ["--nonsense"], ["-p", "notaport"], ["-p", "70000"], ["stray"]):
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

    def test_files_that_are_named(self):
        """--test-config reads the file of users, too."""
        users = self.file("nonsense\n", "users")
        path = self.file(f"scram_file {users}\n")
        status, _, err = self.run_daemon("-c", path, "--test-config")
        self.assertEqual(status, 1)
        self.assertIn(f"{users}:1", err)

    def test_mosquitto_options(self):
        """Options of mosquitto that are missing are named, all of them at once."""
        path = self.file("listener 1883 127.0.0.1\nhttp_dir x\nprotocol http_api\n"
                         "plugin_opt_x 1\nbridge_cafile x\n")
        status, _, err = self.run_daemon("-c", path, "--test-config")
        self.assertEqual(status, 1)
        for line, word in enumerate(("http_dir", "http_api", "plugin_opt_x", "bridge_cafile"), 2):
            self.assertRegex(err, rf"Error in {path}:{line}: .*{word}")
        self.assertEqual(len(err.splitlines()), 4)

    def test_mosquitto_file(self):
        """A file of mosquitto's that asks for nothing more than Shunt has."""
        path = self.file("per_listener_settings false\r\npersistence false\r\nport 1883\r\nbind_address 127.0.0.1\r\n"
                         "max_connections -1\r\nprotocol mqtt\r\nsocket_domain ipv4\r\nallow_anonymous true # yes\r\n"
                         "max_queued_bytes -1\r\nlog_facility 3\r\nlog_dest topic\r\nlog_type websockets\r\n"
                         "retain_expiry_interval 10\r\nmaximum_qos 1\r\naccept_protocol_versions 3, 4, 5\r\n"
                         "listener 0 /run/nowhere/mqtt.sock\r\nlistener_allow_anonymous false\r\n")
        self.assertEqual(self.run_daemon("-c", path, "--test-config"), (0, "Configuration file is OK.\n", ""))

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


class Contract(SystemTest):
    """How scripts and test suites for mosquitto start a broker."""

    own_daemon = True
    roads = ("off",)

    def setUp(self):
        super().setUp()
        if self.reference:
            self.skipTest("the reference's own way is what is imitated")
        self.port = LOOPBACK.free_port()
        self.path = f"{run.folder()}/{self.name}.conf"
        self.extra = ["-o", "fastpath false", "-o", f"control_socket {run.folder()}/{self.name}.sock"]

    def begin(self, *arguments, text=""):
        """The process, which writes its log to a pipe."""
        with open(self.path, "w") as conf:
            conf.write(text)
        command = [self.daemon_path or f"{build.BUILD}/shuntd", "-c", self.path, *self.extra, *arguments]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def ready(self, port=None):
        """Knock as the suites do, until somebody answers."""
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                LOOPBACK.socket(port or self.port).close()
                return
            except OSError:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)

    def end(self, process):
        """SIGTERM, status 0; returns the log."""
        process.terminate()
        log = process.stderr.read()
        self.assertEqual(process.wait(START_TIMEOUT), 0)
        return log

    def connect(self, name="c", port=None, **fields):
        """A client."""
        client = Client(LOOPBACK.socket(port or self.port), name)
        self.addCleanup(client.close)
        return client.connect(name, **fields)

    @own
    def test_port_without_listener(self):
        """-c FILE -p PORT -v: without a listener in the file, PORT on loopback, for anybody, and with what the file says
        of listeners; everything is logged."""
        process = self.begin("-p", str(self.port), "-v", text="max_qos 1\n")
        self.ready()
        client = self.connect()
        client.publish("t", b"x", 1)
        client.send(p.publish("t", b"x", 2, mid=1))
        client.closed()
        self.assertIn("Received PUBLISH from c", self.end(process))

    @own
    def test_port_with_listener(self):
        """With a listener in the file -p is ignored, and anonymous clients are refused."""
        other = LOOPBACK.free_port()
        process = self.begin("-p", str(other), text=f"listener {self.port} 127.0.0.1\n")
        self.ready()
        with self.assertRaises(OSError):
            LOOPBACK.socket(other)
        client = Client(LOOPBACK.socket(self.port))
        client.send(p.connect("c"))
        self.assertEqual([x.code for x in client.closed()], [5])
        self.assertIn(f"Warning: -p {other} does nothing", self.end(process))

    @own
    def test_several_ports(self):
        """-p twice listens on both."""
        other = LOOPBACK.free_port()
        process = self.begin("-p", str(self.port), "--port", str(other))
        self.ready()
        self.connect("a").subscribe("t")
        self.connect("b", other).publish("t", b"x")
        self.end(process)

    @own
    def test_quiet(self):
        """-q logs nothing, also with -v."""
        process = self.begin("-p", str(self.port), "-v", "-q")
        self.ready()
        self.connect().ping()
        self.assertEqual(self.end(process), "")

    @own
    def test_background(self):
        """-d returns when clients can connect; the process goes on without the terminal."""
        pid_file = f"{run.folder()}/{self.name}.pid"
        process = self.begin("-p", str(self.port), "-d", "-o", "user root", "-o", f"pid_file {pid_file}")
        self.assertEqual(process.wait(START_TIMEOUT), 0)
        with open(pid_file) as file:
            pid = int(file.read())
        try:
            self.assertNotEqual(pid, process.pid)
            self.assertIn("running\n", process.stderr.read())  # and nobody has the other end of the pipe any more
            self.connect().ping()
            self.assertEqual(os.getsid(pid), pid)
        finally:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + START_TIMEOUT
        while os.path.exists(pid_file):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    @own
    def test_background_fails(self):
        """-d tells of an error by its status."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            process = self.begin("-d", "-o", f"listener {port} 127.0.0.1")
            self.assertEqual(process.wait(START_TIMEOUT), 1)
            self.assertIn(str(port), process.stderr.read())


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
    def test_log_of_subscriptions(self):
        """A debug line for each filter, indented by a tab, as mosquitto's; and log_type subscribe, unsubscribe."""
        daemon = self.start(["log_type all"])
        client = self.client("c", daemon)
        client.subscribe(("a/+", 1), ("b", 0))
        client.unsubscribe("b")
        daemon.wait_log(r"^\d+: Received SUBSCRIBE from c-log_of_subscriptions$")
        daemon.wait_log(r"^\d+: \ta/\+ \(QoS 1\)$")
        daemon.wait_log(r"^\d+: c-log_of_subscriptions 1 a/\+$")
        daemon.wait_log(r"^\d+: \tb$")
        daemon.wait_log(r"^\d+: c-log_of_subscriptions b$")

    @own
    def test_log_topic(self):
        """log_dest topic: lines below $SYS/broker/log, by type, not retained and with 20 seconds to live, as mosquitto's;
        none of debug."""
        daemon = self.start(["log_dest topic", "log_dest stderr", "log_type all"])
        reader = self.client("reader", daemon, level=5)
        reader.subscribe("$SYS/broker/log/#", qos=2)
        other = self.client("other", daemon)
        other.subscribe("some/topic")
        other.unsubscribe("some/topic")
        other.disconnect()
        wanted = {"N": rb": New client connected from \S+ as other-log_topic \(p4, c1, k60\)\.$",
                  "M/subscribe": rb": other-log_topic 0 some/topic$", "M/unsubscribe": rb": other-log_topic some/topic$"}
        found = set()
        while len(found) < len(wanted):
            packet = reader.receive()[0]
            self.assertEqual((packet.qos, packet.retain), (2, False))
            self.assertIn(packet.props.get(properties.MESSAGE_EXPIRY), range(1, 21))
            kind = packet.topic.removeprefix("$SYS/broker/log/")
            self.assertIn(kind, ("E", "W", "N", "I", "M/subscribe", "M/unsubscribe"))
            if re.search(wanted.get(kind, b"$^"), packet.payload):
                found.add(kind)

    @own
    def test_timestamp_format(self):
        """log_timestamp_format, log_timestamp false."""
        daemon = self.start(["log_timestamp_format %Y-%m-%dT%H:%M:%S"])
        self.client("c", daemon)
        daemon.wait_log(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d: New client connected")
        daemon = self.start(["log_timestamp false"])
        self.client("c", daemon)
        daemon.wait_log(r"^New client connected")

    @own
    def test_listener_settings(self):
        """Options of a listener hold there and not at the other one."""
        other = self.network.free_port()
        daemon = self.start([f"listener {other} {self.network.address}", "listener_auto_id_prefix second-",
                             "use_username_as_clientid true", "accept_protocol_versions 4"])
        self.client("c", daemon, client_id="")
        client = Client(self.network.socket(other), "c")
        self.addCleanup(client.close)
        client.connect("ignored", username="user-name")
        self.assertIn("user-name", {c["id"] for c in daemon.clients()["clients"]})
        for level, code in ((3, 1), (5, 0x84)):
            client = Client(self.network.socket(other), "c", version=level)
            self.addCleanup(client.close)
            client.send(client.hello("c", username="x"))
            self.assertEqual([x.code for x in client.closed()], [code])

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
