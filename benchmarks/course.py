"""The course that a program's memory takes over a run, as soak's own judge sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soak.judge.stats.blocks import floor_blocks
from soak.judge.stats.trend import Trend, trend

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Course:
    """Medians of the first and of the last tenth (MiB), and the trend in MiB/s; None where there is too little."""

    begin: float
    end: float
    fitted: Trend | None

    @property
    def slope(self) -> str:
        """The trend by the hour with its interval, in words; empty where there is none."""
        if self.fitted is None:
            return ""
        hourly, low, high = (s * 3600 for s in (self.fitted.slope, self.fitted.low, self.fitted.high))
        return f"; {hourly:+.2f} MiB/h ({low:+.2f} to {high:+.2f})"


def course(t: Floats, mib: Floats) -> Course:
    """Of what was held at times `t` (s, ascending), once it has settled."""
    tenth = max(1, len(mib) // 10)
    blocks = floor_blocks(t, mib, float(t[0]), float(t[-1]))
    return Course(float(np.median(mib[:tenth])), float(np.median(mib[-tenth:])), trend(blocks.t, blocks.v))
