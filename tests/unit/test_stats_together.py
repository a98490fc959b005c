from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from soak.judge.stats.together import knee, together

T = np.linspace(0, 3600, 24)
Make = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


def noise(rng: np.random.Generator, sd: float, rho: float = 0.0) -> np.ndarray:
    v = np.zeros(len(T))
    for i in range(1, len(T)):
        v[i] = rho * v[i - 1] + rng.normal(0, sd)
    return v


def hinge(at: float) -> np.ndarray:
    return np.maximum(0.0, T - at) / 3600


def share(make: Make, seeds: int = 100) -> float:
    return float(np.mean([together(T, *make(np.random.default_rng(s))) for s in range(seeds)]))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda r: (T / 3600 + noise(r, 0.02), T / 1800 + noise(r, 0.02)), id="two lines"),
        pytest.param(
            lambda r: (T / 3600 + noise(r, 0.1, 0.9), T / 1800 + noise(r, 0.1, 0.9)), id="noise that remembers"
        ),
        pytest.param(lambda r: (hinge(900) + noise(r, 0.01), hinge(2400) + noise(r, 0.01)), id="knees apart"),
        pytest.param(lambda r: (hinge(1800) + noise(r, 0.01), T / 3600 + noise(r, 0.01)), id="a knee and a line"),
    ],
)
def test_what_merely_grows_both_is_not_together(make: Make) -> None:
    assert share(make) <= 0.05


def wiggling(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    same = noise(rng, 0.2)
    return T / 3600 + same, 5 * same + T / 900 + noise(rng, 0.2)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda r: (hinge(1800) + noise(r, 0.01), 7 * hinge(1800) + noise(r, 0.05)), id="the same knee"),
        pytest.param(wiggling, id="the same wiggles"),
    ],
)
def test_what_has_the_same_knee_or_wiggles_is_together(make: Make) -> None:
    assert share(make) >= 0.9


def test_a_knee_is_found_where_it_is_and_a_line_has_none() -> None:
    rng = np.random.default_rng(1)
    found = knee(T, hinge(1800) + noise(rng, 0.01))
    assert found == pytest.approx(1800, abs=200)
    assert knee(T, T / 3600 + noise(rng, 0.02)) is None


def test_too_little_and_what_never_moves_is_not_together() -> None:
    assert not together(T[:5], hinge(1800)[:5], hinge(1800)[:5])
    assert not together(T, np.ones(24), hinge(1800))
