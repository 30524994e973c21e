# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The will in MQTT 5.0: sections 3.1.2.5, 3.1.3.2 and 3.14.2.1."""

from harness import packets as p
from harness import properties as pr
from harness.clock import Clock
from harness.suite import SystemTest, differs, recorded

PROPS = [(pr.USER, ("b", "2")), (pr.PAYLOAD_FORMAT, 1), (pr.CONTENT_TYPE, "text/plain"), (pr.USER, ("a", "1")),
         (pr.RESPONSE_TOPIC, "answer/here"), (pr.CORRELATION_DATA, b"\x00\xff"), (pr.USER, ("b", "2"))]


class Will(SystemTest):
    """When it is published, and how."""

    level = 5

    def watch(self):
        """A subscriber of every will of the test."""
        watch = self.client("watch")
        watch.subscribe((self.topic("#"), 2))
        return watch

    def will(self, payload=b"gone", qos=1, retain=False):
        """The will of the test."""
        return self.topic("w"), payload, qos, retain

    @recorded
    def test_properties(self):
        """Its properties are those of the message, the user properties in their order; the delay is not passed on.
        5.0 [MQTT-3.1.3-10] [MQTT-3.1.2-9] [MQTT-3.1.2-7] [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16]
        [MQTT-3.3.2-20]"""
        watch = self.watch()
        client = self.client("c", will=self.will(), will_props=[*PROPS, (pr.WILL_DELAY, 0)])
        client.reset()
        packet = watch.receive()[0]
        self.assertEqual((packet.payload, packet.qos, packet.retain), (b"gone", 1, False))
        self.assertEqual(pr.plain(packet.props), pr.plain(PROPS))

    @differs("mosquitto 2.0.11 forgets the will on every DISCONNECT but 0x04")
    def test_abnormal_ends(self):
        """Every end but DISCONNECT 0x00 publishes it, once: close, reset, a malformed packet, a Protocol Error, and
        what DISCONNECT with another reason code says. 5.0 [MQTT-3.1.2-8] [MQTT-3.1.2-10] [MQTT-3.1.2-7]
        [MQTT-4.13.1-1]"""
        ends = {
            "close": lambda c: c.close(),
            "reset": lambda c: c.reset(),
            "half close": lambda c: c.half_close(),
            "Protocol Error": lambda c: c.send(p.connect("a", level=5)),
            "malformed": lambda c: c.send(b"\x36\x03\x00\x01a"),
            "wrong direction": lambda c: c.send(b"\x20\x03\x00\x00\x00"),
            "malformed DISCONNECT": lambda c: c.send(p.packet(0xE1)),
            "DISCONNECT with a wrong reason code": lambda c: c.send(p.disconnect(0x8E)),
            "cut off": lambda c: (c.send(p.publish(self.topic("x"), b"cut off", props=())[:-3]), c.close()),
        }
        for code in (0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99):
            ends[f"DISCONNECT {code:#x}"] = lambda c, code=code: c.send(p.disconnect(code, ()))
        watch = self.watch()
        for name, end in ends.items():
            with self.subTest(name):
                end(self.client("c", will=self.will(name)))
                self.assertEqual(watch.payloads(1), [name.encode()])
        watch.nothing()

    def test_normal_end(self):
        """DISCONNECT 0x00 discards it, in each of its forms. 5.0 [MQTT-3.14.4-3] [MQTT-3.1.2-10]"""
        watch = self.watch()
        for data in (p.BYE, p.disconnect(0), p.disconnect(0, ()), p.disconnect(0, [(pr.REASON_STRING, "done")])):
            client = self.client("c", will=self.will())
            client.send(data)
            client.closed()
        client = self.raw()
        client.send(p.connect(self.id("c"), level=5, will=self.will()), p.BYE)
        client.closed()
        watch.nothing()

    def test_no_will(self):
        """Without the flag there is none, although the connection before had one. 5.0 [MQTT-3.1.2-10]"""
        watch = self.watch()
        self.client("c", will=self.will(), expiry=100).disconnect()
        self.client("c", clean=False, present=True).reset()
        watch.nothing()

    def test_retain(self):
        """Will Retain 0 and 1. 5.0 [MQTT-3.1.2-14] [MQTT-3.1.2-15]"""
        watch = self.client("watch")
        watch.subscribe((self.topic("w"), 1 | p.RETAIN_AS_PUBLISHED))
        for retain in (False, True):
            self.client("c", will=self.will(b"%d" % retain, 1, retain), will_props=PROPS).reset()
            self.assertEqual(watch.receive()[0].retain, retain)
            late = self.client("late")
            late.subscribe(self.topic("w"), qos=1)
            if retain:
                packet = late.receive()[0]
                self.assertEqual((packet.payload, packet.retain), (b"1", True))
                self.assertEqual(pr.plain(packet.props), pr.plain(PROPS))
            late.ping()
        watch.publish(self.topic("w"), b"", 1, retain=True)

    def test_delay(self):
        """It comes when Will Delay Interval has passed, not before; the clock says that it was not early.
        5.0 [MQTT-3.1.2-8]"""
        watch = self.watch()
        first = self.client("a", expiry=100, will=(self.topic("w"), b"3", 0, False), will_props=[(pr.WILL_DELAY, 3)])
        second = self.client("b", expiry=100, will=(self.topic("w"), b"1", 0, False), will_props=[(pr.WILL_DELAY, 1)])
        third = self.client("c", expiry=100, will=(self.topic("w"), b"0", 0, False), will_props=[(pr.WILL_DELAY, 0)])
        for client in (first, second, third):
            client.close()
        self.assertEqual(watch.payloads(3), [b"0", b"1", b"3"])

    @differs("mosquitto 2.0.11 waits for the delay")
    def test_session_ends_first(self):
        """Or when the session ends, if that is earlier: at once when it does not outlive the connection.
        5.0 [MQTT-3.1.2-8]"""
        watch = self.watch()
        self.client("c", will=self.will(b"at once"), will_props=[(pr.WILL_DELAY, 1000)]).close()
        self.assertEqual(watch.payloads(1), [b"at once"])
        client = self.client("c", expiry=1000, will=self.will(b"clean start"), will_props=[(pr.WILL_DELAY, 1000)])
        client.close()
        client = self.client("c", clean=True, present=False)
        self.assertEqual(watch.payloads(1), [b"clean start"])
        client.disconnect()
        client = self.client("c", expiry=1000, will=self.will(b"by DISCONNECT"), will_props=[(pr.WILL_DELAY, 1000)])
        client.disconnect(0x04, [(pr.SESSION_EXPIRY, 0)])
        self.assertEqual(watch.payloads(1), [b"by DISCONNECT"])

    @differs("mosquitto 2.0.11 just closes")
    def test_cancelled(self):
        """A new connection to the session within the delay cancels it, also one that takes over. 5.0 [MQTT-3.1.3-9]
        [MQTT-3.1.2-8]"""
        watch = self.watch()
        client = self.client("c", expiry=100, will=self.will(), will_props=[(pr.WILL_DELAY, 3)])
        client.close()
        self.daemon.wait_log("c-cancelled.*(disconnected|closed)")
        client = self.client("c", clean=False, present=True, expiry=100, will=self.will(b"second"),
                             will_props=[(pr.WILL_DELAY, 3)])
        again = self.client("c", clean=False, present=True, expiry=100)
        client.disconnected(0x8E)
        clock = Clock(self, 5)
        clock.wait()
        self.assertEqual([x.payload for x in watch.settle() if x.topic == self.topic("w")], [])
        again.disconnect(0, [(pr.SESSION_EXPIRY, 0)])

    @differs("mosquitto 2.0.11 just closes")
    def test_takeover(self):
        """Taken over without a delay, it is published. 5.0 [MQTT-3.1.2-8]"""
        watch = self.watch()
        first = self.client("c", will=self.will())
        self.client("c", clean=False, present=None)
        first.disconnected(0x8E)
        self.assertEqual(watch.payloads(1), [b"gone"])
        watch.nothing()

    @differs("mosquitto 2.0.11 forgets it")
    def test_expiry(self):
        """Its Message Expiry Interval begins when it is published. 5.0 [MQTT-3.3.2-6]"""
        watch = self.watch()
        client = self.client("c", expiry=100, will=self.will(), will_props=[(pr.WILL_DELAY, 2), (pr.MESSAGE_EXPIRY, 1)])
        client.close()
        self.assertEqual(watch.receive()[0].props, [(pr.MESSAGE_EXPIRY, 1)])

    def test_no_local(self):
        """A client does not get its own will where its subscription says No Local. 5.0 [MQTT-3.8.3-3]"""
        client = self.client("c", expiry=100, will=self.will())
        client.subscribe((self.topic("w"), 1 | p.NO_LOCAL))
        watch = self.watch()
        client.reset()
        watch.receive()
        client = self.client("c", clean=False, present=True)
        client.ping()
