# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A disk in trouble under a daemon: see tests/faults/disk.h, of which this is the other side."""

import mmap
import os
import struct

from . import build

# struct disk_control: offset and form of its members
MEMBERS = {
    "calls": (0, "Q"), "syncs": (8, "Q"), "failed": (16, "Q"), "die_at": (24, "Q"), "die_of": (32, "I"),
    "die_late": (36, "I"), "write_error": (40, "I"), "sync_error": (44, "I"), "open_error": (48, "I"),
    "sync_ms": (52, "I"), "slow": (56, "Q"), "record": (64, "I"),
}
SIZE = 72
ENTRY = struct.Struct("IIQQ64s")
ALL, SYNCS = 0, 1  # enum disk_count
CREATE, WRITE, RESIZE, SYNC, UNLINK, RENAME, SYNC_FOLDER = range(7)  # enum disk_kind


class Disk:
    """Takes the place of the disk under a daemon that is not started yet, for the files in `folder`: its store's. The
    members of the page are attributes."""

    def __init__(self, daemon, folder=None):
        page = f"{daemon.dir}/disk"
        fd = os.open(page, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(fd, SIZE)
            page_map = mmap.mmap(fd, SIZE)
        finally:
            os.close(fd)
        self.__dict__.update(page=page_map, path=page)
        daemon.environment |= build.preloaded("disk") | {"SHUNT_DISK_FOLDER": folder or f"{daemon.dir}/store",
                                                         "SHUNT_DISK_PAGE": page}

    def __getattr__(self, name):
        if name not in MEMBERS:
            raise AttributeError(name)
        offset, form = MEMBERS[name]
        return struct.unpack_from(form, self.page, offset)[0]

    def __setattr__(self, name, value):
        offset, form = MEMBERS[name]
        struct.pack_into(form, self.page, offset, value)

    def fail(self, write=0, sync=0, opening=0):
        """From now on calls fail with these errors; 0: they do not."""
        self.write_error, self.sync_error, self.open_error = write, sync, opening

    def die(self, after, of=ALL, late=False):
        """The daemon's last call is the one behind the next `after` ones; it is carried out if `late`."""
        self.die_at, self.die_of, self.die_late = 0, of, int(late)
        self.die_at = (self.syncs if of == SYNCS else self.calls) + after + 1

    def live(self):
        """No call is the last one."""
        self.die_at = 0

    def journal(self):
        """What was done since the daemon started: (kind, file, name) of each call."""
        with open(f"{self.path}.journal", "rb") as journal:
            data = journal.read()
        done, at = [], 0
        while at + ENTRY.size <= len(data):
            kind, length, number, _, name = ENTRY.unpack_from(data, at)
            done.append((kind, number, name.partition(b"\0")[0].decode()))
            at += ENTRY.size + length
        return done
