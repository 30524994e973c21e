# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""HTTP: metrics, the API, probes, who may use them, and requests that are none."""

import contextlib
import http.client
import json
import os
import re
import subprocess
import threading

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

from harness import build, packets, run
from harness.client import TIMEOUT
from harness.suite import SystemTest, own, roads

READER, ADMIN = "reader-0123456789", "admin+0123456789/ABC"
# Members of the answer to stats that are no numbers of their own in metrics.
NOT_COUNTED = {"version", "fastpath.state", "fastpath.reason", "fastpath.pin_path", "store.state", "store.error"}


def leaves(value, path=""):
    """The paths of all members that are no objects."""
    if not isinstance(value, dict):
        return {path}
    return set().union(*(leaves(v, f"{path}.{k}" if path else k) for k, v in value.items()))


class Web(SystemTest):
    """A daemon that serves HTTP, and how to ask it."""

    own_daemon = True

    def serve(self, *options, tokens=None, before=None):
        """Start one."""
        self.web = self.network.free_port(unseen=True)

        def prepare(daemon):
            if tokens is not None:
                path = f"{daemon.dir}/tokens"
                with open(path, "w") as file:
                    file.write(tokens)
                os.chmod(path, 0o640)
                os.chown(path, *self.owner(daemon))
                daemon.options.append(f"http_tokens {path}")
            if before:
                before(daemon)
        return self.start([f"http_listener {self.network.address}:{self.web}", *options], before=prepare)

    @staticmethod
    def owner(daemon):
        """Who may read it again after the daemon gave up root: nobody but root, as these daemons keep it."""
        daemon.options.append("user root")
        return 0, 0

    def ask(self, path, method="GET", token=None, body=None, headers=()):
        """The status, the headers and the text of an answer."""
        connection = http.client.HTTPConnection(self.network.address, self.web, timeout=TIMEOUT)
        connection.sock = self.network.socket(self.web)
        headers = dict(headers)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def get(self, path, token=None):
        """The JSON of an answer that is good."""
        status, headers, text = self.ask(path, token=token)
        self.assertEqual(status, 200, text)
        self.assertEqual(headers["Content-Type"], "application/json")
        return json.loads(text)

    def post(self, path, members, token=ADMIN):
        """The status and the JSON of what is done."""
        status, _, text = self.ask(path, "POST", token, json.dumps(members))
        return status, json.loads(text)

    def raw_socket(self):
        """A connection to say anything on."""
        sock = self.network.socket(self.web)
        sock.settimeout(TIMEOUT)
        self.addCleanup(sock.close)
        return sock

    def metrics(self):
        """The values of metrics, by name and labels."""
        return {(s.name, tuple(sorted(s.labels.items()))): s.value
                for family in parser.text_string_to_metric_families(self.ask("/metrics")[2]) for s in family.samples}


@roads("off", "local")
class Http(Web):
    """Without tokens, and what is the same with them."""

    @own
    def test_metrics(self):
        """Both forms are well-formed and have all that stats has; they count by road."""
        daemon = self.serve("persistence true")
        subscriber, publisher = self.client("s", daemon), self.client("p", daemon)
        subscriber.subscribe(self.topic("t"))
        publisher.publish(self.topic("t"), b"1")
        subscriber.receive()
        if self.road == "local":
            self.until_carried(publisher, subscriber, self.topic("t"), daemon=daemon)
        status, headers, text = self.ask("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        self.assertEqual((status, headers["Content-Type"].split(";")[0]), (200, "application/openmetrics-text"))
        families = list(openmetrics.text_string_to_metric_families(text))
        for family in families:
            self.assertRegex(family.name, "^shunt_[a-z0-9_]+$")
            self.assertRegex(family.documentation, r"^[A-Z].*\.$")
        plain = list(parser.text_string_to_metric_families(self.ask("/metrics")[2]))
        self.assertEqual([f.name for f in plain], [f.name for f in families])
        found = self.metrics()
        self.assertEqual(found["shunt_clients_connected", ()], 2)
        stats = daemon.stats()
        samples = sum(len(f.samples) for f in plain)
        counted = {path for path in leaves(stats) - NOT_COUNTED if not path.endswith("total")}
        self.assertGreaterEqual(samples, len(counted))
        for reason in stats["dropped"].keys() - {"total"}:
            self.assertIn(("shunt_messages_dropped_total", (("reason", reason),)), found)
        for reason in stats["closed"]:
            self.assertIn(("shunt_connections_closed_total", (("reason", reason),)), found)
        sent = {road: found["shunt_publish_sent_total", (("road", road),)] for road in ("daemon", "local", "remote")}
        self.assertEqual(sum(sent.values()), stats["publish"]["sent"])
        self.assertEqual(sent["local"], stats["fastpath"]["local"]["forwarded"])
        self.assertEqual(bool(sent["local"]), self.road == "local")

    @own
    @roads("off")
    def test_probes(self):
        """/healthz and /readyz."""
        self.serve()
        self.assertEqual([self.ask(path)[::2] for path in ("/healthz", "/readyz")], [(200, "ok"), (200, "ready")])

    @own
    @roads("off")
    def test_same_as_shuntctl(self):
        """The API answers what the control socket does."""
        daemon = self.serve("listener 0 " + self.id("socket"))
        client = self.client("c", daemon)
        client.subscribe(self.topic("a/+"), qos=1)
        client.subscribe("$share/g/" + self.topic("s"))
        client.publish(self.topic("a/r"), "ü".encode() * 200, retain=True)
        client.publish(self.topic("a/x"), b"\xff\x00", retain=True)
        client.alive()
        name, topic = self.id("c"), self.topic
        self.assertEqual(self.get("/api/v1/stats")["subscriptions"], 2)
        status = self.get("/api/v1/status")
        self.assertEqual([listener.get("port") for listener in status["listeners"]], [daemon.port, None])
        self.assertEqual([c["id"] for c in self.get("/api/v1/clients")["clients"]], [name])
        self.assertEqual(self.get(f"/api/v1/clients/{name}")["clients"][0]["subscriptions"], 2)
        self.assertEqual(self.ask("/api/v1/clients/nobody%2Fhere")[::2],
                         (404, '{"error":"there is no client \\"nobody/here\\""}\n'))
        self.assertEqual(self.get("/api/v1/flows")["flows"], [])
        self.assertFalse(self.get(f"/api/v1/why?topic={topic('a/r')}")["why"]["carried"])
        self.assertEqual(self.ask("/api/v1/why")[0], 400)
        topics = {t.pop("topic"): t for t in self.get("/api/v1/topics")["topics"]}
        self.assertEqual(topics, {
            topic("a/+"): {"subscribers": 1, "shared": 0, "retained": False},
            topic("s"): {"subscribers": 0, "shared": 1, "retained": False},
            topic("a/r"): {"subscribers": 0, "shared": 0, "retained": True, "retained_bytes": 400},
            topic("a/x"): {"subscribers": 0, "shared": 0, "retained": True, "retained_bytes": 2}})
        listed = self.get(f"/api/v1/topics?limit=1&filter={topic('a/%23')}")
        self.assertEqual((len(listed["topics"]), listed["more"]), (1, True))
        self.assertEqual({r["topic"]: r for r in self.get("/api/v1/retained")["retained"]}, {
            topic("a/r"): {"topic": topic("a/r"), "qos": 0, "bytes": 400, "text": "ü" * 128},
            topic("a/x"): {"topic": topic("a/x"), "qos": 0, "bytes": 2, "hex": "ff00"}})
        self.assertTrue(self.get("/api/v1/retained?filter=$SYS/%23")["retained"])
        self.assertEqual(sorted(s["filter"] for s in self.get(f"/api/v1/subscriptions?client={name}")["subscriptions"]),
                         ["$share/g/" + topic("s"), topic("a/+")])
        self.assertEqual(self.get("/api/v1/subscriptions?client=x")["subscriptions"], [])
        for wrong in ("topics?limit=x", "topics?filter=a%23", "retained?filter=%2B%2B", "retained?filter=" + "/" * 200, "subscriptions?limit=-1"):
            self.assertEqual(self.ask(f"/api/v1/{wrong}")[0], 400, wrong)

    @own
    @roads("off")
    def test_only_looking(self):
        """Without tokens everybody on this host may look, and nobody do anything."""
        daemon = self.serve()
        self.client("c", daemon)
        for path, members in (("kick", {"client": self.id("c")}), ("publish", {"topic": "t", "payload": ""}),
                              ("fastpath", {"state": "off"})):
            status, answer = self.post(f"/api/v1/{path}", members)
            self.assertEqual(status, 403)
            self.assertIn("http_tokens", answer["error"])
        self.assertEqual(self.get("/api/v1/access"), {"access": {"role": "read", "tokens": False}})
        self.assertEqual(self.get("/api/v1/stats")["clients"]["connected"], 1)
        daemon.wait_log("HTTP request from 127.0.0.1 refused: there are no http_tokens")

    @own
    @roads("off")
    def test_other_hosts(self):
        """Requests for the host of somebody else are refused, as of a page whose name leads here."""
        self.serve("http_host edge-7.example", "http_host gate")
        for host, status in (("evil.example", 421), ("localhost.evil.example", 421), ("127.0.0.1.evil.example:80", 421),
                             ("localhost", 200), (f"LOCALHOST:{self.web}", 200), ("127.0.0.1", 200), ("[::1]:80", 200),
                             ("[::1", 421), ("edge-7.example:9883", 200), ("Gate", 200), ("gate.evil", 421), ("", 421),
                             ("x" * 5000, 421), ("localhost:80@evil", 421)):
            self.assertEqual(self.ask("/healthz", headers={"Host": host})[0], status, host[:40])
        status, headers, _ = self.ask("/api/v1/stats", headers={"Origin": "http://evil.example"})
        self.assertEqual(status, 200)
        self.assertEqual([name for name in headers if name.lower().startswith("access-control-")], [])
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])

    @own
    @roads("off")
    def test_paths(self):
        """What there is not is not found, by whatever way."""
        self.serve()
        for path in ("/..", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/api/v1/../../etc/passwd", "/api/v1/",
                     "/api/v1/clients/", "/api/v1/stats/x", "/api/v2/stats", "/metrics/", "/x%00", "//metrics", "/\\"):
            self.assertEqual(self.ask(path)[0], 404, path)
        self.assertEqual(self.ask("/metrics", "POST", body="x")[0], 405)
        self.assertEqual(self.ask("/api/v1/stats", "DELETE")[0], 405)
        self.assertEqual(self.ask("/api/v1/kick")[0], 405)


@roads("off")
class Tokens(Web):
    """With tokens."""

    TOKENS = f"# who\n\nread {READER}\nadmin\t{ADMIN}\n"

    @own
    def test_roles(self):
        """Who has no token may do nothing, who has one to read may look, an admin may act."""
        self.serve(tokens=self.TOKENS)
        for token in (None, "", "x", READER[:-1], READER + "x", ADMIN.lower(), "x" * 20000, "read", ADMIN + " "):
            for path in ("/api/v1/stats", "/metrics"):
                status, headers, _ = self.ask(path, token=token)
                self.assertEqual((status, headers["WWW-Authenticate"]), (401, 'Bearer realm="shunt"'), token)
        for value in (f"Basic {READER}", READER, "Bearer", f"Digest Bearer {READER}"):
            self.assertEqual(self.ask("/metrics", headers={"Authorization": value})[0], 401, value)
        self.assertEqual(self.ask("/healthz")[0], 200)
        for token, role in ((READER, "read"), (ADMIN, "admin"), ("x", "none")):
            self.assertEqual(self.get("/api/v1/access", token), {"access": {"role": role, "tokens": True}})
        self.assertEqual([self.ask("/metrics", token=token)[0] for token in (READER, ADMIN)], [200, 200])
        self.assertEqual(self.post("/api/v1/kick", {"client": "c"}, READER)[0], 403)
        self.assertEqual(self.post("/api/v1/kick", {"client": "c"}, "x")[0], 401)

    @own
    def test_kick(self):
        """A client is disconnected, with its reason in 5.0; who is away or unknown is not."""
        daemon = self.serve(tokens=self.TOKENS)
        old, new = self.client("o", daemon), self.raw("n", daemon, level=5)
        new.connect(self.id("n"), expiry=100)
        for client in (old, new):
            self.assertEqual(self.post("/api/v1/kick", {"client": self.id(client.name)}),
                             (200, {"kick": {"client": self.id(client.name)}}))
        self.assertEqual(new.expect(packets.DISCONNECT).code, 0x98)
        for client in (old, new):
            client.closed()
        self.assertEqual(self.post("/api/v1/kick", {"client": self.id("n")})[0], 400)
        self.assertEqual(self.post("/api/v1/kick", {"client": self.id("o")})[0], 404)
        self.assertEqual(self.get("/api/v1/stats", READER)["closed"]["administrative_action"], 2)
        daemon.wait_log(f"Client {self.id('n')} .*disconnected: administrative action")

    @own
    def test_publish(self):
        """What is published goes where it should; what is none is not."""
        daemon = self.serve("message_size_limit 100000", tokens=self.TOKENS)
        client = self.client("c", daemon)
        client.subscribe(self.topic("#"), qos=2)
        message = {"topic": self.topic("t"), "payload": "grüße", "qos": 2, "retain": True}
        self.assertEqual(self.post("/api/v1/publish", message), (200, {"publish": {"topic": self.topic("t")}}))
        got = client.receive()[0]
        self.assertEqual((got.topic, got.payload, got.qos, got.retain), (message["topic"], "grüße".encode(), 2, False))
        self.assertEqual(self.get("/api/v1/retained", READER)["retained"][0]["text"], "grüße")
        for change in ({"topic": "a/#"}, {"topic": "$SYS/x"}, {"topic": ""}, {"topic": None}, {"qos": 3}, {"qos": "1"},
                       {"retain": 1}, {"payload": 5}, {"payload": "x" * 100001}, {"topic": "/".join("x" * 300)}):
            status, answer = self.post("/api/v1/publish", {**message, **change})
            self.assertEqual(status, 400, change)
            self.assertTrue(answer["error"])
        for body in ("", "x", "[]", "5", "{", '{"topic":' * 2000, "\xff"):
            self.assertEqual(self.ask("/api/v1/publish", "POST", ADMIN, body)[0], 400, body[:20])
        self.assertEqual(self.ask("/api/v1/publish", "POST", ADMIN, " " * 300000)[0], 413)
        self.assertEqual(self.post("/api/v1/fastpath", {"state": "off"})[1]["fastpath"]["state"], "off")
        self.assertEqual(self.post("/api/v1/fastpath", {"state": "maybe"})[0], 400)

    @own
    def test_reload(self):
        """Tokens are those of the file at the last reload; a wrong file changes nothing."""
        daemon = self.serve(tokens=self.TOKENS)
        path = f"{daemon.dir}/tokens"
        self.assertEqual(self.ask("/metrics", token=READER)[0], 200)
        for text, good in (("read another-0123456789\n", True), ("read short\n", False)):
            with open(path, "w") as file:
                file.write(text)
            daemon.signal(1)
            daemon.wait_log("Config reloaded" if good else f"Error in {re.escape(path)}:1: a token has 16 to 256")
            self.assertEqual([self.ask("/metrics", token=t)[0] for t in (READER, "another-0123456789")], [401, 200])

    @own
    def test_refused_files(self):
        """A file that others can read, or with lines that are none; and other hosts without tokens."""
        for text, mode, complaint in (
                (self.TOKENS, 0o644, "can be used by others, its mode is 644"),
                (self.TOKENS, 0o660, "can be used by others, its mode is 660"),
                ("write 0123456789abcdef\n", 0o600, 'tokens:1: a line is "read TOKEN" or "admin TOKEN"'),
                ("\nread\n", 0o600, 'tokens:2: one token stands behind "read"'),
                ("read 0123456789abcdef x\n", 0o600, 'one token stands behind'),
                ("read 0123456789abcd\xe9f\n", 0o600, "letters, digits"), (None, 0, "No such file")):
            self.assertIn(complaint, self.refuse("http_listener 9", text, mode))
        for place in ("0.0.0.0:9", "[::]:9", "192.0.2.1:9", "host.example:9"):
            self.assertIn(f"Error in -o 'http_listener {place}': http_listener: other hosts could see everything there. "
                          "Name a file of tokens by http_tokens", self.refuse(f"http_listener {place}"))

    def refuse(self, line, text=None, mode=None):
        """What is said of a wrong configuration, with a file of tokens."""
        path = f"{run.folder()}/tokens"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        if text is not None:
            with open(path, "w", encoding="latin-1") as file:
                file.write(text)
            os.chmod(path, mode)
        tokens = ["-o", f"http_tokens {path}"] if mode is not None else []
        done = subprocess.run([f"{build.BUILD}/shuntd", "--test-config", "-o", line, *tokens], capture_output=True,
                              text=True, timeout=TIMEOUT)
        self.assertEqual(done.returncode, 1, done.stderr)
        return done.stderr


@roads("off")
class Hostile(Web):
    """Requests that are none."""

    def survives(self):
        """It still answers."""
        self.assertEqual(self.ask("/healthz")[0], 200)

    @own
    def test_headers(self):
        """A header after the other, or a long one: there is an end to it."""
        self.serve()
        for chunk in (b"a: b\r\n" * 1000, b"x" * 6000, b"\r\nx" * 2000, b"\0" * 6000, b"Host: a\r\nHost: b\r\n" * 500):
            sock = self.raw_socket()
            sent = 0
            try:
                sock.sendall(b"GET /metrics HTTP/1.1\r\n")
                while sent < 6 << 20:
                    sent += sock.send(chunk)
            except OSError:
                pass
            self.assertLess(sent, 6 << 20)
        self.survives()

    @own
    def test_not_http(self):
        """Whatever comes is answered or closed."""
        self.serve(tokens=Tokens.TOKENS)
        bearer = f"Host: localhost\r\nAuthorization: Bearer {ADMIN}\r\n".encode()
        for data in (b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", b"\0\r\n\r\n", b"\r\n" * 1000):
            self.raw_socket().sendall(data)  # it waits for more
        for data in (b"GET\r\n\r\n",
                     b"GET / HTTP/9.9\r\n\r\n", b"GET /metrics HTTP/1.0\r\n\r\n", b"GET " + b"/" * 40000,
                     b"POST /api/v1/publish HTTP/1.1\r\n" + bearer + b"Content-Length: -5\r\n\r\n",
                     b"POST /api/v1/publish HTTP/1.1\r\n" + bearer + b"Content-Length: 99999999999999999999\r\n\r\n",
                     b"POST /api/v1/publish HTTP/1.1\r\n" + bearer + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"):
            sock = self.raw_socket()
            sock.sendall(data)
            answer = b""
            try:
                while part := sock.recv(65536):
                    answer += part
            except ConnectionError:
                pass
            self.assertNotIn(b" 200 ", answer.split(b"\r\n")[0], data[:60])
        self.survives()

    @own
    def test_endless_body(self):
        """A body without an end is cut off."""
        self.serve(tokens=Tokens.TOKENS)
        sock = self.raw_socket()
        sock.sendall(f"POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n".encode())
        sent = 0
        try:
            while sent < 16 << 20:
                sock.sendall(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
                sent += 0x4000
        except OSError:
            pass
        self.assertLess(sent, 16 << 20)
        self.survives()

    @own
    def test_no_end(self):
        """Those that never finish hold up nobody but themselves, nor do they keep the daemon from its end."""
        daemon = self.serve(tokens=Tokens.TOKENS)
        for data in (b"", b"G", b"GET /metrics HTTP/1.1\r\nHost: lo", b"POST /api/v1/kick HTTP/1.1\r\nHost: localhost\r\n"
                     b"Authorization: Bearer " + ADMIN.encode() + b"\r\nContent-Length: 50\r\n\r\n{"):
            for _ in range(10):
                self.raw_socket().sendall(data)
        self.survives()
        client = self.client("c", daemon)
        client.alive()

    @own
    def test_many(self):
        """Many scrapes at once, while clients come and go."""
        daemon = self.serve()
        statuses = []

        def scrape():
            for path in ("/metrics", "/api/v1/clients", "/api/v1/topics", "/api/v1/subscriptions"):
                statuses.append(self.ask(path)[0])
        threads = [threading.Thread(target=scrape) for _ in range(20)]
        for thread in threads:
            thread.start()
        for n in range(20):
            client = self.client(f"c{n}", daemon)
            client.subscribe(self.topic(f"{n}/#"))
            client.publish(self.topic(f"{n}/r"), b"x", retain=True)
            client.disconnect()
        for thread in threads:
            thread.join()
        self.assertEqual(statuses, [200] * 80)
