# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The $SYS topics, by mosquitto's names; what the kernel carries is counted in them like all else."""

import time

from harness import packets as p
from harness.client import TIMEOUT
from harness.suite import SystemTest, differs, own, recorded

# What mosquitto 2.1 publishes below $SYS/broker/ (src/sys_tree.c), without bridges and the log; % is a space.
NUMBERS = """clients/total clients/maximum clients/disconnected clients/inactive clients/connected clients/active
clients/expired messages/stored messages/received messages/sent store/messages/count store/messages/bytes
subscriptions/count shared_subscriptions/count retained%messages/count heap/current heap/maximum bytes/received bytes/sent
publish/bytes/received publish/bytes/sent publish/messages/dropped publish/messages/received publish/messages/sent
packet/out/count packet/out/bytes connections/socket/count"""
LOADS = """messages/received messages/sent publish/dropped publish/received publish/sent bytes/received bytes/sent sockets
connections"""


def numbers():
    """Names of plain numbers."""
    return {name.replace("%", " ") for name in NUMBERS.split()}


def loads():
    """Names of averages."""
    return {f"load/{name}/{span}min" for name in LOADS.split() for span in (1, 5, 15)}


class Sys(SystemTest):
    """Each test has a daemon of its own: it counts everything."""

    own_daemon = True

    def daemon_with_sys(self):
        """A daemon that publishes them each second."""
        return self.start(["sys_interval 1"])

    def sys(self, daemon, *names):
        """The present values of topics below $SYS/broker/: {name: bytes}."""
        client = self.client("sys", daemon, record=False)
        client.subscribe(*[f"$SYS/broker/{name}" for name in names])
        client.send(p.PING)
        values = {}
        while (packet := client.read()).type != p.PINGRESP:
            values[packet.topic.removeprefix("$SYS/broker/")] = packet.payload
        client.disconnect()
        return values

    def wait_sys(self, daemon, wanted):
        """Wait until the values are these."""
        deadline = time.monotonic() + TIMEOUT
        while (values := self.sys(daemon, *wanted)) != wanted:
            self.assertLess(time.monotonic(), deadline, f"{values}, not {wanted}")
            time.sleep(0.1)

    @differs("2.0.11 has fewer")
    def test_names(self):
        """Exactly the names of mosquitto 2.1, with values of the same form."""
        daemon = self.daemon_with_sys()
        names = {"version", "uptime"} | numbers() | loads()
        deadline = time.monotonic() + TIMEOUT
        while (found := set(values := self.sys(daemon, "#"))) != names:
            self.assertLess(time.monotonic(), deadline, f"missing {names - found}, not expected {found - names}")
            time.sleep(0.1)
        for name in numbers():
            self.assertTrue(values[name].isdigit(), f"{name} is {values[name]}")
        for name in loads():
            self.assertRegex(values[name].decode(), r"^[0-9]+\.[0-9]{2}$")
        self.assertRegex(values["version"].decode(), r"^\w+ version [0-9]")
        self.assertRegex(values["uptime"].decode(), r"^[0-9]+ seconds$")

    def test_retained_with_qos_2(self):
        """They are published with QoS 2 and retained."""
        daemon = self.daemon_with_sys()
        client = self.client("c", daemon)
        client.subscribe("$SYS/broker/version", qos=2)
        packet = client.receive()[0]
        self.assertEqual((packet.qos, packet.retain), (2, True))

    @own
    def test_shared_subscriptions(self):
        """Shared subscriptions are counted apart from the others."""
        daemon = self.daemon_with_sys()
        client = self.client("c", daemon, level=5)
        client.subscribe("$share/g/a", "$share/h/a", "a")
        # The one who asks has a subscription for each name.
        self.wait_sys(daemon, {"shared_subscriptions/count": b"2"})
        client.disconnect()
        self.wait_sys(daemon, {"shared_subscriptions/count": b"0"})

    @own
    def test_waiting_output(self):
        """What waits for the socket of a client that does not read is in packet/out, until it has gone."""
        daemon = self.start(["sys_interval 1", "max_output_bytes 100000000", "max_queued_messages 0"])
        slow = self.client("slow", daemon, rcvbuf=4096)
        publisher = self.client("p", daemon)
        slow.subscribe(self.topic("t"))
        for _ in range(200):
            publisher.publish(self.topic("t"), b"x" * 100000)
        publisher.ping()
        deadline = time.monotonic() + TIMEOUT
        while True:
            values = {k: int(v) for k, v in self.sys(daemon, "packet/out/#").items()}
            if values and values["packet/out/bytes"] > 1000000:
                break
            self.assertLess(time.monotonic(), deadline, values)
            time.sleep(0.1)
        self.assertGreater(values["packet/out/count"], 10)
        slow.close()
        self.wait_sys(daemon, {"packet/out/bytes": b"0", "packet/out/count": b"0"})

    @own
    def test_connections(self):
        """connections/socket/count counts every connection since the start."""
        daemon = self.daemon_with_sys()
        for n in range(5):
            self.client(str(n), daemon).disconnect()
        deadline = time.monotonic() + TIMEOUT
        while int(self.sys(daemon, "connections/#").get("connections/socket/count", 0)) < 6:
            self.assertLess(time.monotonic(), deadline)

    @recorded
    def test_counts(self):
        """Received and sent messages and their bytes are counted, whoever carried them."""
        daemon = self.daemon_with_sys()
        subscriber, second, publisher = self.client("s", daemon), self.client("s2", daemon), self.client("p", daemon)
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"), daemon=daemon)
        with self.carries(97, daemon=daemon):
            for n in range(97):
                publisher.publish(self.topic("t"), b"%05d" % n)
                subscriber.receive()
        second.subscribe(self.topic("t"))
        for n in range(50):
            publisher.publish(self.topic("t"), b"%05d" % n)
            subscriber.receive()
            second.receive()
        count, size = 150 + self.more, 3 * len(b"install 0") + self.more * len(b"more") + 147 * 5
        self.wait_sys(daemon, {"publish/messages/received": b"%d" % count, "publish/bytes/received": b"%d" % size})
        wanted = {"publish/messages/sent": count + 50, "publish/bytes/sent": size + 250}
        values = {name: int(value) for name, value in self.sys(daemon, *wanted).items()}
        for name, value in wanted.items():  # the readers of $SYS add theirs
            self.assertGreaterEqual(values[name], value)
        if not self.reference:
            stats = daemon.stats()
            self.assertEqual(stats["publish"]["received"], count)
            self.note("messages", stats["messages"]["received"] - self._sys_messages(daemon) - self.more)

    def _sys_messages(self, daemon):
        """Packets of the clients that read $SYS: CONNECT, SUBSCRIBE, PINGREQ, DISCONNECT each."""
        return 4 * daemon.log().count("as sys-")

    def test_clients(self):
        """Connected, disconnected and total clients; subscriptions; retained messages."""
        daemon = self.daemon_with_sys()
        away = self.client("away", daemon, clean=False)
        away.subscribe(*[self.topic(str(n)) for n in range(5)])
        away.disconnect()
        here = [self.client(f"c{n}", daemon) for n in range(7)]
        deadline = time.monotonic() + TIMEOUT
        while True:  # the reader is one of the connected, but not always when they are counted
            values = {k: int(v) for k, v in self.sys(daemon, "clients/#").items()}
            if values.get("clients/disconnected") == 1 and values["clients/connected"] in (7, 8):
                break
            self.assertLess(time.monotonic(), deadline, values)
            time.sleep(0.1)
        self.assertEqual(values["clients/total"], values["clients/connected"] + 1)
        for client in here:
            client.ping()

    @own
    def test_uptime_goes_on(self):
        """Subscribers get new values each interval."""
        daemon = self.daemon_with_sys()
        client = self.client("c", daemon)
        client.subscribe("$SYS/broker/uptime")
        seconds = [int(x.split()[0]) for x in client.payloads(3)]
        self.assertEqual(seconds, sorted(set(seconds)))

    @own
    def test_off(self):
        """sys_interval 0 publishes nothing."""
        daemon = self.start(["sys_interval 0"])
        time.sleep(0.2)
        self.assertEqual(self.sys(daemon, "#"), {})
