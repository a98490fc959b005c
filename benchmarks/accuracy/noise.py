"""Pieces that families are made of, relative to the level (0.02 is 2 % of it); x runs from 0 to 1 over the run."""

from __future__ import annotations

import numpy as np
from scipy import signal

from benchmarks.accuracy.family import Floats


def run(n: int) -> Floats:
    """Shares of the run at n points: 0 to just below 1."""
    return np.arange(n) / n


def ar(rng: np.random.Generator, n: int, rho: float, sd: float) -> Floats:
    """Stationary AR(1) noise with lag-one correlation `rho` and standard deviation `sd`."""
    shocks = rng.standard_normal(n) * sd * np.sqrt(1 - rho * rho)
    shocks[0] = rng.standard_normal() * sd
    return np.asarray(signal.lfilter([1.0], [1.0, -rho], shocks))


def fill(n: int, tau: float) -> Floats:
    """What fills up: 0 at the start, towards 1 with time constant `tau` (of the run)."""
    return np.asarray(1 - np.exp(-run(n) / tau))


def sawtooth(n: int, period: float, phase: float) -> Floats:
    """Climbs from 0 to 1 over `period` points and falls back at once."""
    return np.asarray((np.arange(n) / period + phase) % 1.0)


def wave(n: int, cycles: float, phase: float) -> Floats:
    """A sine of so many cycles over the run, -1 to 1."""
    return np.asarray(np.sin(2 * np.pi * (cycles * run(n) + phase)))


def after(n: int, onset: float) -> Floats:
    """1 from a share of the run on, 0 before."""
    return (run(n) >= onset).astype(np.float64)
