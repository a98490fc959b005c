from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from soak.daemon.job import Job
from soak.daemon.retention import expired
from tests.unit.daemoning import START, request


def ended(number: int, verdict: str = "fail", *, name: str = "shop", age: float = 1000.0) -> Job:
    return Job(
        number, "ended", request(name), START, ended_at=START - age, run_file=Path(f"{number}.soak"), verdict=verdict,
        load="a",
    )  # fmt: skip


def gone(*jobs: Job, keep: float = 100.0) -> list[int]:
    return [j.id for j in expired(jobs, START, keep)]


def test_what_is_old_goes_and_what_is_young_stays() -> None:
    assert gone(ended(1), ended(2, age=99.0)) == [1]


def test_what_is_pinned_stays() -> None:
    assert gone(replace(ended(1), pinned=True), ended(2)) == [2]


def test_the_last_pass_of_each_scenario_and_load_stays() -> None:
    jobs = [ended(1, "pass"), ended(2, "pass"), ended(3, "pass", name="other"), replace(ended(4, "pass"), load="b")]
    assert gone(*jobs, ended(5)) == [1, 5]


def test_what_is_being_compared_with_stays() -> None:
    running = replace(ended(9), state="running", ended_at=None, baseline=1)
    assert gone(ended(1, "pass"), ended(2, "pass"), running) == []


def test_what_has_no_file_or_has_not_ended_is_left_alone() -> None:
    assert gone(replace(ended(1), run_file=None), replace(ended(2), state="running", ended_at=None)) == []
