"""The pages in a real browser: nothing complains, it moves, and keyboard, phone and dark mode are enough."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from soak.daemon.config import STATE
from soak.daemon.process import log_path
from soak.daemon.state import State
from soak.daemon.tokens import make_token
from tests.unit.paging import CHROMIUM, HELD, ODD, Console, chromium, new_page, showing
from tests.unit.serving import Daemon, library, serving
from tests.unit.test_runfile import write

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
PAGES = ("/", "/queue", "/calendar", "/compare?new=1&old=2", "/runs/1", "/runs/3", "/runs/4")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with showing(tmp_path_factory.mktemp("pages")) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def url(daemon: Daemon, path: str) -> str:
    return f"http://127.0.0.1:{daemon.port}{path}"


def test_nothing_complains_nothing_foreign_runs_and_a_phone_does_not_scroll_sideways(
    daemon: Daemon, browser: Browser
) -> None:
    console = Console()
    page = new_page(browser, viewport={"width": 360, "height": 740}, color_scheme="dark")
    console.listen(page)
    for path in PAGES:
        page.goto(url(daemon, path))
        if path in ("/runs/1", "/runs/4"):
            expect(page.locator("#plot-memory.js-plotly-plot")).to_be_visible()
        assert page.title().endswith("- soak"), path
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 21, 27)", path
        assert page.locator("main").count() == page.locator("h1").count() == 1, path
        assert not page.evaluate("[...document.querySelectorAll('input, select')].filter(e => e.type !== 'hidden' && !e.labels.length).length")  # fmt: skip # noqa: E501
    page.goto(url(daemon, "/runs/3"))
    expect(page.locator("h1")).to_contain_text(ODD)
    assert console.complaints == []
    page.close()


def test_a_run_that_goes_on_moves_by_itself_and_keeps_the_readers_place(daemon: Daemon, browser: Browser) -> None:
    page = new_page(browser)
    page.goto(url(daemon, "/runs/4"))
    lead = page.locator("#view .lead")
    expect(lead).to_contain_text("So far nothing fails: 7 s of 2 min")
    page.get_by_text("Where this run comes from").click()
    page.evaluate("window.chart = document.getElementById('plot-memory')")
    going = daemon.folder / "runs" / "going-4.soak"
    going.unlink()
    write(going, 47)
    with log_path(going).open("a") as log:
        log.write("47 s soaked <b>so far</b>\n")
    expect(page.locator("#lines")).to_contain_text("47 s soaked <b>so far</b>")
    expect(lead).to_contain_text("So far nothing fails: 42 s of 2 min")
    assert page.locator("#measurement details").first.evaluate("d => d.open")
    assert page.evaluate("window.chart === document.getElementById('plot-memory')")
    page.close()


def test_the_keyboard_is_enough_to_ask_for_a_run_and_to_stop_it(daemon: Daemon, browser: Browser) -> None:
    page = new_page(browser)
    page.goto(url(daemon, "/queue"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "primary":
            break
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("QUEUED")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "stop":
            break
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("NO VERDICT")
    expect(page.locator("#about")).to_contain_text("stopped before it began")
    page.close()


def test_logging_in_and_out(tmp_path: Path, browser: Browser) -> None:
    library(tmp_path, shop=8000)
    (tmp_path / "runs").mkdir()
    with State(tmp_path / "runs" / STATE) as state:
        token = make_token(state, "ann", "run", 0.0)
    with serving(tmp_path, *HELD) as served:
        page = new_page(browser)
        page.goto(url(served, "/queue"))
        assert page.url.endswith("/login?next=/queue")
        page.get_by_label("Token").fill("soak_wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("no token of this daemon")
        page.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("Queue")
        assert page.evaluate("document.cookie") == ""  # scripts do not see it
        expect(page.locator(".who")).to_contain_text("ann")
        page.get_by_role("button", name="Log out").click()
        expect(page.locator("h1")).to_have_text("Log in")
        page.goto(url(served, "/"))
        assert "/login" in page.url
        page.close()
