# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A subscriber that stops reading: bounded, counted, and nobody else notices."""

import time

from harness import packets as p
from harness.client import TIMEOUT
from harness.suite import SystemTest, differs, own

BLOCK = 2000  # bytes of payload
RCVBUF = 32768  # enough for TCP to go on briskly when the reader does
KEEPS_ALL = "mosquitto 2.0.11 keeps all of it, which drains slowly through a small window"


def _largest(name):
    """The most bytes that TCP lets such a buffer of a socket have."""
    with open(f"/proc/sys/net/ipv4/{name}") as limits:
        return int(limits.read().split()[2])


class SlowReader(SystemTest):
    """Small limits and buffers, so that little traffic fills them."""

    options = ("max_queued_messages 50", "max_output_bytes 65536", "sys_interval 1")

    def stuck(self, name="stuck", qos=0, clean=True):
        """A subscriber that will not read."""
        client = self.client(name, rcvbuf=RCVBUF, clean=clean)
        client.subscribe(self.topic("stuck"), qos=qos)
        return client

    def flood(self, publisher, until, most=30000, qos=0):
        """Publish numbered messages until until() is true; returns how many. Every 100 it asks."""
        for n in range(most):
            payload = b"%08d" % n + b"x" * BLOCK
            publisher.publish(self.topic("stuck"), payload, qos)
            if n % 100 == 99 and until():
                return n + 1
        raise AssertionError(f"{most} messages and still no drop")

    def numbers(self, packets):
        """The numbers in the payloads."""
        return [int(x.payload[:8]) for x in packets if len(x.payload) > BLOCK]

    @own
    def test_qos0_is_dropped_and_counted(self):
        """QoS 0 beyond the bound is dropped; what it gets in the end is in order and whole, and what it did not get is
        what was counted, in the statistics and in $SYS."""
        client, publisher = self.stuck(), self.client("p")
        before = self.dropped()
        sent = self.flood(publisher, lambda: self.dropped() - before > 200)
        publisher.alive()
        got = self.numbers(self.drain(publisher, client))
        self.assertEqual(got, sorted(set(got)))
        self.assertEqual(self.dropped() - before, sent - len(got))
        total = self.dropped()
        deadline = time.monotonic() + TIMEOUT
        watch = self.client("watch")
        watch.subscribe("$SYS/broker/publish/messages/dropped")
        while int(watch.receive()[0].payload) != total:
            self.assertLess(time.monotonic(), deadline)

    @own
    def test_log_says_so(self):
        """The log says once that messages of the client are dropped."""
        self.stuck()
        publisher = self.client("p")
        before = self.dropped()
        self.flood(publisher, lambda: self.dropped() - before > 200)
        self.daemon.wait_log(r"Outgoing messages are being dropped for client stuck-log_says_so")

    @differs(KEEPS_ALL)
    def test_others_notice_nothing(self):
        """Others get every message, of the same topic too, while the stuck one is stuck; when it reads again it gets
        new messages, too."""
        client, publisher = self.stuck(), self.client("p")
        same, other = self.client("same"), self.client("other")
        same.subscribe(self.topic("stuck"))
        other.subscribe(self.topic("other"))
        for n in range(1500):
            publisher.publish(self.topic("stuck"), b"%08d" % n + b"x" * BLOCK)
            publisher.publish(self.topic("other"), b"%d" % n)
            self.assertEqual(self.numbers(same.receive()), [n])
            self.assertEqual(other.payloads(1), [b"%d" % n])
        got = self.numbers(self.drain(publisher, client))
        self.assertEqual(got, sorted(set(got)))
        publisher.publish(self.topic("stuck"), b"again")
        self.assertEqual(client.payloads(1), [b"again"])

    @differs(KEEPS_ALL)
    def test_stuck_alone_on_its_topic(self):
        """The only receiver of a flow is stuck: other topics of the same publisher go on."""
        client, publisher, other = self.stuck(), self.client("p"), self.client("other")
        other.subscribe(self.topic("other"))
        self.install(publisher, client, self.topic("stuck"))
        self.install(publisher, other, self.topic("other"))
        for n in range(1500):
            publisher.publish(self.topic("stuck"), b"%08d" % n + b"x" * BLOCK)
            publisher.publish(self.topic("other"), b"%d" % n)
            self.assertEqual(other.payloads(1), [b"%d" % n])
        publisher.alive()
        got = self.numbers(self.drain(publisher, client))
        self.assertEqual(got, sorted(set(got)))
        self.assertEqual(got[:5], list(range(5)))

    @own
    def test_qos1_is_queued_then_dropped(self):
        """QoS 1: in flight, then queued up to max_queued_messages, then dropped and counted; what it gets is in
        order."""
        client, publisher = self.stuck(qos=1), self.client("p")
        before = self.dropped()
        sent = self.flood(publisher, lambda: self.dropped() - before > 50, qos=1)
        got = []
        while len(got) + self.dropped() - before < sent:  # the last ones may be on their way to the client's worker
            if client.available_within(0.1):
                got += self.numbers(client.receive())
        self.assertEqual(got, sorted(set(got)))
        self.assertEqual(len(got) + self.dropped() - before, sent)
        self.assertEqual(self.drain(publisher, client), [])
        self.assertEqual(got[:50], list(range(50)))

    def test_reads_one_byte_at_a_time(self):
        """A reader of single bytes gets whole packets."""
        client, publisher = self.client("slow", rcvbuf=4096), self.client("p")
        client.subscribe(self.topic("slow"))
        wanted = b"".join(p.publish(self.topic("slow"), b"%d" % n) for n in range(30))
        for n in range(30):
            publisher.publish(self.topic("slow"), b"%d" % n)
        self.assertEqual(b"".join(client.sock.recv(1) for _ in range(len(wanted))), wanted)

    @differs(KEEPS_ALL)
    def test_stops_inside_a_packet(self):
        """A reader that stops in the middle of a packet and goes on later finds its other half."""
        client, publisher = self.stuck(), self.client("p")
        for n in range(3):
            publisher.publish(self.topic("stuck"), b"%08d" % n + b"x" * BLOCK)
        head = client.sock.recv(1000)
        for n in range(3, 800):
            publisher.publish(self.topic("stuck"), b"%08d" % n + b"x" * BLOCK)
        publisher.alive()
        client.parser.feed(head)
        got = self.numbers(self.drain(publisher, client))
        self.assertEqual(got, sorted(set(got)))
        self.assertEqual(got[:3], [0, 1, 2])

    def test_reader_dies_while_stuck(self):
        """A stuck reader that resets, or closes: the daemon and the publisher go on."""
        publisher = self.client("p")
        for end in ("reset", "close"):
            client = self.stuck()
            for n in range(1000):
                publisher.publish(self.topic("stuck"), b"%08d" % n + b"x" * BLOCK)
            getattr(client, end)()
            for n in range(100):
                publisher.publish(self.topic("stuck"), b"%08d" % n + b"x" * BLOCK)
            publisher.alive()

    def test_disconnect_of_a_stuck_reader(self):
        """A stuck reader is taken over, and the new connection is not stuck."""
        self.stuck()
        publisher = self.client("p")
        for n in range(1000):
            publisher.publish(self.topic("stuck"), b"%08d" % n + b"x" * BLOCK)
        publisher.alive()
        client = self.client("stuck")
        client.subscribe(self.topic("stuck"))
        publisher.publish(self.topic("stuck"), b"fresh")
        self.assertEqual(client.payloads(1), [b"fresh"])

    @differs("mosquitto 2.0.11 queues answers without bound")
    def test_does_not_take_answers(self):
        """A client that sends PINGREQ and QoS 1 without ever reading is held back or closed, not served without bound;
        others go on."""
        client, other = self.client("deaf", rcvbuf=4096), self.client("other")
        client.sock.settimeout(1)
        most, sent = 2 * (_largest("tcp_rmem") + _largest("tcp_wmem")), 0
        try:
            while sent < most:
                request = p.publish(self.topic("x"), b"", 1, mid=1) + p.PING * 10000
                client.send(request)
                sent += len(request)
        except OSError:
            pass
        self.assertLess(sent, most, "more was taken than socket buffers hold, and no answer was read")
        other.alive()
