"""A family: one way in which a service behaves, whose truth is known because it is made."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Truth = Literal["healthy", "sick", "ambiguous"]
Kind = Literal["level", "floor", "ratio"]

POINTS = 360
"""Points of a series: six hours of windows of a minute."""
APART = 60.0
"""Seconds between two points."""
LEVEL = 256.0
"""What a series stands at before anything grows; MiB, say. No rate depends on it."""


@dataclass(frozen=True, slots=True)
class Series:
    """Values at equally spaced times (s); a missing one is NaN."""

    t: Floats
    v: Floats

    @property
    def apart(self) -> float:
        """Seconds between two points, usually."""
        return float(np.median(np.diff(self.t)))

    def until(self, share: float) -> Series:
        """The first `share` of it."""
        n = round(share * len(self.t))
        return Series(self.t[:n], self.v[:n])

    @property
    def length(self) -> float:
        """Seconds from its first point to one step beyond the last."""
        return len(self.t) * self.apart


def times(n: int) -> Floats:
    """The times of n points (s)."""
    return np.arange(n, dtype=np.float64) * APART


@dataclass(frozen=True, slots=True)
class Family:
    """Series of one truth; each seed draws the parameters anew, so each series is another case.

    `make` gives the values relative to the level before anything grows (about 1.0). `ambiguous` is what even
    an expert could not tell from one run. `kind`: `floor` where the lower edge counts (a garbage collected
    heap), `ratio` where effects multiply (a latency). `tolerance` is the least growth over the run, relative
    to the level, that matters; `growth` is the true one.
    """

    name: str
    truth: Truth
    make: Callable[[np.random.Generator, int], Floats]
    story: str
    kind: Kind = "level"
    tolerance: float = 0.03
    growth: float = 0.0

    @property
    def healthy(self) -> bool:
        """Nothing goes on growing, by construction."""
        return self.truth == "healthy"

    def series(self, stream: int, index: int, n: int = POINTS) -> Series:
        """The series of a seed: `stream` keeps the sets apart, `index` the cases of a family."""
        rng = np.random.default_rng([stream, zlib.crc32(self.name.encode()), index])
        return Series(times(n), np.asarray(LEVEL * self.make(rng, n), dtype=np.float64))
