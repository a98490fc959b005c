"""What a cost is held against: the size of the data, and what else it depends on at the same time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from soak.core.records import Floats
from soak.judge.side import Side
from soak.judge.stats.blocks import LEVEL_BLOCKS, Blocks


@dataclass(frozen=True, slots=True)
class Size:
    """What cost is held against: sizes `n` at times `t` (s), what they count, and whether the target declares it."""

    t: Floats
    n: Floats
    what: str
    declared: bool = False

    @property
    def rate(self) -> float:
        """By how much it grows a second, over the second half."""
        half = len(self.t) // 2
        return float((self.n[-1] - self.n[half]) / max(self.t[-1] - self.t[half], 1e-9))

    def at(self, t: Floats) -> Floats:
        """The size at some times, at least 1."""
        return np.maximum(np.interp(t, self.t, self.n), 1.0)


def size_of(side: Side) -> Size | None:
    """Requests done since load began, or what the target declares as its size."""
    declared = side.recording.scenario.sides[side.name].size
    if declared is not None:
        series = side.soak_series(declared)
        return Size(series.t, series.v, declared, declared=True) if series is not None and len(series) > 1 else None
    by_end: dict[float, int] = {}
    for y in side.data.tallies:
        at = round(y.start + y.length, 3)
        by_end[at] = by_end.get(at, 0) + y.done
    if len(by_end) < 2:
        return None
    ends = sorted(by_end)
    return Size(np.array(ends), np.cumsum([by_end[e] for e in ends]).astype(float), "requests done")


def windows_of(side: Side, metric: str, endpoint: str | None) -> Blocks | None:
    """What is fitted: windows of a percentile, or CPU in windows as short as it is measured in, up to 60 of them."""
    fine = side.soak_series(metric) if endpoint is None else None
    if fine is None or len(fine) > LEVEL_BLOCKS:
        return side.observed(metric, endpoint)
    return Blocks(fine.t, fine.v, side.length / len(fine))


def beside(side: Side, metric: str, endpoint: str | None, t: Floats) -> Floats | None:
    """What cost also depends on at times `t`: what the host did to a reference, or the rate if that has a pattern.

    A reference under the same arrivals has both in it, for they are the same for the two.
    """
    if side.name == "candidate" and "reference" in side.recording.sides:
        theirs = windows_of(Side("reference", side.recording, side.start, side.end), metric, endpoint)
        return np.interp(t, theirs.t, theirs.v) if theirs is not None else None
    rate = side.series("throughput.rate")  # a busier server is slower by itself
    if side.recording.scenario.load.pattern is None or rate is None:
        return None
    width = max(1, round(len(rate) / max(1, len(t))))
    return np.interp(t, rate.t, np.convolve(rate.v, np.ones(width) / width, mode="same"))
