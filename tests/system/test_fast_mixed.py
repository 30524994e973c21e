# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Fast and slow messages of one publisher keep their order: the handover fence."""

from harness import packets as p
from harness.suite import SystemTest, recorded


class Mixed(SystemTest):
    """[MQTT-4.6.0-5] [MQTT-4.6.0-6]"""

    options = ("workers 4", "max_inflight_messages 1000", "max_output_bytes 4000000")

    def pair(self):
        """A subscriber of everything with QoS 2, a publisher, and flows on two topics."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("#"), qos=2)
        self.install(publisher, subscriber, self.topic("t"), self.topic("u"))
        return subscriber, publisher

    def sequence(self, kinds, rounds=40, gap=0):
        """Send messages of these kinds in turn, without waiting; all arrive in the order they were sent."""
        subscriber, publisher = self.pair()
        wanted, mid = [], 0
        for n in range(rounds):
            for kind in kinds:
                payload = b"%d %s" % (n, kind.encode())
                mid += 1
                publisher.send({
                    "fast": lambda: p.publish(self.topic("t"), payload),
                    "other": lambda: p.publish(self.topic("u"), payload),
                    "new": lambda: p.publish(self.topic("new", str(mid)), payload),
                    "retained": lambda: p.publish(self.topic("t"), payload, retain=True),
                    "qos1": lambda: p.publish(self.topic("t"), payload, 1, mid=mid),
                    "large": lambda: p.publish(self.topic("t"), payload + b"." * 100000),
                    "ping": lambda: p.PING,
                }[kind]())
                if kind != "ping":
                    wanted.append(payload)
            if gap and n % gap == gap - 1:
                publisher.alive()
        got = [x.payload.rstrip(b".") for x in subscriber.receive(len(wanted))]
        self.assertEqual(got, wanted)

    @recorded
    def test_retained_among_fast(self):
        """Retained messages, which only the daemon handles. [MQTT-4.6.0-6]"""
        self.sequence(["fast", "retained", "fast", "fast"])

    @recorded
    def test_qos1_among_fast(self):
        """QoS 1."""
        self.sequence(["qos1", "fast", "fast", "qos1", "fast"])

    @recorded
    def test_new_topics_among_fast(self):
        """The first message of a topic goes to the daemon, the next of a known one must not overtake it."""
        self.sequence(["new", "fast", "new", "other", "fast"])

    @recorded
    def test_pings_among_fast(self):
        """PINGREQ goes to the daemon."""
        self.sequence(["ping", "fast", "fast", "ping", "other"])

    @recorded
    def test_large_among_fast(self):
        """Large messages take their time."""
        self.sequence(["large", "fast", "other", "fast"], rounds=15)

    @recorded
    def test_all_kinds(self):
        """All of it."""
        self.sequence(["fast", "qos1", "other", "new", "retained", "fast", "ping", "large", "fast"], rounds=12)

    @recorded
    def test_kinds_with_pauses(self):
        """With moments in which everything is handled, so that the fast way opens again and again."""
        self.sequence(["fast", "fast", "qos1", "fast"], rounds=60, gap=2)

    @recorded
    def test_split_then_fast(self):
        """A packet in two pieces, which the daemon puts together, then fast ones."""
        subscriber, publisher = self.pair()
        wanted = []
        for n in range(60):
            packet = p.publish(self.topic("t"), b"%d split" % n)
            publisher.send(packet[:5 + n % 4])
            publisher.send(packet[5 + n % 4:])
            publisher.send(p.publish(self.topic("t"), b"%d fast" % n))
            publisher.send(p.publish(self.topic("u"), b"%d other" % n))
            wanted += [b"%d split" % n, b"%d fast" % n, b"%d other" % n]
        self.assertEqual(subscriber.payloads(len(wanted)), wanted)

    @recorded(by=lambda packet: packet.payload.split(b" ")[0].decode())
    def test_subscriber_on_every_worker(self):
        """One publisher, receivers on all workers, slow and fast messages to each in turn."""
        publisher = self.client("p")
        subscribers = []
        for n in range(12):
            client = self.client(f"s{n}")
            client.subscribe(self.topic(str(n), "+"), qos=1)
            self.install(publisher, client, self.topic(str(n), "fast"))
            subscribers.append(client)
        words = (b"slow", b"a", b"b")
        for turn in range(30):
            for n in range(12):
                slow, first, second = [b"%d %d %s" % (n, turn, word) for word in words]
                publisher.send(p.publish(self.topic(str(n), "slow"), slow, 1, mid=turn * 12 + n + 1),
                               p.publish(self.topic(str(n), "fast"), first))
                publisher.send(p.publish(self.topic(str(n), "fast"), second))
        for n, client in enumerate(subscribers):
            self.assertEqual(client.payloads(90), [b"%d %d %s" % (n, t, w) for t in range(30) for w in words])

    def test_from_the_broker_too(self):
        """A client that receives a flow and, at once, answers and retained messages of the broker: every packet is
        whole, whatever comes between."""
        keeper = self.client("keeper")
        for n in range(20):
            keeper.publish(self.topic("kept", str(n)), b"k%d " % n + b"x" * (n * 1000), 1, retain=True)
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"))
        for n in range(50):
            publisher.send(p.publish(self.topic("t"), b"%d" % n))
            subscriber.send(p.subscribe(n + 1, (self.topic("kept", "#"), 0)), p.PING)
            publisher.send(p.publish(self.topic("t"), b"%d" % (n + 1000)))
            came = [subscriber.read() for _ in range(24)]
            messages = [x for x in came if x.type == p.PUBLISH]
            self.assertEqual([x.payload for x in messages if not x.retain], [b"%d" % n, b"%d" % (n + 1000)])
            self.assertEqual(sorted(len(x.payload) // 1000 for x in messages if x.retain), [*range(20)])
            self.assertEqual([x.type for x in came if x.type != p.PUBLISH], [p.SUBACK, p.PINGRESP])
