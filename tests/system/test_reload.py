# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""SIGHUP: the configuration is read again and no client notices. The other signals."""

import os
import re
import signal

from harness import run
from harness import packets as p
from harness import properties
from harness.client import Client
from harness.suite import SystemTest, own, roads


class Reload(SystemTest):
    """Each test has a daemon with a file."""

    own_daemon = True

    def setUp(self):
        super().setUp()
        if self.reference:
            self.skipTest("the reference has no command line for what is not in the file")
        self.path = f"{run.folder()}/{self.name}-{self.road}.conf"
        self.reloads = 0

    def write(self, *lines):
        """The file."""
        with open(self.path, "w") as conf:
            conf.writelines(f"{line}\n" for line in lines)
        os.chmod(self.path, 0o644)

    def begin(self, *lines):
        """A daemon with such a file."""
        self.write(*lines)
        return self.start(arguments=["-c", self.path])

    def reload(self, daemon, *lines, ending="Config reloaded"):
        """Change the file, and wait until that is done; returns what was logged."""
        self.write(*lines)
        self.reloads += 1
        daemon.signal(signal.SIGHUP)
        daemon.wait_log(rf"(?s)(Reloading config\..*?){{{self.reloads}}}{ending}")
        return daemon.log().rsplit("Reloading config.", 1)[1]

    @own
    def test_clients_stay(self):
        """New limits hold for who comes then; connected clients stay, and what was changed is logged."""
        other = self.network.free_port()
        listener = f"listener {other} {self.network.address}"
        daemon = self.begin(listener, "listener_allow_anonymous true", "max_queued_messages 7")
        subscriber, publisher = self.client("s", daemon), self.client("p", daemon)
        old = Client(self.network.socket(other), "old")
        self.addCleanup(old.close)
        old.connect("old")
        subscriber.subscribe(self.topic("#"))
        text = self.reload(daemon, listener, "listener_allow_anonymous true", "use_username_as_clientid true",
                           "max_queued_messages 8")
        self.assertRegex(text, r"Changed: max_queued_messages\.")
        self.assertRegex(text, rf"Changed: use_username_as_clientid of the listener at port {other}")
        self.assertRegex(text, r"2 options changed")
        for client in (subscriber, publisher, old):
            client.alive()
        old.publish(self.topic("t"), b"x")
        self.assertEqual(subscriber.payloads(1), [b"x"])
        new = Client(self.network.socket(other), "new")
        self.addCleanup(new.close)
        new.send(p.connect("new"))
        self.assertEqual([x.code for x in new.closed()], [5])

    @own
    def test_limits_told(self):
        """A limit that a client was told of in its CONNACK holds as long as it is connected; the next one is told
        another. Section 3.2.2.3 of 5.0."""
        other = self.network.free_port()
        listener = f"listener {other} {self.network.address}"
        daemon = self.begin(listener, "max_topic_alias 5")

        def connect(name):
            client = Client(self.network.socket(other), name, version=5)
            self.addCleanup(client.close)
            return client.connect(name)

        old = connect("old")
        self.reload(daemon, listener, "max_topic_alias 2", "max_qos 0", "retain_available false")
        old.publish(self.topic("t"), b"x", 2, props=[(properties.TOPIC_ALIAS, 5)])
        old.publish("", b"y", 1, retain=True, props=[(properties.TOPIC_ALIAS, 5)])
        new = connect("new")
        limits = (properties.TOPIC_ALIAS_MAXIMUM, properties.MAXIMUM_QOS, properties.RETAIN_AVAILABLE)
        self.assertEqual([new.connack.props.get(limit) for limit in limits], [2, 0, 0])
        old.alive()

    @own
    def test_errors_change_nothing(self):
        """With errors in the file, all of them are logged and everything stays as it is."""
        daemon = self.begin("sys_interval 0")
        client = self.client("c", daemon)
        text = self.reload(daemon, "sys_interval 1", "workers 700", "no_such_option 1", "http_dir x",
                           ending="the old one stays")
        for line, word in ((2, "workers"), (3, "no_such_option"), (4, "http_dir")):
            self.assertRegex(text, rf"Error in {self.path}:{line}: .*{word}")
        client.subscribe("$SYS/#")
        client.nothing(1.2)
        self.reload(daemon, "sys_interval 1")
        self.assertTrue(client.receive()[0].topic.startswith("$SYS/broker/"))

    @own
    def test_needs_restart(self):
        """What cannot be changed is named."""
        daemon = self.begin("workers 2")
        port = self.network.free_port()
        text = self.reload(daemon, "workers 3", f"listener {port} {self.network.address}")
        self.assertRegex(text, r"Warning: A change of workers counts when the broker is started again\.")
        self.assertRegex(text, rf"Warning: The new listener at port {port} of .* is opened when the broker is started")
        with self.assertRaises(OSError):
            self.network.socket(port)

    @own
    def test_debug(self):
        """From the reload on that turns debug on, each message is logged: the kernel carries none any more."""
        daemon = self.begin("log_type notice")
        subscriber, publisher = self.client("s", daemon), self.client("p", daemon)
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"), daemon=daemon)
        self.write("log_type all")
        daemon.signal(signal.SIGHUP)
        daemon.wait_log("Config reloaded")
        for n in range(20):
            publisher.publish(self.topic("t"), b"%d" % n)
            self.assertEqual(subscriber.payloads(1), [b"%d" % n])
        publisher.alive()
        self.assertEqual(daemon.log().count("Received PUBLISH from p-debug"), 20)

    @own
    def test_under_load(self):
        """Reloads while messages flow lose none and change no order."""
        daemon = self.begin("max_inflight_messages 20")
        subscriber, publisher = self.client("s", daemon), self.client("p", daemon)
        subscriber.subscribe(self.topic("0"), self.topic("1"), qos=1)
        wanted = {b"0": [], b"1": []}
        got = {b"0": [], b"1": []}
        for n in range(20):
            self.write(f"max_inflight_messages {20 + n % 2}", f"auto_id_prefix x{n}")
            daemon.signal(signal.SIGHUP)
            for m in range(25):
                for qos in (0, 1):
                    publisher.publish(self.topic(str(qos)), b"%d %d" % (qos, n * 25 + m), qos)
                    wanted[b"%d" % qos].append(n * 25 + m)
            for packet in subscriber.receive(50):
                qos, number = packet.payload.split()
                got[qos].append(int(number))
        self.assertEqual(got, wanted)
        publisher.alive()

    @roads("off")
    @own
    def test_log_moves(self):
        """Another log_dest file."""
        folder = f"{run.folder()}/log-moves"
        os.mkdir(folder)
        os.chmod(folder, 0o777)
        daemon = self.begin(f"log_dest file {folder}/one", "log_dest stderr")
        self.client("c", daemon).disconnect()
        self.reload(daemon, f"log_dest file {folder}/two", "log_dest stderr")
        self.client("d", daemon).disconnect()
        daemon.stop()
        with open(f"{folder}/one") as one, open(f"{folder}/two") as two:
            self.assertIn("as c-log_moves", one.read())
            text = two.read()
        self.assertIn("as d-log_moves", text)
        self.assertNotIn("as c-log_moves", text)


class Signals(SystemTest):
    """The other signals."""

    own_daemon = True
    roads = ("off",)

    @own
    def test_tree(self):
        """SIGUSR2 logs the subscriptions, shared ones too, and only them."""
        daemon = self.start()
        one, two = self.client("one", daemon), self.client("two", daemon, level=5)
        one.subscribe(("a/+/b", 1), ("$d/#", 2))
        two.subscribe(("a/+/b", 0), ("$share/group/a", 1))
        one.publish("retained/and/nothing/else", b"x", retain=True)
        one.ping()
        daemon.signal(signal.SIGUSR2)
        daemon.wait_log(r"Subscriptions:$")
        lines = [r"  \$d$", r"    # \(one-tree, 2\)$", r"  a \$share/group \(two-tree, 1\)$", r"    \+$",
                 r"      b \(one-tree, 1\) \(two-tree, 0\)$"]
        for line in lines:
            daemon.wait_log(r"^\d+: " + line)
        self.assertNotIn("    retained", daemon.log())

    @own
    def test_nothing_to_save(self):
        """SIGUSR1 is said to do nothing; SIGPIPE does nothing."""
        daemon = self.start()
        client = self.client("c", daemon)
        daemon.signal(signal.SIGPIPE)
        daemon.signal(signal.SIGUSR1)
        daemon.wait_log("SIGUSR1: nothing to save")
        client.alive()

    @own
    def test_rotate(self):
        """SIGRTMIN opens the log file again and reads nothing."""
        folder = f"{run.folder()}/rotate"
        os.mkdir(folder)
        os.chmod(folder, 0o777)
        daemon = self.start([f"log_dest file {folder}/log", "log_dest stderr"])
        os.rename(f"{folder}/log", f"{folder}/log.1")
        daemon.signal(signal.SIGRTMIN)
        while not os.path.exists(f"{folder}/log"):
            self.client("c", daemon).disconnect()
        self.assertNotIn("Reloading", daemon.log())

    @own
    def test_tree_is_cut(self):
        """A level with more subscribers than fit in a line has several lines."""
        daemon = self.start()
        clients = [self.client("c" * 200 + str(n), daemon) for n in range(20)]
        for client in clients:
            client.subscribe("t")
        daemon.signal(signal.SIGUSR2)
        daemon.wait_log(r"(?s)Subscriptions:.*c19-tree_is_cut, 0\)")
        log = daemon.log().split("Subscriptions:")[1]
        self.assertEqual(len(re.findall(r"\(c+\d+-tree_is_cut, 0\)", log)), 20)
        self.assertNotIn("...", log)
        self.assertGreater(len(re.findall(r"^\d+:   t \(", log, re.MULTILINE)), 1)
