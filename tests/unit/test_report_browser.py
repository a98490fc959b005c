"""The page in a real browser: the charts are drawn, nothing complains, and a narrow screen does not scroll sideways."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from soak.report import render
from tests.unit import report_making as made

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --disable-dev-shm-usage --virtual-time-budget=8000 --enable-logging=stderr --dump-dom"
)


def browse(page: str, folder: Path, size: str = "1280,2400") -> tuple[str, list[str]]:
    """The document after its scripts have run, and what the browser wrote to its console."""
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    profile = folder / "profile"
    command = [str(CHROMIUM), *_FLAGS.split(), f"--window-size={size}", f"--user-data-dir={profile}", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, console


@pytest.fixture(scope="module")
def page() -> str:
    return render(made.recording(), made.verdict(), "html")


def test_every_chart_is_drawn_and_nothing_complains(page: str, tmp_path: Path) -> None:
    document, console = browse(page, tmp_path)
    assert console == []
    assert len(re.findall(r'class="plot js-plotly-plot"', document)) == 8
    assert len(re.findall(r'<svg class="main-svg"', document)) >= 8
    # lines of the latency chart: four percentiles of two sides, and the unseen clock
    latency = document[document.index('id="plot-latency"') : document.index('id="plot-rate"')]
    assert len(re.findall(r'<g class="trace scatter', latency)) == 8 + 1
    assert "2 latency_drift (candidate)" in latency
    assert ">soak<" in latency


def test_a_script_that_the_policy_does_not_name_does_not_run(page: str, tmp_path: Path) -> None:
    intruder = '<script>document.title = "owned"</script></body>'
    document, console = browse(page.replace("</body>", intruder), tmp_path)
    assert "<title>owned</title>" not in document
    assert any("Content Security Policy" in line for line in console)


@pytest.mark.parametrize("size", ["500,900", "1280,900"])
def test_the_page_does_not_scroll_sideways(page: str, size: str, tmp_path: Path) -> None:
    open_page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    measure = "document.title = document.documentElement.scrollWidth - document.documentElement.clientWidth"
    probe = f"<script>addEventListener('load', () => {{ {measure} }})</script></body>"
    document, _ = browse(open_page.replace("</body>", probe), tmp_path, size)
    assert "<title>0</title>" in document


def test_a_run_of_one_side_and_a_pass_is_drawn_too(tmp_path: Path) -> None:
    document, console = browse(render(made.alone(), made.passed(), "html"), tmp_path)
    assert console == []
    assert len(re.findall(r'class="plot js-plotly-plot"', document)) == 8
