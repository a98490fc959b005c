"""The trend procedure on series of known truth; seeds are fixed, bounds are stated before they are met."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from soak.judge.stats.blocks import MIN_BLOCKS, floor_blocks, level_blocks
from soak.judge.stats.trend import Trend, late_slope, trend

N, SEEDS = 360, 40
T = np.arange(N, dtype=float)
Maker = Callable[[np.random.Generator], np.ndarray]


def noise(rng: np.random.Generator, rho: float, sd: float) -> np.ndarray:
    """AR(1) of standard deviation `sd`."""
    out = np.empty(N)
    out[0] = rng.normal(0, sd)
    for i in range(1, N):
        out[i] = rho * out[i - 1] + rng.normal(0, sd * np.sqrt(1 - rho * rho))
    return out


def fit(v: np.ndarray) -> Trend:
    blocks = level_blocks(T, v, 0, N)
    fitted = trend(blocks.t, blocks.v)
    assert fitted is not None
    return fitted


def fails(v: np.ndarray, matters: float = 0.03) -> bool:
    """The rule of a stated criterion: beyond noise, as large as matters, and not levelling off."""
    fitted = fit(v)
    return fitted.low > 0 and fitted.relative(fitted.slope) >= matters and fitted.shape != "decelerating"


@pytest.mark.parametrize(
    "maker,allowed",
    [
        pytest.param(lambda rng: 100 + noise(rng, 0.0, 2), 1, id="independent noise"),
        pytest.param(lambda rng: 100 + noise(rng, 0.8, 2), 1, id="noise that remembers"),
        pytest.param(lambda rng: 100 + noise(rng, 0.95, 2), 2, id="noise that hardly forgets"),
        pytest.param(lambda rng: 100 - 20 * np.exp(-T / N / 0.05) + noise(rng, 0.5, 2), 1, id="warm-up"),
        pytest.param(lambda rng: 100 - 30 * np.exp(-T / N / 0.2) + noise(rng, 0.5, 1), 3, id="cache fill"),
        pytest.param(lambda rng: 100 - 10 * T / N + noise(rng, 0.5, 2), 0, id="improvement"),
    ],
)
def test_healthy_series_are_not_called_growing(maker: Maker, allowed: int) -> None:
    alarms = sum(fails(maker(np.random.default_rng(seed))) for seed in range(SEEDS))
    assert alarms <= allowed


@pytest.mark.parametrize(
    "maker,least",
    [
        pytest.param(lambda rng: 100 + 10 * T / N + noise(rng, 0.5, 2), 36, id="ten percent"),
        pytest.param(lambda rng: 100 + 50 * T / N + noise(rng, 0.8, 2), 39, id="fifty percent"),
        pytest.param(
            lambda rng: 100 - 20 * np.exp(-T / N / 0.05) + 20 * T / N + noise(rng, 0.5, 2), 36, id="behind a warm-up"
        ),
    ],
)
def test_growth_is_found(maker: Maker, least: int) -> None:
    found = sum(fails(maker(np.random.default_rng(seed))) for seed in range(SEEDS))
    assert found >= least


def test_a_step_is_called_a_step_and_placed() -> None:
    for seed in range(10):
        fitted = fit(100 + 10 * (T > 200) + noise(np.random.default_rng(seed), 0.5, 1))
        assert fitted.shape == "step"
        assert fitted.step_at == pytest.approx(200, abs=12)
        assert fitted.step_low < 10 < fitted.step_low + 2 * (fitted.step_size - fitted.step_low)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_the_interval_covers_the_true_slope(rho: float) -> None:
    truth = 10 / N
    covered = 0
    for seed in range(100):
        fitted = fit(100 + truth * T + noise(np.random.default_rng(seed), rho, 2))
        covered += fitted.low <= truth <= fitted.high
    assert covered >= 90  # nominal 95, less three standard errors


def test_a_constant_series_has_no_growth_and_no_doubt() -> None:
    fitted = trend(np.arange(24.0), np.full(24, 5e7))
    assert fitted is not None
    assert fitted.shape == "flat"
    assert (fitted.growth, fitted.low, fitted.high) == (0, 0, 0)
    assert fitted.first == fitted.last == fitted.level == 5e7


def test_the_late_slope_sees_the_end_only_and_forgives_outliers() -> None:
    t = np.arange(60.0)
    v = np.where(t < 30, 0.0, 2.0 * (t - 30))
    v[50] = 1e6
    assert late_slope(t, v, 1 / 3) == pytest.approx(2.0, rel=0.01)
    assert late_slope(t, v[::-1].copy(), 1 / 3) == pytest.approx(0.0, abs=1e-9)


def test_zero_all_the_time_has_no_relative_growth() -> None:
    fitted = trend(np.arange(24.0), np.zeros(24))
    assert fitted is not None
    assert fitted.growth == pytest.approx(0)
    assert np.isnan(fitted.relative(1.0))


def test_too_few_blocks_are_no_trend() -> None:
    assert trend(np.arange(MIN_BLOCKS - 1.0), np.arange(MIN_BLOCKS - 1.0)) is None


def test_isolated_bumps_do_not_make_a_trend() -> None:
    v = 100 + noise(np.random.default_rng(1), 0.3, 1)
    v[300:306] += 400
    assert not fails(v)


@given(
    st.floats(1e-6, 1e9),
    st.floats(-0.5, 2.0),
    st.floats(1.0, 1e5),
    st.integers(0, 1000),
)
@settings(max_examples=50, deadline=None)
def test_units_and_time_scales_change_nothing_but_units(scale: float, growth: float, span: float, seed: int) -> None:
    v = 100 + 100 * growth * T / N + noise(np.random.default_rng(seed), 0.3, 1)
    one = fit(v)
    t = T * span / N
    blocks = level_blocks(t, v * scale, 0, span)
    other = trend(blocks.t, blocks.v)
    assert other is not None
    assert other.slope * span / scale == pytest.approx(
        one.slope * N, rel=0.02, abs=0.5
    )  # edges may fall a sample aside


@given(st.lists(st.floats(-1e12, 1e12), min_size=MIN_BLOCKS, max_size=40))
@example([0.0] * (MIN_BLOCKS - 1) + [5e-324])
@example([0.0] * (MIN_BLOCKS - 1) + [1e-200])
@settings(max_examples=100, deadline=None)
def test_any_numbers_give_a_finite_ordered_answer(v: list[float]) -> None:
    fitted = trend(np.arange(float(len(v))), np.array(v))
    assert fitted is not None
    assert np.isfinite([fitted.slope, fitted.low, fitted.high, fitted.level]).all()
    assert fitted.low <= fitted.slope <= fitted.high


def test_a_sawtooth_is_judged_by_what_stays_after_it_falls() -> None:
    saw = 100 + 20 * ((T / 13) % 1) + np.random.default_rng(1).normal(0, 0.3, N)
    for growth in (0.0, 30.0):
        blocks = floor_blocks(T, saw + growth * T / N, 0, N)
        fitted = trend(blocks.t, blocks.v, beside=blocks.beside, falls=blocks.falls)
        assert fitted is not None
        assert fitted.falls == 27
        assert fitted.growth == pytest.approx(growth, abs=1)


def test_a_hole_is_missing_blocks_not_zeros() -> None:
    keep = (T < 100) | (T > 200)
    v = 100 + noise(np.random.default_rng(2), 0.3, 1)
    blocks = level_blocks(T[keep], v[keep], 0, N)
    assert len(blocks.v) < 60
    assert blocks.v.min() > 90
    with_nan = np.where(keep, v, np.nan)
    assert level_blocks(T, with_nan, 0, N).v.min() > 90
