from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.core.histogram import Histogram, Recorder
from soak.judge.stats.proportion import percentile_interval, share_rose, wilson


def histogram(values: np.ndarray) -> Histogram:
    recorder = Recorder()
    for value in values:
        recorder.record(float(value))
    return recorder.take()


@given(st.integers(0, 1000), st.integers(1, 1000))
def test_a_share_lies_within_its_interval(hits: int, more: int) -> None:
    total = hits + more
    low, high = wilson(hits, total)
    assert 0 <= low <= hits / total <= high <= 1


def test_wilson_agrees_with_its_published_example() -> None:
    # Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263, method 3
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20)[0] == 0.0
    assert wilson(0, 0) == (0.0, 1.0)


def test_too_few_values_leave_a_percentile_without_an_upper_bound() -> None:
    values = np.random.default_rng(1).lognormal(-5, 0.5, 400)
    assert math.isinf(percentile_interval(histogram(values[:300]), 99)[1])
    assert math.isfinite(percentile_interval(histogram(values), 99)[1])


def test_the_interval_of_a_percentile_covers_it() -> None:
    truth = float(np.exp(-5 + 0.5 * 2.3263))
    covered = 0
    for seed in range(100):
        low, high = percentile_interval(histogram(np.random.default_rng(seed).lognormal(-5, 0.5, 1500)), 99)
        covered += low <= truth * 1.001 and truth * 0.999 <= high
    assert covered >= 90


def test_a_share_that_rose_is_told_from_one_that_did_not() -> None:
    assert share_rose((5, 5000), (60, 5000)) < 1e-6
    assert share_rose((50, 5000), (52, 5000)) > 0.2
