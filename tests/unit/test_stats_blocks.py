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
)
from soak.judge.stats.decide import decide
from soak.judge.stats.trend import trend

T = np.arange(360.0)


@pytest.mark.parametrize("cycles", [3, 4, 5, 6, 7, 9])
def test_few_long_cycles_are_told_from_a_leak_below_them(cycles: int) -> None:
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        saw = 100 + 40 * ((T / len(T) * cycles + rng.uniform()) % 1) + rng.normal(0, 0.5, len(T))
        for grown in (saw, saw + 20 * T / len(T)):
            blocks = floor_blocks(T, grown, 0, len(T))
            assert len(blocks.v) >= MIN_BLOCKS
            fitted = trend(blocks.t, blocks.v, beside=blocks.beside, falls=blocks.falls)
            assert fitted is not None
            found.append(decide(fitted, 3.0))
    assert found[::2].count("fail") == 0
    assert found[1::2].count("fail") >= (16 if cycles > 3 else 8)  # of three cycles one fall may be missing
    assert found[1::2].count("pass") == 0


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
