# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Many publishers to many subscribers on four workers: nothing lost, nothing twice, order kept."""

from harness.suite import SystemTest, recorded
from harness.traffic import Stream, Traffic


def publisher_of(packet):
    """The publisher's name, which its payload begins with."""
    return packet.payload.split(b" ")[0].decode()


class Order(SystemTest):
    """[MQTT-4.6.0-5] [MQTT-4.6.0-6]"""

    options = ("workers 4",)

    def all_to_all(self, qos, publishers=5, subscribers=5, count=150, granted=None):
        """Each publisher on three topics, each subscriber on all."""
        subs = [self.client(f"s{n}") for n in range(subscribers)]
        for client in subs:
            client.subscribe(self.topic("#"), qos=qos if granted is None else granted)
        streams = [Stream(self.client(f"p{n}"), [self.topic(t) for t in "abc"], count, qos) for n in range(publishers)]
        traffic = Traffic(streams, subs)
        traffic.run()
        traffic.check()
        for client in subs:
            client.ping()

    @recorded(by=publisher_of)
    def test_qos0(self):
        """Five publishers, five subscribers, QoS 0. [MQTT-4.6.0-6]"""
        self.all_to_all(0)

    @recorded(by=publisher_of)
    def test_qos1(self):
        """QoS 1. [MQTT-4.6.0-6] [MQTT-4.3.2-1] [MQTT-4.3.2-2]"""
        self.all_to_all(1)

    @recorded(by=publisher_of)
    def test_qos2(self):
        """QoS 2. [MQTT-4.6.0-6] [MQTT-4.3.3-1] [MQTT-4.3.3-2]"""
        self.all_to_all(2)

    @recorded(by=publisher_of)
    def test_downgraded(self):
        """Published with QoS 2, granted 0. [MQTT-3.8.4-6]"""
        self.all_to_all(2, granted=0, count=60)

    @recorded(by=publisher_of)
    def test_pairs(self):
        """Twenty pairs, one topic each: all flows."""
        pairs = []
        for n in range(20):
            subscriber, publisher = self.client(f"s{n}"), self.client(f"p{n}")
            subscriber.subscribe(self.topic(str(n)))
            pairs.append((subscriber, publisher, n))
        with self.carries(20 * 100, share=0.8):
            for subscriber, publisher, n in pairs:
                traffic = Traffic([Stream(publisher, [self.topic(str(n))], 100, window=1)], [subscriber])
                traffic.run()
                traffic.check()

    @recorded(by=publisher_of)
    def test_many_to_one(self):
        """Twenty publishers, each with a topic of its own, to one subscriber."""
        subscriber = self.client("s")
        subscriber.subscribe(self.topic("#"))
        streams = [Stream(self.client(f"p{n}"), [self.topic(str(n))], 100, window=3) for n in range(20)]
        traffic = Traffic(streams, [subscriber])
        traffic.run()
        traffic.check()

    @recorded(by=publisher_of)
    def test_same_topic_many_publishers(self):
        """Twenty publishers on one topic, one subscriber: one flow for all of them."""
        subscriber = self.client("s")
        subscriber.subscribe(self.topic("t"))
        streams = [Stream(self.client(f"p{n}"), [self.topic("t")], 100, window=2) for n in range(20)]
        traffic = Traffic(streams, [subscriber])
        traffic.run()
        traffic.check()
