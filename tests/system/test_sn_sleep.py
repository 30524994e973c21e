# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""MQTT-SN: clients that sleep, section 6.14, and what gets lost on the way, section 6.13."""

import struct

from harness import sn
from harness.suite import own, roads
from test_sn import SnTest


@roads("off", "local")
class Sleep(SnTest):
    """DISCONNECT with a duration, PINGREQ, and the way back."""

    @own
    def test_messages(self):
        """What comes meanwhile waits; at PINGREQ it comes, once, and only then PINGRESP; of wildcards with REGISTER before."""
        self.begin()
        pub, client = self.client("pub"), self.sn("c")
        client.subscribe("s/#", 2)
        client.subscribe("known", 1)
        client.sleep(100)
        for round_ in range(3):
            want = []
            for qos in range(3):
                for name in ("known", f"s/{round_}", f"s/{round_}/{qos}"):
                    pub.publish(name, b"%d %d" % (round_, qos), qos=qos)
                    want.append((name, b"%d %d" % (round_, qos)))
            pub.ping()
            client.nothing()
            self.assertEqual(client.wake(), want)
            self.assertEqual(client.wake(), [])

    @own
    def test_many(self):
        """More than may be in flight: all of them, in their order; and those above the limit are dropped and counted."""
        self.begin(own_lines=["max_inflight_messages 5", "max_queued_messages 50"])
        pub, client = self.client("pub"), self.sn("c")
        client.subscribe("t", 1)
        client.sleep(100)
        for n in range(80):
            pub.publish("t", b"%d" % n, qos=1)
        self.assertEqual([int(payload) for _, payload in client.wake()], list(range(55)))
        self.assertEqual(self.daemon.stats()["dropped"]["queue_full"], 25)

    @own
    def test_connect(self):
        """Back by CONNECT: the session is as it was, what waited comes. With CleanSession it is a new one."""
        self.begin()
        pub, client = self.client("pub"), self.sn("c")
        topic_id = client.subscribe("t", 1)
        client.sleep(100)
        pub.publish("t", b"one", qos=1)
        client.connect(self.id("c"), clean=False)
        self.assertEqual(client.receive(), [("t", b"one")])
        client.publish(topic_id, b"two", 1)
        self.assertEqual(client.receive(), [("t", b"two")])
        client.sleep(100)
        pub.publish("t", b"three", qos=1)
        client.connect(self.id("c"))
        pub.publish("t", b"four", qos=1)
        client.ping()

    @own
    def test_too_long(self):
        """One that does not come back in 1.5 times its duration is lost: its will is published."""
        self.begin()
        watch = self.client("watch")
        watch.subscribe("w")
        client = self.sn("c", will=("w", b"lost", 0, False))
        client.sleep(1)
        client.wake()
        self.assertEqual(watch.receive()[0].payload, b"lost")
        client.expect(sn.DISCONNECT)

    @own
    def test_in_the_middle(self):
        """It goes to sleep without having acknowledged: that comes again at its PINGREQ, with DUP."""
        self.begin()
        pub, client = self.client("pub"), self.sn("c")
        client.subscribe("t", 2)
        for qos in (1, 2):
            pub.publish("t", b"x", qos=qos)
            self.assertFalse(client.message().dup)
            client.sleep(100)
            client.send(sn.packet(sn.PINGREQ, client.id.encode()))
            message = client.message()
            self.assertTrue(message.dup)
            client.acknowledge(message)
            client.expect(sn.PINGRESP)
            client.connect(client.id, clean=False)

    @own
    def test_taken_over(self):
        """By TCP while it sleeps: what waited with QoS 1 and 2 goes there."""
        self.begin()
        pub, client = self.client("pub"), self.sn("c", clean=False)
        client.subscribe("t", 2)
        client.sleep(100)
        for qos in (1, 2):
            pub.publish("t", b"%d" % qos, qos=qos)
        tcp = self.client("c", clean=False, present=True)
        self.assertEqual([m.payload for m in tcp.receive(2)], [b"1", b"2"])
        client.expect(sn.DISCONNECT)
        tcp.ping()

    @own
    def test_theirs(self):
        """PINGREQ and DISCONNECT from another address, with the name of one that sleeps: he gets nothing, and loses nothing."""
        self.begin()
        pub, client = self.client("pub"), self.sn("c")
        client.subscribe("t", 1)
        client.sleep(100)
        pub.publish("t", b"for c", qos=1)
        thief = self.sn()
        thief.send(sn.packet(sn.PINGREQ, client.id.encode()))
        self.assertEqual(thief.expect(sn.DISCONNECT), b"")
        thief.send(sn.packet(sn.DISCONNECT))
        other = self.sn("other")
        other.send(sn.packet(sn.PINGREQ, client.id.encode()))
        other.nothing()
        thief.nothing(0)
        self.assertEqual(client.wake(), [("t", b"for c")])


@roads("off")
class Losses(SnTest):
    """Datagrams that get lost, both ways."""

    @staticmethod
    def skip(client, payload):
        """The next message with this payload; those before it came once more."""
        message = client.message()
        while message.payload != payload:
            message = client.message()
        return message

    @own
    def test_publish_again(self):
        """What was not acknowledged comes again, with DUP; nothing else before that."""
        self.begin("mqtt_sn_retry 60", "mqtt_sn_retries 100")
        pub, client = self.client("pub"), self.sn("c")
        client.subscribe("t", 2)
        pub.publish("t", b"1", qos=1)
        pub.publish("t", b"2", qos=2)
        first, again = client.message(), client.message()
        self.assertEqual((first.dup, again.dup, again.msg_id, again.payload), (False, True, first.msg_id, b"1"))
        client.acknowledge(again)
        second, again = self.skip(client, b"2"), client.message()
        self.assertEqual((second.dup, again.dup, again.msg_id), (False, True, second.msg_id))
        mid = struct.pack("!H", second.msg_id)
        client.send(sn.packet(sn.PUBREC, mid))
        for _ in range(2):
            self.assertEqual(client.until(sn.PUBREL), mid)
        client.send(sn.packet(sn.PUBREC, mid))
        self.assertEqual(client.until(sn.PUBREL), mid)
        client.send(sn.packet(sn.PUBCOMP, mid))
        client.send(sn.packet(sn.PINGREQ))
        client.until(sn.PINGRESP)
        self.assertGreaterEqual(self.count("retransmitted"), 3)

    @own
    def test_register_again(self):
        """The same for REGISTER."""
        self.begin("mqtt_sn_retry 60", "mqtt_sn_retries 100")
        pub, client = self.client("pub"), self.sn("c")
        client.subscribe("#")
        pub.publish("a/b", b"x")
        first, again = client.expect(sn.REGISTER), client.expect(sn.REGISTER)
        self.assertEqual(first, again)
        client.registered(again)
        self.assertEqual(client.receive(), [("a/b", b"x")])

    @own
    def test_lost(self):
        """Nothing is acknowledged: the client is lost, the message kept with its session."""
        self.begin("mqtt_sn_retry 200", "mqtt_sn_retries 2")
        watch, client = self.client("watch"), self.sn("c", clean=False, will=("w", b"lost", 0, False))
        watch.subscribe("w")
        client.subscribe("t", 1)
        watch.publish("t", b"kept", qos=1)
        self.assertEqual(watch.receive()[0].payload, b"lost")
        self.assertEqual([client.message().dup for _ in range(3)], [False, True, True])
        client.expect(sn.DISCONNECT)
        client.connect(client.id, clean=False)
        self.assertEqual(client.receive(), [("t", b"kept")])

    @own
    def test_lost_awake(self):
        """One that is awake and falls silent sleeps on: at the next PINGREQ it comes again."""
        self.begin("mqtt_sn_retry 150", "mqtt_sn_retries 1")
        pub, client = self.client("pub"), self.sn("c")
        client.subscribe("t", 1)
        client.sleep(100)
        pub.publish("t", b"1", qos=1)
        pub.publish("t", b"2", qos=1)
        client.send(sn.packet(sn.PINGREQ, client.id.encode()))
        self.assertEqual([client.message().dup for _ in range(2)], [False, True])
        client.nothing(0.3)
        self.assertEqual(list(dict.fromkeys(client.wake())), [("t", b"1"), ("t", b"2")])

    @own
    def test_answers_lost(self):
        """The client did not get the answers, and asks again: CONNECT, SUBSCRIBE, REGISTER, PUBLISH of each QoS."""
        self.begin()
        watch = self.client("watch")
        watch.subscribe(("#", 2))
        client = self.sn("c", will=("w", b"never", 0, False))
        client.disconnect()
        for _ in range(2):
            client.connect(client.id, clean=False, duration=60)
        topic_id = client.register("t")
        self.assertEqual(client.register("t"), topic_id)
        for _ in range(2):
            client.send(sn.publish(topic_id, b"twice", 1, dup=False, msg_id=7))
            client.expect(sn.PUBACK)
        for dup in (False, True, True):
            client.send(sn.publish(topic_id, b"once", 2, dup=dup, msg_id=8))
            self.assertEqual(client.expect(sn.PUBREC), b"\0\x08")
        for _ in range(2):
            client.send(sn.packet(sn.PUBREL, b"\0\x08"))
            self.assertEqual(client.expect(sn.PUBCOMP), b"\0\x08")
        self.assertEqual([m.payload for m in watch.receive(3)], [b"twice", b"twice", b"once"])
        watch.nothing()

    @own
    def test_unknown_topic(self):
        """The client has forgotten an id: it is told again, then the message comes again. Of QoS 0 the next one does."""
        self.begin()
        pub, client = self.client("pub"), self.sn("c")
        client.subscribe("+", 1)
        for payload in (b"1", b"2"):
            pub.publish("topic", payload, qos=1)
            message = client.message()
            client.acknowledge(message, sn.INVALID_TOPIC)
            client.registered(client.expect(sn.REGISTER))
            again = client.message()
            self.assertEqual((again.payload, again.dup), (payload, True))
            client.acknowledge(again)
        pub.publish("topic", b"3")
        message = client.message()
        client.acknowledge(message._replace(qos=1), sn.INVALID_TOPIC)
        client.ping()
        pub.publish("topic", b"4")
        client.registered(client.expect(sn.REGISTER))
        self.assertEqual(client.receive(), [("topic", b"4")])

    @own
    def test_refused_topic(self):
        """It will not have an id: its messages are dropped and counted, the others come."""
        self.begin()
        pub, client = self.client("pub"), self.sn("c")
        client.subscribe("#", 2)
        for qos in range(3):
            pub.publish(f"no/{qos}", b"x", qos=qos)
            client.registered(client.expect(sn.REGISTER), sn.NOT_SUPPORTED)
            pub.publish("ab", b"yes", qos=qos)
            self.assertEqual(client.receive(), [("ab", b"yes")])
        client.ping()
        self.assertEqual(self.daemon.stats()["dropped"]["queue_full"], 3)

    @own
    def test_resumed(self):
        """A session that goes on: its client may use the ids it remembers, and is told them before it gets a PUBLISH."""
        self.begin()
        pub, client = self.client("pub"), self.sn("c", clean=False)
        topic_id = client.register("own/topic")
        client.subscribe("+/topic", 1)
        client.disconnect()
        pub.publish("own/topic", b"x", qos=1)
        client.connect(client.id, clean=False)
        body = client.expect(sn.REGISTER)
        self.assertEqual(struct.unpack("!H", body[:2])[0], topic_id)
        client.registered(body)
        self.assertEqual(client.receive(), [("own/topic", b"x")])
        client.publish(topic_id, b"y", 1)
        self.assertEqual(client.receive(), [("own/topic", b"y")])
