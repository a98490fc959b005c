from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from soak.core.records import Recording, Series
from soak.core.verdict import Verdict
from soak.judge import judge
from tests.making import Shape, recording, scenario, side
from tests.unit.judging import LOOSE, changed, failing, memory

SLOWER: Shape = lambda t: 0.005 * (1 + t / 120)  # noqa: E731
LATE: Shape = lambda t: np.where(t > 70, 0.4, 0.01)  # noqa: E731


def on(host: dict[str, Shape], **changes: object) -> Recording:
    """A run on a host of two cores that does as `host` says."""
    spec = scenario(criteria=LOOSE)
    whole = recording(spec, side(spec, **changes))  # type: ignore[arg-type]
    t = whole.host["host.cpu"].t
    return changed(whole, host={**whole.host, **{k: Series(t, v(t)) for k, v in host.items()}}, provenance={"cores": 2})


def told(verdict: Verdict) -> set[str]:
    return {f.metric for f in verdict.candidate.findings if f.cause == "noisy_host"}


@pytest.mark.parametrize("metric", ["host.steal", "host.psi_cpu", "host.psi_io"])
def test_whoever_took_it_is_named_instead_of_the_target(metric: str) -> None:
    assert failing(judge(on({metric: lambda t: np.full_like(t, 0.01)}, latency=SLOWER))) == ["superlinear_cost"]
    verdict = judge(on({metric: LATE}, latency=SLOWER))
    assert failing(verdict) == []
    assert told(verdict) == {metric}
    (drift,) = [f for f in verdict.candidate.findings if f.cause == "latency_drift"]
    assert drift.severity == "warning"
    assert any(line.startswith("meanwhile") and "40 % at the end" in line for line in drift.evidence)


def test_cpu_for_each_request_is_dearer_beside_a_neighbour_too() -> None:
    dearer: dict[str, Shape] = {"process.cpu_seconds": lambda t: 0.02 * t + 0.00005 * t * t}
    assert failing(judge(on({}, series=dearer))) == ["superlinear_cost"]
    assert failing(judge(on({"host.steal": LATE}, series=dearer))) == []


@pytest.mark.parametrize("metric", ["host.steal", "host.psi_cpu", "host.psi_memory", "host.psi_io"])
def test_a_leak_is_found_whatever_the_neighbours_do(metric: str) -> None:
    verdict = judge(on({metric: LATE}, latency=SLOWER, series=memory(lambda t: 50 + 0.2 * t)))
    assert "memory_growth" in failing(verdict)


def test_a_target_that_waits_for_cores_that_it_wants_itself_is_no_neighbour() -> None:
    greedy: dict[str, Shape] = {"process.cpu_seconds": lambda t: 0.2 * t + 0.006 * t * t}
    verdict = judge(on({"host.psi_cpu": LATE}, latency=SLOWER, series=greedy))
    assert told(verdict) == set()
    assert "superlinear_cost" in failing(verdict)


def test_memory_that_the_target_took_itself_is_not_a_neighbours() -> None:
    whole: Shape = lambda t: np.full_like(t, 8e9)  # noqa: E731
    pressed: dict[str, Shape] = {"host.psi_memory": LATE, "host.memory_total": whole}
    own = judge(on({**pressed, "host.memory_available": lambda t: 8e9 - 1e6 * t}, latency=SLOWER))
    assert (told(own), failing(own)) == (set(), ["superlinear_cost"])
    others = judge(on({**pressed, "host.memory_available": lambda t: 8e9 - 2e7 * t}, latency=SLOWER))
    assert (told(others), failing(others)) == ({"host.psi_memory"}, [])


def test_time_that_is_stolen_all_along_is_told_once_and_excuses_nothing() -> None:
    verdict = judge(on({"host.steal": lambda t: np.full_like(t, 0.2)}, latency=SLOWER))
    assert told(verdict) == {"host.steal"}
    assert failing(verdict) == ["superlinear_cost"]


@pytest.mark.parametrize("busy,crowded", [(0.9, {"host.cpu"}), (0.3, set())])
def test_programs_that_take_the_host_all_along_are_told_and_excuse_nothing(busy: float, crowded: set[str]) -> None:
    verdict = judge(on({"host.cpu": lambda t: np.full_like(t, busy)}, latency=SLOWER))
    assert told(verdict) == crowded
    assert failing(verdict) == ["superlinear_cost"]


@pytest.mark.parametrize("busy,late,severity", [(0.9, 6e-3, "warning"), (0.9, 2e-4, "fail"), (0.3, 6e-3, "fail")])
def test_on_a_crowded_host_what_grows_by_less_than_a_wait_for_a_core_fails_nothing(
    busy: float, late: float, severity: str
) -> None:
    stepped: Shape = lambda t: np.where(t > 70, 0.009, 0.005)  # noqa: E731
    whole = on({"host.cpu": lambda t: np.full_like(t, busy)}, latency=stepped, sigma=0.1)
    made = whole.sides["candidate"]
    waited = changed(made, tallies=tuple(replace(y, wake_p99=late) for y in made.tallies))
    whole = changed(whole, sides={"candidate": waited})
    found = {f.severity for f in judge(whole).candidate.findings if f.cause in ("latency_step", "latency_drift")}
    assert found == {severity}


def test_cores_that_the_target_takes_itself_are_nobody_elses() -> None:
    greedy: dict[str, Shape] = {"process.cpu_seconds": lambda t: 1.5 * t, "process.cpu": lambda t: np.full_like(t, 1.5)}
    assert told(judge(on({"host.cpu": lambda t: np.full_like(t, 0.9)}, series=greedy))) == set()


def beside(reference: dict[str, object], **shapes: object) -> Verdict:
    """Two sides under the same arrivals, with somebody who takes half of the candidate's host late in the soak."""
    spec = scenario(criteria=LOOSE, reference={"url": "http://127.0.0.1:8001", **reference})
    whole = recording(spec, side(spec), side(spec, seed=2, **shapes))  # type: ignore[arg-type]
    host = {**whole.host, "host.steal": Series(whole.host["host.cpu"].t, LATE(whole.host["host.cpu"].t))}
    return judge(changed(whole, host=host))


def test_a_host_that_both_sides_are_on_is_told_of_once() -> None:
    verdict = beside({"process": {"command": "server"}}, latency=SLOWER)
    assert told(verdict) == {"host.steal"}
    assert verdict.reference is not None
    assert [f.cause for f in verdict.reference.findings] == ["latency_drift"]
    assert verdict.reference.findings[0].severity == "warning"


def test_a_reference_on_another_machine_is_neither_excused_nor_bounded_by_the_candidates_host() -> None:
    elsewhere: dict[str, object] = {"observer": "https://other.example:9645"}
    slow = beside(elsewhere, latency=SLOWER)
    assert slow.reference is not None
    assert [(f.cause, f.severity) for f in slow.reference.findings] == [("superlinear_cost", "fail")]
    leaks = beside(elsewhere, series=memory(lambda t: 50 + 0.2 * t))
    here = beside({"process": {"command": "server"}}, series=memory(lambda t: 50 + 0.2 * t))
    limits = [[f.eta_limit for f in v.reference.findings] for v in (leaks, here) if v.reference is not None]
    assert limits == [[None], ["the end of the host's memory"]]
