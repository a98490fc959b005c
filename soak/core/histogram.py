"""HDR histograms: exact counts, lossless merge, and the only file that knows hdrhistogram.

Latencies are microseconds from 1 us to 1 h with 3 significant digits (bucket width <= 0.1 % of the
value), the layout of HdrHistogram (Gil Tene, https://hdrhistogram.github.io/HdrHistogram/). hdrhistogram's
own `record_value` silently drops what is out of range and costs about five times what indexing by bit
length does, so recording is done here on the same layout; the codec stays theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from hdrh.histogram import HdrHistogram

LOWEST_US = 1
HIGHEST_US = 3_600_000_000
DIGITS = 3
_HALF_MAGNITUDE = 10  # log2(2048) - 1: 2048 sub-buckets hold 3 decimal digits
_HALF = 1 << _HALF_MAGNITUDE

Counts = npt.NDArray[np.signedinteger[Any]]
"""Slots, or how many there are in each: as few bits as are enough, since a long run holds many of them."""


def index_of(us: int) -> int:
    """The slot of a value of at least 0 microseconds in the counts layout of HdrHistogram."""
    bucket = us.bit_length() - _HALF_MAGNITUDE - 1
    return us if bucket <= 0 else (bucket << _HALF_MAGNITUDE) + (us >> bucket)


def _place(index: Counts) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The power of two that each slot is counted in, and which of its slots it is."""
    index = index.astype(np.int64, copy=False)
    bucket = np.maximum((index >> _HALF_MAGNITUDE) - 1, 0)
    return bucket, np.where(index < 2 * _HALF, index, (index & (_HALF - 1)) + _HALF)


def highest_equivalent(index: Counts) -> npt.NDArray[np.int64]:
    """The largest microsecond value that falls into each slot; what a percentile reports."""
    bucket, sub = _place(index)
    top: npt.NDArray[np.int64] = ((sub + 1) << bucket) - 1
    return top


def middle(index: Counts) -> npt.NDArray[np.float64]:
    """The middle of each slot in microseconds; what a mean uses."""
    bucket, sub = _place(index)
    centre: npt.NDArray[np.float64] = (sub << bucket) + ((1 << bucket) - 1) / 2.0
    return centre


@dataclass(frozen=True, slots=True)
class Histogram:
    """An immutable set of latencies: `index` ascending slots, `counts` how many fell into each.

    `clamped` counts those of them that were out of range and stand at its edge.
    """

    index: Counts
    counts: Counts
    clamped: int = 0
    total: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", int(self.counts.sum()))

    @classmethod
    def empty(cls) -> Histogram:
        """A histogram of nothing."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64))

    @classmethod
    def merge(cls, parts: Iterable[Histogram]) -> Histogram:
        """The histogram of all values of all parts: exact, and independent of their order."""
        kept = [p for p in parts if p.total]
        if not kept:
            return cls.empty()
        if len(kept) == 1:
            return kept[0]
        # dense: a slot stands once in each part, so a plain sum is exact, and far quicker than sorting them all
        summed = np.zeros(1 + max(int(p.index[-1]) for p in kept), np.int64)
        for p in kept:
            summed[p.index] += p.counts
        slots = np.flatnonzero(summed)
        return cls(slots, summed[slots], sum(p.clamped for p in kept))

    def percentile(self, q: float) -> float:
        """The value in seconds that a share of `q` percent of all does not exceed; NaN when empty."""
        return self.percentiles([q])[0]

    def percentiles(self, qs: Sequence[float]) -> list[float]:
        """Several percentiles (0 to 100) in seconds, each the highest equivalent value of its slot."""
        if not self.total:
            return [float("nan")] * len(qs)
        # half up, as HdrHistogram does it, and never below the first value
        rank = np.maximum(np.floor(np.asarray(qs) * self.total / 100.0 + 0.5), 1)
        at = np.searchsorted(np.cumsum(self.counts), rank)
        at = np.minimum(at, len(self.index) - 1)
        values: list[float] = (highest_equivalent(self.index[at]) / 1e6).tolist()
        return values

    @property
    def maximum(self) -> float:
        """The largest value in seconds (to the width of its slot); NaN when empty."""
        return float(highest_equivalent(self.index[-1:])[0] / 1e6) if self.total else float("nan")

    @property
    def mean(self) -> float:
        """The mean in seconds; NaN when empty."""
        return float(middle(self.index) @ self.counts / self.total / 1e6) if self.total else float("nan")

    def share_above(self, seconds: float) -> float:
        """The share of values above `seconds`; NaN when empty."""
        if not self.total:
            return float("nan")
        above = highest_equivalent(self.index) / 1e6 > seconds
        return float(self.counts[above].sum() / self.total)

    def encode(self) -> bytes:
        """HdrHistogram V2 compressed bytes (zlib, not base64)."""
        hdr = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS, b64_wrap=False)
        if self.total:
            np.frombuffer(hdr.counts, np.int64)[self.index] = self.counts
            low, high = int(self.index[0]), int(self.index[-1])
            hdr.set_internal_tacking_values(low, high, self.total)
        blob: bytes = hdr.encode()
        return blob

    @classmethod
    def decode(cls, blob: bytes, clamped: int = 0) -> Histogram:
        """Read HdrHistogram V2 compressed bytes. Raises ValueError when they are not that."""
        try:
            hdr = HdrHistogram.decode(blob, b64_wrap=False)
        except Exception as error:  # hdrh raises its own, zlib's and ctypes' errors
            raise ValueError(f"not an HDR histogram: {error}") from error
        dense = np.frombuffer(hdr.counts, np.int64)
        index = np.flatnonzero(dense)
        counts = dense[index]
        most = counts.max(initial=0)
        narrow = next(kind for kind in (np.int16, np.int32, np.int64) if most <= np.iinfo(kind).max)
        return cls(index.astype(np.int16), counts.astype(narrow), clamped)  # there are fewer than 2^15 slots


class Recorder:
    """A histogram being filled. Not thread-safe: it belongs to one event loop."""

    __slots__ = ("clamped", "counts")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.clamped = 0

    def record(self, seconds: float) -> None:
        """Count one value; out of range is clamped to the edge and counted as such, never dropped."""
        us = int(seconds * 1e6)
        if us < LOWEST_US:
            us = LOWEST_US  # below the resolution, not out of range
        elif us > HIGHEST_US:
            us = HIGHEST_US
            self.clamped += 1
        bucket = us.bit_length() - _HALF_MAGNITUDE - 1  # index_of, without the cost of a call
        slot = us if bucket <= 0 else (bucket << _HALF_MAGNITUDE) + (us >> bucket)
        self.counts[slot] = self.counts.get(slot, 0) + 1

    def take(self) -> Histogram:
        """What was recorded since the last take; starts anew."""
        counts, clamped = self.counts, self.clamped
        self.counts, self.clamped = {}, 0
        slots = sorted(counts)
        return Histogram(np.array(slots, np.int64), np.array([counts[s] for s in slots], np.int64), clamped)
