"""Regression in correlated noise, against truth and against ordinary least squares."""

from __future__ import annotations

import numpy as np
import pytest

from soak.judge.stats.regress import effective, estimate, fit, stack

M = 60
X = (np.arange(M) + 0.5) / M
ONE = np.ones(M)


def noise(rng: np.random.Generator, rho: float) -> np.ndarray:
    v = np.zeros(M + 100)
    for i in range(1, len(v)):
        v[i] = rho * v[i - 1] + rng.normal(0, 1)
    return v[100:]


def test_without_noise_the_truth_is_found() -> None:
    fits = fit(stack([ONE, X], [[]]), 3 + 2 * X)
    assert fits.beta[0] == pytest.approx([3, 2])
    assert estimate(fits, 0, 1).below(0.0) < 1e-9


def test_many_designs_at_once_are_each_as_if_alone() -> None:
    y = np.random.default_rng(1).normal(0, 1, M)
    columns = [[np.exp(-X / tau)] for tau in (0.05, 0.1, 0.2)]
    together = fit(stack([ONE, X], columns), y, chosen=1)
    for i, column in enumerate(columns):
        alone = fit(stack([ONE, X], [column]), y, chosen=1)
        assert together.beta[i] == pytest.approx(alone.beta[0])
        assert together.bic[i] == pytest.approx(alone.bic[0])


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.9])
def test_noise_that_remembers_is_no_trend_more_often_than_stated(rho: float) -> None:
    alarms = 0
    for seed in range(200):
        y = noise(np.random.default_rng(seed), rho)
        alarms += estimate(fit(stack([ONE, X], [[]]), y), 0, 1).below(0.0) < 0.025
    assert alarms <= 200 * 0.025 + 3 * np.sqrt(200 * 0.025)


def test_noise_that_is_not_ar1_is_caught_by_the_second_doubt() -> None:
    rng = np.random.default_rng(1)
    wave = np.sin(2 * np.pi * (1.5 * X + 0.25))
    found = estimate(fit(stack([ONE, X], [[]]), wave + rng.normal(0, 0.7, M)), 0, 1)
    (ar1, _), (robust, freedom) = found.doubts
    assert robust > 0
    assert ar1 > 0
    assert freedom == M // 5
    assert found.half(0.05) >= 1.96 * ar1


def test_correlation_leaves_fewer_blocks() -> None:
    assert effective(60, 0.0) == 60
    assert effective(60, 0.5) == pytest.approx(20)
    assert effective(60, 0.99) == 4
