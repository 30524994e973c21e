# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""More retained messages than go out with the SUBACK."""

from harness import packets as p
from harness.suite import SystemTest, own, roads


@roads("off", "local")
class Replay(SystemTest):
    """Daemons that have so many."""

    own_daemon = True
    N = 5000

    def begin(self, *options, qos=0):
        """A daemon that has them, and the publisher."""
        if self.reference:
            self.skipTest("the order is Shunt's own")
        daemon = self.start(options)
        publisher = self.client("publisher", daemon)
        publisher.send(b"".join(p.publish(f"many/{n % 10}/{n}", b"%d" % n, qos, retain=True, mid=n + 1 if qos else None)
                                for n in range(self.N)))
        for _ in range(self.N if qos else 0):
            publisher.expect(p.PUBACK)
        publisher.alive()
        return daemon, publisher

    def check_all(self, packets):
        """Each came once, with its payload."""
        self.assertEqual({(x.topic, x.payload, x.retain) for x in packets},
                         {(f"many/{n % 10}/{n}", b"%d" % n, True) for n in range(self.N)})
        self.assertEqual(len(packets), self.N)

    @own
    def test_small_output(self):
        """A client that takes its time gets all of them, whatever fits into its output and its queue. 3.1.1 [MQTT-3.3.1-6]"""
        daemon, _ = self.begin("max_output_bytes 4096", "max_queued_messages 10")
        for qos in (0, 1, 2):
            client = self.client(f"c{qos}", daemon, rcvbuf=4096)
            client.subscribe("many/#", qos=qos)
            packets = client.receive(self.N)
            self.check_all(packets)
            client.nothing()
        self.assertEqual(daemon.stats()["dropped"]["total"], 0)

    @own
    def test_live_behind(self):
        """What is published meanwhile comes after the older value of its topic, and nothing of it is lost."""
        daemon, publisher = self.begin()
        client, other = self.client("c", daemon, rcvbuf=4096), self.client("other", daemon)
        other.subscribe("live")
        client.send(p.subscribe(1, ("many/#", 1), ("live", 1)))
        client.expect(p.SUBACK)
        for n in range(200):
            publisher.publish("live", b"%d" % n, 1)
            publisher.publish(f"many/{n % 10}/{n}", b"new %d" % n, n % 2)
            self.assertEqual(other.payloads(1), [b"%d" % n])
        packets = client.receive(self.N + 400)
        self.assertEqual([x.payload for x in packets if x.topic == "live"], [b"%d" % n for n in range(200)])
        for n in range(200):
            values = [x.payload for x in packets if x.topic == f"many/{n % 10}/{n}"]
            self.assertEqual(values, [b"%d" % n, b"new %d" % n])
        client.nothing()

    @own
    def test_ends(self):
        """UNSUBSCRIBE, another SUBSCRIBE, and the end of the client in the middle of it."""
        daemon, publisher = self.begin()
        client = self.client("c", daemon, rcvbuf=4096)
        client.send(p.subscribe(1, ("many/#", 0)), p.subscribe(2, ("many/#", 0)), p.unsubscribe(3, "many/#"))
        client.until(p.UNSUBACK)
        client.pending.clear()
        client.ping()
        publisher.publish("many/1/1", b"x", 1)
        client.nothing()
        gone = self.client("gone", daemon, rcvbuf=4096)
        gone.send(p.subscribe(1, ("many/#", 1), ("many/1/#", 2)))
        gone.until(p.SUBACK)
        gone.close()
        for _ in range(3):
            publisher.publish("many/1/1", b"x", 1)
        daemon.stop()

    @own
    def test_away(self):
        """A session that outlives its connection gets the rest when it comes back, and then what came meanwhile."""
        daemon, publisher = self.begin("max_queued_messages 0", qos=1)
        kept = self.client("kept", daemon, clean=False, rcvbuf=4096)
        kept.send(p.subscribe(1, ("many/#", 1)))
        kept.until(p.SUBACK)
        kept.close()
        daemon.wait_log(r"Client kept-\S+ \[\S+\] disconnected")
        publisher.publish("many/1/1", b"live", 1)
        kept = self.client("kept", daemon, clean=False, present=True)
        packets = kept.receive(self.N + 1)
        self.assertEqual(packets[-1].payload, b"live")
        self.check_all(packets[:-1])
        self.assertEqual(daemon.stats()["dropped"]["total"], 0)
