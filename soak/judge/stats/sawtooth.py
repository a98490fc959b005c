"""A series that climbs and is collected: garbage collectors, log compaction, caches that are thrown away whole."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_OF_RANGE = 0.25
_OF_STEPS = 6.0
_RISES = 0.25
"""Sudden rises for each sudden fall, from which on falls end bursts and not climbs."""
_AROUND = 3


def falls(v: Floats) -> Indices:
    """Where a sawtooth falls: the first sample after each fall; empty where the series is none.

    A fall is a drop, from one sample to the next, by more than a quarter of the series' range and by far
    more than it usually moves, after which it stays lower for a while; and there are hardly any such rises.
    Noise that wanders has many drops of its own size, and is no sawtooth.
    """
    none = np.empty(0, dtype=np.int64)
    if len(v) < 8:
        return none
    low, high = np.quantile(v, [0.02, 0.98])
    if high <= low:
        return none
    steps = np.diff(v)
    least = max(_OF_RANGE * float(high - low), _OF_STEPS * float(np.median(np.abs(steps))))
    down = [int(i) for i in np.flatnonzero(steps < -least) + 1 if _lasts(v, int(i), least)]
    rises = int(np.count_nonzero(steps > least))
    return np.array(down, dtype=np.int64) if len(down) >= 2 and rises <= _RISES * len(down) else none


def climbs(t: Floats, at: Indices, cuts: Indices) -> tuple[Floats, ...]:
    """Columns that explain a sawtooth, by blocks (samples `cuts[i]` to `cuts[i + 1]`): time since the last fall.

    What was there before the first fall began at a height of its own: it has a column for that.
    """
    since = np.concatenate([[0], at])
    index = np.arange(len(t))
    phase = t - t[since[np.searchsorted(since, index, side="right") - 1]]
    before = (index < at[0]).astype(np.float64)
    columns = [np.array([float(np.mean(c[a:b])) for a, b in pairwise(cuts) if b > a]) for c in (phase, before)]
    return tuple(c for c in columns if float(np.sum(c)) >= 1.0)


def _lasts(v: Floats, i: int, least: float) -> bool:
    """Whether the series is lower from sample `i` on than before, and not only at it."""
    before, after = v[max(0, i - _AROUND) : i], v[i : i + _AROUND]
    return float(np.median(before)) - float(np.median(after)) > least / 2
