# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""SCRAM-SHA-256 (RFC 5802, RFC 7677): the client's side, and the line of a server's file for a user."""

import base64
import hashlib
import hmac
import os


def _hmac(key, text):
    return hmac.digest(key, text, "sha256")


def line(user, password, iterations=4096, salt=None):
    """`user:SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`."""
    salt = salt or os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    parts = [base64.b64encode(x).decode() for x in (salt, stored, _hmac(salted, b"Server Key"))]
    return f"{user}:SCRAM-SHA-256${iterations}:{parts[0]}${parts[1]}:{parts[2]}"


class Exchange:
    """One exchange; `spoil` names what to do wrong."""

    def __init__(self, user, password, spoil=None):
        self.user, self.password, self.spoil = user, password, spoil
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        self.first_bare = f"n={user},r={self.nonce}"
        self.signature = None

    def first(self):
        """client-first-message."""
        return f"n,,{self.first_bare}".encode()

    def final(self, server_first):
        """client-final-message, for a server-first-message."""
        text = server_first.decode()
        fields = dict(part.split("=", 1) for part in text.split(","))
        assert fields["r"].startswith(self.nonce) and len(fields["r"]) > len(self.nonce), text
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        nonce = fields["r"] + ("x" if self.spoil == "nonce" else "")
        without_proof = f"c={'eSws' if self.spoil == 'binding' else 'biws'},r={nonce}"
        message = f"{self.first_bare},{text},{without_proof}".encode()
        key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(key).digest(), message)
        self.signature = _hmac(_hmac(salted, b"Server Key"), message)
        proof = bytes(a ^ b for a, b in zip(key, signature))
        if self.spoil == "proof":
            proof = bytes([proof[0] ^ 1]) + proof[1:]
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, server_final):
        """Is the server the one that knows the user?"""
        return server_final == b"v=" + base64.b64encode(self.signature)
