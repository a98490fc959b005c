"""Ratios: their intervals hold what they promise, and what remembers itself is not counted twice."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soak.judge.stats.ratio import (
    censored,
    exact,
    of_counts,
    of_known_noise,
    of_ranges,
    of_runs,
    of_windows,
    run_spread,
)


def noise(n: int, rho: float, sd: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    e = rng.standard_normal(n) * math.sqrt(1 - rho**2)
    x = np.empty(n)
    x[0] = rng.standard_normal()
    for i in range(1, n):
        x[i] = rho * x[i - 1] + e[i]
    return sd * x


def windows(ratio: float, rho: float = 0.0, sd: float = 0.03, seed: int = 1, n: int = 60) -> tuple[np.ndarray, ...]:
    shared = np.exp(noise(n, 0.9, 0.3, seed + 10_000))
    return np.arange(n) * 10.0, 0.01 * ratio * shared * np.exp(noise(n, rho, sd, seed)), 0.01 * shared


@pytest.mark.parametrize("n,rho,most", [(60, 0.0, 16), (60, 0.5, 16), (60, 0.8, 16), (12, 0.0, 16), (12, 0.5, 18)])
def test_two_alike_are_seldom_told_apart(n: int, rho: float, most: int) -> None:
    """Of 200 pairs, 10 would be 5 %."""
    found = [of_windows(*windows(1.0, rho, seed=s, n=n)) for s in range(200)]
    assert sum(r is not None and (r.low > 1 or r.high < 1) for r in found) <= most


@pytest.mark.parametrize("n", [5, 8, 15, 29])
@pytest.mark.parametrize("rho", [0.5, 0.8, 0.9])
def test_few_windows_that_remember_each_other_are_not_told_apart_either(n: int, rho: float) -> None:
    """Of 200, 10 would be 5 %; the correlation of so few is hardly known, so they count as a third of them at most."""
    found = [of_windows(*windows(1.0, rho, seed=s, n=n)) for s in range(200)]
    assert sum(r is not None and (r.low > 1 or r.high < 1) for r in found) <= 24


def test_windows_taken_for_independent_would_claim_what_is_not_there() -> None:
    """The naive interval, for comparison: it shows that the test above can fail."""
    false = 0
    for s in range(200):
        _, a, b = windows(1.0, 0.8, seed=s)
        logs = np.log(a / b)
        false += abs(float(np.mean(logs))) > 1.96 * float(np.std(logs)) / math.sqrt(len(logs))
    assert false > 60


def test_a_real_change_is_seen() -> None:
    seen = sum(r.low > 1 for s in range(100) if (r := of_windows(*windows(1.05, 0.5, seed=s))) is not None)
    assert seen >= 95


def test_what_both_suffered_cancels_out() -> None:
    """The host makes both slower and faster by 30 %; a difference of 5 % is still seen."""
    found = of_windows(*windows(1.05, sd=0.02))
    assert found is not None
    assert 1.03 < found.low < found.value < found.high < 1.07


def test_a_ratio_that_grows_all_the_time_is_not_called_noise() -> None:
    t = np.arange(24) * 300.0
    candidate = 100.0 * (1 + np.arange(24) / 24) + np.random.default_rng(1).normal(0, 0.1, 24)
    found = of_windows(t, candidate, np.full(24, 100.0))
    assert found is not None
    assert found.low > 1.3


def test_few_windows_are_no_interval() -> None:
    assert of_windows(*windows(2.0, n=4)) is None


@settings(max_examples=30)
@given(st.floats(0.1, 10), st.integers(5, 80))
def test_sides_that_change_places_turn_the_ratio_over(ratio: float, n: int) -> None:
    t, a, b = windows(ratio, 0.3, n=n)
    there, back = of_windows(t, a, b), of_windows(t, b, a)
    assert there is not None
    assert back is not None
    assert there.value == pytest.approx(1 / back.value)
    assert there.low <= there.value <= there.high


def test_windows_that_never_differ_leave_no_doubt() -> None:
    t = np.arange(10.0)
    assert of_windows(t, np.full(10, 3.0), np.full(10, 2.0)) == exact(1.5, 10)


@pytest.mark.parametrize("rho", [0.9, 0.95])
def test_noise_that_remembers_itself_strays_further_than_it_looks(rho: float) -> None:
    """Within one stretch of it the variance is too small by what the whole stretch strayed."""
    found = [of_windows(*windows(1.0, rho, seed=s, n=60)) for s in range(200)]
    assert sum(r is not None and (r.low > 1 or r.high < 1) for r in found) <= 18


def test_counts_that_are_zero_on_both_sides_have_no_ratio() -> None:
    assert of_counts([0] * 60, 1000, [0] * 60, 1000) is None


def test_failures_that_the_reference_has_none_of_have_a_low_end() -> None:
    spread = [1, 0] * 30
    found = of_counts(spread, 6000, [0] * 60, 6000)
    assert found is not None
    assert found.value == found.high == math.inf
    assert found.low > 5
    assert found.p < 1e-6


def test_one_outage_is_one_event_and_not_five_hundred() -> None:
    found = of_counts([500, *[0] * 59], 60_000, [0] * 60, 60_000)
    assert found is not None
    assert found.low < 1
    assert found.p > 0.05


def test_the_interval_of_a_ratio_of_shares_covers_the_true_one() -> None:
    rng, covered = np.random.default_rng(5), 0
    for _ in range(200):
        a, b = rng.poisson(1.5, 60), rng.poisson(0.75, 60)
        found = of_counts(a.tolist(), 12_000, b.tolist(), 12_000)
        assert found is not None
        covered += found.low <= 2 <= found.high
    assert covered >= 185


def test_two_runs_are_the_least_that_have_a_spread() -> None:
    assert of_runs([0.1]) is None
    found = of_runs([0.04, 0.05, 0.06])
    assert found is not None
    assert found.value == pytest.approx(math.exp(0.05))
    assert 1 < found.low < found.high


def test_noise_that_is_known_from_elsewhere_makes_the_interval() -> None:
    found = of_known_noise(math.log(1.1), 0.05, math.inf)
    assert (found.low, found.high) == pytest.approx((1.1 * math.exp(-0.098), 1.1 * math.exp(0.098)), rel=1e-3)


def test_an_end_that_is_opened_takes_the_claim_with_it() -> None:
    found = of_known_noise(math.log(1.4), 0.05, math.inf)
    assert found.p < 1e-6
    doubted = censored(found, candidate=False, reference=True)
    assert (doubted.low, doubted.high, doubted.p) == (0.0, found.high, 1.0)
    surer = censored(found, candidate=True, reference=False)
    assert (surer.low, surer.high, surer.p) == (found.low, math.inf, found.p)


def test_the_spread_of_few_runs_is_taken_larger_than_it_looks() -> None:
    # variance 100**2, mean 200, Student's 4.303 of two degrees of freedom against 1.96
    assert run_spread([100, 200, 300]) == pytest.approx(math.sqrt(((4.303 / 1.96) ** 2 * 50 - 1) / 200), rel=1e-3)
    assert run_spread([200]) == run_spread([0, 0]) == run_spread([200, 200]) == 0


def test_ranges_reach_as_far_as_any_two_values_do() -> None:
    found = of_ranges(np.array([11.0, 13.0]), np.array([10.0, 10.0]))
    assert (found.low, found.value, found.high) == (1.1, 1.2, 1.3)
