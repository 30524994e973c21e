# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""shuntctl passwd: the password file, which mosquitto and mosquitto_passwd understand."""

import base64
import hashlib
import os
import re
import resource
import signal
import stat
import subprocess

from harness import build
from harness.client import TIMEOUT
from harness.daemon import Daemon
from harness.terminal import Terminal
from harness.users_file import UsersFile

END = "Try 'shuntctl --help'.\n"
OTHER = b"other:$7$101$UH0xOIlk+gPfHcJJ$" \
        b"oS00hbe89Vd5fx+pylj/Ax0hTjzxr4IUNY6ZrOU2eMTRF1ndtFcvRhCyLDrGD0j9jXnvl98jofk9MR/XGvN/pg=="  # secret
ARGON2ID = re.compile(r"[^:]+:\$argon2id\$v=19\$m=47104,t=1,p=1\$[A-Za-z0-9+/]{86}\$[A-Za-z0-9+/]{86}")


class Passwords(UsersFile):
    """Runs of shuntctl passwd; no tests."""

    tool = "passwd"

    def check(self, line, user, password, kind="7", iterations=1000):
        """The line is the user's, and fits the password: computed by Python's hashlib. Returns the salt."""
        name, text = line.decode().split(":")
        words = text.split("$")
        self.assertEqual((name, words[:2]), (user, ["", kind]))
        salt, want = (base64.b64decode(word, validate=True) for word in words[-2:])
        self.assertEqual(len(salt), 12)
        password = password if isinstance(password, bytes) else password.encode()
        if kind == "6":
            self.assertEqual(len(words), 4)
            self.assertEqual(want, hashlib.sha512(password + salt).digest())
        else:
            self.assertEqual((len(words), words[2]), (5, str(iterations)))
            self.assertEqual(want, hashlib.pbkdf2_hmac("sha512", password, salt, iterations))
        return salt

    def peer(self):
        """The paths of mosquitto and mosquitto_passwd."""
        broker = build.mosquitto()
        if not broker:
            self.skipTest("there is no mosquitto broker: scripts/setup check")
        return broker, os.path.join(os.path.dirname(os.path.dirname(broker)), "bin/mosquitto_passwd")

    def mosquitto_passwd(self, *arguments):
        """Run it; its status must be 0."""
        done = subprocess.run([self.peer()[1], *arguments], capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual(done.returncode, 0, done.stderr)


class Passwd(Passwords):
    """What is written, and what is refused."""

    # ---- what is written

    def test_new_file(self):
        """-c makes it; it is the owner's alone, and has the user with a fresh salt and the default iterations."""
        salts = set()
        for _ in range(2):
            self.change("-c", self.path, "user")
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
            content = self.read()
            self.assertTrue(content.endswith(b"\n"))
            salts.add(self.check(content[:-1], "user", "pencil"))
            os.unlink(self.path)
        self.assertEqual(len(salts), 2)

    def test_create(self):
        """-c begins anew where there is a file, with its owner and permissions. Without -c there must be one."""
        self.change(self.path, "user", status=1,
                    says=f"shuntctl: {self.path} cannot be changed: No such file or directory; -c makes a new one\n")
        self.assertFalse(os.listdir(self.folder))
        self.write(OTHER + b"\n# comment\n", 0o640)
        self.change("-c", self.path, "user")
        self.check(self.read()[:-1], "user", "pencil")
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o640)

    def test_kinds(self):
        """-H and -I, short and long, in front and behind."""
        self.write(b"")
        self.change("-H", "sha512", self.path, "a")
        self.change(self.path, "b", "--hash=sha512-pbkdf2", "--iterations=101")
        self.change("-I", "1", self.path, "c")
        self.change("-H", "argon2id", self.path, "d")
        lines = self.read().splitlines()
        self.assertEqual(len(lines), 4)
        self.check(lines[0], "a", "pencil", "6")
        self.check(lines[1], "b", "pencil", iterations=101)
        self.check(lines[2], "c", "pencil", iterations=1)
        self.assertRegex(lines[3].decode(), ARGON2ID)

    def test_batch(self):
        """-b takes the password from the command line, whatever characters it has."""
        self.change("-b", "-c", self.path, "user", " :$#\t\u20ac", data=None)
        self.check(self.read()[:-1], "user", " :$#\t\u20ac")

    def test_names_and_passwords(self):
        """Any name without a colon and control characters, any bytes for a password. CR LF or nothing may end it."""
        self.write(b"")
        for user, password, end in (("a,b=c d", b" :#$, ", b"\n"), ("J\u00fcrgen", b"\xff\x01\t", b"\r\n"),
                                    ("x" * 65535, b"y" * 65535, b"\r\n"), ("z", b"z", b"")):
            self.change(self.path, user, data=password + end)
            self.check(self.read().splitlines()[-1], user, password)
        self.assertEqual(len(self.read().splitlines()), 4)

    def test_replace(self):
        """The user's line is replaced where it stands, further ones go, and every other byte stays."""
        head, tail = b"# users\r\n\r\n\xff what is this\n", b"\n" + OTHER + b"\r\nuserx:\n#user:\nuser\n\nend"
        self.write(head + b" user : old\r\n" + tail + b"\nuser:older\n")
        self.change(self.path, "user")
        content = self.read()
        self.assertTrue(content.startswith(head) and content.endswith(b"\n" + tail + b"\n"), content)
        self.check(content[len(head):-len(tail) - 2], "user", "pencil")

    def test_append(self):
        """A new user comes last, also where the last line had no end."""
        self.write(OTHER)
        self.change(self.path, "user")
        lines = self.read().split(b"\n")
        self.assertEqual((lines[0], lines[2:]), (OTHER, [b""]))
        self.check(lines[1], "user", "pencil")

    def test_delete(self):
        """-D takes the user's lines away and no others, and says when there is none."""
        self.write(b"user:1\n" + OTHER + b"\n#user:\n user : 2")
        self.change("-D", self.path, "user", data=None)
        self.assertEqual(self.read(), OTHER + b"\n#user:\n")
        self.change("--delete", self.path, "user", data=None, status=1,
                    says=f'shuntctl: there is no user "user" in {self.path}\n')
        self.assertEqual(self.read(), OTHER + b"\n#user:\n")
        os.unlink(self.path)
        missing = f"shuntctl: {self.path} cannot be changed: No such file or directory\n"
        self.change("-D", self.path, "user", data=None, status=1, says=missing)
        self.change("-U", self.path, data=None, status=1, says=missing)
        self.change("-c", f"{self.folder}/no/users", "user", status=1, says=missing.replace("/users", "/no/users"))
        self.assertFalse(os.listdir(self.folder))

    def test_upgrade(self):
        """-U hashes what is no hash yet, and leaves all else as it is."""
        self.write(b"# comment: this\r\n\n user : pa ss:word \r\n" + OTHER + b"\nno colon\nlast:$100", 0o640)
        self.change("-U", self.path, data=None)
        content = self.read()
        lines = content.split(b"\n")
        self.assertEqual([lines[0], lines[1], lines[3], lines[4]], [b"# comment: this\r", b"", OTHER, b"no colon"])
        self.assertTrue(lines[2].startswith(b" user : $7$1000$") and lines[2].endswith(b" \r"), lines[2])
        self.check(b"user:" + lines[2].split(b":")[1].strip(), "user", "pa ss:word")
        self.check(lines[5], "last", "$100")
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o640)
        self.change("-U", self.path, data=None)
        self.assertEqual(self.read(), content)
        self.write(b"a:b\n")
        self.change("-U", "-H", "sha512", self.path, data=None)
        self.check(self.read()[:-1], "a", "b", "6")
        self.write(b"a:b\n")
        self.change("-I", "7", "-U", self.path, data=None)
        self.check(self.read()[:-1], "a", "b", iterations=7)

    def test_upgrade_refused(self):
        """What may be a hash and is none that is known is not hashed once more; then nothing is changed."""
        kind = "what follows the user name does not begin with $6$, $7$ or $argon2id$: it is no hash of a password"
        for line, why in ((b"user:$7$101$AAAA$BBBB", "it looks hashed, but the hash of the password is not 64 bytes of base64"),
                          (b"user:$2y$10$abcdef", f"it looks hashed, but {kind}"),
                          (b"user:SCRAM-SHA-256$4096:AAAA$B:C", f"it looks hashed, but {kind}"),
                          (b"user:", "the password is empty"), (b":secret", "the user name is empty"),
                          (b"us\ter:x", "the user name has a control character"),
                          (b"a\0:b", "there is a NUL byte in the line")):
            content = b"first:secret\n" + line + b"\n"
            self.write(content)
            self.change("-U", self.path, data=None, status=1, says=f"shuntctl: {self.path}:2: {why}\n")
            self.assertEqual(self.read(), content)

    # ---- the file as others see it

    def test_permissions(self):
        """Owner, group and their permissions stay; those of others go."""
        owner = (os.geteuid() or 12345, os.getegid() or 12346)
        for before, after in ((0o644, 0o640), (0o600, 0o600), (0o440, 0o440)):
            self.write(b"")
            os.chown(self.path, *owner)
            os.chmod(self.path, before)
            self.change(self.path, "user")
            now = os.stat(self.path)
            self.assertEqual((now.st_uid, now.st_gid, oct(stat.S_IMODE(now.st_mode))), (*owner, oct(after)))
            os.unlink(self.path)

    def test_old_or_new(self):
        """Whoever has the old file open goes on seeing it: it is not written to. A symbolic link stays one."""
        self.write(OTHER + b"\n")
        os.symlink("users", f"{self.folder}/link")
        with open(self.path, "rb") as old:
            self.change(f"{self.folder}/link", "user")
            self.assertEqual(old.read(), OTHER + b"\n")
        self.assertTrue(os.path.islink(f"{self.folder}/link"))
        self.assertEqual(len(self.read().splitlines()), 2)

    def test_no_room(self):
        """When it cannot be written as a whole, the old one stays and nothing else is left behind."""
        content = (OTHER + b"\n") * 100
        self.write(content)

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(content), len(content)))

        self.change(self.path, "user", status=1, preexec_fn=limit,
                    says=f"shuntctl: {self.path} cannot be changed: File too large\n")
        self.assertEqual(self.read(), content)

    # ---- what is refused

    def test_refused_passwords(self):
        """From standard input: what is no password, or nobody can have meant."""
        self.write(OTHER)
        for data, why in ((b"", "is empty"), (b"\n", "is empty"), (b"a\nb\n", "is more than one line"),
                          (b"a\0b", "has a NUL byte"), (b"x" * 65536, "is longer than 65535 bytes"),
                          (b"x" * 99999, "is longer than 65535 bytes")):
            self.change(self.path, "user", data=data, status=1, says=f"shuntctl: the password {why}\n")
        self.change("-b", self.path, "user", "", status=1, says="shuntctl: the password is empty\n")
        self.assertEqual(self.read(), OTHER)

    def test_refused_names(self):
        """What the file could not tell from something else."""
        self.write(OTHER)
        for user, why in (("", "is empty"), ("a:b", "has a colon"), ("#a", "begins with a #, as comments do"),
                          (" a", "begins or ends with a blank"), ("a ", "begins or ends with a blank"),
                          ("a\nb", "has a control character"), ("\udcff", "is not UTF-8 as MQTT allows it"),
                          ("x" * 65536, "is longer than 65535 bytes")):
            for option in ((), ("-D",)):
                self.change(*option, self.path, user, status=1, says=f"shuntctl: the user name {why}\n")
        self.assertEqual(self.read(), OTHER)

    def test_command_line(self):
        """Words that are missing or too many, and options that do not go together."""
        iterations = "--iterations takes a number from 1 to 10000000"
        for arguments, why in (
                ((), 'write "passwd FILE USER [PASSWORD]"'),
                (("users",), 'write "passwd FILE USER"'),
                (("users", "user", "pencil"), 'write "passwd -b FILE USER PASSWORD"'),
                (("-b", "users", "user"), 'write "passwd -b FILE USER PASSWORD"'),
                (("-U", "users", "user"), 'write "passwd -U FILE"'),
                (("-D", "users"), 'write "passwd -D FILE USER"'),
                (("-D", "users", "user", "pencil"), 'write "passwd -D FILE USER"'),
                (("-D", "-c", "users", "user"), "--delete goes with no other option"),
                (("-D", "-b", "users", "user", "pencil"), "--delete goes with no other option"),
                (("-D", "-U", "users", "user"), "--delete goes with no other option"),
                (("-D", "-H", "sha512", "users", "user"), "--delete goes with no other option"),
                (("-U", "-c", "users"), "--upgrade goes with --hash and --iterations only"),
                (("-U", "-b", "users"), "--upgrade goes with --hash and --iterations only"),
                (("-H", "md5", "users", "user"), "--hash takes sha512-pbkdf2, argon2id or sha512"),
                (("-H", "sha512", "-I", "5", "users", "user"), "--iterations does not go with --hash sha512"),
                (("-H", "argon2id", "-I", "5", "users", "user"), "--iterations does not go with --hash argon2id"),
                (("-I", "0", "users", "user"), iterations), (("-I", "10000001", "users", "user"), iterations),
                (("-I", "x", "users", "user"), iterations),
                (("--config-file", "x", "users", "user"), "--config-file does not go with passwd")):
            self.change(*arguments, status=2, says=f"shuntctl: {why}\n{END}", cwd=self.folder)
        self.assertFalse(os.listdir(self.folder))

    def test_letter_of_two(self):
        """-c is --config-file where it does not follow the word passwd."""
        for arguments in (["-c", "users", "passwd", "users", "user"], ["import", "-c", "users"]):
            done = subprocess.run([f"{build.BUILD}/shuntctl", *arguments], capture_output=True, text=True,
                                  timeout=TIMEOUT, check=False)
            self.assertEqual((done.returncode, done.stderr.splitlines()[0]),
                             (2, "shuntctl: --config-file does not go with passwd" if arguments[0] == "-c" else
                              'shuntctl: write "import FILE"'))


class PasswdPeer(Passwords):
    """What mosquitto makes of it, and what is made of mosquitto's."""

    def logins(self, good, bad):
        """A mosquitto with the file lets these in, pairs of user name and password, and those not."""
        daemon = Daemon(self.network, ["allow_anonymous false", f"password_file {self.path}"], self.peer()[0],
                        reference=True)
        self.addCleanup(daemon.remove)
        daemon.start()
        self.addCleanup(daemon.stop)
        for code, pairs in ((0, good), (5, bad)):
            for user, password in pairs:
                self.client("c", daemon, code=code, username=user, password=password).close()

    def test_broker(self):
        """Who was added gets into mosquitto by his password and no other, and not after he was deleted."""
        self.peer()
        euro = "\u20ac :$".encode()
        self.change("-c", self.path, "pbkdf2")
        self.change("-H", "sha512", self.path, "sha512")
        self.change("-I", "5000", self.path, "J\u00fcrgen", data=euro)
        self.change("-b", self.path, "changed", "old")
        self.change("-b", self.path, "changed", "new")
        self.change("-b", self.path, "gone", "pencil")
        self.change("-D", self.path, "gone")
        with open(self.path, "ab") as file:
            file.write(b"# a comment\nplain:secret\n")
        self.change("-U", self.path)
        self.logins([("pbkdf2", b"pencil"), ("sha512", b"pencil"), ("J\u00fcrgen", euro), ("changed", b"new"),
                     ("plain", b"secret")],
                    [("pbkdf2", b"Pencil"), ("sha512", b"pencil "), ("J\u00fcrgen", b""), ("changed", b"old"),
                     ("gone", b"pencil"), ("nobody", b"pencil")])

    def test_edit_theirs(self):
        """A file that mosquitto_passwd wrote is changed, and then by mosquitto_passwd again."""
        self.mosquitto_passwd("-c", "-b", self.path, "a", "one")
        self.mosquitto_passwd("-H", "sha512", "-b", self.path, "b", "two")
        self.mosquitto_passwd("-b", self.path, "c", "three")
        before = self.read().splitlines()
        self.check(before[0], "a", "one", iterations=101)
        self.check(before[1], "b", "two", "6")
        self.change("-b", self.path, "b", "new")
        self.change("-b", self.path, "d", "four")
        self.change("-D", self.path, "c")
        self.change("-U", self.path)
        after = self.read().splitlines()
        self.assertEqual((after[0], len(after)), (before[0], 3))
        self.check(after[1], "b", "new")
        self.check(after[2], "d", "four")
        self.mosquitto_passwd("-b", self.path, "e", "five")
        self.mosquitto_passwd("-D", self.path, "a")
        self.assertEqual(self.read().splitlines()[:2], after[1:])
        self.logins([("b", b"new"), ("d", b"four"), ("e", b"five")], [("a", b"one"), ("b", b"two"), ("c", b"three")])


class PasswdTerminal(Passwords):
    """The password from a terminal."""

    def ask(self, first, second):
        """Answer both times; the terminal as it was at the end, and the exit status."""
        terminal = Terminal(self, self.command(self.path, "user"))
        terminal.answer(b"Password for user: ", first)
        terminal.answer(b"Password for user: ", second)
        return terminal, terminal.finish()

    def test_asked_twice(self):
        """It is asked for twice and not shown, and the terminal is put right again."""
        self.write(b"")
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
