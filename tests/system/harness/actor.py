# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Clients of the model test: each does what it is told and compares all it receives with what the model says."""

import collections
import select
import time

from . import packets as p
from . import properties
from .client import TIMEOUT, Closed

NOT_AS_PUBLISHED = {properties.SUBSCRIPTION_ID, properties.TOPIC_ALIAS, properties.MESSAGE_EXPIRY}
PAST = 25  # packets told of when something is wrong
ACKNOWLEDGE, KEEP_PUBLISH, KEEP_PUBREL = range(3)  # how far an Actor goes in acknowledging
WINDOW = 10  # publishes of QoS 1 and 2 on their way, for a server that names no Receive Maximum


class Actor:
    """One client identifier. `socket()` makes a new connection."""

    def __init__(self, name, socket):
        self.name, self.socket = name, socket
        self.client, self.version = None, 4
        self.mode = ACKNOWLEDGE
        self.past = collections.deque(maxlen=PAST)		# what was sent and received
        self.expected = collections.defaultdict(list)		# (topic, payload) -> Deliveries
        self.order = collections.defaultdict(collections.deque)	# Delivery.order -> live Deliveries
        self.missing = 0					# required Deliveries in `expected`
        self.outbox, self.sent = collections.deque(), {}	# Messages; packet identifier -> (Message, awaited type)
        self.unacknowledged, self.acks = {}, []			# packet identifier -> Delivery, in order; bytes
        self.resent = collections.deque()			# what the broker must send again, in order
        self.answers = {}					# packet identifier -> codes of SUBACK or UNSUBACK
        self.pings, self.aliases, self.window, self.receive_maximum = 0, {}, WINDOW, 65535
        self.own_aliases, self.alias_maximum = {}, 0		# those we publish with: alias -> topic
        self.received = 0					# PUBLISH packets
        self.pools, self.numbers = [], {}			# to be taken by somebody; (order, group) -> Message.number

    def fail(self, text):
        """Raise with the name of the client."""
        past = "\n".join(f"    {one}" for one in self.past)
        raise AssertionError(f"{self.name} (version {self.version}): {text}\n{past}")

    def send(self, data):
        """Send a packet."""
        self.past.append(f"> {data[:100].hex()}")
        self.client.send(data)

    # ---- connections

    def connect(self, version, present, clean, persistent, will, props=()):
        """A new connection, and its CONNACK. `persistent`: the Session Expiry Interval, or 0."""
        self.version = version
        props = list(props)
        if persistent:
            props.append((properties.SESSION_EXPIRY, persistent))
        will_fields = will and (will.topic, will.payload, will.qos, will.retain)
        client = self.socket()
        client.name = self.name
        client.send(client.hello(self.name, level=version, clean=clean if version == 5 else not persistent, keepalive=0,
                                 props=props, will=will_fields, will_props=self.will_props(will)))
        connack = client.expect(p.CONNACK)
        if connack.code or connack.present != (present and version > 3):  # 3.1 has no Session Present
            self.fail(f"{connack}, Session Present should be {present}")
        self.past.append(f"connected: version {version}, clean {clean}, persistent {persistent}, {props}: {connack}")
        self.client, self.aliases, self.window = client, {}, connack.props.get(properties.RECEIVE_MAXIMUM, WINDOW)
        self.receive_maximum = dict(props).get(properties.RECEIVE_MAXIMUM, 65535)
        self.own_aliases, self.alias_maximum = {}, connack.props.get(properties.TOPIC_ALIAS_MAXIMUM, 0)

    @staticmethod
    def will_props(will):
        """The properties of a will."""
        delay = [(properties.WILL_DELAY, will.delay)] if will and will.delay else []
        return delay + published(will) if will else ()

    def resume(self, queue):
        """The broker has these for the session: what was received before in its order, then the rest."""
        for delivery in queue:
            if delivery.mid is not None:
                self.resent.append(delivery)
            if not delivery.released:
                self.expect(delivery)

    def forget(self):
        """The connection is over. Returns what was received and not acknowledged."""
        kept = list(self.unacknowledged.values())
        for one in (self.expected, self.order, self.unacknowledged, self.acks, self.sent, self.outbox, self.resent,
                    self.pools, self.numbers):
            one.clear()
        self.missing, self.pings, self.mode, self.client = 0, 0, ACKNOWLEDGE, None
        return kept

    def until_closed(self):
        """What the broker sent last does not count."""
        try:
            while self.client.read():
                pass
        except Closed:
            self.client.close()

    # ---- what is to come

    def expect(self, delivery):
        """The broker is to send this."""
        self.expected[delivery.message.topic, delivery.message.payload].append(delivery)
        self.missing += delivery.required
        if delivery.live and delivery.required:
            self.order[delivery.order].append(delivery)
        if delivery.pool and not delivery.message.brief:
            self.pools.append(delivery.pool)

    def quiet(self):
        """Nothing more is to come."""
        self.pools = [pool for pool in self.pools if not pool.taken]
        if (self.missing or self.outbox or self.sent or self.answers or self.pings or self.acks or self.resent
                or self.pools):
            return False
        return not any(self._awaits_pubrel(d) for d in self.unacknowledged.values()
                       if self.mode != KEEP_PUBLISH or d.pool)

    def tidy(self):
        """Nothing is to come any more: not what might have come, nor what went to others."""
        for key, deliveries in list(self.expected.items()):
            self.expected[key] = [d for d in deliveries if d.required]
            if not self.expected[key]:
                del self.expected[key]

    def _awaits_pubrel(self, delivery):
        return delivery.qos == 2 and delivery.released and not delivery.kept

    def story(self):
        """What it waits for."""
        missing = [d for some in self.expected.values() for d in some if d.required]
        past = "\n".join(f"    {one}" for one in self.past)
        nobody = [(pool.group, pool.message.payload[:40]) for pool in self.pools[:5]]
        return (f"{self.name} (version {self.version}, mode {self.mode}): misses {[_text(d) for d in missing[:5]]} and "
                f"{len(missing[5:])} more, nobody has {nobody}, not answered: {list(self.sent)} {self.answers} pings "
                f"{self.pings}, "
                f"to be sent again: {[(d.mid, d.released) for d in self.resent]}\n{past}")

    # ---- sending

    def publish(self, message, rng):
        """Put in the queue, sometimes with a Topic Alias, a new one or one that the broker knows."""
        name, alias = message.topic, None
        if self.version == 5 and self.alias_maximum and rng.random() < 0.5:
            known = [a for a, topic in self.own_aliases.items() if topic == name]
            if known and rng.random() < 0.7:
                name, alias = "", rng.choice(known)
            else:
                alias = rng.randrange(1, self.alias_maximum + 1)
                self.own_aliases[alias] = name
        self.outbox.append((message, name, alias))

    def pump(self):
        """Send what the window allows."""
        while self.outbox and len(self.sent) < self.window:
            message, name, alias = self.outbox.popleft()
            mid = self.client.mid() if message.qos else None
            props = published(message) + ([(properties.TOPIC_ALIAS, alias)] if alias else [])
            self.send(p.publish(name, message.payload, message.qos, message.retain, mid=mid, props=self.props(props)))
            if mid:
                self.sent[mid] = (message, p.PUBACK if message.qos == 1 else p.PUBREC)

    def subscribe(self, pairs, identifier):
        """SUBSCRIBE."""
        mid = self.client.mid()
        props = [(properties.SUBSCRIPTION_ID, identifier)] if identifier else []
        self.answers[mid] = p.SUBACK, [options & 3 for _, options in pairs]
        self.send(p.subscribe(mid, *pairs, props=self.props(props)))

    def unsubscribe(self, filters, codes):
        """UNSUBSCRIBE."""
        mid = self.client.mid()
        self.answers[mid] = p.UNSUBACK, codes if self.version == 5 else []
        self.send(p.unsubscribe(mid, *filters, props=self.props([])))

    def props(self, props):
        """Properties to send, or None for a version that has none."""
        return props if self.version == 5 else None

    def ping(self):
        """PINGREQ."""
        self.pings += 1
        self.send(p.PING)

    def release(self):
        """Acknowledge what was kept."""
        self.mode = ACKNOWLEDGE
        for mid, delivery in list(self.unacknowledged.items()):
            if delivery.released and delivery.kept:
                self._acknowledge(p.PUBCOMP, mid)
            elif not delivery.released:
                self._received(delivery)

    def flush(self):
        """Send the acknowledgements that are due."""
        if self.acks:
            acks, self.acks = self.acks, []
            for kind, mid in acks:
                if kind == p.PUBREC:
                    self.unacknowledged[mid].released = True
                else:
                    del self.unacknowledged[mid]
            self.send(b"".join(p.ack(kind, mid) for kind, mid in acks))

    # ---- receiving

    def handle(self, packet):
        """A packet from the broker."""
        self.past.append(f"< {packet}")
        if packet.type == p.PUBLISH:
            self._publish(packet)
        elif packet.type == p.PUBREL:
            self._pubrel(packet)
        elif packet.type in (p.PUBACK, p.PUBREC, p.PUBCOMP):
            self._answered(packet)
        elif packet.type in (p.SUBACK, p.UNSUBACK):
            wanted = self.answers.pop(packet.mid, None)
            if (packet.type, packet.codes) != wanted:
                self.fail(f"{packet} codes {packet.codes}, expected {wanted}")
        elif packet.type == p.PINGRESP and self.pings:
            self.pings -= 1
        else:
            self.fail(f"unexpected {packet}")

    def _answered(self, packet):
        message, kind = self.sent.pop(packet.mid, (None, None))
        if kind != packet.type or packet.code >= 0x80:
            self.fail(f"unexpected {packet}")
        if kind == p.PUBREC:
            self.sent[packet.mid] = message, p.PUBCOMP
            self.send(p.ack(p.PUBREL, packet.mid))

    def _publish(self, packet):
        self.received += 1
        topic = self._topic(packet)
        some = self.expected.get((topic, packet.payload), [])
        fitting = [d for d in some if self._fits(d, packet)]
        delivery = next((d for d in fitting if d.required), fitting[0] if fitting else None)
        if delivery is None:
            self.fail(f"unexpected {packet}" + (f", expected {[_text(d) for d in some]}" if some else ""))
        some.remove(delivery)
        if not some:
            del self.expected[topic, packet.payload]
        self.missing -= delivery.required
        if delivery.live and delivery.required:
            queue = self.order[delivery.order]
            if queue.popleft() is not delivery:
                self.fail(f"out of order: {packet}")
        if delivery.pool:
            self._take(packet, delivery)
        if packet.qos:
            self._keep(packet, delivery)

    def _take(self, packet, delivery):
        delivery.pool.taken = True
        key = delivery.order, delivery.pool.group
        if self.numbers.get(key, 0) >= delivery.message.number:
            self.fail(f"out of order: {packet}")
        self.numbers[key] = delivery.message.number

    def _keep(self, packet, delivery):
        if delivery.mid is not None and self.resent:
            if self.resent.popleft() is not delivery:
                self.fail(f"sent again out of order: {packet}")
        if packet.mid in self.unacknowledged:
            self.fail(f"packet identifier in use: {packet}")
        delivery.mid, delivery.required = packet.mid, True  # from now on it has to be completed
        self.unacknowledged[packet.mid] = delivery
        if len(self.unacknowledged) > self.receive_maximum:
            self.fail(f"{packet} exceeds the Receive Maximum {self.receive_maximum}")
        if self.mode != KEEP_PUBLISH or delivery.pool:  # what a member keeps would go to another one some day
            self._received(delivery)

    def _topic(self, packet):
        if packet.version == 5 and packet.alias:
            if packet.topic:
                self.aliases[packet.alias] = packet.topic
            return self.aliases.get(packet.alias) or self.fail(f"unknown alias: {packet}")
        return packet.topic

    def _fits(self, delivery, packet):
        ids, props = [], []
        if self.version == 5:
            ids = delivery.ids
            props = sorted(delivery.message.props, key=lambda one: one[0])
        got = sorted((one for one in packet.props if one[0] not in NOT_AS_PUBLISHED), key=lambda one: one[0])
        if delivery.pool and delivery.pool.taken or not self._fits_expiry(delivery.message, packet):
            return False
        return (packet.qos == delivery.qos and packet.dup in delivery.dup and got == props
                and packet.retain in (delivery.retain if self.version == 5 or not delivery.live else {False})
                and sorted(packet.props.all(properties.SUBSCRIPTION_ID)) == ids
                and (delivery.mid in (None, packet.mid)))

    def _fits_expiry(self, message, packet):
        left = packet.props.get(properties.MESSAGE_EXPIRY)
        if self.version < 5 or message.expiry is None:
            return left is None
        return left is not None and message.expiry - (time.monotonic() - message.made) - 2 <= left <= message.expiry

    def _received(self, delivery):
        self._acknowledge(p.PUBACK if delivery.qos == 1 else p.PUBREC, delivery.mid)

    def _acknowledge(self, kind, mid):
        self.acks.append((kind, mid))

    def _pubrel(self, packet):
        if self.resent and self.resent[0].mid == packet.mid:  # of an earlier connection
            delivery = self.resent.popleft()
            self.unacknowledged[packet.mid] = delivery
        delivery = self.unacknowledged.get(packet.mid)
        if delivery is None or not delivery.released:
            self.fail(f"unexpected {packet}")
        delivery.kept = self.mode == KEEP_PUBREL and not delivery.pool
        if not delivery.kept:
            self._acknowledge(p.PUBCOMP, packet.mid)


def published(message):
    """The properties that a message is published with."""
    return message.props + ([(properties.MESSAGE_EXPIRY, message.expiry)] if message.expiry is not None else [])


def _text(d):
    return (f"{d.message.topic!r} {d.message.payload[:40]!r} q{d.qos} r{d.retain} d{d.dup} m{d.mid} ids {d.ids} "
            f"{published(d.message)} required {d.required}" + (f" {d.pool}" if d.pool else ""))


def settle(actors, rng, written=None, last=True):
    """Until everything that is to come has come, and every PINGREQ after that brings nothing but its answer. `rng` is not
    the one that makes the operations: it is asked as often as the timing wants. `written` waits until what was said to the
    daemon's store is on disk: what waits for that may come behind the answer to one PINGREQ. `last`: what only might have
    come must not come any more."""
    _until_quiet(actors, rng)
    before, same = sum(actor.received for actor in actors), 0
    while same < (2 if written else 1):
        if written:
            written()
        for actor in actors:
            actor.ping()
        _until_quiet(actors, rng)
        now = sum(actor.received for actor in actors)
        same, before = same + 1 if now == before else 0, now
    for actor in actors if last else ():
        actor.tidy()


def _until_quiet(actors, rng):
    by_sock = {actor.client.sock: actor for actor in actors}
    for actor in actors:
        while actor.client.pending:  # came with the CONNACK
            actor.handle(actor.client.pending.popleft())
    deadline = time.monotonic() + TIMEOUT
    while True:
        for actor in actors:
            actor.pump()
        if all(actor.quiet() for actor in actors):
            return
        readable = select.select(list(by_sock), [], [], 0 if any(actor.acks for actor in actors) else 0.1)[0]
        for sock in readable:
            actor = by_sock[sock]
            for packet in actor.client.available():
                actor.handle(packet)
        for actor in actors:  # late sometimes, so that the broker has to keep within Receive Maximum
            if not readable or rng.random() < 0.7:
                actor.flush()
        if readable:
            deadline = time.monotonic() + TIMEOUT
        elif time.monotonic() > deadline:
            waiting = [actor.story() for actor in actors if not actor.quiet()]
            raise AssertionError(f"nothing came for {TIMEOUT} s:\n" + "\n".join(waiting))
