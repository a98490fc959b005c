"""Side by side: the host's drift is not the target's, and a leak under what both do shows in the difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from soak.judge import judge
from soak.judge.verdict import Verdict
from tests.making import MIB, Shape
from tests.unit.judging import failing, memory, the
from tests.unit.test_judge_against import run


def drifting(t: np.ndarray) -> np.ndarray:
    return 0.005 * (1 + np.clip((t - 15) / 120, 0, 1))


def stepping(t: np.ndarray) -> np.ndarray:
    return np.where(t > 75, 0.009, 0.005)


def both(shape: Shape, theirs: Shape) -> Verdict:
    return judge(run({"latency": shape}, {"latency": theirs}))


@pytest.mark.parametrize("shape,cause", [(drifting, "superlinear_cost"), (stepping, "latency_step")])
def test_a_drift_that_both_show_just_so_is_the_hosts(shape: Shape, cause: str) -> None:
    verdict = both(shape, shape)
    assert failing(verdict) == []
    finding = the(verdict, cause)
    assert finding.severity == "info"
    assert "the reference shows just the same" in finding.evidence[-1]


@pytest.mark.parametrize("shape,cause", [(drifting, "superlinear_cost"), (stepping, "latency_step")])
def test_a_drift_that_the_reference_has_not_stays_the_targets(shape: Shape, cause: str) -> None:
    assert cause in failing(both(shape, lambda t: np.full_like(t, 0.005)))


def test_a_step_of_the_reference_that_is_much_smaller_is_not_the_same() -> None:
    ours, theirs = (lambda t, up=up: np.where(t > 75, 0.005 + up, 0.005) for up in (0.0006, 0.000294))
    assert failing(both(ours, theirs)) == ["latency_step"]  # though what is left between them is below the gate


def test_a_drift_far_beyond_the_hosts_stays_the_targets() -> None:
    verdict = both(lambda t: 0.005 * (1 + 3 * np.clip((t - 15) / 120, 0, 1)), drifting)
    assert "superlinear_cost" in failing(verdict)


def test_cpu_that_grows_in_both_is_not_the_targets_alone() -> None:
    shape: dict[str, Any] = {"series": {"process.cpu_seconds": lambda t: 0.2 * t + 0.0015 * t**2}}
    verdict = judge(run(shape, shape))
    assert "superlinear_cost" not in failing(verdict)
    assert "superlinear_cost" in failing(judge(run(shape)))


def test_a_leak_that_both_have_is_a_leak_and_not_new() -> None:
    leak = {"series": memory(lambda t: 40 + 0.1 * t)}
    verdict = judge(run(leak, leak))
    assert failing(verdict) == ["memory_growth"]
    assert any("the reference grows too" in line for line in the(verdict, "memory_growth").evidence)


def filling(t: np.ndarray) -> np.ndarray:
    return 40 + 30 * (1 - np.exp(-t / 60))


def test_a_leak_under_a_cache_that_fills_shows_beside_one_that_only_fills() -> None:
    leaking = {"series": memory(lambda t: filling(t) + 0.06 * t)}
    verdict = judge(run(leaking, {"series": memory(filling, seed=8)}))
    assert "memory_growth" in failing(verdict)
    growth = the(verdict, "memory_growth")
    assert growth.rate is not None
    assert growth.rate == pytest.approx(0.06 * 3600 * MIB, rel=0.2)


def test_two_caches_that_fill_alike_fail_nothing() -> None:
    for seed in range(6):
        ours, theirs = ({"series": memory(filling, seed=s)} for s in (seed, 100 + seed))
        assert failing(judge(run(ours, theirs))) == []
