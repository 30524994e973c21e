# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""namespace: several brokers in one process, whose clients cannot see each other."""

import contextlib
import itertools
import json
import sqlite3

from harness import packets as p
from harness import properties as pr
from harness import sn
from harness.client import Client
from harness.daemon import STOP_TIMEOUT, Daemon, DaemonError
from harness.suite import SystemTest, own
from test_http import Web

BANNED, BUSY, QUOTA, CUT_OFF = 0x8A, 0x89, 0x97, 0x98
SPACES = ("", "a", "b")


class Spaces(SystemTest):
    """A daemon with a listener in the default namespace, the suite's, and one in each of two more."""

    own_daemon = True

    def lines(self, extra):
        """Those of the listeners; `extra` of single ones, by namespace."""
        self.ports = {space: self.network.free_port(unseen=True) for space in SPACES if space}
        lines = []
        for space, port in self.ports.items():
            lines += [f"listener {port} {self.network.address}", f"namespace {space}", *extra.get(space, ())]
        return lines

    def begin(self, *options, extra=()):
        """Start it."""
        self.daemon = self.start([*options, *self.lines(dict(extra))])
        return self.daemon

    def at(self, space, name, level=5, client_id=None, **fields):
        """A client in a namespace."""
        if not space:
            return self.client(name, self.daemon, client_id=client_id, level=level, **fields)
        client = Client(self.network.socket(self.ports[space]), f"{name} in {space}", version=level)
        self.addCleanup(client.close)
        return client.connect(self.id(name) if client_id is None else client_id, **fields)

    def each(self, name, **fields):
        """The same client in each of them."""
        return {space: self.at(space, name, **fields) for space in SPACES}

    def settled(self, clients):
        """What each of them has got, as (topic, payload)."""
        self.daemon.clients()  # asks all workers: what was acknowledged to publishers has been taken by the receivers'
        return {space: [(m.topic, m.payload) for m in client.settle()] for space, client in clients.items()}

    def own_only(self, *topics):
        """As settled() would show it, when each has got what was published in its own."""
        return {space: [(topic, space.encode()) for topic in topics] for space in SPACES}


class Namespace(Spaces):
    """What concerns the fast path, too."""

    def setUp(self):
        super().setUp()
        self.count = {}

    @own
    def test_messages(self):
        """Each QoS, version and direction, small and large, by the same topics and client identifiers, for exact
        filters and wildcards."""
        self.begin()
        watchers, clients = self.each("w"), {v: self.each(f"c{v}", level=v) for v in (3, 4, 5)}
        for client in watchers.values():
            client.subscribe("#", "$SYS/none", qos=2)
        for of_version in clients.values():
            for client in of_version.values():
                client.subscribe("t", "+/u", qos=2)
        for version, qos, size, topic in itertools.product((3, 4, 5), (0, 1, 2), (5, 70000), ("t", "x/u")):
            for space in SPACES:
                clients[version][space].publish(topic, (space or "0").encode() * size, qos)
            for space in SPACES:
                for client in (watchers[space], *(of_version[space] for of_version in clients.values())):
                    got = client.receive()[0]
                    self.assertEqual((got.topic, got.qos, got.payload), (topic, qos, (space or "0").encode() * size))
        for client in (*watchers.values(), *(c for of_version in clients.values() for c in of_version.values())):
            client.ping()

    @own
    def test_flows(self):
        """The kernel carries them within each namespace, by flows of their own; one of a namespace never carries for
        another, whose subscribers come and go."""
        daemon = self.begin()
        subscribers, publishers = self.each("s"), self.each("p")
        for space in ("a", "b"):
            subscribers[space].subscribe("t")
            self.carried(daemon, publishers[space], subscribers[space], space)
        flows = daemon.flows()["flows"]
        if self.road in ("local", "remote"):
            self.assertEqual({(f["topic"], f["namespace"], f["receiver"]) for f in flows},
                             {("t", space, self.id("s")) for space in ("a", "b")})
            shown = daemon.ctl("flows", "--interval", "0")
            for space in ("a", "b"):
                self.assertIn(f"{space}/{self.id('s')}", shown)
                told = json.loads(daemon.ctl("why", "--json", "--namespace", space, "t", self.id("p")))["why"]
                self.assertEqual((told["carried"], told["namespace"]), (True, space))
            self.assertEqual(json.loads(daemon.ctl("why", "--json", "t", self.id("p")))["why"]["reason"],
                             "no_receiver")
        # In the default one nobody has subscribed: nothing comes of what is published there.
        for n in range(50):
            for space in SPACES:
                publishers[space].publish("t", b"%s %d" % (space.encode(), n))
            for space in ("a", "b"):
                self.assertEqual(subscribers[space].payloads(1), [b"%s %d" % (space.encode(), n)])
        subscribers["a"].unsubscribe("t")
        publishers[""].publish("none", b"", 1)  # what nobody was there for is routed
        subscribers[""].subscribe("t")
        for n in range(50):
            for space in SPACES:
                publishers[space].publish("t", b"%s %d" % (space.encode(), n))
            for space in ("", "b"):
                self.assertEqual(subscribers[space].payloads(1), [b"%s %d" % (space.encode(), n)])
        for client in (*subscribers.values(), *publishers.values()):
            client.ping()

    def carried(self, daemon, publisher, subscriber, space):
        """Until there is a flow that has carried something."""
        for n in itertools.count():
            publisher.publish("t", b"%d" % n)
            self.assertEqual(subscriber.payloads(1), [b"%d" % n])
            self.count[space] = n + 1
            if not self.fast or self.road == "both" or any(
                    f["topic"] == "t" and f["namespace"] == space and f["messages"] for f in daemon.flows()["flows"]):
                return

    @own
    def test_shared_subscriptions(self):
        """A group of the same name has its members in its own namespace only."""
        self.begin()
        members, publishers = [self.each("m0"), self.each("m1")], self.each("p")
        for group in members:
            for client in group.values():
                client.subscribe("$share/g/t", qos=1)
        for qos in (0, 0, 0, 0, 1, 1):
            for space in SPACES:
                publishers[space].publish("t", space.encode(), qos)
        self.daemon.clients()  # as settled() does
        for space in SPACES:
            came = [m.payload for group in members for m in group[space].settle()]
            self.assertEqual(came, [space.encode()] * 6)

    @own
    def test_takeover(self):
        """Of a client identifier within its namespace, by whichever listener; nobody else notices."""
        daemon = self.begin()
        port = self.network.free_port(unseen=True)
        daemon.stop()
        daemon.options += [f"listener {port} {self.network.address}", "namespace a"]
        daemon.start()
        clients = self.each("c", expiry=100)
        for client in clients.values():
            client.subscribe("t")
        second = Client(self.network.socket(port), "second", version=5)
        self.addCleanup(second.close)
        second.connect(self.id("c"), clean=False, present=True, expiry=100)
        clients["a"].disconnected(0x8E)
        clients["a"] = second
        publishers = self.each("p")
        for space in SPACES:
            publishers[space].publish("t", space.encode(), 1)
        self.assertEqual(self.settled(clients), self.own_only("t"))
        self.assertIn(f"Client a/{self.id('c')} already connected, closing old connection.", daemon.log())


    @own
    def test_sys_publish(self):
        """$SYS of each counts the PUBLISH packets that came and went there, by whatever road; also of who is gone."""
        daemon = self.begin("sys_interval 1")
        subscribers, publishers = self.each("s"), self.each("p")
        for client in subscribers.values():
            client.subscribe("t")
        for space, publisher in (("a", publishers["a"]), ("b", publishers["b"])):
            self.carried(daemon, publisher, subscribers[space], space)
        for n in range(20):
            publishers["a"].publish("t", b"%d" % n)
            subscribers["a"].receive()
        publishers["a"].disconnect()
        sent = {"a": self.count["a"] + 20, "b": self.count["b"]}
        for space, number in sent.items():
            watch = self.at(space, "watch")
            watch.subscribe("$SYS/broker/publish/messages/received")
            while int(watch.receive()[0].payload) != number:
                pass


class NamespacePackets(Spaces):
    """What does not concern the fast path."""

    roads = ("off",)
    OF_EACH = {"version", "uptime", "subscriptions/count", "shared_subscriptions/count", "retained messages/count",
               "clients/total", "clients/maximum", "clients/disconnected", "clients/inactive", "clients/connected",
               "clients/active", "clients/expired", "publish/messages/received", "publish/messages/sent"}

    @own
    def test_retained(self):
        """Kept, replaced, forgotten and sent in one."""
        self.begin()
        publishers = self.each("p")
        for space in SPACES:
            publishers[space].publish("r", b"before", 1, retain=True)
            publishers[space].publish("r", space.encode() or b"0", 1, retain=True)
        publishers["a"].publish("only/a", b"1", 1, retain=True)
        publishers["b"].publish("r", b"", 1, retain=True)
        subscribers = self.each("s")
        for client in subscribers.values():
            client.subscribe("#")
        got = {space: sorted(came) for space, came in self.settled(subscribers).items()}
        self.assertEqual(got, {"": [("r", b"0")], "a": [("only/a", b"1"), ("r", b"a")], "b": []})

    @own
    def test_retained_limits(self):
        """Each has what max_retained_messages and max_retained_bytes allow."""
        self.begin("max_retained_messages 2", "max_retained_bytes 100")
        for space, client in self.each("p").items():
            for topic in ("r/1", "r/2"):
                client.publish(topic, space.encode() or b"0", 1, retain=True)
            client.send(p.publish("r/3", b"x", 1, retain=True, mid=9, props=()))
            self.assertEqual(client.until(p.PUBACK).code, QUOTA)
            client.send(p.publish("r/1", b"x" * 100, 1, retain=True, mid=9, props=()))
            self.assertEqual(client.until(p.PUBACK).code, QUOTA)

    @own
    def test_client_limits(self):
        """Each has as many clients as global_max_clients, and as many sessions that stay as max_sessions allows."""
        self.begin("global_max_clients 2", "max_sessions 1")
        for space in SPACES:
            self.assertIsNone(self.at(space, "c0", expiry=100).connack.props.get(pr.SESSION_EXPIRY))
            self.assertEqual(self.at(space, "c1", expiry=100).connack.props.get(pr.SESSION_EXPIRY), 0)
            self.at(space, "c2", code=BUSY)

    @own
    def test_wills(self):
        """At once and after a delay."""
        self.begin()
        watchers = self.each("w")
        for client in watchers.values():
            client.subscribe("#")
        for space in SPACES:
            self.at(space, "c", will=("will", space.encode(), 1, False)).close()
            self.assertEqual([(m.topic, m.payload) for m in watchers[space].receive()], [("will", space.encode())])
        late = {space: self.at(space, "c", expiry=100, will=("late", space.encode() or b"0", 1, True),
                               will_props=[(pr.WILL_DELAY, 1)]) for space in SPACES}
        for client in late.values():
            client.close()
        for space in SPACES:
            self.assertEqual([(m.topic, m.payload) for m in watchers[space].receive()], [("late", space.encode() or b"0")])
        self.assertEqual(self.settled(watchers), {space: [] for space in SPACES})
        retained = self.each("r")
        for client in retained.values():
            client.subscribe("late")
        self.assertEqual(self.settled(retained), {"": [("late", b"0")], "a": [("late", b"a")], "b": [("late", b"b")]})

    @own
    def test_sessions(self):
        """A client that comes back finds the session it has there, with what came meanwhile."""
        self.begin()
        for space, client in self.each("s", expiry=100).items():
            client.subscribe("t", f"only/{space or 0}", qos=1)
            client.disconnect()
        self.at("b", "s", expiry=100).disconnect()	# a clean one, of b alone
        publishers = self.each("p")
        for space in SPACES:
            for other in SPACES:
                publishers[space].publish(f"only/{other or 0}", space.encode(), 1)
            publishers[space].publish("t", space.encode(), 1)
        back = {space: self.at(space, "s", clean=False, present=True) for space in SPACES}
        expected = {space: [(f"only/{space or 0}", space.encode()), ("t", space.encode())] for space in SPACES}
        self.assertEqual(self.settled(back), {**expected, "b": []})

    @own
    def test_mount_point(self):
        """It is within the namespace."""
        self.begin(extra={"a": ["mount_point m/"]})
        port = self.network.free_port(unseen=True)
        self.daemon.stop()
        self.daemon.options += [f"listener {port} {self.network.address}", "namespace a"]
        self.daemon.start()
        whole = Client(self.network.socket(port), "whole", version=5)
        self.addCleanup(whole.close)
        whole.connect(self.id("whole"))
        clients = self.each("c")
        for client in (whole, *clients.values()):
            client.subscribe("#")
        clients["a"].publish("t", b"a", 1)
        whole.publish("m/u", b"whole", 1)
        self.at("", "p").publish("m/t", b"0", 1)
        self.assertEqual([(m.topic, m.payload) for m in whole.settle()], [("m/t", b"a"), ("m/u", b"whole")])
        self.assertEqual(self.settled(clients), {"": [("m/t", b"0")], "a": [("t", b"a"), ("u", b"whole")], "b": []})

    @own
    def test_length(self):
        """A topic has 65535 bytes there, too."""
        self.begin()
        client, topic = self.at("a", "c"), "t" * 65535
        client.subscribe(topic)
        client.publish(topic, b"", 1)
        self.assertEqual(client.receive()[0].topic, topic)

    @own
    def test_sys(self):
        """$SYS of each counts its own; what is of the whole process is in the default one."""
        self.begin("sys_interval 1")
        clients = {space: [self.at(space, f"c{n}") for n in range(len(space) + 1 + (space == "b"))] for space in SPACES}
        for space in ("a", "b"):
            clients[space][0].subscribe("x/1", "x/2", "$share/g/x", f"of/{space}")
            clients[space][0].publish("r", b"r", 1, retain=True)
            clients[space][1].publish("r/2", b"r", 1, retain=True)
        wanted = {"": (1, 1, 0), "a": (2, 5, 1), "b": (3, 5, 1)}
        for space in SPACES:
            clients[space][0].subscribe("$SYS/#")
        for space, (connected, subscriptions, shared) in wanted.items():
            numbers = {"clients/connected": connected, "clients/total": connected, "clients/maximum": connected,
                       "subscriptions/count": subscriptions, "shared_subscriptions/count": shared}
            numbers = {name: b"%d" % n for name, n in numbers.items()}
            names = self.OF_EACH if space else self.OF_EACH | {"messages/received", "heap/current"}
            seen = {}
            while not names <= seen.keys() or {name: seen[name] for name in numbers} != numbers:
                packet = clients[space][0].receive()[0]
                seen[packet.topic.removeprefix("$SYS/broker/")] = packet.payload
            if space:
                self.assertEqual(seen.keys(), names)

    @own
    def test_own_sys_topics(self):
        """Nobody publishes below $SYS; other topics with a $ are as those without."""
        self.begin()
        clients = self.each("c")
        for client in clients.values():
            client.subscribe("$other/#")
        for space, client in clients.items():
            client.send(p.publish("$SYS/broker/version", b"x", 1, mid=7, props=[]))
            self.assertEqual(client.until(p.PUBACK).code, 0x87)
            client.publish("$other/t", space.encode(), 1)
        self.assertEqual(self.settled(clients), self.own_only("$other/t"))

    @own
    def test_rules(self):
        """Each listener has its own users and rules; topics are written without the namespace."""
        daemon = self.begin()
        daemon.stop()
        for space, topic in (("a", "t/a"), ("b", "t/b")):
            with open(f"{daemon.dir}/acl-{space}", "w", encoding="ascii") as file:
                file.write(f"topic readwrite {topic}\npattern readwrite c/%c\n")
            daemon.options.insert(daemon.options.index(f"namespace {space}") + 1, f"listener_acl_file {file.name}")
        daemon.start()
        for space, client in self.each("c").items():
            client.subscribe("#")
            for topic in ("t/a", "t/b", f"c/{self.id('c')}"):
                client.send(p.publish(topic, b"", 1, mid=7, props=[]))
                denied = client.until(p.PUBACK).code == 0x87
                self.assertEqual(denied, space != "" and topic.startswith("t/") and topic != f"t/{space}")

    @own
    def test_bans(self):
        """By client identifier and user name in one namespace, by hand and for what they did."""
        daemon = self.begin("ban_after_flapping 3", "ban_window 1000", "ban_exempt 192.0.2.1/32")
        clients = self.each("c", username="u", password=b"x")
        daemon.ctl("ban", "--client", "--namespace", "a", self.id("c"))
        clients["a"].disconnected(CUT_OFF)
        for space in ("", "b"):
            clients[space].ping()
        daemon.wait_log(rf"Banned client {self.id('c')} of namespace a until it is lifted\.")
        self.at("a", "c", code=BANNED)
        daemon.ctl("ban", "--user", "--namespace", "b", "u")
        clients["b"].disconnected(CUT_OFF)
        clients[""].ping()
        self.at("a", "other", username="u", password=b"x").ping()
        bans = json.loads(daemon.ctl("bans", "--json"))["bans"]
        self.assertEqual({(b.get("client"), b.get("user"), b.get("namespace")) for b in bans},
                         {(self.id("c"), None, "a"), (None, "u", "b")})
        self.assertRegex(daemon.ctl("bans"), rf"client +a/{self.id('c')}")
        daemon.ctl("unban", "--client", "--namespace", "a", self.id("c"))
        self.at("a", "c").ping()
        for arguments in (("--client", self.id("c")), ("--client", "--namespace", "none", self.id("c")),
                          ("--namespace", "b", "192.0.2.7")):
            with self.assertRaises(AssertionError):
                daemon.ctl("unban", *arguments)
        for _ in range(3):
            self.at("b", "flaps").disconnect()
        self.at("b", "flaps", code=BANNED)
        for space in ("", "a"):
            self.at(space, "flaps").ping()

    @own
    def test_log(self):
        """Who is not in the default one is called with the namespace."""
        daemon = self.begin("log_type all")
        for space, client in self.each("c").items():
            client.subscribe("t")
            client.publish("t", b"", 1)
            client.receive()
            client.disconnect()
            name = f"{space}/{self.id('c')}" if space else self.id("c")
            for line in (f"as {name} \\(p5,", f"Received PUBLISH from {name} ", f"Sending PUBLISH to {name} ",
                         f"{name} 0 t", f"Client {name} \\[?.*disconnected"):
                self.assertRegex(daemon.log(), line)
        daemon.signal(12)
        daemon.check()

    @own
    def test_reload(self):
        """It stays as it was until the daemon is started again, and a warning says so."""
        daemon = self.begin()
        daemon.stop()
        with open(f"{daemon.dir}/conf", "w", encoding="ascii") as file:
            file.write("\n".join(daemon.options) + "\n")
        daemon.options, daemon.arguments = [], ["-c", file.name]
        daemon.start()
        clients = self.each("c")
        for client in clients.values():
            client.subscribe("#")
        with open(file.name, encoding="ascii") as conf:
            text = conf.read()
        with open(file.name, "w", encoding="ascii") as conf:
            conf.write(text.replace("namespace a", "namespace b"))
        daemon.reload()
        self.assertRegex(daemon.log(), "Warning: A change of namespace of the listener at .* counts when the broker is "
                                       "started again")
        clients["new"] = self.at("a", "new")
        publishers = self.each("p")
        for space in SPACES:
            publishers[space].publish("t", space.encode(), 1)
        self.assertEqual(self.settled(clients), {**self.own_only("t"), "new": []})

    @own
    def test_mqtt_sn(self):
        """Clients of a gateway, and who publishes without a connection."""
        port = self.network.free_port(unseen=True)
        daemon = self.begin()
        daemon.stop()
        daemon.options += [f"listener {port} {self.network.address}", "protocol mqtt-sn", "namespace a",
                           "mqtt_sn_qos_minus_one nobody"]
        daemon.start()
        watchers = self.each("w")
        for client in watchers.values():
            client.subscribe("#")
        gateway = sn.SnClient(self.network, port)
        self.addCleanup(gateway.close)
        gateway.connect(self.id("w2"))
        gateway.publish("ab", b"one", 1)
        gateway.send(sn.publish("cd", b"two", sn.MINUS_ONE))
        self.assertEqual([m.topic for m in watchers["a"].receive(2)], ["ab", "cd"])
        self.assertEqual(self.settled(watchers), {space: [] for space in SPACES})
        named = [(c["id"], c["namespace"]) for c in daemon.clients()["clients"] if c["transport"] == "mqtt-sn"]
        self.assertEqual(named, [(self.id("w2"), "a")])

    @own
    def test_tree_in_log(self):
        """SIGUSR2 logs the subscriptions of each."""
        daemon = self.begin("log_type all")
        for client in self.each("c").values():
            client.subscribe("t")
        daemon.signal(12)
        daemon.wait_log(rf"(?s)Subscriptions:\n.*  t \({self.id('c')}, 0\)\n.* namespace a\n.*  t \({self.id('c')}, 0\)\n"
                        rf".* namespace b\n.*  t \({self.id('c')}, 0\)\n")

    @own
    def test_configuration(self):
        """Names that are none."""
        for name in ("a/b", "a b", "ä", "a" * 65):
            daemon = Daemon(self.network, [f"namespace {name}"], self.daemon_path)
            self.addCleanup(daemon.remove)
            with self.assertRaisesRegex(Exception, 'namespace: ".*" is no name of up to 64 letters'):
                daemon.start()


class NamespaceControl(Spaces, Web):
    """What shuntctl and HTTP ask and tell."""

    roads = ("off",)
    token = "0123456789abcdef"

    def use(self, path, body=None, status=200):
        """The answer."""
        got, _, text = self.ask(f"/api/v1/{path}", "POST" if body else "GET", self.token, json.dumps(body) if body else None)
        self.assertEqual(got, status, text)
        return json.loads(text)

    @own
    def test_control(self):
        """Clients, topics, subscriptions, retained messages, of all or of one; acting in one."""
        self.daemon = daemon = self.serve(*self.lines({}), tokens=f"admin {self.token}\n")
        clients = self.each("c")
        for space, client in clients.items():
            client.subscribe("t", f"of/{space or 0}")
            client.publish("kept", space.encode() or b"0", 1, retain=True)
        listed = daemon.clients()["clients"]
        self.assertEqual(sorted((c["id"], c.get("namespace", "")) for c in listed),
                         [(self.id("c"), space) for space in SPACES])
        shown = daemon.ctl("clients")
        for space in SPACES:
            self.assertRegex(shown, rf"(?m)^{space}{'/' if space else ''}{self.id('c')} ")
        got = self.use(f"clients/{self.id('c')}?namespace=a")["clients"]
        self.assertEqual([(c["id"], c["namespace"]) for c in got], [(self.id("c"), "a")])
        self.assertNotIn("namespace", self.use(f"clients/{self.id('c')}")["clients"][0])
        self.assertEqual([c.get("namespace") for c in self.use("clients?namespace=b")["clients"]], ["b"])
        self.assertEqual([c.get("namespace") for c in self.use("clients?namespace=")["clients"]], [None])
        kept = self.use("retained?namespace=b&filter=kept")["retained"]
        self.assertEqual([(r["topic"], r["text"], r["namespace"]) for r in kept], [("kept", "b", "b")])
        self.assertEqual([t["topic"] for t in self.use("topics?namespace=b&filter=of/%23")["topics"]], ["of/b"])
        subscriptions = self.use("subscriptions")["subscriptions"]
        self.assertEqual(sorted((s["filter"], s.get("namespace", "")) for s in subscriptions),
                         sorted([("t", space) for space in SPACES] + [(f"of/{s or 0}", s) for s in SPACES]))
        self.assertEqual([s["filter"] for s in self.use("subscriptions?namespace=b&limit=1000")["subscriptions"]
                          if s["filter"] != "t"], ["of/b"])
        self.assertIn("there is no namespace", self.use("topics?namespace=none", status=400)["error"])
        self.assertIn("there is no client", self.use("clients/none?namespace=a", status=404)["error"])
        self.use("publish", {"topic": "t", "payload": "by hand", "namespace": "a"})
        self.assertEqual(self.settled(clients), {"": [], "a": [("t", b"by hand")], "b": []})
        self.use("kick", {"client": self.id("c"), "namespace": "a"})
        clients["a"].closed()
        for space in ("", "b"):
            clients[space].ping()
        self.assertIn(f"Client a/{self.id('c')} is disconnected by an administrator", daemon.log())


class NamespaceStore(Spaces):
    """What outlives the daemon, by SIGKILL and an orderly end."""

    roads = ("off",)

    def again(self, how):
        """End it, and start it anew."""
        (self.daemon.kill if how == "kill" else self.daemon.stop)()
        self.daemon.start()

    def fill(self):
        """The same in each: a session with messages that wait, one with a will to come, retained messages."""
        for space, client in self.each("s", expiry=1000).items():
            client.subscribe("t", "$share/g/u", qos=2)
            client.disconnect()
        for space in SPACES:
            self.at(space, "w", expiry=1000, will=("late", space.encode(), 1, False),
                    will_props=[(pr.WILL_DELAY, 1000)]).close()
        held = self.each("h", expiry=1000)
        for space, client in self.each("p").items():
            for topic in ("t", "u"):
                client.publish(topic, space.encode(), 2)
            client.publish("r", b"before", 1, retain=True)
            client.publish("r", space.encode() or b"0", 1, retain=True)
            client.publish("gone", b"x", 1, retain=True)
            held[space].send(p.publish("t", b"held " + space.encode(), 2, mid=7, props=()))
            self.assertEqual(held[space].expect(p.PUBREC).mid, 7)
        self.at("a", "f").publish("gone", b"", 1, retain=True)

    def check(self):
        """It is all where it was."""
        back = {space: self.at(space, "s", clean=False, present=True, expiry=1000) for space in SPACES}
        self.assertEqual(self.settled(back), self.own_only("t", "u"))
        held = {space: self.at(space, "h", clean=False, present=True, expiry=1000) for space in SPACES}
        for client in held.values():
            client.send(p.ack(p.PUBREL, 7))
            self.assertEqual(client.expect(p.PUBCOMP).mid, 7)
        self.assertEqual(self.settled(back), {space: [("t", b"held " + space.encode())] for space in SPACES})
        retained = self.each("r")
        for client in retained.values():
            client.subscribe("#")
        got = {space: sorted(came) for space, came in self.settled(retained).items()}
        self.assertEqual(got, {"": [("gone", b"x"), ("r", b"0")], "a": [("r", b"a")], "b": [("gone", b"x"), ("r", b"b")]})
        # A client that begins anew ends its session of before, and the will that waited comes [MQTT-3.1.3-9].
        for space in SPACES:
            self.at(space, "w")
            self.assertEqual([(m.topic, m.payload) for m in retained[space].receive()], [("late", space.encode())])
        for client in back.values():
            client.unsubscribe("t", "$share/g/u")

    @own
    def test_restart(self):
        """Each finds its own again."""
        for how in ("kill", "stop"):
            with self.subTest(how):
                self.begin("persistence true")
                self.fill()
                self.again(how)
                self.check()

    @own
    def test_bans(self):
        """Bans are of the namespace where they were made; lifting one there leaves the others."""
        daemon = self.begin("persistence true")
        for space in ("a", "b"):
            daemon.ctl("ban", "--client", "--namespace", space, self.id("c"))
        daemon.ctl("unban", "--client", "--namespace", "b", self.id("c"))
        self.again("stop")
        self.at("a", "c", code=BANNED)
        for space in ("", "b"):
            self.at(space, "c").ping()

    @own
    def test_order_of_listeners(self):
        """Namespaces are known by their names: listeners may come in another order, some be gone for a while."""
        daemon = self.begin("persistence true")
        self.fill()
        daemon.stop()
        options = daemon.options
        first = options.index("namespace a") - 1
        for daemon.options in ([*options[:first], *options[first + 4:]],
                               [*options[:first], *options[first + 2:first + 4], *options[first:first + 2],
                                *options[first + 4:]]):
            daemon.start()
            if "namespace a" not in daemon.options:
                client = self.at("", "gone")
                client.subscribe("#")
                self.assertEqual(sorted(m.topic for m in client.settle()), ["gone", "r"])
                client.disconnect()
                daemon.stop()
        self.check()

    @own
    def test_old_store(self):
        """What a store has from before there were namespaces is in the default one."""
        daemon = self.begin("persistence true")
        client = self.at("", "s", expiry=1000)
        client.subscribe("t", qos=1)
        client.disconnect()
        publisher = self.at("", "p")
        publisher.publish("t", b"0", 1)
        publisher.publish("r", b"0", 1, retain=True)
        publisher.disconnect()
        daemon.stop()
        database = sqlite3.connect(f"{daemon.dir}/store/shunt.db")
        database.executescript("""
            CREATE TABLE old(topic TEXT PRIMARY KEY, message INTEGER NOT NULL) WITHOUT ROWID;
            INSERT INTO old SELECT topic, message FROM retained; DROP TABLE retained; ALTER TABLE old RENAME TO retained;
            ALTER TABLE session DROP COLUMN ns; ALTER TABLE message DROP COLUMN ns; DROP TABLE namespace;
            DROP TABLE ban;
            PRAGMA user_version = 2;""")
        database.close()
        daemon.start()
        daemon.wait_log(r"from form 2 to form \d")
        self.at("a", "s", clean=False, present=False, expiry=0)
        client = self.at("", "s", clean=False, present=True, expiry=1000)
        self.assertEqual([m.payload for m in client.settle()], [b"0"])
        late = self.each("late")
        for client in late.values():
            client.subscribe("#")
        self.assertEqual(self.settled(late), {"": [("r", b"0")], "a": [], "b": []})

    @own
    def test_damaged_names(self):
        """A store whose namespaces are not as they were written is not taken for another's."""
        daemon = self.begin("persistence true")
        self.fill()
        daemon.stop()
        database = sqlite3.connect(f"{daemon.dir}/store/shunt.db")
        database.executescript("DELETE FROM namespace WHERE name = 'a'")
        database.close()
        with contextlib.suppress(DaemonError):  # its sockets may be there before it looks
            daemon.start()
        self.assertEqual(daemon.process.wait(STOP_TIMEOUT), 1)
        daemon.process = None
        self.assertIn("The namespaces in the store are not as they were written", daemon.log())
