"""The pure parts of the benchmarks: what they hold soak against must itself be right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import size, theory
from benchmarks.account import Account
from benchmarks.judge import make as make_long
from benchmarks.outcome import put
from benchmarks.processes import ROOT
from benchmarks.rows import Row, table
from soak import runfile
from soak.core.histogram import Histogram, Recorder
from soak.judge import judge
from soak.runfile import read


@pytest.mark.parametrize("utilisation", [0.3, 0.7, 0.85])
def test_md1_theory_is_what_a_simulated_queue_does(utilisation: float) -> None:
    service = 0.005
    rate = utilisation / service
    due = np.cumsum(np.random.default_rng(1).exponential(1 / rate, 1_000_000))
    waits = theory.lindley_waits(due, service)
    assert waits.mean() == pytest.approx(theory.md1_mean_wait(rate, service), rel=0.03)
    assert theory.percentile(waits, 99) == pytest.approx(theory.md1_wait_percentile(99, rate, service), rel=0.05)
    for t in (0.0, 0.003, 0.012, 0.03):
        assert (waits <= t + 1e-12).mean() == pytest.approx(theory.md1_waits_at_most(t, rate, service), abs=0.005)


def test_a_wait_is_counted_one_by_one_as_lindley_wrote_it() -> None:
    due, services = np.array([0.0, 1.0, 1.5, 5.0]), np.array([2.0, 3.0, 0.1, 1.0])
    assert theory.lindley_waits(due, services).tolist() == pytest.approx([0.0, 1.0, 3.5, 0.1])


def test_p99_of_a_target_that_freezes_is_the_share_of_arrivals_that_a_freeze_hits() -> None:
    due = np.arange(0.0, 100.0, 0.001)
    freezes = [(10.0 * i + 5, 10.0 * i + 6) for i in range(10)]
    latencies = theory.frozen_latencies(due, freezes)
    assert latencies.max() == pytest.approx(1.0)
    assert (latencies > 0).mean() == pytest.approx(0.1, rel=1e-3)
    assert theory.percentile(latencies, 99) == pytest.approx(0.9, abs=0.002)  # a tenth of the time, evenly 0 to 1 s
    assert theory.percentile(latencies, 99.9) == pytest.approx(0.99, abs=0.002)


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=300), st.floats(0.1, 100))
def test_the_percentile_of_values_is_that_of_their_histogram(us: list[int], q: float) -> None:
    recorder = Recorder()
    for value in us:
        recorder.record((value + 0.5) / 1e6)
    assert recorder.take().percentile(q) == pytest.approx(theory.percentile(np.array(us) / 1e6, q), rel=1e-3, abs=1e-6)


def test_the_size_of_a_day_is_projected_from_what_one_more_window_costs() -> None:
    assert size.projected(1_000, 1_000 + 4 * 50, 5, 361) == 1_000 + 50 * 360


def test_histograms_made_at_once_are_those_recorded_one_by_one() -> None:
    us = size.latencies(np.random.default_rng(2), 19, 5_000, 3.0)
    recorder = Recorder()
    for value in us:
        recorder.record((int(value) + 0.5) / 1e6)
    made, recorded = size.histogram(us), recorder.take()
    assert made.index.tolist() == recorded.index.tolist()
    assert made.counts.tolist() == recorded.counts.tolist()


def test_the_benchmarks_day_is_a_run_file_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "day.soak"
    size.write(path, 2, endpoints=2, rate=5.0)
    side = runfile.read(path).sides["candidate"]
    assert [w.start for w in side.windows["endpoint-1", "ok", "latency"]] == [0.0, 240.0]
    counted = sum(Histogram.merge(w.histogram for w in ws).total for k, ws in side.windows.items() if k[2] == "latency")
    assert counted == sum(y.scheduled for y in side.tallies) > 4_000


@pytest.mark.parametrize(
    "done,served,missing,contradicted",
    [(90, 95, 0, False), (90, None, 0, False), (89, 95, 1, False), (90, 89, 0, True), (90, 101, 0, True)],
)
def test_an_account_is_held_against_the_server(done: int, served: int | None, missing: int, contradicted: bool) -> None:
    account = Account({"scheduled": 105, "done": done, "failed": 4, "unserved": 5, "lost": 6}, served)
    assert (account.missing, account.contradicted) == (missing, contradicted)


def test_the_table_says_what_a_bar_did() -> None:
    text = table([Row("a", "b", "1 ms", "2 ms", 0.5, "<= 1", True), Row("a", "c", "-"), Row("a", "d", "9", met=False)])
    lines = text.splitlines()
    assert len(set(map(len, lines))) == 1
    assert "| yes |" in lines[2]
    assert "| NO  |" in lines[4]


def test_the_benchmarks_long_run_is_one_that_the_judge_has_nothing_against(tmp_path: Path) -> None:
    make_long(tmp_path / "long.soak", 0.1)
    recording = read(tmp_path / "long.soak")
    side = recording.sides["candidate"]
    assert len(side.series) + len(recording.host) == 40
    assert len(side.endpoints) == 4
    verdict = judge(recording)
    assert [f.cause for f in verdict.candidate.findings if f.severity == "fail"] == []
    assert verdict.candidate.validity.reasons == ()


def test_what_is_printed_replaces_what_was_in_its_place_of_the_page_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- a -->\nold\n<!-- /a -->\nbetween\n<!-- b -->\n<!-- /b -->\n")
    for _ in range(2):
        put(page, "a", "| 1 |")
    assert page.read_text() == "above\n<!-- a -->\n\n| 1 |\n\n<!-- /a -->\nbetween\n<!-- b -->\n<!-- /b -->\n"
    with pytest.raises(ValueError, match="no place for c"):
        put(page, "c", "x")


@pytest.mark.parametrize(
    "page,name",
    [*(("performance", name) for name in ("load", "probe", "judge", "daemon")), ("accuracy",) * 2, ("long",) * 2],
)
def test_each_table_has_its_place_in_a_page(tmp_path: Path, page: str, name: str) -> None:
    copy = tmp_path / "copy.md"
    copy.write_text((ROOT / "docs" / f"{page}.md").read_text())
    put(copy, name, "a new table")
    assert "a new table" in copy.read_text()
