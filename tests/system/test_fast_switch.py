# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Ways change while messages flow: subscriptions, receivers, the off-switch. Nothing is lost, twice or out of order,
and what SUBACK and UNSUBACK promise holds from then on."""

from harness import packets as p
from harness.suite import SystemTest, own, recorded


class Switch(SystemTest):
    """A publisher sends without pause, a message at a time; others change the ways."""

    def setUp(self):
        super().setUp()
        self.subscriber, self.publisher = self.client("s"), self.client("p")
        self.subscriber.subscribe(self.topic("t"))
        self.sent = 0

    def ready(self):
        """The flow is there."""
        self.install(self.publisher, self.subscriber, self.topic("t"))

    def publish(self, count, topic="t"):
        """The next messages, not waited for; returns their payloads."""
        payloads = [b"%d" % n for n in range(self.sent, self.sent + count)]
        self.sent += count
        for payload in payloads:
            self.publisher.publish(self.topic(topic), payload)
        return payloads

    def handled(self):
        """The daemon has routed all that was published."""
        self.publisher.publish("handled/" + self.name, b"", 1)

    @recorded
    def test_second_subscriber(self):
        """A second subscriber gets everything from its SUBACK on, the first misses nothing; it leaves, and the flow
        comes back."""
        self.ready()
        for turn in range(15):
            wanted = self.publish(20)
            self.handled()
            second = self.client(f"second{turn}")
            second.subscribe(self.topic("t") if turn % 2 else self.topic("+"))
            both = self.publish(20)
            self.handled()
            self.assertEqual(second.payloads(20), both)
            second.unsubscribe(self.topic("t"), self.topic("+"))
            wanted += both + self.publish(20)
            self.assertEqual(self.drain(self.publisher, second), [])
            second.close()
            self.assertEqual(self.subscriber.payloads(60), wanted)

    @recorded
    def test_second_subscriber_dies(self):
        """The second one resets in the middle of the stream."""
        self.ready()
        for turn in range(15):
            second = self.client("second", record=False)
            second.subscribe(self.topic("#"))
            wanted = self.publish(10)
            second.reset() if turn % 2 else second.close()
            wanted += self.publish(10)
            self.assertEqual(self.subscriber.payloads(20), wanted)

    @recorded
    def test_receiver_moves(self):
        """The subscription goes from one client to the other and back: each gets exactly its part."""
        self.ready()
        other = self.client("other")
        here, there = self.subscriber, other
        for _ in range(20):
            mine = self.publish(10)
            self.handled()
            there.subscribe(self.topic("t"))
            shared = self.publish(5)
            self.handled()
            here.unsubscribe(self.topic("t"))
            theirs = self.publish(10)
            self.assertEqual(here.payloads(15), mine + shared)
            self.assertEqual(there.payloads(15), shared + theirs)
            here, there = there, here

    @recorded
    def test_resubscribed_with_other_qos(self):
        """The same filter with another QoS, in the stream."""
        self.ready()
        wanted = []
        for qos in (1, 0, 2, 0) * 4:
            wanted += self.publish(10)
            self.handled()
            self.subscriber.subscribe((self.topic("t"), qos))
        self.assertEqual(self.subscriber.payloads(len(wanted)), wanted)

    @recorded
    def test_unsubscribe_in_the_stream(self):
        """After UNSUBACK nothing, from SUBACK on everything, again and again."""
        self.ready()
        for _ in range(30):
            wanted = self.publish(5)
            self.handled()
            self.subscriber.unsubscribe(self.topic("t"))
            self.publish(5)
            self.handled()
            self.subscriber.subscribe(self.topic("t"))
            wanted += self.publish(5)
            self.assertEqual(self.subscriber.payloads(10), wanted)
        self.assertEqual(self.drain(self.publisher, self.subscriber), [])

    @recorded
    def test_receiver_reconnects(self):
        """The receiver leaves, in different ways, and comes back under its identifier: what is sent after its SUBACK
        arrives, nothing of before."""
        for end in ("disconnect", "close", "reset", "half_close") * 4:
            self.ready()
            wanted = self.publish(5)
            self.assertEqual(self.subscriber.payloads(5), wanted)
            getattr(self.subscriber, end)()
            self.publish(5)
            self.publisher.alive()
            self.subscriber = self.client("s")
            self.subscriber.subscribe(self.topic("t"))
            wanted = self.publish(5)
            self.assertEqual(self.subscriber.payloads(5), wanted)

    @recorded
    def test_receiver_taken_over(self):
        """The receiver is taken over while messages flow: the new connection gets what is sent after its SUBACK."""
        for _ in range(15):
            self.ready()
            old, wanted = self.subscriber, self.publish(5)
            self.assertEqual(old.payloads(5), wanted)
            self.subscriber = self.client("s")
            self.subscriber.subscribe(self.topic("t"))
            wanted = self.publish(5)
            self.assertEqual(self.subscriber.payloads(5), wanted)
            self.assertEqual(old.closed(), [])

    @recorded
    def test_persistent_receiver_goes_offline(self):
        """A persistent session's receiver goes away: QoS 1 is stored, QoS 0 is not."""
        subscriber = self.client("persistent", clean=False)
        subscriber.subscribe(self.topic("u"), qos=1)
        for turn in range(5):
            self.install(self.publisher, subscriber, self.topic("u"))
            subscriber.close()
            self.daemon.wait_log(rf"(?s)(persistent-{self.name} .*?(disconnected|closed its).*){{{turn + 1}}}")
            self.publisher.publish(self.topic("u"), b"lost")
            self.publisher.publish(self.topic("u"), b"%d" % turn, 1)
            subscriber = self.client("persistent", clean=False, present=True)
            self.assertEqual(subscriber.payloads(1), [b"%d" % turn])
        self.client("persistent", clean=True).disconnect()

    @own
    @recorded
    def test_switched_at_run_time(self):
        """shuntctl fastpath off and on in the stream: it stops and starts forwarding, and nobody sees it."""
        self.ready()
        wanted = []
        for _ in range(5):
            for state in ("off", "on"):
                if self.fast:
                    self.daemon.ctl("fastpath", state)
                    self.assertEqual(self.daemon.stats()["fastpath"]["state"], state)
                before = self.forwarded()
                for _ in range(30):
                    wanted += self.publish(1)
                    self.assertEqual(self.subscriber.payloads(1), wanted[-1:])
                if state == "off":
                    self.assertEqual(self.forwarded() - before, 0)
            self.ready()
        self.assertEqual(self.drain(self.publisher, self.subscriber), [])

    @own
    @recorded
    def test_switched_under_load(self):
        """The same while messages are on their way."""
        self.ready()
        for _ in range(20):
            wanted = self.publish(50)
            if self.fast:
                self.daemon.ctl("fastpath", "off")
            wanted += self.publish(50)
            if self.fast:
                self.daemon.ctl("fastpath", "on")
            wanted += self.publish(50)
            self.assertEqual(self.subscriber.payloads(150), wanted)

    @own
    @recorded
    def test_connected_while_off(self):
        """Who connects while it is switched off is served, large packets, retained messages and answers and all, and has
        flows when it is on again: with others of that time and with those from before, both ways."""
        early = self.client("early")
        early.subscribe(self.topic("early"))
        early.publish(self.topic("kept"), b"kept", 1, True)
        if self.fast:
            self.daemon.ctl("fastpath", "off")
        before = self.forwarded()
        clients = [early, self.client("one"), self.client("two", level=early.version)]
        for client in clients[1:]:
            client.subscribe(self.topic("kept"), qos=1)
            self.assertEqual(client.payloads(1), [b"kept"])
            client.subscribe(self.topic(client.name))
            client.ping()
        pairs = [(a, b) for a in clients for b in clients if a is not b]
        for size in (0, 100, 70000):
            for publisher, subscriber in pairs:
                for n in range(10):
                    payload = b"%s %d" % (publisher.name.encode(), n) + b"." * size
                    publisher.publish(self.topic(subscriber.name), payload)
                    self.assertEqual(subscriber.payloads(1), [payload])
        self.assertEqual(self.forwarded(), before)
        if self.fast:
            self.daemon.ctl("fastpath", "on")
        for publisher, subscriber in pairs:
            self.install(publisher, subscriber, self.topic(subscriber.name))
            self.until_carried(publisher, subscriber, self.topic(subscriber.name))
            for n in range(50):
                publisher.publish(self.topic(subscriber.name), b"%d" % n)
                self.assertEqual(subscriber.payloads(1), [b"%d" % n])
        early.publish(self.topic("kept"), b"", 1, True)

    @own
    def test_switch_of_a_daemon_without(self):
        """Where the configuration switched it off it can be switched on at run time."""
        if self.road != "off":
            self.skipTest("is on")
        stats = self.daemon.stats()["fastpath"]
        self.assertEqual(stats["state"], "off")
        if not stats["local"]["available"]:
            self.skipTest("the kernel has no fast path")
        self.ready()
        self.daemon.ctl("fastpath", "on")
        self.assertEqual(self.daemon.stats()["fastpath"]["state"], "on")
        subscriber, publisher = self.client("s2"), self.client("p2")
        subscriber.subscribe(self.topic("u"))
        self._until(lambda: self.daemon.stats()["fastpath"]["local"]["forwarded"], publisher, subscriber,
                    self.topic("u"), None)
        for n in range(100):
            publisher.publish(self.topic("u"), b"%d" % n)
            self.assertEqual(subscriber.payloads(1), [b"%d" % n])
        self.daemon.ctl("fastpath", "off")
        self.assertEqual(self.daemon.stats()["fastpath"]["state"], "off")

    @recorded
    def test_many_subscriptions_elsewhere(self):
        """Hundreds of subscriptions and unsubscriptions that do not match leave the stream alone."""
        self.ready()
        other = self.client("other", record=False)
        wanted = []
        for n in range(100):
            wanted += self.publish(2)
            other.subscribe(self.topic("elsewhere", str(n)), self.topic("t", "below"), "+/+/+/" + str(n))
            wanted += self.publish(2)
            other.unsubscribe(self.topic("elsewhere", str(n)))
        self.assertEqual(self.subscriber.payloads(len(wanted)), wanted)

    @recorded
    def test_subscribe_and_publish_race(self):
        """A subscriber subscribes while the publisher's messages are on their way: from the SUBACK on all of them, and
        those before it, if any, in order and without a gap."""
        self.ready()
        for turn in range(20):
            second = self.client(f"second{turn}", record=False)
            second.send(p.subscribe(1, (self.topic("t"), 0)))
            wanted = self.publish(30)
            second.until(p.SUBACK)
            after = self.publish(10)
            got = [x.payload for x in self.drain(self.publisher, second)]
            self.assertEqual(got, (wanted + after)[-len(got):])
            self.assertGreaterEqual(len(got), 10)
            self.assertEqual(self.subscriber.payloads(40), wanted + after)
            second.disconnect()
