# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""MQTT.js, which scripts/setup takes from npm."""

import os
import shutil
import subprocess
import unittest

from harness import build
from harness.suite import SystemTest


class MqttJs(SystemTest):
    """A program that uses what MQTT.js can."""

    def why_not(self):
        """Why it cannot run, or None."""
        if not shutil.which("node"):
            return "no node: install nodejs"
        return None if os.path.exists(f"{build.NODE_MODULES}/mqtt") else "no MQTT.js: run scripts/setup check"

    def test_mqttjs(self):
        """Versions 3.1, 3.1.1 and 5.0: each QoS both ways, retained, will; in 5.0 properties, topic aliases both ways,
        request and response, a session that waits."""
        if reason := self.why_not():
            raise unittest.SkipTest(reason)
        command = ["node", f"{build.HERE}/mqttjs.js", self.network.address, str(self.daemon.port), self.name]
        process = subprocess.Popen(self.network.client_command(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, env={**os.environ, "NODE_PATH": build.NODE_MODULES})
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        out, err = process.communicate(timeout=self.limit)
        self.assertEqual((out, err, process.returncode), ("ok\n", "", 0))
