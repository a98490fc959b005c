from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soak.judge.stats.blocks import (
    FLOOR_BLOCKS,
    MIN_BLOCKS,
    floor_blocks,
    level_blocks,
    peak_blocks,
    sawtooth_period,
)
from soak.judge.stats.trend import trend

T = np.arange(360.0)


def remembering(seed: int, rho: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    v = np.zeros(len(T))
    for i in range(1, len(T)):
        v[i] = rho * v[i - 1] + rng.normal(0, 1)
    return 100 + v


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, 0.98])
def test_noise_that_wanders_is_no_sawtooth(rho: float) -> None:
    taken_for_one = sum(sawtooth_period(T, remembering(seed, rho)) is not None for seed in range(60))
    assert taken_for_one <= 3


@pytest.mark.parametrize("period", [9, 14, 30, 60])
def test_a_sawtooth_is_seen_with_its_period(period: float) -> None:
    saw = 100 + 20 * ((T / period + 0.3) % 1) + np.random.default_rng(1).normal(0, 0.5, len(T))
    assert sawtooth_period(T, saw) == pytest.approx(period, abs=1)


def test_a_sawtooth_with_holes_is_seen_too() -> None:
    saw = np.where((T > 100) & (T < 120), np.nan, 100 + 20 * ((T / 14) % 1))
    assert sawtooth_period(T, saw) == pytest.approx(14, abs=1)


@pytest.mark.parametrize("cycles", [3, 4, 5, 6, 7, 9])
def test_few_long_cycles_are_doubtful_but_still_judged(cycles: int) -> None:
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        saw = 100 + 40 * ((T / len(T) * cycles + rng.uniform()) % 1) + rng.normal(0, 0.5, len(T))
        blocks = floor_blocks(T, saw, 0, len(T))
        assert len(blocks.v) >= MIN_BLOCKS
        fitted = trend(blocks.t, blocks.v)
        assert fitted is not None
        alarms += fitted.low * fitted.span > 1.5  # half of what would matter
    assert alarms <= 1


@given(st.integers(0, 200), st.floats(0.1, 1e5), st.floats(0, 0.9))
@settings(max_examples=60, deadline=None)
def test_blocks_are_ascending_finite_and_within_what_was_seen(n: int, step: float, missing: float) -> None:
    rng = np.random.default_rng(n)
    t = np.arange(n) * step
    v = np.where(rng.random(n) < missing, np.nan, rng.normal(0, 1, n))
    seen = v[np.isfinite(v)]
    for make in (level_blocks, floor_blocks, peak_blocks):
        blocks = make(t, v, 0.0, max(1.0, n * step))
        assert len(blocks.t) == len(blocks.v) <= max(1, len(seen))
        assert (np.diff(blocks.t) > 0).all()
        if len(seen):
            assert seen.min() <= blocks.v.min() <= blocks.v.max() <= seen.max()


def test_the_floor_is_low_the_peak_is_high_and_the_level_between() -> None:
    v = 100 + np.random.default_rng(3).normal(0, 5, len(T))
    low, middle, high = (make(T, v, 0, len(T)).v.mean() for make in (floor_blocks, level_blocks, peak_blocks))
    assert low < middle - 3 < middle + 3 < high
    assert len(floor_blocks(T, v, 0, len(T)).v) == FLOOR_BLOCKS
