"""The one place that knows how to ask the judge about a series; everything else only counts what it says."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

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

    `p` is the one-sided p-value that it does not grow. `eta`: seconds from the end until the limit that was asked
    about is reached, at the earliest and at the latest; None unless it fails. `said` is the judge's own answer.
    """

    verdict: Verdict
    p: float
    eta: tuple[float, float] | None
    said: Any = None


def judge(
    series: Series, kind: Kind, tolerance: float, reference: Series | None = None, limit: float | None = None
) -> Opinion:
    """Judge a series alone, or by its ratio to a reference watched beside it; `limit` is in its units."""
    if _SERIES is None:
        return _by_trend(series, kind, tolerance, reference, limit)
    beside = None if reference is None else reference.v
    said = _SERIES.judge_series(series.t, series.v, kind, tolerance, reference=beside, limit=limit)
    early, _, late = said.eta
    told = said.verdict == "fail" and early is not None
    return Opinion(said.verdict, said.p, (early, math.inf if late is None else late) if told else None, said)


def of_a_run(opinions: Sequence[Opinion]) -> list[Verdict]:
    """The verdicts of all series of one run: FAIL only where it is certain of one among so many (Holm 1979)."""
    if _SERIES is None:
        return _holm(opinions)
    together = _SERIES.judge_many({str(number): opinion.said for number, opinion in enumerate(opinions)})
    return [together[str(number)].verdict for number in range(len(opinions))]


def _series() -> Any:
    try:
        return importlib.import_module("soak.judge.stats.series")
    except ImportError:
        return None


_SERIES = _series()


def _by_trend(series: Series, kind: Kind, tolerance: float, reference: Series | None, limit: float | None) -> Opinion:
    """The rule of a series by its trend alone: certain and large enough fails, certainly smaller passes."""
    values = series.v if reference is None else series.v / reference.v
    fitted = _fit(series, np.log(values) if kind == "ratio" else values, kind)
    if fitted is None:
        return Opinion("inconclusive", 1.0, None)
    ends = (fitted.low, fitted.slope, fitted.high)
    if kind == "ratio":
        low, growth, high = (math.expm1(slope * fitted.span) for slope in ends)
    else:
        low, growth, high = (fitted.relative(slope) for slope in ends)
    verdict: Verdict = "pass" if high < tolerance else "inconclusive"
    if low > 0 and growth >= tolerance:
        verdict = "fail"
    room = 0.0 if limit is None else max(0.0, limit - fitted.level)
    eta = (room / fitted.high, room / fitted.low) if verdict == "fail" and limit is not None else None
    return Opinion(verdict, _p(fitted), eta)


def _holm(opinions: Sequence[Opinion]) -> list[Verdict]:
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


def _p(fitted: Trend) -> float:
    """The p-value that belongs to the interval: t with the degrees of freedom that the correlation leaves."""
    freedom = max(3.0, fitted.n_eff - 2)
    below = fitted.slope - fitted.low
    if below <= 0:
        return 0.0 if fitted.slope > 0 else 1.0
    return float(stats.t.sf(fitted.slope / below * stats.t.isf(ALPHA / 2, freedom), freedom))
