# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
A small broker without sockets and time: what every client is to receive after an operation. The real broker is compared
with it, see actor.py.
"""

import dataclasses
import time

from . import packets as p

BRIEF = 2  # seconds: a Message Expiry Interval below does not last until the next operation

@dataclasses.dataclass(eq=False)
class Message:
    """An Application Message; `props` are those that a broker passes on."""

    publisher: str
    topic: str
    payload: bytes
    qos: int
    retain: bool
    props: list = dataclasses.field(default_factory=list)
    number: int = 0			# in the order of publishing
    expiry: int = None			# Message Expiry Interval
    delay: int = 0			# Will Delay Interval
    made: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def brief(self):
        """Is it gone for everybody who does not get it at once, and may be so for those who could?"""
        return self.expiry is not None and self.expiry < BRIEF


@dataclasses.dataclass(eq=False)
class Pool:
    """Deliveries to the members of a group, of which one comes."""

    group: str				# the filter, with $share and the name
    message: Message
    taken: bool = False


@dataclasses.dataclass(eq=False)
class Delivery:
    """A message as one client is to receive it: sets are what is allowed."""

    message: Message
    qos: int
    retain: set
    ids: list				# subscription identifiers, sorted
    dup: set = dataclasses.field(default_factory=lambda: {False})
    required: bool = True
    live: bool = True			# not a retained message that a SUBSCRIBE asked for
    mid: int = None			# once received
    released: bool = False		# PUBREC was sent for it
    kept: bool = False			# its PUBREL came and is not answered yet
    pool: Pool = None

    @property
    def order(self):
        """Deliveries of the same value come in their order, section 4.6."""
        return self.message.publisher, self.message.topic, self.message.qos, self.qos


@dataclasses.dataclass
class Subscription:
    """What a session asked for with one filter; `options` as in SUBSCRIBE of 5.0."""

    options: int
    id: int = None

    @property
    def qos(self):
        """The maximum QoS."""
        return self.options & 3


@dataclasses.dataclass
class Session:
    """What the broker keeps for a client identifier."""

    client: str
    version: int = 4
    persistent: bool = False
    connected: bool = True
    will: Message = None
    delayed: Message = None		# the will of a connection that is gone, while its delay lasts
    subscriptions: dict = dataclasses.field(default_factory=dict)
    queue: list = dataclasses.field(default_factory=list)	# Deliveries waiting for the client to connect


def is_shared(topic_filter):
    """Section 4.8.2 of 5.0."""
    return topic_filter.startswith("$share/")


def matches(topic_filter, topic):
    """Section 4.7."""
    if is_shared(topic_filter):
        topic_filter = topic_filter.split("/", 2)[2]
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if topic[0] == "$" and wanted[0] in ("+", "#"):
        return False
    for n, level in enumerate(wanted):
        if level == "#":
            return True
        if n >= len(levels) or level not in ("+", levels[n]):
            return False
    return len(wanted) == len(levels)


class Model:
    """All sessions and retained messages."""

    def __init__(self):
        self.sessions, self.retained = {}, {}

    # ---- sessions

    def connect(self, client, version, clean, persistent, will):
        """CONNECT of a client that is not connected. Returns whether there was a session."""
        old = self.sessions.get(client)
        if clean or old is None:
            self.sessions[client] = Session(client)
        session = self.sessions[client]
        session.version, session.persistent, session.connected, session.will = version, persistent, True, will
        session.delayed = None  # cancelled; a session that was not taken up again has published it
        return not clean and old is not None

    def disconnect(self, client, persistent, unacknowledged, normally=False):
        """The connection is gone. Returns the will if it is published now. `unacknowledged`: Deliveries that the client
        has received."""
        session = self.sessions[client]
        will, session.will, session.connected = session.will, None, False
        if normally:
            will = None
        if will and will.delay and persistent:
            session.delayed, will = will, None
        if persistent:
            session.queue = list(unacknowledged)
            for delivery in session.queue:
                delivery.dup = {True}
        else:
            del self.sessions[client]
        return will

    # ---- messages

    def publish(self, message):
        """Client -> Deliveries for those connected; for the others it is queued."""
        if message.retain:
            self.retained.pop(message.topic, None)
            if message.payload and not message.brief:
                self.retained[message.topic] = message
        found = {}
        for client, session in self.sessions.items():
            delivery = self.delivery(session, message)
            if delivery and session.connected:
                found[client] = [delivery]
            elif delivery and delivery.qos and not message.brief:
                session.queue.append(delivery)
        for group, members in self.groups(message.topic).items():
            pool = Pool(group, message)
            for client, subscription in members:
                if self.sessions[client].connected:
                    found.setdefault(client, []).append(self.copy(message, [subscription], required=False, pool=pool))
        return found

    def groups(self, topic):
        """Filter of a shared subscription -> [(client, Subscription)]."""
        groups = {}
        for client, session in self.sessions.items():
            for topic_filter, subscription in session.subscriptions.items():
                if is_shared(topic_filter) and matches(topic_filter, topic):
                    groups.setdefault(topic_filter, []).append((client, subscription))
        return groups

    def waits(self, topic):
        """Is there a group whose members are all away? Which of them will get the message is not known."""
        return any(not any(self.sessions[client].connected for client, _ in members)
                   for members in self.groups(topic).values())

    def delivery(self, session, message):
        """What a session gets of a message: one copy for all subscriptions that match, or None. Section 3.3.4."""
        found = [s for f, s in session.subscriptions.items() if not is_shared(f) and matches(f, message.topic)
                 and not (s.options & p.NO_LOCAL and session.client == message.publisher)]
        return self.copy(message, found, required=not message.brief) if found else None

    def copy(self, message, subscriptions, **more):
        """The Delivery for these subscriptions of a session."""
        return Delivery(message, min(message.qos, max(s.qos for s in subscriptions)),
                        {bool(s.options & p.RETAIN_AS_PUBLISHED) and message.retain for s in subscriptions},
                        sorted(s.id for s in subscriptions if s.id), **more)

    # ---- subscriptions

    def subscribe(self, client, pairs, identifier=None):
        """[(filter, options)]. Returns the Deliveries of retained messages."""
        session, found = self.sessions[client], []
        for topic_filter, options in pairs:
            new = topic_filter not in session.subscriptions
            session.subscriptions[topic_filter] = Subscription(options, identifier)
            if is_shared(topic_filter) or options & p.DO_NOT_SEND or (options & p.SEND_IF_NEW and not new):
                continue
            for topic, message in self.retained.items():
                if matches(topic_filter, topic):
                    # No Local does not say what is with a retained message of one's own.
                    local = options & p.NO_LOCAL and message.publisher == client
                    found.append(Delivery(message, min(message.qos, options & 3), {True},
                                          [identifier] if identifier else [], required=not local, live=False))
        return found

    def unsubscribe(self, client, filters):
        """Returns the reason codes of 5.0."""
        subscriptions = self.sessions[client].subscriptions
        return [0x11 if subscriptions.pop(topic_filter, None) is None else 0 for topic_filter in filters]
