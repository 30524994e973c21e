# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""scripts/install into a folder, and the unit that it puts there."""

import os
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree

from harness import build
from harness.suite import SystemTest, roads

EXAMPLE = "share/doc/shunt/examples/no-capabilities.conf"


@roads("off")
class Install(SystemTest):
    """What `make install` does with DESTDIR."""

    def setUp(self):
        super().setUp()
        self.root = tempfile.mkdtemp(prefix="shunt-install-")
        self.addCleanup(shutil.rmtree, self.root)

    def install(self, *arguments):
        environment = {"BUILD": build.BUILD, "DESTDIR": self.root, "PREFIX": "/usr", "SYSCONFDIR": "/etc"}
        subprocess.run([os.path.join(build.TOP, "scripts/install"), *arguments], check=True, env=os.environ | environment)

    def path(self, name):
        return os.path.join(self.root, name)

    def files(self):
        return {os.path.relpath(os.path.join(folder, name), self.root)
                for folder, _, names in os.walk(self.root) for name in names}

    def exposure(self, unit):
        """systemd's score of a unit: 0 is best."""
        if not shutil.which("systemd-analyze"):
            self.skipTest("there is no systemd-analyze")
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
                              stdout=subprocess.PIPE, check=True, text=True)
        return float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)[1])

    def test_files(self):
        """All is there; what the administrator changed stays, also after a removal of the rest."""
        self.install()
        for name in ("usr/sbin/shuntd", "usr/bin/shuntctl", "usr/lib/systemd/system/shunt.service", f"usr/{EXAMPLE}"):
            self.assertIn(name, self.files())
        service = ElementTree.parse(self.path("usr/lib/firewalld/services/shunt.xml")).getroot()
        self.assertEqual([port.get("port") for port in service.iter("port")], ["1883", "8883"])
        kept = ("etc/shunt/shunt.conf", "etc/logrotate.d/shunt")
        for name in kept:
            with open(self.path(name), "a", encoding="utf-8") as file:
                file.write("# mine\n")
        self.install()
        self.install("--remove")
        self.assertEqual(self.files(), set(kept))
        for name in kept:
            with open(self.path(name), encoding="utf-8") as file:
                self.assertTrue(file.read().endswith("# mine\n"))

    def test_exposure(self):
        """What the unit leaves open, as systemd counts it, with the fast path and without any capability."""
        self.install()
        unit = self.path("usr/lib/systemd/system/shunt.service")
        self.assertLess(self.exposure(unit), 3.0)
        # --offline reads no drop-ins: behind the unit, as the last lines of its section, they mean the same
        with open(self.path(f"usr/{EXAMPLE}"), encoding="utf-8") as drop_in, open(unit, "a", encoding="utf-8") as file:
            file.write(drop_in.read())
        self.assertLess(self.exposure(unit), 2.0)
