from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from soak.core.records import SideRecording
from soak.judge import judge
from soak.judge.combine import WITH_IT
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


def test_cpu_that_is_a_small_part_of_what_answers_take_longer_is_a_fault_of_its_own() -> None:
    dearer = {"process.cpu_seconds": lambda t: 0.2 * t + 0.0004 * t * t}  # on a line, a millisecond more
    verdict = judged(series=dearer, latency=lambda t: 0.02 * (1 + climbs(90)(t) / 15), sigma=0.1)
    assert failing(verdict) == ["superlinear_cost", "superlinear_cost"]
    assert {f.metric.partition(".")[0] for f in verdict.candidate.findings} == {"latency", "cpu"}


def unserved(made: SideRecording, share: float, since: float, until: float) -> SideRecording:
    """The same side, of which ever more arrivals, up to `share`, found no slot; CPU a request stays what it was."""
    tallies = []
    for y in made.tallies:
        n = int(y.scheduled * share * min(1.0, max(0.0, (y.start - since) / (until - since))))
        tallies.append(dataclasses.replace(y, unserved=n, done=y.done - n))
    spent = np.cumsum([0.0, *(0.002 * y.done for y in tallies)])
    t = made.series["process.cpu_seconds"].t
    cpu = dataclasses.replace(
        made.series["process.cpu_seconds"],
        v=np.interp(t, [y.start for y in tallies] + [tallies[-1].start + tallies[-1].length], spent),
    )
    series = {**made.series, "process.cpu_seconds": cpu}
    found: SideRecording = changed(made, tallies=tuple(tallies), series=series, processes={"1": series})
    return found


def test_what_follows_from_growth_that_is_tolerated_is_told_after_all() -> None:
    tolerated = [*LOOSE, {"metric": "memory.anon", "growth_below": "100 MiB"}]
    verdict = judged(tolerated, series=leak_since(75), latency=lambda t: 0.02 * (1 + climbs(75)(t) / 30), sigma=0.1)
    assert failing(verdict) == ["superlinear_cost"]
    root = the(verdict, "memory_growth")
    assert root.severity == "warning"
    assert not [line for line in root.evidence if line.startswith(WITH_IT)]


def test_what_follows_from_a_drift_that_the_reference_has_too_is_told_after_all() -> None:
    spec = scenario(criteria=LOOSE, reference={"url": "http://127.0.0.1:8001", "process": {"command": "old"}})
    slower: Shape = lambda t: 0.005 + 0.00005 * climbs(15)(t)  # noqa: E731
    ours, theirs = (side(spec, seed=seed, latency=slower, sigma=0.1) for seed in (1, 2))
    verdict = judge(recording(spec, unserved(ours, 0.3, 60, 135), theirs))
    assert failing(verdict) == ["throughput_loss"]
    assert the(verdict, "superlinear_cost").severity == "info"


def test_what_follows_from_a_cost_that_is_well_is_told_after_all() -> None:
    spec = scenario(criteria=LOOSE)
    tree: Shape = lambda t: 0.004 + 0.002 * np.log(np.maximum(t - 5, 1))  # noqa: E731
    verdict = judge(recording(spec, unserved(side(spec, latency=tree, sigma=0.1), 0.3, 75, 135)))
    assert failing(verdict) == ["throughput_loss"]
    assert the(verdict, "superlinear_cost").severity == "info"


def test_what_was_told_with_its_root_is_in_no_report() -> None:
    verdict = judged(series=leak_since(75), latency=lambda t: 0.02 * (1 + climbs(75)(t) / 30), sigma=0.1)
    assert all("follows" not in finding for finding in verdict.to_json()["findings"])
