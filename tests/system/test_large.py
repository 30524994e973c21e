# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Large packets, alone and among small ones that the kernel forwards."""

import hashlib

from harness import packets as p
from harness.suite import SystemTest, recorded
from harness.traffic import Stream, Traffic

SIZES = (0, 1, 1459, 1460, 4095, 4096, 16384, 65535, 65536, 100000, 262145, 1048576)


def bytes_of(size, seed):
    """Bytes that do not repeat, the same each time."""
    block = hashlib.sha512(b"%d" % seed).digest()
    out = bytearray()
    while len(out) < size:
        block = hashlib.sha512(block).digest()
        out += block * 4
    return bytes(out[:size])


def topic_of(packet):
    """Messages of different topics come from different publishers here."""
    return packet.topic


class Large(SystemTest):
    """Byte for byte."""

    @recorded
    def test_sizes(self):
        """Payloads from nothing to 1 MiB, each QoS, three times."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("t"), qos=2)
        for size in SIZES:
            payload = bytes_of(size, size)
            for qos in (0, 0, 1, 2):
                publisher.publish(self.topic("t"), payload, qos)
                packet = subscriber.receive()[0]
                self.assertEqual((len(packet.payload), packet.qos), (size, qos))
                self.assertTrue(packet.payload == payload, f"{size} bytes QoS {qos} arrived changed")

    @recorded
    def test_retained(self):
        """A retained message of 1 MiB."""
        publisher = self.client("p")
        payload = bytes_of(1 << 20, 5)
        publisher.publish(self.topic("t"), payload, 1, retain=True)
        subscriber = self.client("s")
        subscriber.subscribe(self.topic("t"), qos=1)
        self.assertTrue(subscriber.receive()[0].payload == payload)
        publisher.publish(self.topic("t"), b"", 1, retain=True)

    @recorded(by=topic_of)
    def test_among_small_ones(self):
        """Large messages of each QoS and small ones that have a flow, to one subscriber at once: whole, complete and in
        order per publisher."""
        subscriber, small, large = self.client("s"), self.client("small"), self.client("large")
        subscriber.subscribe((self.topic("small"), 0), (self.topic("large", "+"), 2))
        self.install(small, subscriber, self.topic("small"))
        for qos, size in ((0, 60000), (1, 200000), (2, 60000), (0, 300000)):
            for name in ("small", "large"):
                client = small if name == "small" else large
                client.name = f"{name}{qos}-{size}"
            streams = [Stream(small, [self.topic("small")], 400, window=4),
                       Stream(large, [self.topic("large", str(qos))], 20, qos, window=2, size=size)]
            traffic = Traffic(streams, [subscriber])
            traffic.run()
            traffic.check()

    @recorded
    def test_large_then_small_by_one_publisher(self):
        """A large message that takes time, followed at once by small ones of the same publisher on a flow: order."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("#"))
        self.install(publisher, subscriber, self.topic("small"))
        for n in range(10):
            large = bytes_of(150000, n)
            publisher.send(p.publish(self.topic("large"), large))
            for m in range(5):
                publisher.send(p.publish(self.topic("small"), b"%d %d" % (n, m)))
            self.assertTrue(subscriber.payloads(1)[0] == large)
            self.assertEqual(subscriber.payloads(5), [b"%d %d" % (n, m) for m in range(5)])

    def test_many_topics_of_great_length(self):
        """Topics too long for a flow stay with the daemon, and arrive."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("#"))
        for length in (100, 127, 128, 129, 130, 255, 256, 1000, 10000):
            topic = self.topic("x" * (length - len(self.topic(""))))
            self.assertEqual(len(topic), length)
            for n in range(4):
                publisher.publish(topic, b"%d" % n)
                packet = subscriber.receive()[0]
                self.assertEqual((packet.topic, packet.payload), (topic, b"%d" % n))
