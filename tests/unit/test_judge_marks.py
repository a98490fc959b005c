"""The instrument's own trouble is named, marked, and left out of what is said about the target."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from soak.core.records import Event, Recording, Tally
from soak.core.verdict import Verdict
from soak.judge import judge
from soak.judge.marks import lag_limit, lag_p99_limit
from tests.making import recording, scenario, side
from tests.unit.judging import changed

SPEC = scenario(criteria=[{"metric": "latency.p99", "below": "50ms"}, {"metric": "errors.ratio", "below": "1%"}])


def with_tallies(change: Any, latency: Any = lambda t: np.full_like(t, 0.005), soak: str = "120s") -> Recording:
    """A healthy run of a soak from 15 s on; `change` gives each tally's other fields by its start."""
    spec = scenario(criteria=[c.model_dump(exclude_none=True, by_alias=True) for c in SPEC.criteria], phases={
        "idle_before": "5s", "warmup": "10s", "soak": soak, "idle_after": "5s"})  # fmt: skip
    made = side(spec, latency=latency)
    tallies = tuple(replace(y, **change(y)) for y in made.tallies)
    return recording(spec, changed(made, tallies=tallies))


def between(start: float, end: float, **fields: Any) -> Any:
    def change(y: Tally) -> dict[str, Any]:
        return fields if start <= y.start < end else {}

    return change


def judged(change: Any, **made: Any) -> Verdict:
    return judge(with_tallies(change, **made))


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"lag_p99": 0.05, "lag_max": 0.3, "cpu": 0.97, "no_slot": 90}, "saturated: its own work"),
        ({"lag_p99": 0.05, "lag_max": 0.3, "cpu": 0.3, "waited": 0.45}, "starved of CPU: it waited for a core"),
        ({"lag_p99": 0.05, "cpu": 0.04, "waited": 0.14}, "starved of CPU: it waited for a core"),
        ({"lag_p99": 0.05, "lag_max": 0.08, "cpu": 0.1, "waited": 0.09}, "starved of CPU: it waited for a core"),
        ({"lag_p99": 0.05, "lag_max": 0.9, "cpu": 0.1}, "frozen: it neither ran nor waited"),
    ],
)
def test_what_kept_the_generator_is_named(fields: dict[str, Any], words: str) -> None:
    verdict = judged(between(40, 90, **fields))
    assert verdict.verdict == "invalid"
    assert words in verdict.headline
    share = f"up to {fields.get('waited', 0):.0%} of the time".replace("%", " %")
    assert any(share in reason for reason in verdict.reasons) == ("waited" in fields)
    assert not any(words in note for note in verdict.notes), "it is the reason of the verdict, and said there"


@pytest.mark.parametrize(
    "fields,own",
    [({"cpu": 0.97}, True), ({"cpu": 0.8, "waited": 0.2}, True), ({"cpu": 0.3, "waited": 0.6}, False)],
)
def test_more_workers_are_advised_where_the_generators_own_work_was_too_much(fields: dict[str, Any], own: bool) -> None:
    verdict = judged(between(40, 90, lag_p99=0.05, lag_max=0.3, no_slot=90, **fields))
    causes = [f.cause for f in verdict.candidate.findings]
    assert ("generator_saturated" in causes) == own


@pytest.mark.parametrize(
    "criterion,p99,once",
    [
        ({"metric": "memory.rss", "growth_below": "5%"}, 0.050, 0.250),
        ({"metric": "latency.p99", "below": "50ms"}, 0.020, 0.100),
        ({"metric": "latency.p99", "below": "200ms"}, 0.040, 0.100),
        ({"metric": "service.p99", "below": "2s"}, 0.050, 0.250),
        ({"metric": "latency.p99", "growth_below": "10%"}, 0.020, 0.250),
    ],
)
def test_how_late_a_loop_may_be_is_a_matter_of_what_is_asked_for(
    criterion: dict[str, Any], p99: float, once: float
) -> None:
    spec = scenario(criteria=[criterion])
    made = recording(spec, side(spec))
    assert (lag_p99_limit(made), lag_limit(made)) == (pytest.approx(p99), pytest.approx(once))


@pytest.mark.parametrize("no_slot,trusted", [(0, True), (90, False)])
def test_a_loop_that_is_late_with_slots_to_spare_was_woken_late(no_slot: int, trusted: bool) -> None:
    spec = scenario(criteria=[{"metric": "latency.p99", "below": "250ms"}])
    made = side(spec)
    late = tuple(replace(y, lag_p99=0.03, lag_max=0.08, cpu=0.1, no_slot=no_slot) for y in made.tallies)
    validity = judge(recording(spec, changed(made, tallies=late))).candidate.validity
    assert (validity.invalid_intervals == 0) == trusted


def test_a_backlog_of_the_target_with_the_loop_on_time_is_valid() -> None:
    verdict = judged(between(40, 90, no_slot=90, free_slots=0))
    assert verdict.verdict == "pass"
    assert verdict.candidate.validity.invalid_intervals == 0


def test_a_long_freeze_is_never_green_and_is_marked_from_its_beginning_to_its_end() -> None:
    made = with_tallies(between(62, 63, lag_max=3.0, cpu=0.05))
    stall = Event(60.2, "stall", "candidate", "", {"worker": "worker-0", "from": 60.2, "to": 63.2})
    verdict = judge(changed(made, events=(stall,)))
    assert verdict.verdict == "invalid"
    assert "frozen for 3 s" in verdict.headline
    assert verdict.candidate.validity.invalid_intervals == 4


def test_a_short_freeze_in_a_long_soak_marks_its_intervals_and_is_said() -> None:
    verdict = judged(between(60, 61, lag_max=0.4, cpu=0.05))
    assert verdict.verdict == "pass"
    assert verdict.candidate.validity.invalid_intervals == 1
    assert any("frozen" in note for note in verdict.notes)


def test_latencies_of_marked_intervals_are_not_the_targets() -> None:
    slow_at = [40, 70, 100]  # each of 120 s, in three of which the generator was late and everything took a second

    def latency(t: np.ndarray) -> np.ndarray:
        return np.where(np.isin(np.floor(t), slow_at), 1.0, 0.005)

    def late(y: Tally) -> dict[str, Any]:
        return {"lag_max": 0.4, "cpu": 0.05} if int(y.start) in slow_at else {}

    assert judged(late, latency=latency).candidate.latency["browse"].max_ms < 100
    blamed = judged(lambda _: {}, latency=latency)
    assert blamed.verdict == "fail"
    assert blamed.candidate.latency["browse"].max_ms > 900


@pytest.mark.parametrize(
    "event",
    [
        Event(60.0, "clock_step", None, "the host's clock was stepped by +2 min", {"seconds": 120.0}),
        Event(60.0, "suspended", None, "the machine was suspended for 9 s", {"seconds": 9.0}),
    ],
)
def test_a_clock_that_was_set_and_a_machine_that_slept_are_never_green(event: Event) -> None:
    verdict = judge(recording(SPEC, side(SPEC), events=(event,)))
    assert verdict.verdict == "invalid"
    assert event.text in verdict.headline


@pytest.mark.parametrize("times,more", [(1, False), (3, False), (5, True)])
def test_a_watch_that_was_away_is_told_with_its_time(times: int, more: bool) -> None:
    gaps = [
        Event(60.0 + i, "observer_restarted", "candidate", "the observer was started anew; it saw nothing meanwhile")
        for i in range(times)
    ]
    theirs = Event(60.0, "observer_gap", "reference", "nothing was seen of the reference for 6 s")
    verdict = judge(recording(SPEC, side(SPEC), events=(*gaps, theirs)))
    told = [note for note in verdict.notes if "saw nothing meanwhile" in note]
    assert len(told) == min(3, times)
    assert told[0] == f"{gaps[0].text}, 1 min into the run"
    assert any("2 more such gaps" in note for note in verdict.notes) == more
    assert not any("reference" in note for note in verdict.notes)
