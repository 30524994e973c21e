# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The handshakes of QoS 1 and 2 in MQTT 5.0, both ways, and their reason codes: sections 3.4 to 3.7, 4.3, 4.4."""

from harness import packets as p
from harness import properties as pr
from harness.suite import SystemTest, differs

WHY = [(pr.REASON_STRING, "because"), (pr.USER, ("a", "b"))]


class Inbound(SystemTest):
    """From client to server."""

    level = 5

    def test_each_qos(self):
        """Each QoS is answered as it has to be, with the identifier of the PUBLISH. 5.0 [MQTT-3.3.4-1] [MQTT-2.2.1-5]
        [MQTT-4.3.2-4] [MQTT-4.3.3-8] [MQTT-4.3.3-11]"""
        client, watch = self.client("c"), self.client("watch")
        watch.subscribe(self.topic("t"), qos=2)
        client.send(p.publish(self.topic("t"), b"0", props=()))
        client.ping()
        client.send(p.publish(self.topic("t"), b"1", 1, mid=65535, props=()))
        packet = client.expect(p.PUBACK)
        self.assertEqual((packet.mid, packet.code), (65535, 0))
        for data in (p.ack(p.PUBREL, 1), p.ack(p.PUBREL, 1, 0), p.ack(p.PUBREL, 1, 0, ()), p.ack(p.PUBREL, 1, 0, WHY)):
            client.send(p.publish(self.topic("t"), b"2", 2, mid=1, props=()))
            packet = client.expect(p.PUBREC)
            self.assertEqual((packet.mid, packet.code), (1, 0))
            client.send(data)
            packet = client.expect(p.PUBCOMP)
            self.assertEqual((packet.mid, packet.code), (1, 0))
        client.ping()
        self.assertEqual(watch.payloads(6), [b"0", b"1"] + [b"2"] * 4)
        watch.ping()

    def test_no_matching_subscribers(self):
        """Who publishes with QoS 1 what nobody subscribed to is told 0x10; with a subscriber it is 0x00. A PUBREC may
        say it, too. 5.0 [MQTT-3.4.2-1] [MQTT-3.5.2-1]"""
        client = self.client("c")
        client.subscribe(self.topic("me"), qos=0)
        for qos in (1, 2):
            client.publish(self.topic("nobody", str(qos)), b"x", qos)
            self.assertIn(client.answer.code, (0x10,) if qos == 1 else (0, 0x10))
            client.publish(self.topic("me"), b"x", qos)
            self.assertEqual(client.answer.code, 0)
            client.receive()

    def test_qos_1_again(self):
        """After the PUBACK the same identifier is a new message, DUP or not. 5.0 [MQTT-4.3.2-5]"""
        client, watch = self.client("c"), self.client("watch")
        watch.subscribe(self.topic("t"), qos=1)
        for dup in (False, True, True):
            client.publish(self.topic("t"), b"x", 1, dup=dup, mid=7)
        self.assertEqual(watch.payloads(3), [b"x"] * 3)

    def test_qos_2_once(self):
        """Until the PUBREL a repetition is answered and not delivered again; after the PUBCOMP the identifier is new; a
        reconnection in between changes nothing. 5.0 [MQTT-4.3.3-10] [MQTT-4.3.3-12] [MQTT-4.4.0-1] [MQTT-3.1.2-5]"""
        watch = self.client("watch")
        watch.subscribe(self.topic("t"), qos=2)
        client = self.client("c", expiry=100)
        for payload in (b"first", b"second"):
            for dup in (False, True):
                client.send(p.publish(self.topic("t"), payload, 2, dup=dup, mid=3, props=()))
                self.assertEqual(client.expect(p.PUBREC).mid, 3)
            client.close()
            client = self.client("c", clean=False, present=True, expiry=100)
            client.send(p.publish(self.topic("t"), payload, 2, dup=True, mid=3, props=()))
            self.assertEqual(client.expect(p.PUBREC).mid, 3)
            client.send(p.ack(p.PUBREL, 3))
            self.assertEqual(client.expect(p.PUBCOMP).mid, 3)
        self.assertEqual([x.payload for x in watch.settle()], [b"first", b"second"])

    def test_unknown_pubrel(self):
        """A PUBREL that belongs to nothing gets a PUBCOMP, 0x92 or 0x00, and the connection goes on. 5.0
        [MQTT-4.3.3-11] [MQTT-3.7.2-1]"""
        client = self.client("c")
        client.send(p.ack(p.PUBREL, 1234))
        packet = client.expect(p.PUBCOMP)
        self.assertEqual(packet.mid, 1234)
        self.assertIn(packet.code, (0x92, 0x00))
        client.ping()


class Outbound(SystemTest):
    """From server to client."""

    level = 5

    def begin(self, qos, count=1, **fields):
        """A client with unacknowledged messages, and they."""
        client, publisher = self.client("c", expiry=100, **fields), self.client("p")
        client.subscribe(self.topic("t"), qos=2)
        for n in range(count):
            publisher.publish(self.topic("t"), b"%d" % n, qos, props=[(pr.USER, ("n", str(n)))])
        return client, client.receive(count, ack=False)

    def back(self, **fields):
        """The session resumed."""
        return self.client("c", clean=False, present=True, expiry=100, **fields)

    def test_forms(self):
        """Acknowledgements with and without reason code and properties are accepted. 5.0 [MQTT-4.3.3-4] [MQTT-2.2.1-5]
        [MQTT-3.6.2-1]"""
        forms = ((), (0,), (0, ()), (0, WHY))
        client, came = self.begin(1, 4)
        for packet, form in zip(came, forms):
            client.send(p.ack(p.PUBACK, packet.mid, *form))
        client.disconnect()
        client, came = self.begin(2, 4, present=False)
        for packet, form in zip(came, forms):
            client.send(p.ack(p.PUBREC, packet.mid, *form))
            pubrel = client.expect(p.PUBREL)
            self.assertEqual((pubrel.mid, pubrel.code), (packet.mid, 0))
            client.send(p.ack(p.PUBCOMP, packet.mid, *form))
        client.ping()
        client.close()
        self.back().ping()

    def test_resumed(self):
        """On resumption, and only then, what is not acknowledged comes again, in its order, with its identifier, DUP
        and its properties. 5.0 [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-4.3.2-3] [MQTT-4.3.3-3] [MQTT-4.3.3-5]
        [MQTT-4.3.3-6] [MQTT-3.3.2-17]"""
        client, came = self.begin(2, 4)
        client.send(p.ack(p.PUBREC, came[0].mid), p.ack(p.PUBREC, came[2].mid))
        self.assertEqual([client.expect(p.PUBREL).mid for _ in range(2)], [came[0].mid, came[2].mid])
        client.ping()
        client.close()
        for _ in range(2):
            client = self.back()
            again = [client.read() for _ in range(4)]
            self.assertEqual(sorted(x.mid for x in again if x.type == p.PUBREL), [came[0].mid, came[2].mid])
            publish = [x for x in again if x.type == p.PUBLISH]
            self.assertEqual([(x.mid, x.dup, x.payload, x.props) for x in publish],
                             [(x.mid, True, x.payload, x.props) for x in (came[1], came[3])])
            client.ping()
            client.close()
        client = self.back()
        for packet in [client.read() for _ in range(4)]:
            if packet.type == p.PUBREL:
                client.send(p.ack(p.PUBCOMP, packet.mid))
            else:
                client.acknowledge(packet)
        client.ping()
        client.close()
        self.back().ping()

    def test_refused(self):
        """A PUBACK or PUBREC of 0x80 or more is the end of the message: no PUBREL, nothing again. 5.0 [MQTT-4.4.0-2]
        [MQTT-4.3.3-4]"""
        for code in (0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99):
            client, came = self.begin(1, present=None)
            client.send(p.ack(p.PUBACK, came[0].mid, code, WHY))
            client.ping()
            client.disconnect()
            client, came = self.begin(2, present=None)
            client.send(p.ack(p.PUBREC, came[0].mid, code))
            client.ping()
            client.close()
            client = self.back()
            client.ping()
            client.disconnect()

    def test_not_found(self):
        """PUBCOMP 0x92 ends it as well; a PUBREC for what is not in flight gets a PUBREL 0x92 or 0x00, or nothing.
        5.0 [MQTT-3.6.2-1]"""
        client, came = self.begin(2)
        client.send(p.ack(p.PUBREC, came[0].mid))
        client.expect(p.PUBREL)
        client.send(p.ack(p.PUBCOMP, came[0].mid, 0x92))
        client.ping()
        client.close()
        client = self.back()
        client.ping()
        client.send(p.ack(p.PUBREC, 999))
        client.alive()  # an answer that waits for the disk comes behind the PINGRESP
        client.send(p.ack(p.PUBACK, 998), p.ack(p.PUBCOMP, 997))
        client.alive()
        self.assertIn([(x.type, x.mid) for x in client.pending], ([], [(p.PUBREL, 999)]))

    @differs("mosquitto 2.0.11 gives out an identifier in use")
    def test_identifiers_in_use(self):
        """An identifier in use is not given to another message, when they have gone round. 5.0 [MQTT-2.2.1-4]
        [MQTT-4.3.2-1] [MQTT-4.3.3-1]"""
        client, publisher = self.client("c"), self.client("p")
        client.subscribe(self.topic("t"), qos=1)
        publisher.publish(self.topic("t"), b"held", 1)
        held = client.receive(ack=False)[0].mid
        self.assertEqual(held, 1)
        wanted = 2
        while wanted < 65535 + 40:
            for n in range(18):
                publisher.send(p.publish(self.topic("t"), b"x", 1, mid=n + 1, props=()))
            acks = b""
            for packet in client.receive(18, ack=False):
                expected = (wanted - 1) % 65535 + 1
                if expected == held:
                    wanted += 1
                    expected += 1
                self.assertEqual(packet.mid, expected)
                wanted += 1
                acks += p.ack(p.PUBACK, packet.mid)
            client.send(acks)
            for _ in range(18):
                publisher.expect(p.PUBACK)


class Malformed(SystemTest):
    """Acknowledgements that are wrong."""

    level = 5

    def ended(self, data, *codes):
        """DISCONNECT with one of these reason codes."""
        client = self.client("c")
        client.send(data)
        self.assertEqual(len(client.disconnected(*codes)), 1)

    @differs("mosquitto 2.0.11 just closes on strings that are not UTF-8")
    def test_form(self):
        """Malformed: 0x81. 5.0 [MQTT-2.1.3-1] [MQTT-3.6.1-1] [MQTT-4.13.1-1] [MQTT-1.5.7-1]"""
        for kind in (p.PUBACK, p.PUBREC, p.PUBREL, p.PUBCOMP):
            good = p.ack(kind, 5)
            cases = {
                "empty": p.packet(good[0]),
                "one byte": p.packet(good[0], b"\x01"),
                "Property Length beyond the end": p.packet(good[0], b"\x00\x05\x00\x01"),
                "bytes left over": p.packet(good[0], b"\x00\x05\x00\x00\x00"),
                "no such property": p.ack(kind, 5, 0, [b"\x04\x00"]),
                "Reason String not UTF-8": p.ack(kind, 5, 0, [(pr.REASON_STRING, b"\xff")]),
                "User Property with U+0000": p.ack(kind, 5, 0, [(pr.USER, ("a\0", "b"))]),
            }
            for flag in (1, 2, 4, 8):
                cases[f"flags {flag}"] = bytes([good[0] ^ flag]) + good[1:]
            for name, data in cases.items():
                with self.subTest(f"{p.NAMES[kind]} {name}"):
                    self.ended(data, 0x81)

    @differs("mosquitto 2.0.11 does not look at all of it")
    def test_protocol_errors(self):
        """Protocol Errors: 0x82. (A reason code that is none, and a property of other packets, is one of both.) 5.0
        [MQTT-4.13.1-1] [MQTT-2.2.1-3]"""
        for kind in (p.PUBACK, p.PUBREC, p.PUBREL, p.PUBCOMP):
            with self.subTest(f"{p.NAMES[kind]} Reason String twice"):
                self.ended(p.ack(kind, 5, 0, [(pr.REASON_STRING, "a")] * 2), 0x82)
            with self.subTest(f"{p.NAMES[kind]} Session Expiry Interval"):
                self.ended(p.ack(kind, 5, 0, [(pr.SESSION_EXPIRY, 1)]), 0x81, 0x82)
            with self.subTest(f"{p.NAMES[kind]} packet identifier 0"):
                self.ended(p.ack(kind, 0), 0x81, 0x82)
            for code in (0x01, 0x04, 0x10, 0x81, 0x8E, 0xFF):  # 0x10 is the server's
                with self.subTest(f"{p.NAMES[kind]} reason code {code:#x}"):
                    self.ended(p.ack(kind, 5, code), 0x81, 0x82)
