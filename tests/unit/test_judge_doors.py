"""Why memory grows, when no agent is inside and the program tells at a door of its own."""

from __future__ import annotations

import re

import numpy as np
import pytest

from soak.core.records import Event
from soak.core.verdict import Finding, Verdict
from tests.making import MIB, Shape
from tests.unit.judging import failing, judged, memory, the

DOOR = (Event(1.0, "door", "candidate", "redis 127.0.0.1:6379 tells figures"),)


def rising(start: float, by: float, seed: int = 3) -> Shape:
    """From `start` MiB by `by` MiB in 100 s, with a little noise."""
    rng = np.random.default_rng(seed)
    return lambda t: (start + by * t / 100 + rng.normal(0, 0.05, len(t))) * MIB


def count(start: float, by: float) -> Shape:
    return lambda t: np.round(start + by * t / 100)


def grown(**series: Shape) -> Verdict:
    """A run whose resident memory grows by 40 MiB in 100 s, with what its door tells."""
    named = {name.replace("_", ".", 1): shape for name, shape in series.items()}
    return judged(events=DOOR, series=memory(lambda t: 60 + 0.4 * t) | named)


def text(finding: Finding) -> str:
    return " ".join(finding.evidence)


def test_free_between_what_is_live_is_fragmentation() -> None:
    verdict = grown(memory_live=rising(40, 1), memory_free_in_heap=rising(5, 36), memory_retained=rising(2, 0))
    finding = the(verdict, "fragmentation")
    assert failing(verdict) == ["fragmentation"]
    assert finding.confidence == "high"
    assert "free between what is live" in text(finding)
    assert "activedefrag" in finding.advice


def test_free_in_whole_pages_is_retention() -> None:
    verdict = grown(memory_live=rising(40, 1), memory_free_in_heap=rising(5, 2), memory_retained=rising(2, 35))
    assert failing(verdict) == ["retention"]
    assert the(verdict, "retention").confidence == "high"


def test_an_allocator_that_does_not_part_them_leaves_it_open() -> None:
    verdict = grown(memory_live=rising(40, 1), memory_free_in_heap=rising(5, 38))
    finding = the(verdict, "fragmentation")
    assert finding.confidence == "low"
    assert "it may be retention" in text(finding)


def test_more_keys_are_data_and_not_a_leak() -> None:
    verdict = grown(
        memory_live=rising(40, 39),
        memory_free_in_heap=rising(5, 1),
        memory_retained=rising(2, 0),
        redis_keys=count(10_000, 40_960),
        redis_dataset=rising(30, 38),
    )
    finding = the(verdict, "memory_growth")
    assert failing(verdict) == ["memory_growth"]
    assert finding.title.startswith("the data that it holds grows")
    assert "maxmemory" in finding.advice
    assert re.search(r"it holds 4\d,\d{3} keys more, (9\d\d B|1 KiB|1\.0\d KiB) each", text(finding))


def test_values_that_grow_are_data_too() -> None:
    verdict = grown(memory_live=rising(40, 39), redis_keys=count(10_000, 0), redis_dataset=rising(30, 38))
    finding = the(verdict, "memory_growth")
    assert "their values grow" in text(finding)


def test_growth_beside_the_data_says_where_to_look() -> None:
    verdict = grown(memory_live=rising(40, 39), redis_keys=count(10_000, 0), redis_dataset=rising(30, 0))
    finding = the(verdict, "memory_growth")
    assert finding.title.startswith("what it holds beside its data grows")
    assert "clients' buffers" in text(finding)


def test_a_go_program_that_holds_more_leaks_objects_and_its_goroutines_are_counted() -> None:
    verdict = grown(
        memory_live=rising(40, 39),
        memory_free_in_heap=rising(5, 1),
        memory_retained=rising(2, 0),
        go_goroutines=count(20, 500),
    )
    assert sorted(failing(verdict)) == ["object_leak", "thread_leak"]
    assert "goroutines rose from" in text(the(verdict, "thread_leak"))


def test_a_jvm_that_holds_more_may_hold_garbage() -> None:
    series = {"memory_live": rising(40, 39), "memory_retained": rising(2, 0), "jvm_nonheap": rising(30, 0)}
    finding = the(grown(**series), "memory_growth")
    assert finding.confidence == "low"
    assert "garbage that the JVM has not collected" in text(finding)


def test_garbage_of_a_jvm_whose_memory_does_not_grow_is_no_finding() -> None:
    series = {"memory.live": rising(40, 39), "jvm.nonheap": rising(30, 0)}
    assert failing(judged(events=DOOR, series=memory(lambda t: 100 + 0 * t) | series)) == []


def test_what_is_live_is_seen_to_grow_before_resident_memory_does() -> None:
    series = {"memory.live": rising(40, 39), "redis.keys": count(1, 40_000), "redis.dataset": rising(30, 38)}
    verdict = judged(events=DOOR, series=memory(lambda t: 100 + 0 * t) | series)
    (finding,) = [f for f in verdict.candidate.findings if f.severity == "fail"]
    assert (finding.cause, finding.metric) == ("memory_growth", "memory.live")


def test_a_door_that_told_nothing_is_said_to() -> None:
    assert "its door did not tell" in text(the(grown(), "memory_growth"))


@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_database_is_healthy(seed: int) -> None:
    series = {
        "memory.live": rising(40, 0, seed),
        "memory.free_in_heap": rising(4, 0, seed + 50),
        "memory.retained": rising(2, 0, seed + 90),
        "redis.keys": count(10_000, 0),
    }
    assert failing(judged(events=DOOR, series=memory(lambda t: 60 + 0 * t, seed) | series)) == []
