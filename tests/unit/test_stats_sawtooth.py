"""What is a sawtooth and what is not."""

from __future__ import annotations

import numpy as np
import pytest

from soak.judge.stats.sawtooth import climbs, falls

T = np.arange(360.0)


def remembering(seed: int, rho: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    v = np.zeros(len(T))
    for i in range(1, len(T)):
        v[i] = rho * v[i - 1] + rng.normal(0, 1)
    return 100 + v


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, 0.98])
def test_noise_that_wanders_is_no_sawtooth(rho: float) -> None:
    assert sum(len(falls(remembering(seed, rho))) > 0 for seed in range(60)) == 0


@pytest.mark.parametrize("length", [9, 14, 30, 60])
def test_a_sawtooth_is_seen_at_every_fall(length: float) -> None:
    saw = 100 + 20 * ((T / length + 0.3) % 1) + np.random.default_rng(1).normal(0, 0.5, len(T))
    assert np.median(np.diff(falls(saw))) == pytest.approx(length, abs=1)


def test_bursts_that_end_are_no_sawtooth() -> None:
    bursts = 100 + 50.0 * ((T // 20) % 3 == 1) + np.random.default_rng(1).normal(0, 0.5, len(T))
    assert len(falls(bursts)) == 0


def test_single_low_samples_are_no_falls() -> None:
    dips = 100 + np.random.default_rng(1).normal(0, 0.5, len(T))
    dips[[50, 150, 250]] -= 40
    assert len(falls(dips)) == 0


def test_the_columns_explain_the_climb_and_what_was_before_it() -> None:
    saw = 100 + 2.0 * (T % 90)
    cuts = np.arange(0, 361, 6)
    at = falls(saw)
    assert list(at) == [90, 180, 270]
    phase, before = climbs(T, at, cuts)
    assert phase[0] == pytest.approx(2.5)
    assert phase[15] == pytest.approx(2.5)  # the first block after a fall
    assert list(before) == [1.0] * 15 + [0.0] * 45
