from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from soak.judge.stats.spending import FIRST, LOOKS, left, level, spent

ALPHAS = st.floats(1e-6, 0.5)


@given(ALPHAS, st.floats(0, 1), st.floats(0, 1))
def test_spending_grows_from_nothing_to_alpha_and_never_beyond(alpha: float, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert 0 <= spent(low, alpha) <= spent(high, alpha) <= alpha * (1 + 1e-9)
    assert spent(0, alpha) == 0
    assert spent(1, alpha) == pytest.approx(alpha)


@given(ALPHAS)
def test_the_levels_of_all_looks_before_the_end_are_less_than_alpha(alpha: float) -> None:
    levels = [level(k, alpha) for k in range(LOOKS + 3)]
    assert all(x >= 0 for x in levels)
    assert sum(levels) == pytest.approx(spent((LOOKS - 1) / LOOKS, alpha))
    assert sum(levels) < alpha
    assert sum(levels) + left(alpha) == pytest.approx(alpha)


def test_no_look_before_a_quarter_of_the_soak_and_none_at_its_end() -> None:
    assert FIRST / LOOKS >= 0.25
    assert [k for k in range(LOOKS + 2) if level(k) > 0] == list(range(FIRST, LOOKS))


def test_early_looks_get_next_to_nothing() -> None:
    assert spent(0.5, 0.05) == pytest.approx(0.00557, abs=1e-5)  # Lan and DeMets 1983, table 1: O'Brien-Fleming
    assert level(FIRST) < 0.001


def stops(walks: np.ndarray, levels: list[float]) -> float:
    """The share of paths (paths, LOOKS) whose standardised value is beyond the level of any look."""
    bars = np.array([stats.norm.isf(x / 2) if x > 0 else np.inf for x in levels])
    return float(np.mean((np.abs(walks) > bars).any(axis=1)))


@pytest.mark.parametrize("rho", [pytest.param(None, id="random walk"), 0.0, 0.5, 0.9])
def test_ten_looks_are_wrong_no_more_often_than_one(rho: float | None) -> None:
    rng = np.random.default_rng(3)
    steps = rng.standard_normal((20_000, LOOKS))
    if rho is None:  # a running sum, as that of a mean
        seen = np.cumsum(steps, axis=1) / np.sqrt(np.arange(1, LOOKS + 1))
    else:
        seen = steps.copy()
        for k in range(1, LOOKS):
            seen[:, k] = rho * seen[:, k - 1] + np.sqrt(1 - rho * rho) * steps[:, k]
    corrected = stops(seen, [*(level(k) for k in range(1, LOOKS)), left()])
    again = stops(seen, [*(level(k) for k in range(1, LOOKS)), 0.05])
    careless = stops(seen, [0.05 if k >= FIRST else 0.0 for k in range(1, LOOKS + 1)])
    assert corrected <= 0.05
    assert again > corrected
    assert careless > 0.09
