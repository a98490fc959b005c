"""Blocks: a long series as a few dozen numbers.

Testing for a trend on raw samples fires on noise that remembers itself; block medians and block floors
forget most of it. Of a series that climbs and is collected, each block is told how far up the climb it is:
that explains the sawtooth with all that was seen, where floors of whole cycles would use a few low samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from soak.judge.stats import sawtooth

Floats = npt.NDArray[np.float64]

LEVEL_BLOCKS = 60
FLOOR_BLOCKS = 24
MIN_BLOCKS = 8
"""Fewer blocks than this are no trend."""
FEW_FALLS = 3
"""With fewer falls than this, what stays after each is not known."""

_BEYOND = 1e60
"""In any unit: nothing is measured as so much, and a few of such numbers multiplied are no number any more."""
_FLOOR_QUANTILE = 0.05
_MIN_SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Blocks:
    """Block middles `t` (s) and values `v`; blocks without a sample are absent, never zero.

    `length` is that of a block (s). `beside` are columns of the same length that explain a part of it, and
    `falls` how often a sawtooth fell; None for what is none.
    """

    t: Floats
    v: Floats
    length: float
    beside: tuple[Floats, ...] = ()
    falls: int | None = None


def measured(v: Floats) -> npt.NDArray[np.bool_]:
    """Which values were measured: no holes (NaN), and nothing beyond all measure, such as a hostile target tells."""
    found: npt.NDArray[np.bool_] = np.abs(v) < _BEYOND
    return found


def floor_of(v: Floats) -> float:
    """The floor of some values: few of them lie below."""
    return float(np.quantile(v, _FLOOR_QUANTILE))


def level_blocks(t: Floats, v: Floats, start: float, end: float) -> Blocks:
    """Medians of up to 60 blocks of [start, end); means beside the phase of a sawtooth, if it is one."""
    return _cycles(t, v, start, end, LEVEL_BLOCKS, lambda x: float(np.median(x)))


def floor_blocks(t: Floats, v: Floats, start: float, end: float) -> Blocks:
    """5 % quantiles of up to 24 blocks of [start, end); means beside the phase of a sawtooth, if it is one."""
    return _cycles(t, v, start, end, FLOOR_BLOCKS, floor_of)


def peak_blocks(t: Floats, v: Floats, start: float, end: float) -> Blocks:
    """Maxima of up to 24 blocks of [start, end). A mark that never sinks is a maximum already: one sample is enough."""
    t, v = _inside(t, v, start, end)
    return _blocks(t, v, start, end, FLOOR_BLOCKS, lambda x: float(np.max(x)), least=1)


def _cycles(t: Floats, v: Floats, start: float, end: float, most: int, take: Callable[[Floats], float]) -> Blocks:
    t, v = _inside(t, v, start, end)
    at = sawtooth.falls(v)
    if not len(at):
        return _blocks(t, v, start, end, most, take)
    # a block's mean is as far up the climb as its mean time: so both are means
    plain = _blocks(t, v, start, end, LEVEL_BLOCKS, lambda x: float(np.mean(x)))
    cuts = np.searchsorted(t, np.linspace(start, end, round((end - start) / plain.length) + 1))
    return Blocks(plain.t, plain.v, plain.length, sawtooth.climbs(t, at, cuts), len(at))


def _inside(t: Floats, v: Floats, start: float, end: float) -> tuple[Floats, Floats]:
    keep = measured(v) & (t >= start) & (t < end)
    return t[keep], v[keep]


def _blocks(
    t: Floats,
    v: Floats,
    start: float,
    end: float,
    most: int,
    take: Callable[[Floats], float],
    least: int = _MIN_SAMPLES,
) -> Blocks:
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
