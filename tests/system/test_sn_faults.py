# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""MQTT-SN: over an end of the daemon, with calls that fail, and at random against a model."""

import errno
import os
import random

from harness import sn
from harness.client import TIMEOUT
from harness.inject import MEMORY, SEND, Inject
from harness.suite import own, roads
from test_sn import SnTest

STRIDE = int(os.environ.get("SHUNT_INJECT_STRIDE") or 0)
SEED = int(os.environ.get("SHUNT_MODEL_SEED") or 1)
ROUNDS = 150
PATIENCE = 0.1  # seconds, for what may have been lost


@roads("off")
class Restart(SnTest):
    """With persistence."""

    @own
    def test_restart(self):
        """A sleeping client's session outlives the daemon: it is told that it has no connection, comes back, and gets all. Its
        topics have the ids they had."""
        self.begin(own_lines=["persistence true"])
        client = self.sn("c", clean=False, will=("w", b"gone", 1, False))
        topic_id = client.subscribe("t", 1)
        other_id = client.register("other")
        client.sleep(1000)
        pub = self.client("pub")
        for n in range(50):
            pub.publish("t", b"%d" % n, qos=1)
        self.daemon.kill()
        self.daemon.start()
        client.send(sn.packet(sn.PINGREQ, client.id.encode()))
        self.assertEqual(client.expect(sn.DISCONNECT), b"")
        client.connect(client.id, clean=False)
        self.assertEqual(client.receive(50), [("t", b"%d" % n) for n in range(50)])
        client.publish(other_id, b"", 1, code=sn.INVALID_TOPIC)
        self.assertEqual(client.register("other"), other_id)
        self.assertEqual(client.register("t"), topic_id)
        pub = self.client("pub")
        client.sleep(1000)
        for n in range(40):
            pub.publish("t", b"%d" % n, qos=1 + n % 2)
        self.assertEqual([int(payload) for _, payload in client.wake()], list(range(40)))
        self.assertEqual(client.wake(), [])


@roads("off")
class Failing(SnTest):
    """Calls that fail, each once: the daemon lives, leaks nothing, and serves others."""

    limit = 3600 if STRIDE else 120

    def play(self, name, patience=TIMEOUT):
        """Some of everything, as far as it goes."""
        client = self.sn()
        client.patience = patience
        try:
            client.connect(name, will=("w", b"x" * 100, 1, False), duration=60)
            client.subscribe("s/#", 2)
            topic_id = client.register(f"s/{name}")
            for qos in range(3):
                client.publish(topic_id, b"x" * 600, qos)
                client.receive()
            client.send(sn.packet(sn.WILLTOPICUPD, b"\0w"))
            client.until(sn.WILLTOPICRESP)
            client.sleep(60)
            client.wake()
            client.connect(name, clean=True)
        except AssertionError:
            pass  # what it did not get in time, or got otherwise
        client.close()

    def each(self, kind, stride, error):
        """All that the play does, one after the other."""
        inject = []
        self.begin("mqtt_sn_retry 20", before=lambda daemon: inject.append(Inject(daemon)))
        inject = inject[0]
        self.play("warm")
        before = inject.calls(kind)
        self.play("whole")
        count = inject.calls(kind) - before
        self.assertGreater(count, 0)
        for n in range(0, count, STRIDE or max(1, count // stride)):
            inject.fail(kind, n, error)
            self.play(f"{n}", PATIENCE)
            inject.stop()
            self.sn("bystander").ping()
        self.assertGreater(inject.failed, 0)

    @own
    def test_memory(self):
        """Allocations."""
        self.each(MEMORY, 12, errno.ENOMEM)

    @own
    def test_send(self):
        """Writing to the socket."""
        self.each(SEND, 6, errno.ENOBUFS)


class Model:
    """What a client has subscribed to and is to get."""

    def __init__(self, client):
        self.client, self.filters, self.due, self.state = client, {}, [], "away"

    def matches(self, topic):
        """The highest QoS of the filters that match, or None."""
        levels = topic.split("/")
        hits = [qos for f, qos in self.filters.items() if f in (topic, "#") or
                (f.endswith("/#") and levels[0] == f[:-2]) or (f == "+/1" and len(levels) == 2 and levels[1] == "1")]
        return max(hits, default=None)


@roads("off", "local")
class Random(SnTest):
    """Random operations of clients of both kinds."""

    TOPICS = ("a/0", "a/1", "b/1", "ab", "long/topic/name", "xy")
    FILTERS = ("a/#", "+/1", "a/0", "ab", "#", "xy")

    @own
    def test_model(self):
        """Subscriptions, messages with each QoS, sleep, and the way back: each gets what it is to get, once."""
        self.begin()
        rnd = random.Random(SEED)
        tcp = self.client("tcp")
        everybody = [Model(self.sn()) for _ in range(6)]
        for number, model in enumerate(everybody):
            model.client.id = self.id(f"m{number}")
            self.come(model)
            model.client.subscribe("fence", 1)
        for _ in range(ROUNDS):
            rnd.choice((self.subscribe, self.publish, self.publish, self.publish, self.state))(rnd, everybody, tcp)
        for model in everybody:
            if model.state == "away":
                self.come(model)
            self.collect(model, tcp)

    @staticmethod
    def come(model):
        """CONNECT to the session that there is."""
        model.client.connect(model.client.id, clean=False)
        model.state = "active"

    fences = 0

    def collect(self, model, tcp):
        """All that is due, and nothing else."""
        self.fences += 1
        tcp.publish("fence", b"%d" % self.fences, qos=1)
        got, fence = [], ("fence", b"%d" % self.fences)

        def short():
            return sum(topic != "fence" for topic, _ in got) < len(model.due)

        # Neither the fence nor a PINGRESP comes behind what others have published.
        if model.state == "active":
            while short() or fence not in got:
                got += model.client.receive()
        else:
            got += model.client.wake()
            while short():
                got += model.client.wake()
        got = [message for message in got if message[0] != "fence"]
        self.assertEqual(sorted(got), sorted(model.due), f"seed {SEED}, {model.client.id}")
        model.due = []

    def subscribe(self, rnd, everybody, tcp):
        """Or UNSUBSCRIBE, of one that is there."""
        model = rnd.choice(everybody)
        if model.state != "active":
            return
        self.collect(model, tcp)
        topic_filter = rnd.choice(self.FILTERS)
        if topic_filter in model.filters and rnd.random() < 0.5:
            model.client.unsubscribe(topic_filter)
            del model.filters[topic_filter]
        else:
            qos = rnd.randrange(3)
            model.client.subscribe(topic_filter, qos)
            model.filters[topic_filter] = qos
            if topic_filter == "#":
                model.filters["fence"] = 1

    def publish(self, rnd, everybody, tcp):
        """By one of either kind."""
        topic, qos, payload = rnd.choice(self.TOPICS), rnd.randrange(3), b"%d" % rnd.randrange(1 << 30)
        active = [model for model in everybody if model.state == "active"]
        by = rnd.choice([None, *active])
        if by is None:
            tcp.publish(topic, payload, qos=qos)
            tcp.ping()
        else:
            self.collect(by, tcp)
            by.client.publish(by.client.register(topic), payload, qos)
            by.client.send(sn.packet(sn.PINGREQ))
            by.client.until(sn.PINGRESP)
        for model in everybody:
            granted = model.matches(topic)
            if granted is not None and (model.state != "away" or min(granted, qos)):
                model.due.append((topic, payload))

    def state(self, rnd, everybody, tcp):
        """One falls asleep, wakes for a moment, goes away, or comes back."""
        model = rnd.choice(everybody)
        to = rnd.choice(("active", "asleep", "away"))
        if model.state == "away":
            self.come(model)
        self.collect(model, tcp)
        if to == "asleep":
            model.client.sleep(1000)
        elif to == "away":
            model.client.disconnect()
        elif model.state == "asleep":
            self.come(model)
        model.state = to
