# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
Client libraries write and read in many ways: all of them see the right bytes on every road, and what the kernel gets
wrong for a socket in a map (README, "What the local road changes") is no more than listed there.
"""

import contextlib
import ctypes
import fcntl
import os
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import termios
import time
import unittest

from harness import build, run
from harness import packets as p
from harness.client import TIMEOUT
from harness.suite import SystemTest

SO_ZEROCOPY, MSG_ZEROCOPY = 60, 0x4000000  # not in Python's socket module
COUNT = 100
SIZES = (1, 10, 100, 126, 127, 128, 1000, 4000, 20000)
_libc = ctypes.CDLL(None, use_errno=True)


class _Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class _Mmsghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32), ("iov", ctypes.POINTER(_Iovec)),
                ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int), ("_pad", ctypes.c_int), ("len", ctypes.c_uint)]


def _vector(buffers):
    """struct mmsghdr[], one buffer a message; the buffers are the caller's to keep."""
    vector = (_Mmsghdr * len(buffers))()
    for message, buffer in zip(vector, buffers):
        message.iov = ctypes.pointer(_Iovec(ctypes.addressof(buffer), len(buffer)))
        message.iovlen = 1
    return vector


def payload(n):
    """Numbered, of many sizes."""
    return b"%06d" % n + bytes(n % 251 for n in range(SIZES[n % len(SIZES)]))


class Pairs(SystemTest):
    """A publisher and a subscriber with a flow."""

    def pair(self, **arguments):
        """Both, and a topic the kernel carries."""
        subscriber, publisher = self.client("s", **arguments), self.client("p")
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"))
        self.until_carried(publisher, subscriber, self.topic("t"))
        return subscriber, publisher

    def packet(self, n):
        """PUBLISH number n."""
        return p.publish(self.topic("t"), payload(n))


class Writing(Pairs):
    """Every way to write."""

    def written(self, write, carried=False, batch=1):
        """Publish by write(socket, packets), `batch` packets in each call, each batch received before the next. `carried`:
        the local road takes nearly all."""
        subscriber, publisher = self.pair()
        with self.carries(COUNT, share=0.8 if carried and self.road == "local" else 0):
            for n in range(0, COUNT, batch):
                write(publisher.sock, [self.packet(m) for m in range(n, n + batch)])
                for m, packet in enumerate(subscriber.receive(batch), n):
                    self.assertEqual(packet.topic, self.topic("t"))
                    self.assertTrue(packet.payload == payload(m), f"message {m} arrived changed")
        publisher.ping()
        self.assertEqual(self.drain(publisher, subscriber), [])

    def test_whole(self):
        """A packet in one send."""
        self.written(lambda sock, packets: sock.sendall(packets[0]), carried=True)

    def test_header_and_payload(self):
        """The fixed header, then the rest; and the payload in a write of its own."""
        def write(sock, packets):
            for cut in (2, len(packets[0]) - len(packets[0]) // 2):
                sock.sendall(packets[0][:cut])
                sock.sendall(packets[0][cut:])
                packets = packets[1:]

        self.written(write, batch=2)

    def test_many_in_one(self):
        """Ten packets of one topic in one send."""
        self.written(lambda sock, packets: sock.sendall(b"".join(packets)), carried=True, batch=10)

    def test_a_packet_and_a_half(self):
        """Sends that end in the middle of a packet, the rest of which looks like one."""
        subscriber, publisher = self.pair()
        inner = b"half " + p.publish(self.topic("t"), b"a packet in a payload")
        data = p.publish(self.topic("t"), b"whole") + p.publish(self.topic("t"), inner)
        cut = len(data) - len(inner) + len(b"half ")
        for _ in range(COUNT):
            publisher.sock.sendall(data[:cut])
            publisher.sock.sendall(data[cut:])
            self.assertEqual(subscriber.payloads(2), [b"whole", inner])

    def test_byte_by_byte(self):
        """One byte a send, the long ones a hundred."""
        def write(sock, packets):
            step = 1 if len(packets[0]) < 300 else 100
            for at in range(0, len(packets[0]), step):
                sock.sendall(packets[0][at:at + step])

        self.written(write)

    def test_every_cut(self):
        """Cut in two at every byte, also where what follows looks like a packet of its own."""
        subscriber, publisher = self.pair()
        inner = b"cut in front of " + p.publish(self.topic("t"), b"a packet in a payload")
        data = p.publish(self.topic("t"), inner)
        for cut in range(1, len(data)):
            publisher.sock.sendall(data[:cut])
            publisher.sock.sendall(data[cut:])
            self.assertEqual(subscriber.payloads(1), [inner])

    def test_writev(self):
        """Header, topic and payload from three places."""
        def write(sock, packets):
            data = packets[0]
            self.assertEqual(sock.sendmsg([data[:2], data[2:9], data[9:]]), len(data))

        self.written(write, carried=True)

    def test_sendfile(self):
        """From a file."""
        def write(sock, packets):
            with tempfile.TemporaryFile(dir=run.folder()) as file:
                file.write(packets[0])
                file.flush()
                at = 0
                while at < len(packets[0]):
                    at += os.sendfile(sock.fileno(), file.fileno(), at, len(packets[0]) - at)

        self.written(write, carried=True)

    def test_splice(self):
        """From a pipe."""
        ours, theirs = os.pipe()
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, theirs)

        def write(sock, packets):
            os.write(theirs, packets[0])  # a pipe holds 64 kB
            left = len(packets[0])
            while left:
                left -= os.splice(ours, sock.fileno(), left)

        self.written(write, carried=True)

    def test_more(self):
        """MSG_MORE with the header, without it for the rest; and TCP_CORK."""
        def write(sock, packets):
            sock.send(packets[0][:5], socket.MSG_MORE)
            sock.sendall(packets[0][5:])
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            sock.sendall(packets[1][:5])
            sock.sendall(packets[1][5:])
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

        self.written(write, batch=2)

    def test_zerocopy(self):
        """MSG_ZEROCOPY: the bytes are right. The kernel says when a buffer may be used again, but on the local road,
        where it copies the bytes and, as the README says, does not say so."""
        subscriber, publisher = self.pair()
        sock, completed = publisher.sock, 0
        sock.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        with self.carries(COUNT, share=0.8 if self.road == "local" else 0):
            for n in range(COUNT):
                data = self.packet(n)
                self.assertEqual(sock.send(data, MSG_ZEROCOPY), len(data))
                self.assertTrue(subscriber.receive()[0].payload == payload(n), f"message {n} arrived changed")
                while self.road != "local" and completed <= n:
                    completed += self.completions(sock)
        publisher.ping()

    def completions(self, sock):
        """Wait for the kernel to say that buffers are free again: of how many sends."""
        poll = select.poll()
        poll.register(sock, 0)
        self.assertTrue(poll.poll(TIMEOUT * 1000), "no completion")
        error = sock.recvmsg(0, 512, socket.MSG_ERRQUEUE)[1][0][2]  # struct sock_extended_err
        first, last = struct.unpack("2I", error[8:16])
        return last - first + 1

    def test_sendmmsg(self):
        """Ten packets by one system call, ten messages to the kernel."""
        def write(sock, packets):
            sent = 0
            while sent < len(packets):
                buffers = [ctypes.create_string_buffer(data, len(data)) for data in packets[sent:]]
                vector = _vector(buffers)
                done = _libc.sendmmsg(sock.fileno(), vector, len(vector), 0)
                self.assertGreater(done, 0, os.strerror(ctypes.get_errno()))
                for message, data in zip(vector[:done], packets[sent:]):
                    self.assertEqual(message.len, len(data))
                sent += done

        self.written(write, batch=10, carried=True)

    def test_nonblocking(self):
        """A non-blocking socket with a small buffer: what one send does not take the next one does."""
        subscriber = self.client("s")
        publisher = self.client("p", sndbuf=8192)
        subscriber.subscribe(self.topic("t"))
        self.install(publisher, subscriber, self.topic("t"))
        publisher.sock.setblocking(False)
        stream, sent, got = b"".join(self.packet(n) for n in range(300)), 0, []
        while sent < len(stream):
            try:
                sent += publisher.sock.send(stream[sent:sent + 70000])
            except BlockingIOError:
                readable, writable, _ = select.select([subscriber.sock], [publisher.sock], [], TIMEOUT)
                self.assertTrue(readable or writable, "neither takes nor gives")
                if readable:
                    got += subscriber.available()
        got += subscriber.receive(300 - len(got))
        self.assertTrue([x.payload for x in got] == [payload(n) for n in range(300)])


class Reading(Pairs):
    """Every way to read."""

    def read_by(self, read, **arguments):
        """Publish; the subscriber reads by read(socket, how many bytes are to come), which returns some."""
        subscriber, publisher = self.pair(**arguments)
        with self.carries(COUNT, share=0.8 if self.road == "local" else 0):
            for n in range(COUNT):
                data = self.packet(n)
                publisher.sock.sendall(data)
                got = b""
                while len(got) < len(data):
                    part = read(subscriber.sock, len(data) - len(got))
                    self.assertTrue(part, f"message {n}: nothing after {len(got)} of {len(data)} bytes")
                    got += part
                self.assertTrue(got == data, f"message {n} arrived changed")
        subscriber.sock.settimeout(TIMEOUT)
        self.assertEqual(self.drain(publisher, subscriber), [])

    def test_poll(self):
        """poll, then a read that does not block; nothing more to read, then poll says so."""
        poll = select.poll()

        def read(sock, wanted):
            poll.register(sock, select.POLLIN)
            self.assertEqual(poll.poll(TIMEOUT * 1000), [(sock.fileno(), select.POLLIN)])
            data = sock.recv(1 << 20, socket.MSG_DONTWAIT)
            if len(data) == wanted:
                self.assertEqual(poll.poll(0), [])
            return data

        self.read_by(read)

    def test_select(self):
        """select, and bytes one by one, each of them announced."""
        def read(sock, wanted):
            self.assertEqual(select.select([sock], [], [], TIMEOUT)[0], [sock])
            return sock.recv(1 if wanted < 200 else 199, socket.MSG_DONTWAIT)

        self.read_by(read)

    def test_epoll_level(self):
        """epoll says it again until all is read."""
        epoll = select.epoll()
        self.addCleanup(epoll.close)

        def read(sock, wanted):
            with contextlib.suppress(FileExistsError):
                epoll.register(sock, select.EPOLLIN)
            half = (wanted + 1) // 2
            self.assertEqual(epoll.poll(TIMEOUT), [(sock.fileno(), select.EPOLLIN)])
            data = sock.recv(half, socket.MSG_DONTWAIT)
            if len(data) < wanted:
                self.assertEqual(epoll.poll(TIMEOUT), [(sock.fileno(), select.EPOLLIN)])
            return data

        self.read_by(read)

    def test_epoll_edge(self):
        """epoll, edge triggered: after everything was read what comes next is announced, every time."""
        epoll, ready = select.epoll(), [False]
        self.addCleanup(epoll.close)

        def read(sock, _wanted):
            with contextlib.suppress(FileExistsError):
                epoll.register(sock, select.EPOLLIN | select.EPOLLET)
            while True:
                if not ready[0]:
                    self.assertTrue(epoll.poll(TIMEOUT), "not announced")
                ready[0] = True
                try:
                    return sock.recv(700, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    ready[0] = False

        self.read_by(read)

    def test_blocking(self):
        """A blocking read wakes up."""
        def read(sock, _wanted):
            sock.settimeout(None)
            return sock.recv(1 << 20)

        self.read_by(read)

    def test_blocking_with_a_timeout(self):
        """SO_RCVTIMEO: EAGAIN after its time when nothing comes, the bytes when they come."""
        def read(sock, _wanted):
            sock.settimeout(None)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(TIMEOUT), 0))
            return sock.recv(1 << 20)

        self.read_by(read)
        subscriber = self.client("late")
        subscriber.sock.settimeout(None)
        subscriber.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 30000))
        begin = time.monotonic()
        with self.assertRaises(BlockingIOError):
            subscriber.sock.recv(1)
        self.assertGreaterEqual(time.monotonic() - begin, 0.029)

    def test_peek(self):
        """MSG_PEEK: the same bytes again, and then by reading, one kind of size after the other."""
        def read(sock, wanted):
            seen = sock.recv(wanted, socket.MSG_PEEK)
            again = sock.recv(wanted, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            self.assertTrue(again[:len(seen)] == seen, "another look shows other bytes")
            data = sock.recv(len(seen))
            self.assertTrue(data == seen[:len(data)], "what is read is not what was seen")
            return data

        self.read_by(read)

    def test_fionread(self):
        """FIONREAD says what a read then gets."""
        def read(sock, _wanted):
            self.assertTrue(select.select([sock], [], [], TIMEOUT)[0])
            there = struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, b"\0" * 4))[0]
            self.assertGreater(there, 0)
            data = sock.recv(there, socket.MSG_DONTWAIT)
            self.assertEqual(len(data), there)
            return data

        self.read_by(read)

    def test_readv(self):
        """Into several buffers, and read(2) as from a file."""
        def read(sock, wanted):
            buffers = [bytearray(1), bytearray(7), bytearray(1 << 20)]
            sock.settimeout(None)
            n = os.readv(sock.fileno(), buffers) if wanted > 8 else len(first := os.read(sock.fileno(), wanted))
            return b"".join(buffers)[:n] if wanted > 8 else first

        self.read_by(read)

    def test_recvmmsg(self):
        """recvmmsg, one message at least."""
        msg_waitforone = 0x10000

        def read(sock, wanted):
            buffers = [ctypes.create_string_buffer(wanted // 2 + 1) for _ in range(2)]
            vector = _vector(buffers)
            sock.settimeout(None)
            done = _libc.recvmmsg(sock.fileno(), vector, 2, msg_waitforone, None)
            self.assertGreater(done, 0, os.strerror(ctypes.get_errno()))
            return b"".join(buffer.raw[:message.len] for buffer, message in zip(buffers, vector[:done]))

        self.read_by(read)

    def test_stream_of_a_file(self):
        """Buffered, as a file object of the language reads it."""
        subscriber, publisher = self.pair()
        with subscriber.sock.makefile("rb") as file:
            for n in range(COUNT):
                data = self.packet(n)
                publisher.sock.sendall(data)
                self.assertTrue(file.read(len(data)) == data, f"message {n} arrived changed")

    def test_low_water_mark(self):
        """SO_RCVLOWAT: poll may say too early that enough is there, as the README says; it does say so when it is, and the
        bytes are right."""
        def read(sock, wanted):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted)
            self.assertTrue(select.select([sock], [], [], TIMEOUT)[0])
            data = sock.recv(wanted, socket.MSG_DONTWAIT)
            if self.road != "local":
                self.assertEqual(len(data), wanted)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
            return data

        self.read_by(read)

    def test_wait_for_all(self):
        """MSG_WAITALL: may return less on the local road, as the README says, but not nothing."""
        def read(sock, wanted):
            sock.settimeout(None)
            data = sock.recv(wanted, socket.MSG_WAITALL)
            if self.road != "local":
                self.assertEqual(len(data), wanted)
            return data

        self.read_by(read)

    def test_splice(self):
        """splice(2) from the socket: finds nothing on the local road, as the README says, and takes nothing away."""
        ours, theirs = os.pipe()
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, theirs)

        def read(sock, wanted):
            self.assertTrue(select.select([sock], [], [], TIMEOUT)[0])
            try:
                n = os.splice(sock.fileno(), theirs, min(wanted, 60000), flags=os.SPLICE_F_NONBLOCK)
            except BlockingIOError:
                if self.road not in ("local", "both"):
                    raise
                return sock.recv(wanted, socket.MSG_DONTWAIT)
            return os.read(ours, n)

        self.read_by(read)

    def test_end(self):
        """When the broker closes, all that was delivered is read before the end: by poll and by a blocking read."""
        for n in range(20):
            subscriber, publisher = self.pair()
            for m in range(n):
                publisher.sock.sendall(self.packet(m))
            fence = self.client("fence")
            publisher.ping()
            wanted = [payload(m) for m in range(n)]
            if self.road != "remote":  # there they may still be on their way
                again = self.client("again", client_id=self.id("s"))  # takes the subscriber over
                self.assertTrue([x.payload for x in subscriber.closed() if x.type == p.PUBLISH] == wanted)
                again.close()
            for client in (subscriber, publisher, fence):
                client.close()


class Languages(Pairs):
    """Small programs with nothing but the sockets of their language's standard library: a publisher and a subscriber,
    who gets every message before the next is sent."""

    exclusive = True

    def ends_well(self, *command, env=None):
        """Run it; the local road carries nearly all its messages."""
        command = [*command, self.network.address, str(self.daemon.port), self.topic("t"), "500"]
        with self.carries(500, share=0.8 if self.road == "local" else 0):
            done = subprocess.run(self.network.client_command(command), capture_output=True, text=True,
                                  timeout=self.limit, env=env)
        self.assertEqual((done.stdout, done.stderr, done.returncode), ("ok\n", "", 0))

    def needs(self, program, package):
        """Skip without it."""
        if not shutil.which(program):
            raise unittest.SkipTest(f"no {program}: install {package}")

    def test_node(self):
        """Node: net.Socket, epoll by libuv."""
        self.needs("node", "nodejs")
        self.ends_well("node", f"{build.HERE}/plain.js")

    def test_java(self):
        """Java: blocking streams, and channels with a selector."""
        self.needs("javac", "default-jdk-headless")
        folder = f"{run.folder()}/java-{self.road}"
        subprocess.run(["javac", "-d", folder, f"{build.HERE}/Plain.java"], check=True)
        for how in ("streams", "channels"):
            with self.subTest(how):
                self.ends_well("java", "-XX:TieredStopAtLevel=1", "-cp", folder, "Plain", how)

    def test_go(self):
        """Go: net.Conn, edge-triggered epoll by the runtime."""
        self.needs("gccgo", "gccgo")
        program = f"{run.folder()}/plain-go-{self.road}"
        subprocess.run(["gccgo", "-static-libgo", "-o", program, f"{build.HERE}/plain.go"], check=True)
        self.ends_well(program)
