# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""shuntctl scram: the file of users, which needs no daemon."""

import base64
import hashlib
import hmac
import os
import re
import resource
import signal
import stat
import subprocess
import time

from harness import build
from harness.client import TIMEOUT
from harness.terminal import Terminal
from harness.users_file import UsersFile

LINE = re.compile(r"(?P<user>[^:]+):SCRAM-SHA-256\$(?P<iterations>\d+):(?P<salt>[^$]+)\$(?P<stored>[^:]+):(?P<server>.+)")
OTHER = b"other:SCRAM-SHA-256$4096:AAAA$%s:%s" % (b"A" * 43 + b"=", b"B" * 42 + b"A=")


class Users(UsersFile):
    """Runs of shuntctl scram; no tests."""

    tool = "scram"

    def scram(self, *arguments, **more):
        """Run it; fast, unless told otherwise."""
        if not any(word.startswith("--") for word in arguments):
            arguments = ("--iterations", "4096", *arguments)
        self.change(*arguments, **more)

    def check(self, line, user, password, iterations=4096):
        """The line is the user's, and fits the password: computed by Python's hashlib."""
        found = LINE.fullmatch(line.decode())
        self.assertTrue(found, line)
        self.assertEqual((found["user"], int(found["iterations"])), (user, iterations))
        salt = base64.b64decode(found["salt"], validate=True)
        self.assertEqual(len(salt), 16)
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        self.assertEqual(base64.b64decode(found["stored"], validate=True), hashlib.sha256(client_key).digest())
        self.assertEqual(base64.b64decode(found["server"], validate=True), hmac.digest(salted, b"Server Key", "sha256"))
        return salt


class Scram(Users):
    """What is written, and what is refused; the password comes from standard input."""

    # ---- what is written

    def test_new_file(self):
        """It is the owner's alone, and has the user with a fresh salt and the default iterations."""
        salts = set()
        for _ in range(2):
            done = subprocess.run(self.command(self.path, "user"), input=b"pencil\n", capture_output=True,
                                  timeout=TIMEOUT)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
            content = self.read()
            self.assertTrue(content.endswith(b"\n"))
            salts.add(self.check(content[:-1], "user", "pencil", 100000))
            os.unlink(self.path)
        self.assertEqual(len(salts), 2)

    def test_names_and_passwords(self):
        """Any characters but control characters; a colon only in the password. CR LF or nothing may end it."""
        for user, password, end in (("a,b=c d", " :#$, ", "\n"), ("J\u00fcrgen", "\u20ac \U0001f600", "\r\n"),
                                    ("x" * 255, "y" * 1023, "\r\n"), ("z", "z", "")):
            self.scram(self.path, user, data=(password + end).encode())
            self.check(self.read().splitlines()[-1], user, password)
        self.assertEqual(len(self.read().splitlines()), 4)

    def test_iterations(self):
        """--iterations, before and behind the other words, within its limits."""
        self.scram("--iterations", "5000", self.path, "user")
        self.check(self.read()[:-1], "user", "pencil", 5000)
        self.scram(self.path, "user", "--iterations=4097")
        self.check(self.read()[:-1], "user", "pencil", 4097)
        before = self.read()
        for wrong in ("4095", "0", "-1", "x", "", "2147483648"):
            self.scram(f"--iterations={wrong}", self.path, "user", status=2,
                       says="shuntctl: --iterations takes a number from 4096 to 2147483647\n"
                            "Try 'shuntctl --help'.\n")
        self.assertEqual(self.read(), before)

    def test_replace(self):
        """The user's line is replaced where it stands; every other byte stays."""
        head, tail = b"# users\r\n\r\n\xff what is this\n", b"\n" + OTHER + b"\r\nuserx:\nuser :\n  user:\n#user:\n\nend"
        self.write(head + b"user:old\r\n" + tail)
        self.scram(self.path, "user")
        content = self.read()
        self.assertTrue(content.startswith(head) and content.endswith(b"\n" + tail), content)
        self.check(content[len(head):-len(tail) - 1], "user", "pencil")

    def test_replace_all(self):
        """A file that has the user more than once has him once afterwards."""
        self.write(b"user:1\n" + OTHER + b"\nuser:2\nuser:3")
        self.scram(self.path, "user")
        first, rest = self.read().split(b"\n", 1)
        self.check(first, "user", "pencil")
        self.assertEqual(rest, OTHER + b"\n")

    def test_append(self):
        """A new user comes last, also where the last line had no end."""
        self.write(OTHER)
        self.scram(self.path, "user")
        lines = self.read().split(b"\n")
        self.assertEqual((lines[0], lines[2:]), (OTHER, [b""]))
        self.check(lines[1], "user", "pencil")

    def test_delete(self):
        """--delete takes the user's lines away and no others, and says when there is none."""
        self.write(b"user:1\n" + OTHER + b"\n#user:\nuser:2")
        self.scram("--delete", self.path, "user", data=None)
        self.assertEqual(self.read(), OTHER + b"\n#user:\n")
        missing = f'shuntctl: there is no user "user" in {self.path}\n'
        self.scram("--delete", self.path, "user", data=None, status=1, says=missing)
        self.assertEqual(self.read(), OTHER + b"\n#user:\n")
        os.unlink(self.path)
        self.scram("--delete", self.path, "user", data=None, status=1, says=missing)
        self.assertFalse(os.listdir(self.folder))

    # ---- the file as others see it

    def test_permissions(self):
        """Owner, group and their permissions stay; those of others go."""
        owner = (os.geteuid() or 12345, os.getegid() or 12346)
        for before, after in ((0o644, 0o640), (0o600, 0o600), (0o666, 0o660), (0o440, 0o440)):
            self.write(b"")
            os.chown(self.path, *owner)
            os.chmod(self.path, before)
            self.scram(self.path, "user")
            now = os.stat(self.path)
            self.assertEqual((now.st_uid, now.st_gid, oct(stat.S_IMODE(now.st_mode))), (*owner, oct(after)))
            os.unlink(self.path)

    def test_link(self):
        """A symbolic link stays one; what it points to is replaced. One that leads nowhere is not followed."""
        self.write(OTHER + b"\n")
        link = f"{self.folder}/link"
        os.symlink("users", link)
        self.scram(link, "user")
        self.assertTrue(os.path.islink(link))
        self.assertEqual(len(self.read().splitlines()), 2)
        os.unlink(self.path)
        self.scram(link, "user", status=1, says=f"shuntctl: {link} cannot be changed: No such file or directory\n")
        self.assertEqual(os.listdir(self.folder), ["link"])

    def test_old_or_new(self):
        """Whoever has the old file open goes on seeing it: it is not written to."""
        self.write(OTHER + b"\n")
        with open(self.path, "rb") as old:
            self.scram(self.path, "user")
            self.assertEqual(old.read(), OTHER + b"\n")
        self.assertEqual(len(self.read().splitlines()), 2)

    def test_no_room(self):
        """When it cannot be written as a whole, the old one stays and nothing else is left behind."""
        content = (OTHER + b"\n") * 100
        self.write(content)

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(content), len(content)))

        self.scram(self.path, "user", status=1, preexec_fn=limit,
                   says=f"shuntctl: {self.path} cannot be changed: File too large\n")
        self.assertEqual(self.read(), content)

    def test_not_a_file(self):
        """A folder, a device, a path that leads nowhere."""
        os.mkdir(f"{self.folder}/sub")
        for path, why in ((f"{self.folder}/sub", "Is a directory"), ("/dev/null", "Invalid argument"),
                          (f"{self.folder}/no/users", "No such file or directory"),
                          (f"{self.folder}/{'x' * 256}", "File name too long")):
            self.scram(path, "user", status=1, says=f"shuntctl: {path} cannot be changed: {why}\n")
        self.assertTrue(stat.S_ISCHR(os.stat("/dev/null").st_mode))
        self.assertEqual(os.listdir(self.folder), ["sub"])

    def test_at_once(self):
        """Several at the same time: nobody is lost."""
        running = [subprocess.Popen(self.command("--iterations", "4096", self.path, f"user{n}"), stdin=subprocess.PIPE)
                   for n in range(12)]
        for n, process in enumerate(running):
            process.communicate(b"password %d" % n, TIMEOUT)
            self.assertEqual(process.returncode, 0)
        lines = {line.split(b":")[0].decode(): line for line in self.read().splitlines()}
        self.assertEqual(len(lines), 12)
        for n in range(12):
            self.check(lines[f"user{n}"], f"user{n}", f"password {n}")

    # ---- what is refused

    def test_refused_passwords(self):
        """From standard input: what no client could send, or nobody can have meant."""
        for data, why in ((b"", "is empty"), (b"\n", "is empty"), (b"a\nb\n", "is more than one line"),
                          (b"a\0b", "has a NUL byte"), (b"a\tb", "has a control character"), (b"\xff", "is not UTF-8 as MQTT allows it"),
                          (b"x" * 1024, "is longer than 1023 bytes"), (b"x" * 99999, "is longer than 1023 bytes")):
            self.scram(self.path, "user", data=data, status=1, says=f"shuntctl: the password {why}\n")
        self.assertFalse(os.listdir(self.folder))

    def test_refused_names(self):
        """What the file could not tell from something else."""
        for user, why in (("", "is empty"), ("a:b", "has a colon"), ("#a", "begins with a #, as comments do"),
                          (" a", "begins or ends with a blank"), ("a ", "begins or ends with a blank"),
                          ("a\nb", "has a control character"), ("\udcff", "is not UTF-8 as MQTT allows it"),
                          ("x" * 256, "is longer than 255 bytes")):
            for option in ((), ("--delete",)):
                self.scram(*option, self.path, user, status=1, says=f"shuntctl: the user name {why}\n")
        self.assertFalse(os.listdir(self.folder))

    def test_command_line(self):
        """Words that are missing, too many, or belong to other commands."""
        end = "Try 'shuntctl --help'.\n"
        for arguments, why in (
                (["scram"], 'write "scram FILE USER"'),
                (["scram", self.path], 'write "scram FILE USER"'),
                (["scram", self.path, "user", "pencil"], 'write "scram FILE USER"'),
                (["scram", "--delete", "--iterations", "5000", self.path, "user"], "either --delete or --iterations"),
                (["-s", "x", "scram", self.path, "user"], "-s does not go with scram"),
                (["--json", "scram", self.path, "user"], "--json does not go with scram"),
                (["--delete", "stats"], "--delete does not go with stats"),
                (["--iterations", "5000", "stats"], "--iterations does not go with stats")):
            done = subprocess.run([f"{build.BUILD}/shuntctl", *arguments], input=b"pencil", capture_output=True,
                                  timeout=TIMEOUT)
            self.assertEqual((done.returncode, done.stdout, done.stderr.decode()), (2, b"", f"shuntctl: {why}\n{end}"))
        self.assertFalse(os.listdir(self.folder))


class ScramTerminal(Users):
    """The password from a terminal."""

    def ask(self, first, second):
        """Answer both times; the terminal as it was at the end, and the exit status."""
        terminal = Terminal(self, self.command("--iterations", "4096", self.path, "user"))
        terminal.answer(b"Password for user: ", first)
        terminal.answer(b"Password for user: ", second)
        return terminal, terminal.finish()

    def test_asked_twice(self):
        """It is asked for twice and not shown, and the terminal is put right again."""
        terminal, status = self.ask(b"pencil\n", b"pencil\n")
        self.assertEqual(status, 0, terminal.output)
        self.assertNotIn(b"pencil", terminal.output)
        self.assertTrue(terminal.echo)
        self.check(self.read()[:-1], "user", "pencil")

    def test_not_the_same(self):
        """Two that differ change nothing."""
        self.write(OTHER + b"\n")
        terminal, status = self.ask(b"pencil\n", b"pencils\n")
        self.assertEqual(status, 1)
        self.assertIn(b"shuntctl: the password was not given twice", terminal.output)
        self.assertEqual(self.read(), OTHER + b"\n")

    def test_interrupted(self):
        """Ctrl-C at the question ends it, changes nothing and puts the terminal right again."""
        terminal = Terminal(self, self.command(self.path, "user"))
        terminal.answer(b"Password for user: ", b"penc\x03")
        # A signal that comes just before it waits for keys is noted, but does not keep it from waiting.
        deadline = time.monotonic() + TIMEOUT
        while terminal.process.poll() is None and time.monotonic() < deadline:
            terminal.type(b"\x03")
            time.sleep(0.1)
        self.assertNotEqual(terminal.finish(), 0)
        self.assertTrue(terminal.echo)
        self.assertFalse(os.listdir(self.folder))
