"""Exponents of costs whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soak.judge.stats.exponent import Exponent, exponent

N = np.linspace(1_000.0, 13_000.0, 60)


def costs(b: float, noise: float = 0.02, seed: int = 1, fixed: float = 0.004) -> np.ndarray:
    shape = np.log(N) if b == 0 else N**b
    grown = (shape - shape[0]) / np.ptp(shape)
    return fixed * (1 + 2 * grown) * (1 + noise * np.random.default_rng(seed).standard_normal(len(N)))


def fit(b: float, **options: float) -> Exponent:
    found = exponent(N, costs(b, **options))  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize("b,name", [(0.0, "O(log n)"), (1.0, "O(n)"), (2.0, "O(n^2)"), (3.0, "O(n^3)")])
def test_the_exponent_is_within_its_interval_and_the_class_is_told(b: float, name: str) -> None:
    held = [fit(b, seed=seed) for seed in range(10)]
    assert sum(f.low <= b <= f.high for f in held) >= 9
    assert sum(name in f.classes for f in held) >= 9
    assert all(f.high - f.low < 1.2 for f in held)


def test_a_fixed_cost_hides_nothing() -> None:
    z = 1.0 + costs(1.0, noise=0.0) + 0.0001 * np.random.default_rng(3).standard_normal(len(N))
    found = exponent(N, z)
    assert found is not None
    assert found.best.b == pytest.approx(1.0, abs=0.15)
    slope = np.polyfit(np.log(N), np.log(z), 1)[0]
    assert slope < 0.01  # what a slope in logarithms would have said


def test_more_noise_is_a_wider_interval_that_holds_several_classes() -> None:
    loud = fit(1.0, noise=0.5)
    assert loud.high - loud.low > 2 * (fit(1.0).high - fit(1.0).low)
    assert len(loud.classes) > 1


def test_noise_that_remembers_itself_is_worth_fewer_windows() -> None:
    rng, wave = np.random.default_rng(4), [0.0]
    for _ in N:
        wave.append(0.8 * wave[-1] + rng.standard_normal())
    found = exponent(N, costs(1.0, noise=0.0) * (1 + 0.02 * np.array(wave[1:])))
    assert found is not None
    assert found.n_eff < 30 < fit(1.0).n_eff
    assert found.low <= 1 <= found.high


def test_one_bump_is_not_what_it_costs() -> None:
    z = costs(1.0)
    z[30:32] *= 4
    found = exponent(N, z)
    assert found is not None
    assert found.low <= 1 <= found.high


def test_the_curve_goes_on_and_comes_to_a_limit() -> None:
    found = fit(1.0)
    assert found.best.at(2 * found.size) == pytest.approx(0.0212, rel=0.05)  # 4 to 12 ms in 12,000; 8.7 ms more
    reached = found.best.size_at(0.0212)
    assert reached == pytest.approx(2 * found.size, rel=0.05)
    assert found.best.at(reached or 0) == pytest.approx(0.0212)


def test_what_levels_off_has_an_exponent_below_nought_and_never_comes_to_a_limit() -> None:
    x = np.linspace(0, 1, 60)
    found = exponent(N, 0.004 * (2 - np.exp(-20 * x)) + 2e-5 * np.random.default_rng(2).standard_normal(60))
    assert found is not None
    assert found.high < 0
    assert found.best.size_at(1.0) is None


def test_another_thing_that_cost_depends_on_is_set_apart() -> None:
    beside = np.sin(np.linspace(0, 12, 60))
    z = costs(1.0) + 0.003 * beside
    apart, mixed = exponent(N, z, beside), exponent(N, z)
    assert apart is not None
    assert mixed is not None
    assert apart.low <= 1 <= apart.high
    assert apart.high - apart.low < mixed.high - mixed.low


@pytest.mark.parametrize(
    "n,z",
    [
        pytest.param(N[:9], costs(1.0)[:9], id="too few"),
        pytest.param(np.ones(60), costs(1.0), id="one size"),
        pytest.param(N, np.ones(60), id="one cost"),
        pytest.param(N, costs(1.0, noise=0.0)[::-1].copy(), id="falls"),
        pytest.param(N - 1_000, costs(1.0), id="size nought"),
    ],
)
def test_what_has_no_exponent_has_none(n: np.ndarray, z: np.ndarray) -> None:
    assert exponent(n, z) is None


@settings(max_examples=20)
@given(st.floats(0.2, 3), st.floats(1e-6, 1e6), st.integers(0, 1000))
def test_units_do_not_matter(b: float, scale: float, seed: int) -> None:
    one, other = exponent(N, costs(b, seed=seed)), exponent(N, scale * costs(b, seed=seed))
    assert one is not None
    assert other is not None
    assert (other.low, other.best.b, other.high) == (one.low, one.best.b, one.high)
    assert other.best.at(2 * N[-1]) == pytest.approx(scale * one.best.at(2 * N[-1]), rel=1e-6)
