"""The families that the judge was built on: the common nuisances of a soak, with AR(1) noise.

Noise has a standard deviation of 2 % of the level and a lag-one correlation of .3 to .8 unless the family says
otherwise. What is measured on these says that the judge does what it was built for, and no more.
"""

from __future__ import annotations

import numpy as np

from benchmarks.accuracy.family import Family, Floats
from benchmarks.accuracy.noise import after, ar, fill, run, sawtooth, wave

STREAM = 1
_SD = 0.02


def _noise(rng: np.random.Generator, n: int) -> Floats:
    return ar(rng, n, rng.uniform(0.3, 0.8), _SD)


def _correlated(rho: float, sd: float = _SD) -> Family:
    name = "iid noise" if rho == 0 else f"AR {rho:g} noise"
    return Family(name, "healthy", lambda rng, n: 1 + ar(rng, n, rho, sd), f"lag-one correlation {rho:g}")


def _warm(up: bool) -> Family:
    def make(rng: np.random.Generator, n: int) -> Floats:
        size, tau = rng.uniform(0.1, 0.5), rng.uniform(0.02, 0.08)
        return 1 + (-size if up else size) * (1 - fill(n, tau)) + _noise(rng, n)

    way = "up" if up else "down"
    return Family(f"warm-up {way}", "healthy", make, "10 to 50 %, time constant 2 to 8 % of the run")


def _filling(rng: np.random.Generator, n: int, low: float, high: float) -> Floats:
    return 1 + rng.uniform(0.1, 0.4) * fill(n, rng.uniform(low, high)) + _noise(rng, n)


def _cache(rng: np.random.Generator, n: int) -> Floats:
    return _filling(rng, n, 0.08, 0.2)


def _slow_cache(rng: np.random.Generator, n: int) -> Floats:
    return _filling(rng, n, 0.35, 0.6)


def _sawtooth(rng: np.random.Generator, n: int) -> Floats:
    saw = sawtooth(n, rng.uniform(12, 30), rng.uniform())
    return 1 + rng.uniform(0.2, 0.6) * saw + _noise(rng, n)


def _daily(rng: np.random.Generator, n: int) -> Floats:
    return 1 + rng.uniform(0.04, 0.1) * wave(n, rng.uniform(2, 5), rng.uniform()) + _noise(rng, n)


def _bursts(rng: np.random.Generator, n: int) -> Floats:
    v = 1 + _noise(rng, n)
    for at in rng.integers(0, n, rng.integers(4, 12)):
        v[at : at + rng.integers(1, 6)] += rng.uniform(0.1, 0.8)
    return v


def _tails(rng: np.random.Generator, n: int) -> Floats:
    return np.exp(ar(rng, n, rng.uniform(0.1, 0.4), rng.uniform(0.15, 0.3)))


def _leak(growth: float, tolerance: float = 0.03) -> Family:
    return Family(
        f"leak {100 * growth:.0f} %",
        "sick",
        lambda rng, n: 1 + growth * run(n) + _noise(rng, n),
        "even growth",
        tolerance=tolerance,
        growth=growth,
    )


def _late(rng: np.random.Generator, n: int) -> Floats:
    onset = rng.uniform(0.4, 0.6)
    return 1 + 0.15 * np.maximum(0.0, run(n) - onset) / (1 - onset) + _noise(rng, n)


def _step(rng: np.random.Generator, n: int) -> Floats:
    return 1 + 0.1 * after(n, rng.uniform(0.3, 0.7)) + _noise(rng, n)


def _stairs(rng: np.random.Generator, n: int) -> Floats:
    count = rng.integers(6, 15)
    return 1 + 0.15 * np.floor(run(n) * count + rng.uniform()) / count + _noise(rng, n)


HEALTHY = (
    _correlated(0.0),
    *(_correlated(rho) for rho in (0.5, 0.8, 0.9, 0.98)),
    _warm(up=True),
    _warm(up=False),
    Family("cache fill", "healthy", _cache, "10 to 40 %, time constant 8 to 20 % of the run"),
    Family("sawtooth", "healthy", _sawtooth, "20 to 60 % high, 12 to 30 points long", kind="floor"),
    Family("daily load", "healthy", _daily, "waves of 4 to 10 %, 2 to 5 of them"),
    Family("bursts", "healthy", _bursts, "4 to 11 bursts of 10 to 80 %, 1 to 5 points long"),
    Family("host noise", "healthy", lambda rng, n: 1 + ar(rng, n, 0.95, 0.04), "AR .95, standard deviation 4 %"),
    Family("heavy tails", "healthy", _tails, "a p99.9: log-normal, 15 to 30 %", kind="ratio", tolerance=0.1),
)
SICK = (
    _leak(0.03, tolerance=0.02),
    *(_leak(growth) for growth in (0.05, 0.1, 0.3, 1.0)),
    Family("leak 5 % and cache", "sick", lambda r, n: _cache(r, n) + 0.05 * run(n), "", growth=0.05),
    Family(
        "leak 10 % and sawtooth",
        "sick",
        lambda r, n: _sawtooth(r, n) + 0.1 * run(n),
        "",
        "floor",
        growth=0.1,
    ),
    Family("leak 5 % and load", "sick", lambda r, n: _daily(r, n) + 0.05 * run(n), "", growth=0.05),
    Family("late leak", "sick", _late, "15 %, from 40 to 60 % of the run on", growth=0.15),
    Family("step", "sick", _step, "10 %, and it stays", growth=0.1),
    Family("quadratic", "sick", lambda r, n: 1 + 0.15 * run(n) ** 2 + _noise(r, n), "15 %, ever faster", growth=0.15),
    Family("staircase", "sick", _stairs, "15 % in 6 to 14 stairs", growth=0.15),
)
AMBIGUOUS = (
    Family(
        "slow fill", "ambiguous", _slow_cache, "10 to 40 %, time constant 35 to 60 % of the run: not full at its end"
    ),
)
FAMILIES = HEALTHY + SICK + AMBIGUOUS
