# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Listeners on Unix sockets."""

import os
import socket
import stat
import subprocess

from harness import build, run
from harness import packets as p
from harness.client import Client
from harness.daemon import START_TIMEOUT
from harness.suite import SystemTest, own


class Unix(SystemTest):
    """Each test has a daemon with a Unix socket beside its port."""

    own_daemon = True

    def setUp(self):
        super().setUp()
        self.folder = f"{run.folder()}/unix-{self.name}-{self.road}"
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o777)
        self.path = f"{self.folder}/mqtt.sock"

    def begin(self, *options):
        """A daemon that listens there."""
        return self.start([f"listener 0 {self.path}", *options])

    def raw_unix(self):
        """A connection without CONNECT."""
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(self.path)
        client = Client(sock, "unix")
        self.addCleanup(client.close)
        return client

    def unix(self, name, **fields):
        """A connected client."""
        return self.raw_unix().connect(self.id(name), **fields)

    def test_messages(self):
        """Clients there and clients of TCP send each other messages of every QoS, large ones too."""
        daemon = self.begin()
        here, there = self.unix("here"), self.client("there", daemon)
        here.subscribe(self.topic("#"), qos=2)
        there.subscribe(self.topic("#"), qos=2)
        for publisher in (self.unix("p"), self.client("q", daemon)):
            for qos, size in enumerate((0, 10, 100000)):
                publisher.publish(self.topic("t"), b"x" * size, qos)
                for client in (here, there):
                    self.assertEqual(client.payloads(1), [b"x" * size])
        here.alive()
        there.alive()

    @own
    def test_no_flows(self):
        """The kernel carries nothing to or from them."""
        daemon = self.begin()
        subscriber, publisher = self.unix("s"), self.unix("p")
        remote = self.client("r", daemon)
        subscriber.subscribe(self.topic("t"))
        for client in (publisher, remote):
            for n in range(50):
                client.publish(self.topic("t"), b"%d" % n)
                self.assertEqual(subscriber.payloads(1), [b"%d" % n])
        self.assertEqual(self.forwarded(daemon), 0)
        self.assertEqual(daemon.flows()["flows"], [])

    @own
    def test_log(self):
        """They are logged with the process that connected, since they have no address."""
        daemon = self.begin()
        daemon.wait_log(rf"Opening unix listen socket on path {self.path}\.$")
        client = self.unix("c", keepalive=17)
        pid = os.getpid()
        daemon.wait_log(rf"^\d+: New connection from unix:{pid} on path {self.path}\.$")
        daemon.wait_log(rf"^\d+: New client connected from unix:{pid} as c-log \(p4, c1, k17\)\.$")
        client.close()
        daemon.wait_log(rf"^\d+: Client c-log \[unix:{pid}\] disconnected: connection closed by client\.$")

    @own
    def test_options(self):
        """The options of a listener count there."""
        daemon = self.begin("max_connections 1", "listener_allow_anonymous true", "max_qos 0")
        client = self.unix("c")
        self.raw_unix().closed()
        daemon.wait_log(rf"^\d+: Client connection from unix:{os.getpid()} denied: max_connections exceeded\.$")
        client.send(p.publish("t", b"x", 1, mid=1))
        client.closed()
        self.client("d", daemon).publish("t", b"x", 1)

    @own
    def test_file(self):
        """User and group may use the file, nobody else; it is gone with the daemon."""
        daemon = self.begin()
        self.unix("c").ping()  # from then on it is not root any more
        mode = os.stat(self.path).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o770)
        with open(f"/proc/{daemon.process.pid}/status") as status:
            self.assertIn(f"Uid:\t{os.stat(self.path).st_uid}\t", status.read())
        daemon.stop()
        self.assertFalse(os.path.exists(self.path))

    @own
    def test_stale_file(self):
        """A socket that nobody listens at any more is replaced."""
        daemon = self.begin()
        daemon.kill()
        self.assertTrue(os.path.exists(self.path))
        daemon.start()
        self.unix("c").ping()

    @own
    def test_file_of_others(self):
        """A socket that somebody listens at, and a file that is no socket, are left alone."""
        def attempt():
            done = subprocess.run([self.daemon_path or f"{build.BUILD}/shuntd", "-o", f"listener 0 {self.path}",
                                   "-o", "fastpath false", "-o", f"control_socket {self.folder}/c"],
                                  capture_output=True, text=True, timeout=START_TIMEOUT)
            self.assertEqual(done.returncode, 1)
            return done.stderr

        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.path)
            other.listen()
            self.assertIn(f"Unable to listen on {self.path}: another daemon has it.", attempt())
        os.unlink(self.path)
        with open(self.path, "w") as file:
            file.write("precious")
        self.assertIn("there is a file that is no socket", attempt())
        with open(self.path) as file:
            self.assertEqual(file.read(), "precious")
