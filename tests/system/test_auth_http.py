# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""auth_http_url: a web server says who may come in, and nobody waits for it but who wants to."""

import http.server
import os
import socket
import ssl
import threading
import urllib.parse

from harness import run, transports
from harness import packets as p
from harness.client import TIMEOUT, Client
from harness.suite import SystemTest, own, roads

NOT_AUTHORIZED, UNAVAILABLE, BUSY = 0x87, 0x88, 0x89
PATIENT = "auth_http_timeout 250"  # however slow this machine is


class Server:
    """The web server: `status` by user name, 200 for others; who is called slow waits for `go`. Keeps what it was asked."""

    def __init__(self, address, context=None):
        self.asked, self.status, self.go = [], {}, threading.Event()
        self.came = threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One connection."""

            protocol_version = "HTTP/1.1"

            def do_POST(self):  # pylint: disable=invalid-name
                """A question."""
                outer.answer(self)

            def log_message(self, *arguments):  # pylint: disable=arguments-differ
                """Not a word."""

        class Http(http.server.ThreadingHTTPServer):
            """With room for all who come at once."""

            request_queue_size, daemon_threads, block_on_close = 1000, True, False

            def handle_error(self, request, client_address):
                """Who went away."""

        self.http = Http((address, 0), Handler)
        if context:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.port = self.http.server_address[1]
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def answer(self, handler):
        """What it says to one."""
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        form = dict(urllib.parse.parse_qsl(body.decode(), True, True, encoding="latin-1"))
        with self.came:
            self.asked.append((handler.path, handler.headers["Content-Type"], form))
            self.came.notify_all()
        status = self.status.get(form["username"], 200)
        if form["username"].startswith("slow"):
            self.go.wait(2 * TIMEOUT)
        if isinstance(status, bytes):
            handler.wfile.write(status)
            handler.close_connection = True
            return
        handler.send_response(status)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"ok")

    def wait_for(self, count):
        """So many questions have come."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.asked) >= count, TIMEOUT), self.asked

    def close(self):
        """The end of it."""
        self.go.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@roads("off")
class Hook(SystemTest):
    """A daemon and its server."""

    own_daemon = True
    level = 5

    def setUp(self):
        super().setUp()
        if self.reference:
            self.skipTest("the reference has no such thing")
        self.server = self.serve()

    def serve(self, context=None):
        """A server."""
        server = Server(self.network.address, context)
        self.addCleanup(server.close)
        return server

    def begin(self, *lines, url=None, **arguments):
        """A daemon that asks it."""
        url = url or f"http://{self.network.address}:{self.server.port}/login?x=1"
        return self.start(["allow_anonymous false", f"auth_http_url {url}", PATIENT, *lines], **arguments)

    def come(self, daemon, username, client_id="c", level=5, **fields):
        """Somebody who has sent his CONNECT."""
        client = self.raw(client_id, daemon, level=level, record=False)
        client.send(client.hello(client_id, username=username, **fields))
        return client

    def let_in(self, daemon, username, client_id="c", **fields):
        """Somebody who may come in."""
        client = self.come(daemon, username, client_id, **fields)
        self.assertEqual(client.expect(p.CONNACK).code, 0)
        return client

    def refused(self, client, code):
        """He may not."""
        self.assertEqual([x.code for x in client.closed(2 * TIMEOUT)], [code])

    def numbers(self, daemon):
        """What the daemon counted, but zeros."""
        return {name: n for name, n in daemon.stats()["auth_http"].items() if n}


class Answers(Hook):
    """What the server says, and what becomes of it."""

    @own
    def test_status(self):
        """200 lets in, 401 and 403 do not, all others are no answer. 5.0 [MQTT-3.2.2-7], 3.1.1 [MQTT-3.2.2-5]"""
        daemon = self.begin()
        self.server.status = {"denied": 403, "unknown": 401, "broken": 500, "moved": 302, "other": 204,
                              "malformed": b"nonsense\r\n\r\n", "empty": b"",
                              "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
                              "long": b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + bytes(99999)}
        for level in (3, 4, 5):
            self.let_in(daemon, "ann", f"ann{level}", level=level, password=b"x").alive()
        for name in self.server.status:
            refusal = name in ("denied", "unknown")
            self.refused(self.come(daemon, name), NOT_AUTHORIZED if refusal else UNAVAILABLE)
            self.refused(self.come(daemon, name, level=4), 5 if refusal else 3)
        self.refused(self.come(daemon, None), NOT_AUTHORIZED)
        self.assertEqual(self.numbers(daemon), {"allowed": 3, "refused": 4, "failed": 14})
        self.assertEqual(len(self.server.asked), 21)
        for line in ("the server of auth_http_url refuses it", "it answered with status 500", "it answered with status 302",
                     "its answer is too long"):
            daemon.wait_log(rf"Client c \[\S+\] is not let in: .*{line}")

    @own
    def test_form(self):
        """What the server is told, to the byte."""
        other = self.network.free_port()
        daemon = self.begin(f"listener {other} {self.network.address}")
        self.let_in(daemon, "a nn+&=\u00e9", "c 1%", password=bytes(range(256)))
        self.let_in(daemon, "bob", "c2")
        client = Client(self.network.socket(other), "other", None, 5)
        self.addCleanup(client.close)
        client.connect("c3", username="", password=b"")
        told = {"address": self.network.address, "port": str(daemon.port)}
        self.assertEqual(self.server.asked, [("/login?x=1", "application/x-www-form-urlencoded", form) for form in (
            {"client_id": "c 1%", "username": "a nn+&=\u00c3\u00a9", "password": bytes(range(256)).decode("latin-1"), **told},
            {"client_id": "c2", "username": "bob", **told},
            {"client_id": "c3", "username": "", "password": "", **told, "port": str(other)})])

    @own
    def test_listener(self):
        """The one of the listener; users of the password file are not asked for."""
        second, other = self.serve(), self.network.free_port()
        folder = f"{run.folder()}/auth_http-{self.name}"
        os.makedirs(folder, exist_ok=True)
        users = f"{folder}/users"
        with open(users, "w") as f:  # a password that nobody has
            f.write("ann:$7$1$" + "AAAA" * 4 + "$" + "A" * 86 + "==\n")
        os.chmod(users, 0o644)
        daemon = self.begin(f"password_file {users}", f"listener {other} {self.network.address}",
                            f"listener_auth_http_url http://{self.network.address}:{second.port}/")
        self.refused(self.come(daemon, "ann", password=b"x"), NOT_AUTHORIZED)
        self.let_in(daemon, "bob", password=b"x")
        client = Client(self.network.socket(other), "other", None, 5)
        self.addCleanup(client.close)
        client.connect("c3", username="bob")
        self.assertEqual((len(self.server.asked), len(second.asked)), (1, 1))

    @own
    def test_unreachable(self):
        """Nobody listens there: nobody is let in."""
        with socket.socket() as sock:
            sock.bind((self.network.address, 0))
            daemon = self.begin(url=f"http://{self.network.address}:{sock.getsockname()[1]}/")
            self.refused(self.come(daemon, "ann"), UNAVAILABLE)
            self.assertEqual(self.numbers(daemon), {"failed": 1})

    @own
    def test_tls(self):
        """https, by the authorities that are named; not by those of the system, nor by others, nor for another name."""
        authority, other = transports.Authority("hook"), transports.Authority("other")
        for names, cafile, good in ((None, authority.cafile, True), (None, other.cafile, False), (None, None, False),
                                    ("DNS:elsewhere", authority.cafile, False)):
            certificate = authority.certificate("server", **({"names": names} if names else {}))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server = self.serve(context)
            daemon = self.begin(*([f"auth_http_cafile {cafile}"] if cafile else []), url=f"https://127.0.0.1:{server.port}/")
            if good:
                self.let_in(daemon, "ann").alive()
            else:
                self.refused(self.come(daemon, "ann"), UNAVAILABLE)
            self.assertEqual(len(server.asked), int(good))
            daemon.stop()

    @own
    def test_certificate(self):
        """The server is told the name in the client's certificate."""
        authority, port = transports.Authority("clients"), self.network.free_port(unseen=True)
        certificate, key = authority.certificate("server")
        self.begin(f"listener {port} {self.network.address}", f"certfile {certificate}", f"keyfile {key}",
                   f"cafile {authority.cafile}", "require_certificate true")
        context = transports.client_context(authority.cafile, authority.certificate("sensor-7"))
        client = Client(context.wrap_socket(self.network.socket(port), server_hostname="localhost"), "c", None, 5)
        self.addCleanup(client.close)
        client.connect("c", username="ann")
        self.assertEqual(self.server.asked[0][2]["certificate"], "sensor-7")


class Waiting(Hook):
    """While the server thinks."""

    @own
    def test_time_out(self):
        """It never answers: after the time-out nobody is let in."""
        daemon = self.begin("auth_http_timeout 1")
        self.refused(self.come(daemon, "slow"), UNAVAILABLE)
        daemon.wait_log("it did not answer in time")

    @own
    def test_others_go_on(self):
        """Others' messages, and their logins, do not wait for those that nobody answers."""
        daemon = self.begin()
        reader, writer = self.let_in(daemon, "ann", "r"), self.let_in(daemon, "bob", "w")
        reader.subscribe("t")
        slow = [self.come(daemon, f"slow{n}", f"s{n}") for n in range(50)]
        self.server.wait_for(52)
        for n in range(20):
            writer.publish("t", b"%d" % n)
            self.assertEqual(reader.payloads(1), [b"%d" % n])
        self.let_in(daemon, "cat", "cat").alive()
        self.assertEqual(self.numbers(daemon), {"allowed": 3})
        self.server.go.set()
        for client in slow:
            self.assertEqual(client.expect(p.CONNACK).code, 0)

    @own
    def test_many(self):
        """Far more at once than are asked at a time: all get their own answer."""
        daemon = self.begin()
        self.server.status = {f"u{n}": 403 for n in range(0, 300, 3)}
        clients = [self.come(daemon, f"u{n}", f"c{n}") for n in range(300)]
        for n, client in enumerate(clients):
            self.assertEqual(client.expect(p.CONNACK).code, 0 if n % 3 else NOT_AUTHORIZED)
        self.assertEqual(self.numbers(daemon), {"allowed": 200, "refused": 100})
        self.assertEqual(len(self.server.asked), 300)

    @own
    def test_bound(self):
        """No more than auth_http_max_pending wait; who is cut off waits no more."""
        daemon = self.begin("auth_http_max_pending 3")
        waiting = [self.come(daemon, f"slow{n}", f"c{n}") for n in range(3)]
        self.server.wait_for(3)
        self.refused(self.come(daemon, "ann"), BUSY)
        self.refused(self.come(daemon, "ann", level=4), 3)
        self.assertEqual(self.numbers(daemon), {"busy": 2})
        daemon.wait_log("too many wait for the server of auth_http_url")
        daemon.ctl("ban", "--client", "c2")
        waiting.pop().closed()
        while True:
            client = self.come(daemon, "ann")
            if client.expect(p.CONNACK).code == 0:
                break
            client.close()
        self.server.go.set()
        for client in waiting:
            self.assertEqual(client.expect(p.CONNACK).code, 0)

    @own
    def test_stop(self):
        """The daemon stops while it waits for answers."""
        daemon = self.begin()
        for n in range(110):
            self.come(daemon, f"slow{n}", f"c{n}")
        self.server.wait_for(100)
        daemon.stop()

    @own
    def test_kicked(self):
        """A connection that is cut off while it waits, and one whose client goes away."""
        daemon = self.begin()
        banned, gone = self.come(daemon, "slow1", "c1"), self.come(daemon, "slow2", "c2")
        self.server.wait_for(2)
        daemon.ctl("ban", "--client", "c1")
        banned.closed()
        gone.close()
        self.let_in(daemon, "ann", "c3").alive()
        self.server.go.set()
        self.assertNotIn("failed", self.numbers(daemon))


class Reload(Hook):
    """The configuration is read again."""

    def setUp(self):
        super().setUp()
        self.path = f"{run.folder()}/auth_http-{self.name}.conf"

    def write(self, server, *lines):
        """The file that names the server."""
        with open(self.path, "w") as conf:
            conf.write("\n".join([f"auth_http_url http://{self.network.address}:{server.port}/", PATIENT, *lines, ""]))
        os.chmod(self.path, 0o644)

    @own
    def test_meanwhile(self):
        """A reload while somebody waits: the new server is asked, too, and what it says counts."""
        second = self.serve()
        second.status = {"slow2": 403}
        second.go.set()
        self.write(self.server)
        daemon = self.start(["allow_anonymous false"], arguments=["-c", self.path])
        good, bad = self.come(daemon, "slow1", "c1"), self.come(daemon, "slow2", "c2")
        self.server.wait_for(2)
        self.write(second)
        daemon.reload()
        self.server.go.set()
        self.assertEqual(good.expect(p.CONNACK).code, 0)
        self.refused(bad, NOT_AUTHORIZED)
        self.assertEqual(len(second.asked), 2)

    @own
    def test_connected(self):
        """Who came by the word of a server stays as long as it is that one, and the first that is named is asked."""
        second = self.serve()
        daemon = self.start(["allow_anonymous true"], arguments=["-c", self.empty()])
        self.let_in(daemon, "free", "free")
        self.write(self.server)
        daemon.reload()
        client = self.let_in(daemon, "ann", "c1")
        self.write(self.server, "auth_http_cache 7")
        daemon.reload()
        client.alive()
        self.write(second)
        daemon.reload()
        client.closed()
        self.let_in(daemon, "ann", "c1").alive()
        self.assertEqual((len(self.server.asked), len(second.asked)), (1, 1))

    def empty(self):
        """A file that names none."""
        with open(self.path, "w"):
            pass
        os.chmod(self.path, 0o644)
        return self.path


class Cache(Hook):
    """auth_http_cache."""

    @own
    def test_hits(self):
        """What was allowed is not asked for again, if all is the same; what was refused is. A reload forgets."""
        daemon = self.begin("auth_http_cache 3600")
        self.server.status = {"bob": 403}
        for _ in range(3):
            self.let_in(daemon, "ann", "c1", password=b"x").disconnect()
            self.refused(self.come(daemon, "bob", "c2"), NOT_AUTHORIZED)
        self.assertEqual(self.numbers(daemon), {"allowed": 1, "refused": 3, "cached": 2})
        for fields in ({"client_id": "c3", "password": b"x"}, {"client_id": "c1", "password": b"y"}, {"client_id": "c1"}):
            self.let_in(daemon, "ann", **fields).disconnect()
        self.assertEqual(len(self.server.asked), 7)
        self.server.status = {"ann": 403}
        self.let_in(daemon, "ann", "c1", password=b"x").disconnect()
        daemon.reload()
        self.refused(self.come(daemon, "ann", "c1", password=b"x"), NOT_AUTHORIZED)
        self.assertEqual(len(self.server.asked), 8)

    @own
    def test_off(self):
        """Without it each time is asked."""
        daemon = self.begin()
        for _ in range(3):
            self.let_in(daemon, "ann").disconnect()
        self.assertEqual(len(self.server.asked), 3)
