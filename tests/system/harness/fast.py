# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What tests ask the fast path: which flows there are and how much the kernel carried. The one place that knows the
names in shuntctl's JSON."""

import collections
import contextlib
import json
import time

from . import build
from .client import TIMEOUT


def forwarded(stats, road):
    """Messages that the kernel delivered on a road."""
    return stats["fastpath"][road]["forwarded"]


def passed(stats, road):
    """Times the kernel gave data to the daemon on a road."""
    return stats["fastpath"][road]["passed"]


def dropped(stats):
    """Messages dropped, all reasons together."""
    return stats["dropped"]["total"]


def state(stats):
    """`on` or `off`."""
    return stats["fastpath"]["state"]


def flow_topics(flows):
    """Topic -> client identifier of the receiver."""
    return {flow["topic"]: flow["receiver"] for flow in flows["flows"]}


class FastMixin:
    """Parts of a SystemTest. On the road `off`, and with a reference broker, they do the same without asking. On the road
    `both` there need not be a flow, but then the reason must be that publisher and receiver are on different roads."""

    more = 0  # messages that were published until a flow was there, beside those that a test asked for

    @property
    def fast(self):
        """Is there a fast path in this run? On the road `both` it carries QoS 0 between some of the clients."""
        return self.road != "off" and not self.reference

    def install(self, publisher, subscriber, *topics, daemon=None, count=3):
        """Publish `count` messages on each topic, each received, and wait for the flows. The daemon needs none of them
        again to route these topics to the subscriber."""
        for topic in topics:
            for n in range(count):
                publisher.publish(topic, b"install %d" % n)
                packet = subscriber.receive()[0]
                assert (packet.topic, packet.payload) == (topic, b"install %d" % n), packet
            if self.fast:
                self._until(lambda: topic in flow_topics((daemon or self.daemon).flows()), publisher, subscriber, topic,
                            daemon)

    def until_carried(self, publisher, subscriber, topic, daemon=None):
        """Publish one by one until the kernel carries a message: what was received before may not have been off the
        daemon's hands until now, so that flows rightly waited."""
        if self.fast:
            before = self.forwarded(daemon)
            self._until(lambda: self.forwarded(daemon) > before, publisher, subscriber, topic, daemon)

    def crosses(self, publisher, topic, daemon=None):
        """Is there no flow because publisher and receiver are on different roads?"""
        why = json.loads((daemon or self.daemon).ctl("why", "--json", topic, publisher.client_id))["why"]
        return self.road == "both" and why["reason"] == "other_road"

    def _until(self, condition, publisher, subscriber, topic, daemon):
        """Publish until a condition holds; the other roads need none of these messages, so they are not recorded."""
        deadline, pause = time.monotonic() + TIMEOUT, 0.001
        while not condition() and not self.crosses(publisher, topic, daemon):
            assert time.monotonic() < deadline, f"no flow for {topic}"
            time.sleep(pause)
            pause = min(2 * pause, 0.1)
            publisher.publish(topic, b"more")
            self.more += 1
            packet = subscriber.receive()[0]
            assert (packet.topic, packet.payload) == (topic, b"more"), packet
            if subscriber.log is not None:
                subscriber.log.remove(packet)

    def no_flow(self, topic, daemon=None):
        """The topic has no flow now."""
        if self.fast:
            assert topic not in flow_topics((daemon or self.daemon).flows()), f"{topic} has a flow"

    @contextlib.contextmanager
    def carries(self, messages, share=0.95, daemon=None):
        """Of so many messages published in the block, the kernel carries at least this share."""
        daemon = daemon or self.daemon
        before, passed = self.forwarded(daemon), self.passed(daemon)
        yield
        if self.fast:
            carried = self.forwarded(daemon) - before
            passed = {reason: count - passed[reason] for reason, count in self.passed(daemon).items()}
            # a slow daemon keeps the fence closed longer; what is right does not depend on it
            if build.sanitized() or self.road == "both":
                share = 0
            assert carried >= share * messages, f"the kernel carried {carried} of {messages}: {passed}"
            assert carried <= messages, f"the kernel counted {carried} of {messages}"

    def forwarded(self, daemon=None):
        """Messages that the kernel carried on this road until now."""
        stats = (daemon or self.daemon).stats() if self.fast else None
        return sum(forwarded(stats, road) for road in self._roads())

    def passed(self, daemon=None):
        """Messages that this road left to the daemon until now, by reason."""
        total = collections.Counter()
        for road in self._roads():
            total.update((daemon or self.daemon).stats()["fastpath"][road]["passed_by_reason"])
        return total

    def _roads(self):
        return () if not self.fast else ("local", "remote") if self.road == "both" else (self.road,)

    def dropped(self, daemon=None):
        """Messages the daemon and the kernel dropped until now."""
        return dropped((daemon or self.daemon).stats())
