# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The load generator tells the truth: against a broker that does damage on purpose, and counts it."""

import contextlib
import json
import socket
import struct
import subprocess
import threading
import time

from harness import build, packets as p, transports
from harness.suite import SystemTest


def remaining_length(data):
    """(length of the fixed header, of the packet) or None, of bytes that a client sent."""
    length = 0
    for i in range(1, min(5, len(data))):
        length |= (data[i] & 127) << 7 * (i - 1)
        if not data[i] & 128:
            return i + 1, i + 1 + length
    return None


class DamagingBroker:
    """Delivers what damage(number, packet) makes of each PUBLISH: bytes, or None to close the connection."""

    def __init__(self, damage=lambda number, packet: packet, pause=None, refuse=0, puback=True):
        self.damage, self.pause, self.refuse, self.puback = damage, pause, refuse, puback
        self.number, self.subscribers, self.threads, self.lock = 0, [], [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        self._thread(self._accept)
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        self.listener.close()

    def _thread(self, target, *arguments):
        self.threads.append(threading.Thread(target=target, args=arguments))
        self.threads[-1].start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                self._thread(self._serve, self.listener.accept()[0])

    def _serve(self, client):
        data = bytearray()
        with client, contextlib.suppress(OSError):
            while received := client.recv(65536):
                data += received
                while (found := remaining_length(data)) and len(data) >= found[1]:
                    packet = bytes(data[:found[1]])
                    del data[:found[1]]
                    self._answer(client, packet, packet[found[0]:])

    def _answer(self, client, packet, body):
        kind = packet[0] >> 4
        if kind == p.CONNECT:
            client.sendall(bytes([0x20, 2, 0, self.refuse]))
        elif kind == p.SUBSCRIBE:
            self.subscribers.append(client)
            client.sendall(bytes([0x90, 3]) + body[:2] + body[-1:])
        elif kind == p.PINGREQ:
            client.sendall(bytes([0xD0, 0]))
        elif kind == p.PUBLISH:
            self._publish(client, packet, body)

    def _publish(self, client, packet, body):
        with self.lock:
            number, self.number = self.number, self.number + 1
        if self.pause and number == self.pause[0]:
            time.sleep(self.pause[1])
        out = self.damage(number, packet)
        for subscriber in self.subscribers:
            with contextlib.suppress(OSError):  # it may have given up
                if out is None:
                    subscriber.shutdown(socket.SHUT_RDWR)
                else:
                    subscriber.sendall(out)
        if packet[0] & 6 and self.puback:
            topic = struct.unpack("!H", body[:2])[0]
            client.sendall(bytes([0x40, 2]) + body[2 + topic:4 + topic])


def each(count, change):
    """Damage for every count-th packet."""
    return lambda number, packet: change(packet) if number % count == count - 1 else packet


class Swap:
    """Damage: of every ten packets the last two change places."""

    def __init__(self):
        self.kept = b""

    def __call__(self, number, packet):
        if number % 10 == 8:
            self.kept = packet
            return b""
        return packet + self.kept if number % 10 == 9 else packet


def flip(index):
    """Change one bit of the byte at the index."""
    def change(packet):
        changed = bytearray(packet)
        changed[index] ^= 4
        return bytes(changed)
    return change


class Bench(SystemTest):
    """shunt-bench against brokers that are not what they should be."""

    roads = ("off",)
    own_daemon = True

    def bench(self, broker, *words, status=0, drain=1):
        """Run it for 1,000 messages; the result. `drain`: the broker is a program of Python on a busy machine."""
        command = [f"{build.BUILD}/shunt-bench", "--port", str(broker.port), "--json", "--warmup", "0",
                   "--drain", str(drain), *(words or ("pairs", "--messages", "1000", "--rate", "2000"))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
        self.assertEqual(done.returncode, status, done.stderr + done.stdout)
        return json.loads(done.stdout) if done.stdout else done.stderr

    def counts(self, result, **wanted):
        """The counts are these, and all others nothing."""
        names = ("sent", "unsent", "delivered", "lost", "duplicated", "reordered", "corrupt")
        wanted = {"sent": 1000, "delivered": 1000 - wanted.get("lost", 0), **wanted}
        self.assertEqual({name: result["messages"][name] for name in names},
                         {name: wanted.get(name, 0) for name in names})

    def test_nothing_wrong(self):
        """An honest broker: status 0 and all counts right."""
        with DamagingBroker() as broker:
            self.counts(self.bench(broker))

    def test_persistent(self):
        """The sessions of subscribers, and no others, are there when it has ended, if that is wanted."""
        daemon = self.start()
        for words in ((), ("--persistent",)):
            self.bench(daemon, "fan-out", "--host", daemon.network.address, "--subscribers", "3", "--messages", "10",
                       "--qos", "1", *words)
            clients = daemon.clients()["clients"]
            while any(client["connected"] for client in clients):  # the daemon sees their end a little later
                clients = daemon.clients()["clients"]
            self.assertEqual(sorted(client["id"].split("-")[-1] for client in clients),
                             ["s0", "s1", "s2"] if words else [])

    def test_storm(self):
        """Clients that connect at once, by TLS too, with sessions resumed and not; and a broker that refuses them."""
        authority = transports.Authority()
        certfile, keyfile = authority.certificate("server")
        port = self.network.free_port(unseen=True)
        daemon = self.start([f"listener {port} {self.network.address}", f"certfile {certfile}", f"keyfile {keyfile}"])
        secure = ("--port", str(port), "--tls", authority.cafile)
        for words, resumed in (((), 0), (secure, 0), ((*secure, "--resume"), 50)):
            result = self.bench(daemon, "storm", "--connections", "50", "--concurrency", "20", *words)
            self.assertEqual([result[name] for name in ("open", "failed", "resumed")], [50, 0, resumed])
        with DamagingBroker(refuse=5) as broker:
            command = [f"{build.BUILD}/shunt-bench", "--port", str(broker.port), "--json", "--connections", "5", "storm"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
        self.assertEqual((done.returncode, json.loads(done.stdout)["failed"]), (3, 5))

    def test_help(self):
        """--help, --version and --man, which come last in the table."""
        for option, word in (("--help", "Usage: shunt-bench"), ("--version", "shunt-bench "), ("--man", ".TH")):
            done = subprocess.run([f"{build.BUILD}/shunt-bench", option], capture_output=True, text=True, check=True)
            self.assertIn(word, done.stdout)

    def test_shared(self):
        """Each message goes to one member: nothing is lost or double; by both versions. A broker that gives it to all of
        them is found out."""
        daemon = self.start()
        words = ("shared", "--publishers", "5", "--subscribers", "3", "--messages", "1000", "--rate", "4000")
        for version in ("4", "5"):
            self.counts(self.bench(daemon, *words, "--qos", "1", "--mqtt", version))
        with DamagingBroker() as broker:
            result = self.bench(broker, *words, status=1)
        self.assertGreaterEqual(result["messages"]["duplicated"], 2000)

    def test_lost(self):
        """Every tenth message is kept back: exactly so many are lost, and that is no failure."""
        with DamagingBroker(each(10, lambda packet: b"")) as broker:
            result = self.bench(broker)
        self.counts(result, lost=100)
        self.assertEqual(result["messages"]["lost_percent"], 10)

    def test_duplicated(self):
        """Every tenth message is sent twice."""
        with DamagingBroker(each(10, lambda packet: packet * 2)) as broker:
            self.counts(self.bench(broker, status=1), duplicated=100)

    def test_reordered(self):
        """Of every ten messages two change places."""
        with DamagingBroker(Swap()) as broker:
            self.counts(self.bench(broker, status=1), reordered=100)

    def test_changed_payload(self):
        """A bit is changed in every tenth message, in the last byte of its payload."""
        with DamagingBroker(each(10, flip(-1))) as broker:
            self.counts(self.bench(broker, status=1), lost=100, corrupt=100)

    def test_changed_sequence_number(self):
        """The same in what identifies a message."""
        with DamagingBroker(each(10, flip(-56))) as broker:
            self.counts(self.bench(broker, status=1), lost=100, corrupt=100)

    def test_wrong_topic(self):
        """The same in the name of the topic."""
        with DamagingBroker(each(10, flip(6))) as broker:
            self.counts(self.bench(broker, status=1), lost=100, corrupt=100)

    def test_wrong_qos(self):
        """Messages of QoS 0 arrive as of QoS 1."""
        def raised(packet):
            head, (_, end) = 2 + 2 + packet[3], remaining_length(packet)
            return bytes([0x32, end]) + packet[2:head] + b"\0\7" + packet[head:]
        with DamagingBroker(each(10, raised)) as broker:
            self.counts(self.bench(broker, status=1), lost=100, corrupt=100)

    def test_garbage_in_the_stream(self):
        """A reserved packet type in the middle ends the connection, and the rest is lost."""
        with DamagingBroker(lambda number, packet: b"\xf0\0" if number == 500 else packet) as broker:
            result = self.bench(broker, status=1)
        self.counts(result, lost=500)
        self.assertEqual(result["connections"]["malformed"], 1)

    def test_connection_closed(self):
        """The broker closes the subscriber's connection."""
        with DamagingBroker(lambda number, packet: None if number == 500 else packet) as broker:
            result = self.bench(broker, status=3)
        self.counts(result, lost=500)
        self.assertEqual(result["connections"]["closed_by_broker"], 1)

    def test_refused(self):
        """CONNACK with a return code is said, and a closed port too."""
        with DamagingBroker(refuse=5) as broker:
            self.assertIn("Permission denied", self.bench(broker, status=3))
        self.assertIn("Connection refused", self.bench(broker, status=3))

    def test_stall_shows_in_latency(self):
        """A broker that sleeps for half a second delays what was due in it; latency counts from the schedule."""
        with DamagingBroker(pause=(500, 0.5)) as broker:
            latency = self.bench(broker, "pairs", "--messages", "2000", "--rate", "1000")["latency_us"]
        self.assertGreater(latency["max"], 450e3)
        self.assertGreater(latency["p90"], 200e3)  # a fifth of the messages waited for more than 100 ms

    def test_stall_blocks_the_publisher(self):
        """The same with messages that fill the sockets' buffers: the schedule goes on, late sending is reported."""
        with DamagingBroker(pause=(10, 1.0)) as broker:
            result = self.bench(broker, "pairs", "--messages", "300", "--rate", "150", "--size", "200000", drain=3)
        self.counts(result, sent=300, delivered=300)
        self.assertGreater(result["connections"]["blocked"], 0)
        self.assertGreater(result["sent_late_us"]["max"], 200e3)
        self.assertGreater(result["latency_us"]["max"], 900e3)

    def test_window(self):
        """Publishers of QoS 1 have no more in flight than they may, and go on when PUBACK comes."""
        words = ("flood", "--messages", "1000", "--qos", "1", "--window", "3")
        with DamagingBroker() as broker:
            self.counts(self.bench(broker, *words))
        with DamagingBroker(puback=False) as broker:
            self.counts(self.bench(broker, *words), sent=3, delivered=3)
