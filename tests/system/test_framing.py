# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Packets and segments are different things: split at every byte, many in one, gathered writes."""

import time

from harness import packets as p
from harness.suite import SystemTest, recorded


class Framing(SystemTest):
    """The stream is what counts. [MQTT-7.1.1-1]"""

    def pair(self, qos=0, count=3):
        """A subscriber and a publisher of the test's topic, with a flow."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("t"), qos=qos)
        self.install(publisher, subscriber, self.topic("t"), count=count)
        return subscriber, publisher

    def pieces(self, client, data, *cuts):
        """Send in pieces, each of which leaves before the next is written."""
        begin = 0
        for cut in (*cuts, len(data)):
            client.send(data[begin:cut])
            begin = cut
            time.sleep(0.001)

    @recorded
    def test_split_at_every_byte(self):
        """A QoS 0 PUBLISH in two segments, cut at each byte, between whole ones: none lost, none twice, in order."""
        subscriber, publisher = self.pair()
        wanted = []
        packet = p.publish(self.topic("t"), b"split 00")
        for cut in range(1, len(packet)):
            self.pieces(publisher, p.publish(self.topic("t"), b"split %02d" % cut), cut)
            publisher.publish(self.topic("t"), b"whole %02d" % cut)
            wanted += [b"split %02d" % cut, b"whole %02d" % cut]
        self.assertEqual(subscriber.payloads(len(wanted)), wanted)

    @recorded
    def test_every_byte_alone(self):
        """A CONNECT, a SUBSCRIBE and PUBLISH packets of all QoS, one byte a segment."""
        client = self.raw("s")
        data = (p.connect(self.id("s")) + p.subscribe(1, (self.topic("t"), 2)) + p.publish(self.topic("t"), b"0")
                + p.publish(self.topic("t"), b"1", 1, mid=1) + p.publish(self.topic("t"), b"2", 2, mid=2)
                + p.ack(p.PUBREL, 2) + p.PING)
        for byte in data:
            client.send(bytes([byte]))
        client.expect(p.CONNACK)
        client.expect(p.SUBACK)
        kinds = [client.read() for _ in range(7)]
        self.assertEqual([k.payload for k in kinds if k.type == p.PUBLISH], [b"0", b"1", b"2"])
        self.assertEqual(sorted(k.type for k in kinds if k.type != p.PUBLISH),
                         [p.PUBACK, p.PUBREC, p.PUBCOMP, p.PINGRESP])

    @recorded
    def test_half_and_whole(self):
        """Segments that hold the end of one packet and the beginning of the next, cut at each byte."""
        subscriber, publisher = self.pair()
        wanted, stream = [], b""
        for n in range(60):
            wanted.append(b"message %02d" % n)
            stream += p.publish(self.topic("t"), wanted[-1])
        size = len(stream) // 60 + 1
        self.pieces(publisher, stream, *range(size, len(stream), size))
        self.assertEqual(subscriber.payloads(60), wanted)

    @recorded
    def test_many_in_one_write(self):
        """A thousand packets in one system call."""
        subscriber, publisher = self.pair()
        wanted = [b"%d" % n for n in range(1000)]
        publisher.send(*[p.publish(self.topic("t"), payload) for payload in wanted])
        self.assertEqual(subscriber.payloads(1000), wanted)

    @recorded
    def test_many_and_a_piece(self):
        """Whole packets followed by a piece of one, of each length, in one write; the rest comes later."""
        subscriber, publisher = self.pair()
        wanted = []
        last = p.publish(self.topic("t"), b"last")
        for cut in range(1, len(last)):
            whole = [b"%d a" % cut, b"%d b" % cut]
            publisher.send(*[p.publish(self.topic("t"), payload) for payload in whole], last[:cut])
            time.sleep(0.001)
            publisher.send(last[cut:], p.publish(self.topic("t"), b"next"))
            wanted += [*whole, b"last", b"next"]
        self.assertEqual(subscriber.payloads(len(wanted)), wanted)

    @recorded
    def test_gathered_writes(self):
        """writev: header, topic and payload in buffers of their own; several packets in one call."""
        subscriber, publisher = self.pair()
        wanted = []
        for n in range(100):
            payload = b"%03d " % n * (n % 20 + 1)
            packet = p.publish(self.topic("t"), payload)
            buffers = [packet[:1], packet[1:4], packet[4:-len(payload)], payload]
            second = p.publish(self.topic("t"), b"second %d" % n)
            publisher.sock.sendmsg([*buffers, second[:7], second[7:]] if n % 3 else buffers)
            wanted += [payload, b"second %d" % n] if n % 3 else [payload]
        self.assertEqual(subscriber.payloads(len(wanted)), wanted)

    @recorded
    def test_mixed_kinds_in_one_write(self):
        """QoS 0, 1 and 2, PINGREQ and a SUBSCRIBE, all in one write, again and again: each answered, order kept."""
        subscriber, publisher = self.pair(qos=2)
        wanted = []
        for n in range(20):
            mid = n * 3 + 1
            first, second, third, fourth, fifth = [b"%d %c" % (n, c) for c in b"abcde"]
            publisher.send(p.publish(self.topic("t"), first), p.PING, p.publish(self.topic("t"), second, 1, mid=mid),
                           p.publish(self.topic("t"), third), p.publish(self.topic("t"), fourth, 2, mid=mid + 1),
                           p.ack(p.PUBREL, mid + 1), p.subscribe(mid + 2, (self.topic("other"), 0)),
                           p.publish(self.topic("t"), fifth))
            wanted += [b"%d %c" % (n, c) for c in b"abcde"]
            kinds = [publisher.read().type for _ in range(5)]
            self.assertEqual(kinds, [p.PINGRESP, p.PUBACK, p.PUBREC, p.PUBCOMP, p.SUBACK])
            self.assertEqual(sorted(subscriber.payloads(5)), wanted[-5:])

    @recorded
    def test_remaining_length_sizes(self):
        """Packets on both sides of each length of the Remaining Length."""
        subscriber, publisher = self.pair()
        head = len(p.string(self.topic("t")))
        for size in (127, 128, 129, 16383, 16384, 16385):
            payload = b"x" * (size - head)
            for _ in range(2):
                publisher.publish(self.topic("t"), payload)
                self.assertEqual(subscriber.payloads(1), [payload])

    def test_overlong_remaining_length(self):
        """A Remaining Length in more bytes than it needs is not forbidden in 3.1.1: taken as it is or refused, the
        receiver gets it right or not at all."""
        subscriber, publisher = self.pair()
        packet = p.publish(self.topic("t"), b"overlong")
        publisher.send(packet[:1], bytes([packet[1] | 0x80, 0x00]), packet[2:])
        publisher.send(p.PING)
        came = []
        try:
            publisher.expect(p.PINGRESP)
            came = [x.payload for x in self.drain(publisher, subscriber)]
            self.assertEqual(came, [b"overlong"])
        except ConnectionError:
            pass

    @recorded
    def test_wrong_end_of_a_packet(self):
        """A packet whose beginning was passed on and whose end looks like a packet of its own is one packet."""
        subscriber, publisher = self.pair()
        inner = p.publish(self.topic("t"), b"forged")
        outer = p.publish(self.topic("t"), b"envelope " + inner)
        for _ in range(5):
            self.pieces(publisher, outer, len(outer) - len(inner))
            publisher.publish(self.topic("t"), b"next")
            self.assertEqual(subscriber.payloads(2), [b"envelope " + inner, b"next"])

    @recorded
    def test_two_topics_in_one_write(self):
        """Packets of different topics and receivers in one write."""
        one, publisher = self.pair()
        two = self.client("s2")
        two.subscribe(self.topic("u"))
        self.install(publisher, two, self.topic("u"))
        for n in range(30):
            publisher.send(*[p.publish(self.topic(t), b"%d %d" % (n, m)) for m, t in enumerate("tutuu")])
        self.assertEqual(one.payloads(60), [b"%d %d" % (n, m) for n in range(30) for m in (0, 2)])
        self.assertEqual(two.payloads(90), [b"%d %d" % (n, m) for n in range(30) for m in (1, 3, 4)])
