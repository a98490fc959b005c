"""What goes on in real services, as processes: noise with memory, regimes, caches that fill, collectors, arenas, weeks.

All are relative to the level; x runs from 0 to 1 over the run. None has a trend of its own.
"""

from __future__ import annotations

import numpy as np
from scipy import signal

from benchmarks.accuracy.family import Floats

_SETTLE = 400
"""Points that a process runs before it is looked at, so that it starts in no particular state."""


def arma(rng: np.random.Generator, n: int, sd: float) -> Floats:
    """ARMA(2, 1) noise whose roots are complex: it swings with a period of 8 to 30 points, and never twice the same."""
    modulus, period, theta = rng.uniform(0.7, 0.92), rng.uniform(8, 30), rng.uniform(0.2, 0.6)
    phi = [1.0, -2 * modulus * np.cos(2 * np.pi / period), modulus**2]
    v = np.asarray(signal.lfilter([1.0, theta], phi, rng.standard_normal(n + _SETTLE)))
    return np.asarray(v[_SETTLE:] * sd / v.std())


def long_memory(rng: np.random.Generator, n: int, d: float, sd: float) -> Floats:
    """ARFIMA(0, d, 0) noise (Granger and Joyeux 1980): its correlation dies away as a power, not as an exponential."""
    lags = 2000
    weights = np.cumprod(np.r_[1.0, (np.arange(1, lags) - 1 + d) / np.arange(1, lags)])
    v = signal.fftconvolve(rng.standard_normal(n + lags), weights)[lags : lags + n]
    return np.asarray(v * sd / np.sqrt((weights**2).sum()))


def heavy(rng: np.random.Generator, n: int, freedom: float, scale: float) -> Floats:
    """Student's t noise with a little memory; with few degrees of freedom one value in a hundred is far out."""
    return np.asarray(signal.lfilter([1.0], [1.0, -0.3], scale * rng.standard_t(freedom, n)))


def regimes(rng: np.random.Generator, n: int, levels: Floats, dwell: float) -> Floats:
    """A level that switches among some, and stays an exponential time of mean `dwell` points in each."""
    v = np.empty(n)
    at, state = 0, int(rng.integers(len(levels)))
    while at < n:
        stay = max(1, round(rng.exponential(dwell)))
        v[at : at + stay] = levels[state]
        at += stay
        state = int((state + rng.integers(1, len(levels))) % len(levels))
    return v


def lru(rng: np.random.Generator, n: int, capacity: float, full_at: float, slabs: int) -> Floats:
    """A bounded cache that fills slab by slab as new keys arrive (Poisson), up to `capacity` at about `full_at`."""
    keys = np.cumsum(rng.poisson(50, n)) / (50 * n * full_at)
    return np.asarray(capacity * np.minimum(np.ceil(keys * slabs) / slabs, 1.0))


def collector(rng: np.random.Generator, n: int, cycle: float, height: float, spread: float) -> Floats:
    """A heap that climbs until it is collected after about `cycle` points; each collection leaves another floor."""
    v = np.empty(n)
    at = -int(rng.uniform(0, cycle))
    while at < n:
        length = max(2, round(cycle * rng.uniform(0.75, 1.25)))
        floor, top = abs(rng.normal(0, spread)), height * rng.uniform(0.85, 1.15)
        part = floor + (top - floor) * np.arange(length) / length
        begin, end = max(0, at), min(n, at + length)
        if end > 0:
            v[begin:end] = part[begin - at : end - at]
        at += length
    return v


def generations(rng: np.random.Generator, n: int) -> Floats:
    """Minor collections every few points, and what survives them until a major one every 40 to 80."""
    minor = collector(rng, n, rng.uniform(4, 9), rng.uniform(0.05, 0.15), 0.004)
    return minor + collector(rng, n, rng.uniform(40, 80), rng.uniform(0.1, 0.3), 0.008)


def arenas(rng: np.random.Generator, n: int, lump: float) -> Floats:
    """Memory in lumps: demand wanders (AR .95), a lump is taken when it must be, and given back when two are free."""
    demand = np.asarray(signal.lfilter([1.0], [1.0, -0.95], rng.standard_normal(n + _SETTLE)))
    demand *= lump / demand.std()
    held = np.empty(n + _SETTLE)
    lumps = 0.0
    for i, wanted in enumerate(demand / lump):
        if wanted > lumps:
            lumps = np.ceil(wanted)
        elif lumps - wanted > 2:
            lumps -= 1
        held[i] = lumps * lump
    return held[_SETTLE:]


def weeks(rng: np.random.Generator, n: int, count: int, height: float) -> Floats:
    """Daily load over whole weeks, less of it at weekends; the run begins on any day of the week, at any hour."""
    days = np.arange(n) / n * 7 * count + rng.uniform(0, 7)
    weekend = np.where(days % 7 >= 5, rng.uniform(0.5, 0.8), 1.0)
    return np.asarray(height * weekend * (1 - np.cos(2 * np.pi * days)) / 2)


def holes(rng: np.random.Generator, v: Floats) -> Floats:
    """The same with 10 to 35 % of its values missing, in 3 to 8 holes."""
    v, count = v.copy(), int(rng.integers(3, 9))
    for at in rng.integers(0, len(v), count):
        v[at : at + round(len(v) * rng.uniform(0.1, 0.35) / count)] = np.nan
    return v
