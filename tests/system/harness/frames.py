# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""TCP and UDP packets of whatever addresses, sent as they are by a raw socket."""

import socket
import struct

from .network import inside

SYN, ACK = 2, 16


def _sum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def tcp(source, destination, source_port, port, flags=SYN, seq=1, data=b""):
    """An IPv4 packet with TCP in it."""
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    header = struct.pack("!HHLLBBHHH", source_port, port, seq, 0, 5 << 4, flags, 0xffff, 0, 0)
    check = _sum(addresses + struct.pack("!HH", 6, len(header) + len(data)) + header + data)
    segment = header[:16] + struct.pack("!H", check) + header[18:] + data
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, 6, 0) + addresses
    return ip[:10] + struct.pack("!H", _sum(ip)) + ip[12:] + segment


class Sender:
    """Sends packets out of a network namespace."""

    def __init__(self, namespace, destination):
        self.destination = destination
        with inside(namespace):
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def send(self, packets):
        """All of them, as fast as they go."""
        for packet in packets:
            self.sock.sendto(packet, (self.destination, 0))

    def close(self):
        """The end."""
        self.sock.close()
