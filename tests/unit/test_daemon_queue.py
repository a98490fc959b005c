from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from soak.core.target import Target
from soak.daemon.job import Job, target_key
from soak.daemon.queue import startable, waiting
from tests.unit.daemoning import START, request


def job(number: int, *targets: str, priority: int = 0, running: bool = False) -> Job:
    return Job(number, "running" if running else "queued", request("shop", *targets, priority=priority), START)


def ids(jobs: list[Job], parallel: int = 8) -> list[int]:
    return [j.id for j in startable(jobs, parallel)]


def test_the_highest_priority_is_first_and_then_the_oldest() -> None:
    jobs = [job(1, "a:1"), job(2, "b:1", priority=5), job(3, "c:1", priority=5), job(4, "d:1", priority=-1)]
    assert ids(jobs) == [2, 3, 1, 4]
    assert ids(jobs, parallel=2) == [2, 3]


def test_one_run_at_a_time_on_a_target_and_those_behind_it_pass() -> None:
    jobs = [job(1, "a:1", running=True), job(2, "a:1", priority=9), job(3, "b:1"), job(4, "b:1")]
    assert ids(jobs) == [3]


def test_a_reference_is_a_target_too() -> None:
    assert ids([job(1, "a:1", "a:2", running=True), job(2, "a:2")]) == []


def test_one_that_needs_two_targets_is_not_kept_waiting_by_those_that_come_later() -> None:
    jobs = [job(1, "a:1", running=True), job(2, "a:1", "b:1"), job(3, "b:1"), job(4, "c:1")]
    assert ids(jobs) == [4]
    assert waiting(jobs, 8) == {2: "run 1 loads a:1", 3: "run 2 is first", 4: "run 2 is first"}
    assert ids([replace(jobs[0], state="ended"), *jobs[1:]]) == [2, 4]


def test_what_runs_counts_against_what_may_run_in_parallel() -> None:
    jobs = [job(1, "a:1", running=True), job(2, "b:1", running=True), job(3, "c:1")]
    assert ids(jobs, parallel=2) == []
    assert ids(jobs, parallel=3) == [3]


def test_one_that_is_to_go_on_is_first_and_holds_its_target_while_it_pauses() -> None:
    cut_off = replace(job(1, "a:1", priority=-5), run_file=Path("1.soak"))
    jobs = [cut_off, job(2, "a:1", priority=9), job(3, "b:1")]
    assert ids(jobs) == [1, 3]
    assert [j.id for j in startable(jobs, 8, {1})] == [3]
    assert startable(jobs, 1, {1}) == []


def test_what_has_ended_keeps_nobody_waiting() -> None:
    assert ids([replace(job(1, "a:1"), state="ended"), job(2, "a:1")], parallel=1) == [2]


def test_why_each_job_waits() -> None:
    busy, same, other, last = job(1, "a:1", running=True), job(2, "a:1"), job(3, "b:1"), job(4, "c:1")
    assert waiting([busy, same, other], 1) == {2: "run 1 loads a:1", 3: "1 of 1 runs go on already"}
    assert waiting([busy, same, other, last], 2)[2] == "run 1 loads a:1"
    assert waiting([other, last], 1) == {4: "run 3 is first"}


def test_loopback_has_one_name_and_a_port_is_always_there() -> None:
    urls = ("http://127.0.0.1:8000", "http://localhost:8000/shop", "https://[::1]:8000", "http://127.9.9.9:8000")
    assert {target_key(Target(url=u)) for u in urls} == {"localhost:8000"}
    assert target_key(Target(url="https://Shop.Staging")) == "shop.staging:443"
    assert target_key(Target(url="http://[2001:db8::1]:81")) == "[2001:db8::1]:81"
