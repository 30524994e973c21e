# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""One daemon on one road for a time, under its clients' chaos and what is done to the daemon and the network here."""

import collections
import os
import random
import signal
import time

from link import BadLink
from resources import Resources
from storm import Idle, Storm

OPTIONS = ["workers 2", "max_output_bytes 2000000", "log_type error", "log_type warning", "log_type information",
           "allow_anonymous true"]
PROGRESS = 10.0
CALM = 4.0
GATHER = 1.0  # clients that come while the fast path is switched off stay without it
FILES = 20000  # of the daemon
LAST_EVENTS = 60
TOPICS_OF_ALL = 8  # behind those of single subscribers; chaos.h


class Turmoil:
    """`story` is what was done, `wrong` what was found, by check."""

    def __init__(self, options, road, seed, daemon, link_of):
        self.options, self.road, self.daemon = options, road, daemon
        self.random = random.Random(f"{seed} {road}")
        self.seed = seed
        self.story, self.wrong = collections.deque(maxlen=LAST_EVENTS), {}
        self.link = BadLink(link_of) if link_of else None
        self.storm = self.idle = None
        self.rules, self.lines = f"{daemon.dir}/acl", list(daemon.options)
        self.carried = self.dropped = self.missed = 0  # of former daemons
        self.done = collections.Counter()
        self.seconds = 0.0

    # ---- the story

    def say(self, text):
        """Remember what was done, and when, on the clock of the clients' events."""
        self.story.append(f"{time.monotonic():.6f} {text}")

    def fault(self, check, text):
        """Something is wrong; of each check the first is kept."""
        if text:
            self.wrong.setdefault(check, text)
            self.say(f"FAILURE {check}: {text}")

    # ---- all of it

    def run(self, seconds, full):
        """Chaos for some seconds, calm, and the accounts. `full`: how many idle clients for a while, 0: none."""
        begin = time.monotonic()
        self._choose_rules()
        self.daemon.start()
        resources = Resources(self.daemon)
        self.storm = Storm(self.daemon, self.seed, self.options.publishers, self.options.subscribers,
                           self.options.crowd)
        try:
            self._chaos(begin, begin + seconds, full, resources)
            self._calm(resources)
            self.last = self.storm.end()
            self.carried += self._forwarded(self.daemon.stats())
            self._leave(resources)
        finally:
            self.storm.kill()
            if self.idle:
                self.idle.kill()
            if self.link:
                self.link.close()
        self.seconds = time.monotonic() - begin

    def _chaos(self, begin, end, full, resources):
        shown = begin
        deeds = [self._pause, self._stop, self._kill, self._switch, self._deny]
        deeds += [self._weather] * 2 if self.link else []
        weights = [5, 4, 2, 4, 6] + [3] * (len(deeds) - 5)
        full_from, full_until = begin + (end - begin) * 0.2, begin + (end - begin) * 0.5
        time.sleep(GATHER)
        while time.monotonic() < end:
            now = time.monotonic()
            if full and not self.idle and full_from < now < full_until:
                self._fill(full)
            if self.idle and now > full_until:
                self._empty()
            deed = self.random.choices(deeds, weights)[0]
            if deed == self._kill:
                if self.idle:
                    continue
                self._kill(resources)
            else:
                deed()
            if not self.daemon.running():
                self.fault("daemon lives", f"status {self.daemon.process.returncode}\n{self.daemon.tail()}")
                return
            if time.monotonic() - shown > PROGRESS:
                self._progress(begin)
                shown = time.monotonic()
        if self.idle:
            self._empty()

    # ---- deeds

    def _pause(self):
        time.sleep(self.random.uniform(0.2, 2.0))

    def _stop(self):
        seconds = self.random.choice((0.02, 0.1, 0.3, 1.0, 2.5))
        self.storm.tell("stop")
        self.say(f"SIGSTOP for {seconds} s")
        with self.daemon.stopped():
            time.sleep(seconds)
        self.say("SIGCONT")
        self.storm.tell("cont")
        self.done["stops"] += 1

    def _kill(self, resources):
        self._account()
        report = self.storm.tell("kill")
        stats = self.daemon.stats()
        self._compare(report, stats)
        self.carried += self._forwarded(stats)
        self.missed += report["gaps"]
        self.dropped += stats["dropped"]["total"]
        self.say("SIGKILL")
        self.daemon.signal(signal.SIGKILL)
        self.daemon.process.wait()
        self.storm.tell("allow")
        self._choose_rules()
        self.daemon.start()
        resources.daemon_started(self.daemon)
        status = self.daemon.stats()["fastpath"]
        if self.road != "off" and status["state"] != "on":
            self.fault("fast path after a restart", status["reason"])
        self.storm.tell("up")
        self.say("up")
        self.done["kills"] += 1
        time.sleep(self.random.uniform(0.5, 3.0))

    def _switch(self):
        if self.road == "off":
            return
        self.say("fastpath off")
        self.daemon.ctl("fastpath", "off")
        time.sleep(self.random.choice((0, 0, 0.1, 0.5)))
        self.daemon.ctl("fastpath", "on")
        self.say("fastpath on")
        self.done["switches"] += 1

    def _choose_rules(self):
        """The next daemon has rules, or none."""
        self.daemon.options = self.lines + self.random.choice(([], [f"acl_file {self.rules}"]))
        self._write_rules(None)

    def _write_rules(self, denied):
        """All may publish everything, and read all topics but one."""
        count = self.options.subscribers - self.options.crowd + TOPICS_OF_ALL
        with open(self.rules, "w") as rules:
            rules.write("topic write #\n")
            rules.writelines(f"topic read chaos/{n:03}/#\n" for n in range(count) if n != denied)
        os.chmod(self.rules, 0o644)

    def _reload(self):
        before = self.daemon.log().count("Config reloaded")
        self.daemon.signal(signal.SIGHUP)
        while self.daemon.running() and self.daemon.log().count("Config reloaded") == before:
            time.sleep(0.005)

    def _deny(self):
        """Nobody may read a topic that many have subscribed to, for a while."""
        if len(self.daemon.options) == len(self.lines):
            return
        owners = self.options.subscribers - self.options.crowd
        denied = self.random.randrange(owners, owners + TOPICS_OF_ALL)
        self._write_rules(denied)
        self._reload()
        self.storm.tell(f"deny {denied}")
        self.say(f"topic {denied} may not be read")
        time.sleep(self.random.choice((0, 0.1, 0.5)))
        self.storm.tell("allow")
        self._write_rules(None)
        self._reload()
        self.say("all may be read")
        self.done["denials"] += 1

    def _weather(self):
        shares = [self.random.choice(some) for some in ((0, 0, 0.002, 0.02), (0, 0.01, 0.1), (0, 0.02, 0.2))]
        self.say(f"link: dropped {shares[0]}, doubled {shares[1]}, late {shares[2]}")
        self.link.set(*shares)
        self.done["weathers"] += 1
        time.sleep(self.random.uniform(0.5, 3.0))

    def _fill(self, count):
        self.say(f"{count} idle clients")
        if self.link:
            self.link.set(0, 0, 0)
        self.idle = Idle(self.daemon, count)
        self.fault("idle clients", self.idle.wait())
        connected = self.daemon.stats()["clients"]["connected"]
        self.say(f"{connected} clients")
        if connected < count:
            self.fault("idle clients", f"{connected} of {count} are connected")
        self.done["idle"] = count

    def _empty(self):
        self.fault("idle clients", self.idle.end())
        self.say("idle clients have left")
        self.idle = None

    # ---- accounts

    def _forwarded(self, stats):
        return sum(stats["fastpath"][road]["forwarded"] for road in ("local", "remote"))

    def _account(self):
        """What subscribers miss is what the daemon has dropped, for each of them and in all."""
        before, stats = self.storm.tell("report"), self.daemon.stats()
        clients = {client["id"]: client for client in self.daemon.clients()["clients"]}
        after = self.storm.tell("report")
        self._compare(before, stats)
        for name, (connection, gaps) in before["seats"].items():
            if after["seats"].get(name, [0])[0] != connection or not gaps:
                continue
            dropped = sum(clients[name]["dropped"].values()) if name in clients else 0
            if gaps > dropped:
                self.fault("losses are counted", f"{name} misses {gaps} messages, the daemon dropped {dropped} for it")
        return after, stats

    def _compare(self, report, stats):
        gaps, dropped = report["gaps"], stats["dropped"]["total"]
        if gaps > dropped:
            self.fault("losses are counted", f"{gaps} messages are missing, the daemon counts {dropped} dropped")

    def _progress(self, begin):
        report, stats = self._account()
        done = ", ".join(f"{count} {name}" for name, count in self.done.items())
        print(f"     {self.road:6} {time.monotonic() - begin:5.0f} s: {report['sent']} sent, {report['received']} received, "
              f"{self.carried + self._forwarded(stats)} by the kernel, {self.missed + report['gaps']} missed of "
              f"{self.dropped + stats['dropped']['total']} dropped, {report['connects']} connects, "
              f"{sum(report['leaves'])} left, {report['cut']} cut; {done}; {report['failures']} failures", flush=True)
        for line in report["failure"][:3]:
            print(f"       {line}", flush=True)

    def _calm(self, resources):
        """Nobody leaves any more, and everything that is published now has to come."""
        if not self.daemon.running():
            return
        if self.link:
            self.link.set(0, 0, 0)
        self.storm.tell("calm")
        time.sleep(CALM)
        before = self._forwarded(self.daemon.stats())
        time.sleep(CALM / 2)
        if self.road != "off" and self._forwarded(self.daemon.stats()) == before:
            self.fault("the kernel carries", "nothing was forwarded in the calm at the end")
        self.storm.tell("silence")
        self._account()
        self.fault("memory is counted", resources.accounts())

    def _leave(self, resources):
        for name, count in self.last["failed"].items():
            if count:
                stories = [line for line in self.last["failure"]]
                self.fault(name, "\n".join([f"{count} times; the first failures of all:", *stories]))
        try:
            for check, wrong in resources.checks():
                self.fault(check, wrong)
            self.daemon.stop()
        except Exception as error:  # it died or hangs: one more thing that is wrong
            self.fault("daemon lives", f"{error}")

    # ---- the result

    def results(self):
        """[(check, what is wrong or None)]."""
        names = [*self.last["failed"], "losses are counted", "daemon lives", "sockets are gone", "descriptors are closed",
                 "entries of maps are gone", "memory is counted", "memory is back"]
        if self.road != "off":
            names += ["fast path after a restart", "the kernel carries"]
        if self.done["idle"]:
            names.append("idle clients")
        return [(name, self.wrong.get(name)) for name in dict.fromkeys([*names, *self.wrong])]

    def details(self):
        """What was done last, by all."""
        return sorted([*self.story, *self.last["event"]], key=lambda line: float(line.split()[0]))
