# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""MQTT-SN: what the gateway sends, and what the tests take for right, in the eyes of tshark's dissector."""

import os
import shutil
import struct
import subprocess

from harness import run, sn
from harness.suite import own, roads
from test_sn import SnTest

PORT = 1884
FIELDS = ("mqttsn.msg.type", "mqttsn.topic.id", "mqttsn.msg.id", "mqttsn.return.code", "mqttsn.qos", "mqttsn.topic",
          "mqttsn.client.id", "mqttsn.gw.id")


def pcap(datagrams):
    """A capture of them: from the gateway, or to it."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for n, (to_gateway, payload) in enumerate(datagrams):
        ports = (40000, PORT) if to_gateway else (PORT, 40000)
        udp = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), n, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
        out += struct.pack("<IIII", n, 0, len(ip + udp), len(ip + udp)) + ip + udp
    return out


@roads("off")
class SnWire(SnTest):
    """Each type of packet."""

    def dissect(self, datagrams):
        """The fields of each, in tshark's words."""
        path = f"{run.folder()}/{self.name}.pcap"
        with open(path, "wb") as f:
            f.write(pcap(datagrams))
        command = ["tshark", "-r", path, "-d", f"udp.port=={PORT},mqttsn", "-T", "fields", "-E", "separator=/t",
                   "-e", "_ws.malformed"]
        for field in FIELDS:
            command += ["-e", field]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120,
                              env={**os.environ, "WIRESHARK_RUN_FROM_BUILD_DIRECTORY": ""})
        self.assertEqual(done.returncode, 0, done.stderr)
        return [dict(zip(("malformed", *FIELDS), line.split("\t"))) for line in done.stdout.splitlines()]

    @own
    def test_every_type(self):
        """A client does all there is: every packet of both sides is read as what it was meant."""
        if not shutil.which("tshark"):
            self.skipTest("no tshark")
        self.begin("mqtt_sn_gateway_id 9")
        wire = []
        client = sn.SnClient(self.network, self.port, wire=wire)
        self.addCleanup(client.close)
        pub = self.client("pub")
        client.send(sn.packet(sn.SEARCHGW, b"\1"))
        client.expect(sn.GWINFO)
        client.connect(self.id("c"), will=("w", b"gone", 1, True), duration=60)
        topic_id = client.register("some/topic")
        client.subscribe("other/#", 2)
        client.subscribe("ab", 1, kind=sn.SHORT)
        for qos in range(3):
            client.publish(topic_id, b"payload", qos)
            pub.publish(f"other/{qos}", b"payload" * 50, qos=qos)
            client.receive()
        client.publish(99, b"", 1, code=sn.INVALID_TOPIC)
        for kind in (sn.WILLTOPICUPD, sn.WILLMSGUPD):
            client.send(sn.packet(kind, b"\0w"))
            client.expect(kind + 1)
        client.unsubscribe("ab", kind=sn.SHORT)
        client.sleep(100)
        pub.publish("other/0", b"late")
        pub.ping()
        client.wake()
        client.connect(client.id, clean=False)
        client.disconnect()
        seen = self.dissect(wire)
        self.assertEqual(len(seen), len(wire))
        kinds = set()
        for (to_gateway, datagram), frame in zip(wire, seen):
            got = sn.parse(datagram)
            kinds.add(got.type)
            self.assertEqual(frame["malformed"], "", datagram.hex())
            self.assertEqual(int(frame["mqttsn.msg.type"], 0), got.type, datagram.hex())
            if got.type == sn.REGISTER:
                self.assertEqual(frame["mqttsn.topic"], got.body[4:].decode())
            elif got.type in (sn.REGACK, sn.PUBACK):
                self.assertEqual([int(frame[f], 0) for f in FIELDS[1:4]], list(struct.unpack("!HHB", got.body)))
            elif got.type == sn.GWINFO:
                self.assertEqual((to_gateway, int(frame["mqttsn.gw.id"], 0)), (False, 9))
            elif got.type in (sn.PUBREC, sn.PUBREL, sn.PUBCOMP, sn.UNSUBACK):
                self.assertEqual(int(frame["mqttsn.msg.id"], 0), struct.unpack("!H", got.body)[0])
        self.assertEqual(kinds, set(range(0x01, 0x1E)) - {0x03, 0x11, 0x19})
