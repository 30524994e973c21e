# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A subscriber that stops reading costs a bounded amount of memory, in the daemon and in the kernel."""

from harness import build
from harness import packets as p
from harness.memory import ExactTcp, Growth
from harness.suite import SystemTest, own

LIMIT = 8 << 20
PUBLISHED = 100 << 20


class Memory(SystemTest):
    """Alone on the machine, because it reads the machine's memory."""

    exclusive = True
    own_daemon = True
    limit = 120

    def setUp(self):
        super().setUp()
        if build.sanitized():
            self.skipTest("a sanitizer keeps what was freed: the daemon's memory says nothing")
        self.enterContext(ExactTcp())

    def flood(self, size, same_topic):
        """Publish 100 MB to a stuck subscriber, by a publisher with an installed flow; another pair talks meanwhile."""
        daemon = self.start()
        stuck, publisher = self.client("stuck", daemon, rcvbuf=65536), self.client("p", daemon)
        stuck.subscribe(self.topic("t"))
        self.install(publisher, stuck, self.topic("t"), daemon=daemon)
        other = self.client("other", daemon)
        topic = self.topic("t") if same_topic else self.topic("other")
        other.subscribe(topic)
        packet = p.publish(self.topic("t"), b"x" * size)
        before, dropped = Growth(daemon), self.dropped(daemon)
        count = PUBLISHED // len(packet)
        for n in range(count):
            publisher.send(packet)
            if same_topic:
                other.receive()
            elif n % 500 == 0:
                publisher.publish(topic, b"%d" % n)
                self.assertEqual(other.payloads(1), [b"%d" % n])
        publisher.alive()
        charged, used = before.bytes(LIMIT)
        self.assertLess(charged, LIMIT, "charged to daemon, slab and sockets")
        self.assertLess(used, LIMIT, "taken from the machine")
        got = len([x for x in self.drain(publisher, stuck) if x.topic == self.topic("t")])
        self.assertEqual(got + self.dropped(daemon) - dropped, count)  # the last ones were dropped by another worker
        publisher.publish(self.topic("t"), b"again")
        self.assertEqual(stuck.payloads(1), [b"again"])

    @own
    def test_small_messages(self):
        """100 MB in messages of 1000 bytes."""
        self.flood(1000, False)

    @own
    def test_large_messages(self):
        """100 MB in messages of 60,000 bytes."""
        self.flood(60000, False)

    @own
    def test_with_another_receiver(self):
        """100 MB that another subscriber of the same topic gets in full."""
        self.flood(20000, True)
