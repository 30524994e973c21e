# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Tokens for passwords, made by PyJWT: who comes in by one, what it lets him do, and when that is over."""

import base64
import functools
import hashlib
import hmac
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from harness import build, run, transports
from harness import packets as p
from harness.client import TIMEOUT, Client
from harness.suite import SystemTest, own, roads

NOT_AUTHORIZED, MAXIMUM_CONNECT_TIME, BANNED = 0x87, 0xA0, 0x8A
SECRET = b"0123456789abcdef0123456789abcdef"
HOUR = 3600


@functools.cache
def private(name):
    """A private key, made once: `rsa`..., `ec`...; or the secret."""
    if name.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1()) if name.startswith("ec") else SECRET


def public(name):
    """What the daemon is given of it."""
    key = private(name)
    if isinstance(key, bytes):
        return key + b"\n"
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def token(sub="ann", key="ec", kid=None, **claims):
    """A token; a claim that is None is not in it."""
    said = {"sub": sub, "exp": time.time() + HOUR, **claims}
    algorithm = "RS256" if key.startswith("rsa") else "ES256" if key.startswith("ec") else "HS256"
    return jwt.encode({name: value for name, value in said.items() if value is not None}, private(key), algorithm,
                      {"kid": kid} if kid else None).encode()


def forged(header, payload, secret):
    """A token by hand, with an HMAC of whatever secret, or without a signature."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, payload)]
    text = b".".join(parts)
    mac = hmac.digest(secret, text, hashlib.sha256) if secret else b""
    return text + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")


class Tokens(SystemTest):
    """Daemons whose keys are the test's."""

    own_daemon = True
    level = 5
    count = 0

    def setUp(self):
        super().setUp()
        if self.reference:
            self.skipTest("the reference takes no tokens")
        self.folder = tempfile.mkdtemp(prefix="jwt-", dir=run.folder())
        self.addCleanup(shutil.rmtree, self.folder)
        os.chmod(self.folder, 0o755)

    def write(self, name, content):
        """A file that the daemon can read, also when it is no root any more. Its path."""
        with open(f"{self.folder}/{name}", "wb") as file:
            file.write(content)
        os.chmod(file.name, 0o644)
        return file.name

    def key(self, name, kid=""):
        """The line for a key."""
        algorithm = "RS256" if name.startswith("rsa") else "ES256" if name.startswith("ec") else "HS256"
        return f"jwt_key_file {algorithm} {self.write(name, public(name))} {kid}"

    def conf(self, *lines):
        """A file of lines that can be read again, of the same listener."""
        return self.write("conf", "".join(f"{line}\n" for line in (*self.head, *lines)).encode())

    def begin(self, *lines, anonymous=False):
        """A daemon whose lines are in a file, that is changed by change()."""
        port = self.network.free_port()
        self.head = [f"listener {port} {self.network.address}", f"listener_allow_anonymous {str(anonymous).lower()}"]
        daemon = self.start(port=port, before=lambda it: self.from_file(it, lines))
        return daemon

    def from_file(self, daemon, lines):
        """All its options are in the file; of those of its own the listener's go."""
        own_lines = [line for line in daemon.options if not line.startswith(("listener ", "allow_anonymous "))]
        self.head = [*own_lines, *self.head]
        daemon.options = []
        daemon.arguments = ["-c", self.conf(*lines)]

    def change(self, daemon, *lines):
        """Other lines, and a reload."""
        self.conf(*lines)
        daemon.reload()

    def join(self, daemon, password, name=None, username=None, **fields):
        """A client with the token."""
        return self.client(name or self.fresh(), daemon, username=username, password=password, **fields)

    def fresh(self):
        """A name for a client that nobody had."""
        Tokens.count += 1
        return f"c{Tokens.count}"

    def refused(self, daemon, password, why, level=5, username=None):
        """It is told so and cut off, and the log says why. 3.1.1 [MQTT-3.2.2-5], 5.0 [MQTT-3.2.2-7]"""
        name = self.fresh()
        client = self.raw(name, daemon, record=False)
        client.send(client.hello(self.id(name), level=level, username=username, password=password))
        self.assertEqual([x.code for x in client.closed()], [NOT_AUTHORIZED if level == 5 else 5])
        daemon.wait_log(rf"Client {self.id(name)} \[\S+\] is not let in.*: {why}")


@roads("off")
class ComingIn(Tokens):
    """Who is let in."""

    @own
    def test_good(self):
        """Every algorithm, keys with names and without, in every version; the user name may be there, and be empty."""
        daemon = self.begin(self.key("rsa"), self.key("ec"), self.key("secret"), self.key("ec2", "two"))
        for key, kid in (("rsa", None), ("ec", None), ("secret", None), ("ec2", "two")):
            for level, username in ((5, None), (5, ""), (5, "ann"), (4, ""), (4, "ann"), (3, "ann")):
                self.join(daemon, token(key=key, kid=kid), "ann", username, level=level).alive()
                client = next(c for c in daemon.clients()["clients"] if c["id"] == self.id("ann"))
                self.assertEqual(client["username"], "ann")
        now = time.time()
        self.join(daemon, token(nbf=now - 10, iat=now - 10)).alive()
        self.assertNotIn(token()[:20].decode(), daemon.log())

    @own
    def test_refused(self):
        """What is wrong with a token is told to nobody but the log."""
        daemon = self.begin(self.key("rsa"), self.key("ec2", "two"), "jwt_issuer us", "jwt_audience shunt")
        good = functools.partial(token, key="rsa", iss="us", aud=["other", "shunt"])
        now = time.time()
        self.join(daemon, good()).alive()
        cases = (
            (good(key="rsa2"), "its signature is by none of the keys"),
            (good(key="ec"), "its signature is by none of the keys"),
            (good(key="ec2"), "its signature is by none of the keys"),
            (good(kid="two"), "its signature is by none of the keys"),
            (good(exp=now - 1), "it has expired"),
            (good(nbf=now + HOUR), "it does not count yet"),
            (good(iat=now + HOUR), "it does not count yet"),
            (good(exp=None), "it does not say when it ends"),
            (good(sub=None), "it does not name a user"),
            (good(sub=7), "it does not name a user"),
            (good(iss="them"), "it is by another issuer"),
            (good(iss=None), "it is by another issuer"),
            (good(aud="other"), "it is for another audience"),
            (good(aud=None), "it is for another audience"),
            (good().rpartition(b".")[0] + b"." + good(exp=now).rpartition(b".")[2], "its signature is by none of the keys"),
            (good()[:-4] + b"====", "its signature is not base64url"),
            (good() + b".", "it is no token"),
            (b"pencil", "it is no token"),
            (b"", "it is no token"),
            (good(acl=["#"]), "its rights are no JSON object"),
            (good(acl={"publish": "#"}), "its rights have something that is no array"),
            (good(acl={"publish": ["a#"]}), "its rights have something that is no topic filter"),
            (good(acl={"deny": ["a"]}), "its rights have something other than publish and subscribe"),
        )
        for password, why in cases:
            for level, username in ((5, None), (4, "ann")):
                self.refused(daemon, password, why, level, username)
        self.assertEqual(daemon.stats()["closed"]["not_authorised"], 2 * len(cases))

    @own
    def test_forged(self):
        """A public key is no secret, and no signature is none."""
        daemon = self.begin(self.key("rsa"), self.key("secret"))
        said = {"sub": "ann", "exp": int(time.time()) + HOUR}
        self.join(daemon, forged({"alg": "HS256"}, said, SECRET)).alive()
        for pem in (public("rsa"), public("rsa").strip()):
            self.refused(daemon, forged({"alg": "HS256"}, said, pem), "its signature is by none of the keys")
        for name in ("none", "None", "", "HS384", "hs256"):
            self.refused(daemon, forged({"alg": name}, said, None), "its algorithm is not one of those there are")
        self.refused(daemon, forged({"alg": "HS256"}, said, None), "its signature is by none of the keys")
        self.refused(daemon, forged({"alg": "RS256"}, said, SECRET), "its signature is by none of the keys")
        self.refused(daemon, forged({}, said, SECRET), "its algorithm is not one of those there are")
        self.refused(daemon, forged({"alg": "HS256", "crit": ["exp"]}, said, SECRET), "its header asks for an extension")

    @own
    def test_names(self):
        """The token says who it is: a user name has to agree; without a token a name is worth nothing, and without either
        allow_anonymous decides."""
        daemon = self.begin(self.key("ec"), "jwt_username_claim email", anonymous=True)
        self.join(daemon, token(email="ann"), username="ann").alive()
        self.refused(daemon, token(email="ann"), "its token is for another user", username="bob")
        self.refused(daemon, token(), "it does not name a user", username="ann")
        self.refused(daemon, None, "it gave no token", username="ann")
        self.refused(daemon, b"pencil", "it is no token", username="ann")
        self.refused(daemon, b"pencil", "it is no token")
        self.client("anybody", daemon).alive()

    @own
    def test_passwords_too(self):
        """With a password_file beside it: what looks like a token is one, and anything else a password."""
        users = f"{self.folder}/users"
        subprocess.run([f"{build.BUILD}/shuntctl", "passwd", "-c", "-b", "-H", "sha512", users, "bob", "rubber"], check=True,
                       timeout=TIMEOUT)
        os.chmod(users, 0o644)
        daemon = self.begin(self.key("ec"), f"listener_password_file {users}")
        bob, ann = self.join(daemon, b"rubber", username="bob"), self.join(daemon, token())
        self.refused(daemon, b"pencil", "unknown user or wrong password", username="bob")
        self.refused(daemon, b"pencil", "unknown user or wrong password", username="ann")
        self.refused(daemon, token(key="ec2"), "its signature is by none of the keys", username="bob")
        self.refused(daemon, b"rubber", "it is no token")
        self.change(daemon, f"listener_password_file {users}")
        bob.alive()
        ann.disconnected(NOT_AUTHORIZED)
        self.refused(daemon, token(), "unknown user or wrong password", username="ann")

    @own
    def test_bans(self):
        """A token that is refused is a strike, as a wrong password is."""
        daemon = self.begin(self.key("ec"), "ban_after_failures 3", "ban_exempt 192.0.2.0/24")
        for n in range(4):
            sock = socket.create_connection((daemon.network.address, daemon.port), TIMEOUT, ("127.0.0.23", 0))
            client = Client(sock, "x", None, 5)
            self.addCleanup(client.close)
            if n < 3:
                client.send(client.hello(f"x{n}", password=token(key="ec2")))
                self.assertEqual([x.code for x in client.closed()], [NOT_AUTHORIZED])
                continue
            try:
                self.assertEqual(sock.recv(1), b"")
            except ConnectionError:
                pass
        self.assertEqual(daemon.stats()["bans"]["automatic"], 1)
        self.join(daemon, token()).alive()

    @own
    def test_transports(self):
        """By TLS and WebSocket, and over a Unix socket."""
        ports, lines = {}, []
        for kind in transports.KINDS:
            ports[kind] = self.network.free_port(unseen=True)
            made = transports.Kind(kind)
            self.network.transports[ports[kind]] = made
            lines += [f"listener {ports[kind]} {self.network.address}", "listener_allow_anonymous false", *made.lines,
                      self.key("ec")]
        path = f"{self.folder}/mqtt.sock"
        os.chmod(self.folder, 0o777)
        daemon = self.start([*lines, f"listener 0 {path}", "listener_allow_anonymous false", self.key("ec")])
        local = socket.socket(socket.AF_UNIX)
        local.connect(path)
        for number, sock in enumerate([*(self.network.socket(port) for port in ports.values()), local]):
            client = Client(sock, "x", None, 5)
            self.addCleanup(client.close)
            client.connect(f"x{number}", password=token(acl={"publish": ["a"]})).alive()
            client.send(p.publish("b", b"x", 1, mid=1, props=()))
            self.assertEqual(client.until(p.PUBACK).code, NOT_AUTHORIZED)
        self.assertEqual(daemon.stats()["publish"]["denied"], 4)

    @own
    def test_configuration(self):
        """What is wrong with the options is named, with its place."""
        pem, short = self.write("ec.pem", public("ec")), self.write("short", b"secret")
        cases = (
            (["jwt_key_file ES256"], r"jwt_key_file: write \"jwt_key_file ALGORITHM FILE\""),
            ([f"jwt_key_file RS512 {pem}"], r"listener 1883'.*\"RS512\" is not HS256, RS256 or ES256"),
            ([f"jwt_key_file RS256 {pem}"], "it is no RSA key"),
            (["jwt_key_file ES256 /nowhere"], "/nowhere: No such file"),
            ([f"jwt_key_file HS256 {short}"], "a secret of less than 32 bytes can be guessed"),
            (["jwt_issuer us"], "the options jwt_... do nothing without jwt_key_file"),
            (["protocol mqtt-sn", f"jwt_key_file ES256 {pem}"], "clients of mqtt-sn have no passwords"),
            (["enable_proxy_protocol 2", "use_identity_as_username true", f"jwt_key_file ES256 {pem}"],
             "are who their certificates or keys say"),
            (["jwt_leeway 9999"], "jwt_leeway"),
        )
        for lines, why in cases:
            options = [word for line in ("listener 1883", *lines) for word in ("-o", line)]
            done = subprocess.run([f"{build.BUILD}/shuntd", *options, "--test-config"], capture_output=True, text=True,
                                  timeout=TIMEOUT)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stderr, rf"Error.*{why}")


@roads("off")
class Later(Tokens):
    """While clients are connected."""

    def short(self, daemon, **fields):
        """A client whose token has little time left, but was in time."""
        left = 0.4
        while True:
            client = self.raw(self.fresh(), daemon, level=fields.get("level"))
            client.send(client.hello(self.id(client.name), username="ann", password=token(exp=time.time() + left), **fields))
            if client.expect(p.CONNACK).code == 0:
                return client
            client.close()
            left *= 2

    @own
    def test_expiry(self):
        """Who is connected when its token expires is told so, 5.0 section 3.14.2.1, and its will is published; it may come
        back with another one."""
        daemon = self.begin(self.key("ec"))
        watch = self.join(daemon, token("watch"))
        watch.subscribe("will/#")
        new = self.short(daemon, will=("will/new", b"over", 0, False))
        old = self.short(daemon, will=("will/old", b"over", 0, False), level=4)
        new.disconnected(MAXIMUM_CONNECT_TIME)
        old.closed()
        self.assertEqual(sorted(x.topic for x in watch.receive(2)), ["will/new", "will/old"])
        daemon.wait_log(rf"Client {new.client_id} \[\S+\] disconnected: token expired\.")
        self.assertEqual(daemon.stats()["closed"]["token_expired"], 2)
        self.join(daemon, token(), new.name).alive()
        watch.alive()

    @own
    def test_leeway(self):
        """A leeway lets in who is late; when a reload takes it away, it is over."""
        daemon = self.begin(self.key("ec"), "jwt_leeway 3000")
        now = time.time()
        late, good = self.join(daemon, token(exp=now - 1000)), self.join(daemon, token("bob"))
        self.join(daemon, token("early", nbf=now + 1000)).alive()
        self.refused(daemon, token(exp=now - 3001), "it has expired")
        daemon.reload()
        late.alive()
        self.change(daemon, self.key("ec"), "jwt_leeway 500")
        late.disconnected(MAXIMUM_CONNECT_TIME)
        good.alive()
        self.refused(daemon, token(exp=now - 1000), "it has expired")

    @own
    def test_key_is_gone(self):
        """A reload closes those whose key is not there any more; a key is the same by what it is, whatever its file, and what
        is wrong is not taken over."""
        daemon = self.begin(self.key("ec"), self.key("rsa"), self.key("secret", "old"))
        by_ec, by_rsa = self.join(daemon, token()), self.join(daemon, token("bob", "rsa"))
        by_secret = self.join(daemon, token("cat", "secret", "old"))
        again = self.write("again", b"a key:\n" + public("rsa") + b"\n")
        self.change(daemon, self.key("rsa2"), f"jwt_key_file RS256 {again}", self.key("secret", "new"))
        by_ec.disconnected(NOT_AUTHORIZED)
        by_secret.disconnected(NOT_AUTHORIZED)
        by_rsa.alive()
        self.refused(daemon, token(), "its signature is by none of the keys")
        self.join(daemon, token("dan", "rsa2")).alive()
        self.conf("jwt_key_file RS256 /nowhere")
        daemon.signal(1)
        daemon.wait_log("is not taken over")
        by_rsa.alive()
        self.change(daemon)
        by_rsa.disconnected(NOT_AUTHORIZED)

    @own
    def test_other_rules(self):
        """A reload asks for more, or for something else: those that would be let in again stay."""
        daemon = self.begin(self.key("ec"), anonymous=True)
        both = self.join(daemon, token(iss="us", aud="shunt", name="ann"))
        issued, other = self.join(daemon, token(iss="us", name="ann")), self.join(daemon, token(iss="them"))
        nobody = self.client("nobody", daemon)
        self.change(daemon, self.key("ec"), "jwt_issuer us")
        other.disconnected(NOT_AUTHORIZED)
        self.change(daemon, self.key("ec"), "jwt_issuer us", "jwt_username_claim name")
        issued.alive()
        self.change(daemon, self.key("ec"), "jwt_issuer us", "jwt_audience shunt")
        issued.disconnected(NOT_AUTHORIZED)
        both.alive()
        self.change(daemon, self.key("ec"), "jwt_username_claim nick")
        both.disconnected(NOT_AUTHORIZED)
        nobody.alive()

    @own
    def test_names_are_to_be_proved_now(self):
        """A reload that asks for tokens closes those whose names nobody has checked."""
        daemon = self.begin(anonymous=True)
        ann, nobody = self.join(daemon, b"x", username="ann"), self.client("nobody", daemon)
        self.change(daemon, self.key("ec"))
        ann.disconnected(NOT_AUTHORIZED)
        nobody.alive()


class Rights(Tokens):
    """What a token lets its client do."""

    def rules(self, text):
        """The line for an acl_file."""
        return f"listener_acl_file {self.write('acl', text.encode())}"

    @own
    @roads("off")
    def test_publish(self):
        """The token and the file both have to allow it. 5.0 section 3.4.2.1"""
        daemon = self.begin(self.key("ec"), self.rules("user ann\ntopic in/#\ntopic deny in/no\nuser all\ntopic #\n"))
        watch = self.join(daemon, token("all"))
        watch.subscribe("#")
        ann = self.join(daemon, token(acl={"publish": ["in/+", "%u/%c", "out"]}), "ann")
        bob = self.join(daemon, token("bob", acl={"publish": ["#"]}), "bob")
        cases = ((ann, "in/a", True), (ann, "in/a/b", False), (ann, "in/no", False), (ann, "out", False),
                 (ann, f"ann/{self.id('ann')}", False), (bob, "in/a", False), (watch, "in/b", True))
        for client, topic, allowed in cases:
            for retain in (False, True):
                client.send(p.publish(topic, b"x", 1, retain, mid=9, props=()))
                self.assertEqual(client.until(p.PUBACK).code, 0 if allowed else NOT_AUTHORIZED, topic)
                if allowed:
                    self.assertEqual([x.topic for x in watch.receive(1)], [topic])
        watch.nothing()
        for topic in ("in/a/b", "in/will"):
            self.join(daemon, token(acl={"publish": ["in/+"]}), will=(topic, b"will", 0, False)).close()
        self.assertEqual([x.topic for x in watch.receive(1)], ["in/will"])
        self.change(daemon, self.key("ec"))
        for topic, allowed in (("out", True), (f"ann/{self.id('ann')}", True), ("in/no", True), ("else", False)):
            ann.send(p.publish(topic, b"x", 1, mid=9, props=()))
            self.assertEqual(ann.until(p.PUBACK).code, 0 if allowed else NOT_AUTHORIZED, topic)

    @own
    @roads("off")
    def test_subscribe(self):
        """Of what it has subscribed to it gets what it may read: live and retained; and acl_subscribe refuses the rest."""
        for option, codes in (("never", [0, 0, 0, 0]), ("any", [0, NOT_AUTHORIZED, NOT_AUTHORIZED, 0]),
                              ("all", [NOT_AUTHORIZED, NOT_AUTHORIZED, NOT_AUTHORIZED, 0])):
            rules = self.rules("user ann\ntopic out/#\ntopic in/#\ntopic deny out/no\nuser all\ntopic #\n")
            daemon = self.begin(self.key("ec"), rules, f"acl_subscribe {option}")
            free = self.join(daemon, token("all"))
            for topic in ("out/kept", "out/no", "in/kept", "news"):
                free.publish(topic, b"r", 1, retain=True)
            ann = self.join(daemon, token(acl={"subscribe": ["out/#", "news"], "publish": ["in/#"]}))
            ann.subscribe("#", "in/#", "news", "out/+/x", codes=codes)
            if option == "all":
                ann.subscribe("out/kept")
            self.assertEqual([x.topic for x in ann.receive(1)], ["out/kept"])
            for topic in ("news", "in/a", "out/no", "out/a/x"):
                free.publish(topic, b"x", 1)
            self.assertEqual([x.topic for x in ann.receive(1)], ["out/a/x"])
            ann.nothing()
            daemon.stop()

    @own
    @roads("off")
    def test_session(self):
        """The rights stay with a session whose client is away, through a reload, and are those of the token with which it
        comes again, or none by a password."""
        daemon = self.begin(self.key("ec"), "jwt_leeway 3000")
        free = self.join(daemon, token("all"))
        ann = self.join(daemon, token(acl={"subscribe": ["a"]}), "ann", expiry=100)
        ann.subscribe("#", qos=1)
        ann.disconnect()
        daemon.reload()
        for topic in ("a", "b"):
            free.publish(topic, b"1", 1)
        ann = self.join(daemon, token(acl={"subscribe": ["b"]}), "ann", clean=False, present=True, expiry=100)
        ann.nothing()  # "a" waited, and may not be read any more; "b" was not to be read when it came
        for topic in ("a", "b"):
            free.publish(topic, b"2", 1)
        self.assertEqual([x.topic for x in ann.receive(1)], ["b"])
        ann.disconnect()
        ann = self.join(daemon, token(), "ann", clean=False, present=True, expiry=100)
        for topic in ("a", "b"):
            free.publish(topic, b"3", 1)
        self.assertEqual([x.topic for x in ann.receive(2)], ["a", "b"])

    def carried(self, daemon):
        """Messages that the kernel forwarded."""
        fastpath = daemon.stats()["fastpath"]
        return sum(fastpath[road]["forwarded"] for road in ("local", "remote"))

    @own
    @roads("off", "local", "remote")
    def test_flows(self):
        """The kernel carries what the token allows and nothing else, for those who are limited and those who are not."""
        daemon = self.begin(self.key("ec"), "log_type error")
        sub = self.join(daemon, token("sub", acl={"subscribe": ["in/#"]}), record=False)
        sub.subscribe("#")
        free = self.join(daemon, token("free"), record=False)
        ann = self.join(daemon, token(acl={"publish": ["in/a"]}), record=False)
        before, rounds = self.carried(daemon), 0
        while rounds < 15 or (self.road != "off" and rounds < 1000 and self.carried(daemon) == before):
            rounds += 1
            for who, topic in ((ann, "in/a"), (free, "in/a"), (ann, "in/b"), (free, "in/b"), (free, "out"), (ann, "out")):
                who.publish(topic, b"%d" % rounds)
                if topic == "out" or (who is ann and topic == "in/b"):
                    who.alive()
                    continue
                self.assertEqual([(x.topic, x.payload) for x in sub.receive(1)], [(topic, b"%d" % rounds)])
        sub.nothing()
        self.assertEqual(daemon.stats()["publish"]["denied"], 2 * rounds)
        if self.road != "off":
            self.assertGreater(self.carried(daemon), before)
            why = json.loads(daemon.ctl("why", "--json", "in/b", ann.client_id))["why"]["reason"]
            self.assertEqual(why, "publisher_denied")
