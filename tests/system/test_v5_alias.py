# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Topic aliases of MQTT 5.0, both ways: section 3.3.2.3.4."""

from harness import packets as p
from harness import properties as pr
from harness.client import Client
from harness.suite import SystemTest, own


class ToServer(SystemTest):
    """Aliases that the client chooses."""

    level = 5

    def publish(self, client, topic, alias, payload, qos=0):
        """PUBLISH with an alias."""
        client.publish(topic, payload, qos, props=[(pr.TOPIC_ALIAS, alias)])

    def test_all_values(self):
        """Every alias from 1 to the maximum that the CONNACK tells is accepted, for every QoS, set again as often as
        the client likes; it is not passed on. 5.0 [MQTT-3.3.2-12]"""
        client = self.client("c")
        maximum = client.connack.props.get(pr.TOPIC_ALIAS_MAXIMUM)
        self.assertEqual(maximum, 10)
        client.subscribe(self.topic("#"), qos=2)
        for round_ in ("a", "b"):
            for alias in range(1, maximum + 1):
                self.publish(client, self.topic(round_, str(alias)), alias, b"set", alias % 3)
                self.publish(client, "", alias, b"used", (alias + 1) % 3)
                came = client.receive(2)
                self.assertEqual([x.topic for x in came], [self.topic(round_, str(alias))] * 2)
                self.assertEqual([x.payload for x in came], [b"set", b"used"])
                self.assertEqual([x.props for x in came], [[], []])
        self.publish(client, "", 3, b"3")
        self.assertEqual(client.receive()[0].topic, self.topic("b", "3"))

    def test_retained_and_will_topics(self):
        """A retained message is stored under the topic that the alias stands for. 5.0 [MQTT-3.3.1-5]"""
        client = self.client("c")
        self.publish(client, self.topic("t"), 1, b"set")
        client.publish("", b"kept", 1, True, props=[(pr.TOPIC_ALIAS, 1)])
        late = self.client("late")
        late.subscribe(self.topic("t"), qos=1)
        packet = late.receive()[0]
        self.assertEqual((packet.topic, packet.payload, packet.props), (self.topic("t"), b"kept", []))
        client.publish("", b"", 1, True, props=[(pr.TOPIC_ALIAS, 1)])

    def test_above_the_maximum(self):
        """One above the maximum: DISCONNECT 0x94."""
        for alias in (11, 65535):
            client = self.client("c")
            client.send(p.publish(self.topic("t"), b"x", props=[(pr.TOPIC_ALIAS, alias)]))
            self.assertEqual(len(client.disconnected(0x94)), 1)

    def test_unknown(self):
        """One that was not set: DISCONNECT 0x82, or 0x94."""
        client = self.client("c")
        client.send(p.publish("", b"x", props=[(pr.TOPIC_ALIAS, 2)]))
        client.disconnected(0x82, 0x94)

    def test_end_with_the_connection(self):
        """They are neither carried to the next connection of the session nor to another client. 5.0 [MQTT-3.3.2-7]"""
        first = self.client("c", expiry=100)
        self.publish(first, self.topic("t"), 1, b"set", 1)
        other = self.client("d")
        other.send(p.publish("", b"x", props=[(pr.TOPIC_ALIAS, 1)]))
        other.disconnected(0x82, 0x94)
        first.close()
        second = self.client("c", clean=False, present=True)
        second.send(p.publish("", b"x", props=[(pr.TOPIC_ALIAS, 1)]))
        second.disconnected(0x82, 0x94)


class Maximum(SystemTest):
    """max_topic_alias and max_topic_alias_broker."""

    level = 5
    own_daemon = True

    @own
    def test_options(self):
        """What the options say is announced and kept to, both ways. 5.0 [MQTT-3.1.2-26] [MQTT-3.3.2-12]"""
        daemon = self.start(["max_topic_alias 2", "max_topic_alias_broker 3"])
        client = self.client("c", daemon, props=[(pr.TOPIC_ALIAS_MAXIMUM, 100)])
        self.assertEqual(client.connack.props.get(pr.TOPIC_ALIAS_MAXIMUM), 2)
        client.subscribe(self.topic("#"))
        for n in range(5):
            client.publish(self.topic(str(n)), b"x")
        self.assertEqual([x.alias for x in client.receive(5)], [1, 2, 3, None, None])
        client.publish(self.topic("t"), b"x", props=[(pr.TOPIC_ALIAS, 2)])
        client.send(p.publish(self.topic("t"), b"x", props=[(pr.TOPIC_ALIAS, 3)]))
        client.disconnected(0x94)

    @own
    def test_per_listener(self):
        """They are options of a listener. 5.0 [MQTT-3.1.2-26] [MQTT-3.3.2-12]"""
        port = self.network.free_port()
        daemon = self.start(["max_topic_alias 2", "max_topic_alias_broker 0", f"listener {port} {self.network.address}",
                             "max_topic_alias 20", "max_topic_alias_broker 15"])
        for where, maximum, broker in ((daemon.port, 2, 0), (port, 20, 15)):
            client = Client(self.network.socket(where), "c", version=5)
            self.addCleanup(client.close)
            client.connect(self.id(f"c{maximum}"), props=[(pr.TOPIC_ALIAS_MAXIMUM, 100)])
            self.assertEqual(client.connack.props.get(pr.TOPIC_ALIAS_MAXIMUM), maximum)
            client.subscribe(self.topic("#"))
            for n in range(20):
                client.publish(self.topic(str(n)), b"x")
            self.assertEqual([x.alias for x in client.receive(20)], [*range(1, broker + 1), *[None] * (20 - broker)])
            client.unsubscribe(self.topic("#"))

    @own
    def test_none(self):
        """0 is none: not announced, or as 0, and none accepted or sent. 5.0 [MQTT-3.1.2-27]"""
        daemon = self.start(["max_topic_alias 0", "max_topic_alias_broker 0"])
        client = self.client("c", daemon, props=[(pr.TOPIC_ALIAS_MAXIMUM, 100)])
        self.assertEqual(client.connack.props.get(pr.TOPIC_ALIAS_MAXIMUM, 0), 0)
        client.subscribe(self.topic("t"))
        client.publish(self.topic("t"), b"x")
        self.assertIsNone(client.receive()[0].alias)
        client.send(p.publish(self.topic("t"), b"x", props=[(pr.TOPIC_ALIAS, 1)]))
        client.disconnected(0x94)


class ToClient(SystemTest):
    """Aliases that the server chooses."""

    level = 5

    def came(self, client, n=1):
        """(topic as it stands, alias) of the next messages."""
        return [(x.topic.removeprefix(self.topic("")), x.alias) for x in client.receive(n)]

    @own
    def test_order_of_first_use(self):
        """1, 2, 3 ... in the order in which topics are used first, the topic only then; ten at most, later topics have
        none. 5.0 [MQTT-3.1.2-26] [MQTT-3.3.2-11] [MQTT-3.3.2-8]"""
        client, publisher = self.client("c", props=[(pr.TOPIC_ALIAS_MAXIMUM, 20)]), self.client("p")
        client.subscribe(self.topic("#"), qos=1)
        for n in range(12):
            publisher.publish(self.topic(str(n)), b"x", n % 2)
            self.assertEqual(self.came(client), [(str(n), n + 1 if n < 10 else None)])
        for n in range(11, -1, -1):
            publisher.publish(self.topic(str(n)), b"x", n % 2)
            self.assertEqual(self.came(client), [("", n + 1) if n < 10 else (str(n), None)])

    @own
    def test_no_more_than_asked_for(self):
        """Never above the client's maximum. 5.0 [MQTT-3.1.2-26] [MQTT-3.3.2-11]"""
        client = self.client("c", props=[(pr.TOPIC_ALIAS_MAXIMUM, 2)])
        client.subscribe(self.topic("#"), qos=1)
        for n in (0, 1, 2, 0, 1, 2):
            client.publish(self.topic(str(n)), b"x", 1)
        self.assertEqual(self.came(client, 6), [("0", 1), ("1", 2), ("2", None), ("", 1), ("", 2), ("2", None)])

    def test_none_without_maximum(self):
        """None at all without a maximum, or with 0. 5.0 [MQTT-3.1.2-27]"""
        for props in ((), [(pr.TOPIC_ALIAS_MAXIMUM, 0)]):
            client = self.client("c", props=props)
            client.subscribe(self.topic("t"), qos=1)
            for _ in range(3):
                client.publish(self.topic("t"), b"x", 1)
            self.assertEqual(self.came(client, 3), [("t", None)] * 3)

    @own
    def test_new_connection(self):
        """On a new connection they begin anew, also for what is sent again. 5.0 [MQTT-3.3.2-7] [MQTT-4.4.0-1]"""
        props = [(pr.TOPIC_ALIAS_MAXIMUM, 5)]
        client, publisher = self.client("c", expiry=100, props=props), self.client("p")
        client.subscribe(self.topic("#"), qos=1)
        publisher.publish(self.topic("a"), b"x", 1)
        self.assertEqual(self.came(client), [("a", 1)])
        publisher.publish(self.topic("b"), b"x", 1)
        publisher.publish(self.topic("b"), b"x", 1)
        client.receive(2, ack=False)
        client.close()
        publisher.publish(self.topic("a"), b"x", 1)
        client = self.client("c", clean=False, present=True, props=props)
        self.assertEqual(self.came(client, 3), [("b", 1), ("", 1), ("a", 2)])
        publisher.publish(self.topic("b"), b"x")
        self.assertEqual(self.came(client), [("", 1)])

    @own
    def test_each_client_its_own(self):
        """Every client has its own. 5.0 [MQTT-3.3.2-7]"""
        a, b = (self.client(name, props=[(pr.TOPIC_ALIAS_MAXIMUM, 5)]) for name in "ab")
        a.subscribe(self.topic("x"), self.topic("y"))
        b.subscribe(self.topic("y"))
        publisher = self.client("p")
        publisher.publish(self.topic("x"), b"x")
        publisher.publish(self.topic("y"), b"x")
        self.assertEqual(self.came(a, 2), [("x", 1), ("y", 2)])
        self.assertEqual(self.came(b), [("y", 1)])

    @own
    def test_with_both(self):
        """The aliases of publisher and subscriber have nothing to do with each other. 5.0 [MQTT-3.3.2-12]"""
        client = self.client("c", props=[(pr.TOPIC_ALIAS_MAXIMUM, 5)])
        client.subscribe(self.topic("#"))
        client.publish(self.topic("a"), b"x", props=[(pr.TOPIC_ALIAS, 7)])
        client.publish("", b"x", props=[(pr.TOPIC_ALIAS, 7)])
        self.assertEqual(self.came(client, 2), [("a", 1), ("", 1)])
