# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What a disk costs, as measure for who writes to it."""

import os
import statistics
import time


def fdatasync_us(folder, times=100):
    """An append of 4 KiB and its fdatasync: microseconds, the median."""
    took = []
    with open(f"{folder}/fdatasync", "wb", buffering=0) as file:
        for _ in range(times):
            begin = time.monotonic()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            took.append(time.monotonic() - begin)
    os.unlink(file.name)
    return statistics.median(took) * 1e6
