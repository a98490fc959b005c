"""What percentiles are taken of: failing, fast or slow or not at all, never makes one better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soak.core.histogram import Recorder
from soak.core.records import Event, Series, SideRecording, Window
from soak.judge import judge
from soak.judge.side import Side
from tests.making import MIB, recording, scenario, side
from tests.unit.judging import changed

SPEC = scenario(criteria=[{"metric": "errors.ratio", "below": "50%"}])


def with_windows(values: Mapping[tuple[str, str, str], list[float]]) -> SideRecording:
    """A healthy side that also saw these (s), all in every tenth second of the soak."""
    made = side(SPEC)
    windows: dict[Any, Any] = dict(made.windows)
    for key, seconds in values.items():
        held = []
        for start in np.arange(20.0, 130.0, 10.0):
            recorder = Recorder()
            for value in seconds:
                recorder.record(value)
            held.append(Window(float(start), 1.0, recorder.take()))
        windows[key] = tuple(held)
    return changed(made, windows=windows)  # type: ignore[no-any-return]


def view(values: Mapping[tuple[str, str, str], list[float]]) -> Side:
    whole = recording(SPEC, with_windows(values))
    assert whole.soak_span is not None
    return Side("candidate", whole, *whole.soak_span)


@given(
    st.lists(st.floats(1e-5, 20), max_size=60), st.sampled_from(["failed", "timeout"]), st.sampled_from([50, 90, 99])
)
@settings(max_examples=30, deadline=None)
def test_failures_never_improve_a_percentile(seconds: list[float], outcome: str, q: float) -> None:
    if outcome == "timeout":
        seconds = [10 + s for s in seconds]  # given up after the timeout, not before
    healthy = view({}).answers.judged("browse", "latency", q).percentile(q)
    failing = view({("browse", outcome, "latency"): seconds}).answers
    assert failing.judged("browse", "latency", q).percentile(q) >= healthy


def test_slow_failures_and_timeouts_show_in_the_percentiles_and_fast_failures_do_not() -> None:
    healthy = view({}).answers.judged("browse", "latency", 99).percentile(99)
    for key, worse in ((("failed", 5.0), True), (("timeout", 10.0), True), (("failed", 1e-4), False)):
        seen = view({("browse", key[0], "latency"): [key[1]] * 50})
        value = seen.answers.judged("browse", "latency", 99).percentile(99)
        assert (value > 4) if worse else (value == healthy)
        windows = seen.answers.percentile_windows("browse", "latency", "p99")
        assert windows is not None
        assert (windows.v.max() > 4) == worse


def test_percentiles_among_timeouts_are_marked_and_count_as_failures() -> None:
    values = {("browse", "timeout", "latency"): [10.0] * 20, ("browse", "timeout", "service"): [10.0] * 20}
    verdict = judge(recording(SPEC, with_windows(values)))
    shown = verdict.candidate.latency["browse"]
    assert (shown.timeouts, shown.failed) == (220, 220)
    assert shown.censored == ("p99", "p999", "p9999", "max")
    assert verdict.to_json()["latency"]["browse"]["censored"] == ["p99", "p999", "p9999", "max"]


@pytest.mark.parametrize("below, result", [("20s", "inconclusive"), ("5s", "fail")])
def test_a_limit_beyond_the_timeout_cannot_be_shown_to_hold(below: str, result: str) -> None:
    spec = scenario(criteria=[{"metric": "latency.p99", "below": below}])
    values = {("browse", "timeout", "latency"): [10.0] * 20}
    assert judge(recording(spec, with_windows(values))).criteria[0].result == result


def test_a_journey_is_an_endpoint_for_latency_and_errors_and_not_a_request() -> None:
    spec = scenario(
        criteria=[{"metric": "latency.p99", "below": "1s"}, {"metric": "errors.ratio", "below": "5%"},
                  {"metric": "service.p99", "below": "1s"}]
    )  # fmt: skip
    made = with_windows({("visit", "ok", "journey"): [0.5] * 90, ("visit", "failed", "journey"): [0.5] * 10})
    whole = recording(spec, made)
    assert (made.endpoints, made.journeys) == (["browse"], ["visit"])
    verdict = judge(whole)
    judged = {(c.metric, c.endpoint): c for c in verdict.criteria}
    assert set(judged) == {
        ("latency.p99", "browse"), ("latency.p99", "visit"), ("errors.ratio", "browse"), ("errors.ratio", "visit"),
        ("service.p99", "browse"),
    }  # fmt: skip
    assert judged["errors.ratio", "visit"].value == pytest.approx(0.1)
    assert judged["latency.p99", "visit"].value == pytest.approx(0.5, rel=1e-2)
    assert set(verdict.candidate.latency) == {"browse", "visit"}
    assert set(verdict.candidate.service) == {"browse"}
    span = whole.soak_span
    assert span is not None
    # all endpoints together are requests only
    assert Side("candidate", whole, *span).answers.failures(None)[0] == 0


def test_cpu_that_sampling_stacks_took_is_not_that_of_requests() -> None:
    def spent(t: np.ndarray) -> np.ndarray:
        return 0.05 * t + 0.05 * np.clip(t - 60, 0, 6)

    data = {
        "pid": 4711, "why": "planned", "from": 66.0, "to": 67.0,
        "hot": {"from": 60.0, "to": 66.0, "functions": [], "samples": 9},
    }  # fmt: skip
    made = side(SPEC, series={"process.cpu_seconds": spent})
    for events, most in (((), 0.001), ((Event(66.0, "inspection", "candidate", "looked", data),), 0.0005)):
        whole = recording(SPEC, made, events=events)
        assert whole.soak_span is not None
        found = Side("candidate", whole, *whole.soak_span).soak_series("cpu.per_request")
        assert found is not None
        assert found.v.max() == pytest.approx(most, rel=0.05)


@pytest.mark.parametrize("leak", [0.0, 5.0])
def test_growth_that_only_follows_a_load_meant_to_vary_is_explained_by_it(leak: float) -> None:
    daily = {"kind": "daily", "peak": "180/s", "period": "300s"}
    spec = scenario(load={"rate": "100/s", "pattern": daily, "requests": [{"name": "browse", "get": "/"}]})
    made = side(spec)
    tallies = tuple(replace(y, scheduled=int(200 - 100 * np.cos(2 * np.pi * y.start / 200))) for y in made.tallies)
    t = made.series["memory.anon"].t
    load = np.interp(t, [y.start for y in tallies], [y.scheduled for y in tallies])
    noise = np.random.default_rng(1).normal(0, 0.2, len(t))
    follows = Series(t, MIB * (40 + 0.1 * load + leak * t / t[-1] + noise))
    made = replace(made, tallies=tallies, series=dict(made.series) | {"memory.anon": follows})
    fitted = Side("candidate", recording(spec, made), 15.0, 135.0).trend("memory.anon")
    assert fitted is not None
    assert fitted.growth / MIB == pytest.approx(leak * 120 / t[-1], abs=0.6)
    assert (fitted.low > 0) == (leak > 0)
