"""Tails and quantiles, against scipy.stats."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from soak.judge.stats import tails

SHARES = st.floats(1e-6, 1 - 1e-6)
FREEDOM = st.floats(1, 1e4)


@given(st.floats(-8, 8), SHARES)
def test_normal(z: float, p: float) -> None:
    assert tails.normal_above(z) == pytest.approx(stats.norm.sf(z), rel=1e-9)
    assert tails.normal_quantile(p) == pytest.approx(stats.norm.ppf(p), rel=1e-9)


@given(st.floats(-20, 20), SHARES, FREEDOM)
def test_student(t: float, p: float, freedom: float) -> None:
    assert tails.student_above(t, freedom) == pytest.approx(stats.t.sf(t, freedom), rel=1e-6)
    assert tails.student_quantile(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), rel=1e-5, abs=1e-9)


@given(SHARES, st.floats(0.5, 500), st.floats(0.5, 500))
@settings(deadline=None)
def test_beta(p: float, a: float, b: float) -> None:
    assert tails.beta_quantile(p, a, b) == pytest.approx(stats.beta.ppf(p, a, b), rel=1e-6, abs=1e-12)
    assert tails.beta_below(p, a, b) == pytest.approx(stats.beta.cdf(p, a, b), rel=1e-6, abs=1e-12)


@given(st.floats(0.001, 0.999), st.integers(1, 1_000_000), st.sampled_from([0.5, 0.9, 0.99, 0.999, 0.9999]))
@example(0.5, 22043, 0.5)  # by symmetry P(X <= 11021) is a half: what scipy's own ppf misses by its last digit
@settings(deadline=None)
def test_binomial_quantile(q: float, n: int, p: float) -> None:
    k = tails.binomial_quantile(q, n, p)
    assert stats.binom.cdf(k, n, p) >= q * (1 - 1e-9)
    assert k == 0 or stats.binom.cdf(k - 1, n, p) < q * (1 + 1e-9)


@given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 4000), st.integers(0, 4000))
@settings(deadline=None)
def test_hypergeometric(late: int, early: int, late_good: int, early_good: int) -> None:
    drawn, marked, all_ = late + late_good, late + early, late + late_good + early + early_good
    exact = stats.fisher_exact([[late, late_good], [early, early_good]], "greater").pvalue
    assert tails.hypergeometric_from(late, drawn, marked, all_) == pytest.approx(exact, rel=1e-6, abs=1e-12)


def test_large_counts_take_no_time() -> None:
    assert tails.hypergeometric_from(60_000, 5_000_000, 100_000, 10_000_000) < 1e-100
