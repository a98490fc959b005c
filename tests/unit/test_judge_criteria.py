from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soak.core.records import Series
from soak.core.verdict import Verdict
from soak.judge import judge
from tests.making import MIB, recording, scenario, side
from tests.unit.judging import changed, judged, memory, the_criterion

WINDOWED = {"metric": "latency.p99", "below": "50ms", "over": "50s"}


@pytest.mark.parametrize("second", [16, 60, 100, 122])
def test_no_stretch_of_the_soak_goes_unjudged(second: float) -> None:
    """The soak is 15 s to 135 s: two windows of 50 s and a rest of 20 s, which the last window must hold."""
    result = the_criterion(WINDOWED, latency=lambda t: np.where((t >= second) & (t < second + 12), 0.2, 0.005))
    assert result.result == "fail"
    assert "of 3 windows" in result.reason


def test_a_soak_of_whole_windows_has_no_window_more() -> None:
    result = the_criterion(WINDOWED | {"over": "40s"}, latency=lambda t: np.where(t < 50, 0.2, 0.005))
    assert "1 of 3 windows" in result.reason


@pytest.mark.parametrize(
    "criterion,result",
    [
        ({"metric": "host.cpu", "below": "90%"}, "pass"),
        ({"metric": "host.cpu", "below": "20%"}, "fail"),
        ({"metric": "host.memory_available", "above": "1 GiB"}, "pass"),
        ({"metric": "host.load", "below": "4"}, "inconclusive"),
    ],
)
def test_the_host_can_be_judged_where_it_was_seen(criterion: dict[str, Any], result: str) -> None:
    assert the_criterion(criterion).result == result


@pytest.mark.parametrize("kind", [{"growth_below": "5%"}, {"below": "60 MiB"}, {"below": "60 MiB", "over": "20s"}])
@pytest.mark.filterwarnings("error")
def test_nothing_but_holes_is_no_data(kind: dict[str, Any]) -> None:
    result = the_criterion({"metric": "memory.rss", **kind}, series={"memory.rss": lambda t: np.full_like(t, np.nan)})
    assert result.result == "inconclusive"
    assert result.value is None
    assert "no data is no pass" in result.reason


@pytest.mark.filterwarnings("error")
def test_a_hole_is_neither_zero_nor_a_doubt() -> None:
    def holed(t: np.ndarray) -> np.ndarray:
        return np.where((t > 50) & (t < 65), np.nan, 50 * MIB + 0.01 * MIB * np.sin(t * 7))

    for kind in ({"growth_below": "5%"}, {"below": "60 MiB"}, {"above": "40 MiB"}):
        assert the_criterion({"metric": "memory.rss", **kind}, series={"memory.rss": holed}).result == "pass"


def test_what_never_moved_says_so_exactly() -> None:
    flat = {"memory.rss": lambda t: np.full_like(t, 50 * MIB)}
    result = the_criterion({"metric": "memory.rss", "growth_below": "1 B/h"}, series=flat)
    assert (result.result, result.value, result.low, result.high) == ("pass", 0.0, 0.0, 0.0)
    assert result.reason == "it never moved"


def test_too_few_requests_for_a_trend_say_how_many_are_wanted_and_how_long_that_takes() -> None:
    result = the_criterion({"metric": "latency.p999", "growth_below": "10%"})
    assert result.result == "inconclusive"
    # 8 windows of 4,000 at 100/s are 320 s, of which 120 s are done
    assert "12,000 requests" in result.reason
    assert "4,000 in each of 8 windows; run 3 min 20 s more" in result.reason


def test_without_an_endpoint_each_is_judged_and_the_worst_decides() -> None:
    requests = [{"name": "browse", "get": "/"}, {"name": "buy", "get": "/buy"}]
    spec = scenario(criteria=[{"metric": "latency.p99", "below": "50ms"}], load={"rate": "100/s", "requests": requests})
    quick, slow = side(spec), side(spec, latency=lambda t: np.full_like(t, 0.2))
    both = {("buy", outcome, clock): w for (_, outcome, clock), w in slow.windows.items()}
    verdict = judge(recording(spec, changed(quick, windows={**quick.windows, **both})))
    assert {(c.endpoint, c.result) for c in verdict.criteria} == {("browse", "pass"), ("buy", "fail")}
    assert verdict.verdict == "fail"


@given(st.floats(0.5, 100), st.floats(0, 100), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_a_growth_result_never_contradicts_its_own_interval(limit: float, grown: float, seed: int) -> None:
    criterion = {"metric": "memory.rss", "growth_below": f"{limit:.3f} MiB"}
    result = the_criterion(criterion, series=memory(lambda t: 50 + grown * (t - 15) / 120, seed, sd=1.0))
    assert result.value is not None
    assert result.low is not None
    assert result.high is not None
    assert result.low <= result.value <= result.high
    if result.result == "pass":
        assert result.high < result.limit
    if result.result == "fail":
        assert result.value >= result.limit


@pytest.mark.parametrize("limit,step,result", [
    ("1 MiB/h", 0.2, "inconclusive"), ("5 %/h", 0.2, "inconclusive"), ("0 MiB/h", 0.2, "fail"),
    ("1 MiB/h", 3.0, "fail"), ("100 KiB", 0.2, "fail"),
])  # fmt: skip
def test_one_step_that_a_healthy_process_makes_too_is_no_rate(limit: str, step: float, result: str) -> None:
    series = memory(lambda t: 50 + step * (t > 80), sd=0.005)
    found = the_criterion({"metric": "memory.rss", "growth_below": limit}, series=series)
    assert found.result == result, found.reason
    assert ("it is one step of 198 KiB at 1 min 25 s, as a healthy" in found.reason) == (result == "inconclusive"), (
        found.reason
    )


def test_growth_that_goes_on_fails_however_small_it_is_so_far() -> None:
    series = memory(lambda t: 50 + 0.2 * (t - 15) / 120, sd=0.005)
    assert the_criterion({"metric": "memory.rss", "growth_below": "1 MiB/h"}, series=series).result == "fail"


def test_a_probe_that_stopped_halfway_is_judged_on_what_it_saw() -> None:
    spec = scenario(criteria=[{"metric": "memory.rss", "below": "60 MiB"}])
    made = side(spec)
    cut = {name: Series(s.t[s.t < 17], s.v[s.t < 17]) for name, s in made.series.items()}
    verdict = judge(recording(spec, changed(made, series=cut)))
    assert verdict.verdict == "inconclusive"


def test_a_criterion_names_its_endpoint_in_words() -> None:
    assert judged([{"metric": "latency.p50", "below": "1s"}]).criteria[0].text.endswith("(browse)")


def _logging_in(asked_until: float, **load: Any) -> Verdict:
    """A run whose users log in until a time (s); its soak begins at 15 s."""
    made = recording(scenario(criteria=[{"metric": "errors.ratio", "below": "1%"}]))
    spec = made.scenario.model_copy(update={"load": made.scenario.load.model_copy(update=load)})
    own = made.sides["candidate"]
    login = {
        ("POST /login", outcome, clock): tuple(w for w in windows if w.start < asked_until)
        for (_, outcome, clock), windows in own.windows.items()
    }
    return judge(changed(made, scenario=spec, sides={"candidate": changed(own, windows={**own.windows, **login})}))


def test_what_a_locustfile_asks_in_the_warm_up_only_keeps_no_run_from_passing() -> None:
    by_file: dict[str, Any] = {"requests": None, "locustfile": "shop.py::Shopper"}
    started = _logging_in(14, **by_file)
    assert [(c.endpoint, c.result) for c in started.criteria] == [("browse", "pass")]
    assert any("POST /login: asked before the soak only" in note for note in started.notes)
    assert started.verdict == "pass"
    asked_on = _logging_in(100, **by_file)
    assert {c.endpoint for c in asked_on.criteria} == {"browse", "POST /login"}
    assert "inconclusive" in [c.result for c in _logging_in(14).criteria], "what a scenario states is to be asked"


def test_exceptions_of_a_locustfile_are_a_share_of_all_arrivals() -> None:
    spec = scenario(
        load={"rate": "100/s", "locustfile": "shop.py::Shopper"},
        criteria=[{"metric": "errors.ratio", "below": "1%"}, {"metric": "latency.p99", "below": "50ms"}],
    )
    own = side(spec, failed_share=lambda t: np.full_like(t, 0.1))
    raised = {
        ("(task)" if outcome == "failed" else name, outcome, clock): windows
        for (name, outcome, clock), windows in own.windows.items()
        if (outcome, clock) != ("failed", "service")
    }
    verdict = judge(recording(spec, changed(own, windows=raised)))
    by = {(c.metric, c.endpoint): c for c in verdict.criteria}
    assert set(by) == {("errors.ratio", "(task)"), ("errors.ratio", "browse"), ("latency.p99", "browse")}
    assert by["errors.ratio", "(task)"].value == pytest.approx(0.1, abs=0.01)
    assert verdict.verdict == "fail"
