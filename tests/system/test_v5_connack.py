# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What a CONNACK of MQTT 5.0 announces, and that the server keeps to it: section 3.2.2.3 and the options behind it."""

from harness import packets as p
from harness import properties as pr
from harness.suite import SystemTest, differs, own


class Announced(SystemTest):
    """Shared parts."""

    level = 5

    def connack(self, **fields):
        """The properties of the CONNACK."""
        return self.client("c", **fields).connack.props

    def refused(self, code, **fields):
        """CONNECT gets CONNACK with this code, Session Present 0, and the end. Returns the properties."""
        client = self.raw("c")
        client.send(client.hello(self.id("c"), **fields))
        came = client.closed()
        self.assertEqual([(x.type, x.code, x.present) for x in came], [(p.CONNACK, code, False)])
        return came[0].props


class MaximumQos1(Announced):
    """max_qos 1."""

    options = ("max_qos 1",)

    def test_announced(self):
        """Maximum QoS 1 is announced, and not to versions that have no word for it. 5.0 [MQTT-3.2.2-9]"""
        self.assertEqual(self.connack().get(pr.MAXIMUM_QOS), 1)
        self.client("old", level=4).ping()

    def test_subscribe(self):
        """Every QoS can be asked for; what is granted is what there is. 5.0 [MQTT-3.2.2-10] [MQTT-3.8.4-7]"""
        client = self.client("c")
        client.subscribe((self.topic("a"), 0), (self.topic("b"), 1), (self.topic("c"), 2), codes=[0, 1, 1])
        client.publish(self.topic("c"), b"x", 1)
        self.assertEqual(client.receive()[0].qos, 1)

    def test_publish(self):
        """A PUBLISH above it: DISCONNECT 0x9B."""
        client = self.client("c")
        client.send(p.publish(self.topic("t"), b"x", 2, mid=1, props=()))
        client.disconnected(0x9B)

    def test_will(self):
        """So is a will: CONNACK 0x9B. 5.0 [MQTT-3.2.2-12] [MQTT-3.2.2-6] [MQTT-3.2.2-7]"""
        self.refused(0x9B, will=(self.topic("w"), b"x", 2, False))
        self.client("d", will=(self.topic("w"), b"x", 1, False)).disconnect()


class MaximumQos0(Announced):
    """max_qos 0."""

    options = ("max_qos 0",)

    def test_all(self):
        """Maximum QoS 0. 5.0 [MQTT-3.2.2-9] [MQTT-3.2.2-10] [MQTT-3.2.2-12]"""
        client = self.client("c")
        self.assertEqual(client.connack.props.get(pr.MAXIMUM_QOS), 0)
        client.subscribe((self.topic("a"), 1), (self.topic("b"), 2), codes=[0, 0])
        client.publish(self.topic("a"), b"x")
        client.receive()
        client.send(p.publish(self.topic("t"), b"x", 1, mid=1, props=()))
        client.disconnected(0x9B)
        self.refused(0x9B, will=(self.topic("w"), b"x", 1, False))


class NoRetain(Announced):
    """retain_available false."""

    options = ("retain_available false",)

    def test_all(self):
        """Retain Available 0; who retains nevertheless is disconnected with 0x9A, a retained will refused with it.
        5.0 [MQTT-3.2.2-13] [MQTT-3.2.2-6] [MQTT-3.2.2-7]"""
        client = self.client("c")
        self.assertEqual(client.connack.props.get(pr.RETAIN_AVAILABLE), 0)
        client.send(p.publish(self.topic("t"), b"x", 1, True, mid=1, props=()))
        client.disconnected(0x9A)
        self.refused(0x9A, will=(self.topic("w"), b"x", 0, True))


class Unavailable(Announced):
    """wildcard_subscriptions, shared_subscriptions and subscription_identifiers false."""

    options = ("wildcard_subscriptions false", "shared_subscriptions false", "subscription_identifiers false")

    @own
    def test_announced(self):
        """The CONNACK tells all three."""
        props = self.connack()
        for identifier in (pr.WILDCARD_AVAILABLE, pr.SHARED_AVAILABLE, pr.SUBSCRIPTION_ID_AVAILABLE):
            self.assertEqual(props.get(identifier), 0, pr.TABLE[identifier][0])

    def subscribed(self, code, *filters, props=()):
        """The failure is told in the SUBACK, or the client disconnected with it."""
        client = self.client("c")
        client.send(p.subscribe(5, *filters, props=props))
        answer = client.read()
        if answer.type == p.SUBACK:
            self.assertEqual(answer.codes, [code] * len(filters))
            client.ping()
        else:
            self.assertEqual((answer.type, answer.code), (p.DISCONNECT, code))
            client.closed()

    @own
    def test_wildcards(self):
        """A filter with a wildcard: 0xA2. 5.0 [MQTT-3.8.4-7] [MQTT-3.9.3-2]"""
        self.subscribed(0xA2, (self.topic("#"), 0))
        self.subscribed(0xA2, ("+/" + self.name, 1))

    @own
    def test_shared(self):
        """A shared subscription: 0x9E. 5.0 [MQTT-3.8.4-7] [MQTT-3.9.3-2]"""
        self.subscribed(0x9E, ("$share/g/" + self.topic("t"), 0))

    @own
    def test_identifiers(self):
        """A Subscription Identifier: 0xA1. 5.0 [MQTT-3.8.4-7] [MQTT-3.9.3-2]"""
        self.subscribed(0xA1, (self.topic("t"), 0), props=[(pr.SUBSCRIPTION_ID, 1)])

    @own
    def test_what_is_left(self):
        """A plain subscription works."""
        client = self.client("c")
        client.subscribe(self.topic("t"))
        client.publish(self.topic("t"), b"x")
        client.receive()


class KeepAlive(Announced):
    """max_keepalive 30."""

    options = ("max_keepalive 30",)

    def test_server_keep_alive(self):
        """A longer one, and none, get Server Keep Alive; a shorter one is used. 5.0 [MQTT-3.2.2-22]"""
        self.assertEqual(self.connack(keepalive=60).get(pr.SERVER_KEEP_ALIVE), 30)
        self.assertEqual(self.connack(keepalive=0).get(pr.SERVER_KEEP_ALIVE), 30)
        self.assertIsNone(self.connack(keepalive=30).get(pr.SERVER_KEEP_ALIVE))
        self.assertIsNone(self.connack(keepalive=5).get(pr.SERVER_KEEP_ALIVE))


class ShortKeepAlive(Announced):
    """max_keepalive 1: the server acts on what it announces."""

    options = ("max_keepalive 1",)

    @differs("mosquitto 2.0.11 wants at least 10")
    def test_enforced(self):
        """Silence for longer than one and a half times Server Keep Alive ends the connection: DISCONNECT 0x8D, and the
        will. 5.0 [MQTT-3.1.2-22] [MQTT-3.14.2-1]"""
        client = self.client("c", keepalive=600, will=(self.topic("w"), b"late", 1, True))
        self.assertEqual(client.connack.props.get(pr.SERVER_KEEP_ALIVE), 1)
        self.assertEqual(len(client.disconnected(0x8D)), 1)
        late = self.client("late")
        late.subscribe(self.topic("w"))
        self.assertEqual(late.payloads(1), [b"late"])
        late.publish(self.topic("w"), b"", retain=True)


class ResponseInformation(Announced):
    """response_information."""

    options = ("response_information answers/below here",)

    @own
    def test_asked_for(self):
        """It is there for who asks, as it stands, and for nobody else. 5.0 [MQTT-3.1.2-28]"""
        asked = self.client("c", props=[(pr.REQUEST_RESPONSE, 1)])
        self.assertEqual(asked.connack.props.get(pr.RESPONSE_INFORMATION), "answers/below here")
        self.assertIsNone(self.client("d", props=[(pr.REQUEST_RESPONSE, 0)]).connack.props.get(pr.RESPONSE_INFORMATION))
        self.assertIsNone(self.client("e").connack.props.get(pr.RESPONSE_INFORMATION))


class NoResponseInformation(Announced):
    """Without the option."""

    def test_none(self):
        """Who asks gets none."""
        self.assertIsNone(self.connack(props=[(pr.REQUEST_RESPONSE, 1)]).get(pr.RESPONSE_INFORMATION))


class ServerReference(Announced):
    """server_reference."""

    own_daemon = True

    @own
    def test_refused(self):
        """Who is one client too many is told where to go: CONNACK 0x9C."""
        daemon = self.start(["server_reference other.example:1884", "global_max_clients 1"])
        first = self.client("a", daemon)
        second = self.raw("b", daemon)
        second.send(p.connect("b", level=5))
        came = second.closed()
        self.assertEqual([(x.type, x.code) for x in came], [(p.CONNACK, 0x9C)])
        self.assertEqual(came[0].props.get(pr.SERVER_REFERENCE), "other.example:1884")
        first.ping()

    @own
    def test_stopped(self):
        """So are all when the broker stops: DISCONNECT 0x9C. 5.0 [MQTT-3.14.2-1] [MQTT-3.14.4-2]"""
        daemon = self.start(["server_reference other.example:1884"])
        new, old = self.client("a", daemon), self.client("b", daemon, level=4)
        daemon.stop()
        came = new.disconnected(0x9C)
        self.assertEqual(came[-1].props.get(pr.SERVER_REFERENCE), "other.example:1884")
        self.assertEqual(old.closed(), [])


class Versions(Announced):
    """accept_protocol_versions."""

    own_daemon = True

    def accepted(self, daemon):
        """The levels of which a CONNECT is accepted; the others are refused in the words of their version."""
        good = []
        for level in (3, 4, 5):
            client = self.raw(daemon=daemon, level=level)
            client.send(p.connect("a", level=level))
            connack = client.expect(p.CONNACK)
            if connack.code == 0:
                good.append(level)
            else:
                self.assertEqual(connack.code, 0x84 if level == 5 else 1)
                self.assertEqual(client.closed(), [])
        return good

    @own
    def test_each(self):
        """Only what it names is accepted. 5.0 [MQTT-3.1.2-2] [MQTT-3.2.2-7]"""
        for value, levels in (("5", [5]), ("4", [4]), ("3", [3]), ("3,5", [3, 5]), ("4,5", [4, 5]),
                              ("3,4,5", [3, 4, 5])):
            with self.subTest(value):
                daemon = self.start([f"accept_protocol_versions {value}"])
                self.assertEqual(self.accepted(daemon), levels)
                daemon.stop()

    def test_default(self):
        """All by default, side by side."""
        self.assertEqual(self.accepted(self.start()), [3, 4, 5])
