"""Time in bins: merged histograms and summed accounts, at most MOST_BINS across a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from soak.core.histogram import Histogram
from soak.core.records import Floats, Series, Tally, Window

MOST_BINS = 240


@dataclass(frozen=True, slots=True)
class Bins:
    """Equal bins of `width` seconds from `start` on; each is a whole number of windows wide."""

    start: float
    width: float
    count: int

    @classmethod
    def over(cls, windows: Iterable[Window | Tally]) -> Bins:
        """Bins for windows or tallies: as wide as the longest of them, or a multiple of that."""
        spans = [(w.start, w.length) for w in windows]
        length = max((length for _, length in spans), default=0.0)
        if length <= 0:
            return cls(0.0, 1.0, 0)
        first, last = min(spans)[0], max(spans)[0]
        width = length * math.ceil((round((last - first) / length) + 1) / MOST_BINS)
        return cls(first, width, int((last - first + length / 2) // width) + 1)

    @property
    def middles(self) -> Floats:
        """The middle of each bin in seconds."""
        return np.array([self.start + self.width * (i + 0.5) for i in range(self.count)], np.float64)

    def place(self, start: float, length: float) -> int | None:
        """The bin that a window belongs to, by its middle; None outside."""
        at = int((start + length / 2 - self.start) // self.width)
        return at if 0 <= at < self.count else None

    def merge(self, windows: Iterable[Window]) -> list[Histogram]:
        """One merged histogram a bin; empty where there was no window. Percentiles come from these."""
        parts: list[list[Histogram]] = [[] for _ in range(self.count)]
        for window in windows:
            at = self.place(window.start, window.length)
            if at is not None:
                parts[at].append(window.histogram)
        return [Histogram.merge(found) for found in parts]

    def fold(self, tallies: Iterable[Tally], value: Callable[[Sequence[Tally]], float]) -> Series:
        """`value` of the tallies of each bin; NaN where there were none."""
        parts: list[list[Tally]] = [[] for _ in range(self.count)]
        for tally in tallies:
            at = self.place(tally.start, tally.length)
            if at is not None:
                parts[at].append(tally)
        values = [value(found) if found else math.nan for found in parts]
        return Series(self.middles, np.array(values, np.float64))


def rate(field: str) -> Callable[[Sequence[Tally]], float]:
    """Arrivals a second of a field of Tally: each worker's own rate, summed over the workers."""

    def per_second(tallies: Sequence[Tally]) -> float:
        counts: dict[str, float] = {}
        seconds: dict[str, float] = {}
        for tally in tallies:
            counts[tally.worker] = counts.get(tally.worker, 0.0) + getattr(tally, field)
            seconds[tally.worker] = seconds.get(tally.worker, 0.0) + tally.length
        return sum(counts[w] / seconds[w] for w in counts if seconds[w] > 0)

    return per_second
