# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""UNSUBSCRIBE and UNSUBACK of MQTT 5.0: sections 3.10 and 3.11."""

from harness import packets as p
from harness import properties as pr
from harness.suite import SystemTest, differs


class Unsubscribe(SystemTest):
    """What ends, what goes on, what is answered."""

    level = 5

    @differs("mosquitto 2.0.11 delivers once more")
    def test_unsuback(self):
        """A reason code for each filter in their order, 0x11 where there was none; filters are compared character by
        character. 5.0 [MQTT-3.10.4-1] [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6] [MQTT-3.11.3-1] [MQTT-3.11.3-2]
        [MQTT-2.2.1-6]"""
        client = self.client("c")
        client.subscribe(self.topic("a"), self.topic("+"), self.topic("#"), self.topic("b"),
                         "$share/g/" + self.topic("a"))
        client.send(p.unsubscribe(777, self.topic("a"), self.topic("A"), self.topic("+"), self.topic("a"),
                                  self.topic("c"), "$share/G/" + self.topic("a"), "$share/g/" + self.topic("a"),
                                  props=[(pr.USER, ("a", "b"))]))
        unsuback = client.expect(p.UNSUBACK)
        self.assertEqual((unsuback.mid, unsuback.codes), (777, [0, 0x11, 0, 0x11, 0x11, 0x11, 0]))
        client.publish(self.topic("b"), b"x")
        self.assertEqual(client.payloads(1), [b"x"])
        client.unsubscribe(self.topic("#"), self.topic("b"))
        client.publish(self.topic("b"), b"x")
        client.ping()

    def test_nothing_more(self):
        """After the UNSUBACK nothing more comes, of no QoS. 5.0 [MQTT-3.10.4-2]"""
        client, publisher = self.client("c"), self.client("p")
        for qos in (0, 1, 2):
            client.subscribe(self.topic("t"), qos=2)
            publisher.publish(self.topic("t"), b"x", qos)
            client.receive()
            client.unsubscribe(self.topic("t"))
            publisher.publish(self.topic("t"), b"no", qos)
            publisher.ping()
            client.ping()

    def test_begun_deliveries(self):
        """What has begun is completed: QoS 1 and 2 in flight, also over a new connection. 5.0 [MQTT-3.10.4-3]"""
        client, publisher = self.client("c", expiry=100), self.client("p")
        client.subscribe(self.topic("t"), qos=2)
        publisher.publish(self.topic("t"), b"1", 1)
        publisher.publish(self.topic("t"), b"2", 2)
        one, two = client.receive(2, ack=False)
        client.unsubscribe(self.topic("t"))
        client.acknowledge(two)
        client.close()
        client = self.client("c", clean=False, present=True)
        again = client.receive()[0]
        self.assertEqual((again.mid, again.payload, again.dup), (one.mid, b"1", True))
        client.ping()

    def test_malformed(self):
        """Malformed packets 0x81, Protocol Errors 0x82 (0x81 where the form is wrong, too). 5.0 [MQTT-3.10.1-1]
        [MQTT-3.10.3-1] [MQTT-3.10.3-2] [MQTT-2.1.3-1] [MQTT-4.13.1-1]"""
        good = p.unsubscribe(1, "t", props=())
        cases = {
            "no filter": (p.unsubscribe(1, props=()), 0x82, 0x81),
            "packet identifier 0": (p.unsubscribe(0, "t", props=()), 0x82, 0x81),
            "no packet identifier": (p.packet(0xA2), 0x81),
            "no Property Length": (p.packet(0xA2, b"\x00\x01"), 0x81),
            "filter beyond the end": (p.packet(0xA2, b"\x00\x01\x00\x00\x05t"), 0x81),
            "half a length": (p.packet(0xA2, b"\x00\x01\x00\x00"), 0x81),
            "filter not UTF-8": (p.unsubscribe(1, b"\xff", props=()), 0x81),
            "filter with U+0000": (p.unsubscribe(1, b"a\x00", props=()), 0x81),
            "empty filter": (p.unsubscribe(1, "", props=()), 0x81, 0x82, 0x8F),
            "Subscription Identifier": (p.unsubscribe(1, "t", props=[(pr.SUBSCRIPTION_ID, 1)]), 0x82, 0x81),
            "no such property": (p.unsubscribe(1, "t", props=[b"\x04\x00"]), 0x81),
        }
        for flags in (0xA0, 0xA1, 0xA3, 0xAA, 0xAF):
            cases[f"flags {flags:#x}"] = bytes([flags]) + good[1:], 0x81
        for name, (data, *codes) in cases.items():
            with self.subTest(name):
                client = self.client("c")
                client.send(data)
                self.assertEqual(len(client.disconnected(*codes)), 1)
