# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Hostile packets in hex: each closes the connection it came on and nothing else."""

import contextlib
import re

from harness import packets as p
from harness.suite import SystemTest, differs

SOON = 3.0  # seconds: there are many, and each of them is to be closed at once

# After a good CONNECT. The name says what is wrong.
AFTER_CONNECT = {
    "type 0": "0000",
    "type 15 (AUTH of version 5)": "f000",
    "CONNACK from a client": "20020000",
    "Remaining Length of five bytes": "30ffffffff7f",
    "Remaining Length of five bytes, zero": "308080808000",
    "Remaining Length of five bytes on PINGREQ": "c0ffffffff01",
    "PUBLISH QoS 3": "3606000161000178",
    "PUBLISH QoS 3 with DUP and RETAIN": "3f06000161000178",
    "PUBLISH without anything": "3000",
    "PUBLISH with half a topic length": "300100",
    "PUBLISH topic beyond the end": "300500ff616263",
    "PUBLISH topic one byte beyond the end": "30040003" + "6162",
    "PUBLISH QoS 1 without identifier": "320400026162",
    "PUBLISH QoS 1 with half an identifier": "32050002616200",
    "PUBLISH QoS 1 identifier 0": "3205000161" + "0000",
    "PUBLISH empty topic": "3003000078",
    "PUBLISH empty topic without payload": "30020000",
    "PUBLISH topic with #": "300400022f23",
    "PUBLISH topic with +": "300400012b78",
    "PUBLISH topic with NUL": "300600036100" + "6278",
    "PUBLISH topic with surrogate": "30060003eda08078",
    "PUBACK without identifier": "4000",
    "PUBACK with half an identifier": "400100",
    "PUBREL flags 0": "60020001",
    "PUBREL flags 3": "63020001",
    "PUBREL flags 15": "6f020001",
    "PUBREL without identifier": "6200",
    "SUBSCRIBE flags 0": "800600010001" + "6100",
    "SUBSCRIBE without filter": "82020001",
    "SUBSCRIBE identifier 0": "8206000000016100",
    "SUBSCRIBE QoS 3": "8206000100016103",
    "SUBSCRIBE reserved bits": "8206000100016104",
    "SUBSCRIBE ends after the filter": "82050001000161",
    "SUBSCRIBE empty filter": "82050001000000",
    "SUBSCRIBE filter a#": "820700010002612300",
    "UNSUBSCRIBE flags 0": "a00500010001" + "61",
    "UNSUBSCRIBE without filter": "a2020001",
    "UNSUBSCRIBE identifier 0": "a2050000000161",
    "DISCONNECT flags": "e100",
    "second CONNECT": "100d00044d51545404020000000161",
}
# mosquitto 2.0.11 lets these pass.
LENIENT = {
    "SUBACK from a client": "9003000100",
    "UNSUBACK from a client": "b0020001",
    "PUBACK flags": "41020001",
    "PUBREC flags": "52020001",
    "PUBCOMP flags": "78020001",
    "PINGREQ flags": "c100",
    "PINGRESP from a client": "d000",
    "PINGREQ with a body": "c00100",
    "DISCONNECT with a body": "e00100",
    "PUBACK longer than it is": "4003000100",
    "PUBREL identifier 0": "62020000",
    "PUBACK identifier 0": "40020000",
    "PUBREC identifier 0": "50020000",
    "PUBCOMP identifier 0": "70020000",
    "PUBLISH QoS 0 with DUP": "380400016178",
}
# In place of a CONNECT.
FIRST = {
    "Remaining Length of five bytes": "10ffffffff7f",
    "nothing in it": "1000",
    "name cut off": "100300044d",
    "name longer than the packet": "1006ffff4d515454",
    "flags missing": "100700044d51545404",
    "keep alive missing": "100800044d5154540402",
    "CONNACK": "20020000",
    "PUBLISH": "300400016178",
    "PINGREQ": "c000",
    "type 0": "0000",
    "type 15": "f000",
    "zeros": "00" * 64,
    "ones": "ff" * 64,
    "TLS ClientHello": "160301007a010000760303" + "5a" * 111,
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".hex(),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n".hex(),
    "PROXY": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".hex(),
}


class Malformed(SystemTest):
    """The connection is closed without an answer; its will is sent; a pair of others goes on."""

    def setUp(self):
        super().setUp()
        self.bystander = self.client("bystander")
        self.watcher()

    def watcher(self):
        """A new client that sees what the test's others publish."""
        self.watch = self.client("watch")
        self.watch.subscribe(self.topic("#"))

    @contextlib.contextmanager
    def entry(self, name):
        """One line of a table; when it fails the next ones start afresh."""
        with self.subTest(name):
            try:
                yield
            except Exception:
                self.client("victim").disconnect()
                self.watcher()
                raise

    def others_notice_nothing(self, n):
        """A message from the bystander reaches the watcher: first and only thing it gets."""
        self.bystander.publish(self.topic("alive"), b"%d" % n)
        self.assertEqual(self.watch.payloads(1), [b"%d" % n])

    def closes(self, table):
        """Each entry of the table."""
        for n, (name, data) in enumerate(table.items()):
            with self.entry(name):
                client = self.client("victim", will=(self.topic("will"), name, 0, False))
                client.send(bytes.fromhex(data))
                self.assertEqual(client.closed(SOON), [])
                self.assertEqual(self.watch.payloads(1), [name.encode()])
                self.others_notice_nothing(n)

    def test_after_connect(self):
        """The table of packets after CONNECT. [MQTT-4.8.0-1] [MQTT-2.2.2-1] [MQTT-2.2.2-2] [MQTT-2.3.1-1]
        [MQTT-3.3.1-4] [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1] [MQTT-3.3.2-1] [MQTT-3.14.1-1]"""
        names = dict(AFTER_CONNECT)
        if self.reference:  # forgets the will, test_will.second_connect
            del names["second CONNECT"]
        self.closes(names)

    @differs("mosquitto 2.0.11 lets these pass")
    def test_strictly(self):
        """Where the standard says what a packet is, anything else is a violation. [MQTT-4.8.0-1] [MQTT-3.3.1-2]"""
        self.closes(LENIENT)

    def test_first_packet(self):
        """The table of packets in place of CONNECT. [MQTT-3.1.0-1] [MQTT-3.1.4-1]"""
        for n, (name, data) in enumerate(FIRST.items()):
            with self.entry(name):
                client = self.raw()
                client.send(bytes.fromhex(data))
                client.half_close()
                self.assertEqual(client.closed(SOON), [])
                self.others_notice_nothing(n)

    def test_after_a_flow(self):
        """The same from a client whose QoS 0 messages the kernel forwards: what was right before it is delivered, then
        the connection ends."""
        for n, (name, data) in enumerate(AFTER_CONNECT.items()):
            with self.entry(name):
                client = self.client("victim")
                self.install(client, self.watch, self.topic("flow"), count=2)
                client.publish(self.topic("flow"), name)
                client.send(p.publish(self.topic("flow"), b"in one segment"), bytes.fromhex(data))
                self.assertEqual(client.closed(SOON), [])
                self.assertEqual(self.watch.payloads(2), [name.encode(), b"in one segment"])
                self.others_notice_nothing(n)

    def test_subscriber_with_flow(self):
        """The same from a client that receives a flow: the publisher gets no error."""
        for name in ("type 0", "Remaining Length of five bytes", "PUBREL flags 0", "SUBSCRIBE QoS 3"):
            with self.subTest(name):
                victim = self.client("victim")
                victim.subscribe("single/" + self.name)
                self.install(self.bystander, victim, "single/" + self.name, count=2)
                victim.send(bytes.fromhex(AFTER_CONNECT[name]))
                victim.closed()
                for _ in range(20):
                    self.bystander.publish("single/" + self.name, b"nobody")
                self.bystander.alive()

    def test_log(self):
        """A line of the log names the client and the reason."""
        client = self.client("victim")
        client.send(b"\x36\x06\x00\x01a\x00\x01x")
        client.closed()
        line = self.daemon.wait_log(r".*victim-log\b.*disconnected.*")[0]
        self.assertRegex(line, r"malformed packet|protocol error")

    def test_log_without_name(self):
        """A connection without a client identifier is named by its address."""
        client = self.raw()
        port = client.sock.getsockname()[1]
        client.send(b"\xff\xff\xff\xff\xff")
        client.closed()
        self.daemon.wait_log(rf"New connection from [0-9.]+:{port} on port {self.daemon.port}\.$")
        self.daemon.wait_log(r"disconnected.*(malformed packet|protocol error)")

    def test_log_is_one_line(self):
        """A client identifier cannot forge lines of the log."""
        evil = "evil\n1700000000: New client connected from 192.0.2.1:1 as root"
        try:
            self.client("x", client_id=evil).disconnect()
        except Exception as error:
            self.assertEqual(type(error).__name__, "Closed")
        self.assertIsNone(re.search(r"^1700000000: New client connected from 192\.0\.2\.1", self.daemon.log(), re.M))

    def test_goes_on_sending(self):
        """A client that goes on sending after the packet that closed its connection is told by a reset; it does not
        hang in its send."""
        for qos in (0, 1):
            client = self.client("victim")
            data = p.publish(self.topic("flood"), b"x" * 100, qos, mid=1 if qos else None) * 200
            with self.assertRaises(ConnectionError):
                for n in range(2000):
                    client.send(data)
                    if n == 20:
                        client.send(b"\xf0\x00")

    def test_random_bytes(self):
        """Random bytes, the same each run, in place of CONNECT and after it."""
        seed = 12345
        for n in range(200):
            data = bytearray()
            for _ in range(n % 40 + 2):
                seed = (seed * 1103515245 + 12345) % (1 << 31)
                data.append(seed >> 16 & 255)
            client = self.raw() if n % 2 else self.client("victim")
            client.send(bytes(data))
            client.half_close()
            client.closed()
        self.bystander.publish(self.topic("alive"), b"after all")
        came = self.drain(self.bystander, self.watch)
        self.assertIn(b"after all", [x.payload for x in came])
