# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Clients by the paho libraries for Python and C."""

import subprocess
import threading
import unittest

from harness import build
from harness.client import TIMEOUT
from harness.suite import SystemTest

try:
    import paho.mqtt.client as mqtt
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCodes
    from paho.mqtt.subscribeoptions import SubscribeOptions
except ImportError:
    mqtt = None


@unittest.skipIf(mqtt is None, "no python3-paho-mqtt")
class PahoPython(SystemTest):
    """paho.mqtt.client, with its network thread."""

    def paho(self, name, will=None, **arguments):
        """A connected client and an event list."""
        client = mqtt.Client(self.id(name), **arguments)
        if will:
            client.will_set(*will)
        client.connected, client.subscribed = threading.Event(), threading.Event()
        client.on_connect = lambda *a: client.connected.set()
        client.on_subscribe = lambda *a: client.subscribed.set()
        if self.network.client_ns:  # paho makes its socket in its own function
            client._create_socket_connection = lambda: self.network.socket(self.daemon.port)
        client.connect(self.network.address, self.daemon.port)
        client.loop_start()
        self.addCleanup(client.loop_stop)
        self.addCleanup(client.disconnect)
        self.assertTrue(client.connected.wait(TIMEOUT))
        return client

    def test_round_trips(self):
        """A hundred messages of each QoS, from one client to another, in order."""
        got, done = [], threading.Event()

        def message(_client, _data, packet):
            got.append((packet.qos, packet.payload))
            if len(got) == 300:
                done.set()

        subscriber = self.paho("s")
        subscriber.on_message = message
        subscriber.subscribe(self.topic("#"), 2)
        self.assertTrue(subscriber.subscribed.wait(TIMEOUT))
        publisher = self.paho("p")
        for qos in (0, 1, 2):
            for n in range(100):
                publisher.publish(self.topic(str(qos)), b"%d" % n, qos).wait_for_publish(TIMEOUT)
        self.assertTrue(done.wait(TIMEOUT), f"{len(got)} of 300")
        for qos in (0, 1, 2):
            self.assertEqual([payload for q, payload in got if q == qos], [b"%d" % n for n in range(100)])

    def test_many_in_flight(self):
        """QoS 2 messages queued without waiting."""
        got, done = [], threading.Event()

        def message(_client, _data, packet):
            got.append(packet.payload)
            if len(got) == 200:
                done.set()

        subscriber = self.paho("s")
        subscriber.on_message = message
        subscriber.subscribe(self.topic("t"), 2)
        self.assertTrue(subscriber.subscribed.wait(TIMEOUT))
        publisher = self.paho("p")
        for n in range(200):
            publisher.publish(self.topic("t"), b"%d" % n, 2)
        self.assertTrue(done.wait(TIMEOUT), f"{len(got)} of 200")
        self.assertEqual(got, [b"%d" % n for n in range(200)])


    def test_v5(self):
        """MQTT 5.0: properties of a message come through, those of CONNACK are understood."""
        got, done = [], threading.Event()

        def message(_client, _data, packet):
            got.append(packet)
            if len(got) == 3:
                done.set()

        subscriber = self.paho("s", protocol=mqtt.MQTTv5)
        subscriber.on_message = message
        subscriber.subscribe(self.topic("t"), options=SubscribeOptions(qos=2, retainAsPublished=True))
        self.assertTrue(subscriber.subscribed.wait(TIMEOUT))
        publisher = self.paho("p", protocol=mqtt.MQTTv5)
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType, properties.ResponseTopic, properties.CorrelationData = "text", "answer", b"\0\xff"
        properties.UserProperty = [("b", "1"), ("a", "2"), ("b", "3")]
        for qos in (0, 1, 2):
            publisher.publish(self.topic("t"), b"%d" % qos, qos, properties=properties).wait_for_publish(TIMEOUT)
        self.assertTrue(done.wait(TIMEOUT), f"{len(got)} of 3")
        for qos, packet in enumerate(sorted(got, key=lambda packet: packet.qos)):
            self.assertEqual((packet.qos, packet.payload), (qos, b"%d" % qos))
            self.assertEqual(packet.properties.json(), properties.json())

    def test_v5_will(self):
        """MQTT 5.0: a will with properties; DISCONNECT with reason code 4 publishes it."""
        got, done = [], threading.Event()

        def message(_client, _data, packet):
            got.append((packet.payload, packet.properties.UserProperty))
            done.set()

        watcher = self.paho("w", protocol=mqtt.MQTTv5)
        watcher.on_message = message
        watcher.subscribe(self.topic("will"), 1)
        self.assertTrue(watcher.subscribed.wait(TIMEOUT))
        properties = Properties(PacketTypes.WILLMESSAGE)
        properties.UserProperty = ("why", "with will")
        dying = self.paho("d", will=(self.topic("will"), b"gone", 1, False, properties), protocol=mqtt.MQTTv5)
        dying.disconnect(reasoncode=ReasonCodes(PacketTypes.DISCONNECT, "Disconnect with will message"))
        self.assertTrue(done.wait(TIMEOUT))
        self.assertEqual(got, [(b"gone", [("why", "with will")])])


class PahoC(SystemTest):
    """Programs with libpaho-mqtt3c and 3a."""

    def build(self, name, library):
        """A program of the tests; skipped where the library is missing."""
        try:
            return build.program(name, library)
        except (subprocess.CalledProcessError, OSError):
            raise unittest.SkipTest(f"cannot build with {library}: install libpaho-mqtt-dev") from None

    def uri(self):
        """Where the daemon is, as paho C wants it."""
        return f"tcp://{self.network.address}:{self.daemon.port}"

    def spawn(self, *command):
        """A process where the clients live."""
        process = subprocess.Popen(self.network.client_command(list(command)), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        """Kill it if it still runs."""
        if process.poll() is None:
            process.kill()
        process.communicate()

    def test_synchronous(self):
        """Round trips of each QoS."""
        program = self.build("paho_client", "-lpaho-mqtt3c")
        process = self.spawn(program, self.uri(), self.id("c"), self.topic("t"), "5")
        out, err = process.communicate(timeout=self.limit)
        self.assertEqual((process.returncode, out, err), (0, "ok\n", ""))

    def test_v5(self):
        """MQTT 5.0: each QoS with properties, subscription identifier, a session that waits, reason codes."""
        program = self.build("paho_v5", "-lpaho-mqtt3c")
        process = self.spawn(program, self.uri(), self.id("c"), self.topic("t"))
        out, err = process.communicate(timeout=self.limit)
        self.assertEqual((process.returncode, out, err), (0, "ok\n", ""))

    def test_asynchronous(self):
        """Receives what a raw client publishes, each QoS, in order."""
        program = self.build("paho_async", "-lpaho-mqtt3a")
        process = self.spawn(program, self.uri(), self.id("c"), self.topic("t"), "2", "300")
        self.assertEqual(process.stdout.readline(), "ready\n")
        publisher = self.client("p")
        wanted = []
        for qos in (0, 1, 2):
            for n in range(100):
                publisher.publish(self.topic("t"), f"{qos}-{n}", qos)
                wanted.append(f"{qos} {qos}-{n}")
        out, err = process.communicate(timeout=self.limit)
        self.assertEqual((process.returncode, err), (0, ""))
        for qos in "012":
            self.assertEqual([x for x in out.splitlines() if x[0] == qos], [x for x in wanted if x[0] == qos])
