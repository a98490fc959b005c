"""What the tests of the pages share: runs that were made in no time, a browser, and how forms are sent."""

from __future__ import annotations

import contextlib
import html
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from soak.daemon.config import STATE
from soak.daemon.job import Request
from soak.daemon.process import identity, log_path
from soak.daemon.state import State
from tests.unit.serving import Answer, Daemon, library, serving
from tests.unit.test_runfile import write

HELD = ("--min-free", "900000 TiB", "--requests", "1000/s")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ODD = "<script>document.title='owned'</script>"
SAID = "<img src=x onerror=\"document.title='owned'\"> \x1b[31m"
SOON_MS = 90_000
"""The machine is shared: a generous limit for whatever comes by itself."""
_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
)


def fill(runs: Path) -> subprocess.Popen[bytes]:
    """Two runs that passed, one with a hostile name that never began, and one that goes on: its process.

    They are numbered from 1; the one that goes on is run 4.
    """
    runs.mkdir()
    now = time.time()
    with State(runs / STATE) as state:
        for number in (1, 2):
            path = runs / f"made-{number}.soak"
            write(path, 20 + number)
            log_path(path).write_text(f"soaking\n{SAID}\n")
            state.add(Request("made.yaml", "made", ("localhost:8000",), "ci"), now - 100)
            state.begin(number, path, now - 90)
            state.end(number, "pass", 0, "PASS: nothing was found", now - 60)
        state.add(Request("odd.yaml", ODD, ("localhost:8001",), "ci"), now - 50)
        state.end(3, None, 2, SAID, now - 50)
        going_on = runs / "going-4.soak"
        write(going_on, 12)
        log_path(going_on).write_text("soaking\n")
        state.add(Request("made.yaml", "going", ("localhost:8000",), "ci"), now - 20)
        state.begin(4, going_on, now - 20)
        process = subprocess.Popen(["sleep", "600"], start_new_session=True)
        found = identity(process.pid)
        assert found is not None
        state.note_process(4, found)
    return process


@dataclass
class Visitor:
    """A browser as a program plays it: it keeps the cookie and sends forms from pages of its own."""

    daemon: Daemon
    cookie: str = ""

    def see(self, path: str, **headers: str) -> Answer:
        return self.daemon.ask("GET", path, Accept_Encoding="gzip", **self._cookie(), **headers)

    def send(self, path: str, form_token: str | None = None, origin: str | None = "", **fields: str) -> Answer:
        """Fill in the form of the page before it; an origin of "" is the daemon's own."""
        if form_token is None:
            form_token = form_token_of(self.see("/login" if path == "/login" else "/queue"))
        headers = {"Content_Type": "application/x-www-form-urlencoded"} | self._cookie()
        if origin is not None:
            headers["Origin"] = origin or f"http://127.0.0.1:{self.daemon.port}"
        body = urlencode({"form_token": form_token, **fields}).encode()
        answer = self.daemon.ask("POST", path, body, **headers)
        if found := re.match(r"soak_visit=([^;]*)", answer.headers.get("set-cookie", "")):
            self.cookie = found[1].strip('"')
        return answer

    def _cookie(self) -> dict[str, str]:
        return {"Cookie": f"soak_visit={self.cookie}"} if self.cookie else {}


def form_token_of(page: Answer) -> str:
    """What the forms of a page have in them."""
    found = re.search(r'name="form_token" value="([^"]*)"', page.body.decode())
    return html.unescape(found[1]) if found else ""


@dataclass
class Console:
    """What a browser complained of."""

    complaints: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))


def new_page(browser: Browser, **options: Any) -> Page:
    """A page that waits for as long as a busy machine needs."""
    context: BrowserContext = browser.new_context(**options)
    context.set_default_timeout(SOON_MS)
    return context.new_page()


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=SOON_MS)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=_FLAGS.split(), timeout=SOON_MS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def showing(folder: Path) -> Iterator[Daemon]:
    """A daemon with runs of every kind, one of which goes on."""
    library(folder, shop=8000)
    process = fill(folder / "runs")
    try:
        with serving(folder, *HELD) as served:
            yield served
    finally:
        process.kill()
        process.wait()
