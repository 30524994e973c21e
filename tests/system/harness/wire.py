# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
What the broker sends in a run, kept for the eyes of others: a capture of the TCP connections for tshark's dissector,
and the bytes that clients received, which on the local road cross no TCP, for mqtt-packet. Each keeps the beginning, up
to a bound, of what a class of tests and of what a connection gets.
"""

import contextlib
import glob
import itertools
import os
import shutil
import struct
import subprocess
import time

from . import build, network, run
from . import packets as p

CAPTURE_KB = 3000
RECORD_BYTES, RECORD_ALL_BYTES = 1 << 18, 1 << 24
PORTS = 100  # of a class of tests
# Frames where the dissector stumbles over what came from the daemon's side.
WRONG = 'tcp.srcport < 30000 && (_ws.malformed || (mqtt && _ws.expert.severity == "Error"))'
LOST = "tcp.analysis.lost_segment || tcp.analysis.ack_lost_segment"  # the capture has not all of the stream


def no_tshark():
    """Why there is no capture, or None."""
    if not shutil.which("dumpcap") or not shutil.which("tshark"):
        return "no tshark: install tshark"
    if os.geteuid() != 0:
        return "needs root to capture"
    return "a sanitizer makes it slow" if build.sanitized() else None


def no_mqtt_packet():
    """Why mqtt-packet is not asked, or None."""
    if not shutil.which("node"):
        return "no node: install nodejs"
    return None if os.path.exists(f"{build.NODE_MODULES}/mqtt-packet") else "no mqtt-packet: run scripts/setup check"


@contextlib.contextmanager
def kept(unit, namespaces):
    """For the time of the block, in a process of its own."""
    end, capture = _record(f"{_folder()}/{unit.module}.{unit.klass}-{unit.road}.wire"), None
    # Loopback only: between namespaces two processors bring the segments into another order, and the dissector then puts
    # together packets that nobody sent.
    if unit.road == "off" and not unit.reference and not no_tshark():
        low = 10000 + os.getpid() % 200 * PORTS
        network.PORTS = low, low + PORTS
        capture = _capture(f"{_folder()}/{low}-{unit.module}.{unit.klass}-{unit.road}.pcapng", namespaces)
    try:
        yield
    finally:
        end()
        if capture:  # it reads what the kernel has for it every 250 ms
            subprocess.Popen(["sh", "-c", f"sleep 1; kill {capture.pid} 2>/dev/null"], start_new_session=True)


def _folder():
    folder = f"{run.folder()}/wire"
    os.makedirs(folder, exist_ok=True)
    return folder


def _capture(path, namespaces):
    """A dumpcap that has begun."""
    low, below = network.PORTS
    command = ["dumpcap", "-q", "-i", "any" if namespaces else "lo", "-f", f"tcp portrange {low}-{below - 1}",
               "-B", "16", "-a", f"filesize:{CAPTURE_KB}", "-w", path]
    if namespaces:
        command = network.Network(daemon_ns=namespaces.daemon_ns).daemon_command(command)
    with open(f"{path}.log", "w+") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while "File:" not in _text(log.name) and process.poll() is None:
            time.sleep(0.005)
    return process


def _text(path):
    with open(path, errors="replace") as file:
        return file.read()


def _record(path):
    """Keep what the parsers of this process are fed with: records of connection, version, length and bytes. Returns
    what ends it."""
    feed, numbers, sink = p.Parser.feed, itertools.count(), open(path, "ab", buffering=1 << 16)

    def recorded(parser, data):
        if not hasattr(parser, "number"):
            parser.number, parser.recorded = next(numbers), 0
        if parser.recorded < RECORD_BYTES and sink.tell() < RECORD_ALL_BYTES:
            sink.write(struct.pack("!IBI", parser.number, parser.version, len(data)) + data)
            parser.recorded += len(data)
        else:
            parser.recorded = RECORD_BYTES  # a gap would make nonsense of the rest
        feed(parser, data)

    def end():
        p.Parser.feed = feed
        sink.close()

    p.Parser.feed = recorded
    return end


def opinions():
    """[(whose, what is wrong, why it was not asked)]: the last two are empty or None when all is well."""
    return [("tshark", *_ask(no_tshark(), _tshark)), ("mqtt-packet", *_ask(no_mqtt_packet(), _mqtt_packet))]


def _ask(reason, question):
    return ("", reason) if reason else (question(), None)


def _tshark():
    _await_captures()
    files = sorted(glob.glob(f"{_folder()}/*.pcapng"))
    if not files:
        return ""
    merged = f"{_folder()}/all"
    subprocess.run(["mergecap", "-a", "-w", merged, *files], check=True, stderr=subprocess.DEVNULL)
    wrong = _frames(merged, WRONG, "tcp.stream", "tcp.srcport", "_ws.expert.message", "_ws.col.Info", "tcp.payload")
    if wrong:
        lost = {stream for stream, in _frames(merged, LOST, "tcp.stream")}
        wrong = [fields for fields in wrong if fields[0] not in lost]
    units = {int(os.path.basename(name).split("-")[0]): os.path.basename(name) for name in files}
    return "\n".join(f"{units.get(int(fields[1]) // PORTS * PORTS)}: {' '.join(fields)[:300]}" for fields in wrong[:20])


def _frames(path, which, *fields):
    """The fields of the frames that a display filter selects."""
    command = ["tshark", "-n", "-r", path, "-d", "tcp.port==10000-29999,mqtt", "-Y", which, "-T", "fields",
               "-E", "separator=|", *(word for field in fields for word in ("-e", field))]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=True)
    return [line.split("|") for line in done.stdout.splitlines()]


def _await_captures():
    """The last ones are about to end."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(_name(pid) == "dumpcap" for pid in run.processes()):
        time.sleep(0.05)


def _name(pid):
    with contextlib.suppress(OSError):
        return _text(f"/proc/{pid}/comm").strip()
    return ""


def _mqtt_packet():
    files = sorted(glob.glob(f"{_folder()}/*.wire"))
    done = subprocess.run(["node", f"{build.HERE}/second_opinion.js", *files], capture_output=True, text=True,
                          env={**os.environ, "NODE_PATH": build.NODE_MODULES})
    return "" if done.returncode == 0 else done.stdout + done.stderr
