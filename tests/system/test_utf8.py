# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Strings: section 1.5.3."""

from harness import packets as p
from harness.suite import SystemTest, recorded

ILL_FORMED = {
    "lone continuation": b"a\x80b", "lone continuation bf": b"\xbf", "start without continuation": b"a\xc3",
    "start followed by ASCII": b"\xc3(", "overlong slash": b"\xc0\xaf", "overlong 2": b"\xc1\xbf",
    "overlong 3": b"\xe0\x80\xaf", "overlong 3 end": b"\xe0\x9f\xbf", "overlong 4": b"\xf0\x80\x80\xaf",
    "overlong NUL": b"\xc0\x80", "surrogate D800": b"\xed\xa0\x80", "surrogate DFFF": b"\xed\xbf\xbf",
    "surrogate pair": b"\xed\xa0\xbd\xed\xb8\x80", "above 10FFFF": b"\xf4\x90\x80\x80", "f5": b"\xf5\x80\x80\x80",
    "fe": b"\xfe", "ff": b"\xff\xff", "cut 3": b"\xe2\x82", "cut 4": b"\xf0\x9f\x98",
    "five bytes": b"\xf8\x88\x80\x80\x80",
}
NUL = {"NUL": b"\x00", "NUL inside": b"a\x00b", "NUL last": b"a\x00"}
WELL_FORMED = ["é", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd", "\U00010000", "\U0010fffd", "😀/日本語",
               "\ufeff", "a\ufeffb", "a\u200db"]


class Utf8(SystemTest):
    """Ill-formed strings close, in each field of each packet; the rest passes unchanged."""

    def fields(self, text):
        """A CONNECT, or a packet after a good one, with the string in each field."""
        return {
            "topic name QoS 0": p.publish(text, b"x"),
            "topic name QoS 1": p.publish(text, b"x", 1, mid=1),
            "filter of SUBSCRIBE": p.subscribe(1, (text, 0)),
            "second filter of SUBSCRIBE": p.subscribe(1, ("good", 0), (text, 0)),
            "filter of UNSUBSCRIBE": p.unsubscribe(1, text),
        }

    def connects(self, text):
        """CONNECT packets with the string in each field."""
        return {
            "client identifier": p.connect(text),
            "will topic": p.connect("c", will=(text, "x", 0, False)),
            "user name": p.connect("c", username=text),
        }

    def closes(self, table):
        """Each string in each field closes the connection without an answer."""
        for name, text in table.items():
            for field, data in self.fields(text).items():
                with self.subTest(f"{field}: {name}"):
                    client = self.client("c")
                    client.send(data)
                    self.assertEqual(client.closed(), [])
            for field, data in self.connects(text).items():
                with self.subTest(f"{field}: {name}"):
                    client = self.raw()
                    client.send(data)
                    self.assertEqual(client.closed(), [])

    def test_ill_formed(self):
        """Ill-formed UTF-8, surrogates included, closes the connection. [MQTT-1.5.3-1] [MQTT-3.3.2-1] [MQTT-3.8.3-1]
        [MQTT-3.10.3-1] [MQTT-3.1.3-4] [MQTT-3.1.3-10] [MQTT-3.1.3-11]"""
        self.closes(ILL_FORMED)

    def test_nul(self):
        """U+0000 closes the connection. [MQTT-1.5.3-2] [MQTT-4.7.3-2]"""
        self.closes(NUL)

    def test_control_and_non_characters(self):
        """They may be refused, and are, as by mosquitto."""
        self.closes({repr(text): text.encode() for text in ("\u0001", "\u001f", "\u007f", "\u0085", "\u009f", "\ufdd0", "\ufffe",
                                                            "\uffff", "\U0001ffff")})

    @recorded
    def test_well_formed(self):
        """Everything else arrives as it was sent; U+FEFF is not stripped, nothing is normalised. [MQTT-1.5.3-3]
        [MQTT-4.7.3-4]"""
        client, publisher = self.client("s"), self.client("p")
        client.subscribe(self.topic("#"))
        for text in WELL_FORMED:
            for _ in range(3):
                publisher.publish(self.topic(text), text)
                packet = client.receive()[0]
                self.assertEqual((packet.topic, packet.payload), (self.topic(text), text.encode()))

    def test_client_identifiers(self):
        """Such strings identify clients, too."""
        for text in WELL_FORMED:
            old = self.client("c", client_id=text)
            self.client("c", client_id=text).disconnect()
            self.assertEqual(old.closed(), [])

    def test_payload_is_binary(self):
        """A payload is any bytes."""
        client, publisher = self.client("s"), self.client("p")
        client.subscribe(self.topic("t"), qos=2)
        for payload in (*ILL_FORMED.values(), *NUL.values(), bytes(range(256))):
            for qos in (0, 1, 2):
                publisher.publish(self.topic("t"), payload, qos)
                self.assertEqual(client.payloads(1), [payload])
