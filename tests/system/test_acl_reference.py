# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Files of access rules: what they come to as we read them is what they come to at a mosquitto."""

import itertools
import os
import random
import subprocess

from harness import build
from harness import packets as p
from harness.client import TIMEOUT
from harness.daemon import Daemon, DaemonError
from harness.suite import SystemTest, own

DECIDE = f"{build.BUILD}/tests/acl/decide"
FILES = int(os.environ.get("SHUNT_ACL_FILES", "12"))
SEED = int(os.environ.get("SHUNT_ACL_SEED", "1"))
VERSION, STATE = "$SYS/broker/version", "$SYS/broker/connection/b/state"  # retained by the broker; for bridges to write
SUBSCRIBED = ("#", "$x/#", "$SYS/broker/connection/#", VERSION)
JUDGE = "\nuser judge\ntopic #\ntopic $x/#\ntopic $SYS/#\n"  # publishes what the others are to read; rules of nobody else

LEVELS = ("a", "b", "", "i", "u", "$x")
TOPICS = [*filter(None, map("/".join, (*itertools.product(LEVELS), *itertools.product(LEVELS, repeat=2)))),
          "a/b/a", "a/b/b", "a/b/", "a//b", "b/a/i", "i/u/a", "u/i/b", "//a", "//", "a/i/u/b", "a/a/a/a/a", "a/%c",
          "%u", "i-u", "iu", "a b", "read", VERSION, STATE]
CLIENTS = [(None, "i"), ("u", "i"), ("u", "a"), ("a", "b"), (None, "a/b"), ("a/b", "i"), ("", "i"), ("u", "+"),
           ("u", "a/#"), ("+", "i"), ("a#", "i"), (None, "a+"), ("a", "%u")]
NAMES = ("%c", "%u", "%c-%u", "%c%u")


def random_filter(rng, pattern):
    """A filter of a few levels."""
    levels = [rng.choice(("a", "b", "+", "+", "", "i", "u", "$x", *NAMES[:4 if pattern else 1]))
              for _ in range(rng.randint(1, 3))]
    return "/".join(levels + ["#"] * rng.randint(0, 1)) or "+"


def random_file(rng):
    """Rules of all kinds."""
    lines = []
    for number in range(rng.randint(2, 14)):
        if number and rng.random() < 0.2:
            lines.append(f"user {rng.choice(('u', 'a', 'a/b', '+', 'a#'))}")
        access = rng.choice(("read ", "write ", "readwrite ", "deny ", "deny ", ""))
        pattern = rng.random() < 0.4
        lines.append(f"{'pattern' if pattern else 'topic'} {access}{random_filter(rng, pattern)}")
    return "\n".join(lines)


WRITTEN = [
    "",
    "# nothing\r\n\r\n",
    "topic #\r\ntopic deny a\r\n",
    "topic deny a/#\ntopic a/b\ntopic read $SYS/#\n",
    "topic read\ntopic read a b\n  topic   deny   a/i",
    "user u\ntopic read a/#\npattern deny a/b\npattern a/+\n",
    "user u\ntopic a\nuser a\ntopic b\nuser u\ntopic b\nuser  a/b \ntopic i\n",
    "topic $SYS/#\nuser u\ntopic $SYS/broker/+\nuser a\ntopic $x/#\n",
    "pattern read %c\npattern write %c/%u\npattern %u%c\npattern %c-%u\npattern a/%c/%u/b\n",
    "pattern %u\npattern deny %c/#\n",
    "pattern #\npattern deny %u/#\npattern $SYS/#\n",
    "user a\ntopic #\nuser +\ntopic a\nuser a#\ntopic b\npattern read %u/#\n",
]

LINES_REFUSED = ["topic", "topic ", "pattern", "user", "user  ", "topic reed a", "topic a b", "topic Read a", "topics a",
                 "Topic a", "\ttopic a", "topic\ta", "read a", " # a", "topic a/#/b", "topic read a#", "topic a+",
                 "pattern %c+", "topic " + "/" * 201, "topic " + "x" * 65536]
LINES_TAKEN = ["# a", "#", "topic #", "topic read", "topic deny", "  topic a", "topic  a", "topic read  a  b ", "user a b",
               "pattern a", "topic read \t a", "topic %c", "topic /", "topic a/%c%", "topic " + "/" * 200,
               "topic " + "x" * 65535, " \t ", "user \ta"]
LINES_REFUSED_BY_US = ["topic read\ta", "topic \xe4", "user \xe4", "topic a\0b", "topic \x01"]


class Reference(SystemTest):
    """mosquitto decides, and so do we."""

    own_daemon = True
    roads = ("off",)
    limit = 300

    def setUp(self):
        super().setUp()
        path = build.mosquitto()
        if not path:
            self.skipTest("there is no mosquitto broker: scripts/setup check")
        if not os.access(DECIDE, os.X_OK):
            self.skipTest("tests/acl/decide is not built: make unit-tests")

        self.broker = Daemon(self.network, (), path, reference=True)
        self.addCleanup(self.broker.remove)
        self.broker.options.append(f"acl_file {self.broker.dir}/acl")

    def write(self, text):
        """The file of rules."""
        with open(f"{self.broker.dir}/acl", "w", encoding="latin-1", newline="") as file:
            file.write(text)
        return file.name

    def decide(self, text, questions=()):
        """Our answers, to each (username, client identifier, topic); None: the file is refused."""
        asked = "".join(f"{'-' if user is None else user}\t{name}\t{topic}\n" for user, name, topic in questions)
        done = subprocess.run([DECIDE, self.write(text)], input=asked, capture_output=True, text=True, timeout=TIMEOUT)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return None if done.returncode else done.stdout.split("\n")[:-1]

    def accepted_by_mosquitto(self, text):
        """Does it start?"""
        self.write(text)
        try:
            self.broker.start()
        except DaemonError:
            return False
        self.client("c", self.broker).disconnect()  # before its loop it does not know how to end
        self.broker.stop()
        return True

    def decided_by_mosquitto(self, text, clients, topics):
        """Its answers, found out by publishing and by subscribing."""
        self.write(text + JUDGE)
        self.broker.start()
        judge = self.client("judge", self.broker, level=5, username="judge")
        answers = {}
        for number, (user, name) in enumerate(clients):
            client = self.client(f"c{number}", self.broker, level=5, client_id=name, username=user)
            may_write = {topic for topic in topics if self.writes(client, topic)}
            client.subscribe(*SUBSCRIBED)
            for topic in topics:
                if topic != VERSION:
                    judge.publish(topic, b"")
            judge.ping()
            may_read = {packet.topic for packet in client.settle()}
            client.disconnect()
            for topic in topics:
                answers[user, name, topic] = "r" * (topic in may_read) + "w" * (topic in may_write)
        judge.disconnect()
        self.broker.stop()
        return answers

    def writes(self, client, topic):
        """Does a PUBLISH succeed?"""
        mid = client.mid()
        client.send(p.publish(topic, b"", 1, mid=mid, props=()))
        return client.expect(p.PUBACK).code < 0x80

    def compare(self, text, clients=CLIENTS, topics=TOPICS):
        """Every client and every topic."""
        want = self.decided_by_mosquitto(text, clients, topics)
        got = self.decide(text + JUDGE, want)
        self.assertEqual(len(got), len(want))
        for (question, theirs), ours in zip(want.items(), got):
            if question[2] == VERSION:  # that nobody writes it is no matter of rules
                ours = ours.replace("w", "")
            self.assertEqual(ours, theirs, f"{question} with\n{text}")
        return want

    @own
    def test_written(self):
        """Files for each statement of the description."""
        seen = set()
        for text in WRITTEN:
            seen.update(self.compare(text).values())
        self.assertEqual(seen, {"", "r", "w", "rw"})

    @own
    def test_random(self):
        """Files of any rules."""
        for number in range(FILES):
            self.compare(random_file(random.Random(f"{SEED} {number}")))

    @own
    def test_names_that_begin_with_a_dollar(self):
        """Where we are stricter: nobody gets to topics that begin with '$' by his name."""
        text, topics = "pattern %c/#\npattern %u/#\n", ["$x/a", "a/$x"]
        theirs = self.decided_by_mosquitto(text, [(None, "$x"), ("$x", "i")], topics)
        self.assertEqual({question for question, answer in theirs.items() if answer},
                         {(None, "$x", "$x/a"), ("$x", "i", "$x/a")})
        self.assertEqual(self.decide(text, theirs), [""] * len(theirs))
        self.compare("pattern deny %c/#\npattern $x/a\npattern a/%c\n", [(None, "$x"), ("$x", "i")], topics)

    @own
    def test_lines(self):
        """Which lines are refused."""
        for line in LINES_REFUSED + LINES_TAKEN + LINES_REFUSED_BY_US:
            theirs = self.accepted_by_mosquitto(f"topic a\n{line}\n")
            ours = self.decide(f"topic a\n{line}\n") is not None
            with self.subTest(line[:80]):
                self.assertEqual(theirs, line not in LINES_REFUSED)
                self.assertEqual(ours, line in LINES_TAKEN)
