"""When a verdict is certain before the end of the soak: what more of it could not change.

    at once         the target died, was killed or hangs; a criterion is lost whatever still comes
    at a look       growth beyond the level of that look, Holm over all series, and beyond the gate   fail
                    a ratio to the reference that is beyond its limit at that level                   fail
                    every interval at that level lies within its gate for the whole soak               pass

Looks are ten equal parts of the soak, the first at 30 % (a pass: at 50 %), none in the warm-up; the levels are those of
`stats.spending`. The look that ended a run is an event of it, so a run that is judged again is judged at the same level
and up to the same moment.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from soak.core import units
from soak.core.criterion import Criterion
from soak.core.metrics import ONCE, QUANTILES
from soak.core.records import Clock, Recording
from soak.core.verdict import CriterionResult, Finding, SideVerdict, StoppedEarly
from soak.judge.causes_held import may_be_given_back
from soak.judge.criteria import judge_criterion
from soak.judge.differences import CAUSES
from soak.judge.side import Side
from soak.judge.sight import Watched, latency_sight, memory_sight, watched
from soak.judge.stats.holm import beyond
from soak.judge.stats.proportion import wilson
from soak.judge.stats.spending import FIRST, LOOKS, level
from soak.judge.stats.tails import student_above, student_quantile
from soak.judge.stats.trend import Trend

HALF = 5
"""The first look that may end a run with a pass."""

_STAYS = ("restart", "recursion_limit")
"""Causes that are counted: what happened does not become less."""
_MARKS = ("floor", "peak")
"""Shapes of series that a limit holds for at every moment: one that missed it stays missed."""
_DENSER = 2.0
"""Times what the rate so far makes of the rest may still come, until a criterion of a share of it is called lost."""
_LATE_INTERVALS = 2
_LATE_S = 3.0


@dataclass(frozen=True, slots=True)
class Look:
    """One look before the end: number `number` of LOOKS; what was recorded until `upto` (s) is judged at `level`."""

    number: int
    upto: float
    level: float


@dataclass(frozen=True, slots=True)
class Certain:
    """What is certain, and why. `look` is None where no statistics were needed."""

    rule: Literal["fail", "pass"]
    reasons: tuple[str, ...]
    look: Look | None


def settled_s(interval: float) -> float:
    """Seconds after a moment until all that was reported of it is in the run file, by intervals of that length (s)."""
    return _LATE_INTERVALS * interval + _LATE_S


def planned(start: float, soak: float, window: float) -> list[Look]:
    """The looks of a soak of `soak` s that began at `start`, each up to the end of a whole packed window (s)."""
    found = []
    for number in range(FIRST, LOOKS):
        upto = math.floor((start + soak * number / LOOKS) / window + 1e-9) * window
        if upto > start:
            found.append(Look(number, upto, level(number)))
    return found


def ended_by(recording: Recording) -> Certain | None:
    """Why the run was ended early, as its run file tells; None for all others."""
    for event in recording.events:
        if event.kind == "stopped_early":
            number, upto = event.data.get("look"), event.data.get("upto")
            told = event.data.get("reasons")
            look = None
            if isinstance(number, int) and isinstance(upto, (int, float)):
                look = Look(number, float(upto), level(number))
            reasons = tuple(map(str, told)) if isinstance(told, Sequence) else (event.text,)
            return Certain("pass" if event.data.get("rule") == "pass" else "fail", reasons, look)
    return None


def told(recording: Recording, ended: Certain, start: float) -> StoppedEarly:
    """The same for the verdict; `start` is when the soak began (s)."""
    event = next(e for e in recording.events if e.kind == "stopped_early")
    saved = event.data.get("saved")
    return StoppedEarly(
        rule=ended.rule,
        at_s=max(0.0, (ended.look.upto if ended.look else event.t) - start),
        saved_s=float(saved) if isinstance(saved, (int, float)) else 0.0,
        look=ended.look.number if ended.look else None,
        looks=LOOKS,
        level=ended.look.level if ended.look else None,
        reasons=ended.reasons,
    )


def certain(
    side: Side,
    judged: Sequence[tuple[Criterion, CriterionResult]],
    own: SideVerdict,
    hard: Iterable[str],
    doubts: Sequence[str],
    look: Look | None,
) -> Certain | None:
    """What is certain by now of a side that was judged at the level of `look`.

    `own` are its findings, `hard` the causes that need no statistics, `doubts` what stands in the way of any pass.
    """
    wanted = side.recording.scenario.stop_early
    if wanted in ("fail", "both"):
        at_once = [f.title for f in own.findings if f.cause in hard] + _lost(side, judged)
        if at_once:
            return Certain("fail", tuple(at_once), None)
        if look is not None and not own.validity.reasons and (grown := _grown(side, judged, own.findings, look)):
            return Certain("fail", tuple(grown), look)
    if wanted in ("pass", "both") and look is not None and look.number >= HALF:
        fine = all(r.result == "pass" for _, r in judged) and all(f.severity != "fail" for f in own.findings)
        if fine and not own.validity.reasons and not doubts and _calm(side):
            return Certain("pass", tuple(could_have_seen(side)), look)
    return None


def could_have_seen(side: Side) -> list[str]:
    """What a pass before the end rests on, and what only the rest of the soak could have shown."""
    rest = side.recording.scenario.phases.soak - side.length
    return [
        memory_sight(side),
        *latency_sight(side),
        f"not seen is what the last {units.duration(round(rest))} could have shown: growth that begins later, and work "
        f"that comes round more seldom than every {units.duration(round(side.length))}",
    ]


def _grown(
    side: Side, judged: Sequence[tuple[Criterion, CriterionResult]], findings: Iterable[Finding], look: Look
) -> list[str]:
    """Findings and criteria of growth, and of ratios, that are beyond doubt though all series were looked at."""
    growth = {(r.metric, r.endpoint) for c, r in judged if c.kind == "growth_below"}
    family = growth | {(w.metric, w.endpoint) for w in watched(side)}
    trends = {key: fitted for key in family if (fitted := side.trend(*key)) is not None}
    sure = beyond({key: _p_value(fitted, look.level) for key, fitted in trends.items()}, look.level / 2)
    told = [
        f.title
        for f in findings
        if f.severity == "fail"
        and ((f.metric, f.endpoint) in sure or f.cause in _STAYS)
        and f.cause not in CAUSES.values()  # those come of a criterion, which is told by itself
        and not may_be_given_back(side, f.metric)
    ]
    missed = [
        r
        for c, r in judged
        if r.result == "fail" and (_by_windows(c) or (c.kind == "growth_below" and (r.metric, r.endpoint) in sure))
    ]
    return told + [f"{r.text}: {r.reason}" for r in missed]


def _by_windows(criterion: Criterion) -> bool:
    """Whether it is on a ratio that has an interval at the level of the look; allocations are seen too seldom."""
    return criterion.against_reference and criterion.spec.room != "allocations"


def _p_value(fitted: Trend, alpha: float) -> float:
    """One-sided, that there is no growth; of a step, from its interval at `alpha`."""
    if fitted.shape != "step":
        return fitted.p
    freedom = max(3.0, fitted.n_eff - 2)
    error = (fitted.step_size - fitted.step_low) / student_quantile(1 - alpha / 2, freedom)
    p = student_above(fitted.step_size / error, freedom) if error > 0 else 0.0
    return min(1.0, p * fitted.n)  # its place was chosen among as many


def _calm(side: Side) -> bool:
    """Whether no series of the watch could still grow by what matters over the whole soak, at the rate it may have."""
    found = [(w, side.trend(w.metric, w.endpoint)) for w in watched(side)]
    if any(fitted is None and w.needed for w, fitted in found):
        return False
    return all(_within(side, w, fitted) for w, fitted in found if fitted is not None)


def _within(side: Side, series: Watched, fitted: Trend) -> bool:
    return max(fitted.high * side.recording.scenario.phases.soak, fitted.step_size) < series.gate.bar(fitted)


def _lost(side: Side, judged: Sequence[tuple[Criterion, CriterionResult]]) -> list[str]:
    """Criteria that fail now and that nothing which still comes can mend."""
    return [
        f"{r.text}: {r.reason}"
        for c, r in judged
        if r.result == "fail" and c.kind != "growth_below" and _cannot_recover(c, side, r.endpoint)
    ]


def _cannot_recover(criterion: Criterion, side: Side, endpoint: str | None) -> bool:
    if criterion.metric in ONCE:  # it is not measured again
        return True
    if criterion.against_reference:  # over the whole soak, at the level of a look
        return False
    if criterion.over is not None:
        return any(r.result == "fail" and r.endpoint == endpoint for r in _whole_windows(criterion, side))
    room, _, quantile = criterion.metric.partition(".")
    if room in ("latency", "service", "errors"):
        due = _due(side, endpoint)
        if due is None:
            return False
        if room == "errors":
            bad, _ = side.answers.failures(endpoint)
            return wilson(bad, max(bad, due))[0] >= criterion.limit.value
        clock: Clock = "latency" if room == "latency" else "service"
        seen = side.answers.judged(endpoint, clock, QUANTILES[quantile])
        return seen.share_above(criterion.limit.value) * seen.total > (1 - QUANTILES[quantile] / 100) * due
    return criterion.spec.shape in _MARKS


def _whole_windows(criterion: Criterion, side: Side) -> list[CriterionResult]:
    """The criterion on those of its windows that are over, and of which all reports have come in."""
    over = criterion.over or side.length
    whole = max(0, int((side.length - settled_s(side.recording.scenario.interval_s)) / over)) * over
    return judge_criterion(criterion, replace(side, end=side.start + whole)) if whole else []


def _due(side: Side, endpoint: str | None) -> int | None:
    """Requests of the whole soak if those to come are twice as many as a steady rate makes; None if nobody can say.

    Under a pattern the rate changes, and users come again the sooner the quicker they are answered: what is a large
    share of a quiet beginning may be nothing of the whole. Arrivals that found no slot so far may find one later.
    """
    load = side.recording.scenario.load
    _, total = side.answers.failures(endpoint)
    if not total or side.length <= 0 or load.pattern is not None or not load.open_model:
        return None
    met = sum(y.done + y.failed for y in side.tallies)
    unmet = sum(y.scheduled for y in side.tallies) / met if met else 1.0
    rest = max(0.0, side.recording.scenario.phases.soak - side.length)
    return math.ceil(total * (1 + _DENSER * max(1.0, unmet) * rest / side.length))
