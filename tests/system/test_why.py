# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""shuntctl why: the reason that it names is the one why there is no flow."""

import json
import os
import socket
import time

from harness import properties as pr
from harness import run
from harness.client import TIMEOUT, Client
from harness.network import Network, inside
from harness.suite import APART, SystemTest, own, roads

NO_LOCAL = 4


class Reasons(SystemTest):
    """Parts of the tests below; no tests."""

    roads = APART  # what is different where both are is in test_fast_roads

    def why(self, topic, client=None, daemon=None):
        """The answer, and that people get its text."""
        daemon = daemon or self.daemon
        words = [topic] if client is None else [topic, client]
        why = json.loads(daemon.ctl("why", "--json", *words))["why"]
        self.assertEqual((why["topic"], why.get("client")), (topic, client))
        said = daemon.ctl("why", *words)
        if why["carried"]:
            self.assertIn(f"The kernel carries it on the {self.road} road to {why['flows'][0]['receiver']}", said)
        else:
            self.assertTrue(said.startswith(f"The daemon carries it: {why['text']}"), said)
        return why

    def reason(self, reason, topic, client=None, daemon=None, session=None):
        """It names this reason, and there is no flow. Returns the detail."""
        why = self.why(topic, client, daemon)
        self.assertEqual(why["reason"], "off" if self.road == "off" else reason, why)
        self.assertFalse(why["carried"])
        if self.road != "off":
            self.no_flow(topic, daemon)
            if session:
                self.assertEqual(why["session"], session)
        return why["detail"]

    def one_by_one(self, publisher, topic, *receivers, count=20):
        """Publish so often that there would be a flow if there could be one."""
        for n in range(count):
            publisher.publish(topic, b"%d" % n)
            for receiver in receivers:
                self.assertEqual(receiver.payloads(1), [b"%d" % n])
        publisher.alive()

    def pair(self, *filters, daemon=None, level=4, **fields):
        """A subscriber and a publisher, after some messages on the topic t."""
        subscriber, publisher = (self.client("s", daemon, level=level, **fields),
                                 self.client("p", daemon, level=level))
        subscriber.subscribe(*(filters or [self.topic("t")]))
        self.one_by_one(publisher, self.topic("t"), subscriber)
        return subscriber, publisher


class Why(Reasons):
    """One daemon, with the defaults."""

    @own
    def test_carried(self):
        """By the kernel: on which road and to whom, for that publisher and for any; not after the receiver left."""
        subscriber, publisher = self.pair()
        self.install(publisher, subscriber, self.topic("t"))
        for client in (None, self.id("p")):
            why = self.why(self.topic("t"), client)
            self.assertEqual(why["carried"], self.road != "off")
            self.assertEqual(why["reason"], "off" if self.road == "off" else "possible")
            if self.road != "off":
                flow, = why["flows"]
                self.assertEqual((flow["road"], flow["receiver"], flow["receivers"]), (self.road, self.id("s")[:31], 1))
        subscriber.disconnect()
        self.daemon.clients()  # asks all workers: the receiver's has closed the connection by then
        for client in (None, self.id("p")):
            self.reason("no_receiver", self.topic("t"), client)

    @own
    def test_off(self):
        """The fast path is off, with its reason; a flow that is there all the same does not count."""
        subscriber, publisher = self.pair()
        self.install(publisher, subscriber, self.topic("t"))
        if self.road != "off":
            self.daemon.ctl("fastpath", "off")
        why = self.why(self.topic("t"), self.id("p"))
        self.assertEqual((why["reason"], why["carried"], why["detail"]), ("off", False, "switched off"))
        if self.road != "off":
            self.daemon.ctl("fastpath", "on")
            self.assertTrue(self.why(self.topic("t"), self.id("p"))["carried"])

    @own
    def test_before_the_first_message(self):
        """Nothing was published yet: the receiver is not prepared. Then it is, and other topics wait for a message."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("#"))
        self.reason("receiver_not_ready", self.topic("t"), self.id("p"), session=self.id("s"))
        self.reason("receiver_not_ready", self.topic("t"), session=self.id("s"))
        self.install(publisher, subscriber, self.topic("t"))
        self.reason("possible", self.topic("u"), self.id("p"))

    @own
    def test_publisher(self):
        """Publishers that are not known or not connected, whatever there is for others."""
        self.pair()
        self.client("gone", clean=False).disconnect()
        for reason, client in (("publisher_unknown", "nobody"), ("publisher_away", "gone")):
            why = self.why(self.topic("t"), self.id(client))
            self.assertEqual((why["reason"], why["carried"]), (reason, False))
        self.client("gone").disconnect()

    @own
    def test_topic(self):
        """Topics that begin with $ or are too long, in 5.0 by a byte less; and what is no topic."""
        for level, length in ((4, 128), (5, 127)):
            subscriber, publisher = self.client(f"s{level}", level=level), self.client(f"p{level}", level=level)
            for more, reason in ((0, "possible"), (1, "topic_too_long")):
                topic = self.topic(str(level)).ljust(length + more, "x")
                subscriber.subscribe(topic)
                if not more:
                    self.install(publisher, subscriber, topic)
                    self.assertEqual(self.why(topic, self.id(f"p{level}"))["carried"], self.road != "off")
                    continue
                self.one_by_one(publisher, topic, subscriber)
                self.reason(reason, topic, self.id(f"p{level}"))
            subscriber.subscribe("$own/" + self.name)
            self.one_by_one(publisher, "$own/" + self.name, subscriber)
            self.reason("dollar", "$own/" + self.name, self.id(f"p{level}"))
            subscriber.disconnect()
        for topic in ("", "a/+", "#", "x" * 5000):
            with self.assertRaises(AssertionError, msg=topic):
                self.daemon.ctl("why", topic)

    @own
    def test_two_receivers(self):
        """The local road carries to several, the remote one does not."""
        second = self.client("second")
        second.subscribe(self.topic("+"))
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("t"))
        self.one_by_one(publisher, self.topic("t"), subscriber, second)
        if self.road == "local":
            deadline = time.monotonic() + TIMEOUT
            while not self.why(self.topic("t"), self.id("p"))["carried"]:
                self.assertLess(time.monotonic(), deadline)
                self.one_by_one(publisher, self.topic("t"), subscriber, second, count=1)
            flow, = self.why(self.topic("t"), self.id("p"))["flows"]
            self.assertEqual(flow["receivers"], 2)
            self.assertIn(f"to {flow['receiver']} and 1 more: ", self.daemon.ctl("why", self.topic("t")))
            self.assertRegex(self.daemon.ctl("flows", "--interval", "0"),
                             rf"(?m)^{self.topic('t')} +{flow['receiver']} and 1 more +local ")
        else:
            self.reason("many_receivers", self.topic("t"), self.id("p"))
        second.disconnect()
        self.install(publisher, subscriber, self.topic("t"))
        self.assertEqual(self.why(self.topic("t"))["carried"], self.road != "off")

    @own
    def test_shared(self):
        """A shared subscription beside another one."""
        self.pair("$share/group/" + self.topic("t"), self.topic("other"))
        self.client("o").subscribe(self.topic("#"))
        self.reason("shared", self.topic("t"), self.id("p"))

    @own
    def test_no_local(self):
        """No Local, be it the publisher's own."""
        self.pair((self.topic("t"), NO_LOCAL), level=5)
        for client in (None, self.id("p"), self.id("s")):
            self.reason("no_local", self.topic("t"), client, session=self.id("s"))

    @own
    def test_identifier(self):
        """A Subscription Identifier."""
        subscriber, publisher = self.client("s", level=5), self.client("p", level=5)
        subscriber.subscribe(self.topic("t"), props=[(pr.SUBSCRIPTION_ID, 7)])
        self.one_by_one(publisher, self.topic("t"), subscriber)
        self.reason("identifier", self.topic("t"), self.id("p"), session=self.id("s"))

    @own
    @roads("off", "remote")
    def test_other_form(self):
        """One of both speaks 5.0, which the kernel changes on the local road only."""
        for level in (4, 5):
            subscriber, publisher = self.client("s", level=level), self.client("p", level=9 - level)
            subscriber.subscribe(self.topic("t"))
            self.one_by_one(publisher, self.topic("t"), subscriber)
            detail = self.reason("other_form", self.topic("t"), self.id("p"), session=self.id("s"))
            if self.road != "off":
                self.assertEqual(detail, f"it is the {'publisher' if level == 4 else 'receiver'} that speaks 5.0")
            subscriber.disconnect()
            publisher.disconnect()

    @own
    def test_receiver_limits(self):
        """A receiver with a Maximum Packet Size, or one that is sent topic aliases."""
        for prop, word in (((pr.MAXIMUM_PACKET_SIZE, 1000), "Maximum Packet Size"),
                           ((pr.TOPIC_ALIAS_MAXIMUM, 5), "topic aliases")):
            subscriber, publisher = self.client("s", level=5, props=[prop]), self.client("p", level=5)
            subscriber.subscribe(self.topic("+"))
            for n in range(20):
                publisher.publish(self.topic("t"), b"%d" % n)
                subscriber.payloads(1)
            for client in (None, self.id("p")):
                detail = self.reason("receiver_no_road", self.topic("t"), client, session=self.id("s"))
                if self.road != "off":
                    self.assertIn(word, detail)
            subscriber.disconnect()
            publisher.disconnect()

    @own
    def test_connected_while_off(self):
        """Who connected before the fast path was switched on for the first time has no road."""
        daemon = self.start(["fastpath false"])
        early = self.client("early", daemon)
        early.subscribe(self.topic("t"))
        if self.road != "off":
            daemon.ctl("fastpath", "on")
        late = self.client("late", daemon)
        late.subscribe(self.topic("u"))
        self.one_by_one(early, self.topic("u"), late)
        self.one_by_one(late, self.topic("t"), early)
        for reason, topic, client in (("publisher_no_road", "u", "early"), ("receiver_no_road", "t", "late")):
            detail = self.reason(reason, self.topic(topic), self.id(client), daemon)
            if self.road != "off":
                self.assertEqual(detail, "the fast path was off when it connected")

    @roads("remote")
    @own
    def test_receiver_sends(self):
        """A remote receiver that sends much itself is left to the daemon for a while, and misses nothing."""
        subscriber, publisher = self.pair()
        topic, numbers = self.topic("t"), []
        self.install(publisher, subscriber, topic)
        for n in range(5000):
            subscriber.publish(self.topic("own"), b"", 1)
            publisher.publish(topic, b"%d" % n)
            numbers.append(subscriber.payloads(1)[0])
            if n % 50 == 49 and self.why(topic, self.id("p"))["reason"] == "receiver_sends":
                break
        self.reason("receiver_sends", topic, self.id("p"), session=self.id("s"))
        self.one_by_one(publisher, topic, subscriber)
        self.reason("receiver_sends", topic, self.id("p"), session=self.id("s"))
        self.assertEqual(numbers, [b"%d" % n for n in range(len(numbers))])

    @own
    def test_receiver_away(self):
        """A session that waits for its client is no receiver of QoS 0."""
        away = self.client("away", clean=False)
        away.subscribe(self.topic("t"))
        away.disconnect()
        publisher = self.client("p")
        self.one_by_one(publisher, self.topic("t"))
        self.reason("no_receiver", self.topic("t"), self.id("p"))
        self.client("away").disconnect()


class WhyOptions(Reasons):
    """Options that keep messages with the daemon."""

    own_daemon = True

    def check(self, reason, *options, filters=(), **fields):
        """A pair with these options has no flow for this reason."""
        daemon = self.start(options)
        self.pair(*filters, daemon=daemon, **fields)
        self.reason(reason, self.topic("t"), self.id("p"), daemon)
        return daemon

    @own
    def test_logged(self):
        """log_type debug."""
        self.check("logged", "log_type debug")

    @own
    def test_size_limited(self):
        """message_size_limit."""
        self.check("size_limited", "message_size_limit 1000")

    @own
    def test_rate_limited(self):
        """max_publish_rate and max_publish_bytes."""
        self.check("rate_limited", "max_publish_rate 1000000")
        self.check("rate_limited", "max_publish_bytes 1000000000")

    @own
    def test_upgraded(self):
        """upgrade_outgoing_qos, where the subscription is of QoS 1."""
        self.check("upgraded", "upgrade_outgoing_qos true", filters=[(self.topic("t"), 1)])

    @own
    @roads("off", "remote")
    def test_many_copies(self):
        """allow_duplicate_messages, with overlapping subscriptions; the local road can make two copies."""
        daemon = self.start(["allow_duplicate_messages true"])
        subscriber, publisher = self.client("s", daemon), self.client("p", daemon)
        subscriber.subscribe(self.topic("t"), self.topic("+"))
        self.one_by_one(publisher, self.topic("t"), subscriber, subscriber)
        self.reason("many_copies", self.topic("t"), self.id("p"), daemon, session=self.id("s"))

    @own
    def test_kept_for_offline(self):
        """queue_qos0_messages, for a session that is away."""
        daemon = self.start(["queue_qos0_messages true"])
        away = self.client("away", daemon, clean=False)
        away.subscribe(self.topic("+"))
        away.disconnect()
        self.pair(daemon=daemon)
        self.reason("kept_for_offline", self.topic("t"), self.id("p"), daemon, session=self.id("away"))

    @own
    def test_unix(self):
        """A client of a Unix socket, as receiver and as publisher."""
        folder = f"{run.folder()}/why-{self.road}"
        os.mkdir(folder)
        os.chmod(folder, 0o777)
        daemon = self.start([f"listener 0 {folder}/mqtt.sock", "allow_anonymous true"])
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(f"{folder}/mqtt.sock")
        here, there = Client(sock, "unix").connect(self.id("unix")), self.client("tcp", daemon)
        self.addCleanup(here.close)
        for subscriber, publisher, name, reason in ((here, there, "tcp", "receiver_no_road"),
                                                    (there, here, "unix", "publisher_no_road")):
            topic = self.topic(name)
            subscriber.subscribe(topic)
            self.one_by_one(publisher, topic, subscriber)
            detail = self.reason(reason, topic, self.id(name), daemon)
            if self.road != "off":
                self.assertEqual(detail, "it is no TCP connection")

    @own
    @roads("remote")
    def test_other_road(self):
        """One of both is on the local road, the other on the remote one."""
        there = Network("127.0.0.1", self.network.daemon_ns, self.network.daemon_ns)
        daemon = self.start(["fastpath_local on", "fastpath_exclude_uid 65534"], network=there)
        with inside(self.network.daemon_ns):
            sock = socket.socket()
        os.fchown(sock.fileno(), 65534, -1)
        sock.connect((there.address, daemon.port))
        far, near = Client(sock, "far").connect(self.id("far")), self.client("near", daemon)
        self.addCleanup(far.close)
        far.subscribe(self.topic("t"))
        self.one_by_one(near, self.topic("t"), far)
        self.assertEqual({c["id"]: c["fastpath"]["road"] for c in daemon.clients()["clients"]},
                         {self.id("far"): "remote", self.id("near"): "local"})
        self.assertEqual(self.reason("other_road", self.topic("t"), self.id("near"), daemon, session=self.id("far")),
                         "the publisher is on the road local, the receiver on the road remote")
