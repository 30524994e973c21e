# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
The client of test_websocket_peer.c, by Python's websockets: websocket_peer.py PORT SCENARIO

The server sends back what it gets, cut as it comes; at a message "close CODE" it closes with that code.
"""

import asyncio
import http.client
import re
import sys

import websockets

PORT = int(sys.argv[1])


def connect(path="/mqtt", subprotocols=("mqtt",), **arguments):
    """A connection, with all that the library offers by itself."""
    return websockets.connect(f"ws://127.0.0.1:{PORT}{path}", subprotocols=subprotocols, max_size=None, **arguments)


async def receive(ws, size):
    """So many bytes of the stream."""
    data = bytearray()
    while len(data) < size:
        message = await ws.recv()
        assert isinstance(message, bytes), message
        data += message
    return bytes(data)


async def echo(ws, data):
    """The bytes come back as they are, while they are sent."""
    _, got = await asyncio.gather(ws.send(data), receive(ws, len(data)))
    assert got == data, f"{len(data)} bytes"


def pattern(size):
    """Bytes that a shift by a few would change."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


async def refused(status, **arguments):
    """The handshake is, with that status."""
    try:
        async with connect(**arguments):
            pass
    except websockets.InvalidHandshake as error:
        assert re.search(rf"\b{status}\b", str(error)), error
    else:
        raise AssertionError("it was accepted")


async def closed(ws):
    """The code that the server closes with."""
    try:
        while True:
            await ws.recv()
    except websockets.ConnectionClosed:
        return ws.close_code


# ---- scenarios

async def handshake():
    """Subprotocols, no extension though one is offered, origins, paths."""
    for offered, chosen in ((["mqtt"], "mqtt"), (["mqttv3.1"], "mqttv3.1"), (["x", "mqttv3.1", "mqtt"], "mqtt")):
        async with connect(subprotocols=offered) as ws:
            assert ws.subprotocol == chosen, ws.subprotocol
            await echo(ws, b"a")
    async with connect(path="/", origin="http://allowed.example") as ws:
        await echo(ws, b"a")
    await refused(400, subprotocols=["chat"])
    await refused(400, subprotocols=None)
    await refused(403, origin="http://evil.example")
    for method, status in (("GET", 426), ("POST", 405)):
        plain = http.client.HTTPConnection("127.0.0.1", PORT)
        await asyncio.to_thread(plain.request, method, "/")
        response = plain.getresponse()
        assert response.status == status, response.status
        assert response.read().endswith(b"here\n")


async def sizes():
    """Each form of the length, one after the other."""
    async with connect() as ws:
        for size in (1, 2, 125, 126, 127, 4095, 4096, 65535, 65536, 65537, 1 << 20):
            await ws.send(b"")
            await echo(ws, pattern(size))


async def fragments():
    """A message in frames, with a Ping between them."""
    parts = [b"", b"a", pattern(70000), b"", b"b" * 200, b""]

    async def cut():
        for part in parts:
            yield part
            await (await ws.ping())

    async with connect() as ws:
        whole = b"".join(parts)
        for message in (parts, cut()):
            _, got = await asyncio.gather(ws.send(message), receive(ws, len(whole)))
            assert got == whole


async def big():
    """One message of 64 MiB."""
    async with connect(compression=None) as ws:
        await echo(ws, pattern(64 << 20))


async def pings():
    """Each Ping is answered when answers are read, also with the longest payload; and a Pong that was not asked for."""
    async with connect() as ws:
        for payload in (b"", b"x", bytes(125)):
            await asyncio.wait_for(await ws.ping(payload), 10)
        waiters = [await ws.ping(b"%d" % n) for n in range(500)]
        await asyncio.wait_for(asyncio.gather(*waiters), 10)  # the last answer stands for those before
        await ws.pong(b"unasked")
        await echo(ws, b"a")


async def closes():
    """By the client with a code, and without; by the server; and for what a client may not do."""
    for code in (1000, 1001, 3000, 4999):
        ws = await connect()
        await ws.close(code, "reason \u20ac")
        assert ws.close_code == code, ws.close_code
    for code in (1000, 1001, 1002, 1003, 1009, 1011):
        async with connect() as ws:
            await ws.send(b"close %d" % code)
            assert await closed(ws) == code, ws.close_code
    async with connect() as ws:
        await ws.send("text")
        assert await closed(ws) == 1003, ws.close_code
    # unmasked, reserved bits, reserved opcode, a control frame in fragments, a message that goes on without a beginning
    for frame in (b"\x82\x01a", b"\xc2\x81abcda", b"\x83\x81abcda", b"\x09\x80abcd", b"\x80\x81abcda"):
        async with connect() as ws:
            ws.transport.write(frame)
            assert await closed(ws) == 1002, ws.close_code


asyncio.run(globals()[sys.argv[2]]())
