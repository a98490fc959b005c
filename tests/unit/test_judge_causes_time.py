from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from soak.core.histogram import Histogram
from soak.judge import causes_time, judge
from soak.judge.side import Side
from tests.making import Shape, recording, scenario, side
from tests.unit.judging import LOOSE, changed, failing, judged, the


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(lambda t: np.where((t > 110) & (t < 118), 0.03, 0.005), id="late"),
        pytest.param(lambda t: np.where((t > 60) & (t < 72), 0.05, 0.005), id="in the middle"),
        pytest.param(lambda t: np.where((t > 20) & (t < 30), 0.05, 0.005), id="early"),
    ],
)
def test_a_burst_that_goes_by_is_no_step_and_no_drift(shape: Shape) -> None:
    for seed in range(5):
        assert failing(judged(latency=shape, seed=seed)) == []


def test_a_step_has_a_size_and_a_moment_and_no_rate() -> None:
    step = the(judged(latency=lambda t: np.where(t > 80, 0.012, 0.005)), "latency_step")
    assert step.severity == "fail"
    assert step.start == pytest.approx(80, abs=8)
    assert (step.rate, step.low, step.high, step.eta_s) == (None, None, None, None)


def test_an_early_step_may_be_a_short_warm_up_and_only_warns() -> None:
    verdict = judged(latency=lambda t: np.where(t > 27, 0.012, 0.005))
    assert verdict.verdict == "pass"
    step = the(verdict, "latency_step")
    assert step.severity == "warning"
    assert any("warm-up" in line for line in step.evidence)


def test_time_left_to_a_latency_limit_has_its_interval() -> None:
    criteria = [{"metric": f"latency.{q}", "below": "100ms"} for q in ("p50", "p99", "p999")]
    drift = the(judged(criteria, latency=lambda t: 0.005 * (1 + (t - 15) / 120)), "superlinear_cost")
    assert drift.eta_limit == "the limit of 100 ms"
    assert drift.eta_low_s is not None
    assert drift.eta_s is not None
    assert drift.eta_high_s is not None
    assert drift.eta_low_s < drift.eta_s < drift.eta_high_s


@pytest.mark.parametrize(
    "failed,drifts",
    [
        pytest.param(lambda t: np.where((t >= 90) & (t < 92), 1.0, 0.0), False, id="one outage that is over"),
        pytest.param(lambda t: np.where(t % 30 < 1, 0.9, 0.0), False, id="periodic"),
        pytest.param(lambda t: np.full_like(t, 0.02), False, id="steady"),
        pytest.param(lambda t: 0.05 * np.clip((t - 15) / 120, 0, 1), True, id="ramp"),
        pytest.param(lambda t: np.where(t > 70, 0.05, 0.0), True, id="from the middle on"),
        pytest.param(lambda t: np.where(t > 122, 0.8, 0.0), True, id="at the end, and lasting"),
    ],
)
def test_failures_drift_when_they_keep_rising_not_when_something_went_by(failed: Shape, drifts: bool) -> None:
    assert failing(judged(failed_share=failed)) == (["error_drift"] if drifts else [])


def rising_cpu(t: np.ndarray) -> np.ndarray:
    return 0.2 * t + 0.002 * t * t


def test_cpu_that_grows_alone_is_found() -> None:
    grown = the(judged(series={"process.cpu_seconds": rising_cpu}), "superlinear_cost")
    assert (grown.metric, grown.endpoint, grown.severity) == ("cpu.per_request", None, "fail")


def test_cpu_and_latency_that_grow_together_are_one_finding() -> None:
    verdict = judged(series={"process.cpu_seconds": rising_cpu}, latency=lambda t: 0.005 * (1 + t / 60))
    assert failing(verdict) == ["superlinear_cost"]
    assert "CPU for each request" in the(verdict, "superlinear_cost").title


def test_latency_that_levels_off_does_not_hide_cpu_that_grows() -> None:
    verdict = judged(
        series={"process.cpu_seconds": rising_cpu}, latency=lambda t: 0.02 - 0.015 * np.exp(-(t - 15) / 70)
    )
    grown = [f for f in verdict.candidate.findings if f.severity == "fail"]
    assert [(f.cause, f.metric) for f in grown] == [("superlinear_cost", "cpu.per_request")]


def unserved(latency: Shape, share: float, since: float = 0.0) -> list[str]:
    spec = scenario(criteria=LOOSE)
    made = side(spec, latency=latency)
    tallies = tuple(
        dataclasses.replace(y, done=y.done - int(share * y.scheduled), unserved=int(share * y.scheduled))
        if y.start >= since
        else y
        for y in made.tallies
    )
    return failing(judge(recording(spec, changed(made, tallies=tallies))))


def test_arrivals_that_nobody_served_are_throughput_loss_unless_latency_says_why() -> None:
    assert unserved(lambda t: np.full_like(t, 0.005), 0.005) == []
    assert unserved(lambda t: np.full_like(t, 0.005), 0.05) == ["throughput_loss"]
    assert unserved(lambda t: 0.005 * (1 + t / 60), 0.05, since=75) == ["superlinear_cost"]
    # as many while it was still quick: that is not why
    assert unserved(lambda t: 0.005 * (1 + t / 60), 0.05) == ["superlinear_cost", "throughput_loss"]


def test_a_median_that_levels_off_does_not_hide_a_tail_that_grows() -> None:
    spec = scenario(criteria=LOOSE)
    rare = scenario(criteria=LOOSE, load={"rate": "5/s", "requests": [{"name": "browse", "get": "/"}]})
    most = side(spec, latency=lambda t: 0.02 - 0.015 * np.exp(-(t - 15) / 70))
    tail = side(rare, latency=lambda t: 0.1 * (1 + 0.4 * (t - 15) / 120), sigma=0.05)
    windows = {
        key: tuple(
            dataclasses.replace(w, histogram=Histogram.merge([w.histogram, slow.histogram]))
            for w, slow in zip(most.windows[key], tail.windows[key], strict=True)
        )
        for key in most.windows
    }
    verdict = judge(recording(spec, changed(most, windows=windows)))
    drift = the(verdict, "latency_drift")
    assert (drift.metric, drift.severity) == ("latency.p99", "fail")


def test_cpu_that_ends_no_higher_than_it_began_does_not_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = scenario(criteria=[{"metric": "errors.ratio", "below": "1%"}])
    made = recording(spec, side(spec, series={"process.cpu_seconds": lambda t: 0.2 * t + 0.002 * t * t}))
    one = Side("candidate", made, *(made.soak_span or (0.0, 0.0)))
    assert [f.cause for f in causes_time.cpu(one)] == ["cpu_drift"]
    fitted = one.trend("cpu.per_request")
    assert fitted is not None
    monkeypatch.setattr(Side, "trend", lambda *_: dataclasses.replace(fitted, first=617e-6, last=609e-6))
    assert causes_time.cpu(one) == []
