# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""shuntctl flows and shuntctl top: what they show is what was published."""

import json
import os
import re
import signal
import subprocess
import time

from harness.client import TIMEOUT
from harness.daemon import Daemon
from harness.suite import APART, SystemTest, own
from harness.terminal import Terminal

TAKE, GIVE_BACK = b"\x1b[?1049h", b"\x1b[?1049l"


class Inspect(SystemTest):
    """Messages flow while shuntctl looks; no tests."""

    roads = APART

    def command(self, *words):
        """A command line of shuntctl."""
        return [f"{os.path.dirname(self.daemon.path)}/shuntctl", "-s", self.daemon.control, *words]

    def pair(self, *topics):
        """A subscriber and a publisher with flows, each of which has carried something."""
        subscriber, publisher = self.client("s"), self.client("p")
        subscriber.subscribe(self.topic("#"))
        for topic in topics:
            self.install(publisher, subscriber, self.topic(topic))
            self.until_carried(publisher, subscriber, self.topic(topic))
        return subscriber, publisher

    def publish_during(self, publisher, subscriber, words, *topics):
        """Publish on these topics, one after the other, again and again until the command ends. Returns what it
        wrote."""
        process = subprocess.Popen(self.command(*words), stdout=subprocess.PIPE, text=True)
        try:
            while process.poll() is None:
                for topic in topics:
                    publisher.publish(self.topic(topic), b"x")
                subscriber.receive(len(topics))
            self.assertEqual(process.returncode, 0)
            return process.stdout.read()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def publish_until(self, condition, publisher, subscriber, words, *topics):
        """The same, again until what it wrote meets a condition: a machine that pauses publishes nothing meanwhile."""
        deadline = time.monotonic() + TIMEOUT
        while not condition(text := self.publish_during(publisher, subscriber, words, *topics)):
            self.assertLess(time.monotonic(), deadline, text)
        return text

    def run_wrong(self, status, says, *words):
        """It ends with this status and says why."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual((done.returncode, done.stdout), (status, ""))
        self.assertIn(says, done.stderr)


class Flows(Inspect):
    """The list of flows."""

    @own
    def test_rate(self):
        """The rate is measured, and the busiest flow comes first, whatever was carried before."""
        subscriber, publisher = self.pair("busy", "idle", "slow")
        for _ in range(2000):
            publisher.publish(self.topic("idle"), b"x")
            subscriber.receive()

        def mine(text):
            return [f for f in json.loads(text)["flows"] if f["topic"].startswith(self.name)]

        def measured(text):
            rates = {f["topic"]: f["rate"] for f in mine(text)}
            busy, slow, idle = (rates[self.topic(topic)] for topic in ("busy", "slow", "idle"))
            self.assertEqual(idle, 0)
            return slow > 0 and busy > 1.5 * slow

        text = self.publish_until(measured if self.road != "off" else lambda text: True, publisher, subscriber,
                                  ["flows", "--json", "--interval", "0.5"], "busy", "busy", "busy", "slow")
        mine = mine(text)
        if self.road == "off":
            self.assertEqual(mine, [])
            return
        self.assertEqual([f["topic"] for f in mine], [self.topic(t) for t in ("busy", "slow", "idle")])
        self.assertEqual([(f["road"], f["receiver"], f["receivers"]) for f in mine],
                         [(self.road, self.id("s")[:31], 1)] * 3)

    @own
    def test_for_people(self):
        """The table has topic, receiver, road, rate, messages and age."""
        subscriber, publisher = self.pair("t")
        text = self.publish_during(publisher, subscriber, ["flows", "--interval", "0.3"], "t")
        if self.road == "off":
            self.assertNotIn(self.topic("t"), text)
            return
        line = next(line for line in text.splitlines() if line.startswith(self.topic("t")))
        self.assertRegex(line, rf"^{self.topic('t')} +{self.id('s')} +{self.road} +3 +\d[\d.]*/s +\d+ +\d+ +\d s ago$")

    @own
    def test_without_interval(self):
        """With --interval 0 it does not measure and does not wait."""
        subscriber, publisher = self.pair("t")
        self.until_carried(publisher, subscriber, self.topic("t"))
        flows = [f for f in self.daemon.flows()["flows"] if f["topic"] == self.topic("t")]
        self.assertEqual([("rate" in f, f["messages"] > 0) for f in flows], [] if self.road == "off" else [(False, True)])

    @own
    def test_limit(self):
        """At most so many, and how many there are."""
        topics = [f"t{n}" for n in range(5)]
        self.pair(*topics)
        total = self.daemon.stats()["fastpath"]["flows"]
        for limit, wanted in (("2", min(2, total)), ("0", total)):
            answer = json.loads(self.daemon.ctl("flows", "--json", "--interval", "0", "--limit", limit))
            self.assertEqual((len(answer["flows"]), answer["total"]), (wanted, total))
        text = self.daemon.ctl("flows", "--interval", "0", "--limit", "2")
        self.assertEqual(f"and {total - 2} more" in text, self.road != "off", text)

    @own
    def test_command_line(self):
        """Wrong numbers."""
        self.run_wrong(2, "--interval takes seconds", "flows", "--interval", "x")
        self.run_wrong(2, "--interval takes seconds", "flows", "--interval", "-1")
        self.run_wrong(2, "--limit takes a number", "flows", "--limit", "many")
        self.run_wrong(2, "--sort does not go with flows", "flows", "--sort", "rate")
        self.run_wrong(2, 'what is "x"?', "flows", "x")


class Top(Inspect):
    """Snapshots, and the live screen."""

    def numbers(self, text):
        """The rates at the head of each snapshot."""
        found = re.findall(r"^messages/s +(\d+) in: (\d+) local, (\d+) remote, (\d+) daemon; (\d+) out$", text, re.M)
        return [dict(zip(("in", "local", "remote", "daemon", "out"), map(int, one))) for one in found]

    @own
    def test_snapshots(self):
        """Messages by road, topics and clients, so many times."""
        subscriber, publisher = self.pair("t")
        road = "none" if self.road == "off" else self.road

        def rates_of(text):
            heads = self.numbers(text)
            clients = [re.findall(rf"^ *{rates} .* {road} +{self.id(client)}$", text, re.M)
                       for rates, client in ((r"(\d+) +0", "p"), (r"0 +(\d+)", "s"))]
            topics = re.findall(rf"^ *(\d+) +[1-9]\d* +{self.road} +{self.topic('t')} ", text, re.M)
            return heads, topics, *clients

        def some(text):
            heads, topics, *clients = rates_of(text)
            carried = self.road == "off" or any(head[self.road] for head in heads) and any(map(int, topics))
            return (carried and any(head["in"] and head["out"] for head in heads) and
                    all(any(map(int, rates)) for rates in clients))

        text = self.publish_until(some, publisher, subscriber, ["top", "--count", "3", "--interval", "0.3"], "t")
        heads, topics, *clients = rates_of(text)
        self.assertEqual([len(heads), *map(len, clients)], [3, 3, 3], text)
        for head in heads:
            others = sum(head[road] for road in ("local", "remote") if road != self.road)
            self.assertEqual(others, 0, text)
            if self.road == "off":
                self.assertEqual(head["daemon"], head["in"])
        self.assertEqual(len(topics), 0 if self.road == "off" else 3, text)
        self.assertNotIn("\x1b", text)

    def order(self, text):
        """The clients of the test in the order of a snapshot's list."""
        return re.findall(rf" ([a-z]+)-{self.name}$", text.partition("in/s")[2], re.M)

    @own
    def test_sorted(self):
        """Clients by what came from them, what went to them, what waits and was dropped, and by name."""
        if Daemon.persistence:
            self.skipTest("what waits on disk is not dropped because there are many")
        subscriber, publisher = self.pair("t")
        away = self.client("away", clean=False)
        away.subscribe(self.topic("q"), qos=1)
        away.disconnect()
        for n in range(1003):  # max_queued_messages and three more
            publisher.publish(self.topic("q"), b"%d" % n, 1)
            subscriber.receive()
        for key, first in (("in", "p"), ("out", "s"), ("queued", "away"), ("dropped", "away"), ("name", "away")):
            text = self.publish_until(lambda text: self.order(text)[0] == first, publisher, subscriber,
                                      ["top", "--count", "1", "--interval", "0.2", "--sort", key, "--limit", "0"], "t")
            order = self.order(text)
            self.assertEqual(sorted(order), ["away", "p", "s"])
        self.assertEqual(order, ["away", "p", "s"])
        self.assertRegex(text, r"(?m)^queued +1000 messages in sessions, ")
        self.assertRegex(text, r"(?m)^dropped/s +0, [1-9]\d* in all$")
        self.assertRegex(text, rf"(?m) 0 +3 +1000 +away +{self.id('away')}$")
        self.client("away").disconnect()

    @own
    def test_limit(self):
        """So many clients and topics."""
        self.pair("t", "u", "v")
        text = self.daemon.ctl("top", "--count", "1", "--interval", "0.1", "--limit", "1")
        tables = [table.splitlines() for table in text.rstrip("\n").split("\n\n")[1:]]
        self.assertEqual([len(table) for table in tables], [1 if self.road == "off" else 2, 2], text)

    @own
    def test_pipe(self):
        """Without a terminal it goes on until nobody reads."""
        process = subprocess.Popen(self.command("top", "--interval", "0.1"), stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        seen = 0
        for line in process.stdout:
            seen += line.startswith("messages/s")
            if seen == 3:
                break
        process.stdout.close()
        self.assertNotEqual(process.wait(TIMEOUT), 0)
        with open("/dev/full", "w") as full:
            done = subprocess.run(self.command("top", "--interval", "0.1"), stdout=full, stderr=subprocess.DEVNULL,
                                  timeout=TIMEOUT)
        self.assertEqual(done.returncode, 1)

    def live(self, *words, **arguments):
        """It runs on a terminal and has drawn."""
        terminal = Terminal(self, self.command("top", "--interval", "0.1", *words), **arguments)
        terminal.until(TAKE)
        terminal.until(b"by rate; ")
        return terminal

    def ended(self, terminal, status=0):
        """It has ended like this, and given the terminal back."""
        self.assertEqual(terminal.finish(), status, terminal.output)
        self.assertIn(GIVE_BACK, terminal.output)
        self.assertTrue(terminal.echo)

    @own
    def test_live(self):
        """It draws again and again, keys sort, q ends it."""
        subscriber, publisher = self.pair("t")
        terminal = self.live()
        self.assertFalse(terminal.echoes())
        for _ in range(3):
            publisher.publish(self.topic("t"), b"x")
            terminal.until(b"messages/s")
            terminal.until(self.id("p").encode())
            terminal.until(b"by rate; ")
        terminal.type(b"i")
        terminal.until(b"by in; ")
        terminal.type(b"n")
        terminal.until(b"by name; ")
        terminal.type(b"q")
        self.ended(terminal)
        self.assertTrue(subscriber.receive(3))

    @own
    def test_live_ends(self):
        """Ctrl-C and SIGTERM end it, too."""
        terminal = self.live()
        terminal.type(b"\x03")
        self.ended(terminal)
        terminal = self.live()
        terminal.process.send_signal(signal.SIGTERM)
        self.ended(terminal)

    @own
    def test_live_size(self):
        """Nothing is drawn that does not fit, and a new size counts at once."""
        self.pair("t" * 60)
        terminal = self.live("--interval", "600", lines=12, columns=40)
        terminal.until(b"\x1b[J")
        for lines, columns in ((20, 60), (5, 20), (24, 30)):
            terminal.resize(lines, columns)
            drawn = terminal.until(b"\x1b[J").partition(b"\x1b[H")[2].decode().split("\x1b[K\r\n")
            self.assertLess(len(drawn), lines + 1)
            self.assertEqual(max(map(len, drawn)), columns, drawn)
            self.assertEqual(any(line.startswith("by rate; ") for line in drawn), lines > 10, drawn)
        terminal.type(b"q")
        self.ended(terminal)

    @own
    def test_live_without_a_daemon(self):
        """When the daemon goes away it gives the terminal back and says so there."""
        daemon = self.start()
        terminal = Terminal(self, [self.command()[0], "-s", daemon.control, "top", "--interval", "0.1"])
        terminal.until(b"q quit")
        daemon.stop()
        self.assertEqual(terminal.finish(), 3, terminal.output)
        self.assertIn(b"no daemon can be reached", terminal.output.partition(GIVE_BACK)[2])
        self.assertTrue(terminal.echo)

    @own
    def test_command_line(self):
        """Wrong keys and numbers."""
        self.run_wrong(2, "--sort takes rate, in, out, queued, dropped or name", "top", "--sort", "x")
        self.run_wrong(2, "--count takes a number", "top", "--count", "0")
        self.run_wrong(2, "--interval takes seconds from 0.1", "top", "--interval", "0")
        self.run_wrong(2, "--json does not go with top", "--json", "top")
