"""Blocks: a long series as a few dozen numbers, each over at least one cycle of whatever goes round.

Testing for a trend on raw samples fires on noise that remembers itself; block medians and block floors
forget most of it, and a floor over a whole garbage collection cycle does not see the sawtooth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEVEL_BLOCKS = 60
FLOOR_BLOCKS = 24
MIN_BLOCKS = 8
"""Fewer blocks than this are no trend."""

_FLOOR_QUANTILE = 0.05
_MIN_SAMPLES = 3
_FALL_OF_RANGE = 0.25
_FALL_OF_STEPS = 5.0


@dataclass(frozen=True, slots=True)
class Blocks:
    """Block middles `t` and values `v`; blocks without a sample are absent, never zero."""

    t: Floats
    v: Floats
    length: float


def level_blocks(t: Floats, v: Floats, start: float, end: float) -> Blocks:
    """Medians of up to 60 blocks of [start, end)."""
    return _blocks(t, v, start, end, LEVEL_BLOCKS, lambda x: float(np.median(x)))


def floor_blocks(t: Floats, v: Floats, start: float, end: float) -> Blocks:
    """5 % quantiles of up to 24 blocks of [start, end), each one sawtooth long if 8 of them fit."""
    period = sawtooth_period(t, v)
    count = FLOOR_BLOCKS if period is None else max(MIN_BLOCKS, min(FLOOR_BLOCKS, int((end - start) / period)))
    return _blocks(t, v, start, end, count, lambda x: float(np.quantile(x, _FLOOR_QUANTILE)))


def peak_blocks(t: Floats, v: Floats, start: float, end: float) -> Blocks:
    """Maxima of up to 24 blocks of [start, end). A mark that never sinks is a maximum already: one sample is enough."""
    return _blocks(t, v, start, end, FLOOR_BLOCKS, lambda x: float(np.max(x)), least=1)


def sawtooth_period(t: Floats, v: Floats) -> float | None:
    """The usual time between sudden falls of a series that climbs and falls again; None if it does not.

    A fall is a drop, from one sample to the next, by more than a quarter of the series' range and by far
    more than it usually moves: noise that wanders has many drops of its own size, and is no sawtooth.
    """
    keep = np.isfinite(v)
    t, v = t[keep], v[keep]
    if len(v) < 8:
        return None
    low, high = np.quantile(v, [0.02, 0.98])
    steps = np.diff(v)
    least = max(_FALL_OF_RANGE * (high - low), _FALL_OF_STEPS * float(np.median(np.abs(steps))))
    falls = t[1:][steps < -least] if high > low else t[:0]
    if len(falls) < 3:
        return None
    return float(np.median(np.diff(falls)))


def _blocks(
    t: Floats,
    v: Floats,
    start: float,
    end: float,
    most: int,
    take: Callable[[Floats], float],
    least: int = _MIN_SAMPLES,
) -> Blocks:
    keep = np.isfinite(v) & (t >= start) & (t < end)
    t, v = t[keep], v[keep]
    count = max(1, min(most, len(t) // least))
    edges = np.linspace(start, end, count + 1)
    cuts = np.searchsorted(t, edges)
    found = [(i, v[a:b]) for i, (a, b) in enumerate(pairwise(cuts)) if b > a]
    middles = (edges[:-1] + edges[1:]) / 2
    return Blocks(
        np.array([middles[i] for i, _ in found]),
        np.array([take(x) for _, x in found]),
        (end - start) / count,
    )
