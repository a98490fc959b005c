from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from soak.judge import judge
from tests.making import MIB, Shape, recording, scenario, side
from tests.unit.judging import LOOSE, changed, failing, judged, memory, the


def climbs(since: float) -> Shape:
    return lambda t: np.maximum(0.0, t - since)


def leak_since(since: float) -> dict[str, Shape]:
    return memory(lambda t: 50 + 0.4 * climbs(since)(t))


def test_latency_that_bends_upwards_with_a_leak_is_evidence_of_it() -> None:
    verdict = judged(series=leak_since(75), latency=lambda t: 0.02 * (1 + climbs(75)(t) / 30), sigma=0.1)
    assert failing(verdict) == ["memory_growth"]
    evidence = the(verdict, "memory_growth").evidence
    assert any(line.startswith("with it, latency.") and "of browse grows" in line for line in evidence)


@pytest.mark.parametrize(
    "latency",
    [
        pytest.param(lambda t: 0.02 * (1 + climbs(30)(t) / 60), id="it began at another time"),
        pytest.param(lambda t: 0.02 * (1 + t / 60), id="a straight line"),
    ],
)
def test_two_faults_that_have_nothing_to_do_with_each_other_are_both_told(latency: Shape) -> None:
    verdict = judged(series=leak_since(90), latency=latency, sigma=0.1)
    assert sorted(failing(verdict)) == ["memory_growth", "superlinear_cost"]


def test_two_straight_lines_prove_nothing() -> None:
    verdict = judged(series=memory(lambda t: 50 + 0.2 * t), latency=lambda t: 0.005 * (1 + t / 60))
    assert sorted(failing(verdict)) == ["memory_growth", "superlinear_cost"]


def test_cpu_and_latency_that_grow_with_the_data_alike_have_one_root() -> None:
    dearer = {"process.cpu_seconds": lambda t: 0.02 * t + 0.0002 * t * t}  # half a millisecond more a request
    both = judged(series=dearer, latency=lambda t: 0.1 * (1 + t / 60), sigma=0.1)
    assert failing(both) == ["superlinear_cost"]
    evidence = "; ".join(the(both, "superlinear_cost").evidence)
    assert "of browse grows" in evidence
    assert "CPU for each request" in evidence


def descriptors(limit: float) -> dict[str, Shape]:
    return {
        "process.fds": lambda t: np.minimum(20 + 4 * t, limit),
        "process.fds_room": lambda t: np.maximum(limit - 20 - 4 * t, 0.0),
        "process.fds_limit": lambda t: np.full_like(t, limit),
    }


def test_failures_that_begin_when_descriptors_run_out_follow_from_their_leak() -> None:
    fails: Shape = lambda t: np.where(t > 120, 0.9, 0.0)  # noqa: E731
    out = judged(series=descriptors(500.0), failed_share=fails)
    assert failing(out) == ["fd_leak"]
    assert any("descriptors were left" in line for line in the(out, "fd_leak").evidence)
    assert sorted(failing(judged(series=descriptors(5000.0), failed_share=fails))) == ["error_drift", "fd_leak"]


def failing_by(outcome: str) -> list[str]:
    """A run that gets slower, and whose later requests end with `outcome`."""
    spec = scenario(criteria=LOOSE)
    made = side(
        spec, latency=lambda t: 0.05 * (1 + t / 60), sigma=0.1, failed_share=lambda t: np.where(t > 90, 0.05, 0.0)
    )
    windows: dict[Any, Any] = {
        (endpoint, outcome if kind == "failed" else kind, clock): w
        for (endpoint, kind, clock), w in made.windows.items()
    }
    return sorted(failing(judge(recording(spec, changed(made, windows=windows)))))


def test_timeouts_follow_from_latency_and_refusals_do_not() -> None:
    assert failing_by("timeout") == ["superlinear_cost"]
    assert failing_by("failed") == ["error_drift", "superlinear_cost"]


def test_recursion_errors_are_what_failed_or_they_are_not() -> None:
    fails: Shape = lambda t: np.where(t > 75, 0.05, 0.0)  # noqa: E731
    counted: dict[str, Shape] = {"stack.recursion_errors": lambda t: np.round(5 * climbs(75)(t))}
    assert failing(judged(series=counted, failed_share=fails)) == ["recursion_limit"]
    few: dict[str, Shape] = {"stack.recursion_errors": lambda t: np.where(t > 100, 40.0, 0.0)}
    assert sorted(failing(judged(series=few, failed_share=fails))) == ["error_drift", "recursion_limit"]


def test_the_level_of_memory_does_not_matter() -> None:
    series = {name: (lambda t: 800 * MIB + 2 * MIB * climbs(75)(t)) for name in ("memory.rss", "memory.anon")}
    verdict = judged(series=series, latency=lambda t: 0.02 * (1 + climbs(75)(t) / 30), sigma=0.1)
    assert failing(verdict) == ["memory_growth"]
