"""Drifts that are looked at again: does the data explain them?"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from soak.core.records import Series
from soak.core.verdict import Verdict
from soak.judge import judge
from tests.making import Shape, recording, scenario, side
from tests.unit.judging import LOOSE, changed, failing, judged, the

STEPS = {"kind": "steps", "steps": [{"rate": "20/s", "for": "65s"}, {"rate": "180/s", "for": "65s"}]}


def cpu(cost: Shape) -> dict[str, Shape]:
    """CPU so far of a server at 100 requests a second, each of which costs `cost` (s) at its time."""
    return {"process.cpu_seconds": lambda t: np.cumsum(100 * cost(t)) * (t[1] - t[0])}


def test_one_root_is_one_finding_though_latency_and_cpu_show_it() -> None:
    verdict = judged(latency=lambda t: 0.005 + 0.0001 * t, series=cpu(lambda t: 0.001 + 0.00005 * t), criteria=LOOSE)
    assert failing(verdict) == ["superlinear_cost"]
    found = the(verdict, "superlinear_cost")
    assert (found.metric.partition(".")[0], found.endpoint, found.rate_unit) == ("latency", "browse", "exponent")
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 1 <= found.high
    assert found.confidence == "medium"
    assert "O(n)" in found.title
    assert "CPU for each request" in found.title
    assert "10 times" in found.title


def test_a_cost_that_grows_with_the_square_is_told() -> None:
    found = the(judged(latency=lambda t: 0.005 + 2e-6 * (t - 5) ** 2), "superlinear_cost")
    assert found.low is not None
    assert found.low > 1.3
    assert "O(n^2)" in found.title
    assert found.confidence == "low"  # no CPU grew with it: it may be whoever it waits for


def test_a_cost_like_a_tree_is_information() -> None:
    verdict = judged(latency=lambda t: 0.004 + 0.002 * np.log(np.maximum(t - 5, 1)), sigma=0.1)
    assert failing(verdict) == []
    assert verdict.verdict == "pass"
    found = the(verdict, "superlinear_cost")
    assert (found.severity, found.metric) == ("info", "latency.p50")
    assert "no faster than log n, as n^" in found.title
    assert found.low is not None
    assert found.low <= 0


def test_a_steep_logarithm_is_no_tree_either() -> None:
    verdict = judged(latency=lambda t: 0.004 * np.log(np.maximum(t - 5, 1)) - 0.006, sigma=0.1)
    assert [f.cause for f in verdict.candidate.findings] == ["latency_drift"]  # ten times the data cost 69 % more


@pytest.mark.parametrize("b", [0.1, 0.2, 0.3])
def test_a_root_of_the_data_is_no_tree(b: float) -> None:
    verdict = judged(latency=lambda t: 0.02 * (np.maximum(t - 5, 0.01) / 130) ** b, sigma=0.02)
    drift = the(verdict, "latency_drift")
    assert drift.severity == "fail"
    assert any("cannot be told" in line and f"as n^{b:.1f}" in line for line in drift.evidence)


def test_time_left_to_a_limit_follows_the_curve_and_not_a_line() -> None:
    criteria = [{"metric": "latency.p50", "below": "100ms"}]
    found = the(judged(criteria, latency=lambda t: 0.005 + 2e-6 * (t - 5) ** 2, sigma=0.1), "superlinear_cost")
    assert found.eta_limit == "the limit of 100 ms"
    assert found.eta_low_s is not None
    assert found.eta_s is not None
    assert found.eta_low_s <= found.eta_s
    # 5 ms + 2 us s^2 is at 100 ms after 218 s, of which 130 have gone by; the line would say 320 s
    assert found.eta_s == pytest.approx(88, rel=0.25)


def stepped(latency: Shape) -> Verdict:
    """Ten times as much work in the second half, under a latency by time."""
    load = {"pattern": STEPS, "requests": [{"name": "browse", "get": "/"}]}
    spec = scenario(criteria=LOOSE, load=load)
    made = side(scenario(criteria=LOOSE), latency=latency, sigma=0.1)
    tallies = []
    for y in made.tallies:
        n = 20 if y.start < 70 else 180
        tallies.append(dataclasses.replace(y, scheduled=n, done=n))
    return judge(recording(spec, changed(made, tallies=tuple(tallies), scheduled=sum(y.done for y in tallies))))


def test_what_time_explains_better_than_the_data_stays_a_drift() -> None:
    drift = the(stepped(lambda t: 0.005 + 0.0001 * t), "latency_drift")
    assert any("time that went by" in line for line in drift.evidence)


def test_time_that_explains_better_goes_before_a_power_of_the_data() -> None:
    verdict = stepped(lambda t: 0.005 + 2e-6 * (t - 5) ** 2)  # of the data it would be n^1.1
    assert failing(verdict) == ["latency_drift"]


def test_what_the_data_explain_better_than_time_is_sure() -> None:
    verdict = stepped(lambda t: 0.005 + 1e-6 * (20 * (t - 5) + 160 * np.maximum(t - 70, 0)))
    found = the(verdict, "superlinear_cost")
    assert found.confidence == "high"
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 1 <= found.high


def test_what_the_host_did_to_a_reference_is_not_in_the_exponent() -> None:
    slow: Shape = lambda t: 0.002 * (t > 110) + 0.001 * np.sin(t / 9)  # noqa: E731
    spec = scenario(criteria=LOOSE, reference={"url": "http://127.0.0.1:8001", "process": {"command": "server --old"}})
    grown = side(spec, latency=lambda t: 0.005 + 0.0001 * t + slow(t), sigma=0.1)
    steady = side(spec, latency=lambda t: 0.005 + slow(t), sigma=0.1, seed=2)
    steady = changed(steady, tallies=tuple(dataclasses.replace(y, side="reference") for y in steady.tallies))
    beside = the(judge(recording(spec, grown, steady)), "superlinear_cost")
    alone = the(judge(recording(scenario(criteria=LOOSE), grown)), "superlinear_cost")
    assert beside.low is not None
    assert beside.high is not None
    assert beside.low <= 1 <= beside.high
    assert alone.low is not None
    assert alone.high is not None
    assert beside.high - beside.low < 0.7 * (alone.high - alone.low)


def declared(size: dict[str, Any], keys: Shape) -> Verdict:
    target = {"url": "http://127.0.0.1:8000", "process": {"command": "server"}, **size}
    spec = scenario(criteria=LOOSE, target=target)
    t = np.arange(0.0, 140.0, 1.0)
    made = side(spec, latency=lambda t: 0.001 + 1e-6 * keys(t), sigma=0.1)
    return judge(recording(spec, changed(made, series={**made.series, "shop_orders": Series(t, keys(t))})))


def test_a_declared_size_is_what_cost_is_held_against() -> None:
    door = {"scrape": {"prometheus": "http://127.0.0.1:8000/metrics"}, "size": "shop_orders"}
    grown: Shape = lambda t: 1_000 + 0.5 * np.maximum(t - 5, 0) ** 2  # noqa: E731
    found = the(declared(door, grown), "superlinear_cost")
    assert "of the shop_orders" in found.title
    assert "O(n)" in found.title
    assert "O(n^2)" not in found.title
    assert "O(n^2)" in the(declared({}, grown), "superlinear_cost").title  # the requests done grow as a line


def test_a_size_that_nothing_tells_leaves_the_drift() -> None:
    verdict = declared({"size": "memory.live"}, lambda t: 1_000 + 100 * t)
    assert failing(verdict) == ["latency_drift"]
    assert any("memory.live, which is to tell" in line for line in the(verdict, "latency_drift").evidence)
