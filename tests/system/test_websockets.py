# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""MQTT over WebSocket: frames of every kind, the request, pages and proxies, and peers that do it wrong."""

import asyncio
import http.client
import struct

import websockets
from harness import packets as p
from harness.client import TIMEOUT, Client
from harness.suite import SystemTest, own, roads
from harness.transports import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Refused, WebSocket

NORMAL, PROTOCOL_ERROR, UNSUPPORTED, POLICY = 1000, 1002, 1003, 1008


@roads("off")
class WebSockets(SystemTest):
    """A daemon with a listener for WebSocket beside the plain one."""

    own_daemon = True

    def begin(self, *lines):
        """Start it."""
        if self.reference:
            self.skipTest("Debian's has it, with other answers to what is wrong")
        self.port = self.network.free_port(unseen=True)
        self.daemon = self.start([f"listener {self.port} {self.network.address}", "protocol websockets", *lines])
        return self.daemon

    def open(self, *headers, sock=None, **arguments):
        """A WebSocket."""
        ws = WebSocket(sock or self.network.socket(self.port), headers=headers, **arguments)
        self.addCleanup(ws.close)
        return ws

    def join(self, name, *headers, **fields):
        """A client by WebSocket."""
        return Client(self.open(*headers), name).connect(f"{name}-{self.name}", **fields)


class Frames(WebSockets):
    """What goes over it once it is there."""

    @own
    def test_any_cut(self):
        """Packets across frames and messages, many in one, empty ones, and control frames in between.
        3.1.1 [MQTT-6.0.0-1] [MQTT-6.0.0-2], 5.0 [MQTT-6.0.0-1] [MQTT-6.0.0-2]"""
        self.begin()
        client = self.join("c")
        ws = client.sock
        client.subscribe("t")
        stream = b"".join(p.publish("t", b"%03d" % n) for n in range(30))
        ws.send_frame(BINARY, b"")
        ws.send_frame(BINARY, stream[:7], fin=False)
        ws.send_frame(PING, b"in between")
        ws.send_frame(CONTINUATION, b"", fin=False)
        for at in range(7, len(stream) - 5, 5):
            ws.send_frame(CONTINUATION, stream[at:at + 5], fin=False)
            last = at + 5
        ws.send_frame(CONTINUATION, stream[last:], fin=True)
        self.assertEqual(client.payloads(30), [b"%03d" % n for n in range(30)])
        self.assertEqual(ws.control(), (PONG, b"in between"))
        self.assertTrue(all(opcode == BINARY for opcode, _ in ws.frames))

    @own
    def test_all_at_once(self):
        """CONNECT and more in the same segment as the request, which no client should do, is read after it."""
        self.begin()
        connect = p.connect("early")
        mask = b"\1\2\3\4"
        frame = bytes([0x82, 0x80 | len(connect)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(connect))
        client = Client(self.open(early=frame), "early")
        self.assertEqual(client.read().code, 0)
        client.alive()

    @own
    def test_ends(self):
        """DISCONNECT, a Close, and the end without; the will knows the difference. The code says what it was."""
        daemon = self.begin()
        watcher = self.client("w", daemon)
        watcher.subscribe("will/#")
        for name, code in (("disconnect", NORMAL), ("close", NORMAL), ("cut", None), ("taken", POLICY), ("wrong", PROTOCOL_ERROR)):
            client = self.join(name, will=(f"will/{name}", name.encode(), 0, False))
            ws = client.sock
            if name == "disconnect":
                client.send(p.disconnect())
            elif name == "close":
                ws.send_frame(CLOSE, struct.pack(">H", NORMAL))
            elif name == "cut":
                ws.sock.close()
            elif name == "taken":
                self.join(name).disconnect()
            else:
                client.send(b"\0\0")
            if code:
                self.assertEqual(struct.unpack(">H", ws.control()[1][:2])[0], code, name)
                self.assertEqual(ws.sock.recv(1), b"")
            if name != "disconnect":
                self.assertEqual(watcher.payloads(1), [name.encode()])
        watcher.nothing()

    @own
    def test_broken_rules(self):
        """Each rule that a client can break: a Close with the code, the log names the rule, it is counted, and the will
        goes out."""
        daemon = self.begin()
        watcher = self.client("w", daemon)
        watcher.subscribe("will")
        bad = {
            "text": (UNSUPPORTED, lambda ws: ws.send_frame(TEXT, b"x")),
            "unmasked": (PROTOCOL_ERROR, lambda ws: ws.send_frame(BINARY, b"x", masked=False)),
            "reserved bit": (PROTOCOL_ERROR, lambda ws: ws.send_frame(BINARY, b"x", reserved=4)),
            "opcode": (PROTOCOL_ERROR, lambda ws: ws.send_frame(3, b"x")),
            "continuation of nothing": (PROTOCOL_ERROR, lambda ws: ws.send_frame(CONTINUATION, b"x")),
            "two messages": (PROTOCOL_ERROR, lambda ws: (ws.send_frame(BINARY, b"\x30", fin=False), ws.send_frame(BINARY, b"x"))),
            "long ping": (PROTOCOL_ERROR, lambda ws: ws.send_frame(PING, b"x" * 126)),
            "ping in pieces": (PROTOCOL_ERROR, lambda ws: ws.send_frame(PING, b"x", fin=False)),
            "code": (PROTOCOL_ERROR, lambda ws: ws.send_frame(CLOSE, struct.pack(">H", 1005))),
        }
        for n, (name, (code, act)) in enumerate(bad.items()):
            with self.subTest(name):
                client = self.join(f"bad{n}", will=("will", name.encode(), 0, False))
                act(client.sock)
                opcode, payload = client.sock.control()
                self.assertEqual((opcode, struct.unpack(">H", payload[:2])[0]), (CLOSE, code))
                self.assertEqual(watcher.payloads(1), [name.encode()])
                daemon.wait_log(rf"Client bad{n}-\S+ \[\S+\]: WebSocket: .+")
        self.assertEqual(daemon.stats()["closed"]["websocket"], len(bad))

    @own
    def test_pings(self):
        """Pings before CONNECT and after; who sends many and reads none is answered once for those that wait."""
        self.begin()
        ws = self.open()
        ws.send_frame(PING, b"1")
        self.assertEqual(ws.control(), (PONG, b"1"))
        client = Client(ws, "c").connect("c")
        for n in range(1000):
            ws.send_frame(PING, b"%d" % n)
        while ws.control() != (PONG, b"999"):
            pass
        client.alive()


class Requests(WebSockets):
    """What begins it."""

    def refused(self, *headers, **arguments):
        """The status it is refused with."""
        with self.assertRaises(Refused) as raised:
            self.open(*headers, **arguments)
        return str(raised.exception).split()[1]

    @own
    def test_protocols(self):
        """The subprotocol: mqtt, or mqttv3.1; others are refused. 3.1.1 [MQTT-6.0.0-4], 5.0 [MQTT-6.0.0-4]"""
        daemon = self.begin()
        for offered, chosen in (("mqtt", "mqtt"), ("mqttv3.1", "mqttv3.1"), ("wamp, mqtt", "mqtt"), ("mqttv3.1, mqtt", "mqtt")):
            self.assertEqual(self.open(protocols=offered).fields["sec-websocket-protocol"], chosen)
        for offered in ("wamp", None):
            self.assertEqual(self.refused(protocols=offered), "400")
        daemon.wait_log(r"Client <unknown> \[\S+\] disconnected: WebSocket: .+")
        self.assertEqual(daemon.stats()["closed"]["websocket"], 2)

    @own
    def test_no_websocket(self):
        """HTTP without an upgrade is answered as HTTP, and MQTT in the clear is not taken for it."""
        daemon = self.begin()
        connection = http.client.HTTPConnection(self.network.address, self.port, timeout=TIMEOUT)
        self.addCleanup(connection.close)
        connection.request("GET", "/")
        response = connection.getresponse()
        self.assertEqual((response.status, response.getheader("Upgrade")), (426, "websocket"))
        sock = self.network.socket(self.port)
        self.addCleanup(sock.close)
        sock.sendall(p.connect("x"))
        self.assertIn(b"400", sock.recv(4096))
        self.client("still", daemon).alive()

    @own
    def test_size(self):
        """A request without an end, at the default and with websockets_headers_size."""
        self.begin("websockets_headers_size 512")
        self.assertEqual(self.refused(*["X: " + "x" * 200] * 3), "431")
        self.begin()
        self.open(*["X: " + "x" * 200] * 3)
        self.assertEqual(self.refused(*["X: " + "x" * 2000] * 5), "431")

    @own
    def test_in_pieces(self):
        """A request that comes byte by byte."""
        self.begin()

        class Slow:
            """A socket that sends single bytes."""

            def __init__(self, sock):
                self.sock = sock

            def sendall(self, data):
                """Send."""
                for byte in data:
                    self.sock.sendall(bytes([byte]))

            def __getattr__(self, name):
                return getattr(self.sock, name)

        sock = self.network.socket(self.port)
        self.addCleanup(sock.close)
        Client(WebSocket(Slow(sock)), "c").connect("c").alive()

    @own
    def test_origin(self):
        """websockets_origin: pages of other sites are refused, who is no browser is not."""
        self.begin("websockets_origin https://a.example", "websockets_origin http://b.example:8080")
        for origin in ("https://a.example", "http://b.example:8080"):
            self.open(f"Origin: {origin}")
        self.open()
        for origin in ("http://a.example", "https://a.example.evil", "null"):
            self.assertEqual(self.refused(f"Origin: {origin}"), "403")

    @own
    def test_forwarded(self):
        """X-Forwarded-For counts when a trusted proxy sends it, and only then."""
        daemon = self.begin("trusted_proxy 127.0.0.0/8", "trusted_proxy 192.0.2.1")
        self.join("c", "X-Forwarded-For: 203.0.113.9, 198.51.100.7, 192.0.2.1")
        address = {c["id"]: c["address"] for c in daemon.clients()["clients"]}[self.id("c")]
        self.assertEqual(address, "198.51.100.7:0")
        daemon.wait_log(r"The client at 127\S+ is 198\.51\.100\.7:0, says the proxy")
        daemon = self.begin("trusted_proxy 192.0.2.1")
        self.join("c", "X-Forwarded-For: 198.51.100.7")
        address = {c["id"]: c["address"] for c in daemon.clients()["clients"]}[self.id("c")]
        self.assertRegex(address, r"127\.0\.0\.1:\d+")


class Others(WebSockets):
    """Clients that nobody here wrote."""

    @own
    def test_python_websockets(self):
        """Python's websockets: pings of its own, fragments, the closing handshake."""
        self.begin()

        async def talk():
            async with websockets.connect(f"ws://{self.network.address}:{self.port}/mqtt", subprotocols=["mqtt"]) as ws:
                assert ws.subprotocol == "mqtt"
                await ws.send([p.connect("py")[:5], p.connect("py")[5:]])
                assert await ws.recv() == b"\x20\2\0\0"
                await asyncio.wait_for(await ws.ping(), TIMEOUT)
                await ws.send(p.subscribe(1, ("t", 0)))
                assert await ws.recv() == b"\x90\3\0\1\0"
                for size in (10, 1000, 100000):
                    await ws.send(p.publish("t", b"x" * size))
                    got = b""
                    while len(got) < size:
                        got += await ws.recv()
                    assert got == p.publish("t", b"x" * size)
            return ws.close_code

        self.assertEqual(asyncio.run(talk()), NORMAL)
