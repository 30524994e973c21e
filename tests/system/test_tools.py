# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""mosquitto_pub, mosquitto_sub and mosquitto_rr, unchanged from Debian."""

import subprocess

from harness.suite import SystemTest
from harness.tools import Tool, subscribed

LOG = tuple(f"log_type {kind}" for kind in ("error", "warning", "notice", "information", "subscribe"))


class Tools(SystemTest):
    """[MQTT-7.0.0-2]"""

    options = LOG

    def sub(self, name, *arguments):
        """A mosquitto_sub that is subscribed."""
        tool = Tool(self, self.daemon, "mosquitto_sub", "-i", self.id(name), *arguments)
        subscribed(self, self.daemon, self.id(name))
        return tool

    def pub(self, *arguments, data=None):
        """Run mosquitto_pub."""
        return Tool(self, self.daemon, "mosquitto_pub", *arguments, stdin=subprocess.PIPE).finish(data)

    def test_each_qos(self):
        """One message of each QoS, each way. [MQTT-7.0.0-2]"""
        sub = self.sub("s", "-t", self.topic("+"), "-q", "2", "-C", "9", "-F", "%t %q %r %p")
        for qos in "012":
            for n in range(3):
                self.pub("-t", self.topic(qos), "-m", f"message {n}", "-q", qos)
        wanted = [f"{self.topic(q)} {q} 0 message {n}" for q in "012" for n in range(3)]
        self.assertEqual(sub.finish().decode().splitlines(), wanted)

    def test_versions(self):
        """-V mqttv31 and mqttv311."""
        for version in ("mqttv31", "mqttv311"):
            sub = self.sub(version, "-V", version, "-t", self.topic(version), "-C", "1")
            self.pub("-V", version, "-t", self.topic(version), "-m", version)
            self.assertEqual(sub.finish(), version.encode() + b"\n")

    def test_lines(self):
        """-l: a message a line, all from one process, in order, by each QoS."""
        lines = [b"line %d" % n for n in range(500)]
        for qos in "012":
            sub = self.sub(f"s{qos}", "-t", self.topic(qos), "-q", qos, "-C", "500")
            self.pub("-l", "-t", self.topic(qos), "-q", qos, data=b"\n".join(lines) + b"\n")
            self.assertEqual(sub.finish().splitlines(), lines)

    def test_file(self):
        """-s: a large binary payload from standard input."""
        payload = bytes(range(256)) * 3000
        sub = self.sub("s", "-t", self.topic("t"), "-C", "1", "-N")
        self.pub("-s", "-t", self.topic("t"), data=payload)
        self.assertEqual(sub.finish(), payload)

    def test_retained(self):
        """-r stores, -n clears, --retained-only sees it."""
        self.pub("-r", "-t", self.topic("t"), "-m", "kept", "-q", "1")
        out = Tool(self, self.daemon, "mosquitto_sub", "-t", self.topic("t"), "-C", "1", "-F", "%r %p").finish()
        self.assertEqual(out, b"1 kept\n")
        self.pub("-r", "-n", "-t", self.topic("t"))
        late = self.client("late")
        late.subscribe(self.topic("t"))
        late.ping()

    def test_will(self):
        """--will-topic: kill -9 of the client publishes it."""
        watch = self.client("watch")
        watch.subscribe(self.topic("will"))
        sub = self.sub("s", "-t", self.topic("t"), "--will-topic", self.topic("will"), "--will-payload", "died")
        sub.process.kill()
        self.assertEqual(watch.payloads(1), [b"died"])

    def test_persistent(self):
        """-c: messages wait for the client."""
        arguments = ("-c", "-q", "1", "-t", self.topic("t"))
        self.sub("s", *arguments, "-E").finish()
        self.pub("-t", self.topic("t"), "-m", "waited", "-q", "1")
        sub = Tool(self, self.daemon, "mosquitto_sub", "-i", self.id("s"), *arguments, "-C", "1")
        self.assertEqual(sub.finish(), b"waited\n")
        self.client("s", clean=True).disconnect()

    def test_request_response(self):
        """mosquitto_rr waits for its answer."""
        server = self.client("server")
        server.subscribe(self.topic("request"), qos=1)
        rr = Tool(self, self.daemon, "mosquitto_rr", "-i", self.id("rr"), "-V", "mqttv311", "-t", self.topic("request"),
                  "-e", self.topic("answer"), "-m", "question", "-q", "1")
        self.assertEqual(server.payloads(1), [b"question"])
        server.publish(self.topic("answer"), b"answer", 1)
        self.assertEqual(rr.finish(), b"answer\n")

    def test_healthcheck(self):
        """The usual health check: one message of $SYS."""
        out = Tool(self, self.daemon, "mosquitto_sub", "-t", "$SYS/broker/version", "-C", "1", "-W", "9").finish()
        self.assertIn(b" version ", out)
