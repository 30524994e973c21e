# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Bans: by order of shuntctl and by one's own doing, for clients that are connected and for those that come."""

import contextlib
import json
import signal
import socket
import sqlite3

from harness import packets as p
from harness.client import TIMEOUT, Client
from harness.suite import APART, SystemTest, own, roads

BANNED, ADMINISTRATIVE, REFUSED = 0x8A, 0x98, 5
OTHER = "127.0.0.9"  # an address of this host that nobody else comes from
NOT_LOOPBACK = "ban_exempt 192.0.2.0/24"  # so that what comes from this host counts


class Bans(SystemTest):
    """What the tests share."""

    own_daemon = True

    def setUp(self):
        super().setUp()
        if self.reference:
            self.skipTest("the reference has no bans")

    def come(self, daemon, address=OTHER, name="", level=5):
        """A connection from another address of this host."""
        sock = socket.create_connection((daemon.network.address, daemon.port), TIMEOUT, source_address=(address, 0))
        client = Client(sock, name, None, level)
        self.addCleanup(client.close)
        return client

    def shut_out(self, client):
        """Closed, by end or by reset, without a byte."""
        with contextlib.suppress(OSError):
            client.sock.settimeout(TIMEOUT)
            self.assertEqual(client.sock.recv(1), b"")

    def refused(self, client, client_id, code, **fields):
        """Its CONNECT is answered by this code, and it is cut off."""
        client.send(client.hello(client_id, **fields))
        self.assertEqual([x.code for x in client.closed()], [code])

    def bans(self, daemon):
        """What `bans` lists: who, whether it ends."""
        listed = json.loads(daemon.ctl("bans", "--json"))["bans"]
        return {ban.get("address") or ban.get("client") or ban.get("user"): ban for ban in listed}


class Orders(Bans):
    """ban, unban, bans."""

    @own
    @roads(*APART)
    def test_client(self):
        """A client is cut off, while the kernel may carry its messages, and refused by its identifier until the ban is
        lifted; others go on. 5.0 [MQTT-3.1.4-5]"""
        daemon = self.start()
        reader, writer, old = self.client("r", daemon), self.client("w", daemon, level=5), self.client("o", daemon)
        reader.subscribe(self.topic("t"))
        for n in range(5):
            writer.publish(self.topic("t"), b"%d" % n)
            self.assertEqual(reader.payloads(1), [b"%d" % n])
        for client in (writer, old):
            daemon.ctl("ban", "--client", self.id(client.name), "--for", "2h", "--reason", "test it")
        self.assertEqual(len(writer.disconnected(ADMINISTRATIVE)), 1)
        self.assertEqual(old.closed(), [])
        self.refused(self.raw("w", daemon, level=5), self.id("w"), BANNED)
        self.refused(self.raw("o", daemon, level=4), self.id("o"), REFUSED)
        self.assertEqual(set(self.bans(daemon)), {self.id("w"), self.id("o")})
        ban = self.bans(daemon)[self.id("w")]
        self.assertTrue(7100 < ban["seconds"] <= 7200 and not ban["automatic"] and ban["reason"] == "test it", ban)
        stats = daemon.stats()
        self.assertEqual((stats["connections"]["banned"], stats["bans"]["active"]), (2, 2))
        self.assertEqual(stats["closed"]["banned"], 4)
        self.assertEqual(daemon.log().count("Banned client"), 2)
        self.assertEqual(daemon.log().count("disconnected: banned"), 2)  # none of those that were refused
        daemon.ctl("unban", "--client", self.id("w"))
        again = self.client("w", daemon)
        again.publish(self.topic("t"), b"again")
        self.assertEqual(reader.payloads(1), [b"again"])

    @own
    @roads("off")
    def test_address(self):
        """An address, and a network, are refused before a byte is read; others are not. Who is connected is cut off, also
        before its CONNECT. What is said for people."""
        daemon = self.start()
        inside, early, outside = self.come(daemon), self.come(daemon), self.client("here", daemon)
        inside.connect(self.id("c"))
        self.assertIn("Banned address 127.0.0.8/31 until it is lifted.", daemon.ctl("ban", "127.0.0.8/31"))
        inside.disconnected(ADMINISTRATIVE)
        self.shut_out(early)
        for address in (OTHER, "127.0.0.8"):
            self.shut_out(self.come(daemon, address))
        self.come(daemon, "127.0.0.10").connect(self.id("d")).alive()
        outside.alive()
        daemon.ctl("ban", "--address", "127.0.0.10", "--for", "90s")
        self.assertRegex(daemon.ctl("bans"), r"(?m)^address +127\.0\.0\.10 +1 min")
        self.shut_out(self.come(daemon, "127.0.0.10"))
        daemon.signal(signal.SIGHUP)
        daemon.wait_log("Config reloaded")
        self.shut_out(self.come(daemon))
        self.assertGreaterEqual(daemon.stats()["connections"]["banned"], 4)
        self.assertIn("lifted", daemon.ctl("unban", "127.0.0.8/31"))
        self.come(daemon).connect(self.id("e")).alive()

    @own
    @roads("off")
    def test_user(self):
        """A user is cut off and refused, whatever the client identifier."""
        daemon = self.start()
        client = self.client("c", daemon, level=5, username="ann", password=b"x")
        other = self.client("d", daemon, level=5, username="bob", password=b"x")
        daemon.ctl("ban", "--user", "ann")
        client.disconnected(ADMINISTRATIVE)
        self.refused(self.raw("x", daemon, level=5), self.id("x"), BANNED, username="ann", password=b"x")
        other.alive()
        self.client("ann", daemon).alive()

    @own
    @roads("off")
    def test_over(self):
        """A ban ends by itself, and so it does in the store."""
        daemon = self.start(["persistence true"])
        daemon.ctl("ban", "--client", self.id("c"), "--for", "1s")
        daemon.wait_log("The ban of client c-over is over")
        self.client("c", daemon).alive()
        self.assertEqual(self.bans(daemon), {})
        daemon.stop()
        with contextlib.closing(sqlite3.connect(f"{daemon.dir}/store/shunt.db")) as store:
            self.assertEqual(store.execute("SELECT count(*) FROM ban").fetchone(), (0,))

    @own
    @roads("off")
    def test_wrong(self):
        """What cannot be meant is refused, by shuntctl or by the daemon."""
        daemon = self.start()
        for words in (["ban", "nonsense"], ["ban", "10.0.0.1/8"], ["ban", "unix"], ["ban", "10.0.0.0/33"],
                      ["ban", "10.0.0.1", "--for", "5m"], ["ban", "10.0.0.1", "--for", "0s"], ["ban"],
                      ["ban", "--client", "--user", "x"], ["ban", "--client", ""], ["unban", "10.0.0.1"]):
            self.assertRaises(AssertionError, daemon.ctl, *words)
        for request in ({"command": "ban"}, {"command": "ban", "client": 5}, {"command": "ban", "client": "a", "user": "b"},
                        {"command": "ban", "client": "a", "seconds": -1}, {"command": "ban", "client": "a", "seconds": "x"}):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(daemon.control)
                sock.sendall(json.dumps(request).encode() + b"\n")
                self.assertIn("error", json.loads(sock.makefile().readline()))
        self.assertEqual(self.bans(daemon), {})


class Own(Bans):
    """Bans that clients bring upon themselves."""

    @own
    @roads("off")
    def test_failures(self):
        """So many errors from an address, and it is banned for a time, with one line in the log; who is exempt, or only comes
        and goes, is not."""
        daemon = self.start(["ban_after_failures 3", "ban_time 5000", NOT_LOOPBACK, "ban_exempt 127.0.0.1"])
        for address in ("127.0.0.1", OTHER):
            for _ in range(3):
                client = self.come(daemon, address)
                client.send(b"GET / HTTP/1.1\r\n\r\n")
                client.closed()
        daemon.wait_log(rf"Banned address {OTHER} for 5000 s: 3 failed logins or protocol errors within 60 s, the last one: ")
        for _ in range(3):
            self.shut_out(self.come(daemon))
        self.client("c", daemon).alive()
        self.assertTrue(self.bans(daemon)[OTHER]["automatic"])
        self.assertEqual(list(self.bans(daemon)), [OTHER])
        stats = daemon.stats()
        self.assertEqual((stats["bans"]["automatic"], stats["connections"]["banned"]), (1, 3))
        self.assertEqual(daemon.log().count("Banned"), 1)
        for _ in range(4):
            self.come(daemon, "127.0.0.7", level=4).connect(self.id("d")).disconnect()
        self.assertEqual(list(self.bans(daemon)), [OTHER])

    @own
    @roads("off")
    def test_logins(self):
        """Logins that are refused count. Who was connected from there is cut off, too."""
        daemon = self.start(["ban_after_failures 2", NOT_LOOPBACK, "allow_anonymous false", "password_file /dev/null"])
        waiting = self.come(daemon)
        for _ in range(2):
            self.refused(self.come(daemon), "x", 0x87, username="x", password=b"y")
        self.shut_out(waiting)
        self.shut_out(self.come(daemon))

    @own
    @roads("off")
    def test_loopback_is_exempt(self):
        """Without ban_exempt this host can do what it likes."""
        daemon = self.start(["ban_after_failures 1", "ban_after_flapping 1", "ban_flapping address"])
        for _ in range(3):
            client = self.come(daemon)
            client.send(p.PING)
            client.closed()
        self.client("c", daemon).alive()
        self.assertEqual(self.bans(daemon), {})

    @own
    @roads("off")
    def test_flapping(self):
        """A client that comes and goes is banned by its identifier."""
        daemon = self.start(["ban_after_flapping 3", NOT_LOOPBACK])
        for n in range(3):
            client = self.client("c", daemon, level=5)
            if n == 1:
                client.close()
            else:
                client.disconnect()
        daemon.wait_log(r"Banned client c-flapping for 300 s: 3 connections that ended within 60 s, the last one: ")
        self.refused(self.raw("c", daemon, level=5), self.id("c"), BANNED)
        self.client("d", daemon).alive()

    @own
    @roads("off")
    def test_flapping_address(self):
        """Or by its address, also when no CONNECT came, once a reload has said so."""
        daemon = self.start(["ban_after_flapping 3", NOT_LOOPBACK, "ban_flapping address", "ban_exempt 127.0.0.1"])
        for _ in range(3):
            client = self.come(daemon)
            client.half_close()
            self.shut_out(client)
        daemon.wait_log(f"Banned address {OTHER} for 300 s")
        self.shut_out(self.come(daemon))


class Kept(Bans):
    """With persistence, bans outlive the daemon."""

    @own
    @roads("off")
    def test_restart(self):
        """Those by order and those that came by themselves hold after an orderly end and after SIGKILL, with what is left of
        their time and with their reasons; those that were lifted do not."""
        daemon = self.start(["persistence true", "ban_after_flapping 2", NOT_LOOPBACK])
        for words in (["--client", "c1", "--reason", "who knows"], ["--user", "ann"], ["198.51.100.0/24", "--for", "30d"],
                      ["--address", OTHER, "--for", "1h"], ["--client", "lifted"],
                      ["2001:db8::/32"]):
            daemon.ctl("ban", *words)
        daemon.ctl("unban", "--client", "lifted")
        for _ in range(2):
            self.client("", daemon, client_id="flaps").disconnect()
        daemon.wait_log("Banned client flaps")
        kept = self.client("kept", daemon, level=5, expiry=1000)  # what was said before it is on disk with it
        kept.subscribe("t", qos=1)
        before = self.bans(daemon)
        self.assertEqual(set(before), {"c1", "ann", "198.51.100.0/24", OTHER, "2001:db8::/32", "flaps"})
        for end in (daemon.kill, daemon.stop):
            end()
            daemon.start()
            after = self.bans(daemon)
            self.assertEqual(set(after), set(before))
            for who, ban in after.items():
                self.assertEqual((ban["reason"], ban["automatic"]), (before[who]["reason"], before[who]["automatic"]))
                self.assertLessEqual(ban.get("seconds", 0), before[who].get("seconds", 0))
                self.assertGreaterEqual(ban.get("seconds", 0), before[who].get("seconds", 0) - 200)
            self.refused(self.raw("x", daemon, level=5), "c1", BANNED)
            self.refused(self.raw("x", daemon, level=5), "x", BANNED, username="ann", password=b"x")
            self.refused(self.raw("x", daemon, level=5), "flaps", BANNED)
            self.shut_out(self.come(daemon))
            self.client("d", daemon).alive()
        for words in (["--client", "c1"], ["--user", "ann"], ["2001:db8::/32"]):
            daemon.ctl("unban", *words)
        daemon.stop()
        daemon.start()
        self.assertEqual(set(self.bans(daemon)), {"198.51.100.0/24", OTHER, "flaps"})

    @own
    @roads("off")
    def test_without(self):
        """Without persistence they do not."""
        daemon = self.start(["persistence false"])
        daemon.ctl("ban", "--client", "c")
        daemon.stop()
        daemon.start()
        self.assertEqual(self.bans(daemon), {})
