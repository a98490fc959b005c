"""Leaks of what memory is only a consequence of, and leaks that only happen beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from soak.core.records import Series
from soak.judge import judge
from tests.making import MIB, Shape, recording, scenario, side
from tests.unit.judging import LOOSE, changed, failing, judged, memory, the


def rising(start: float, by: float) -> Shape:
    return lambda t: start + by * t


@pytest.mark.parametrize(
    "metric,cause,each", [("process.threads", "thread_leak", 0.02), ("process.connections", "connection_leak", 0.1)]
)
def test_memory_that_grows_with_what_leaks_is_evidence_and_no_second_cause(
    metric: str, cause: str, each: float
) -> None:
    verdict = judged(series={metric: rising(4, 4), **memory(rising(50, 4 * each), sd=0.02)})
    assert failing(verdict) == [cause]
    assert any(line.startswith("memory grew with them, by ") for line in the(verdict, cause).evidence)


@pytest.mark.parametrize(
    "metric,cause,each", [("process.threads", "thread_leak", 0.3), ("process.zombies", "child_leak", 0.02)]
)
def test_memory_that_grows_by_more_than_they_can_hold_is_a_leak_of_its_own(
    metric: str, cause: str, each: float
) -> None:
    verdict = judged(series={metric: rising(4, 4), **memory(rising(50, 4 * each), sd=0.02)})
    assert sorted(failing(verdict)) == sorted(["memory_growth", cause])


@pytest.mark.parametrize("own,causes", [(0.0, ["child_leak"]), (1.9, ["memory_growth", "child_leak"])])
def test_children_may_be_of_any_size_as_long_as_their_parent_does_not_grow(own: float, causes: list[str]) -> None:
    spec = scenario(criteria=LOOSE)
    made: Any = side(spec, series={"process.processes": rising(1, 0.5), **memory(rising(50, 2))})
    t = made.series["memory.anon"].t
    parent = {"memory.anon": Series(t, (40 + own * t) * MIB)}
    child = {"memory.anon": Series(t[60:], np.full(len(t) - 60, 4 * MIB))}
    made = changed(made, processes={"4711@88": parent, "4712@99": child})
    assert sorted(failing(judge(recording(spec, made)))) == sorted(causes)


@pytest.mark.parametrize("share,cause", [(0.9, "connection_leak"), (0.2, "fd_leak")])
def test_connections_that_were_counted_twice_still_say_what_is_open(share: float, cause: str) -> None:
    spec = scenario(criteria=LOOSE)
    made: Any = side(spec, series={"process.fds": rising(20, 5)})
    t = made.series["process.fds"].t
    counted = Series(t, np.where(t < t[len(t) // 3], 4.0, 4.0 + share * 5 * (t[len(t) // 3] - t[0])))
    made = changed(made, series=made.series | {"process.connections": counted})
    verdict = judge(recording(spec, made))
    assert failing(verdict) == [cause]


@pytest.mark.parametrize("kept,causes", [(0.0, []), (1.0, ["connection_leak"])])
def test_connections_that_go_with_the_load_are_those_of_a_target_that_is_slower(kept: float, causes: list[str]) -> None:
    load = lambda t: (t >= 5) & (t < 136)  # noqa: E731
    shape: Shape = lambda t: 2 + 0.3 * np.clip(t - 5, 0, 130) * np.where(load(t), 1.0, kept)  # noqa: E731
    series = {"process.connections": shape, "process.fds": lambda t: 20 + shape(t)}
    assert failing(judged(series=series)) == causes
