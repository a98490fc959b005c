"""No trend ever goes across two lives of a target, and what is missing of a whole one is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from soak.core.records import Event, Recording
from soak.judge import judge
from soak.judge.lives import lives, loaded_s
from soak.judge.side import Side
from tests.making import Shape, recording, scenario, side
from tests.unit.judging import LOOSE, failing, memory

SPEC = scenario(criteria=LOOSE, phases={"idle_before": "5s", "warmup": "10s", "soak": "240s", "idle_after": "5s"})
SOAK = 15.0


def resumed(start: float, end: float, *anew: str, why: str = "cut off", away: float = 600.0) -> Event:
    data = {"from": start, "to": end, "why": why, "away": away, "anew": list(anew), "begin": 5.0, "upto": start - 5.0}
    return Event(end, "resumed", None, "the run was cut off", data)


def run(shape: Shape, *gaps: Event, **changes: Any) -> Recording:
    return recording(SPEC, side(SPEC, series=memory(shape), **changes), events=gaps)


def level(t: np.ndarray) -> np.ndarray:
    return np.full_like(t, 40.0)


def test_growth_from_one_life_to_the_next_is_no_growth() -> None:
    """Each process is flat, and the second one twice as large: a line through both would be a leak."""
    made = run(lambda t: np.where(t < 130, 40.0, 80.0), resumed(128.0, 132.0, "candidate"))
    verdict = judge(made)
    assert not failing(verdict)
    assert verdict.verdict == "inconclusive"
    assert "started anew once" in verdict.reasons[0]
    assert "are missing to the 4 min of soak" in verdict.reasons[0]
    assert any("cut off" in note and "another process" in note for note in verdict.notes)


def test_a_leak_that_begins_anew_with_each_life_is_found_within_one() -> None:
    made = run(lambda t: 40 + 0.3 * np.where(t < 130, t, t - 130), resumed(128.0, 132.0, "candidate"))
    assert judge(made).verdict == "fail"
    assert "memory_growth" in failing(judge(made))


def test_a_leak_of_a_shorter_life_fails_the_run_too_and_says_when_it_was() -> None:
    made = run(lambda t: np.where(t < 105, 40 + 0.5 * t, 40.0), resumed(102.0, 106.0, "candidate"))
    verdict = judge(made)
    assert verdict.verdict == "fail"
    (found,) = [f for f in verdict.candidate.findings if f.cause == "memory_growth"]
    assert any("in the life of the target from" in line for line in found.evidence)


def test_a_target_that_lived_on_is_one_life_and_may_pass() -> None:
    verdict = judge(run(level, resumed(128.0, 132.0)))
    assert verdict.verdict == "pass", verdict.reasons
    assert any("went on meanwhile" in note for note in verdict.notes)


def test_a_leak_across_a_hole_of_one_life_is_a_leak() -> None:
    assert "memory_growth" in failing(judge(run(lambda t: 40 + 0.3 * t, resumed(128.0, 132.0))))


def test_cut_off_at_once_the_second_life_is_the_whole_soak_and_may_pass() -> None:
    made = run(level, resumed(8.0, 10.0, "candidate"))
    assert [loaded_s(one) for one in lives(made)] == [235.0]
    assert judge(made).verdict == "pass"


def test_a_life_under_load_begins_with_a_warmup_of_its_own() -> None:
    second = lives(run(level, resumed(128.0, 132.0, "candidate")))[1]
    assert second.soak_span == (142.0, 255.0)
    assert second.load_start == 132.0
    assert second.phase("idle_before") is None
    assert all(s.t[0] >= 132.0 for s in second.sides["candidate"].series.values())


def test_what_is_in_the_gap_is_neither_judged_nor_held_against_the_generator() -> None:
    spec_side = side(SPEC, series=memory(level))
    kept = tuple(y for y in spec_side.tallies if not 100 <= y.start < 140)
    made = recording(SPEC, replace(spec_side, tallies=kept, scheduled=sum(y.scheduled for y in kept)))
    assert judge(made).verdict == "invalid"  # a sixth of the soak was not reported
    whole = replace(made, events=(resumed(100.0, 140.0),))
    verdict = judge(whole)
    assert verdict.candidate.validity.invalid_intervals == 0
    assert verdict.verdict == "inconclusive"  # 200 s of 240 s
    seen = Side("candidate", whole, *(whole.soak_span or (0.0, 0.0)))
    assert not any(100 <= y.start < 140 for y in seen.tallies)


def test_a_counter_that_began_anew_makes_no_rate() -> None:
    made = run(level, resumed(128.0, 132.0))
    cpu = made.sides["candidate"].series["process.cpu_seconds"]
    fell = replace(cpu, v=np.where(cpu.t < 130, cpu.v, cpu.v - 20.0))
    sides = {
        "candidate": replace(
            made.sides["candidate"], series=dict(made.sides["candidate"].series) | {"process.cpu_seconds": fell}
        )
    }
    (life,) = lives(replace(made, sides=sides))
    rate = Side("candidate", life, SOAK, 255.0).series("process.cpu")
    assert rate is not None
    assert rate.v.min() > 0


def test_interrupted_and_resumed_is_not_interrupted() -> None:
    stopped = Event(128.0, "interrupted", None, "interrupted by the user")
    assert judge(run(level, stopped)).interrupted
    assert not judge(run(level, stopped, resumed(128.3, 132.0, why="interrupted"))).interrupted


def test_the_wall_clock_counts_what_the_runs_clock_left_out() -> None:
    made = run(level, resumed(128.0, 132.0, away=600.0))
    assert made.wall(100.0) == made.started + 100.0
    assert made.wall(140.0) == made.started + 740.0
