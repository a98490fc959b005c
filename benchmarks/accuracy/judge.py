"""The one place that knows how to ask the judge about a series; everything else only counts what it says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from benchmarks.accuracy.family import Floats, Kind, Series
from soak.judge.stats.blocks import floor_blocks, level_blocks
from soak.judge.stats.trend import Trend, trend

Verdict = Literal["pass", "fail", "inconclusive"]
ALPHA = 0.05
"""Two-sided: a healthy series may fail at half of it."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the judge says of a series.

    `growth` over the run is relative to the level, with its interval; `p` is the one-sided p-value that it
    is not more than nothing. `level` (units) is where the fitted line ends, `slope` is in units a second.
    """

    verdict: Verdict
    growth: float
    low: float
    high: float
    p: float
    level: float
    slope: tuple[float, float, float]

    def eta(self, limit: float) -> tuple[float, float] | None:
        """Seconds from the end until `limit` is reached, at the steepest and at the least slope; None unless sick."""
        if self.verdict != "fail":
            return None
        low, _, high = self.slope
        room = max(0.0, limit - self.level)
        return room / high, room / low if low > 0 else math.inf


UNKNOWN = Opinion("inconclusive", math.nan, math.nan, math.nan, 1.0, math.nan, (math.nan, math.nan, math.nan))


def judge(series: Series, kind: Kind, tolerance: float, reference: Series | None = None) -> Opinion:
    """Judge a series alone, or by its ratio to a reference watched beside it."""
    values = series.v if reference is None else series.v / reference.v
    fitted = _fit(series, np.log(values) if kind == "ratio" else values, kind)
    if fitted is None:
        return UNKNOWN
    ends = (fitted.low, fitted.slope, fitted.high)
    if kind == "ratio":
        low, growth, high = (math.expm1(slope * fitted.span) for slope in ends)
    else:
        low, growth, high = (fitted.relative(slope) for slope in ends)
    return Opinion(
        verdict=_verdict(low, growth, high, tolerance),
        growth=growth,
        low=low,
        high=high,
        p=_p(fitted),
        level=math.exp(fitted.level) if kind == "ratio" else fitted.level,
        slope=ends,
    )


def of_a_run(opinions: Sequence[Opinion]) -> list[Verdict]:
    """The verdicts of all series of one run: FAIL only where it is certain of one among so many (Holm 1979)."""
    verdicts = [opinion.verdict for opinion in opinions]
    certain = True
    for rank, i in enumerate(sorted(range(len(opinions)), key=lambda i: opinions[i].p)):
        certain = certain and opinions[i].p <= ALPHA / 2 / (len(opinions) - rank)
        if verdicts[i] == "fail" and not certain:
            verdicts[i] = "inconclusive"
    return verdicts


def _fit(series: Series, values: Floats, kind: Kind) -> Trend | None:
    blocks = (floor_blocks if kind == "floor" else level_blocks)(
        series.t, values, float(series.t[0]), float(series.t[-1]) + series.apart
    )
    return trend(blocks.t, blocks.v, ALPHA)


def _verdict(low: float, growth: float, high: float, tolerance: float) -> Verdict:
    if low > 0 and growth >= tolerance:
        return "fail"
    return "pass" if high < tolerance else "inconclusive"


def _p(fitted: Trend) -> float:
    """The p-value that belongs to the interval: t with the degrees of freedom that the correlation leaves."""
    freedom = max(3.0, fitted.n_eff - 2)
    below = fitted.slope - fitted.low
    if below <= 0:
        return 0.0 if fitted.slope > 0 else 1.0
    return float(stats.t.sf(fitted.slope / below * stats.t.isf(ALPHA / 2, freedom), freedom))
