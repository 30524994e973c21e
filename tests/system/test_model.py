# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
Random operations of many clients, and a model of a broker that says what each is to receive.

Operations come in rounds, after each of which all that is to come has come; within a round there are only operations
whose outcome does not depend on their order. SHUNT_MODEL_SEED repeats a run, SHUNT_MODEL_OPERATIONS sets its length.

In it, by clients of 3.1, 3.1.1 and 5.0 who change their version from connection to connection:
 - PUBLISH of QoS 0, 1 and 2, retained or not, up to 20 kB, with properties, with topic aliases of the client, new ones,
   known ones and those given another topic; within the server's Receive Maximum; QoS 2 across connections, sent again;
 - acknowledgements at once, late, or not before the next connection; clients' Receive Maximum and Topic Alias Maximum;
 - subscriptions that overlap, with all options and with identifiers, to filters with and without wildcards, changed and
   removed; the retained messages they bring;
 - shared subscriptions, several groups to a message, members with QoS, options and identifiers of their own: it comes
   to exactly one of those connected, in the order of its publisher (that they take turns is not looked at);
 - sessions that end with the connection, or do not, or that another connection takes over; that end by Clean Start, by
   DISCONNECT, and by the Session Expiry Interval, also one that DISCONNECT has changed;
 - wills by all these ends, with Will Delay Interval: cancelled, at the end of the session, and after the delay;
 - Message Expiry Intervals: what is left of them when a message comes, and that it does not when they are over, neither
   to who was away nor as a retained message.
Intervals either outlast the run or are over before the next operation: in `waiting` a clock of the daemon's says so.

Not in it: messages of QoS 1 and 2 to a group whose members are all away, or that a member keeps until its session ends;
clients in several groups for one message; Maximum Packet Size; keepalive; limits and drops; authentication.
"""

import os
import random
import time

from harness import actor, build
from harness import model as m
from harness import packets as p
from harness import properties
from harness.clock import Clock
from harness.daemon import Daemon
from harness.suite import SystemTest, differs

OPERATIONS = int(os.environ.get("SHUNT_MODEL_OPERATIONS") or (2000 if build.sanitized() else 10000))
CLIENTS = 24
TOPICS = [f"{a}/{b}/{c}" for a in "tu" for b in "abc" for c in "012"] + ["t", "t/a", "/", "t//0"]
FILTERS = TOPICS + ["t/+/0", "t/a/#", "+/b/+", "#", "+", "t/#", "+/+/1", "u/+/+", "u/c/#", "/+", "t//+", "w/+"]
SHARED = [f"$share/{name}" for name in ("g/t/+/0", "g/t/a/#", "h/t/a/#", "g/u/+/+", "h/t/a/1", "g//", "g/u/c/2")]
ROUNDS = {  # and how often there is one
    "publishing": 12, "subscribing": 6, "ending": 2, "starting": 2, "taking_over": 1, "resuming": 1, "releasing": 2,
    "forgetting": 1,
}
WAITS = 2  # rounds of `waiting`, which take some seconds each
LONG = 1000000  # seconds: longer than any run
NEVER = 0xFFFFFFFF
FOLLOWS = "follows"
PROPERTIES = [
    (properties.PAYLOAD_FORMAT, 1), (properties.CONTENT_TYPE, "text"), (properties.RESPONSE_TOPIC, "answer"),
    (properties.CORRELATION_DATA, b"\0data"), (properties.USER, ("b", "1")), (properties.USER, ("a", "2")),
    (properties.USER, ("b", "1")),
]


def overlaps(topic_filter, others):
    """Would one of several copies of a message be that of a group, and nobody knew of which group?"""
    return m.is_shared(topic_filter) and any(
        m.is_shared(f) and f != topic_filter and any(m.matches(f, t) and m.matches(topic_filter, t) for t in TOPICS)
        for f in others)


class Run:
    """One random run against a daemon."""

    def __init__(self, test, seed, operations):
        self.rng, self.model, self.left = random.Random(seed), m.Model(), operations
        self.actors = [actor.Actor(f"c{n}", lambda: test.raw(record=False)) for n in range(CLIENTS)]
        self.number, self.rounds, self.timing = 0, 0, random.Random()
        self.test, self.waits = test, [operations * n // (WAITS + 1) for n in range(1, WAITS + 1)]

    def run(self):
        """All rounds, and at the end a message from everyone to everyone."""
        self.starting(self.actors)
        kinds, weights = list(ROUNDS), list(ROUNDS.values())
        while self.left > 0:
            self.rounds += 1
            if self.waits and self.left <= self.waits[-1]:
                self.waits.pop()
                self.waiting()
                self.settle()
            getattr(self, self.rng.choices(kinds, weights)[0])()
            self.settle()
        self.starting(self.offline())
        for one in self.online():
            one.release()
            self.unsubscribe(one)
        self.settle()
        for one in self.online():
            self.subscribe(one, [("end/#", 1)])
        self.settle()
        for one in self.online():
            self.publish(one, "end/of", 1, False)
        self.settle()

    def settle(self, last=True):
        """The end of a round, unless it is not the last time in it."""
        actor.settle(self.online(), self.timing, self.written if Daemon.persistence else None, last)

    def written(self):
        """Wait until the daemon's store has nothing that is not on disk."""
        while self.test.daemon.stats()["store"]["waiting"]:
            time.sleep(0.005)

    def online(self):
        """Those connected."""
        return [one for one in self.actors if one.client]

    def offline(self):
        """The others."""
        return [one for one in self.actors if not one.client]

    def some(self, actors, share):
        """A random part of them."""
        return [one for one in actors if self.rng.random() < share]

    # ---- messages

    def message(self, publisher, topic, qos, retain):
        """A message that there is only once."""
        self.number += 1
        payload = b"%s %d" % (publisher.name.encode(), self.number)
        if retain and self.rng.random() < 0.3:
            payload = b""
        elif self.rng.random() < 0.05:
            payload += b"." * self.rng.randrange(20000)
        message = m.Message(publisher.name, topic, payload, qos, retain, self.props(publisher), self.number)
        if publisher.version == 5 and self.rng.random() < 0.2:
            message.expiry = self.rng.choice((LONG, NEVER))
        return message

    def props(self, publisher):
        """Properties that a broker passes on."""
        rng = self.rng
        some = rng.sample(PROPERTIES, rng.randrange(1, 6))
        return some if publisher.version == 5 and rng.random() < 0.3 else []

    def publish(self, publisher, topic, qos, retain):
        """One message, and who is to get it."""
        message = self.message(publisher, topic, qos, retain)
        self.send(publisher, message)

    def send(self, publisher, message):
        """The same with a message."""
        self.left -= 1
        if self.model.waits(message.topic):
            message.qos = 0
        self.deliver(message)
        publisher.publish(message, self.rng)

    def deliver(self, message):
        """Tell those who are to get it."""
        found = self.model.publish(message)
        for one in self.online():
            for delivery in found.get(one.name, ()):
                one.expect(delivery)

    def publishing(self):
        """Many publish at once; a topic gets at most one retained message, so that it is known which is the last."""
        rng, retained = self.rng, set()
        for one in self.some(self.online(), 0.1):
            one.mode = rng.choice((actor.KEEP_PUBLISH, actor.KEEP_PUBREL)) if one.receive_maximum == 65535 else one.mode
        for one in self.some(self.online(), 0.6):
            for _ in range(rng.randrange(1, 8)):
                topic = rng.choice(TOPICS)
                retain = rng.random() < 0.2 and topic not in retained
                retained |= {topic} if retain else set()
                self.publish(one, topic, rng.choice((0, 0, 1, 2)), retain)

    def releasing(self):
        """Some acknowledge what they kept."""
        for one in self.some(self.online(), 0.5):
            self.left -= 1
            one.release()

    # ---- subscriptions

    def subscribing(self):
        """Some subscribe and unsubscribe."""
        for one in self.some(self.online(), 0.4):
            for _ in range(self.rng.randrange(1, 3)):
                self.left -= 1
                if self.rng.random() < 0.6:
                    self.subscribe(one, self.pairs(one), self.identifier(one))
                else:
                    self.unsubscribe(one)

    def pairs(self, one):
        """Filters and options; nobody may subscribe to its own will, as it may be there to receive it or not."""
        session = self.model.sessions[one.name]
        filters = [f for f in [*FILTERS, *SHARED, f"w/{self.rng.choice(self.actors).name}"]
                   if not (session.will and m.matches(f, session.will.topic))]
        filters = self.rng.sample(filters, self.rng.randrange(1, 4))
        return [(f, self.options(one, f)) for n, f in enumerate(filters)
                if not overlaps(f, {*session.subscriptions, *filters[:n]})] or [(FILTERS[0], 0)]

    def options(self, one, topic_filter):
        """Of a SUBSCRIBE."""
        if m.is_shared(topic_filter):  # without No Local
            return self.rng.randrange(3) | (self.rng.choice((0, p.RETAIN_AS_PUBLISHED)) if one.version == 5 else 0)
        more = (0, 0, p.NO_LOCAL, p.RETAIN_AS_PUBLISHED, p.SEND_IF_NEW, p.DO_NOT_SEND, p.NO_LOCAL | p.SEND_IF_NEW)
        return self.rng.randrange(3) | (self.rng.choice(more) if one.version == 5 else 0)

    def identifier(self, one):
        """A subscription identifier or none."""
        return self.rng.choice((None, 1, 2, 300)) if one.version == 5 else None

    def subscribe(self, one, pairs, identifier=None):
        """One SUBSCRIBE."""
        for delivery in self.model.subscribe(one.name, pairs, identifier):
            one.expect(delivery)
        one.subscribe(pairs, identifier)

    def unsubscribe(self, one):
        """One UNSUBSCRIBE of what there is, or what there is not."""
        filters = [*self.model.sessions[one.name].subscriptions] or FILTERS
        filters = self.rng.sample(filters, min(len(filters), self.rng.randrange(1, 3)))
        one.unsubscribe(filters, self.model.unsubscribe(one.name, filters))

    # ---- connections

    def ending(self):
        """Some go, in one way or another; those who stay get the wills."""
        going, wills = self.some(self.online(), 0.2), []
        for one in going:
            self.left -= 1
            wills += self.end(one)
        for one in going:
            one.until_closed()
        for one in going:
            one.client = None
        self.wills(wills, going)

    def end(self, one):
        """One goes; returns its will, if it is to be published."""
        session = self.model.sessions[one.name]
        way, persistent = self.rng.choice(("disconnect", "vanish", "with will", "forget me")), session.persistent
        if way == "vanish" or (one.version < 5 and way != "disconnect"):
            way = "vanish"
            one.client.half_close()
        elif way == "disconnect" and one.version == 5 and persistent and self.rng.random() < 0.5:
            one.client.send(p.disconnect(0, [(properties.SESSION_EXPIRY, LONG)]))
        elif way == "disconnect":
            one.client.send(p.BYE)
        elif way == "with will":
            one.client.send(p.disconnect(0x04))
        else:
            one.client.send(p.disconnect(0, [(properties.SESSION_EXPIRY, 0)]))
            persistent = False
        client = one.client
        will = self.model.disconnect(one.name, persistent, one.forget(), way not in ("vanish", "with will"))
        one.client = client
        return [will] if will else []

    def wills(self, wills, gone):
        """Publish them; a connection that was about to end may have had them, or not."""
        before = {one.name: self.queued(one) for one in gone}
        for will in wills:
            self.deliver(will)
        for one in gone:
            for delivery in self.queued(one)[len(before[one.name]):]:
                delivery.dup = {False, True}

    def queued(self, one):
        """What waits for a client."""
        session = self.model.sessions.get(one.name)
        return list(session.queue) if session else []

    def starting(self, actors=None):
        """Some come."""
        for one in self.some(self.offline(), 0.6) if actors is None else actors:
            self.left -= 1
            self.start(one)

    def start(self, one, delay=None, **how):
        """One connects. `delay`: of its will, if it has one."""
        rng = self.rng
        session = self.model.sessions.get(one.name)
        clean, persistent = rng.random() < 0.3, rng.random() < 0.7
        version = how.pop("version", None) or rng.choice((3, 4, 5))
        if session and session.delayed:  # it is cancelled; else see forgetting()
            clean, persistent = False, persistent or version < 5
        if version < 5:
            clean = not persistent
        props = []
        taken = session and not clean and any(d.mid for d in session.queue)  # more than it, perhaps
        if version == 5 and rng.random() < 0.3 and not taken:
            props.append((properties.RECEIVE_MAXIMUM, rng.randrange(1, 6)))
        if version == 5 and rng.random() < 0.3:
            props.append((properties.TOPIC_ALIAS_MAXIMUM, rng.randrange(1, 6)))
        how = {"clean": clean, "persistent": persistent and rng.choice((LONG, NEVER)), "props": props} | how
        will = self.will(one, version, {} if how["clean"] or not session else session.subscriptions)
        if will and version == 5:
            will.delay = delay or rng.choice((0, 0, LONG))
        present = self.model.connect(one.name, version, how["clean"], bool(how["persistent"]), will)
        one.connect(version, present=present, will=will, **how)
        session = self.model.sessions[one.name]
        queue, session.queue = session.queue, []
        one.resume(queue)

    def will(self, one, version, subscriptions):
        """A will that the client itself does not get, or none."""
        topic = f"w/{one.name}"
        if self.rng.random() < 0.5 or any(m.matches(f, topic) for f in subscriptions):
            return None
        one.version = version
        return self.message(one, topic, self.rng.randrange(3), self.rng.random() < 0.3)

    def forgetting(self):
        """One whose will is delayed begins anew, which ends the session, so the will is published [MQTT-3.1.2-8]."""
        able = [one for one in self.offline() if one.name in self.model.sessions
                and self.model.sessions[one.name].delayed]
        if able:
            self.left -= 1
            one = self.rng.choice(able)
            will = self.model.sessions[one.name].delayed
            self.start(one, version=5, clean=True)
            self.deliver(will)

    def taking_over(self):
        """Some connect a second time."""
        taken, wills = self.some(self.online(), 0.2), []
        olds = {}
        for one in taken:
            self.left -= 1
            olds[one] = one.client
            session = self.model.sessions[one.name]
            will = self.model.disconnect(one.name, session.persistent, one.forget())
            wills += [will] if will else []
        self.wills(wills, taken)
        for one in taken:
            for delivery in self.maybe(one, wills):
                one.expect(delivery)
            self.start(one)
        for one in taken:
            client, one.client = one.client, olds[one]
            one.until_closed()
            one.client = client

    def maybe(self, one, wills):
        """Wills of QoS 0 that a client may get before or after its connection is replaced."""
        session = self.model.sessions.get(one.name)
        if session is None:
            return []
        some = [self.model.delivery(session, will) for will in wills]
        some = [delivery for delivery in some if delivery and delivery.qos == 0]
        for delivery in some:
            delivery.required = False
        return some

    # ---- QoS 2 across connections

    def resuming(self):
        """A publisher loses its connection in the middle of QoS 2, and goes on with it in the next: the messages are
        delivered once [MQTT-4.3.3-1]."""
        able = [one for one in self.online() if self.model.sessions[one.name].persistent
                and self.model.sessions[one.name].will is None and not one.unacknowledged]
        if not able:
            return
        one = self.rng.choice(able)
        session = self.model.sessions[one.name]
        topics = [t for t in TOPICS if not any(m.matches(f, t) for f in session.subscriptions)
                  and not self.model.waits(t)]
        messages = [self.message(one, topic, 2, False) for topic in self.rng.sample(topics, min(len(topics), 5))]
        mids = {}
        for message in messages:
            self.left -= 1
            mids[one.client.mid()] = message
        for mid, message in mids.items():
            one.client.send(p.publish(message.topic, message.payload, 2, mid=mid,
                                      props=one.props(actor.published(message))))
            one.client.until(p.PUBREC)
            self.deliver(message)
        one.client.half_close()
        one.until_closed()
        self.model.disconnect(one.name, True, one.forget())
        self.start(one, version=one.version, clean=False, persistent=LONG)
        for mid, message in mids.items():
            if self.rng.random() < 0.5:
                one.client.send(p.publish(message.topic, message.payload, 2, dup=True, mid=mid,
                                          props=one.props(actor.published(message))))
                one.sent[mid] = message, p.PUBREC
            else:
                one.client.send(p.ack(p.PUBREL, mid))
                one.sent[mid] = message, p.PUBCOMP


    # ---- time

    def waiting(self):
        """Time passes: messages and sessions expire, and wills come that were delayed."""
        rng, retained = self.rng, set()
        for one in self.some(self.offline(), 0.5):
            self.start(one, version=5, persistent=LONG, delay=1)
        for one in self.online():
            self.subscribe(one, [(FOLLOWS, 0)])
        self.settle()
        for one in self.some([one for one in self.online() if one.version == 5], 0.7):
            for topic in rng.sample(TOPICS, 4):
                message = self.message(one, topic, rng.randrange(3), rng.random() < 0.3 and topic not in retained)
                message.expiry = rng.randrange(m.BRIEF)
                retained |= {topic} if message.retain else set()
                self.send(one, message)
        self.settle(last=False)
        self.follow()
        going, wills = [], []
        for one in self.online():
            session = self.model.sessions[one.name]
            brief = bool(session.will and session.will.delay == 1)  # later it would come in the middle of a round
            if not brief and (one.version < 5 or not session.persistent or rng.random() < 0.5):
                continue
            self.left -= 1
            going.append(one)
            code = rng.choice((0, 0x04)) if not brief else 0x04
            wills += self.end_later(one, code, not brief)
        for one in going:
            one.until_closed()
        for one in going:
            one.client = None
        clock = Clock(self.test, 3)
        self.wills([*wills, m.Message("clock", clock.topic, b"now", 0, False)], going)
        clock.wait()

    def follow(self):
        """What may come, of messages that hardly last, comes before a message that all are to get from all."""
        for one in self.online():
            self.publish(one, FOLLOWS, 0, False)
        self.settle()

    def end_later(self, one, code, expires):
        """One goes; a second later its session does, or only its will comes. Returns the will, if it is published."""
        session, client = self.model.sessions[one.name], one.client
        client.send(p.disconnect(code, [(properties.SESSION_EXPIRY, 1)] if expires else None))
        if session.will and not expires:
            session.will.delay = 0
        will = self.model.disconnect(one.name, not expires, one.forget(), code == 0)
        one.client = client
        return [will] if will else []


class Model(SystemTest):
    """Random operations, on four workers."""

    options = ("workers 4", "max_inflight_messages 60000", "max_queued_messages 100000")
    limit = 300 + OPERATIONS // 50

    @differs("2.0 exceeds Receive Maximum, and its copy for overlapping subscriptions is that of one of them")
    def test_model(self):
        """Every client gets what the model says, in the order of each publisher, topic and QoS. [MQTT-4.6.0-6]"""
        seed = os.environ.get("SHUNT_MODEL_SEED") or str(time.time_ns())
        run = Run(self, seed, OPERATIONS)
        try:
            run.run()
        except Exception as error:
            where = f"SHUNT_MODEL_SEED={seed}, round {run.rounds}"
            raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error
