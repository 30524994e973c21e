# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Protocol version 3.1: the name MQIsdp and level 3, otherwise as 3.1.1."""

from harness import packets as p
from harness.suite import SystemTest, recorded


class Version31(SystemTest):
    """Clients of version 3.1 among those of 3.1.1."""

    def test_accepted(self):
        """CONNACK 0 to MQIsdp, level 3; reserved byte 0."""
        client = self.raw()
        client.send(p.connect(self.id("a"), level=3))
        self.assertEqual(client.sock.recv(10), bytes.fromhex("20020000"))

    def test_wrong_level(self):
        """MQIsdp with another level is refused."""
        for level in (0, 2, 4, 5, 6):
            with self.subTest(level):
                client = self.raw(level=3 if level == 4 else 5)
                client.send(p.connect(self.id("a"), name="MQIsdp", level=level))
                came = client.closed()
                self.assertTrue(all(c.type == p.CONNACK and c.code == (1 if level == 4 else 0x84) for c in came), came)

    def test_session_present_is_reserved(self):
        """Version 3.1 has no Session Present: the byte stays 0 when a session is resumed."""
        client = self.client("a", level=3, clean=False)
        client.subscribe(self.topic("t"), qos=1)
        client.disconnect()
        self.client("p").publish(self.topic("t"), b"kept", 1)
        client = self.raw("a")
        client.send(p.connect(self.id("a"), level=3, clean=False))
        self.assertEqual(client.expect(p.CONNACK).body, b"\x00\x00")
        self.assertEqual(client.payloads(1), [b"kept"])

    @recorded
    def test_talks_with_311(self):
        """Messages between both versions, all QoS."""
        old, new = self.client("old", level=3), self.client("new")
        for client in (old, new):
            client.subscribe(self.topic(client.name), qos=2)
        for qos in (0, 1, 2):
            for n in range(5):
                payload = b"%d %d" % (qos, n)
                new.publish(self.topic("old"), payload, qos)
                self.assertEqual(old.payloads(1), [payload])
                old.publish(self.topic("new"), payload, qos)
                self.assertEqual(new.payloads(1), [payload])
