"""Criteria: each limit against what was measured, with its interval and what would settle a doubt."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from soak.core import units
from soak.core.criterion import HEALTHY, Criterion
from soak.core.metrics import ONCE, QUANTILES
from soak.core.records import TASK, Clock
from soak.core.verdict import CriterionResult, Result
from soak.judge.answers import ENOUGH
from soak.judge.neighbours import disturbances
from soak.judge.side import Side
from soak.judge.stats.blocks import MIN_BLOCKS, Floats
from soak.judge.stats.proportion import percentile_interval, wilson
from soak.judge.stats.tails import normal_quantile
from soak.judge.stats.trend import Trend

UNITS = {"time": "s", "bytes": "bytes", "ratio": "ratio", "rate": "1/s", "count": "count"}
_MIN_SAMPLES = 5
_SLACK_S = 1.0  # a soak that is a moment longer than its windows needs no window more
_MOST_EXTRA_S = 14 * 86400.0


_CLOCKS: dict[str, Clock] = {"latency": "latency", "service": "service"}


def judge_criterion(criterion: Criterion, side: Side) -> list[CriterionResult]:
    """One result, or one for each endpoint when the criterion names none."""
    return [_judge(criterion, side, endpoint) for endpoint in endpoints_of(criterion, side)]


def misses_growth(side: Side, metric: str, endpoint: str | None = None) -> bool:
    """Whether growth misses a limit that the scenario states for it: then so much of it matters, however little.

    Limits on any bytes of memory are limits on memory.
    """
    if side.name != "candidate":
        return False
    memory = metric.startswith("memory.")
    stated = [
        c
        for c in side.recording.scenario.criteria
        if c.kind == "growth_below"
        and (c.metric.startswith("memory.") and c.spec.dimension == "bytes" if memory else c.metric == metric)
    ]
    return any(
        _judge(c, side, of).result == "fail" for c in stated for of in endpoints_of(c, side) if of in (None, endpoint)
    )


def endpoints_of(criterion: Criterion, side: Side) -> list[str | None]:
    """What a criterion is judged on: its endpoint, every one if it names none, or all together."""
    if not criterion.spec.per_endpoint or criterion.endpoint is not None:
        return [criterion.endpoint]
    endpoints = side.asked
    if criterion.spec.room != "errors":  # what raised has no latency but that of its requests
        endpoints = [e for e in endpoints if e != TASK]
    if criterion.spec.room != "service":  # a journey has no send of its own
        endpoints = endpoints + side.data.journeys
    if len(endpoints) < 2:
        return [endpoints[0] if len(endpoints) == 1 else None]
    return list(endpoints)


def _judge(criterion: Criterion, side: Side, endpoint: str | None) -> CriterionResult:
    if criterion.kind == "growth_below":
        return _growth(criterion, side, endpoint)
    if criterion.over is not None:
        return _windowed(criterion, side, endpoint, criterion.over)
    value, low, high, missing = _whole(criterion, side, endpoint)
    return _against_limit(criterion, endpoint, value, low, high, missing)


def _whole(criterion: Criterion, side: Side, endpoint: str | None) -> tuple[float, float, float, str]:
    """Value and interval over the whole soak, and why it is missing if it is."""
    room, _, quantile = criterion.metric.partition(".")
    if room in ("latency", "service"):
        q, clock = QUANTILES[quantile], _CLOCKS[room]
        histogram = side.answers.judged(endpoint, clock, q)
        if not histogram.total:
            return math.nan, math.nan, math.nan, "no request was answered"
        low, high = percentile_interval(histogram, q, 1 - side.alpha)
        value = histogram.percentile(q)
        # given up, it would have taken longer: nobody knows by how much
        return value, low, math.inf if value >= side.answers.given_up(endpoint, clock) else high, ""
    if room == "errors":
        bad, total = side.answers.failures(endpoint)
        if not total:
            return math.nan, math.nan, math.nan, "no request was made"
        low, high = wilson(bad, total, 1 - side.alpha)
        return bad / total, low, high, ""
    if criterion.metric in ONCE:
        found = side.once(criterion.metric)
        if found is None:
            return math.nan, math.nan, math.nan, f"{criterion.metric} was not measured"
        return float(np.mean(found.v)), float(np.min(found.v)), float(np.max(found.v)), ""
    found = side.soak_series(criterion.metric)
    if room == "allocations" and found is not None:  # each is a window of its own, of hundreds of requests
        return float(np.mean(found.v)), float(np.min(found.v)), float(np.max(found.v)), ""
    if found is None or len(found) < _MIN_SAMPLES:
        return math.nan, math.nan, math.nan, f"{criterion.metric} was not seen"
    return (*_summary(found.v, criterion, side.alpha), "")


def _summary(v: Floats, criterion: Criterion, alpha: float) -> tuple[float, float, float]:
    """A level by its mean and interval; a floor or peak by the worst that was seen."""
    if criterion.spec.shape in ("level", "counter"):
        mean = float(np.mean(v))
        half = normal_quantile(1 - alpha / 2) * float(np.std(v)) / math.sqrt(max(4.0, _independent(v)))
        return mean, mean - half, mean + half
    worst = float(np.max(v) if criterion.kind == "below" else np.min(v))
    return worst, worst, worst


def _independent(v: Floats) -> float:
    """How many independent samples a series is worth, by its lag-one correlation."""
    if len(v) < 3 or float(np.std(v)) == 0:
        return float(len(v))
    r = float(np.corrcoef(v[:-1], v[1:])[0, 1])
    return len(v) * (1 - max(0.0, r)) / (1 + max(0.0, r))


def _windowed(criterion: Criterion, side: Side, endpoint: str | None, over: float) -> CriterionResult:
    """Every window of `over` seconds for itself; the worst one is the answer.

    The last one ends with the soak, and may overlap the one before: no stretch of it goes unjudged.
    """
    starts = [side.start + i * over for i in range(int(side.length / over))]
    if not starts or side.end - (starts[-1] + over) > _SLACK_S:
        starts.append(max(side.start, side.end - over))
    count, results = len(starts), []
    for start in starts:
        part = replace(side, start=start, end=min(start + over, side.end))
        results.append(_against_limit(criterion, endpoint, *_whole(criterion, part, endpoint)))
    order: dict[Result, int] = {"fail": 0, "inconclusive": 1, "pass": 2, "invalid": 0}
    sign = 1 if criterion.kind == "below" else -1
    worst = min(results, key=lambda r: (order[r.result], -sign * (r.value if r.value is not None else 0.0)))
    failed = sum(r.result == "fail" for r in results)
    reason = f"{failed} of {count} windows miss the limit; the worst: {worst.reason}" if failed else worst.reason
    result = worst.result
    if result == "pass" and side.length < over - _SLACK_S:
        result = "inconclusive"
        reason += f", but no window of {units.duration(over)} fits into {units.duration(round(side.length))} of soak"
    return result_of(criterion, endpoint, result, worst.value, worst.low, worst.high, worst.limit, reason)


def _against_limit(
    criterion: Criterion, endpoint: str | None, value: float, low: float, high: float, missing: str
) -> CriterionResult:
    limit, dimension = criterion.limit.value, criterion.spec.dimension
    if missing:
        return result_of(criterion, endpoint, "inconclusive", None, None, None, limit, f"{missing}: no data is no pass")
    shown = f"{units.show(value, dimension)}"
    span = f" ({units.show(low, dimension)} to {units.show(high, dimension)})" if low < high < math.inf else ""
    if criterion.kind == "below":
        good, bad = high < limit, low >= limit
    else:
        good, bad = low > limit, high <= limit
    if good:
        return result_of(criterion, endpoint, "pass", value, low, high, limit, f"{shown}{span}")
    if bad:
        word = "not below" if criterion.kind == "below" else "not above"
        return result_of(criterion, endpoint, "fail", value, low, high, limit, f"{shown}{span} is {word} the limit")
    if math.isinf(high):
        reason = (
            f"{shown} or more: too few requests bound a {criterion.metric.partition('.')[2]}, or they were given up at "
            "the timeout before they were answered"
        )
    else:
        reason = f"{shown}{span}: the limit lies within the interval"
    return result_of(criterion, endpoint, "inconclusive", value, low, high, limit, reason)


def _growth(criterion: Criterion, side: Side, endpoint: str | None) -> CriterionResult:
    """Growth over the soak against its limit: beyond noise AND as large as the limit is a failure."""
    quantity = criterion.limit
    fitted = side.trend(criterion.metric, endpoint)
    limit = quantity.value
    if fitted is None:
        reason = _too_little(criterion, side, endpoint)
        return result_of(criterion, endpoint, "inconclusive", None, None, None, limit, reason)
    factor = _factor(criterion, fitted)
    if not math.isfinite(factor):
        if fitted.slope == 0:
            return result_of(criterion, endpoint, "pass", 0.0, 0.0, 0.0, limit, "zero all the time")
        reason = "its level is zero, so a growth in percent says nothing; use an absolute limit"
        return result_of(criterion, endpoint, "inconclusive", None, None, None, limit, reason)
    value, low, high = (s * factor for s in (fitted.slope, fitted.low, fitted.high))
    show = _shower(criterion)
    span = "an hour" if quantity.per is not None else "over the soak"
    shown = f"{show(value)} ({show(low)} to {show(high)}) {span}"
    if high < limit:
        reason = f"{shown}; more than {show(high)} would have been seen" if low < high else "it never moved"
        return result_of(criterion, endpoint, "pass", value, low, high, limit, reason)
    if value >= limit and (low > 0 or fitted.step_low * factor / fitted.span >= limit):
        if fitted.shape == "decelerating" and low < limit:
            reason = f"{shown}, but it is levelling off; {_more(criterion, side, value, low, high)}"
            return result_of(criterion, endpoint, "inconclusive", value, low, high, limit, reason)
        if criterion.spec.dimension == "time" and (others := disturbances(side)):
            reason = f"{shown}, but meanwhile {others[0].text}; run again on a quiet host"
            return result_of(criterion, endpoint, "inconclusive", value, low, high, limit, reason)
        if (drift := abs(fitted.slope) * fitted.span) < _floor(criterion, side):
            floor = units.duration(side.instrument_floor)
            reason = f"{shown}, but {units.duration(drift)} is less than what the generator itself is late by ({floor})"
            return result_of(criterion, endpoint, "inconclusive", value, low, high, limit, reason)
        if fitted.shape == "step" and (small := _once(criterion, side, fitted, factor)):
            return result_of(criterion, endpoint, "inconclusive", value, low, high, limit, f"{shown}, but {small}")
        kind = f", in one step at {units.duration(fitted.step_at or 0)}" if fitted.shape == "step" else ""
        return result_of(criterion, endpoint, "fail", value, low, high, limit, f"{shown}{kind}")
    reason = f"{shown}: noise hides whether that is below the limit; {_more(criterion, side, value, low, high)}"
    return result_of(criterion, endpoint, "inconclusive", value, low, high, limit, reason)


def _once(criterion: Criterion, side: Side, fitted: Trend, factor: float) -> str:
    """Why a single step shows no rate: a healthy process makes one of that size too. Empty if it is larger."""
    limit, dimension = criterion.limit, criterion.spec.dimension
    own = HEALTHY.get(dimension, 0.0)
    if limit.per is None or limit.value <= 0 or fitted.step_size >= own:
        return ""
    step, at = units.show(fitted.step_size, dimension), units.duration(fitted.step_at or 0)
    longer = units.duration(max(60.0, round(own * factor / limit.value - side.length, -1)))
    return f"it is one step of {step} at {at}, as a healthy process makes too; run {longer} more to see another"


def _floor(criterion: Criterion, side: Side) -> float:
    """The least drift of a latency (s) that can be the target's: none that the instrument could have made.

    Service time begins with the send: the lateness of that is not in it.
    """
    return side.instrument_floor / 4 if criterion.spec.room == "latency" else 0.0


def _factor(criterion: Criterion, fitted: Trend) -> float:
    """What turns a slope in units a second into what the limit is written in.

    A percentage is relative to the level, but for metrics that are ratios themselves: there it is points.
    """
    quantity = criterion.limit
    factor = quantity.per if quantity.per is not None else fitted.span
    if quantity.dimension == "ratio" and criterion.spec.dimension != "ratio":
        return factor * fitted.relative(1.0) / fitted.span
    return factor


def _shower(criterion: Criterion) -> Callable[[float], str]:
    """Shows a growth in what its limit is written in, by the hour if it is one by time."""
    quantity = criterion.limit
    scale = 3600 / quantity.per if quantity.per is not None else 1.0
    return lambda value: units.show(value * scale, quantity.dimension)


def _more(criterion: Criterion, side: Side, value: float, low: float, high: float) -> str:
    """How much longer a run would settle it: a slope's interval shrinks with the length to the power 3/2."""
    limit = criterion.limit
    gap, half = abs(limit.value - value), (high - low) / 2
    power = 1.5 if limit.per is not None else 0.5
    if gap <= 0 or half <= 0:
        return "a longer run would settle it"
    return settled_after(side.length * ((half / gap) ** (1 / power) - 1))


def settled_after(extra: float) -> str:
    """What so much more of a soak (s) would do for a doubt; of a length that is not known nothing is promised."""
    if extra > _MOST_EXTRA_S:
        return "it is too close to the limit for any run to settle"
    if extra <= 0:
        return "a longer run would settle it"
    return f"run {units.duration(max(60.0, round(extra, -1)))} more to settle it"


def _too_little(criterion: Criterion, side: Side, endpoint: str | None) -> str:
    room, _, quantile = criterion.metric.partition(".")
    if room in ("latency", "service"):
        total = side.answers.judged(endpoint, _CLOCKS[room], QUANTILES[quantile]).total
        if not total:
            return "no request was answered: no data is no pass"
        wanted = ENOUGH[quantile] * MIN_BLOCKS
        longer = units.duration(max(60.0, side.length * (wanted / total - 1)))
        return (
            f"{total:,} requests are too few for a trend of a {quantile}, which needs {ENOUGH[quantile]:,} in each of "
            f"{MIN_BLOCKS} windows; run {longer} more, or raise the rate"
        )
    if side.soak_series(criterion.metric) is None:
        return f"{criterion.metric} was not seen: no data is no pass"
    if room == "allocations":
        return f"{MIN_BLOCKS} windows are needed for a trend; set probe.allocations.every"
    return "too few samples for a trend; run longer"


def result_of(
    criterion: Criterion,
    endpoint: str | None,
    result: Result,
    value: float | None,
    low: float | None,
    high: float | None,
    limit: float,
    reason: str,
) -> CriterionResult:
    """The result of a criterion, in base units of its limit."""
    return CriterionResult(
        metric=criterion.metric,
        endpoint=endpoint,
        result=result,
        value=value,
        low=low,
        high=high,
        limit=limit,
        unit=UNITS[criterion.limit.dimension],
        reason=reason,
        text=criterion.text() if criterion.endpoint or not endpoint else f"{criterion.text()} ({endpoint})",
    )
