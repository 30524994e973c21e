# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Which clients take the local road: users, cgroups and network namespaces of the clients and of the broker."""

import json
import os
import select
import socket
import subprocess
import threading
import time

from harness import cgroup, run
from harness import packets as p
from harness.client import TIMEOUT, Client
from harness.network import LOOPBACK, Namespaces, Network, inside
from harness.suite import SystemTest, own

SOMEBODY = 54321  # no user has this number
SHARED = "10.99.0.2"  # an address that several namespaces have


class Clients(SystemTest):
    """What the test classes here share."""

    own_daemon = True

    def setUp(self):
        super().setUp()
        if cgroup.root() is None:
            self.skipTest("cgroup v2 is not mounted, no fast path for local clients")

    def cgroup(self, name=None, parent=None):
        """A cgroup, removed at the end."""
        made = cgroup.Cgroup(name, parent)
        self.addCleanup(made.remove)
        return made

    def die(self, daemon):
        """SIGKILL it, for good."""
        daemon.kill()
        daemon.process = None  # has nothing to stop any more

    def containers(self):
        """Namespaces for a daemon and its clients, removed at the end."""
        self.made = getattr(self, "made", 0) + 1
        namespaces = Namespaces(f"{run.tag()}-{os.getpid()}-{self.made}")
        self.addCleanup(namespaces.close)
        return namespaces

    def foreign(self, name, daemon, network=None, bind=None, **maker):
        """A connected client whose socket somebody else made; connected by us, as a socket that is passed on is."""
        network = network or daemon.network
        sock = cgroup.foreign_socket(network, **maker)
        if bind:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(bind)
        sock.settimeout(TIMEOUT)
        sock.connect((network.address, daemon.port))
        client = Client(sock, name)
        self.addCleanup(client.close)
        return client.connect(self.id(name))

    def road_of(self, name, daemon):
        """The road that a client has."""
        return {one["id"]: one["fastpath"]["road"] for one in daemon.clients()["clients"]}[self.id(name)]

    def assert_road(self, client, road, daemon):
        """The client has this road, and its socket behaves as it does on it: MSG_WAITALL waits, or not."""
        self.assertEqual(self.road_of(client.name, daemon), road)
        topic = self.topic("self", client.name)
        client.subscribe(topic)
        packet = p.publish(topic, b"twice")
        client.publish(topic, b"twice")
        self.assertTrue(client.available_within(TIMEOUT))
        client.receive()
        client.send(packet)
        client.sock.recv(1, socket.MSG_PEEK)
        client.sock.settimeout(None)  # with a timeout Python makes the socket non-blocking, which does not wait for all
        got = []
        reader = threading.Thread(target=lambda: got.append(client.sock.recv(2 * len(packet), socket.MSG_WAITALL)),
                                  daemon=True)
        reader.start()
        reader.join(TIMEOUT if road == "local" else 0.1)
        self.assertEqual([len(data) for data in got], [len(packet)] if road == "local" else [])
        client.send(packet)
        reader.join(TIMEOUT)
        client.sock.settimeout(TIMEOUT)
        if road == "local":
            got.append(client.sock.recv(len(packet), socket.MSG_WAITALL))
        self.assertEqual(b"".join(got), 2 * packet)
        client.unsubscribe(topic)

    def assert_carried(self, publisher, subscriber, daemon):
        """Messages arrive, each once and in order, and where both have the same road the kernel carries them."""
        topic = self.topic("carried", publisher.name, subscriber.name)
        subscriber.subscribe(topic)
        roads_of = {self.road_of(client.name, daemon) for client in (publisher, subscriber)}
        if len(roads_of) == 1:
            self.install(publisher, subscriber, topic, daemon=daemon)
        before = {road: daemon.stats()["fastpath"][road]["forwarded"] for road in ("local", "remote")}
        for n in range(100):
            publisher.publish(topic, b"%d" % n)
            self.assertEqual(subscriber.payloads(1), [b"%d" % n])
        if len(roads_of) == 1:
            road = roads_of.pop()
            self.assertGreater(daemon.stats()["fastpath"][road]["forwarded"], before[road])


class Options(Clients):
    """fastpath_cgroup, fastpath_exclude_uid, fastpath_exclude_cgroup."""

    roads = ("local",)
    limit = 120

    @own
    def test_excluded_user(self):
        """Clients of excluded users, by number or by name, have plain sockets and are served; those of others have the
        local road. It is the maker of the socket who counts, not who connects it."""
        daemon = self.start([f"fastpath_exclude_uid {SOMEBODY}", "fastpath_exclude_uid daemon"])
        number = self.foreign("number", daemon, uid=SOMEBODY)
        name = self.foreign("name", daemon, uid=1)
        other = self.foreign("other", daemon, uid=SOMEBODY + 1)
        ours = self.client("ours", daemon)
        for client, road in ((number, "remote"), (name, "remote"), (other, "local"), (ours, "local")):
            self.assert_road(client, road, daemon)
        self.assert_splices(number)
        for one, two in ((number, name), (other, ours), (number, ours), (ours, number)):
            self.assert_carried(one, two, daemon)

    def assert_splices(self, client):
        """splice() finds what the broker sends: a proxy that copies with it works when it is excluded."""
        client.send(p.PING)
        self.assertTrue(select.select([client.sock], [], [], TIMEOUT)[0])
        out, into = os.pipe()
        try:
            size = os.splice(client.sock.fileno(), into, 4096)
            self.assertEqual(os.read(out, 4096), b"\xd0\x00")
            self.assertEqual(size, 2)
        finally:
            os.close(out)
            os.close(into)

    @own
    def test_excluded_ourselves(self):
        """Also when the user is the one who starts the broker: other users have the local road."""
        daemon = self.start(["fastpath_exclude_uid root"])
        self.assert_road(self.client("ours", daemon), "remote", daemon)
        self.assert_road(self.foreign("other", daemon, uid=SOMEBODY), "local", daemon)

    @own
    def test_excluded_cgroup(self):
        """Clients in an excluded cgroup and below it stay off the local road, those beside it and above it do not; also
        when the cgroup did not exist at first, and after it was made anew, as that of a service is."""
        outer = self.cgroup()
        excluded = self.cgroup("x.service", outer)
        below = self.cgroup("below", excluded)
        deep = self.cgroup("deep", below)
        beside = self.cgroup("x.service2", outer)
        daemon = self.start([f"fastpath_exclude_cgroup {excluded.name}",
                             f"fastpath_exclude_cgroup {outer.path}/later"])
        later = self.cgroup("later", outer)
        clients = {}
        for name, where, road in (("excluded", excluded, "remote"), ("below", below, "remote"),
                                  ("deep", deep, "remote"), ("beside", beside, "local"), ("outer", outer, "local"),
                                  ("later", later, "remote"), ("nowhere", None, "local")):
            clients[name] = self.foreign(name, daemon, cgroup=where)
            self.assert_road(clients[name], road, daemon)
        excluded.remove()
        excluded.make()
        clients["anew"] = self.foreign("anew", daemon, cgroup=excluded)
        self.assert_road(clients["anew"], "remote", daemon)
        self.assert_carried(clients["beside"], clients["outer"], daemon)
        self.assert_carried(clients["deep"], clients["anew"], daemon)
        self.assert_carried(clients["deep"], clients["outer"], daemon)
        # what is left of a cgroup that was removed
        self.assert_carried(clients["below"], clients["excluded"], daemon)

    @own
    def test_excluded_same_name(self):
        """A cgroup of the same name elsewhere is another."""
        one, two = self.cgroup(), self.cgroup()
        excluded, same = self.cgroup("same", one), self.cgroup("same", two)
        daemon = self.start([f"fastpath_exclude_cgroup {excluded.name}"])
        self.assert_road(self.foreign("excluded", daemon, cgroup=excluded), "remote", daemon)
        self.assert_road(self.foreign("same", daemon, cgroup=same), "local", daemon)

    @own
    def test_cgroup(self):
        """With fastpath_cgroup only clients in it and below have the local road; those outside have plain sockets and
        are served. The broker may be inside, outside, or be excluded itself."""
        inner, elsewhere = self.cgroup(), self.cgroup()
        below = self.cgroup("below", inner)
        for n, (home, more) in enumerate(((None, []), (elsewhere, []), (below, []), (inner, ["fastpath_exclude_uid 0"]),
                                          (elsewhere, [f"fastpath_exclude_cgroup {elsewhere.name}"]))):
            daemon = self.start([f"fastpath_cgroup {inner.name}", *more], network=_In(home))
            clients = {}
            for name, where, road in ((f"inner{n}", inner, "local"), (f"below{n}", below, "local"),
                                      (f"outside{n}", elsewhere, "remote"), (f"nowhere{n}", None, "remote")):
                clients[name] = self.foreign(name, daemon, cgroup=where, uid=SOMEBODY)
                self.assert_road(clients[name], road, daemon)
            self.assert_carried(clients[f"inner{n}"], clients[f"below{n}"], daemon)
            self.assert_carried(clients[f"outside{n}"], clients[f"nowhere{n}"], daemon)
            self.assert_carried(clients[f"outside{n}"], clients[f"inner{n}"], daemon)
            self.assert_carried(clients[f"inner{n}"], clients[f"outside{n}"], daemon)
            daemon.stop()

    @own
    def test_cgroup_namespace(self):
        """A client in a cgroup namespace of its own is where it is."""
        inner, excluded = self.cgroup(), self.cgroup()
        daemon = self.start([f"fastpath_exclude_cgroup {excluded.name}"])
        for name, where, road in (("inner", inner, "local"), ("excluded", excluded, "remote")):
            client = self.foreign(name, daemon, cgroup=where, new_cgroup_namespace=True)
            self.assert_road(client, road, daemon)

    @own
    def test_cgroup_goes(self):
        """When the cgroup of fastpath_cgroup is removed its clients go on, and later ones are served without the local
        road, in one of the same name, too."""
        inner = self.cgroup()
        daemon = self.start([f"fastpath_cgroup {inner.name}"])
        subscriber = self.foreign("s", daemon, cgroup=inner)
        publisher = self.foreign("p", daemon, cgroup=inner)
        self.assert_carried(publisher, subscriber, daemon)
        inner.remove()
        self.assert_carried(publisher, subscriber, daemon)
        subscriber.close()
        publisher.alive()
        inner.make()
        later = self.foreign("later", daemon, cgroup=inner)
        self.assert_road(later, "remote", daemon)
        self.assert_carried(publisher, later, daemon)

    @own
    def test_real_clients(self):
        """mosquitto_sub and mosquitto_pub as another user in a cgroup of their own."""
        excluded = self.cgroup()
        daemon = self.start([f"fastpath_exclude_cgroup {excluded.name}"])
        for name, where, road in (("excluded", excluded, "remote"), ("free", self.cgroup(), "local")):
            self.talk(daemon, name, where, road)

    def talk(self, daemon, name, where, road):
        """A subscriber and a publisher with 1000 messages."""
        command = ["setpriv", f"--reuid={SOMEBODY}", "--clear-groups"]
        at = ["-h", daemon.network.address, "-p", str(daemon.port), "-t", self.topic(name)]
        sub = subprocess.Popen(where.inside([*command, "mosquitto_sub", *at, "-C", "1000", "-i", self.id(name)]),
                               stdout=subprocess.PIPE, text=True)
        self.addCleanup(sub.kill)
        self._until_subscribed(daemon, self.id(name))
        self.assertEqual(self.road_of(name, daemon), road)
        lines = "".join(f"{n}\n" for n in range(1000))
        subprocess.run(where.inside([*command, "mosquitto_pub", *at, "-l"]), input=lines, text=True, check=True,
                       timeout=TIMEOUT)
        self.assertEqual(sub.communicate(timeout=TIMEOUT)[0], lines)

    def _until_subscribed(self, daemon, client_id):
        deadline = time.monotonic() + TIMEOUT
        while not any(one["id"] == client_id and one["subscriptions"] for one in daemon.clients()["clients"]):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)


class Networks(Clients):
    """Clients in network namespaces of their own, as in containers."""

    roads = ("local",)

    @own
    def test_veth(self):
        """Clients that reach the broker over veth are local from the first one on, whatever their cgroup; messages
        arrive from namespace to namespace, and between them and clients of the broker's own loopback."""
        namespaces = self.containers()
        one, two = namespaces.clients(), namespaces.clients()
        daemon = self.start(network=one, listen="0.0.0.0")
        group = self.cgroup()
        first = self.foreign("first", daemon, cgroup=group)
        second = self.foreign("second", daemon, network=two)
        beside = self.foreign("beside", daemon, network=Network("127.0.0.1", client_ns=namespaces.daemon_ns))
        again = self.foreign("again", daemon, cgroup=group, uid=SOMEBODY)
        for client in (first, second, beside, again):
            self.assert_road(client, "local", daemon)
        for publisher, subscriber in ((first, second), (second, first), (beside, first), (second, beside),
                                      (again, first)):
            self.assert_carried(publisher, subscriber, daemon)

    @own
    def test_veth_one_address(self):
        """The same with a listener that is bound to one address; another address of the broker's namespace is not
        ours."""
        namespaces = self.containers()
        one, two = namespaces.clients(), namespaces.clients()
        daemon = self.start(network=one)
        self.assert_road(self.foreign("first", daemon), "local", daemon)
        self.until_taken(daemon, 1)  # the one by which the daemon was seen to listen may take its time to end
        stranger = cgroup.foreign_socket(two)
        with stranger, inside(namespaces.daemon_ns), socket.create_server((two.address, daemon.port)) as server:
            stranger.connect((two.address, daemon.port))
            server.accept()[0].close()
            self.assertEqual(self.taken(daemon), 1)
        self.foreign("second", daemon)
        self.assertEqual(self.taken(daemon), 2)

    def until_taken(self, daemon, count):
        """So many."""
        deadline = time.monotonic() + TIMEOUT
        while (taken := self.taken(daemon)) != count:
            self.assertLess(time.monotonic(), deadline, f"{taken} taken, not {count}")
            time.sleep(0.01)

    def taken(self, daemon):
        """How many sockets the programs have taken for clients."""
        dump = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", f"{daemon.pins}/local_clients"],
                              capture_output=True, check=True).stdout
        return len(json.loads(dump))

    @own
    def test_same_addresses(self):
        """Clients in two namespaces with the same address and the same port, at the same time: each gets its own
        messages."""
        namespaces = self.containers()
        networks = namespaces.clients(), namespaces.clients()
        daemon = self.start(network=networks[0], listen="0.0.0.0")
        for network in networks:
            namespaces.shared_address(network, SHARED)
        pairs = [(self.foreign(f"s{n}", daemon, network, (SHARED, 40001)),
                  self.foreign(f"p{n}", daemon, network, (SHARED, 40002))) for n, network in enumerate(networks)]
        for name in ("s0", "s1", "p0", "p1"):
            self.assertEqual(self.road_of(name, daemon), "local")
        pairs = [(daemon, *pair) for pair in pairs]
        self.install_all(pairs)
        self.assert_not_mixed(pairs)

    def install_all(self, pairs):
        """A flow for each pair."""
        for n, (daemon, subscriber, publisher) in enumerate(pairs):
            subscriber.subscribe(self.topic(str(n)))
            self.install(publisher, subscriber, self.topic(str(n)), daemon=daemon)

    def assert_not_mixed(self, pairs):
        """Each subscriber gets what its publisher sends, all at the same time, and nothing else."""
        for n in range(200):
            for which, (_, _, publisher) in enumerate(pairs):
                publisher.publish(self.topic(str(which)), b"%d %d" % (which, n))
            for which, (_, subscriber, _) in enumerate(pairs):
                self.assertEqual(subscriber.payloads(1), [b"%d %d" % (which, n)])
        for _, subscriber, publisher in pairs:
            subscriber.ping()
            publisher.ping()

    @own
    def test_two_brokers(self):
        """Two brokers on the same port in two namespaces, clients of each with the same addresses and ports at both
        ends: over loopback all are local, and one broker's end does not touch the other's clients."""
        homes = self.containers(), self.containers()
        port = LOOPBACK.free_port()
        daemons, pairs = [], []
        for home in homes:
            network = Network("127.0.0.1", home.daemon_ns, home.daemon_ns)
            daemons.append(self.start(network=network, port=port))
        for n, daemon in enumerate(daemons):
            pairs.append((daemon, self.foreign(f"s{n}", daemon, bind=("127.0.0.1", 40001)),
                          self.foreign(f"p{n}", daemon, bind=("127.0.0.1", 40002))))
            for name in (f"s{n}", f"p{n}"):
                self.assertEqual(self.road_of(name, daemon), "local")
        self.install_all(pairs)
        with self.carries(200, daemon=daemons[0]), self.carries(200, daemon=daemons[1]):
            self.assert_not_mixed(pairs)
        self.die(daemons[0])
        self.assert_carried(pairs[1][2], pairs[1][1], daemons[1])

    @own
    def test_two_brokers_with_the_same_address(self):
        """Two brokers on the same port and the same address in namespaces that do not know of each other: a client may
        be taken for one of the wrong broker, which keeps it off the local road, and nothing else."""
        homes = self.containers(), self.containers()
        networks = [home.clients() for home in homes]
        self.assertEqual(networks[0].address, networks[1].address)
        port = LOOPBACK.free_port()
        daemons = [self.start(network=network, port=port) for network in networks]
        pairs = [(daemon, self.foreign(f"s{n}", daemon, bind=("10.203.1.2", 40001)),
                  self.foreign(f"p{n}", daemon, bind=("10.203.1.2", 40002))) for n, daemon in enumerate(daemons)]
        found = {self.road_of(f"{who}{n}", daemon) for n, daemon in enumerate(daemons) for who in "sp"}
        self.assertIn("local", found)
        for daemon, subscriber, publisher in pairs:
            self.assert_carried(publisher, subscriber, daemon)
        self.die(daemons[0])
        self.assert_carried(pairs[1][2], pairs[1][1], daemons[1])


class _In:
    """The loopback network, with the daemon in a cgroup."""

    def __init__(self, home):
        self.home = home

    def __getattr__(self, name):
        return getattr(LOOPBACK, name)

    def daemon_command(self, command):
        """The command, run where the daemon lives."""
        return self.home.inside(command) if self.home else command
