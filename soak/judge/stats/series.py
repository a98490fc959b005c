"""Any series by itself: does it go on growing by more than is tolerated? The judge of a run, without a run.

Verdicts are of the growth over the span of the series, relative to its level. Of many series that are looked at
together, one that grows by chance is no finding: what fails must be beyond doubt among all of them (Holm 1979).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from soak.core.verdict import Result, SeriesVerdict, Why
from soak.judge.stats.blocks import FEW_FALLS, MIN_BLOCKS, Blocks, floor_blocks, level_blocks, measured
from soak.judge.stats.decide import came_early, decide, grows
from soak.judge.stats.holm import beyond
from soak.judge.stats.regress import Floats
from soak.judge.stats.trend import Trend, trend

Kind = Literal["level", "floor", "ratio"]
"""A level is judged by its medians, a floor (memory under a garbage collector) by its lows, a ratio as a level."""

TOLERANCE = 0.03
ALPHA = 0.025
"""One-sided: what the low end of a two-sided 95 % interval stands for."""

_MOST_LONGER = 15.0


def judge_series(
    t: Floats,
    v: Floats,
    kind: Kind = "level",
    tolerance: float = TOLERANCE,
    *,
    reference: Floats | None = None,
    limit: float | None = None,
) -> SeriesVerdict:
    """Judge values `v` at times `t` (s, ascending; NaN is a gap).

    With a `reference` of the same length, what is judged is the ratio to it. `limit` is in the unit of `v`.
    """
    v = np.where(measured(v), v, np.nan)
    found = _blocks(t, v, kind)
    if reference is not None and found is not None:
        found = _against(found, _blocks(t, reference, kind))
    fitted = trend(found.t, found.v, beside=found.beside, falls=found.falls) if found is not None else None
    if fitted is None:
        return SeriesVerdict("inconclusive", None, None, None, "unknown", "short")
    level = max(fitted.base, float(np.median(np.abs(v[np.isfinite(v)]))) / 2 if reference is None else 0.0)
    if level == 0:  # zero all the time
        return SeriesVerdict("pass", 0.0, 0.0, 0.0, "flat", "below")
    bar = tolerance * level
    decision = decide(fitted, bar)
    return SeriesVerdict(
        verdict=decision,
        growth=(fitted.step_size if fitted.shape == "step" else fitted.growth) / level,
        low=(fitted.step_low if fitted.shape == "step" else fitted.low * fitted.span) / level,
        high=fitted.high * fitted.span / level,
        shape=fitted.shape,
        why=_why(decision, fitted, bar),
        start=fitted.start,
        span=fitted.span,
        p=fitted.p,
        onset=fitted.step_at if fitted.shape == "step" else fitted.onset,
        longer=_longer(fitted, bar) if decision == "inconclusive" else None,
        eta=fitted.band.reach(limit - _height(fitted, v)) if limit is not None else (None, None, None),
    )


def judge_many(verdicts: Mapping[str, SeriesVerdict]) -> dict[str, SeriesVerdict]:
    """The same verdicts, looked at together: what fails and might be one chance of many becomes inconclusive."""
    sure = beyond({name: one.p for name, one in verdicts.items()}, ALPHA)
    return {
        name: one
        if one.verdict != "fail" or name in sure
        else replace(one, verdict="inconclusive", why="many", longer=None)
        for name, one in verdicts.items()
    }


def _height(fitted: Trend, v: Floats) -> float:
    """Where the series stands at the end, as a limit is concerned: a sawtooth reaches it with its peaks."""
    if fitted.falls is None:
        return fitted.level
    late = v[-max(2, len(v) // 3) :]
    return max(fitted.level, float(np.nanquantile(late, 0.98)))


def _blocks(t: Floats, v: Floats, kind: Kind) -> Blocks | None:
    keep = measured(v) & np.isfinite(t)
    t, v = t[keep], v[keep]
    if len(v) < MIN_BLOCKS:
        return None
    apart = float(np.median(np.diff(t)))
    make = floor_blocks if kind == "floor" else level_blocks
    found = make(t, v, float(t[0]), float(t[-1]) + apart)
    return found if len(found.v) >= MIN_BLOCKS else None


def _against(candidate: Blocks, reference: Blocks | None) -> Blocks | None:
    """The ratio of two series by blocks. What both share (the host, the load, the time of day) is not in it."""
    if reference is None:
        return None
    below = np.interp(candidate.t, reference.t, reference.v)
    if not (below > 0).all():
        return None
    beside = candidate.beside + tuple(np.interp(candidate.t, reference.t, c) for c in reference.beside)
    falls = [b.falls for b in (candidate, reference) if b.falls is not None]
    return Blocks(candidate.t, candidate.v / below, candidate.length, beside, min(falls, default=None))


def _why(decision: Result, fitted: Trend, bar: float) -> Why:
    if decision == "fail":
        return "stepped" if fitted.shape == "step" else "grows"
    if decision == "pass":
        return "settled" if fitted.settles and fitted.growth >= bar else "below"
    if fitted.shape == "step" and fitted.step_low >= bar and came_early(fitted):
        return "early"
    if fitted.falls is not None and fitted.falls < FEW_FALLS:
        return "cycles"
    if fitted.jumped_late:
        return "late"
    return "levelling" if fitted.shape == "decelerating" and grows(fitted, bar) else "noise"


def _longer(fitted: Trend, bar: float) -> float | None:
    """How much longer to look, in spans: what is seen of growth sharpens with the root of the length."""
    gap, half = abs(bar - fitted.growth), (fitted.high - fitted.low) / 2 * fitted.span
    if gap <= 0 or half <= 0:
        return None
    extra = (half / gap) ** 2 - 1
    if fitted.shape == "decelerating":
        extra = max(extra, 1.0)
    return extra if math.isfinite(extra) and 0 < extra <= _MOST_LONGER else None
