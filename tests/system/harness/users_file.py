# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Files of users and their passwords, which shuntctl changes."""

import os
import shutil
import subprocess
import tempfile

from . import build, run
from .client import TIMEOUT
from .suite import SystemTest


class UsersFile(SystemTest):
    """Runs of shuntctl on such a file; no tests."""

    own_daemon = True
    roads = ("off",)
    tool = None  # the command of shuntctl

    def setUp(self):
        super().setUp()
        if self.reference:
            self.skipTest("the reference has tools of its own")
        self.folder = tempfile.mkdtemp(prefix=f"{self.tool}-", dir=run.folder())
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = f"{self.folder}/users"

    def command(self, *arguments):
        """The command line."""
        return [f"{build.BUILD}/shuntctl", self.tool, *arguments]

    def change(self, *arguments, data=b"pencil\n", status=0, says="", **popen):
        """Run it; what it says on stderr is compared as a whole."""
        done = subprocess.run(self.command(*arguments), input=data, capture_output=True, timeout=TIMEOUT, **popen)
        self.assertEqual(done.stderr.decode(), says)
        self.assertEqual((done.returncode, done.stdout), (status, b""))

    def write(self, content, mode=0o600):
        """Make the file."""
        with open(self.path, "wb") as users:
            users.write(content)
        os.chmod(self.path, mode)

    def read(self):
        """The file; nothing else may be beside it."""
        self.assertEqual(set(os.listdir(self.folder)) - {"link"}, {os.path.basename(self.path)})
        with open(self.path, "rb") as users:
            return users.read()
