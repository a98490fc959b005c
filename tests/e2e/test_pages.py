"""A person with a browser: starts a soak, sees it move, stops it and reads its verdict."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from soak.daemon.config import STATE
from soak.daemon.process import alive, interrupt
from soak.daemon.state import State
from tests.e2e.harness import shipped
from tests.unit.paging import Console, chromium, new_page
from tests.unit.serving import Daemon, serving

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Daemon]:
    (tmp_path / "scenarios").mkdir()
    shipped(tmp_path / "scenarios", "leak", idle_before="1s", warmup="2s", soak="4m", idle_after="1s")
    with serving(tmp_path) as served:
        yield served
        with State(tmp_path / "runs" / STATE) as state:
            for process in [job.process for job in state.open_jobs() if job.process is not None]:
                while alive(process):
                    interrupt(process)
                    time.sleep(1)


def test_a_soak_is_started_moves_is_stopped_and_its_verdict_is_read(house: Daemon) -> None:
    console = Console()
    with chromium() as browser:
        page = new_page(browser)
        console.listen(page)
        page.goto(f"http://127.0.0.1:{house.port}/")
        page.get_by_role("link", name="Start a run").first.click()
        page.get_by_label("Scenario").select_option("leak.yaml")
        page.get_by_role("button", name="Start").click()
        expect(page.locator("h1")).to_contain_text("RUNNING")
        expect(page.locator("#plot-memory.js-plotly-plot")).to_be_visible()
        expect(page.locator("#lines")).to_contain_text("soak")
        summary = page.locator("#view .lead .muted")
        before = summary.inner_text()
        expect(summary).not_to_have_text(before)
        page.get_by_role("button", name="Stop").click()
        expect(page.locator("h1")).to_contain_text("(INTERRUPTED)")
        expect(page.get_by_role("status")).to_contain_text("interrupted")
        expect(summary).to_contain_text("; interrupted")
        verdict = house.ask("GET", "/v1/runs/1/verdict").json
        expect(page.locator("h1")).to_contain_text(verdict["verdict"].upper())
        expect(page.locator("#view .headline")).to_contain_text(verdict["headline"].partition(": ")[2][:40])
        page.get_by_role("button", name="Pin").click()
        expect(page.get_by_role("button", name="Unpin")).to_be_visible()
        page.get_by_role("link", name="text").click()
        expect(page.locator("body")).to_contain_text("INTERRUPTED", ignore_case=True)
    assert console.complaints == []
