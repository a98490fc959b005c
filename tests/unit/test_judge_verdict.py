from __future__ import annotations

import numpy as np
import pytest

from soak.core.records import Event
from soak.judge import judge
from tests.making import MIB, Shape, recording, scenario, side
from tests.unit.judging import LOOSE, changed, failing, judged, memory

TORN = Event(100.0, "torn", None, "the run file is torn; what follows the tear is lost: samples")
SEEDS = 40


def test_a_torn_file_cannot_pass_but_what_it_shows_still_fails() -> None:
    spec = scenario(criteria=LOOSE)
    calm = judge(recording(spec, side(spec), events=(TORN,), finished=False))
    assert calm.verdict == "inconclusive"
    assert "torn" in calm.headline
    leaking = side(spec, series=memory(lambda t: 50 + 0.2 * t))
    sick = judge(recording(spec, leaking, events=(TORN,), finished=False))
    assert sick.verdict == "fail"
    assert failing(sick) == ["memory_growth"]


def test_a_killed_run_is_judged_on_what_there_is() -> None:
    spec = scenario(criteria=LOOSE)
    whole = recording(spec, side(spec, until=80.0, series=memory(lambda t: 50 + 0.5 * t)), finished=False)
    phases = tuple(p if p.name != "soak" else type(p)("soak", p.start, None) for p in whole.phases[:3])
    verdict = judge(changed(whole, phases=phases, duration=80.0))
    assert verdict.verdict == "fail"
    assert verdict.soak_s == pytest.approx(65)


@pytest.mark.parametrize("kind", ["crash", "oom_kill"])
def test_hard_evidence_counts_even_before_the_soak(kind: str) -> None:
    event = {
        "crash": Event(4.0, "target_exit", "candidate", "the candidate exited with code 3", {"code": 3}),
        "oom_kill": Event(4.0, "oom_kill", "candidate", "killed for want of memory"),
    }[kind]
    whole = recording(scenario(criteria=LOOSE), events=(event,), finished=False)
    verdict = judge(changed(whole, phases=whole.phases[:1], duration=5.0))
    assert verdict.verdict == "fail"
    assert failing(verdict) == [kind]


def test_a_growth_criterion_on_something_else_tolerates_nothing() -> None:
    leak = memory(lambda t: 50 + 0.2 * t)
    other = {"metric": "stack.high_water", "growth_below": "1 GiB"}
    assert failing(judged([other], series=leak)) == ["memory_growth"]
    absolute = {"metric": "memory.rss", "below": "1 GiB"}
    assert failing(judged([absolute], series=leak)) == ["memory_growth"]


def inside(live: float, free: float, leak: float) -> dict[str, Shape]:
    """A process that grows by `leak` MiB/s, of which live and free bytes grow by so many, as an agent tells it."""
    grown = {"memory.live": (30, live), "memory.free_in_heap": (5, free), "memory.pymalloc_slack": (1, 0.0)}
    rng = np.random.default_rng(3)
    told: dict[str, Shape] = {
        name: lambda t, a=start, b=rate: (a + b * t + rng.normal(0, 0.01, len(t))) * MIB  # type: ignore[misc]
        for name, (start, rate) in grown.items()
    }
    return told | {"memory.fragmentation": lambda t: np.full_like(t, 0.1)} | memory(lambda t: 50 + leak * t)


LEAK, FRAGMENTS = inside(0.2, 0.0, 0.2), inside(0.0, 0.2, 0.2)


@pytest.mark.parametrize(
    "metric,limit,series,cause",
    [
        pytest.param("memory.fragmentation", "10%", LEAK, "object_leak", id="a share is not what leaks"),
        pytest.param("memory.free_in_heap", "1 GiB", LEAK, "object_leak", id="nor is what is free"),
        pytest.param("memory.live", "1 GiB", FRAGMENTS, "fragmentation", id="nor what is live what fragments"),
        pytest.param("memory.live", "1 GiB", LEAK, None, id="what is live is what leaks"),
        pytest.param("memory.free_in_heap", "1 GiB", FRAGMENTS, None, id="what is free is what fragments"),
        pytest.param("memory.fragmentation", "10%", FRAGMENTS, "fragmentation", id="but no share is a number of bytes"),
        pytest.param("memory.rss", "1 GiB", LEAK, None, id="all of it is any of it"),
        pytest.param("memory.pss", "1 GiB", FRAGMENTS, None, id="however it is counted"),
    ],
)
def test_a_limit_on_a_part_of_memory_tolerates_the_growth_of_that_part_only(
    metric: str, limit: str, series: dict[str, Shape], cause: str | None
) -> None:
    given = {"memory.pss": series["memory.rss"], **series}
    found = failing(judged([{"metric": metric, "growth_below": limit}], series=given))
    assert found == ([cause] if cause else [])


def test_judging_twice_gives_the_same_verdict() -> None:
    whole = recording(scenario(criteria=LOOSE), side(scenario(criteria=LOOSE), series=memory(lambda t: 50 + 0.1 * t)))
    assert judge(whole) == judge(whole)


def remembering(rng: np.random.Generator, n: int, rho: float, sd: float) -> np.ndarray:
    v = np.zeros(n)
    for i in range(1, n):
        v[i] = rho * v[i - 1] + rng.normal(0, sd * np.sqrt(1 - rho * rho))
    return v


@pytest.mark.parametrize(
    "rho,sd,allowed",
    [pytest.param(0.8, 0.05, 1, id="rho 0.8"), pytest.param(0.9, 0.10, 2, id="rho 0.9")],
)
def test_noise_that_remembers_fails_no_healthy_run(rho: float, sd: float, allowed: int) -> None:
    alarms = 0
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        wander, sway = remembering(rng, 400, rho, sd), remembering(rng, 400, rho, 40 * sd)
        slow: Shape = lambda t, w=wander: 0.005 * np.exp(w[t.astype(int)])  # type: ignore[misc]  # noqa: E731
        made = memory(lambda t, s=sway: 60 + s[: len(t)], seed)  # type: ignore[misc]
        alarms += bool(failing(judged(latency=slow, series=made, seed=seed)))
    assert alarms <= allowed


def test_a_part_of_a_soak_passes_for_what_it_saw_and_says_so() -> None:
    phases = {"warmup": "10s", "soak": "120s", "whole": "8h"}
    criteria = [{"metric": "errors.ratio", "below": "1%"}]
    spec = scenario(criteria=criteria, phases=phases)
    verdict = judge(recording(spec, side(spec, series=memory(lambda t: 50 + 0 * t))))
    assert verdict.verdict == "pass"
    assert "for 2 min of the 8 h that are wanted" in verdict.headline
    assert any("growth that begins later" in note for note in verdict.notes)


def test_a_window_that_did_not_fit_into_a_part_is_no_pass() -> None:
    phases = {"warmup": "10s", "soak": "120s", "whole": "8h"}
    spec = scenario(criteria=[{"metric": "latency.p99", "below": "1s", "over": "30m"}], phases=phases)
    verdict = judge(recording(spec, side(spec, series=memory(lambda t: 50 + 0 * t))))
    assert verdict.verdict == "inconclusive"
    assert "no window of 30 min fits into 2 min of soak" in verdict.criteria[0].reason
    slow = scenario(criteria=[{"metric": "latency.p99", "below": "1ms", "over": "30m"}], phases=phases)
    assert judge(recording(slow, side(slow))).verdict == "fail"


def test_what_nobody_was_told_is_a_note() -> None:
    spec = scenario(criteria=LOOSE)
    lost = Event(60.0, "alert_lost", "candidate", "webhook ${HOOK}: it answered with status 404; it was never told")
    verdict = judge(recording(spec, side(spec), events=(lost, lost)))
    assert [n for n in verdict.notes if "alert" in n] == [
        "an alert could not be delivered: webhook ${HOOK}: it answered with status 404; it was never told (and 1 more)"
    ]
