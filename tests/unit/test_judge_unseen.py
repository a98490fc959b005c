"""What nobody saw is not healthy: holes in the watch over a process, and what they do to a verdict."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from soak.core.records import Recording, Series
from soak.judge import judge
from soak.judge.side import Side
from tests.making import MIB, recording, scenario, side
from tests.unit.judging import LOOSE, changed, failing

SPEC = scenario(criteria=LOOSE)
START, END = 15.0, 135.0  # of its soak


def seen(when: Callable[[np.ndarray], np.ndarray], every: float = 1.0, rate: float = 0.0) -> Recording:
    """A run whose memory was only seen at some times; it grows by `rate` MiB/s."""
    t = np.arange(0.0, 142.0, every)
    t = t[when(t)]
    memory = Series(t, (50 + rate * t + np.random.default_rng(3).normal(0, 0.02, len(t))) * MIB)
    made = side(SPEC)
    series = {**made.series, "memory.rss": memory, "memory.anon": memory}
    return recording(SPEC, changed(made, series=series))


def unseen(run: Recording) -> str:
    return Side("candidate", run, START, END).unseen("memory.anon")


def without(*holes: tuple[float, float]) -> Callable[[np.ndarray], np.ndarray]:
    """All times but these."""
    return lambda t: np.array([not any(a <= x < b for a, b in holes) for x in t])


@pytest.mark.parametrize(
    "holes, words",
    [
        ([], ""),
        ([(70, 73)], ""),
        ([(70, 75)], ""),  # one of 6 s: a twentieth of the soak, and no more
        ([(30, 33), (50, 53), (70, 73), (90, 93), (110, 113)], ""),  # none is a hole by itself
        ([(70, 90)], "memory.anon was not seen for 21 s of the 2 min of soak"),
        ([(30, 36), (90, 96)], "memory.anon was not seen for 14 s of the 2 min of soak"),
        ([(0, 40)], "memory.anon was not seen for 25 s of the 2 min of soak"),
        ([(132, 200)], ""),
        ([(128, 200)], "memory.anon was not seen in the last 8 s of the soak"),
        ([(128, 135)], "memory.anon was not seen in the last 8 s of the soak"),  # it came back in idle-after
        ([(0, 15), (135, 200)], ""),  # only the soak counts
        ([(15, 136)], "memory.anon was not seen"),
    ],
)
def test_holes(holes: list[tuple[float, float]], words: str) -> None:
    assert unseen(seen(without(*holes))) == words


def test_a_slow_pace_is_no_hole() -> None:
    assert unseen(seen(without(), every=10.0)) == ""
    assert "not seen for" in unseen(seen(without((40.0, 100.0)), every=10.0))


def test_values_that_are_none_are_not_seen() -> None:
    run = seen(without())
    nothing = Series(np.arange(10.0), np.full(10, np.nan))
    made = changed(run.sides["candidate"], series={"memory.anon": nothing})
    assert unseen(recording(SPEC, made)) == "memory.anon was not seen"


def test_a_hole_at_the_end_passes_nothing() -> None:
    verdict = judge(seen(without((120, 142))))
    assert verdict.verdict == "inconclusive"
    assert verdict.headline == (
        "INCONCLUSIVE: the process was not watched all the time: memory.anon was not seen in the last 16 s of the soak"
    )


def test_a_short_hole_does_not_hinder_a_pass() -> None:
    assert judge(seen(without((70, 74)))).verdict == "pass"
    assert judge(seen(without((132, 142)))).verdict == "pass"


def test_what_was_seen_before_the_hole_still_fails() -> None:
    verdict = judge(seen(without((120, 142)), rate=0.5))
    assert verdict.verdict == "fail"
    assert failing(verdict) == ["memory_growth"]


def test_who_watches_nobody_is_not_told_of_holes() -> None:
    spec = scenario(criteria=LOOSE, target={"url": "http://127.0.0.1:8000"})
    assert judge(recording(spec, changed(side(spec), series={}))).verdict == "pass"


@pytest.mark.parametrize("told", [1e300, np.inf])
def test_what_is_beyond_all_measure_was_not_seen(told: float) -> None:
    """A page that a target serves may say anything; it must not keep a run from its verdict."""
    grows = {"memory.anon": lambda t: told * (1 + t), "memory.live": lambda t: told * (1 + t)}
    verdict = judge(recording(SPEC, side(SPEC, series=grows)))
    assert (verdict.verdict, failing(verdict)) == ("pass", [])
    assert unseen(recording(SPEC, side(SPEC, series=grows))) == "memory.anon was not seen"
