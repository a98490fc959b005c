"""Cost that grows with the data: the one root of latency and CPU that drift because each request works on more.

A drift that was found is looked at again, against size instead of time: the requests done since load began, or the
`size` that the target declares. CPU for each request is preferred to service time where it grows, since waiting for
the requests before is not in it. Under a constant rate size and time are the same line, and size is what a program
knows; under a pattern they part, and a drift that time explains better stays a drift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from soak.core import units
from soak.core.metrics import TREND_WINDOWS
from soak.core.verdict import Confidence, Finding
from soak.judge.advice import ADVICE, HEALTHY_COST
from soak.judge.causes_time import CPU, GATES, gate_of, limit_of
from soak.judge.combine import WITH_IT, freed
from soak.judge.side import Side
from soak.judge.sizes import Size, beside, size_of, windows_of
from soak.judge.stats.blocks import Blocks
from soak.judge.stats.exponent import Exponent, exponent
from soak.judge.stats.trend import Trend, trend

_DRIFTS = ("latency_drift", "cpu_drift")
_MORE_THAN_LOG = 0.25
"""An exponent whose low end is above this grows without end; log n is 0."""
_HEALTHY = 0.5
"""One whose high end is below this, and that may be 0, is taken for log n."""
_LITTLE = 0.5
"""Of the cost: log n adds less for ten times the data (a quarter from 10^4 to 10^5), n^0.2 more than half."""
_BETTER = 6.0
"""Of minus twice the log-likelihood: so much better must time explain a drift than size does."""
_FAIR_PART = 0.25
"""Of what service time grew: if CPU grew by so much, it is what grows, and the rest is waiting."""
_NEIGHBOURS = 2.0
"""Times: programs that share its caches and cores make a request's CPU time dearer by that at most."""
_FURTHER = 10


@dataclass(frozen=True, slots=True, eq=False)
class _Cost:
    """A drift, and how its cost grows with size. `by_time`: by how much better time explains it (below 0: worse)."""

    drift: Finding
    metric: str
    windows: Blocks
    fit: Exponent
    by_time: float

    @property
    def without_end(self) -> bool:
        """Whether size explains it, and it will not level off."""
        return self.by_time < _BETTER and self.fit.low > _MORE_THAN_LOG

    @property
    def by_size(self) -> bool:
        """Whether the rate changed on the way, and size explains it better than time does."""
        return self.by_time < -_BETTER

    def explains(self, other: _Cost) -> bool:
        """Whether the other one may have the same exponent."""
        return other.by_time < _BETTER and other.fit.low <= self.fit.high and self.fit.low <= other.fit.high

    @property
    def healthy(self) -> bool:
        """No more than logarithmic, and little more at ten times the data, in what all meet: the median, or CPU."""
        now, further = self.fit.best.at(self.fit.size), self.fit.best.at(_FURTHER * self.fit.size)
        like_log = self.fit.low <= 0 and self.fit.high < _HEALTHY and further - now < _LITTLE * now
        return like_log and self.drift.metric in ("latency.p50", "cpu.per_request")


def one_root(side: Side, findings: list[Finding]) -> list[Finding]:
    """The same findings, with drifts that size explains as `superlinear_cost`: one for each exponent."""
    size = size_of(side)
    if size is None:
        return [_unsized(side, f) if f.cause in _DRIFTS else f for f in findings]
    return freed(_sized(side, size, findings), lambda loose: _sized(side, size, loose))


def _sized(side: Side, size: Size, findings: list[Finding]) -> list[Finding]:
    """The same, before what followed from a drift that is well is told after all."""
    costs, others = [], []
    for finding in findings:
        cost = _cost(side, size, finding) if finding.cause in _DRIFTS else None
        if cost is None:
            others.append(finding)
        else:
            costs.append(cost)
    left = sorted((c for c in costs if c.without_end), key=_worst_first)
    rest = [c for c in costs if not c.without_end]
    found = []
    while left:
        lead, *more = left
        same = [c for c in (*more, *rest) if lead.explains(c)]
        found.append(_finding(side, size, [lead, *same]))
        left, rest = ([c for c in some if not lead.explains(c)] for some in (more, rest))
    found += [_still_a_drift(size, c) for c in rest]
    return found + others


def _unsized(side: Side, drift: Finding) -> Finding:
    """A drift that could not be held against size."""
    declared = side.recording.scenario.sides[side.name].size
    text = f"{declared}, which is to tell how much data there is, was not seen"
    return replace(drift, evidence=(*drift.evidence, text)) if declared is not None else drift


def _worst_first(cost: _Cost) -> tuple[bool, float]:
    v = cost.windows.v
    return cost.drift.severity != "fail", -float(v[-1] / max(v[0], 1e-9))


def _cost(side: Side, size: Size, drift: Finding) -> _Cost | None:
    """How the cost behind a drift grows with size; None when neither CPU nor the median grows by what matters."""
    metric, endpoint = "cpu.per_request", None
    if not _cpu_grows(side, drift):
        if drift.endpoint is None:
            return None
        metric, endpoint = "service.p50", drift.endpoint
        fitted = side.trend(metric, endpoint)
        if fitted is None or gate_of(side, "p50").severity(fitted) is None:
            return None
    windows = windows_of(side, metric, endpoint)
    grown = _trend(side, metric, endpoint)
    if windows is None or grown is None:
        return None
    if drift.severity == "warning":  # it has somebody else to blame, unless nobody else can do so much
        if metric != "cpu.per_request" or grown.last < _NEIGHBOURS * grown.first:
            return None
        drift = replace(drift, severity="fail")
    other = beside(side, metric, endpoint, windows.t)
    fit = exponent(size.at(windows.t), windows.v, other)
    if fit is None:
        return None
    begin = side.recording.load_start or 0.0
    by_time = exponent(np.maximum(windows.t - begin, 1e-3), windows.v, other)
    return _Cost(drift, metric, windows, fit, fit.score - by_time.score if by_time is not None else 0.0)


def _trend(side: Side, metric: str, endpoint: str | None) -> Trend | None:
    """The trend of what an exponent is fitted to."""
    windows = windows_of(side, metric, endpoint)
    return trend(windows.t, windows.v) if windows is not None else None


def _cpu_grows(side: Side, drift: Finding) -> bool:
    """Whether CPU for each request grows by what matters, and by so much that it is what the drift comes of.

    That is to more than neighbours could make of it, or by a fair part of what service time does. Waiting for the
    requests before multiplies what a request costs, so near saturation service time grows by far more.
    """
    cpu = _trend(side, "cpu.per_request", None)
    if cpu is None or CPU.severity(cpu) is None or (cpu.n < TREND_WINDOWS and cpu.low * cpu.span < CPU.bar(cpu)):
        return False  # few windows show only what is gross
    service = side.trend("service.p50", drift.endpoint) if drift.endpoint is not None else None
    return (
        service is None
        or cpu.last > _NEIGHBOURS * cpu.first
        or cpu.last - cpu.first > _FAIR_PART * (service.last - service.first)
    )


def _finding(side: Side, size: Size, costs: list[_Cost]) -> Finding:
    """One finding for all of them: the first is the worst, and where it is looked for."""
    cost = costs[0]
    fit, drift = cost.fit, cost.drift
    now, further = fit.best.at(fit.size), fit.best.at(_FURTHER * fit.size)
    ends = sorted((fit.least.at(_FURTHER * fit.size), fit.most.at(_FURTHER * fit.size)))
    between = f"{units.duration(ends[0])} to {units.duration(ends[1])}"
    title = (
        f"{_whose(cost)} grows as n^{fit.best.b:.2f} ({fit.low:.2f} to {fit.high:.2f}) of the {size.what}, "
        f"{_class(fit)}: {units.duration(now)} now, {units.duration(further)} at {_FURTHER} times that"
    )
    rate = size.rate
    at = f", which at this rate is in {units.duration(round((_FURTHER - 1) * fit.size / rate))}" if rate > 0 else ""
    evidence = [
        f"{len(cost.windows.v)} windows, {fit.n_eff:.0f} of them independent; {size.what} rose from "
        f"{size.at(cost.windows.t[:1])[0]:,.0f} to {fit.size:,.0f}",
        f"at {_FURTHER * fit.size:,.0f} it costs {between}{at}",
        *(c.drift.title for c in costs),
        *_tail(side, drift.endpoint),
        *(line for c in costs for line in c.drift.evidence if line.startswith(WITH_IT)),
    ]
    if cost.metric == "service.p50" and side.trend("cpu.per_request") is not None:
        evidence.append("CPU for each request did not grow with it: the time goes where its own process waits")
    if not size.declared:
        evidence.append(
            "size is counted from nought at the start of load; declare target.size if data was there before"
        )
    confidence: Confidence = "medium" if cost.metric == "cpu.per_request" else "low"
    if cost.by_size:
        confidence = "high"
        evidence.append("the rate changed on the way, and size explains the growth better than time does")
    early, eta, late, limit = _time_left(side, size, drift.endpoint, rate)
    return replace(
        drift,
        cause="superlinear_cost",
        title=title,
        rate=fit.best.b,
        rate_unit="exponent",
        low=fit.low,
        high=fit.high,
        eta_s=eta,
        eta_low_s=early,
        eta_high_s=late,
        eta_limit=limit,
        evidence=tuple(evidence),
        advice=ADVICE["superlinear_cost"],
        confidence=confidence,
        follows=(*drift.follows, *(c.drift for c in costs[1:])),
    )


def _still_a_drift(size: Size, cost: _Cost) -> Finding:
    """What does not fail by size: better explained by time, logarithmic, or not to be told."""
    fit, drift = cost.fit, cost.drift
    now, further = (units.duration(fit.best.at(x * fit.size)) for x in (1, _FURTHER))
    grows = (
        f"n^{fit.best.b:.2f} ({fit.low:.2f} to {fit.high:.2f}) of the {size.what}: {now} now, {further} at {_FURTHER} "
        "times that"
    )
    if cost.by_time >= _BETTER:
        text = f"the time that went by explains it better than the {size.what} do: the data is not what makes it grow"
    elif cost.healthy:
        return replace(
            drift,
            cause="superlinear_cost",
            severity="info",
            title=f"{_whose(cost)} grows no faster than log n, as {grows}",
            rate=fit.best.b,
            rate_unit="exponent",
            low=fit.low,
            high=fit.high,
            eta_s=None,
            eta_low_s=None,
            eta_high_s=None,
            eta_limit=None,
            evidence=(drift.title,),
            advice=HEALTHY_COST,
        )
    else:
        text = f"whether it grows with the data without end cannot be told: {_whose(cost)} grows as {grows}"
    return replace(drift, evidence=(*drift.evidence, text))


def _whose(cost: _Cost) -> str:
    of = f" of {cost.drift.endpoint}" if cost.drift.endpoint is not None else ""
    return "CPU for each request" if cost.metric == "cpu.per_request" else f"service time{of} (p50)"


def _class(fit: Exponent) -> str:
    known = fit.classes
    if not known:
        return f"nearest to {fit.nearest}"
    if len(known) == 1:
        return known[0]
    listed = f"{', '.join(known[:-1])} or {known[-1]}"
    return listed if set(known) == {"O(n)", "O(n log n)"} else f"{listed}: cannot tell which"


def _tail(side: Side, endpoint: str | None) -> list[str]:
    """What its p99 did meanwhile."""
    p99 = side.trend("latency.p99", endpoint) if endpoint is not None else None
    return [f"p99 went from {units.duration(p99.first)} to {units.duration(p99.last)}"] if p99 is not None else []


_Left = tuple[float | None, float | None, float | None, str | None]


def _time_left(side: Side, size: Size, endpoint: str | None, rate: float) -> _Left:
    """When the first stated limit of a percentile is reached (s: early, likely, late), along a curve of its own."""
    lefts = [_left_of(side, size, endpoint, q, rate) for q in GATES] if endpoint is not None and rate > 0 else []
    return min(lefts, key=lambda left: left[1] if left[1] is not None else math.inf, default=(None, None, None, None))


def _left_of(side: Side, size: Size, endpoint: str, quantile: str, rate: float) -> _Left:
    metric, limit = f"latency.{quantile}", limit_of(side, endpoint, quantile)
    windows = side.observed(metric, endpoint)
    if limit is None or windows is None:
        return None, None, None, None
    fit = exponent(size.at(windows.t), windows.v, beside(side, metric, endpoint, windows.t))
    if fit is None or fit.best.at(fit.size) >= limit or fit.low <= 0:
        return None, None, None, None
    reached = [c.size_at(limit) for c in (fit.most, fit.best, fit.least)]
    left = [max(0.0, (n - fit.size) / rate) if n is not None else None for n in reached]
    return left[0], left[1], left[2], f"the limit of {units.duration(limit)}"
