# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""MQTT-SN: what comes from nobody knows whom, QoS -1, forwarders, discovery, and limits."""

import random
import socket

from harness import sn
from harness.client import TIMEOUT
from harness.suite import own, roads
from test_sn import SnTest


@roads("off")
class Strangers(SnTest):
    """An address is a client's from its CONNECT on, and nobody is answered more than he sent."""

    @own
    def test_malformed(self):
        """Dropped and counted, with one line in the log; the client whose address it is stays."""
        self.begin()
        client = self.sn("c")
        bad = [b"", b"\0", b"\1", b"\2", b"\1\0\4", b"\1\0\0\x0c", b"\3\x17", b"\2\3", b"\2\x11", b"\2\xff",
               b"\5\4\4\1\0", b"\6\x0c\0\0\1\0", b"\7\x0c\x20\0\1\0\0", b"\7\x0c\3\0\1\0\0", b"\7\x12\0\0\0a/",
               b"\3\xfe\0\2\x17", b"\4\xfe\0a\4\xfe\0a\2\x17", b"\4\xfe\0a", b"\1\xff\xff\x0c", b"\xff" * 255]
        for datagram in bad:
            client.sock.send(datagram)
        client.ping()
        self.assertEqual(self.count("malformed"), len(bad))
        self.assertEqual(self.daemon.log().count("malformed datagrams"), 1)
        rnd = random.Random(7)
        for _ in range(10):
            for _ in range(30):
                client.sock.send(rnd.randbytes(rnd.randrange(40)))
            self.client("between").ping()  # so that they are not too many for the socket
        self.sn("d").ping()

    @own
    def test_answers(self):
        """Without a connection: DISCONNECT to who seems to believe to have one, nothing to others, never more than came."""
        self.begin()
        stranger = self.sn()
        for kind in range(0x20):
            for body in (b"", b"\0", b"\0\1", b"\0\0\1", b"\0\0\1\0", b"\0\0\1\0\1x", b"\0\1\0\0x"):
                if kind != sn.CONNECT:
                    stranger.send(sn.packet(kind, body))
        sent = received = 0
        stranger.send(sn.packet(sn.SEARCHGW, b"\0"))
        while True:
            got = stranger.read()
            received += len(got.body) + 2
            if got.type == sn.GWINFO:
                if sent:
                    break
                sent += 1
                continue
            self.assertEqual((got.type, got.body), (sn.DISCONNECT, b""))
        stranger.send(sn.packet(sn.DISCONNECT))
        stranger.send(sn.packet(sn.PINGRESP))
        stranger.nothing()

    @own
    def test_rate(self):
        """So many datagrams a second of an address; the others are dropped and counted, and the daemon goes on."""
        self.begin("mqtt_sn_max_rate 20")
        client = self.sn("c")
        for _ in range(100):
            client.send(sn.packet(sn.PINGREQ))
        client.expect(sn.PINGRESP)
        tcp = self.client("tcp")
        tcp.ping()
        self.until_count("limited", 51)

    @own
    def test_topic_ids(self):
        """So many ids for a session: then the client is told of the congestion, and what needs one is dropped."""
        self.begin("mqtt_sn_max_topics 10")
        pub, client = self.client("pub"), self.sn("c")
        for n in range(10):
            client.register(f"topic/{n}")
        client.register("one/more", code=sn.CONGESTION)
        client.subscribe("one/more", code=sn.CONGESTION)
        client.subscribe("#", 1)
        pub.publish("one/more", b"x", qos=1)
        pub.publish("topic/3", b"y", qos=1)
        self.assertEqual(client.receive(), [("topic/3", b"y")])
        self.assertEqual(self.daemon.stats()["dropped"]["queue_full"], 1)

    @own
    def test_connections(self):
        """max_connections counts them, max_connection_rate too, and global_max_clients."""
        self.begin("max_connections 2", own_lines=["global_max_clients 3"])
        one, _ = self.sn("1"), self.sn("2")
        self.sn("3", code=sn.CONGESTION)
        one.disconnect()
        self.sn("3")
        self.client("4")
        self.assertEqual(self.daemon.stats()["connections"]["refused"], 1)

    @own
    def test_connection_rate(self):
        """Those that come faster are told of the congestion."""
        self.begin("max_connection_rate 1")
        clients = [self.sn() for _ in range(10)]
        for n, client in enumerate(clients):
            client.send(sn.connect(f"c{n}"))
        codes = [client.expect(sn.CONNACK)[0] for client in clients]
        self.assertEqual({sn.ACCEPTED, sn.CONGESTION}, set(codes))

    @own
    def test_too_large(self):
        """A message that is larger than mqtt_sn_max_size is dropped and counted."""
        self.begin("mqtt_sn_max_size 100")
        pub, client = self.client("pub"), self.sn("c")
        client.subscribe("t", 1)
        pub.publish("t", b"x" * 200, qos=1)
        pub.publish("t", b"x" * 50, qos=1)
        self.assertEqual(len(client.receive()[0][1]), 50)
        self.assertEqual(self.daemon.stats()["dropped"]["too_large"], 1)

    @own
    def test_another_at_the_address(self):
        """Another client identifier from the address: the one before is gone, and its will is published."""
        self.begin()
        watch = self.client("watch")
        watch.subscribe("w")
        client = self.sn("c", will=("w", b"gone", 0, False))
        client.connect(self.id("d"))
        self.assertEqual(watch.receive()[0].payload, b"gone")
        client.ping()
        client.disconnect()
        for _ in range(20):
            client.connect(self.id("e")).disconnect()

    @own
    def test_many_clients(self):
        """Some hundred, most of them with a will that is never said; the daemon gives all back."""
        self.begin("mqtt_sn_max_rate 0")
        clients = [self.sn() for _ in range(100)]
        for n, client in enumerate(clients):
            client.send(sn.connect(f"w{n}", will=True))
            client.expect(sn.WILLTOPICREQ)
            if n % 2:
                client.connect(f"c{n}")
        for client in clients[1::2]:
            client.disconnect()
        self.assertEqual(self.daemon.stats()["clients"]["connected"], 0)


@roads("off")
class Nobody(SnTest):
    """QoS -1, section 6.8."""

    @own
    def test_off(self):
        """Unless it is allowed, nothing happens."""
        path = self.write("topics", "7 plant/7\n")
        self.begin(f"mqtt_sn_predefined {path}")
        watch = self.client("watch")
        watch.subscribe("#")
        stranger = self.sn()
        stranger.publish(7, b"x", sn.MINUS_ONE, kind=sn.PREDEFINED)
        stranger.publish("ab", b"x", sn.MINUS_ONE)
        self.assertEqual(self.until_count("ignored", 2), 2)
        stranger.nothing()
        watch.nothing()

    @own
    def test_rights(self):
        """To predefined and short topics, with the rights of who is named, also after those have changed."""
        topics = self.write("topics", "7 plant/7\n8 plant/8\n")
        acl = self.write("acl", "topic read #\nuser sensors\ntopic write plant/7\ntopic write ab\n")
        self.begin(f"mqtt_sn_predefined {topics}", "mqtt_sn_qos_minus_one sensors", own_lines=[f"acl_file {acl}"])
        watch = self.client("watch")
        watch.subscribe("#")
        stranger = self.sn()

        def publish():
            for topic_id, kind in ((1, sn.NORMAL), (9, sn.PREDEFINED), ("a#", sn.SHORT), ("$a", sn.SHORT),
                                   (8, sn.PREDEFINED), (7, sn.PREDEFINED), ("ab", sn.SHORT)):
                stranger.publish(topic_id, b"x", sn.MINUS_ONE, kind=kind, retain=topic_id in (7, 8))

        publish()
        self.assertEqual([m.topic for m in watch.receive(2)], ["plant/7", "ab"])
        self.write("acl", "topic read #\nuser sensors\ntopic write plant/8\n")
        self.daemon.reload()
        publish()
        self.assertEqual(watch.receive()[0].topic, "plant/8")
        late = self.client("late")
        late.subscribe("#")
        self.assertEqual(late.receive()[0].topic, "plant/8")  # not 7: check_retain_source
        late.nothing()
        stranger.nothing()


@roads("off")
class Forwarders(SnTest):
    """Section 5.5."""

    @own
    def test_nodes(self):
        """Many nodes behind one address, and the forwarder itself: each is a client of its own, and gets its own."""
        self.begin()
        pub = self.client("pub")
        first = self.sn("0", node=b"\1")
        clients = [first]
        for n, node in enumerate((b"\2", b"\1\1", b"x" * 32, None), 1):
            client = sn.SnClient(self.network, self.port, node)
            client.sock.close()
            client.sock = first.sock
            clients.append(client.connect(self.id(f"{n}")))
        for n, client in enumerate(clients):
            client.subscribe(f"to/{n}", 1)
        for n, client in enumerate(clients):
            pub.publish(f"to/{n}", b"x", qos=1)
            self.assertEqual(client.receive(), [(f"to/{n}", b"x")])
            client.ping()


@roads("off")
class Discovery(SnTest):
    """Section 6.1."""

    @own
    def test_search(self):
        """SEARCHGW is answered with the gateway's id."""
        self.begin("mqtt_sn_gateway_id 77")
        client = self.sn()
        client.send(sn.packet(sn.SEARCHGW, b"\1"))
        self.assertEqual(client.expect(sn.GWINFO), bytes((77,)))

    @own
    def test_many_addresses(self):
        """On all addresses: the answer comes from the one that was spoken to, at both families."""
        self.begin()
        port = self.network.free_port(unseen=True)
        self.start([f"listener {port}", "protocol mqtt-sn", "control_socket " + self.daemon.control + "2"])
        for family, address in ((socket.AF_INET, "127.0.0.2"), (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            client = self.sn()
            client.sock.close()
            client.sock = socket.socket(family, socket.SOCK_DGRAM)
            client.sock.bind((address.replace("0.2", "0.1"), 0))
            client.sock.connect((address, port))
            client.connect(f"at {address}").ping()

    @own
    def test_multicast(self):
        """ADVERTISE goes to a group, and who searches there is answered."""
        if self.reference:
            self.skipTest("mosquitto has none")
        group, port = "239.255.77.1", self.network.free_port(unseen=True)
        searcher = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(searcher.close)
        searcher.settimeout(TIMEOUT)
        try:
            searcher.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + b"\0" * 4)
            searcher.sendto(b"", (group, port))
        except OSError as error:
            self.skipTest(f"no multicast here: {error}")
        self.daemon = self.start([f"listener {port}", "socket_domain ipv4", "protocol mqtt-sn", "mqtt_sn_gateway_id 5",
                                  "mqtt_sn_advertise 900", f"mqtt_sn_multicast {group}"])
        self.assertEqual(self.until_count("datagrams", 1), 1)  # it hears itself
        searcher.sendto(sn.packet(sn.SEARCHGW, b"\1"), (group, port))
        self.assertEqual(searcher.recv(100), sn.packet(sn.GWINFO, b"\5"))

    @own
    def test_options(self):
        """What does not fit together is told with file and line."""
        for lines, why in (
                (["listener 0 /tmp/x", "protocol mqtt-sn"], "MQTT-SN is on UDP"),
                (["listener 1884", "mqtt_sn_advertise 10"], "are for listeners of"),
                (["listener 1884", "protocol mqtt-sn", "mqtt_sn_multicast 192.0.2.1"], "not the address of a multicast"),
                (["listener 1884", "protocol mqtt-sn", "psk_hint x"], "has no TLS"),
                (["listener 1884 127.0.0.1", "protocol mqtt-sn", "mqtt_sn_multicast 225.1.1.1"], "with an ADDRESS"),
                (["listener 1884", "protocol mqtt-sn", "mqtt_sn_gateway_id 0"], "mqtt_sn_gateway_id"),
        ):
            path = self.write("conf", "\n".join(lines) + "\n")
            status, err = self.run_daemon("-c", path, "--test-config")
            self.assertEqual(status, 1, err)
            self.assertRegex(err, rf"Error in {path}:[123]: .*{why}")

    @own
    def test_topics_file(self):
        """A wrong file of topics: where and why, and no start."""
        for text, why in (("0 a\n", "ID from 1"), ("65535 a\n", "ID from 1"), ("1\n", "ID TOPIC"), ("x a\n", "ID TOPIC"),
                          ("1 a/#\n", "is no topic"), ("1 $SYS/x\n", "is no topic"), ("1 a\n1 b\n", "another topic")):
            path = self.write("topics", "# comment\n\n" + text)
            conf = self.write("conf", f"listener {self.network.free_port(unseen=True)} 127.0.0.1\nprotocol mqtt-sn\n"
                                      f"mqtt_sn_predefined {path}\n")
            status, err = self.run_daemon("-c", conf)
            self.assertNotEqual(status, 0)
            self.assertRegex(err, rf"{path}:[34].*{why}")
