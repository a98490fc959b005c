"""Whole runs against whole runs: each is one number a metric, and what counts is how much runs differ.

No statistic from within one run sees that a second run of the same program would have come out otherwise. So the noise
is that between runs: of several references their own spread, of pairs of runs that of their ratios, and of single runs
what was measured beforehand or is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from scipy import stats as scipy_stats

from soak.core.metrics import METRICS, ONCE, QUANTILES, WANTED
from soak.core.records import Recording
from soak.core.summary import Failures, Level, Noise, Spread, Summary, load_digest
from soak.core.verdict import SideVerdict
from soak.judge.against import Measured
from soak.judge.side import Side
from soak.judge.stats import ratio as stats

SPREAD_RUNS = 3
"""From so many references on their own spread is the noise."""
_MIN_SAMPLES = 5
_POWER = 0.9


def summarise(recording: Recording, unfit: str) -> Summary:
    """The candidate of a run in a few numbers; `unfit` says why nothing can be held against it."""
    start, end = recording.soak_span or (recording.duration, recording.duration)
    side = Side("candidate", recording, start, end)
    endpoints = [*side.data.endpoints, *side.data.journeys]
    levels = [
        Level(f"{room}.{quantile}", endpoint, histogram.percentile(q))
        for room, clock in (("latency", "latency"), ("service", "service"))
        for endpoint in endpoints
        for quantile, q in QUANTILES.items()
        if (histogram := side.judged(endpoint, clock, q)).total >= WANTED[quantile]  # type: ignore[arg-type]
    ]
    for metric in METRICS:
        value = _level(side, metric)
        if value is not None:
            levels.append(Level(metric, None, value))
    failures = [Failures(e, *side.failures(e)) for e in (None, *endpoints)] if endpoints else []
    load, length = load_digest(recording.scenario), end - start
    return Summary(recording.run, load, recording.started, length, tuple(levels), tuple(failures), unfit)


def unfit(verdict: SideVerdict, hard: Collection[str]) -> str:
    """Why a side of a run can neither be held against another one nor be held to it; empty if it can."""
    dead = next((f.title for f in verdict.findings if f.cause in hard), None)
    return dead if dead is not None else next(iter(verdict.validity.reasons), "")


def against_runs(metric: str, endpoint: str | None, ours: Summary, theirs: Sequence[Summary], noise: Noise) -> Measured:
    """One metric of a run against earlier runs of the reference."""
    if metric == "errors.ratio":
        return _errors(endpoint, [ours], theirs)
    value = ours.level(metric, endpoint)
    found = [s.level(metric, endpoint) for s in theirs]
    usual = [v for v in found if v is not None and v > 0]
    reference = math.exp(float(np.mean(np.log(usual)))) if usual else None
    values = (value, reference)
    if value is None or reference is None or len(usual) < len(found) or value <= 0:
        return Measured(metric, endpoint, values, None, _missing(metric, value))
    k = len(usual)
    if k >= SPREAD_RUNS:
        sd, freedom = float(np.std(np.log(usual), ddof=1)), float(k - 1)
    else:
        spread = noise.of(metric, endpoint)
        sd, freedom = spread.sd, float(spread.freedom or math.inf)
    # a new run differs by its own noise too, not only by that of the mean it is held against
    found_ratio = stats.of_known_noise(math.log(value / reference), sd * math.sqrt(1 + 1 / k), freedom)
    return Measured(metric, endpoint, values, found_ratio)


def against_pairs(metric: str, endpoint: str | None, pairs: Sequence[tuple[Summary, Summary]]) -> Measured:
    """One metric over pairs of runs, candidate and reference: Student's t over the logarithms of their ratios."""
    if metric == "errors.ratio":
        return _errors(endpoint, [a for a, _ in pairs], [b for _, b in pairs])
    rows = [(a.level(metric, endpoint), b.level(metric, endpoint)) for a, b in pairs]
    whole = [(a, b) for a, b in rows if a is not None and b is not None and a > 0 and b > 0]
    if not whole or len(whole) < len(rows):
        return Measured(metric, endpoint, (None, None), None, _missing(metric, None))
    means = [math.exp(float(np.mean(np.log(v)))) for v in zip(*whole, strict=True)]
    found = stats.of_runs([math.log(a / b) for a, b in whole])
    missing = "" if found is not None else "one pair of runs has no spread: two or more are needed"
    return Measured(metric, endpoint, (means[0], means[1]), found, missing)


def measured_in(runs: Sequence[Summary]) -> list[tuple[str, str | None]]:
    """What is compared of runs without being asked: what all of them have of it."""
    wanted = [
        (x.metric, x.endpoint)
        for x in runs[0].levels
        if x.metric.startswith(("latency.p50", "latency.p99")) and x.metric != "latency.p9999"
    ]
    resident = "memory.anon" if runs[0].level("memory.anon", None) is not None else "memory.rss"
    others = ("throughput.rate", "cpu.per_request", resident, "memory.live", "allocations.per_request",
              "allocations.bytes_per_request", *ONCE)  # fmt: skip
    wanted += [(m, None) for m in others]
    kept = [key for key in wanted if all(r.level(*key) is not None for r in runs)]
    return [("errors.ratio", None), *kept] if all(r.failed(None) for r in runs) else kept


def spread_of(metric: str, endpoint: str | None, pairs: Sequence[tuple[Summary, Summary]]) -> Spread | None:
    """How much one run differs from the next, from pairs of runs of the same program."""
    values = [(a.level(metric, endpoint), b.level(metric, endpoint)) for a, b in pairs]
    logs = [math.log(a / b) for a, b in values if a and b]
    if not logs or metric == "errors.ratio":
        return None
    # the two of a pair differ by the noise of two runs, and by nothing else
    return Spread(metric, endpoint, math.sqrt(float(np.mean(np.square(logs))) / 2), len(logs))


def smallest(found: Measured, pairs: int, family: int) -> float | None:
    """The smallest loss (a ratio above 1) that so many pairs find nine times in ten, with `family` metrics asked."""
    r = found.ratio
    if r is None or pairs < 2 or not 0 < r.low <= r.high < math.inf:
        return None
    freedom = pairs - 1
    error = math.log(r.high / r.low) / 2 / float(scipy_stats.t.ppf(0.975, freedom))
    bar = float(scipy_stats.t.ppf(1 - 0.025 / max(1, family), freedom))
    return math.exp(min(50.0, (bar + float(scipy_stats.t.ppf(_POWER, freedom))) * error))


def _level(side: Side, metric: str) -> float | None:
    """A metric over the soak of a run, as one number."""
    if metric in ONCE:
        once = side.once(metric)
        return float(np.mean(once.v)) if once is not None else None
    if METRICS[metric].room not in ("memory", "cpu", "allocations", "throughput"):
        return None
    if METRICS[metric].room in ("allocations", "throughput"):
        found = side.soak_series(metric)
        return float(np.mean(found.v)) if found is not None else None
    blocks = side.blocks(metric)
    return float(np.mean(blocks.v)) if blocks is not None and len(blocks.v) >= _MIN_SAMPLES else None


def _errors(endpoint: str | None, ours: Sequence[Summary], theirs: Sequence[Summary]) -> Measured:
    found = [[s.failed(endpoint) for s in runs] for runs in (ours, theirs)]
    sides = [[f for f in fs if f is not None and f.total] for fs in found]
    if not sides[0] or not sides[1]:
        return Measured("errors.ratio", endpoint, (None, None), None, "no request was made")
    (bad, of), (usual, of_usual) = (([f.bad for f in fs], sum(f.total for f in fs)) for fs in sides)
    values = (sum(bad) / of, sum(usual) / of_usual)
    return Measured("errors.ratio", endpoint, values, stats.of_counts(bad, of, usual, of_usual))


def _missing(metric: str, value: float | None) -> str:
    return f"{metric} was not measured in {'all runs' if value is None else 'the earlier runs'}"
