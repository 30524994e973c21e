# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""mosquitto_pub, mosquitto_sub and mosquitto_rr, unchanged from Debian."""

import subprocess

from harness import properties
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
        # each is from a process of its own, so there is no order among those of QoS 0, which are not acknowledged
        self.assertEqual(sorted(sub.finish().decode().splitlines()), wanted)

    def test_versions(self):
        """-V mqttv31 and mqttv311."""
        for version in ("mqttv31", "mqttv311"):
            sub = self.sub(version, "-V", version, "-t", self.topic(version), "-C", "1")
            self.pub("-V", version, "-t", self.topic(version), "-m", version)
            self.assertEqual(sub.finish(), version.encode() + b"\n")

    def test_v5(self):
        """-V mqttv5: properties by -D come out by mosquitto_sub's formats."""
        sub = self.sub("s", "-V", "mqttv5", "-t", self.topic("t"), "-q", "1", "-C", "1", "-D", "subscribe",
                       "subscription-identifier", "300", "-F", "%p|%C|%D|%R|%F|%P|%S|%E")
        self.pub("-V", "mqttv5", "-t", self.topic("t"), "-q", "1", "-m", "text",
                 "-D", "publish", "content-type", "plain", "-D", "publish", "correlation-data", "7",
                 "-D", "publish", "response-topic", "answer", "-D", "publish", "payload-format-indicator", "1",
                 "-D", "publish", "message-expiry-interval", "1000",
                 "-D", "publish", "user-property", "b", "1", "-D", "publish", "user-property", "a", "2")
        *others, expiry = sub.finish().decode().rstrip("\n").split("|")
        self.assertEqual(others, ["text", "plain", "7", "answer", "1", "b:1 a:2", "300"])
        self.assertIn(int(expiry), range(900, 1001))

    def test_v5_session(self):
        """-V mqttv5 with a session expiry interval: messages wait."""
        arguments = ("-V", "mqttv5", "-c", "-x", "1000", "-q", "1", "-t", self.topic("t"))
        self.sub("s", *arguments, "-E").finish()
        self.pub("-V", "mqttv5", "-t", self.topic("t"), "-m", "waited", "-q", "1")
        sub = Tool(self, self.daemon, "mosquitto_sub", "-i", self.id("s"), *arguments, "-C", "1")
        self.assertEqual(sub.finish(), b"waited\n")

    def test_v5_options(self):
        """--retain-as-published; will properties."""
        self.pub("-V", "mqttv5", "-r", "-t", self.topic("t"), "-m", "kept", "-q", "1")
        sub = self.sub("s", "-V", "mqttv5", "-t", self.topic("t"), "--retain-as-published", "-C", "2", "-F", "%r %p")
        self.pub("-V", "mqttv5", "-r", "-n", "-t", self.topic("t"), "-q", "1")
        self.assertEqual(sub.finish(), b"1 kept\n1 \n")
        watch = self.sub("w", "-V", "mqttv5", "-t", self.topic("will"), "-C", "1", "-F", "%p %P")
        dying = self.sub("d", "-V", "mqttv5", "-t", self.topic("other"), "--will-topic", self.topic("will"),
                         "--will-payload", "died", "-D", "will", "user-property", "why", "killed")
        dying.process.kill()
        self.assertEqual(watch.finish(), b"died why:killed\n")

    def test_v5_request_response(self):
        """mosquitto_rr of 5.0: response topic and correlation data."""
        server = self.client("server", level=5)
        server.subscribe(self.topic("request"), qos=1)
        rr = Tool(self, self.daemon, "mosquitto_rr", "-i", self.id("rr"), "-V", "mqttv5", "-t", self.topic("request"),
                  "-e", self.topic("answer"), "-m", "question", "-q", "1", "-D", "publish", "correlation-data", "7")
        question = server.receive()[0]
        get = question.props.get
        self.assertEqual((question.payload, get(properties.RESPONSE_TOPIC)), (b"question", self.topic("answer")))
        answer = [(properties.CORRELATION_DATA, get(properties.CORRELATION_DATA))]
        server.publish(get(properties.RESPONSE_TOPIC), b"answer", 1, props=answer)
        self.assertEqual(rr.finish(), b"answer\n")

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
        self.pub("-r", "-n", "-t", self.topic("t"), "-q", "1")
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
