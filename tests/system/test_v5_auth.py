# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Enhanced authentication of MQTT 5.0, with SCRAM-SHA-256: sections 3.15 and 4.12."""

import os
import subprocess
import tempfile

from harness import build
from harness import packets as p
from harness import properties as pr
from harness import run, scram
from harness.suite import SystemTest, differs, own

METHOD = "SCRAM-SHA-256"
USERS = {"alice": "secret", "bob": "pässwörd, with = and ,", "carol": "x"}


def props(data=None, method=METHOD):
    """The properties of AUTH and CONNECT."""
    return [(pr.AUTH_METHOD, method)] + ([(pr.AUTH_DATA, data)] if data is not None else [])


def users():
    """A file of the users: some written here, one by shuntctl."""
    path = f"{tempfile.mkdtemp(dir=run.folder())}/users"
    with open(path, "w") as out:
        out.write("# users\n")
        out.writelines(f"{scram.line(user, USERS[user])}\n" for user in ("alice", "bob"))
    subprocess.run([f"{build.BUILD}/shuntctl", "scram", "--iterations", "4096", path, "carol"], input=USERS["carol"],
                   text=True, check=True, capture_output=True)
    for name in (path, os.path.dirname(path)):
        os.chmod(name, 0o755)
    return path


class Scram(SystemTest):
    """The built-in method."""

    level = 5

    own_daemon = True

    def setUp(self):
        super().setUp()
        self.daemon = self.start([f"scram_file {users()}"])

    def begin(self, exchange, name="c", **fields):
        """CONNECT and the server's answer to client-first-message, an AUTH 0x18."""
        client = self.raw(name)
        client.send(client.hello(self.id(name), props=[*fields.pop("props", ()), *props(exchange.first())], **fields))
        return client, self.challenge(client)

    def challenge(self, client):
        """An AUTH 0x18 with the method and data."""
        packet = client.expect(p.AUTH)
        self.assertEqual((packet.code, packet.props.get(pr.AUTH_METHOD)), (0x18, METHOD))
        return packet.props.get(pr.AUTH_DATA)

    def connect(self, user="alice", name="c", **fields):
        """A client that is who it says."""
        exchange = scram.Exchange(user, USERS[user])
        client, challenge = self.begin(exchange, name, **fields)
        client.send(p.auth(0x18, props(exchange.final(challenge))))
        client.connack = client.expect(p.CONNACK)
        self.assertEqual(client.connack.code, 0)
        self.assertEqual(client.connack.props.get(pr.AUTH_METHOD), METHOD)
        self.assertTrue(exchange.verify(client.connack.props.get(pr.AUTH_DATA)))
        return client

    def refused(self, client, *codes):
        """CONNACK with one of the codes, and the end."""
        came = client.closed()
        self.assertEqual([(x.type, x.present) for x in came], [(p.CONNACK, False)])
        self.assertIn(came[0].code, codes)

    @own
    def test_authenticated(self):
        """AUTH 0x18 to and fro, then CONNACK 0x00, each with the method; nothing else comes before. 5.0 [MQTT-4.12.0-2]
        [MQTT-4.12.0-5] [MQTT-3.2.0-1] [MQTT-3.15.2-1]"""
        for user in USERS:
            with self.subTest(user):
                client = self.connect(user)
                client.subscribe(self.topic("t"))
                client.publish(self.topic("t"), b"x")
                client.receive()
                client.disconnect()

    @own
    def test_denied(self):
        """A wrong password, proof, nonce or binding, and a user there is not: CONNACK 0x87, Session Present 0, and the
        end; the session of the name is left alone and its connection stays. 5.0 [MQTT-4.12.0-4] [MQTT-3.1.4-2]
        [MQTT-3.2.2-6] [MQTT-3.2.2-7]"""
        here = self.connect("alice", expiry=100)
        here.subscribe(self.topic("t"))
        exchanges = {"password": scram.Exchange("alice", "wrong"), "user": scram.Exchange("mallory", "secret"),
                     "other's": scram.Exchange("alice", USERS["carol"]),
                     "user prefix": scram.Exchange("alic", "secret")}
        exchanges.update((spoil, scram.Exchange("alice", "secret", spoil)) for spoil in ("proof", "nonce", "binding"))
        for name, exchange in exchanges.items():
            with self.subTest(name):
                client, challenge = self.begin(exchange, clean=False)
                client.send(p.auth(0x18, props(exchange.final(challenge))))
                self.refused(client, 0x86, 0x87)
                here.ping()
        here.publish(self.topic("t"), b"x")
        here.receive()

    @own
    def test_garbage(self):
        """Messages that are none: CONNACK of 0x80 or more, if any, and the end. 5.0 [MQTT-4.12.0-4]"""
        for data in (b"", b"n", b"n,,", b"n,,n=alice", b"n,,r=x", b"p=tls-unique,,n=alice,r=x", b"\x00" * 100,
                     b"n,,m=ext,n=alice,r=x", b"n,,n=al=41ice,r=x", b"n,,n=" + b"a" * 60000 + b",r=x"):
            with self.subTest(data[:20]):
                client = self.raw("c")
                client.send(client.hello(self.id("c"), props=props(data)))
                came = client.closed()
                self.assertTrue(all(x.type == p.CONNACK and x.code >= 0x80 for x in came), came)
        for data in (b"", b"c=biws", b"c=biws,r=x,p=AAAA", b"\xff" * 50, None):
            with self.subTest(data):
                client, _ = self.begin(scram.Exchange("alice", "secret"))
                client.send(p.auth(0x18, props(data)))
                self.refused(client, 0x80, 0x81, 0x82, 0x83, 0x86, 0x87)

    @own
    def test_method(self):
        """A method that the server does not have: CONNACK 0x8C, or 0x87, and the end. 5.0 [MQTT-4.12.0-1]"""
        for method in ("", "SCRAM-SHA-1", "scram-sha-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256 ", "x" * 5000):
            with self.subTest(method[:20]):
                client = self.raw("c")
                client.send(client.hello(self.id("c"), props=props(b"n,,n=alice,r=x", method)))
                self.refused(client, 0x8C, 0x87)

    @own
    def test_other_method_later(self):
        """Another method in the AUTH, or none: a Protocol Error, the end without success. 5.0 [MQTT-4.12.0-5]"""
        for change in (lambda final: props(final, "other"), lambda final: [(pr.AUTH_DATA, final)], lambda final: []):
            exchange = scram.Exchange("alice", "secret")
            client, challenge = self.begin(exchange)
            client.send(p.auth(0x18, change(exchange.final(challenge))))
            came = client.closed()
            self.assertTrue(all(x.type == p.CONNACK and x.code >= 0x80 for x in came), came)

    @own
    def test_nothing_else_meanwhile(self):
        """Before the CONNACK only AUTH and DISCONNECT are the client's to send: anything else is the end, and nothing
        of it is done; the server sends no DISCONNECT. 5.0 [MQTT-3.1.4-6] [MQTT-3.14.0-1] [MQTT-3.2.0-1]"""
        watch = self.connect("carol", "watch")
        watch.subscribe(self.topic("#"))
        for data in (p.publish(self.topic("t"), b"x", props=()), p.subscribe(1, ("t", 0), props=()), p.PING,
                     p.connect("c", level=5), p.auth(0x19, props(b"n,,n=alice,r=x")), p.auth(0, props()), b"\xf1\x00"):
            with self.subTest(data.hex()[:20]):
                client, _ = self.begin(scram.Exchange("alice", "secret"))
                client.send(data)
                came = client.closed()
                self.assertTrue(all(x.type == p.CONNACK and x.code >= 0x80 for x in came), came)
        client, _ = self.begin(scram.Exchange("alice", "secret"), will=(self.topic("w"), b"no", 0, False))
        client.send(p.BYE)
        self.assertEqual(client.closed(), [])
        client, _ = self.begin(scram.Exchange("alice", "secret"), will=(self.topic("w"), b"no", 0, False))
        client.reset()
        watch.nothing()

    @own
    def test_session(self):
        """The session is touched when the client is known, not before: an older connection stays until then.
        5.0 [MQTT-3.1.4-3] [MQTT-3.1.2-5] [MQTT-3.2.2-3]"""
        first = self.connect("alice", expiry=100)
        first.subscribe(self.topic("t"), qos=1)
        exchange = scram.Exchange("alice", "secret")
        second, challenge = self.begin(exchange, clean=False)
        first.ping()
        second.send(p.auth(0x18, props(exchange.final(challenge))))
        self.assertTrue(second.expect(p.CONNACK).present)
        first.disconnected(0x8E)
        second.publish(self.topic("t"), b"x", 1)
        self.assertEqual(second.payloads(1), [b"x"])

    @own
    def test_again(self):
        """Re-authentication: AUTH 0x19, 0x18 to and fro, and 0x00 with the method; messages go on in between.
        5.0 [MQTT-4.12.1-1] [MQTT-4.12.0-5] [MQTT-3.15.2-1] [MQTT-4.12.0-2]"""
        client = self.connect("alice")
        client.subscribe(self.topic("t"), qos=1)
        for _ in range(3):
            exchange = scram.Exchange("alice", "secret")
            client.send(p.auth(0x19, props(exchange.first())))
            challenge = self.challenge(client)
            client.publish(self.topic("t"), b"meanwhile", 1)
            self.assertEqual(client.payloads(1), [b"meanwhile"])
            client.send(p.auth(0x18, props(exchange.final(challenge))))
            done = client.expect(p.AUTH)
            self.assertEqual((done.code, done.props.get(pr.AUTH_METHOD)), (0, METHOD))
            self.assertTrue(exchange.verify(done.props.get(pr.AUTH_DATA)))
        client.ping()

    @own
    def test_again_denied(self):
        """When it fails: DISCONNECT 0x87, or another that fits, and the end; the will is published. 5.0 [MQTT-4.12.1-2]
        [MQTT-3.1.2-8]"""
        watch = self.connect("carol", "watch")
        watch.subscribe(self.topic("w"))
        for user, password in (("alice", "wrong"), ("bob", USERS["bob"])):
            client = self.connect("alice", will=(self.topic("w"), user, 0, False))
            exchange = scram.Exchange(user, password)
            client.send(p.auth(0x19, props(exchange.first())))
            client.send(p.auth(0x18, props(exchange.final(self.challenge(client)))))
            client.disconnected(0x87, 0x82)
            self.assertEqual(watch.payloads(1), [user.encode()])

    @own
    def test_again_wrongly(self):
        """Another method, and AUTH packets out of turn, are Protocol Errors: DISCONNECT 0x82. 5.0 [MQTT-4.12.1-1]
        [MQTT-4.13.1-1]"""
        first = scram.Exchange("alice", "secret").first()
        for data in (p.auth(0x19, props(first, "other")), p.auth(0x18, props(first)), p.auth(0, props(first)),
                     p.auth(0x19, [(pr.AUTH_DATA, first)]), p.auth(0x19), p.auth()):
            with self.subTest(data.hex()[:20]):
                client = self.connect("alice")
                client.send(data)
                client.disconnected(0x82, 0x8C)

    @own
    def test_small_packets(self):
        """AUTH and CONNACK keep to the client's Maximum Packet Size. 5.0 [MQTT-3.15.2-2] [MQTT-3.15.2-3]
        [MQTT-3.1.2-24]"""
        for maximum in (150, 170, 200):
            client = self.connect("alice", props=[(pr.MAXIMUM_PACKET_SIZE, maximum)])
            client.send(p.auth(0x18, props(b"x")))
            client.disconnected(0x82)
        for maximum in (5, 20, 80):  # too small for the exchange: it ends
            client = self.raw("c")
            first = scram.Exchange("alice", "secret").first()
            client.send(client.hello(self.id("c"), props=[(pr.MAXIMUM_PACKET_SIZE, maximum), *props(first)]))
            self.assertTrue(all(x.type == p.CONNACK for x in client.closed()))

    @own
    def test_without(self):
        """Without an Authentication Method there is none in the CONNACK and no AUTH. 5.0 [MQTT-4.12.0-6]"""
        client = self.client("c")
        self.assertIsNone(client.connack.props.get(pr.AUTH_METHOD))
        client.ping()


class WithoutFile(SystemTest):
    """No scram_file."""

    level = 5

    def test_method(self):
        """No method is supported: CONNACK 0x8C and the end. 5.0 [MQTT-4.12.0-1]"""
        client = self.raw("c")
        client.send(client.hello(self.id("c"), props=props(b"n,,n=alice,r=x")))
        came = client.closed()
        self.assertEqual([(x.type, x.code) for x in came], [(p.CONNACK, 0x8C)])

    @differs("mosquitto 2.0.11 just closes")
    def test_auth_packets(self):
        """AUTH from a client that connected without a method is a Protocol Error, with flags malformed.
        5.0 [MQTT-4.12.0-7] [MQTT-3.15.1-1] [MQTT-2.1.3-1] [MQTT-4.13.1-1]"""
        for data, codes in ((p.auth(0x18, props(b"x")), (0x82,)), (p.auth(0x19, props(b"x")), (0x82,)),
                            (p.auth(), (0x82,)), (p.auth(0), (0x82,)), (b"\xf1\x00", (0x81,)), (b"\xf2\x00", (0x81,)),
                            (b"\xf8\x00", (0x81,)), (p.packet(0xF0, b"\x18\x05"), (0x81,)),
                            (p.auth(0x18, [b"\x04\x00"]), (0x81, 0x82)), (p.auth(0x77, props()), (0x81, 0x82)),
                            (p.auth(0x18, props() * 2), (0x82,))):
            with self.subTest(data.hex()[:20]):
                client = self.client("c")
                client.send(data)
                self.assertEqual(len(client.disconnected(*codes)), 1)
