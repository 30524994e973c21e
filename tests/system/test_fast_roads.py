# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Clients of both roads with one daemon, on the same topics: what stays on a road and what crosses."""

from harness import packets as p
from harness.suite import SystemTest, own, recorded

WAYS = [("local", "local"), ("remote", "remote"), ("local", "remote"), ("remote", "local")]


class Crossing(SystemTest):
    """Publishers and subscribers on each road."""

    options = ("workers 4", "max_inflight_messages 1000")

    def road_of(self, client):
        """What the daemon says; one road alone is the one for all."""
        found = {one["id"]: one["fastpath"]["road"] for one in self.daemon.clients()["clients"]}
        return found[client.client_id]

    def carried(self):
        """Messages by road until now."""
        roads = self.daemon.stats()["fastpath"]
        return {road: roads[road]["forwarded"] for road in ("local", "remote")} if self.fast else {}

    @own
    @recorded
    def test_each_way(self):
        """Between clients of one road the kernel carries, between those of two the daemon."""
        for of, to in WAYS:
            topic = self.topic(f"{of}-{to}")
            publisher, subscriber = self.client(f"p-{of}-{to}", road=of), self.client(f"s-{of}-{to}", road=to)
            subscriber.subscribe(topic)
            self.install(publisher, subscriber, topic)
            self.until_carried(publisher, subscriber, topic)
            before = self.carried()
            for n in range(100):
                publisher.publish(topic, b"%d" % n)
                self.assertEqual(subscriber.payloads(1), [b"%d" % n])
            if self.road != "both":
                continue
            self.assertEqual((self.road_of(publisher), self.road_of(subscriber)), (of, to))
            self.assertEqual(self.crosses(publisher, topic), of != to)
            more = {road: count - before[road] for road, count in self.carried().items()}
            for road in ("local", "remote"):
                if road == of == to:
                    self.assertGreater(more[road], 0, more)
                else:
                    self.assertEqual(more[road], 0, more)

    @own
    @recorded(by=lambda packet: packet.payload.split(b" ")[0].decode())
    def test_same_topic(self):
        """A publisher on each road and subscribers who come and go on each: with receivers of its own road only the
        kernel carries, with one of the other road the daemon, and each message comes once, in the order of its
        publisher. [MQTT-4.6.0-6]"""
        publishers = {road: self.client(f"p{road}", road=road) for road in ("local", "remote")}
        subscribers, topic, number = {}, self.topic("t"), 0
        for turn in range(40):
            road = ("local", "remote", "remote", "local")[turn % 4]
            name = f"s{road}"
            if road in subscribers:
                subscribers.pop(road).disconnect()
            else:
                subscribers[road] = self.client(name, road=road)
                subscribers[road].subscribe(topic)
            for _ in range(10):
                number += 1
                payloads = [b"%s %d" % (road.encode(), number) for road in publishers]
                for publisher, payload in zip(publishers.values(), payloads):
                    publisher.publish(topic, payload)
                for subscriber in subscribers.values():
                    self.assertEqual(sorted(subscriber.payloads(2)), payloads)
            for publisher in publishers.values():
                publisher.ping()  # what nobody was there for is routed before the next one comes

    @own
    @recorded(by=lambda packet: packet.payload.split(b" ")[0].decode())
    def test_in_full_stream(self):
        """The same without waiting for each message, and with QoS 1, retained and large ones in between. Each subscriber
        has a topic of its own, too, which the kernel carries while the common one crosses. [MQTT-4.6.0-6]"""
        subscribers = {road: self.client(f"s{road}", road=road) for road in ("local", "remote")}
        publishers = {road: self.client(f"p{road}", road=road) for road in ("local", "remote")}
        for road, subscriber in subscribers.items():
            subscriber.subscribe((self.topic("t"), 1), (self.topic(road), 1))
            self.install(publishers[road], subscriber, self.topic(road))
        wanted = {(of, to): [] for of in publishers for to in subscribers}
        for n in range(400):
            for of, publisher in publishers.items():
                own = n % 3 == 0
                payload = b"%s %d" % (of.encode(), n) + b"." * (30000 if n % 50 == 17 else n % 7)
                topic, qos = self.topic(of if own else "t"), int(n % 20 == 11)
                publisher.send(p.publish(topic, payload, qos, n % 40 == 19, mid=n + 1 if qos else None))
                for to in subscribers:
                    if not own or of == to:
                        wanted[of, to].append(payload)
        for to, subscriber in subscribers.items():
            got = subscriber.payloads(sum(len(wanted[of, to]) for of in publishers))
            for of in publishers:
                self.assertEqual([x for x in got if x.startswith(of.encode())], wanted[of, to])
            subscriber.ping()
