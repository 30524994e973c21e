# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""TLS: who comes in and as whom, certificates and keys that change while clients are connected, and peers that fail."""

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess

from harness import run, transports
from harness.client import TIMEOUT, Client, Closed
from harness.suite import SystemTest, own, roads

NOT_AUTHORIZED = 0x87


@roads("off")
class Tls(SystemTest):
    """Daemons whose files are the test's."""

    own_daemon = True
    level = 5

    def setUp(self):
        super().setUp()
        if self.reference:
            self.skipTest("the reference has files of its own")
        self.authority = transports.Authority()
        self.server = self.authority.certificate("server")

    def begin(self, *lines, certified=True):
        """A daemon with a TLS listener beside the plain one, with `lines` of its own."""
        self.port = self.network.free_port(unseen=True)
        files = [f"certfile {self.server[0]}", f"keyfile {self.server[1]}"] if certified else []
        self.lines = [f"listener {self.port} {self.network.address}", *files, *lines]
        self.daemon = self.start(self.lines)
        return self.daemon

    def context(self, certificate=None):
        """Of a client that knows the authority."""
        return transports.client_context(self.authority.cafile, certificate)

    def join(self, name, context=None, session=None, host="localhost", code=0, **fields):
        """A client by TLS."""
        sock = transports.wrap_tls(self.network.socket(self.port), context or self.context(), host, session)
        client = Client(sock, name, version=self.level)
        self.addCleanup(client.close)
        return client.connect(f"{name}-{self.name}", code=code, **fields)

    def fails(self, context, host="localhost"):
        """The handshake fails, or what follows it in TLS 1.3."""
        with self.assertRaises((OSError, Closed, ssl.SSLError)):
            self.join("fails", context, host=host).alive()

    def tool(self, *arguments):
        """mosquitto_pub through the TLS listener: its status."""
        return subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-t", "t", "-m", "m", *arguments],
                              timeout=TIMEOUT, capture_output=True).returncode


class Certificates(Tls):
    """Of the server and of clients."""

    @own
    def test_clients(self):
        """Python's and mosquitto's clients; the listing tells how they came; nothing of it is a secret in the log."""
        daemon = self.begin()
        client = self.join("c")
        client.subscribe("t", qos=1)
        for version in ("tlsv1.2", "tlsv1.3"):
            self.assertEqual(self.tool("--cafile", self.authority.cafile, "--tls-version", version), 0)
            self.assertEqual(client.payloads(1), [b"m"])
        self.assertNotEqual(self.tool(), 0)
        listed = next(c for c in daemon.clients()["clients"] if c["id"] == self.id("c"))
        self.assertEqual((listed["transport"], listed["tls"]), ("tls", "TLSv1.3"))
        self.assertNotIn("PRIVATE", daemon.log())

    @own
    def test_versions(self):
        """tls_version, ciphers, and what no client of today uses."""
        self.begin("tls_version tlsv1.3", "ciphers_tls1.3 TLS_CHACHA20_POLY1305_SHA256")
        client = self.join("c")
        self.assertEqual(client.sock.cipher()[0], "TLS_CHACHA20_POLY1305_SHA256")
        old = self.context()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        self.fails(old)
        self.daemon.wait_log(r"Client <unknown> \[127\.0\.0\.1:\d+\] disconnected: TLS: .+")
        self.assertEqual(self.daemon.stats()["closed"]["tls"], 1)
        client.alive()

    @own
    def test_no_tls(self):
        """Who speaks something else is told so in the log, costs no thread its time, and is counted."""
        daemon = self.begin()
        other = self.join("other")
        for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x10\x0e\0\4MQTT\4\2\0\x3c\0\2xx", b"\0" * 100, b"\x16\3\1\xff\xff"):
            sock = self.network.socket(self.port, plain=True)
            sock.sendall(data)
            with contextlib.suppress(ConnectionError):
                if data[0] == 0x16:
                    sock.shutdown(socket.SHUT_WR)
                while sock.recv(4096):
                    pass
            sock.close()
        daemon.wait_log("disconnected: TLS: ", count=4)
        self.assertIn("an HTTP request", daemon.log())
        other.alive()

    @own
    def test_client_certificates(self):
        """require_certificate, use_identity_as_username, and a file of those that were revoked, read again."""
        good, bad = (self.authority.certificate(name) for name in ("good", "bad"))
        stranger = transports.Authority("strangers").certificate("good")
        daemon = self.begin("require_certificate true", f"cafile {self.authority.cafile}", f"crlfile {self.authority.crlfile}",
                            "use_identity_as_username true")
        client = self.join("good", self.context(good), username="liar")
        self.join("bad", self.context(bad)).disconnect()
        self.assertEqual({c["username"] for c in daemon.clients()["clients"] if c["connected"]}, {"good"})
        self.fails(self.context())
        self.fails(self.context(stranger))
        self.authority.revoke(bad[0])
        self.daemon.reload()
        self.fails(self.context(bad))
        self.join("again", self.context(good)).alive()
        client.alive()

    @own
    def test_revoked_is_dropped(self):
        """Who is connected with a certificate that a reload finds revoked is disconnected, and only he."""
        good, bad = (self.authority.certificate(name) for name in ("good", "bad"))
        self.begin("require_certificate true", f"cafile {self.authority.cafile}", f"crlfile {self.authority.crlfile}")
        clients = {name: self.join(name, self.context(pair)) for name, pair in (("good", good), ("bad", bad))}
        self.daemon.reload()
        for client in clients.values():
            client.alive()
        late = Client(transports.wrap_tls(self.network.socket(self.port), self.context(bad)), "late", version=self.level)
        self.addCleanup(late.close)
        self.daemon.wait_log(f"New connection from .* on port {self.port}", count=3)
        self.authority.revoke(bad[0])
        self.daemon.reload()
        self.assertEqual([x.code for x in clients["bad"].closed()], [NOT_AUTHORIZED])
        late.connect("late", code=NOT_AUTHORIZED)
        clients["good"].alive()

    @own
    def test_subject(self):
        """use_subject_as_username, and rules for that name."""
        acl = f"{run.folder()}/subject.acl"
        with open(acl, "w") as rules:
            rules.write("user CN=sensor,O=Example\ntopic own/#\n")
        os.chmod(acl, 0o644)
        pair = self.authority.certificate("sensor", "/O=Example/CN=sensor")
        daemon = self.begin("require_certificate true", f"cafile {self.authority.cafile}", "use_subject_as_username true",
                            f"listener_acl_file {acl}")
        client = self.join("c", self.context(pair))
        client.subscribe("#")
        for topic in ("others", "own/t"):
            client.publish(topic, b"x")
        self.assertEqual([x.topic for x in client.receive()], ["own/t"])
        self.assertEqual(daemon.stats()["publish"]["denied"], 1)

    @own
    def test_identity_asked_for_since(self):
        """A reload that makes certificates say who clients are: who did not come by that is disconnected, also before its
        CONNECT, and a name in a CONNECT counts no more."""
        pair, path = self.authority.certificate("ann"), f"{run.folder()}/{self.name}.conf"
        self.port = self.network.free_port(unseen=True)
        lines = [f"listener {self.port} {self.network.address}", f"certfile {self.server[0]}", f"keyfile {self.server[1]}",
                 "require_certificate true", f"cafile {self.authority.cafile}"]

        def write(*more):
            with open(path, "w") as conf:
                conf.writelines(f"{line}\n" for line in (*lines, *more))
            os.chmod(path, 0o644)

        write()
        self.daemon = daemon = self.start(arguments=["-c", path])
        before = self.join("before", self.context(pair), username="liar")
        early = Client(transports.wrap_tls(self.network.socket(self.port), self.context(pair)), "early", version=self.level)
        self.addCleanup(early.close)
        daemon.wait_log(f"New connection from .* on port {self.port}", count=2)
        write("use_identity_as_username true")
        daemon.reload()
        self.assertEqual([x.code for x in before.closed()], [NOT_AUTHORIZED])
        early.connect("early", code=NOT_AUTHORIZED, username="liar")
        self.join("after", self.context(pair), username="liar").alive()
        self.assertEqual({c["username"] for c in daemon.clients()["clients"] if c["connected"]}, {"ann"})

    @own
    def test_without_identity(self):
        """use_identity_as_username, and a certificate without a name: refused, and the log says why."""
        pair = self.authority.certificate("nameless", "/O=Example")
        daemon = self.begin("require_certificate true", f"cafile {self.authority.cafile}", "use_identity_as_username true")
        self.join("c", self.context(pair), code=NOT_AUTHORIZED)
        daemon.wait_log(r"Client c-\S+ \[\S+\] is not let in: .+")

    @own
    def test_other_names(self):
        """tls_certificate: the certificate for the name that the client asks for (SNI)."""
        other = self.authority.certificate("other", names="DNS:other.example,DNS:*.wild.example")
        self.begin(f"tls_certificate {other[0]}  {other[1]}")
        for host, common_name in (("localhost", "server"), ("other.example", "other"), ("a.wild.example", "other")):
            client = self.join(host, host=host)
            subject = dict(field[0] for field in client.sock.getpeercert()["subject"])
            self.assertEqual(subject["commonName"], common_name)
        self.fails(self.context(), "unknown.example")

    @own
    def test_alpn(self):
        """ALPN is mqtt; who offers others only is refused."""
        self.begin()
        context = self.context()
        context.set_alpn_protocols(["h2", "mqtt"])
        self.assertEqual(self.join("c", context).sock.selected_alpn_protocol(), "mqtt")
        context.set_alpn_protocols(["http/1.1"])
        self.fails(context)

    @own
    def test_resumption(self):
        """A session is resumed, also after a reload with another certificate."""
        self.begin()
        first = self.join("first")
        first.alive()
        session = first.sock.session
        again = self.join("again", first.sock.context, session)
        self.assertTrue(again.sock.session_reused)
        for old, new in zip(self.server, self.authority.certificate("renewed")):
            shutil.copyfile(new, old)
        self.daemon.reload()
        self.assertTrue(self.join("after", first.sock.context, session).sock.session_reused)
        first.alive()

    @own
    def test_renewed(self):
        """Certificates are read again at a reload, without dropping a client; errors change nothing."""
        daemon = self.begin()
        client = self.join("c")
        for old, new in zip(self.server, self.authority.certificate("renewed")):
            shutil.copyfile(new, old)
        self.daemon.reload()
        subject = dict(field[0] for field in self.join("new").sock.getpeercert()["subject"])
        self.assertEqual(subject["commonName"], "renewed")
        with open(self.server[1], "w") as key:
            key.write("nonsense")
        daemon.signal(signal.SIGHUP)
        daemon.wait_log("The configuration is not taken over")
        self.join("other").alive()
        client.alive()

    @own
    def test_not_without(self):
        """An option of TLS without a certificate is an error, not a listener without TLS."""
        for line in (f"cafile {self.authority.cafile}", "require_certificate true", f"keyfile {self.server[1]}"):
            with self.assertRaisesRegex(AssertionError, f"{line.split()[0]}: this listener has no TLS"):
                self.begin(line, certified=False)

    @own
    def test_openssl(self):
        """openssl s_client, by 1.2 and 1.3: a CONNECT, the CONNACK; new keys in between."""
        self.begin()
        for version in ("-tls1_2", "-tls1_3"):
            client = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-CAfile",
                                       self.authority.cafile, "-verify_return_error", "-quiet", version],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            self.addCleanup(client.communicate)
            self.addCleanup(client.kill)
            client.stdin.write(b"\x10\x0e\0\4MQTT\4\2\0\x3c\0\2xx")
            client.stdin.flush()
            self.assertEqual(client.stdout.read(4), b"\x20\2\0\0")


class Keys(Tls):
    """Clients that share a key with the broker."""

    def begin_keys(self, *lines, certified=False):
        """A daemon with a file of keys."""
        self.keys = f"{run.folder()}/{self.name}.psk"
        self.write({"ann": "00112233445566778899aabbccddeeff", "bob": "ffeeddccbbaa99887766554433221100"})
        return self.begin("psk_hint edge", f"listener_psk_file {self.keys}", *lines, certified=certified)

    def write(self, keys):
        """The file."""
        with open(self.keys, "w") as file:
            file.writelines(f"{name}:{key}\n" for name, key in keys.items())
        os.chmod(self.keys, 0o644)

    @own
    def test_psk(self):
        """mosquitto's client with the right key, a wrong one, and that of nobody."""
        daemon = self.begin_keys("use_identity_as_username true")
        subscriber = self.client("s", daemon)
        subscriber.subscribe("t")
        right = "00112233445566778899aabbccddeeff"
        self.assertEqual(self.tool("--psk", right, "--psk-identity", "ann"), 0)
        self.assertEqual(subscriber.payloads(1), [b"m"])
        self.assertNotEqual(self.tool("--psk", right, "--psk-identity", "bob"), 0)
        self.assertNotEqual(self.tool("--psk", right, "--psk-identity", "eve"), 0)
        self.assertNotIn(right, daemon.log())
        daemon.wait_log(r"New client connected .*u'ann'")

    @own
    def test_reload(self):
        """Keys are read again: who is connected with one that has changed is disconnected."""
        self.begin_keys(certified=True)
        sub = {}
        for name, key in (("ann", "00112233445566778899aabbccddeeff"), ("bob", "ffeeddccbbaa99887766554433221100")):
            sub[name] = subprocess.Popen(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-t", "t", "-i", name, "--psk",
                                          key, "--psk-identity", name, "-C", "1"], stdout=subprocess.PIPE)
            self.addCleanup(sub[name].communicate)
            self.addCleanup(sub[name].kill)
            self.daemon.wait_log(rf"as {name} ")
        by_certificate = self.join("certified")
        self.write({"ann": "00", "bob": "ffeeddccbbaa99887766554433221100"})
        self.daemon.reload()
        self.daemon.wait_log(r"Client ann \[\S+\] disconnected: not authorised")
        by_certificate.publish("t", b"to bob", 1)
        self.assertEqual(sub["bob"].communicate(timeout=TIMEOUT)[0], b"to bob\n")
        by_certificate.alive()


class Storm(Tls):
    """Many at once."""

    @own
    def test_handshakes_do_not_stall(self):
        """While clients come by the hundred, each with a whole handshake, messages of others pass between any two of them."""
        daemon = self.begin()
        reader, writer = self.client("r", daemon), self.client("w", daemon)
        reader.subscribe("t")
        context = self.context()
        coming = []
        for n in range(100):
            sock = self.network.socket(self.port)
            sock.setblocking(False)
            coming.append(context.wrap_socket(sock, server_hostname="localhost", do_handshake_on_connect=False))
            self.addCleanup(coming[-1].close)
        waiting = set(coming)
        while waiting:
            for sock in list(waiting):
                with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    sock.do_handshake()
                    waiting.discard(sock)
            writer.publish("t", b"%d" % len(waiting))
            self.assertEqual(reader.payloads(1), [b"%d" % len(waiting)])

    @own
    def test_half_handshakes(self):
        """Handshakes that stop in the middle hold nobody up, and their memory comes back."""
        daemon = self.begin()
        held = []
        for n in range(50):
            sock = self.network.socket(self.port, plain=True)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = self.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            hello = outgoing.read()
            sock.sendall(hello[:len(hello) * n // 50])
            held.append(sock)
        self.join("c").alive()
        for sock in held:
            sock.close()
        daemon.wait_log("disconnected: TLS: ", count=49)
        self.join("d").alive()
