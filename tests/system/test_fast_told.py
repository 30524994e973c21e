# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What the daemon has for many clients on its host it writes to all of them at once, and nobody can tell: neither by order,
nor by bytes, nor by what is counted."""

from harness import packets as p
from harness import properties as pr
from harness.suite import APART, SystemTest, own, recorded

RECEIVERS = 12


class Told(SystemTest):
    """With message_size_limit the kernel forwards nothing itself, so every message is the daemon's. [MQTT-3.3.5-1]"""

    roads = APART
    options = ("workers 1", "message_size_limit 200000", "max_inflight_messages 1000", "max_queued_messages 0")

    def setUp(self):
        super().setUp()
        self.before = self.told()

    def told(self, daemon=None):
        """Times that one of several clients was written to together with the others."""
        return (daemon or self.daemon).stats()["fastpath"]["told"] if self.fast else 0

    def assert_told(self, least, daemon=None):
        """So often at least since the start, where that is possible; never elsewhere."""
        if self.road == "local":
            self.assertGreaterEqual(self.told(daemon) - self.before, least)
        else:
            self.assertEqual(self.told(daemon) - self.before, 0)

    def subscribers(self, count=RECEIVERS, levels=(4,), qos=0, **fields):
        """So many, of these versions in turn."""
        clients = []
        for n in range(count):
            client = self.client(f"s{n}", level=levels[n % len(levels)], **fields)
            client.subscribe(self.topic("#"), qos=qos)
            clients.append(client)
        return clients

    @recorded
    def test_all(self):
        """Messages of all sizes, one by one: each receiver gets each."""
        subscribers, publisher = self.subscribers(), self.client("p")
        payloads = [b"%d" % n + b"." * size for n, size in enumerate((0, 1, 100, 1000, 1, 4000, 16000, 50, 70000, 2))]
        for payload in payloads:
            publisher.publish(self.topic("t"), payload)
            for client in subscribers:
                self.assertEqual(client.payloads(1), [payload])
        self.assert_told(7 * RECEIVERS)

    @recorded(by=lambda packet: packet.topic)
    def test_order(self):
        """Messages to all, to some and to one, and acknowledgements, from one publisher without a pause: each receiver gets
        what is its own in order. [MQTT-4.6.0-6]"""
        subscribers, publisher = self.subscribers(), self.client("p")
        for n, client in enumerate(subscribers):
            client.subscribe(f"one/{self.name}/{n}")
            if n % 2:
                client.subscribe(f"odd/{self.name}")
        expected = [[] for _ in subscribers]
        sent = []
        for k in range(1500):
            payload = b"%d" % k
            kind = k % 7
            if kind in (2, 5):
                sent.append(p.publish(f"one/{self.name}/{k % RECEIVERS}", payload))
                expected[k % RECEIVERS].append(payload)
            elif kind == 3:
                sent.append(p.publish(f"odd/{self.name}", payload))
                for n in range(1, RECEIVERS, 2):
                    expected[n].append(payload)
            else:
                sent.append(p.publish(self.topic("t"), payload))
                for one in expected:
                    one.append(payload)
        for at in range(0, len(sent), 9):
            publisher.send(b"".join(sent[at:at + 9]))
            if at % 4 == 0:
                publisher.ping()
                subscribers[at % RECEIVERS].send(p.PING)
        for n, client in enumerate(subscribers):
            got = []
            while len(got) < len(expected[n]):
                packet = client.read()
                if packet.type == p.PUBLISH:
                    got.append(packet.payload)
            self.assertEqual(got, expected[n])
        self.assert_told(0)  # how often the outputs are the same is a matter of the pace

    @recorded
    def test_versions(self):
        """Receivers of all versions, some with a Subscription Identifier, properties on the message or not: each gets the
        message in the form of its version. 5.0 [MQTT-3.3.2-17] [MQTT-3.3.4-3]"""
        subscribers = self.subscribers(4 * RECEIVERS, levels=(3, 4, 5, 5))
        for client in subscribers[3::4]:
            client.subscribe(self.topic("#"), props=[(pr.SUBSCRIPTION_ID, 7)])
        publisher = self.client("p", level=5)
        props = [(pr.USER, ("key", "value")), (pr.CONTENT_TYPE, "text")]
        for n in range(20):
            publisher.publish(self.topic("t"), b"%d" % n, props=props if n % 3 == 0 else ())
            for at, client in enumerate(subscribers):
                packet = client.receive()[0]
                self.assertEqual(packet.payload, b"%d" % n)
                if at % 4 >= 2:
                    added = [(pr.SUBSCRIPTION_ID, 7)] if at % 4 == 3 else []
                    self.assertEqual(sorted(packet.props), sorted(added + (props if n % 3 == 0 else [])))
        self.assert_told(20 * 4 * RECEIVERS)

    def test_maximum_packet_size(self):
        """Who has a Maximum Packet Size gets no larger one, and that is counted; the others do.
        5.0 [MQTT-3.1.2-24] [MQTT-3.1.2-25]"""
        subscribers = self.subscribers(levels=(5,))
        limited = [self.client(f"l{n}", level=5, props=[(pr.MAXIMUM_PACKET_SIZE, 100)]) for n in range(RECEIVERS)]
        for client in limited:
            client.subscribe(self.topic("#"))
        publisher, before = self.client("p"), self.dropped()
        for n in range(11):
            publisher.publish(self.topic("t"), b"%02d" % n + b"." * (200 * (n % 2)))
        for client in subscribers:
            self.assertEqual([x[:2] for x in client.payloads(11)], [b"%02d" % n for n in range(11)])
        for client in limited:
            self.assertEqual(client.payloads(6), [b"%02d" % n for n in range(0, 11, 2)])
        if not self.reference:
            self.assertEqual(self.dropped() - before, 5 * RECEIVERS)

    @recorded
    def test_qos(self):
        """QoS 1 and 2, whose packets are the same where their identifiers are: every message is acknowledged and comes
        once. [MQTT-4.3.2-1] [MQTT-4.3.3-1]"""
        subscribers, publisher = self.subscribers(qos=2), self.client("p")
        for n in range(60):
            publisher.publish(self.topic("t"), b"%d" % n, n % 3)
            for client in subscribers[n % 5:]:  # others fall behind
                client.receive(1)
            for client in subscribers[:n % 5]:
                client.receive(1)
        for client in subscribers:
            client.ping()
        self.assert_told(20 * RECEIVERS)

    @own
    def test_slow_reader(self):
        """One who does not read for a while gets everything in order afterwards; the others get it at once. Nothing is lost
        or counted as such."""
        slow = self.client("slow", rcvbuf=4096)
        slow.subscribe(self.topic("t"))
        subscribers, publisher, before = self.subscribers(), self.client("p"), self.dropped()
        payloads = [b"%6d" % n + b"." * 4000 for n in range(200)]
        for payload in payloads:
            publisher.publish(self.topic("t"), payload)
            for client in subscribers:
                self.assertEqual(client.payloads(1), [payload])
        publisher.publish(self.topic("t"), b"end")
        self.assertEqual(slow.payloads(len(payloads) + 1), [*payloads, b"end"])
        self.assertEqual(self.dropped(), before)
        self.assert_told(200 * RECEIVERS)

    def test_come_and_go(self):
        """Receivers close, reset their connection, disconnect or are taken over while messages go to all: the others miss
        nothing, and the next in their place gets only what is its own. [MQTT-3.1.4-2]"""
        subscribers, publisher = self.subscribers(), self.client("p")
        for n in range(120):
            leaver = subscribers.pop(0)
            name = leaver.name
            burst = [b"%d.%d" % (n, k) for k in range(5)]
            publisher.send(b"".join(p.publish(self.topic("t"), x) for x in burst))
            if n % 4 == 0:
                leaver.close()
            elif n % 4 == 1:
                leaver.reset()
            elif n % 4 == 2:
                leaver.disconnect()
            for client in subscribers:
                self.assertEqual(client.payloads(5), burst)
            subscribers.append(self.client(name))
            subscribers[-1].subscribe(self.topic("#"))
        self.assert_told(120 * 4 * (RECEIVERS - 1) // 5)

    @own
    def test_counted(self):
        """Messages and bytes are counted as if each had been sent on its own."""
        daemon = self.start(["workers 1", "message_size_limit 200000"])
        subscribers = []
        for n in range(RECEIVERS):
            subscribers.append(self.client(f"s{n}", daemon))
            subscribers[-1].subscribe("t")
        publisher = self.client("p", daemon)
        self.before = self.told(daemon)
        before = daemon.stats()
        for n in range(50):
            publisher.publish("t", b"%3d" % n)
            for client in subscribers:
                client.payloads(1)
        after = daemon.stats()
        for what, size in ("messages", 1), ("bytes", len(p.publish("t", b"123"))):
            self.assertEqual(after[what]["sent"] - before[what]["sent"], 50 * RECEIVERS * size)
        sent = [x["messages_out"] for x in daemon.clients()["clients"] if x["id"][0] == "s"]
        self.assertEqual(sent, [50] * RECEIVERS)
        self.assert_told(50 * RECEIVERS, daemon)
