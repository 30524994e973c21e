# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A client that connects again: what its new connection publishes stays behind what the one before did."""

import contextlib
import select

from harness import packets as p
from harness import threads
from harness.suite import SystemTest, own


class Reconnect(SystemTest):
    """The worker of a receiver is behind, with messages of the client's former connection to be delivered: the kernel
    does not overtake them with those of the new one. [MQTT-4.6.0-6]"""

    options = ("workers 2",)

    def answering(self, clients):
        """Of these clients those whose worker answers now."""
        for client in clients:
            client.send(p.publish(self.topic("nobody"), b"", 1, mid=client.mid()))
        first = self.readable(clients)[0]
        first.expect(p.PUBACK)
        first.publish(self.topic("nobody"), b"", 1)  # when this is answered, so is what its worker was asked before
        return [first, *self.readable([client for client in clients if client is not first], 0)]

    def readable(self, clients, *timeout):
        """Those that something has come for, perhaps after a while."""
        sockets = select.select([client.sock for client in clients], [], [], *timeout)[0]
        return [client for client in clients if client.sock in sockets]

    def sorted(self):
        """A worker, its clients, and those of the other one."""
        worker = threads.workers(self.daemon, 2)[0]
        clients = [self.client(f"c{n}") for n in range(24)]  # by chance on the one or the other
        with threads.stopped(worker):
            others = self.answering(clients)
        for client in clients:
            client.settle()
        return worker, [client for client in clients if client not in others], others

    def scene(self):
        """A worker, a publisher and a witness of the other one, and a subscriber of this one, with a flow."""
        worker, mine, others = self.sorted()
        publisher, witness, subscriber = others[0], others[1], mine[0]
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"))
        self.until_carried(publisher, subscriber, self.topic("t"))
        return worker, publisher, witness, subscriber

    def again(self, publisher, witness, **fields):
        """The publisher's next connection; its worker is in a later turn when it is returned."""
        new = self.client(publisher.name, **fields)
        witness.publish(self.topic("nobody"), b"", 1)
        return new

    def later_stays_behind(self, leave):
        """A message before leave(publisher), one after."""
        worker, publisher, witness, subscriber = self.scene()
        for n in range(5):
            with threads.stopped(worker):
                publisher.publish(self.topic("t"), b"before %d" % n, 1)  # acknowledged: it is on its way
                leave(publisher)
                publisher = self.again(publisher, witness)
                publisher.publish(self.topic("t"), b"after %d" % n)
            self.assertEqual(subscriber.payloads(2), [b"before %d" % n, b"after %d" % n])
            self.until_carried(publisher, subscriber, self.topic("t"))

    @own
    def test_takeover(self):
        """The new connection takes the old one over. [MQTT-3.1.4-2]"""
        self.later_stays_behind(lambda publisher: None)

    @own
    def test_close(self):
        """The old connection was closed."""
        self.later_stays_behind(lambda publisher: publisher.close())

    @own
    def test_disconnect(self):
        """The old connection ended with DISCONNECT, and the broker has closed it. [MQTT-3.14.4-1]"""
        self.later_stays_behind(lambda publisher: publisher.disconnect())

    @own
    def test_will(self):
        """The will of the old connection, which was taken over, comes before the first message of the new one.
        [MQTT-3.1.2-8]"""
        worker, publisher, witness, subscriber = self.scene()
        publisher = self.again(publisher, witness, will=(self.topic("t"), "gone 0", 0, False))
        self.until_carried(publisher, subscriber, self.topic("t"))
        for n in range(5):
            with threads.stopped(worker):
                publisher = self.again(publisher, witness, will=(self.topic("t"), f"gone {n + 1}", 0, False))
                publisher.publish(self.topic("t"), b"back %d" % n)
            self.assertEqual(subscriber.payloads(2), [b"gone %d" % n, b"back %d" % n])
            self.until_carried(publisher, subscriber, self.topic("t"))

    @own
    def test_late_on_the_old(self):
        """What is sent on a connection that was taken over goes nowhere, also while the broker waits for its own last bytes
        to leave, as it does for receivers of flows. [MQTT-3.1.4-2]"""
        other, old = self.client("other"), self.client("c")
        other.subscribe(self.topic("t"))
        for n in range(10):
            old.subscribe(self.topic("u"))
            self.install(other, old, self.topic("u"))
            self.install(old, other, self.topic("t"))
            self.until_carried(old, other, self.topic("t"))
            new = self.client("c")
            with contextlib.suppress(OSError):  # it is closed by now
                old.publish(self.topic("t"), b"late")
            other.publish(self.topic("nobody"), b"", 1)  # what has come for it until now comes before the answer
            new.publish(self.topic("t"), b"new %d" % n)
            self.assertEqual(other.payloads(1), [b"new %d" % n])
            old = new

    @own
    def test_sent_before_connack(self):
        """A message that comes between the CONNECT and its handling counts as others do: the next that the daemon has not
        read yet, though of the same size, is not overtaken. [MQTT-4.6.0-6]"""
        worker, mine, others = self.sorted()
        old, witness, subscriber = mine[0], others[0], others[1]
        subscriber.subscribe(self.topic("t"))
        self.install(old, subscriber, self.topic("t"))
        self.until_carried(old, subscriber, self.topic("t"))
        old.disconnect()
        with threads.stopped(worker):
            publisher = self.raw(old.name)
            publisher.send(publisher.hello(self.id(old.name)))
            for _ in range(3):  # the other worker accepts, reads, hands over
                witness.publish(self.topic("nobody"), b"", 1)
            publisher.publish(self.topic("t"), b"12 early")
        publisher.expect(p.CONNACK)
        self.assertEqual(subscriber.payloads(1), [b"12 early"])
        publisher.alive()
        witness.publish(self.topic("nobody"), b"", 1)
        with threads.stopped(worker):
            publisher.send(p.publish(self.topic("t"), b"before", 1, mid=1))  # as long as the early one
            witness.publish(self.topic("nobody"), b"", 1)
            publisher.publish(self.topic("t"), b"after")
            witness.publish(self.topic("nobody"), b"", 1)
        self.assertEqual(subscriber.payloads(2), [b"before", b"after"])
        publisher.expect(p.PUBACK)
        self.until_carried(publisher, subscriber, self.topic("t"))
