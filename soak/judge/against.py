"""The candidate against a reference: the ratio of any metric, and criteria that are limits of such a ratio.

A ratio fails only when its interval lies beyond the limit, and passes only when it lies within. No improvement of one
metric makes up for another one, and none is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from soak.core import units
from soak.core.criterion import Criterion
from soak.core.metrics import METRICS, ONCE, QUANTILES
from soak.core.records import Clock
from soak.core.verdict import CriterionResult, Result
from soak.judge.answers import ENOUGH
from soak.judge.criteria import endpoints_of, result_of, settled_after
from soak.judge.pairs import Pair, Paired
from soak.judge.side import Side
from soak.judge.stats import ratio as stats
from soak.judge.stats.ratio import MIN_PAIRS, Ratio

_LEAST_SHARE = 0.75
"""Of the soak that must be in pairs of windows: what became of the rest nobody knows."""
_NEITHER = (None, None)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a metric is on both sides (base units), their ratio, and why there is none if there is not."""

    metric: str
    endpoint: str | None
    values: tuple[float | None, float | None]
    """Candidate, reference."""
    ratio: Ratio | None
    missing: str = ""

    @property
    def candidate(self) -> float | None:
        """The candidate's value."""
        return self.values[0]

    @property
    def reference(self) -> float | None:
        """The reference's value."""
        return self.values[1]

    @property
    def against(self) -> str:
        """Both values in words: `12.3 ms against 10 ms`."""
        dimension = METRICS[self.metric].dimension
        shown = ["nothing" if x is None else units.show(x, dimension) for x in self.values]
        return f"{shown[0]} against {shown[1]}"


def measure(pair: Pair, metric: str, endpoint: str | None) -> Measured:
    """One metric of both sides over the soak phase, or as it is measured once."""
    room, _, quantile = metric.partition(".")
    if room in ("latency", "service"):
        return _percentile(pair, metric, endpoint, "latency" if room == "latency" else "service", quantile)
    if room == "errors":
        return _errors(pair, metric, endpoint)
    if room == "throughput":
        return _throughput(pair, metric)
    if metric in ONCE or room == "allocations":
        return _few(pair, metric)
    return _sampled(pair, metric)


def judge_ratio(criterion: Criterion, pair: Pair, unfit: str) -> list[tuple[CriterionResult, Measured | None]]:
    """One result for each endpoint, with what was measured; `unfit` says why the reference is no yardstick."""
    judged: list[tuple[CriterionResult, Measured | None]] = []
    for endpoint in endpoints_of(criterion, pair.candidate):
        if unfit:
            judged.append((_result(criterion, endpoint, "inconclusive", None, unfit), None))
            continue
        measured = measure(pair, criterion.metric, endpoint)
        judged.append((against_limit(criterion, measured, pair.length), measured))
    return judged


def against_limit(criterion: Criterion, measured: Measured, length: float | None) -> CriterionResult:
    """A ratio against its limit; `length` (s) is that of the soak, by which a longer one is reckoned."""
    found, endpoint = measured.ratio, measured.endpoint
    if found is None:
        if not measured.missing:  # nothing happened on either side
            return _result(criterion, endpoint, "pass", None, f"none on either side: {measured.against}")
        return _result(criterion, endpoint, "inconclusive", None, f"{measured.missing}: no data is no pass")
    limit = criterion.limit.value
    shown = f"{told(found)}, {measured.against}"
    if criterion.kind == "ratio_below":
        good, bad, word = found.high < limit, found.low >= limit, "not below"
    else:
        good, bad, word = found.low > limit, found.high <= limit, "not above"
    if bad:
        return _result(criterion, endpoint, "fail", found, f"{shown}: {word} the limit")
    if good and not measured.missing:
        return _result(criterion, endpoint, "pass", found, shown)
    why = measured.missing or f"the limit lies within the interval; {_more(found, limit, length)}"
    return _result(criterion, endpoint, "inconclusive", found, f"{shown}: {why}")


def unanswered(criterion: Criterion, reason: str) -> CriterionResult:
    """A criterion on a ratio that there is nothing to judge by."""
    return _result(criterion, criterion.endpoint, "inconclusive", None, reason)


def told(ratio: Ratio) -> str:
    """A ratio with its interval, in words."""
    value, low, high = (units.percent(x) if math.isfinite(x) else "more" for x in (ratio.value, ratio.low, ratio.high))
    return f"{value} ({low} to {high})" if ratio.low < ratio.high else value


def _result(
    criterion: Criterion, endpoint: str | None, result: Result, found: Ratio | None, reason: str
) -> CriterionResult:
    value, low, high = (found.value, found.low, found.high) if found is not None else (None, None, None)
    limit = criterion.limit.value
    return result_of(criterion, endpoint, result, value, low, high, limit, reason)


def _percentile(pair: Pair, metric: str, endpoint: str | None, clock: Clock, quantile: str) -> Measured:
    q, alpha = QUANTILES[quantile], pair.candidate.alpha
    whole = [side.answers.judged(endpoint, clock, q) for side in pair.sides]
    values = _two(h.percentile(q) if h.total else None for h in whole)
    for side, histogram in zip(pair.sides, whole, strict=True):
        if not histogram.total:
            return Measured(metric, endpoint, values, None, f"no request of the {side.name} was answered")
    paired = pair.percentile(endpoint, clock, quantile)
    found = stats.of_windows(paired.t, paired.candidate, paired.reference, alpha) if paired is not None else None
    if paired is None or found is None:
        total = min(h.total for h in whole)
        missing = (
            f"{total:,} requests are too few for a {quantile}, which needs {ENOUGH[quantile]:,} in each of "
            f"{MIN_PAIRS} windows of both sides"
        )
        return Measured(metric, endpoint, values, None, missing)
    given_up = [side.answers.given_up(endpoint, clock) for side in pair.sides]
    # given up, a request would have taken longer: nobody knows by how much
    cut = [bool(np.any(v >= t)) for v, t in zip((paired.candidate, paired.reference), given_up, strict=True)]
    found = stats.censored(found, *cut)
    return Measured(metric, endpoint, values, found, _gaps(pair, paired))


def _errors(pair: Pair, metric: str, endpoint: str | None) -> Measured:
    (bad, of), (usual, of_usual) = (pair.failures(side, endpoint) for side in pair.sides)
    if not of or not of_usual:
        name = pair.reference.name if of else pair.candidate.name
        return Measured(metric, endpoint, _NEITHER, None, f"no request was made to the {name}")
    found = stats.of_counts(bad, of, usual, of_usual, pair.candidate.alpha)
    return Measured(metric, endpoint, (sum(bad) / of, sum(usual) / of_usual), found, _untrusted(pair))


def _throughput(pair: Pair, metric: str) -> Measured:
    paired = pair.counted(lambda y: y.done)
    if not len(paired.t):
        return Measured(metric, None, _NEITHER, None, "no arrival was scheduled")
    seconds = pair.length * paired.share / len(paired.t)
    values = _two(float(np.mean(v)) / seconds for v in (paired.candidate, paired.reference))
    # half a request more: a block in which nothing was done has a ratio too
    found = stats.of_windows(paired.t, paired.candidate + 0.5, paired.reference + 0.5, pair.candidate.alpha)
    missing = _gaps(pair, paired) if found is not None else _too_few(metric)
    return Measured(metric, None, values, found, missing)


def _few(pair: Pair, metric: str) -> Measured:
    """What is measured a few times, or once: two means, and how far single values lie apart."""
    found = [side.once(metric) if metric in ONCE else side.soak_series(metric) for side in pair.sides]
    values = _two(float(np.mean(s.v)) if s is not None else None for s in found)
    if found[0] is None or found[1] is None:
        return Measured(metric, None, values, None, _unseen(pair, metric, found[0] is None))
    if min(float(np.min(s.v)) for s in found if s is not None) <= 0:
        return Measured(metric, None, values, None, _zero(metric))
    return Measured(metric, None, values, stats.of_ranges(found[0].v, found[1].v))


def _sampled(pair: Pair, metric: str) -> Measured:
    paired = pair.series(metric)
    if paired is None:
        return Measured(metric, None, _NEITHER, None, _unseen(pair, metric, _nothing(pair.candidate, metric)))
    if not len(paired.t):
        return Measured(metric, None, _NEITHER, None, _too_few(metric))
    values = _two(float(np.mean(v)) for v in (paired.candidate, paired.reference))
    if min(float(np.min(paired.candidate)), float(np.min(paired.reference))) <= 0:
        return Measured(metric, None, values, None, _zero(metric))
    found = stats.of_windows(paired.t, paired.candidate, paired.reference, pair.candidate.alpha)
    missing = _gaps(pair, paired) if found is not None else _too_few(metric)
    return Measured(metric, None, values, found, missing)


def _two(values: Iterable[float | None]) -> tuple[float | None, float | None]:
    candidate, reference = values
    return candidate, reference


def _nothing(side: Side, metric: str) -> bool:
    return side.soak_series(metric) is None


def _unseen(pair: Pair, metric: str, of_candidate: bool) -> str:
    name = pair.candidate.name if of_candidate else pair.reference.name
    return f"{metric} of the {name} was not seen"


def _zero(metric: str) -> str:
    return f"{metric} is zero at times, and a ratio to zero says nothing"


def _too_few(metric: str) -> str:
    return f"there are fewer than {MIN_PAIRS} windows of {metric} on both sides"


def _gaps(pair: Pair, paired: Paired) -> str:
    """Why a pass would claim too much."""
    if paired.share < _LEAST_SHARE:
        return f"only {units.percent(paired.share)} of the soak was measured on both sides"
    return _untrusted(pair)


def _untrusted(pair: Pair) -> str:
    if pair.trusted < _LEAST_SHARE:
        return f"only {units.percent(pair.trusted)} of the soak can be trusted on both sides"
    return ""


def _more(found: Ratio, limit: float, length: float | None) -> str:
    """What would settle it: an interval shrinks with the square root of the length."""
    if length is None:
        return "more runs would settle it"
    ends = [x for x in (found.low, found.high) if 0 < x < math.inf]
    if len(ends) < 2 or not 0 < found.value < math.inf:
        return "a longer run would settle it"
    half, gap = (math.log(ends[1]) - math.log(ends[0])) / 2, abs(math.log(limit / found.value))
    return settled_after(length * ((half / gap) ** 2 - 1) if gap > 0 else math.inf)
