# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Reason codes of refusal in acknowledgements, Reason Strings, and Request Problem Information of MQTT 5.0: sections
2.4 and 3.1.2.11.7."""

from harness import packets as p
from harness import properties as pr
from harness.suite import SystemTest, own

FORBIDDEN = "$SYS/broker/mine"  # who publishes there is refused, with 0x87


class Reasons(SystemTest):
    """A PUBLISH that the server does not take."""

    level = 5

    def refused(self, client, qos, mid=1):
        """PUBLISH of QoS 1 or 2 that is refused: the acknowledgement."""
        client.send(p.publish(FORBIDDEN, b"x", qos, mid=mid, props=()))
        packet = client.expect(p.PUBACK if qos == 1 else p.PUBREC)
        self.assertEqual((packet.mid, packet.code), (mid, 0x87))
        return packet

    @own
    def test_publish(self):
        """PUBACK and PUBREC say 0x87; QoS 0 is ignored; the connection stays, and nothing is published. 5.0
        [MQTT-3.4.2-1] [MQTT-3.5.2-1]"""
        watch, client = self.client("watch"), self.client("c")
        watch.subscribe("$SYS/broker/mine", qos=2)
        self.refused(client, 1)
        self.refused(client, 2)
        client.send(p.publish(FORBIDDEN, b"x", props=()))
        client.ping()
        watch.ping()

    @own
    def test_identifier_is_free(self):
        """After a PUBREC of 0x80 or more the identifier is free: the same one begins a new message, and none of it
        counts against the receive maximum. 5.0 [MQTT-4.3.3-9] [MQTT-3.3.4-7]"""
        watch, client = self.client("watch"), self.client("c")
        watch.subscribe(self.topic("t"), qos=2)
        for _ in range(30):
            self.refused(client, 2, 7)
        client.publish(self.topic("t"), b"new", 2, mid=7)
        self.assertEqual(watch.payloads(1), [b"new"])
        for mid in range(1, 31):
            self.refused(client, 2, mid)
        client.ping()

    @own
    def test_reason_string(self):
        """The Reason String says why, where the client wants problem information; by default it does.
        5.0 [MQTT-3.1.2-29]"""
        for props in ((), [(pr.REQUEST_PROBLEM, 1)]):
            client = self.client("c", props=props)
            for qos in (1, 2):
                self.assertTrue(self.refused(client, qos).props.get(pr.REASON_STRING))

    @own
    def test_request_problem_information(self):
        """Who does not want it gets no Reason String and no User Property but in CONNACK, DISCONNECT and PUBLISH.
        5.0 [MQTT-3.1.2-29]"""
        client = self.client("c", props=[(pr.REQUEST_PROBLEM, 0)])
        client.subscribe(self.topic("t"), qos=2)
        for qos in (1, 2):
            self.assertEqual(self.refused(client, qos).props, [])
        client.send(p.subscribe(9, ("$share/g", 0), ("$share/g/t", 0), props=()))
        if (packet := client.read()).type == p.SUBACK:
            self.assertEqual(packet.props, [])
        else:  # that is allowed, too
            self.assertEqual(packet.type, p.DISCONNECT)
            client = self.client("c", props=[(pr.REQUEST_PROBLEM, 0)])
            client.subscribe(self.topic("t"), qos=2)
        client.unsubscribe("none", codes=[0x11])
        self.assertEqual(client.answer.props, [])
        client.send(p.ack(p.PUBREL, 4000))
        self.assertEqual(client.expect(p.PUBCOMP).props, [])
        client.publish(self.topic("t"), b"x", 2, props=[(pr.USER, ("a", "b"))])
        self.assertEqual(client.receive()[0].props, [(pr.USER, ("a", "b"))])

    @own
    def test_reason_string_and_size(self):
        """A Reason String that makes a packet larger than the client's Maximum Packet Size is left out, and the packet
        sent. 5.0 [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-3.1.2-24]"""
        length = len(self.refused(self.client("c"), 1).body) + 2
        self.assertGreater(length, 30)
        for maximum in (24, length - 1, length, length + 1):
            client = self.client("c", props=[(pr.MAXIMUM_PACKET_SIZE, maximum)])
            for qos in (1, 2):
                packet = self.refused(client, qos)
                self.assertEqual(packet.props.get(pr.REASON_STRING) is not None, maximum >= length)

    @own
    def test_old_versions(self):
        """3.1.1 has no words for it: it is acknowledged and not published."""
        client = self.client("c", level=4)
        client.publish(FORBIDDEN, b"x", 1)
        client.publish(FORBIDDEN, b"x", 2)
        client.ping()
