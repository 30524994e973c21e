# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The bound of a queue on disk: nothing that was acknowledged is dropped, publishers are refused or wait."""

import contextlib
import select
import threading
import time

from harness import packets as p
from harness import properties as pr
from harness.client import TIMEOUT
from harness.suite import SystemTest, own

BODY = b"x" * 900
QUOTA_EXCEEDED = 0x97
ROOM = 4	# messages of these tests that a queue has room for


class Quota(SystemTest):
    """Room for four messages; publishers and subscribers are of any worker."""

    options = ("persistence true", "durability off", "max_queued_bytes 4000", "workers 2", "max_queued_messages 2")

    def body(self, n):
        """Four of these fit, whatever the name of the test, and five do not."""
        return b"%08d" % n + BODY

    def away(self, name="s", qos=1, level=5):
        """A session that waits for its client."""
        self.back(name, level, present=None).subscribe(self.topic("t"), qos=qos)
        self.leave(name, level)

    def back(self, name="s", level=5, present=True):
        """Its client, which stays connected."""
        client = self.raw(name, level=level)
        client.connect(self.id(name), clean=False, present=present, **({"expiry": 1000} if level == 5 else {}))
        return client

    def leave(self, name="s", level=5):
        """Its client has gone again."""
        self.back(name, level).disconnect()

    def end(self, *names):
        """Sessions that are not needed any more."""
        for name in names:
            self.client(name, present=None).disconnect()

    def publisher(self, level, name="p"):
        """A client that publishes."""
        return self.raw(name, level=level).connect(self.id(name))

    def put(self, client, n, qos=1, dup=False):
        """Send a PUBLISH; its packet identifier is n + 1. The acknowledgement is not awaited."""
        client.send(p.publish(self.topic("t"), self.body(n), qos, mid=n + 1 if qos else None, dup=dup,
                              props=() if client.version == 5 else None))

    def answer(self, client, n, qos=1):
        """The reason code of the acknowledgement for it."""
        packet = client.expect(p.PUBACK if qos == 1 else p.PUBREC)
        self.assertEqual(packet.mid, n + 1)
        return packet.code

    def complete(self, client, n):
        """The rest of QoS 2."""
        client.send(p.ack(p.PUBREL, n + 1))
        self.assertEqual(client.expect(p.PUBCOMP).mid, n + 1)

    def fill(self, client, qos=1):
        """Publish until the queue is full."""
        for n in range(ROOM):
            self.put(client, n, qos)
            self.assertLess(self.answer(client, n, qos), 0x80)
            if qos == 2:
                self.complete(client, n)

    def numbers(self, packets):
        """Which of the bodies they are."""
        return [int(x.payload[:8]) for x in packets]

    def until(self, condition):
        """Wait for it."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)

    def waiting(self):
        """PUBLISH packets that wait."""
        return self.daemon.stats()["publish"]["waiting"]

    def dropped_for(self, name):
        """How many were dropped for it because its queue was full."""
        return next(c for c in self.daemon.clients()["clients"] if c["id"] == self.id(name))["dropped"]["queue_full"]


class Refused(Quota):
    """Publishers of 5.0."""

    level = 5

    @own
    def test_quota_exceeded(self):
        """A message for a session without room is refused with 0x97, in PUBACK or PUBREC, and nobody gets it: what was
        acknowledged comes when the client is back, and then there is room. 5.0 [MQTT-4.5.0-1] section 3.4.2.1"""
        for qos in (1, 2):
            with self.subTest(qos=qos):
                self.away(qos=qos)
                watch, publisher = self.client("watch"), self.publisher(5)
                watch.subscribe(self.topic("t"), qos=qos)
                before = self.daemon.stats()["publish"]["refused"]
                self.fill(publisher, qos)
                for n in range(ROOM, ROOM + 3):
                    self.put(publisher, n, qos)
                    self.assertEqual(self.answer(publisher, n, qos), QUOTA_EXCEEDED)
                self.put(publisher, 100, 0)
                publisher.ping()
                self.assertEqual(sorted(self.numbers(watch.receive(ROOM + 1))), [*range(ROOM), 100])
                watch.ping()
                self.assertEqual(self.daemon.stats()["publish"]["refused"] - before, 3)
                self.assertRegex(self.daemon.ctl("stats"), rf"(?m)^quota +{before + 3} PUBLISH refused, 0 wait")
                self.daemon.wait_log(f"The queue of client {self.id('s')} on disk is full")
                client = self.back()
                self.assertEqual(self.numbers(client.settle()), list(range(ROOM)))
                self.daemon.wait_log(rf"{self.id('s')} on disk is empty: it was full for 3 messages")
                self.put(publisher, 7, qos)
                self.assertLess(self.answer(publisher, 7, qos), 0x80)
                if qos == 2:
                    self.complete(publisher, 7)
                self.assertEqual(self.numbers(client.receive()), [7])
                self.end("s")

    @own
    def test_reason_string(self):
        """The reason is said to whom wants it. 5.0 [MQTT-3.4.2-2]"""
        self.away()
        publisher = self.publisher(5)
        self.fill(publisher)
        self.put(publisher, ROOM)
        puback = publisher.expect(p.PUBACK)
        self.assertEqual((puback.code, puback.props.get(pr.REASON_STRING)),
                         (QUOTA_EXCEEDED, "the queue of a subscriber is full"))
        self.end("s")

    @own
    def test_retained(self):
        """A retained message that is refused is not retained, nor does it remove one."""
        self.away()
        publisher = self.publisher(5)
        publisher.publish(self.topic("t"), self.body(0), 1, retain=True)
        for n in range(1, ROOM):
            publisher.publish(self.topic("t"), self.body(n), 1)
        for mid, payload in ((50, self.body(ROOM)), (51, BODY[:400])):
            publisher.send(p.publish(self.topic("t"), payload, 1, True, mid=mid, props=()))
            self.assertEqual(publisher.expect(p.PUBACK).code, QUOTA_EXCEEDED)
        watch = self.client("watch")
        watch.subscribe(self.topic("t"))
        self.assertEqual(self.numbers(watch.receive()), [0])
        publisher.publish(self.topic("t"), b"", 0, retain=True)
        self.end("s")

    @own
    def test_granted_qos_0(self):
        """Who gets it with QoS 0 needs no room; nor does No Local. [MQTT-3.8.3-3]"""
        client = self.back(present=False)
        client.subscribe((self.topic("t"), 1 | p.NO_LOCAL))
        reader = self.back("zero", present=False)
        reader.subscribe(self.topic("t"), qos=0)
        for n in range(2 * ROOM):
            self.put(client, n)
            self.assertEqual(self.answer(client, n), 0)
        self.assertEqual(self.numbers(reader.receive(2 * ROOM)), list(range(2 * ROOM)))
        self.end("s", "zero")

    @own
    def test_shared(self):
        """Of a shared subscription somebody else gets it, until all are full."""
        for name in ("one", "two"):
            self.back(name, present=False).subscribe(f"$share/g/{self.topic('t')}", qos=1)
            self.leave(name)
        publisher = self.publisher(5)
        for n in range(2 * ROOM):
            self.put(publisher, n)
            self.assertEqual(self.answer(publisher, n), 0)
        self.put(publisher, 2 * ROOM)
        self.assertEqual(self.answer(publisher, 2 * ROOM), QUOTA_EXCEEDED)
        got = [self.numbers(self.back(name).settle()) for name in ("one", "two")]
        self.assertEqual(sorted(got[0] + got[1]), list(range(2 * ROOM)))
        self.assertEqual([len(x) for x in got], [ROOM, ROOM])
        self.end("one", "two")

    @own
    def test_larger_than_the_limit(self):
        """An empty queue takes any message: nobody waits for ever."""
        self.away()
        publisher = self.publisher(5)
        publisher.publish(self.topic("t"), b"00000000" + b"x" * 10000, 1)
        self.put(publisher, 1)
        self.assertEqual(self.answer(publisher, 1), QUOTA_EXCEEDED)
        self.assertEqual(self.numbers(self.back().settle()), [0])
        self.end("s")

    @own
    def test_released_late(self):
        """What had room at its PUBREC is delivered at its PUBREL, also when the queue is full by then.
        5.0 [MQTT-4.3.3-10]"""
        self.away(qos=2)
        early, publisher = self.publisher(5, "early"), self.publisher(5)
        self.put(early, 100, 2)
        self.assertEqual(self.answer(early, 100, 2), 0)
        self.fill(publisher)
        self.complete(early, 100)
        self.assertEqual(self.numbers(self.back().settle()), [*range(ROOM), 100])
        self.end("s")

    @own
    def test_what_cannot_be_refused(self):
        """A will, and a retained message for a new subscription, are dropped for a full queue, and counted."""
        self.away()
        publisher = self.publisher(5)
        publisher.publish(self.topic("r"), self.body(99), 1, retain=True)
        self.fill(publisher)
        watch = self.client("watch")
        watch.subscribe(self.topic("t"), qos=1)
        self.client("dies", will=(self.topic("t"), self.body(50), 1, False)).close()
        self.assertEqual(self.numbers(watch.receive()), [50])
        self.until(lambda: self.dropped_for("s") == 1)
        client = self.back()
        client.subscribe(self.topic("r"), qos=1)
        self.until(lambda: self.dropped_for("s") == 2)
        self.assertEqual(self.numbers(client.settle()), list(range(ROOM)))
        publisher.publish(self.topic("r"), b"", 0, retain=True)
        self.end("s")


class Waits(Quota):
    """Publishers of 3.1.1 and 3.1."""

    @own
    def test_until_there_is_room(self):
        """There is no acknowledgement before there is room, and then there is one; PINGREQ and QoS 0 do not wait, and the
        order holds. [MQTT-4.6.0-6]"""
        for level, qos in ((4, 1), (4, 2), (3, 1)):
            with self.subTest(level=level, qos=qos):
                self.away(qos=qos)
                publisher, watch = self.publisher(level), self.client("watch")
                watch.subscribe(self.topic("t"))
                self.fill(publisher, qos)
                for n in range(ROOM, ROOM + 6):
                    self.put(publisher, n, qos)
                self.put(publisher, 100, 0)
                publisher.ping()
                self.assertEqual(self.waiting(), 6)
                self.assertEqual(self.numbers(watch.receive(ROOM + 1)), [*range(ROOM), 100])
                client = self.back()
                self.assertEqual(self.numbers(client.receive(ROOM)), list(range(ROOM)))
                for n in range(ROOM, ROOM + 6):
                    self.assertEqual(publisher.until(p.PUBACK if qos == 1 else p.PUBREC).mid, n + 1)
                    if qos == 2:
                        publisher.send(p.ack(p.PUBREL, n + 1))
                    self.assertEqual(self.numbers(client.receive()), [n])
                self.assertEqual(self.numbers(watch.receive(6)), list(range(ROOM, ROOM + 6)))
                publisher.alive()
                self.assertEqual(self.waiting(), 0)
                client.ping()
                self.end("s")

    @own
    def test_until_nobody_wants_it(self):
        """When the session with the full queue ends, nothing waits for it."""
        self.away()
        publisher = self.publisher(4)
        self.fill(publisher)
        self.put(publisher, ROOM)
        publisher.ping()
        self.assertEqual(self.waiting(), 1)
        self.end("s")
        self.assertEqual(self.answer(publisher, ROOM), 0)

    @own
    def test_who_goes_while_waiting(self):
        """What was not acknowledged when its publisher left was not taken."""
        self.away()
        for how in ("disconnect", "close", "reset"):
            publisher = self.publisher(4)
            if how == "disconnect":
                self.fill(publisher)
            for n in range(ROOM, ROOM + 3):
                self.put(publisher, n)
            publisher.ping()
            self.assertEqual(self.waiting(), 3)
            getattr(publisher, how)()
            self.until(lambda: self.waiting() == 0)
        self.assertEqual(self.numbers(self.back().settle()), list(range(ROOM)))
        self.end("s")

    def carry(self, clients, n, qos):
        """Each client publishes n messages to the topic of its name and acknowledges what it gets, and only what it
        gets, until all have come and are acknowledged; each in order."""
        got, done, left = {}, {}, {}
        for name, client in clients.items():
            got[client], done[client], left[client] = [], [], 2 * n * qos
            for k in range(n):
                client.send(p.publish(self.topic(name), self.body(k), qos, mid=k + 1))
        while any(left.values()):
            ready = select.select([c.sock for c in clients.values()], [], [], TIMEOUT)[0]
            self.assertTrue(ready, f"stopped with {left.values()} packets missing")
            for client in clients.values():
                for packet in client.available() if client.sock in ready else ():
                    left[client] -= packet.type in (p.PUBLISH, p.PUBACK, p.PUBREC, p.PUBREL, p.PUBCOMP)
                    if packet.type == p.PUBLISH:
                        got[client] += self.numbers([packet])
                    elif packet.type in (p.PUBACK, p.PUBCOMP):
                        done[client].append(packet.mid - 1)
                    answer = {p.PUBLISH: p.PUBACK if qos == 1 else p.PUBREC, p.PUBREC: p.PUBREL, p.PUBREL: p.PUBCOMP}
                    if packet.type in answer:
                        client.send(p.ack(answer[packet.type], packet.mid))
        for client in clients.values():
            self.assertEqual((got[client], done[client]), (list(range(n)),) * 2)
            client.ping()

    @own
    def test_waits_for_itself(self):
        """A client with the full queue of what it publishes itself: its acknowledgements are read behind what waits."""
        for qos in (1, 2):
            with self.subTest(qos=qos):
                client = self.back(level=4, present=False)
                client.subscribe(self.topic("s"), qos=qos)
                self.carry({"s": client}, 10 * ROOM, qos)
                self.end("s")

    @own
    def test_circle(self):
        """Two clients that wait for each other: nobody stops for ever."""
        for qos in (1, 2):
            with self.subTest(qos=qos):
                clients = {name: self.back(name, 4, present=False) for name in "ab"}
                clients["a"].subscribe(self.topic("b"), qos=qos)
                clients["b"].subscribe(self.topic("a"), qos=qos)
                self.carry(clients, 10 * ROOM, qos)
                self.end("a", "b")


class Bound(Quota):
    """What waits is bounded, too."""

    options = ("persistence true", "durability off", "max_queued_bytes 200000", "workers 2")
    LARGE = b"x" * 8184
    COUNT = 500
    MOST = (1 << 20) // 8192 + 1	# of them that wait: 1 MiB, and the one that goes beyond it
    roads = ("off", "local")

    def flood(self, client):
        """Publish large messages in a thread, which the daemon stops from reading them; returns the thread."""
        packets = b"".join(p.publish(self.topic("t"), b"%08d" % n + self.LARGE, 1, mid=n + 1)
                           for n in range(self.COUNT))

        def send():
            with contextlib.suppress(OSError):
                client.sock.sendall(packets)
        thread = threading.Thread(target=send)
        thread.start()
        self.addCleanup(thread.join)
        return thread

    @own
    def test_reading_stops(self):
        """Nothing more is read from a publisher of which 1 MiB waits; when there is room it goes on, and all come in
        order. [MQTT-4.6.0-6]"""
        self.away()
        publisher, other = self.publisher(4), self.client("other")
        thread = self.flood(publisher)
        self.until(lambda: self.waiting() >= self.MOST - 4)
        for _ in range(50):
            other.ping()
            self.assertLessEqual(self.waiting(), self.MOST)
        client = self.back()
        self.assertEqual(self.numbers(client.receive(self.COUNT)), list(range(self.COUNT)))
        thread.join()
        self.assertEqual([publisher.expect(p.PUBACK).mid for _ in range(self.COUNT)], list(range(1, self.COUNT + 1)))
        publisher.ping()
        self.end("s")

    @own
    def test_nobody_waits_for_ever(self):
        """A client that is not read any more, and whose acknowledgements might be what is waited for, is closed; its session
        goes on."""
        client = self.back(level=4, present=False)
        client.subscribe(self.topic("t"), qos=1)
        thread = self.flood(client)
        self.daemon.wait_log(f"Client {self.id('s')} .* disconnected: quota exceeded")
        thread.join()
        self.until(lambda: self.waiting() == 0)
        again = self.back(level=4)
        got = self.numbers(again.settle())
        self.assertEqual(got, list(range(len(got))))
        self.assertGreater(len(got), 0)
        again.disconnect()
        self.end("s")


class Drop(Quota):
    """durable_queue_policy drop."""

    options = ("persistence true", "durability off", "durable_queue_policy drop", "max_queued_messages 4", "workers 2")

    @own
    def test_dropped_and_counted(self):
        """As mosquitto does: what is above max_queued_messages is acknowledged, dropped for the session, and counted
        there."""
        for qos in (1, 2):
            with self.subTest(qos=qos):
                self.away(qos=qos)
                publisher, watch = self.client("p"), self.client("watch")
                watch.subscribe(self.topic("t"), qos=qos)
                before = self.dropped()
                for n in range(10):
                    publisher.publish(self.topic("t"), self.body(n), qos)
                self.assertEqual(self.numbers(watch.receive(10)), list(range(10)))
                self.until(lambda: self.dropped_for("s") == 6)
                self.assertEqual(self.dropped() - before, 6)
                self.daemon.wait_log(rf"being dropped for client {self.id('s')} \[on disk\]: its queue is full")
                self.assertEqual(self.numbers(self.back().settle()), [0, 1, 2, 3])
                self.daemon.wait_log(rf"No more messages .* for client {self.id('s')} .* 6 \(6 queue_full\)")
                self.end("s")


class Unlimited(Quota):
    """0 is no limit."""

    options = ("persistence true", "durability off", "max_queued_bytes 0", "max_queued_messages 0",
               "max_inflight_messages 0", "max_inflight_bytes 0", "max_output_bytes 0", "queue_qos0_messages true",
               "max_connections 0", "global_max_connections 0", "global_max_clients 0", "max_packet_size 0")
    roads = ("off", "remote")

    @own
    def test_all_are_kept(self):
        """All come, for sessions that are on disk and those that are not, for clients that are away and those that do not
        acknowledge."""
        count = 1500
        names = {"disk": 1000, "here": 0}
        for qos in (1, 2):
            with self.subTest(qos=qos):
                clients = {name: self.raw(name, level=5).connect(self.id(name), expiry=expiry)
                           for name, expiry in names.items()}
                for client in clients.values():
                    client.subscribe(self.topic("t"), qos=qos)
                clients.pop("disk").disconnect()
                publisher = self.client("p")
                for n in range(count):
                    publisher.publish(self.topic("t"), self.body(n), qos)
                clients["disk"] = self.raw("disk", level=5).connect(self.id("disk"), clean=False, present=True, expiry=0)
                for client in clients.values():
                    self.assertEqual(self.numbers(client.receive(count, ack=False)), list(range(count)))
                    client.disconnect()
                self.assertEqual(self.daemon.stats()["dropped"]["queue_full"], 0)


class Restart(Quota):
    """What is on disk counts as before when the daemon is started again."""

    own_daemon = True
    roads = ("off",)
    level = 5

    @own
    def test_the_same_bytes(self):
        """A queue that was full is full, and one that is empty has none."""
        self.daemon = self.start(["persistence true", "max_queued_bytes 4000"])
        topic = "m\u00e9t\u00e9o/\u6e29\u5ea6"
        client, publisher = self.client("s", expiry=1000), self.client("p")
        client.subscribe(topic, qos=1)
        client.disconnect()
        props = [(pr.USER, ("name", "value")), (pr.CONTENT_TYPE, "text")]
        codes = []
        while not codes or codes[-1] != QUOTA_EXCEEDED:
            publisher.send(p.publish(topic, BODY[:300], 1, mid=len(codes) + 1, props=props))
            codes.append(publisher.expect(p.PUBACK).code)
        before = self.mine()
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.mine(), before)
        publisher = self.client("p")
        publisher.send(p.publish(topic, BODY[:300], 1, mid=1, props=props))
        self.assertEqual(publisher.expect(p.PUBACK).code, QUOTA_EXCEEDED)
        client = self.client("s", clean=False, present=True, expiry=1000)
        client.receive(len(codes) - 1)
        client.ping()
        self.assertEqual(self.mine(), (0, 0))
        self.daemon = None

    def mine(self):
        """Messages and bytes of the queue."""
        one = next(c for c in self.daemon.clients()["clients"] if c["id"] == self.id("s"))
        return one["queued"], one["queued_bytes"]
