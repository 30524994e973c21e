# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The page of http_listener in Chromium: what it shows, and what it does."""

import asyncio
import json
import os
import shutil
import subprocess
import unittest

import websockets
from test_http import ADMIN, Web

from harness import build, run
from harness.client import TIMEOUT
from harness.suite import own, roads

UNTIL = """(async () => {
  for (let i = 0; i < 300; i++) {
    const value = (() => { try { return %s } catch { return null } })()
    if (value) return value
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`not so: ${document.body.innerText.slice(0, 1500)}`)
})()"""


class Page:
    """A page of Chromium, steered by its DevTools protocol."""

    def __init__(self, socket):
        self.socket, self.errors, self.count = socket, [], 0

    async def call(self, method, **params):
        """The result of a method."""
        self.count += 1
        await self.socket.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while True:
            message = json.loads(await asyncio.wait_for(self.socket.recv(), TIMEOUT))
            if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.errors.append(message["params"])
            if message.get("id") == self.count:
                return message["result"]

    async def run(self, script):
        """The value of an expression."""
        answer = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    async def until(self, condition):
        """The value of an expression once it is true."""
        return await self.run(UNTIL % condition)


@roads("off")
class Dashboard(Web):
    """A browser, a daemon and clients."""

    def browse(self, url, visit):
        """Let `visit` look at the page."""
        folder = f"{run.folder()}/dashboard"
        chromium = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={folder}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            start_new_session=True)
        self.addCleanup(chromium.stderr.close)
        self.addCleanup(chromium.wait)
        self.addCleanup(os.killpg, chromium.pid, 9)
        for line in chromium.stderr:
            if line.startswith("DevTools listening on "):
                asyncio.run(self.attach(line.split()[-1], url, visit))
                return
        self.fail("Chromium does not start")

    async def attach(self, browser, url, visit):
        """Open the page."""
        async with websockets.connect(browser, max_size=None) as socket:
            target = (await Page(socket).call("Target.createTarget", url="about:blank"))["targetId"]
        async with websockets.connect(f"{browser.split('/devtools')[0]}/devtools/page/{target}", max_size=None) as socket:
            page = Page(socket)
            for domain in ("Runtime", "Log", "Page"):
                await page.call(f"{domain}.enable")
            await page.call("Page.navigate", url=url)
            await visit(page)
            self.assertEqual(page.errors, [])

    @own
    def test_page(self):
        """It asks for the token, lists a client and disconnects it, and subscribes and publishes itself."""
        if build.sanitized():
            raise unittest.SkipTest("the page takes as long as it takes")
        if not shutil.which("chromium"):
            raise unittest.SkipTest("no chromium: run scripts/setup check")
        live = self.network.free_port(unseen=True)
        daemon = self.serve(f"listener {live} 127.0.0.1", "protocol websockets", tokens=f"admin {ADMIN}\n")
        client = self.client("c", daemon)
        client.publish(self.topic("a/b"), b"<b>21</b>", retain=True)
        client.alive()

        async def visit(page):
            await page.until("document.getElementById('notice').textContent.includes('wants a token')")
            await page.run(f"""document.getElementById('token-open').click();
                document.querySelector('#token input').value = {json.dumps(ADMIN)};
                document.querySelector('#token .main').click()""")
            name = json.dumps(self.id("c"))
            await page.until(f"[...document.querySelectorAll('#clients-table .name')].some((n) => n.textContent === {name})")
            await page.until("document.getElementById('topics').textContent.includes('<b>21</b>')")
            await page.until("!document.getElementById('live').hidden")
            topic, filter_ = json.dumps(self.topic("live")), json.dumps(self.topic("#"))
            await page.run(f"""document.querySelector('#live-subscribe [name=filter]').value = {filter_};
                document.querySelector('#live-subscribe').requestSubmit()""")
            await page.until("document.querySelectorAll('#live-log tr').length === 1")
            await page.run(f"""document.querySelector('#live-publish [name=topic]').value = {topic};
                document.querySelector('#live-publish [name=payload]').value = 'gr\\u00fc\\u00dfe';
                document.querySelector('#live-publish [name=qos]').value = '1';
                document.querySelector('#live-publish').requestSubmit()""")
            await page.until("document.querySelector('#live-log .payload').textContent === 'gr\\u00fc\\u00dfe'")
            await page.run(f"document.querySelector('#clients-table button[aria-label=' + JSON.stringify('Disconnect ' + {name}) + ']').click()")
            await page.run("document.querySelector('#confirm .main').click()")
            await asyncio.get_running_loop().run_in_executor(None, client.closed)

        self.browse(f"http://127.0.0.1:{self.web}/", visit)
