# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Time as the daemon sees it: a delayed will that comes says that so many seconds have passed there."""

from . import packets as p
from . import properties as pr


class Clock:
    """Started now; wait() returns when the seconds are over on the daemon's clock."""

    count = 0

    def __init__(self, test, seconds, daemon=None):
        Clock.count += 1
        name = f"clock{Clock.count}"
        self.topic = topic = test.topic(name)
        self.watch = test.client(f"{name}-watch", daemon, level=4, record=False)
        self.watch.subscribe(topic)
        client = test.client(name, daemon, level=5, expiry=seconds + 60, will=(topic, b"now", 0, False),
                             will_props=[(pr.WILL_DELAY, seconds)], record=False)
        client.disconnect(0x04)

    def wait(self):
        """Until then."""
        self.watch.expect(p.PUBLISH)
        self.watch.disconnect()
