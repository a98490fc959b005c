"""The one place that knows how to ask the judge about a series; everything else only counts what it says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.accuracy.family import Kind, Series
from soak.core.verdict import Result, SeriesVerdict
from soak.judge.stats.series import judge_many, judge_series


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the judge says of a series.

    `p` is the one-sided p-value that it does not grow. `eta`: seconds from the end until the limit that was asked
    about is reached, at the earliest and at the latest; None unless it fails. `said` is the judge's own answer.
    """

    verdict: Result
    p: float
    eta: tuple[float, float] | None
    said: SeriesVerdict


def judge(
    series: Series, kind: Kind, tolerance: float, reference: Series | None = None, limit: float | None = None
) -> Opinion:
    """Judge a series alone, or by its ratio to a reference watched beside it; `limit` is in its units."""
    beside = None if reference is None else reference.v
    said = judge_series(series.t, series.v, kind, tolerance, reference=beside, limit=limit)
    early, _, late = said.eta
    told = said.verdict == "fail" and early is not None
    eta = (early or 0.0, math.inf if late is None else late) if told else None
    return Opinion(said.verdict, said.p, eta, said)


def of_a_run(opinions: Sequence[Opinion]) -> list[Result]:
    """The verdicts of all series of one run: what fails must be certain of one among so many."""
    together = judge_many({str(number): opinion.said for number, opinion in enumerate(opinions)})
    return [together[str(number)].verdict for number in range(len(opinions))]
