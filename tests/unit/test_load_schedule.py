from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from soak.core.pattern import Segments
from soak.load.plan import schedule_of
from soak.load.schedule import TURN_S, Part, Schedule, Share
from tests.making import scenario


def flat(rate: float) -> Segments:
    return Segments([1.0], [rate], [rate], repeat=False)


schedules = st.builds(
    Schedule,
    curve=st.floats(0.5, 5000).map(flat),
    arrivals=st.sampled_from(["poisson", "constant"]),
    seed=st.integers(0, 2**31),
    length=st.floats(0.1, 3.0),
    second=st.sampled_from([None, 0, 1]),
)


def due(share: Share) -> list[float]:
    times = []
    while share.peek() is not None:
        times.append(share.take()[1])
    return times


@given(schedules, st.integers(1, 5))
@settings(max_examples=40)
def test_the_shares_of_all_workers_are_the_whole_schedule(schedule: Schedule, workers: int) -> None:
    parts = [due(Share(schedule, [Part(0, i, workers)])) for i in range(workers)]
    whole = due(Share(schedule))
    assert sorted(t for p in parts for t in p) == whole
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert whole == sorted(whole)
    assert all(0 <= t < schedule.length for t in whole)
    assert schedule.count(schedule.length) == len(whole)


@given(schedules, st.floats(0, 3))
@settings(max_examples=40)
def test_counting_agrees_with_taking(schedule: Schedule, until: float) -> None:
    expected = [t for t in due(Share(schedule, [Part(0, 1, 3)])) if t < until]
    assert schedule.count(until, [Part(0, 1, 3)]) == len(expected)


def test_the_same_seed_repeats_arrivals_and_draws_and_another_does_not() -> None:
    def taken(seed: int) -> list[tuple[int, float, float, int]]:
        share = Share(Schedule(flat(1000), "poisson", seed, 2.0))
        return [share.take() for _ in range(100) if share.peek() is not None]

    assert taken(7) == taken(7)
    assert taken(7) != taken(8)


def test_constant_arrivals_are_one_over_the_rate_apart() -> None:
    times = due(Share(Schedule(flat(250), "constant", 1, 4.0)))
    assert len(times) == 1000
    assert np.diff(times) == pytest.approx(np.full(999, 0.004))


def test_poisson_gaps_are_exponential_across_blocks() -> None:
    times = np.array(due(Share(Schedule(flat(5000), "poisson", 3, 20.0))))
    assert len(times) == pytest.approx(100_000, abs=4 * 316)  # four sigma of a Poisson count
    assert stats.kstest(np.diff(times) * 5000, "expon").pvalue > 1e-3


def test_skipping_moves_the_share_on() -> None:
    share = Share(Schedule(flat(100), "constant", 1, 10.0))
    assert share.skip_until(1.0) == 100
    assert share.peek() == 1.0
    assert share.skip_until(1.0) == 0
    assert share.skip_until(99.0) == 900
    assert share.peek() is None


@given(schedules, st.integers(1, 5), st.integers(0, 4))
@settings(max_examples=40)
def test_an_arrival_has_the_same_number_for_every_worker(schedule: Schedule, workers: int, index: int) -> None:
    whole = Share(schedule)
    numbered = {}
    while whole.peek() is not None:
        number, *rest = whole.take()
        numbered[number] = rest
    assert list(numbered) == list(range(len(numbered)))
    share = Share(schedule, [Part(0, index % workers, workers)])
    while share.peek() is not None:
        number, *rest = share.take()
        assert numbered[number] == rest
        assert number % workers == index % workers


splits = st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(1, 4)), max_size=4)


@given(schedules, splits, st.randoms())
@settings(max_examples=60, deadline=None)
def test_over_any_splits_every_arrival_is_owned_once(schedule: Schedule, changes: list, random: Any) -> None:
    """Workers come and go at moments that all hear of in time; each takes some of its own between two changes."""
    moments = sorted((share * schedule.length, of) for share, of in changes)
    workers = [Share(schedule, [Part(0.0, i, 2) if i < 2 else Part(0.0, 0, 0)]) for i in range(4)]
    owned: list[int] = []

    def take(share: Share, until: float) -> None:
        while (due := share.peek()) is not None and due < until:
            owned.append(share.take()[0])

    for at, of in moments:
        for share in workers:
            take(share, at * random.random())  # how far it got when it heard of the change
        order = random.sample(range(4), of)
        for i, share in enumerate(workers):
            share.resplit(Part(at, order.index(i), of) if i in order else Part(at, 0, 0))
    for share in workers:
        take(share, schedule.length)
    assert sorted(owned) == list(range(schedule.count(schedule.length)))
    assert sum(schedule.count(schedule.length, share.parts) for share in workers) == len(owned)


def test_what_is_left_at_the_end_of_a_block_can_still_become_ones_own() -> None:
    schedule = Schedule(flat(1000), "constant", 1, 10.0)
    share = Share(schedule, [Part(0.0, 0, 4000)])  # arrivals 0 and 4000 of the first block of 4096
    assert [share.take()[0] for _ in range(2) if share.peek() is not None] == [0, 4000]
    assert share.peek() == 8.0  # looked into the next block already
    share.resplit(Part(4.05, 0, 1))
    assert share.peek() == 4.05


@given(schedules)
@settings(max_examples=40)
def test_two_sides_get_the_same_arrivals_and_each_is_first_by_turns(schedule: Schedule) -> None:
    plain, first, second = (due(Share(replace(schedule, second=kind))) for kind in (None, 0, 1))
    assert len(plain) == len(first) == len(second)
    for t, a, b in zip(plain, first, second, strict=True):
        assert t == min(a, b)
        assert max(a, b) <= t + TURN_S


def test_neither_side_is_first_more_often_and_not_every_second_time() -> None:
    one, other = (np.array(due(Share(Schedule(flat(100), "poisson", 3, 160.0, kind)))) for kind in (0, 1))
    leads = one < other
    moved = one != other
    assert moved.mean() > 0.99
    assert leads[moved].mean() == pytest.approx(0.5, abs=0.01)
    assert leads[0::2].mean() == pytest.approx(0.5, abs=0.02)
    assert leads[1::2].mean() == pytest.approx(0.5, abs=0.02)


def test_a_side_alone_keeps_its_schedule(tmp_path: Path) -> None:
    alone, beside = scenario(), scenario(reference={"url": "http://127.0.0.1:8001"})
    made = [schedule_of(alone, tmp_path), schedule_of(beside, tmp_path), schedule_of(beside, tmp_path, "reference")]
    assert [m.second for m in made if m is not None] == [None, 0, 1]


def test_a_share_that_is_taken_up_late_owns_what_it_would_have_owned_then() -> None:
    made = Schedule(flat(4000.0), "poisson", 5, 5.0)
    since = 0.6 * made.length
    whole, late = Share(made, [Part(0.0, 1, 3)]), Share(made, [Part(0.0, 0, 0)])
    whole.skip_until(since)
    late.forward(since)
    late.resplit(Part(since, 1, 3))
    while whole.peek() is not None:
        assert late.peek() == whole.peek()
        assert late.take() == whole.take()
    assert late.peek() is None
