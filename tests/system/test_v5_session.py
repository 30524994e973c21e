# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Sessions of MQTT 5.0: Clean Start and Session Expiry Interval, sections 3.1.2.4, 3.1.2.11.2 and 4.1."""

from harness import packets as p
from harness import properties as pr
from harness.clock import Clock
from harness.suite import SystemTest, differs

NEVER = 0xFFFFFFFF


class Session(SystemTest):
    """How long a session lasts."""

    level = 5

    def there(self, name="c", **fields):
        """Is there a session? It ends with this connection."""
        client = self.client(name, clean=False, present=None, **fields)
        client.disconnect(0, [(pr.SESSION_EXPIRY, 0)] if fields.get("expiry") else None)
        return client.connack.present

    def test_absent_is_zero(self):
        """Without the property the session ends with the connection, whatever Clean Start was. 5.0 [MQTT-4.1.0-2]
        [MQTT-3.1.2-6] [MQTT-3.2.2-3]"""
        for clean in (True, False):
            self.client("c", clean=clean).disconnect()
            self.assertFalse(self.there())
            self.client("c", clean=clean, expiry=0).disconnect()
            self.assertFalse(self.there())

    def test_kept(self):
        """With it the session is there: subscriptions, and the messages of QoS 1 and 2 that came meanwhile.
        5.0 [MQTT-3.1.2-23] [MQTT-3.1.2-5] [MQTT-3.2.2-3] [MQTT-4.5.0-1] [MQTT-3.1.3-2] [MQTT-4.1.0-1]"""
        client = self.client("c", expiry=100)
        client.subscribe((self.topic("t"), 2 | p.RETAIN_AS_PUBLISHED), props=[(pr.SUBSCRIPTION_ID, 77)])
        client.close()
        other = self.client("p")
        for qos in (0, 1, 2):
            other.publish(self.topic("t"), b"%d" % qos, qos, props=[(pr.USER, ("q", str(qos)))])
        client = self.client("c", clean=False, present=True, expiry=100)
        came = client.receive(2)
        self.assertEqual([(x.payload, x.qos) for x in came], [(b"1", 1), (b"2", 2)])
        self.assertEqual([pr.plain(x.props) for x in came],
                         [([(pr.SUBSCRIPTION_ID, 77)], [(pr.USER, ("q", str(x.qos)))]) for x in came])
        other.publish(self.topic("t"), b"more", 1)
        self.assertEqual(client.receive()[0].props.all(pr.SUBSCRIPTION_ID), [77])

    def test_clean_start(self):
        """Clean Start discards it, messages and all, and begins a new one that lasts. 5.0 [MQTT-3.1.2-4] [MQTT-3.2.2-2]
        [MQTT-3.1.4-4]"""
        client = self.client("c", expiry=100)
        client.subscribe(self.topic("t"), qos=1)
        client.disconnect()
        self.client("p").publish(self.topic("t"), b"lost", 1)
        client = self.client("c", clean=True, present=False, expiry=100)
        client.ping()
        client.subscribe(self.topic("u"), qos=1)
        client.disconnect()
        self.client("p").publish(self.topic("u"), b"kept", 1)
        client = self.client("c", clean=False, present=True)
        self.assertEqual(client.payloads(1), [b"kept"])

    def test_the_new_connection_decides(self):
        """The expiry interval is that of the last connection. 5.0 [MQTT-4.1.0-2]"""
        self.client("c", expiry=100).disconnect()
        self.client("c", clean=False, present=True).disconnect()
        self.assertFalse(self.there())
        self.client("c", expiry=0).close()
        self.client("c", clean=False, present=None, expiry=100).disconnect()
        self.assertTrue(self.there())

    def test_disconnect_changes_it(self):
        """DISCONNECT can shorten and lengthen it. 5.0 [MQTT-4.1.0-2] [MQTT-3.1.2-23]"""
        self.client("c", expiry=100).disconnect(0, [(pr.SESSION_EXPIRY, 0)])
        self.assertFalse(self.there())
        self.client("c", expiry=1).disconnect(0, [(pr.SESSION_EXPIRY, NEVER)])
        clock = Clock(self, 2)
        clock.wait()
        self.assertTrue(self.there())
        self.client("c", expiry=100).disconnect(0x04, [(pr.SESSION_EXPIRY, 0)])
        self.assertFalse(self.there())

    def test_disconnect_from_zero(self):
        """But not when it was 0: that is a Protocol Error, DISCONNECT 0x82. 5.0 [MQTT-4.13.1-1]"""
        client = self.client("c")
        client.send(p.disconnect(0, [(pr.SESSION_EXPIRY, 5)]))
        client.disconnected(0x82)
        self.assertFalse(self.there())
        client = self.client("c")
        client.disconnect(0, [(pr.SESSION_EXPIRY, 0)])

    def test_expires(self):
        """After its interval the session is gone, and with it what was queued; its will says when. 5.0 [MQTT-4.1.0-2]
        [MQTT-3.1.2-8]"""
        watch = self.client("watch")
        watch.subscribe(self.topic("w"))
        client = self.client("c", expiry=1, will=(self.topic("w"), b"over", 0, False),
                             will_props=[(pr.WILL_DELAY, 1000)])
        client.subscribe(self.topic("t"), qos=1)
        client.close()
        watch.publish(self.topic("t"), b"lost", 1)
        self.assertEqual(watch.payloads(1), [b"over"])
        self.assertFalse(self.there())

    @differs("mosquitto 2.0.11 just closes")
    def test_never_while_connected(self):
        """It does not expire as long as the connection is open. 5.0 [MQTT-4.1.0-1]"""
        client = self.client("c", expiry=1)
        client.subscribe(self.topic("t"))
        clock = Clock(self, 2)
        clock.wait()
        client.publish(self.topic("t"), b"x")
        client.receive()
        second = self.client("c", clean=False, present=True)
        client.disconnected(0x8E)
        second.disconnect()

    def test_old_versions(self):
        """The session of a 3.1.1 client with CleanSession 0 does not expire, and one of 5.0 can go on with it, and
        back. 5.0 [MQTT-3.1.2-5]"""
        old = self.client("c", level=4, clean=False)
        old.subscribe(self.topic("t"), qos=1)
        old.disconnect()
        new = self.client("c", clean=False, present=True, expiry=100)
        new.publish(self.topic("t"), b"1", 1)
        self.assertEqual(new.payloads(1), [b"1"])
        new.disconnect()
        self.client("p").publish(self.topic("t"), b"2", 1, props=[(pr.USER, ("a", "b"))])
        old = self.client("c", level=4, clean=False, present=True)
        self.assertEqual(old.payloads(1), [b"2"])
        old.disconnect()
        self.client("c", level=4, clean=True).disconnect()
        self.assertFalse(self.there())


class Expiration(SystemTest):
    """persistent_client_expiration caps what clients ask for."""

    level = 5
    options = ("persistent_client_expiration 1s",)

    @differs("mosquitto 2.0.11 does not know seconds")
    def test_capped(self):
        """A longer interval is cut, and the CONNACK says so where it is; the session is gone after it.
        5.0 [MQTT-4.1.0-2]"""
        watch = self.client("watch")
        watch.subscribe(self.topic("w"))
        client = self.client("c", expiry=NEVER, will=(self.topic("w"), b"over", 0, False),
                             will_props=[(pr.WILL_DELAY, 100000)])
        self.assertIn(client.connack.props.get(pr.SESSION_EXPIRY), (1, None))
        client.close()
        self.assertEqual(watch.payloads(1), [b"over"])
        self.client("c", clean=False, present=False).disconnect()
