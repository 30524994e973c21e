# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
What can be between a client's socket and MQTT: TLS of Python's ssl, which is OpenSSL's, and a WebSocket that does what
RFC 6455 says and no more. Both are used like a socket.
"""

import base64
import hashlib
import os
import select
import socket
import ssl
import struct
import subprocess
import tempfile

from . import run

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KINDS = ("tls", "websockets", "websockets over tls")


class Authority:
    """A certificate authority with files of its own, made by openssl(1)."""

    def __init__(self, name="ca"):
        self.folder = tempfile.mkdtemp(prefix=f"{name}-", dir=run.folder())
        os.chmod(self.folder, 0o755)
        self.cafile, self.serials = f"{self.folder}/ca.crt", 0
        self._request("ca", "-x509", "-days", "2", "-subj", f"/CN={name}", "-out", self.cafile,
                      "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign,cRLSign")
        self._write("index", "")
        self._write("openssl.cnf", f"""
[ca]
default_ca = this
[this]
database = {self.folder}/index
certificate = {self.cafile}
private_key = {self.folder}/ca.key
default_md = sha256
default_crl_days = 2
""")
        self.crlfile = f"{self.folder}/ca.crl"
        self._list()

    def _write(self, name, text):
        with open(f"{self.folder}/{name}", "w") as file:
            file.write(text)

    def _run(self, *arguments):
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, cwd=self.folder)
        assert done.returncode == 0, done.stderr

    def _request(self, name, *arguments):
        self._run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", *arguments)
        os.chmod(f"{self.folder}/{name}.key", 0o644)  # the daemon gives up root, and reads it again at a reload

    def _list(self):
        self._run("ca", "-config", "openssl.cnf", "-gencrl", "-out", self.crlfile)

    def certificate(self, name, subject=None, names="DNS:localhost,IP:127.0.0.1", usage="serverAuth,clientAuth"):
        """A new certificate and its key: two paths."""
        self._request(name, "-subj", subject or f"/CN={name}", "-out", f"{name}.csr")
        self._write(f"{name}.ext", f"subjectAltName={names}\nextendedKeyUsage={usage}\n")
        self.serials += 1
        self._run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "2", "-set_serial",
                  str(self.serials), "-extfile", f"{name}.ext", "-out", f"{name}.crt")
        return f"{self.folder}/{name}.crt", f"{self.folder}/{name}.key"

    def revoke(self, certificate):
        """Put it on the list."""
        self._run("ca", "-config", "openssl.cnf", "-revoke", certificate)
        self._list()


def client_context(cafile=None, certificate=None):
    """What a client needs to know: which CA to trust, and its own certificate and key."""
    context = ssl.create_default_context(cafile=cafile)
    if certificate:
        context.load_cert_chain(*certificate)
    return context


def wrap_tls(sock, context, name="localhost", session=None):
    """TLS over a socket, which is closed if that fails."""
    sock.settimeout(20)
    try:
        return context.wrap_socket(sock, server_hostname=name, session=session)
    except (OSError, ssl.SSLError):
        sock.close()
        raise


class Refused(ConnectionError):
    """The server did not switch to WebSocket: its status line."""


class WebSocket:
    """The client's side; messages are cut as the caller's sendall() are."""

    def __init__(self, sock, path="/mqtt", protocols="mqtt", headers=(), early=b""):
        self.sock, self.stream, self.frames = sock, bytearray(), []
        self.closed = None  # the code of the server's Close
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *headers]
        if protocols:
            lines.append(f"Sec-WebSocket-Protocol: {protocols}")
        self.sock.settimeout(20)
        try:
            self.sock.sendall("\r\n".join([*lines, "", ""]).encode() + early)
            self._response(key)
        except (OSError, Refused):
            self.sock.close()
            raise

    def _response(self, key):
        raw = bytearray()
        while b"\r\n\r\n" not in raw:
            data = self.sock.recv(4096)
            if not data:
                raise Refused("closed")
            raw += data
        head, rest = bytes(raw).split(b"\r\n\r\n", 1)
        status, *fields = head.decode().split("\r\n")
        self.fields = {name.lower(): value.strip() for name, value in (field.split(":", 1) for field in fields)}
        if " 101 " not in status:
            raise Refused(status)
        accept = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        assert self.fields["sec-websocket-accept"] == base64.b64encode(accept).decode(), self.fields
        self.raw = bytearray(rest)
        self._take()

    # ---- sending

    def send_frame(self, opcode, data=b"", fin=True, masked=True, reserved=0):
        """One frame."""
        first = bytes([(fin << 7) | (reserved << 4) | opcode])
        mask = os.urandom(4)
        size, bit = len(data), masked << 7
        if size < 126:
            head = bytes([bit | size])
        elif size < 1 << 16:
            head = bytes([bit | 126]) + struct.pack(">H", size)
        else:
            head = bytes([bit | 127]) + struct.pack(">Q", size)
        if masked:
            whole = (mask * (size // 4 + 1))[:size]
            data = mask + (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(size, "big")
        self.sock.sendall(first + head + data)

    def sendall(self, data):
        """A message with these bytes."""
        self.send_frame(BINARY, data)

    # ---- receiving

    def _take(self):
        """Take the frames that have come whole."""
        while len(self.raw) >= 2:
            first, size, at = self.raw[0], self.raw[1], 2
            assert not size & 0x80, "a masked frame from the server"
            if size >= 126:
                at += 2 if size == 126 else 8
                if len(self.raw) < at:
                    return
                size = int.from_bytes(self.raw[2:at], "big")
            if len(self.raw) < at + size:
                return
            payload = bytes(self.raw[at:at + size])
            del self.raw[:at + size]
            self.frames.append((first & 15, payload))
            if first & 15 in (BINARY, CONTINUATION):
                self.stream += payload
            elif first & 15 == CLOSE:
                self.closed = int.from_bytes(payload[:2], "big") if payload else 0

    def recv(self, size):
        """Bytes of MQTT; b"" at the end, which the Close or the socket tells."""
        while not self.stream and self.closed is None:
            data = self.sock.recv(1 << 16)
            if not data:
                return b""
            self.raw += data
            self._take()
        data = bytes(self.stream[:size])
        del self.stream[:size]
        return data

    def control(self):
        """The next frame that is not of a message: opcode and payload."""
        while True:
            for i, (opcode, payload) in enumerate(self.frames):
                if opcode >= CLOSE:
                    del self.frames[:i + 1]
                    return opcode, payload
            data = self.sock.recv(1 << 16)
            assert data, "the end instead of a control frame"
            self.raw += data
            self._take()

    def pending(self):
        """Is there something that poll() would not tell of?"""
        return len(self.stream) or self.closed is not None or pending(self.sock)

    def __getattr__(self, name):
        return getattr(self.sock, name)


def pending(sock):
    """Has it been read from the kernel, but not by the caller?"""
    return sock.pending() if hasattr(sock, "pending") else 0


def half_close(sock):
    """Send FIN and keep reading. Not by SSLSocket.shutdown(), which forgets about TLS."""
    if isinstance(sock, WebSocket):
        sock = sock.sock
    socket.socket.shutdown(sock, socket.SHUT_WR)


def readable(sock, milliseconds):
    """Does something come within that time? Not by select(), for tests with more than 1024 files open."""
    if pending(sock):
        return True
    waiting = select.poll()
    waiting.register(sock.fileno(), select.POLLIN)
    return bool(waiting.poll(milliseconds))


class Kind:
    """One of KINDS for all daemons of a run: lines for their configuration, and sockets for their clients."""

    def __init__(self, kind):
        assert kind in KINDS, kind
        self.websockets, self.context, self.lines = kind.startswith("websockets"), None, []
        if self.websockets:
            self.lines.append("protocol websockets")
        if kind.endswith("tls"):
            authority = Authority()
            certfile, keyfile = authority.certificate("server")
            self.lines += [f"certfile {certfile}", f"keyfile {keyfile}"]
            self.context = client_context(authority.cafile)

    def wrap(self, sock):
        """The socket of a client, connected."""
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context:
            sock = wrap_tls(sock, self.context)
        return WebSocket(sock) if self.websockets else sock
