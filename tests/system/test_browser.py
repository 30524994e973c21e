# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A page in Chromium: MQTT.js over WebSocket, with TLS and without."""

import http.server
import json
import os
import queue
import shutil
import subprocess
import threading
import unittest
import urllib.parse

from harness import build, run, transports
from harness.suite import SystemTest, own, roads


class Site(http.server.ThreadingHTTPServer):
    """What the page is loaded from, and what it tells its result to."""

    def __init__(self, files):
        self.files, self.results = files, queue.Queue()
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    """Of the site's requests."""

    def do_GET(self):
        """A file."""
        path = self.server.files.get(self.path.lstrip("/"))
        self.send_response(200 if path else 404)
        self.end_headers()
        if path:
            with open(path, "rb") as file:
                shutil.copyfileobj(file, self.wfile)

    def do_POST(self):
        """The result."""
        self.server.results.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """Nothing."""


@roads("off")
class Browser(SystemTest):
    """A daemon with listeners for pages."""

    own_daemon = True

    def why_not(self):
        """Why it cannot run, or None."""
        if build.sanitized():
            return "the page takes as long as it takes: a sanitizer finds nothing in it that test_websockets does not"
        if not shutil.which("chromium"):
            return "no chromium: run scripts/setup check"
        return None if os.path.exists(f"{build.NODE_MODULES}/mqtt") else "no MQTT.js: run scripts/setup check"

    @own
    def test_page(self):
        """Each version and QoS, large payloads, the code of a Close, and an origin that is not allowed."""
        if reason := self.why_not():
            raise unittest.SkipTest(reason)
        site = Site({"browser.html": f"{build.HERE}/browser.html",
                     "mqtt.js": f"{build.NODE_MODULES}/mqtt/dist/mqtt.min.js"})
        threading.Thread(target=site.serve_forever, daemon=True).start()
        self.addCleanup(site.shutdown)
        secure = transports.Kind("websockets over tls")
        ports = [self.network.free_port(unseen=True) for _ in range(3)]
        origin = f"http://127.0.0.1:{site.server_port}"
        own = (["protocol websockets", f"websockets_origin {origin}"], secure.lines,
               ["protocol websockets", "websockets_origin https://example.org"])
        self.start([line for port, lines in zip(ports, own)
                    for line in (f"listener {port} 127.0.0.1", *lines)])
        urls = {"plain": f"ws://127.0.0.1:{ports[0]}/mqtt", "secure": f"wss://127.0.0.1:{ports[1]}/mqtt",
                "closed": f"ws://127.0.0.1:{ports[2]}/mqtt"}
        chromium = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--ignore-certificate-errors", f"--user-data-dir={run.folder()}/chromium",
             f"{origin}/browser.html#{urllib.parse.quote(json.dumps(urls))}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(chromium.wait)
        self.addCleanup(os.killpg, chromium.pid, 9)
        result = site.results.get(timeout=50)
        self.assertEqual(result, {"ok": True, "code": ["mqtt", 1002], "closed": False})
