"""Whole runs against whole runs: each is one number a metric, and what counts is how much runs differ.

No statistic from within one run sees that a second run of the same program would have come out otherwise. So the noise
is that between runs: of several references their own spread, of pairs of runs that of their ratios, and of single runs
what was measured beforehand or is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from soak.core.metrics import METRICS, ONCE, QUANTILES, WANTED
from soak.core.records import Clock, Floats, Recording
from soak.core.summary import ASSUMED, Failures, Level, Noise, Spread, Summary, apart, load_digest
from soak.core.verdict import SideVerdict
from soak.judge.against import Measured
from soak.judge.side import Side
from soak.judge.stats import ratio as stats
from soak.judge.stats.blocks import LEVEL_BLOCKS, floor_of
from soak.judge.stats.tails import student_quantile

SPREAD_RUNS = 3
"""From so many references on their own spread is the noise."""
_MIN_SAMPLES = 15
_CLOCKS: dict[str, Clock] = {"latency": "latency", "service": "service"}
_WIDE_BLOCKS = 8
"""Floors are those of wide blocks, so that each has a fall of a sawtooth in it."""
_POWER = 0.9
_TAKE: dict[str, Callable[[Floats], Any]] = {"floor": floor_of, "peak": np.max}


def summarise(recording: Recording, unfit: str) -> Summary:
    """The candidate of a run in a few numbers; `unfit` says why nothing can be held against it."""
    start, end = recording.soak_span or (recording.duration, recording.duration)
    side = Side("candidate", recording, start, end)
    endpoints = [*side.data.endpoints, *side.data.journeys]
    levels = [
        Level(f"{room}.{quantile}", endpoint, v := histogram.percentile(q), v >= side.answers.given_up(endpoint, clock))
        for room, clock in _CLOCKS.items()
        for endpoint in endpoints
        for quantile, q in QUANTILES.items()
        if (histogram := side.answers.judged(endpoint, clock, q)).total >= WANTED[quantile]
    ]
    for metric in METRICS:
        value = _level(side, metric)
        if value is not None:
            levels.append(Level(metric, None, value))
    failures = [Failures(e, *side.answers.failures(e)) for e in (None, *endpoints)] if endpoints else []
    load, length, warmup = load_digest(recording.scenario), end - start, recording.phase("warmup")
    warmed = warmup.end - warmup.start if warmup is not None and warmup.end is not None else 0.0
    return Summary(recording.run, load, recording.started, length, tuple(levels), tuple(failures), unfit, warmed)


def unfit(verdict: SideVerdict, hard: Collection[str]) -> str:
    """Why a side of a run can neither be held against another one nor be held to it; empty if it can."""
    dead = next((f.title for f in verdict.findings if f.cause in hard), None)
    return dead if dead is not None else next(iter(verdict.validity.reasons), "")


def against_runs(metric: str, endpoint: str | None, ours: Summary, theirs: Sequence[Summary], noise: Noise) -> Measured:
    """One metric of a run against earlier runs of the reference."""
    unlike = _unlike(metric, [(ours, s) for s in theirs])
    if unlike:
        return Measured(metric, endpoint, (None, None), None, unlike)
    if metric == "errors.ratio":
        return _errors(endpoint, [ours], theirs)
    found = [s.measured(metric, endpoint) for s in (ours, *theirs)]
    values = _mean(found[:1]), _mean(found[1:])
    missing = _missing(metric, endpoint, (ours, *theirs))
    if missing:
        return Measured(metric, endpoint, values, None, missing)
    log, *usual = (_log(s, x) for s, x in zip((ours, *theirs), found, strict=True) if x is not None)
    k = len(usual)
    if k >= SPREAD_RUNS:
        sd, freedom = float(np.std(usual, ddof=1)), float(k - 1)
    else:
        spread = noise.of(metric, endpoint)
        sd, freedom = spread.sd, float(spread.freedom or math.inf)
    # a new run differs by its own noise too, not only by that of the mean it is held against
    ratio = stats.of_known_noise(log - float(np.mean(usual)), sd * math.sqrt(1 + 1 / k), freedom)
    return Measured(metric, endpoint, values, stats.censored(ratio, _cut(found[:1]), _cut(found[1:])))


def against_pairs(metric: str, endpoint: str | None, pairs: Sequence[tuple[Summary, Summary]]) -> Measured:
    """One metric over pairs of runs, candidate and reference: Student's t over the logarithms of their ratios."""
    unlike = _unlike(metric, pairs)
    if unlike:
        return Measured(metric, endpoint, (None, None), None, unlike)
    if metric == "errors.ratio":
        return _errors(endpoint, [a for a, _ in pairs], [b for _, b in pairs])
    ours, theirs = ([pair[i].measured(metric, endpoint) for pair in pairs] for i in (0, 1))
    values = _mean(ours), _mean(theirs)
    missing = _missing(metric, endpoint, [s for pair in pairs for s in pair])
    if missing:
        return Measured(metric, endpoint, values, None, missing)
    logs = [
        _log(a, x) - _log(b, y)
        for (a, b), x, y in zip(pairs, ours, theirs, strict=True)
        if x is not None and y is not None
    ]
    found = stats.of_runs(logs)
    if found is None:
        return Measured(metric, endpoint, values, None, "one pair of runs has no spread: two or more are needed")
    return Measured(metric, endpoint, values, stats.censored(found, _cut(ours), _cut(theirs)))


def measured_in(runs: Sequence[Summary]) -> list[tuple[str, str | None]]:
    """What is compared of runs without being asked: whatever any of them has of it.

    What one of them lacks stays in, and nothing can be said of it: left out, its loss would not be seen.
    """
    seen = {(x.metric, x.endpoint): None for r in runs for x in r.levels}
    wanted = [(m, e) for m, e in seen if m in ("latency.p50", "latency.p99")]
    # both tell the same of one program: the nearer one, but for runs that only have the other one
    resident = min(("memory.anon", "memory.rss"), key=lambda m: sum(r.level(m, None) is None for r in runs))
    others = ("throughput.rate", "cpu.per_request", resident, "memory.live", "allocations.per_request",
              "allocations.bytes_per_request", *ONCE)  # fmt: skip
    wanted += [(m, None) for m in others if (m, None) in seen]
    return [("errors.ratio", None), *wanted] if any(r.failed(None) for r in runs) else wanted


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
    error = math.log(r.high / r.low) / 2 / student_quantile(0.975, freedom)
    bar = student_quantile(1 - 0.025 / max(1, family), freedom)
    return math.exp(min(50.0, (bar + student_quantile(_POWER, freedom)) * error))


def _level(side: Side, metric: str) -> float | None:
    """A metric over the soak of a run, as one number.

    It is that of plain blocks, floors or medians, whatever the shape of the series: were a sawtooth that is found
    summed up otherwise than one that is not, two runs would differ by what was found.
    """
    if metric in ONCE:
        once = side.once(metric)
        return float(np.mean(once.v)) if once is not None else None
    room, shape = METRICS[metric].room, METRICS[metric].shape
    if room not in ("memory", "cpu", "allocations", "throughput"):
        return None
    found = side.soak_series(metric)
    if found is None or room in ("allocations", "throughput"):
        return float(np.mean(found.v)) if found is not None else None
    take = _TAKE.get(shape, np.median)
    edges = np.linspace(side.start, side.end, (LEVEL_BLOCKS if shape == "level" else _WIDE_BLOCKS) + 1)
    blocks = [float(take(v)) for a, b in pairwise(edges) if len(v := found.between(a, b).v)]
    return float(np.mean(blocks)) if len(found) >= _MIN_SAMPLES else None


def _errors(endpoint: str | None, ours: Sequence[Summary], theirs: Sequence[Summary]) -> Measured:
    """Failures by their counts, which differ from run to run by more than chance within a run."""
    nothing = [s.run for s in (*ours, *theirs) if (f := s.failed(endpoint)) is None or not f.total]
    if nothing:
        return Measured("errors.ratio", endpoint, (None, None), None, f"no request was made in {', '.join(nothing)}")
    sides = [[f for s in runs if (f := s.failed(endpoint)) is not None] for runs in (ours, theirs)]
    (bad, of), (usual, of_usual) = (([f.bad for f in fs], sum(f.total for f in fs)) for fs in sides)
    # what few runs show of their own spread is no reason to assume less
    spread = max(ASSUMED["errors"], stats.run_spread(bad), stats.run_spread(usual))
    found = stats.of_counts(bad, of, usual, of_usual, spread=spread)
    return Measured("errors.ratio", endpoint, (sum(bad) / of, sum(usual) / of_usual), found)


def _unlike(metric: str, pairs: Sequence[tuple[Summary, Summary]]) -> str:
    """Why a metric of runs of different length is not compared; what is measured once does not ask for how long."""
    if metric in ONCE:
        return ""
    return next((why for a, b in pairs if (why := apart((a.soak_s, a.warmup_s), (b.soak_s, b.warmup_s)))), "")


def _missing(metric: str, endpoint: str | None, runs: Sequence[Summary]) -> str:
    """What keeps runs from having a ratio, in words; empty if nothing does."""
    without = [s.run for s in runs if s.level(metric, endpoint) is None]
    if without:
        where = "any run" if len(without) == len(runs) else ", ".join(without)
        return f"{metric} was not measured in {where}"
    zero = [s.run for s in runs if (x := s.level(metric, endpoint)) is not None and x <= 0]
    if zero and metric != "throughput.rate":
        return f"{metric} is zero in {', '.join(zero)}, and a ratio to zero says nothing"
    return ""


def _log(run: Summary, level: Level) -> float:
    """The logarithm of a level; half a request more is done, so that a run in which nothing was done has one too."""
    return math.log(level.value + (0.5 / run.soak_s if level.metric == "throughput.rate" and run.soak_s else 0.0))


def _mean(levels: Sequence[Level | None]) -> float | None:
    """The geometric mean of those that there are, to be shown."""
    found = [x.value for x in levels if x is not None]
    if not found:
        return None
    return math.exp(float(np.mean(np.log(found)))) if min(found) > 0 else float(np.mean(found))


def _cut(levels: Sequence[Level | None]) -> bool:
    return any(x is not None and x.censored for x in levels)
