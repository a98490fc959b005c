"""Fewer points, the same picture: series thinned for a chart without losing a peak, a dip or a hole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from soak.core.records import Floats, Series

Places = npt.NDArray[np.int64]

MOST_POINTS = 2000
_GAP_FACTOR = 4.0
"""Samples further apart than this many usual steps have a hole between them."""


def decimate(series: Series, most: int = MOST_POINTS) -> Series:
    """At most `most` (>= 8) points of `series`: the lowest and highest of each stretch, in their order.

    What was not measured stays visible: a NaN, and a hole in time, become one NaN point, where a chart
    breaks its line. Extremes of every stretch are kept exactly, with their own times.
    """
    t, v = _with_gaps(series)
    if len(t) <= most:
        return Series(t, v)
    kept = [_extremes(part, v) for part in np.array_split(np.arange(len(t)), most // 4)]
    order = np.concatenate(kept)
    return Series(t[order], v[order])


def _extremes(part: Places, v: Floats) -> Places:
    """Places of the lowest and the highest value of a stretch, and of its first hole."""
    values = v[part]
    holes = np.flatnonzero(np.isnan(values))
    if len(holes) == len(values):
        return part[:1]
    places = {int(np.nanargmin(values)), int(np.nanargmax(values))}
    if len(holes):
        places.add(int(holes[0]))
    return part[sorted(places)]


def _with_gaps(series: Series) -> tuple[Floats, Floats]:
    t = np.asarray(series.t, np.float64)
    v = np.where(np.isfinite(series.v), series.v, np.nan)
    if len(t) < 3:
        return t, v
    steps = np.diff(t)
    holes = np.flatnonzero(steps > _GAP_FACTOR * max(float(np.median(steps)), 1e-9))
    return np.insert(t, holes + 1, t[holes] + steps[holes] / 2), np.insert(v, holes + 1, np.nan)
