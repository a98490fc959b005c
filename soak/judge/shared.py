"""What both sides do at the same time: a drift that the host has, and growth that only the difference shows.

Two sides under the same arrivals on one host share what goes wrong with that host, and what goes on in both programs:
caches that fill, heaps that settle. The difference of the two, window by window, is without it.
"""

from __future__ import annotations

from dataclasses import replace

from soak.core import units
from soak.core.verdict import Finding
from soak.judge.causes_cost import one_root
from soak.judge.causes_memory import MEMORY, memory_metric, memory_room
from soak.judge.causes_time import CPU, gate_of
from soak.judge.combine import freed
from soak.judge.growing import growth
from soak.judge.matters import Gate
from soak.judge.pairs import Pair, Paired
from soak.judge.stats.trend import Trend, late_slope, trend

_IN_TIME = ("latency_drift", "latency_step", "superlinear_cost", "cpu_drift")
_JUST_SO = 0.5
"""Of the candidate's growth: the reference must show so much of it, for it to be the same."""
_AT_ONCE = 0.05
"""Of the soak: two steps so near to each other are one."""
_STILL = 0.25


def with_reference(pair: Pair, findings: list[Finding]) -> list[Finding]:
    """The candidate's findings, with what the reference says of them, and growth that shows only beside it."""
    seen = freed(
        [_seen(pair, f) for f in findings], lambda loose: [_seen(pair, f) for f in one_root(pair.candidate, loose)]
    )
    grown = _grown(pair, seen)
    if grown is None:
        return seen
    return [*(f for f in seen if f.cause != "cache_fill"), grown]


def _seen(pair: Pair, finding: Finding) -> Finding:
    if finding.severity == "info":
        return finding
    if finding.cause in _IN_TIME and finding.severity == "fail" and _host_does_it(pair, finding):
        text = (
            "the reference shows just the same in the same windows: it comes from the host, or from what both do alike"
        )
        return replace(finding, severity="info", evidence=(*finding.evidence, text))
    if finding.metric.startswith("memory.") and finding.rate is not None:
        theirs = pair.reference.trend(finding.metric)
        if theirs is not None and MEMORY.severity(theirs) == "fail":
            rate = units.show_growth(theirs.slope, "bytes")
            text = f"the reference grows too, by {rate}: it is not new, and no less a leak"
            return replace(finding, evidence=(*finding.evidence, text))
    return finding


def _host_does_it(pair: Pair, finding: Finding) -> bool:
    """Whether the reference drifts as the candidate does, and what is left between the two is nothing that matters."""
    ours, theirs = (side.trend(finding.metric, finding.endpoint) for side in pair.sides)
    between = _between(_paired(pair, finding.metric, finding.endpoint))
    if ours is None or theirs is None or between is None:
        return False
    room, _, quantile = finding.metric.partition(".")
    bar = (CPU if room == "cpu" else gate_of(pair.candidate, quantile)).bar(ours)
    if finding.cause == "latency_step":
        same = theirs.step_at is not None and theirs.step_size >= _JUST_SO * ours.step_size
        at = abs((theirs.step_at or 0.0) - (ours.step_at or 0.0)) <= _AT_ONCE * pair.length
        return same and at and between.step_size < bar and not _certain(between, bar)
    return theirs.low > 0 and theirs.growth >= _JUST_SO * ours.growth and not _certain(between, bar)


def _grown(pair: Pair, findings: list[Finding]) -> Finding | None:
    """Memory that grows beside the reference, where the candidate alone does not settle it.

    It levels off, or its noise hides what matters; what both have of that is not in the difference.
    """
    side, metric = pair.candidate, memory_metric(pair.candidate)
    fitted = side.trend(metric)
    if fitted is None or any(f.severity != "info" and f.metric.startswith("memory.") for f in findings):
        return None
    bar = MEMORY.bar(fitted)
    if fitted.high * fitted.span < bar and fitted.shape != "decelerating":
        return None  # alone it is settled: nothing that matters grows
    paired = _paired(pair, metric, None)
    between = _between(paired)
    if paired is None or between is None or between.shape != "linear" or not _certain(between, bar):
        return None
    if late_slope(paired.t, paired.candidate - paired.reference, 1 / 3) < _STILL * between.slope:
        return None
    evidence = [
        f"it began {units.size(between.first)} above the reference, and ended {units.size(between.last)} above it",
        "alone it would not be settled: what both sides do at the same time is not in the difference",
    ]
    room, limit = memory_room(side)
    words = "memory grows beside the reference's"
    return replace(
        growth("memory_growth", metric, side, between, words, "bytes", evidence, room, limit), confidence="low"
    )


def _certain(between: Trend, bar: float) -> bool:
    """Whether a difference grows by what matters: as `Gate` asks it of one side, with the bar of the candidate."""
    return Gate(0.0, bar).severity(between) == "fail"


def _paired(pair: Pair, metric: str, endpoint: str | None) -> Paired | None:
    room, _, quantile = metric.partition(".")
    return pair.percentile(endpoint, "latency", quantile) if room == "latency" else pair.series(metric)


def _between(paired: Paired | None) -> Trend | None:
    return trend(paired.t, paired.candidate - paired.reference) if paired is not None and len(paired.t) else None
