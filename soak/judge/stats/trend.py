"""The trend of a series: what goes on growing, apart from what settles, comes back or only wanders.

    z(t) = level + slope t + a transient that dies away + what goes on beside + noise that remembers itself

A warm-up that dies away is fitted, not cut off: rules that cut (MSER-5) would cut half of every leak. Its time
constant is not known, so the interval is the union over all that fit about equally well. Growth that a bounded
curve explains as well (a cache that fills, part of a wave) is not called a trend; nor is one that has tired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from soak.judge.stats import models
from soak.judge.stats.blocks import MIN_BLOCKS, measured
from soak.judge.stats.eta import Band
from soak.judge.stats.regress import Estimate, Floats, covariance, effective
from soak.judge.stats.structure import structure

Shape = Literal["flat", "linear", "decelerating", "step"]

_BETTER = 2.0
_BETTER_FILLING = -4.0
"""Of BIC, by which a bounded curve must beat a line: less than nothing where something fills anyway."""
_TIRED = 0.25
_STILL_RISING = 0.75
"""Of the growth over the run: what its last part comes to at most, if growth has ended; at least, if it goes on."""
_NEXT_TO_NOTHING = 0.25
_SMOOTHED = 7
_OUTLIER = 4.0
_NOTHING = 1e-250
"""In any unit: what differs by less is the same, and numbers near the least that there are divide into none."""


@dataclass(frozen=True, slots=True)
class Trend:
    """A fitted trend. `slope` (units a second, over the span) has a 95 % interval [low, high].

    `start_level` and `level` are the ends of the fitted line, `first` and `last` what was seen: medians of the
    first and last blocks. `start` and `span` are the time that was fitted (s), `n` the blocks and `n_eff` how many
    independent ones they are worth. `p` is the one-sided p-value of the hypothesis that nothing grows, and
    `estimates` the growth over the span (units) under each model about as good as the best, with its weight.
    `onset` is when growth began (s), if that was clearly later than the start; `band` the line from the end on.

    `shape` says what kind of growth it is. `fills` says that something fills beside what goes on growing, if
    anything does; for growth that comes to an end, `settles` says whether that is clear, and `to_come` how much
    there is left of it at most (units). For a step, `step_at` is when (s),
    `step_size` how high, and `step_low` the lower end of its interval; a step may be certain where a slope
    through it is not.
    """

    start: float
    slope: float
    low: float
    high: float
    start_level: float
    level: float
    first: float
    last: float
    span: float
    n: int
    n_eff: float
    rho: float
    shape: Shape
    p: float
    estimates: tuple[tuple[float, Estimate], ...]
    band: Band
    onset: float | None = None
    fills: bool = False
    settles: bool = False
    to_come: float = 0.0
    step_at: float | None = None
    step_size: float = 0.0
    step_low: float = 0.0
    falls: int | None = None
    jumped_late: bool = False

    @property
    def growth(self) -> float:
        """Growth over the span, in units."""
        return self.slope * self.span

    @property
    def base(self) -> float:
        """What growth is relative to: where the line starts; its middle, if it starts at next to nothing."""
        middle = abs(self.start_level + self.level) / 2
        return self.start_level if self.start_level > _NEXT_TO_NOTHING * middle else middle

    def relative(self, slope: float) -> float:
        """A slope as growth over the span by the level it started from; NaN for a level of zero."""
        return slope * self.span / self.base if self.base > 0 else float("nan")

    def reaches(self, bar: float) -> float:
        """The p-value of the hypothesis that growth over the span is `bar` units or more, over all models."""
        return sum(weight * e.above(bar) for weight, e in self.estimates)


def trend(
    t: Floats, z: Floats, alpha: float = 0.05, beside: Sequence[Floats] = (), falls: int | None = None
) -> Trend | None:
    """Fit blocks `z` at times `t` (s, ascending); None with fewer than 8 of them, or where one is none.

    `beside` are columns of the same length that explain a part of it: the offered load, the phase of a sawtooth;
    `falls` is how often that fell, where it is told by such a column.
    """
    m = len(z)
    if m < MIN_BLOCKS or not measured(z).all():
        return None
    given = _Scaled.of(t, z, beside)
    if given is None:
        return _constant(float(z[0]), *_extent(t), m)
    origin, span, scale, x, y, columns = given.origin, given.span, given.scale, given.x, given.y, given.columns
    line, ended = models.line(x, y, columns), models.bounded(x, y, columns)
    free = y - np.column_stack([np.zeros(m), *columns]) @ np.concatenate([[0.0], line.beta[2 : 2 + len(columns)]])
    step = models.step(x, y, free, columns, min(line.bic, ended.bic + models.CLEARLY - _BETTER), alpha)
    growth = line.growth.value
    low, high = _ends(line, alpha)
    rho = float(line.fits.rho[line.which])
    half, third = _Late.of(x, free, line, 1 / 2), _Late.of(x, free, line, 1 / 3)
    shape: Shape = "flat"
    late = False
    if step is not None:
        shape = "step"
    elif low > 0:
        explained = ended.bic < line.bic - (_BETTER_FILLING if line.fills else _BETTER)
        ends = explained and (ended.fills or third.slope <= _STILL_RISING * growth)
        tired = any(part.is_tired(growth) for part in (half, third))
        late = models.jumped_late(x, y, columns, line.bic)
        shape = "decelerating" if tired or ends or late else "linear"
    return Trend(
        start=origin,
        slope=growth * scale / span,
        low=low * scale / span,
        high=high * scale / span,
        start_level=float(line.beta[0]) * scale,
        level=float(line.beta[0] + growth) * scale,  # the line's end: a transient that died away is in neither end
        first=float(np.median(z[: max(1, m // 10)])),
        last=float(np.median(z[-max(1, m // 10) :])),
        span=span,
        n=m,
        n_eff=effective(m, rho),
        rho=rho,
        shape=shape,
        p=step.p if step is not None else max(e.below(0.0) for _, e in line.near),
        estimates=tuple((weight, e.scaled(scale)) for weight, e in line.near),
        band=_band(line, (high - low) / 2, scale, span),
        onset=origin + line.onset * span if line.onset is not None else None,
        fills=line.fills,
        settles=ended.fills and ended.bic < line.bic - models.CLEARLY,
        to_come=max(ended.to_come, third.slope) * scale,
        step_at=origin + step.at * span if step is not None else None,
        step_size=step.size * scale if step is not None else 0.0,
        step_low=step.low * scale if step is not None else 0.0,
        falls=falls,
        jumped_late=late,
    )


def slope(t: Floats, z: Floats, alpha: float) -> tuple[float, float, float]:
    """The slope of `trend`, and the ends of its interval, where nobody asks what kind of growth it is.

    That of fewer than 8 blocks is not known: zero.
    """
    given = _Scaled.of(t, z) if len(z) >= MIN_BLOCKS and measured(z).all() else None
    if given is None:
        return 0.0, 0.0, 0.0
    line = models.line(given.x, given.y, given.columns)
    value, low, high = (g * given.scale / given.span for g in (line.growth.value, *_ends(line, alpha)))
    return value, low, high


@dataclass(frozen=True, slots=True)
class _Scaled:
    """A series as it is fitted: `y` in units of `scale` over `x` from 0 to 1, and the columns that explain a part."""

    origin: float
    span: float
    scale: float
    x: Floats
    y: Floats
    columns: tuple[Floats, ...]

    @staticmethod
    def of(t: Floats, z: Floats, beside: Sequence[Floats] = ()) -> _Scaled | None:
        """None of what never moved."""
        if np.ptp(z) < _NOTHING:
            return None
        origin, span = _extent(t)
        x = (t - origin) / span
        scale = max(float(np.median(np.abs(z))), 1e-6 * float(np.max(np.abs(z))))
        given = tuple(_unit(c) for c in beside if np.ptp(c) > 0)
        y = (z if given else without_outliers(z)) / scale
        return _Scaled(origin, span, scale, x, y, (*given, *(_unit(c) for c in structure(x, y, given))))


def _extent(t: Floats) -> tuple[float, float]:
    """Where blocks at times `t` begin, and how long they are together."""
    apart = float(np.median(np.diff(t)))
    return float(t[0] - apart / 2), float(t[-1] - t[0] + apart)


def _ends(line: models.Line, alpha: float) -> tuple[float, float]:
    """The widest interval of a growth: over all models about as good as the best."""
    return min(e.value - e.half(alpha) for _, e in line.near), max(e.value + e.half(alpha) for _, e in line.near)


@dataclass(frozen=True, slots=True)
class _Late:
    """The slope of the last part (growth over the span), and how far it may be from the true one, one-sided 95 %."""

    slope: float
    doubt: float

    def is_tired(self, growth: float) -> bool:
        """Whether growth has ended by then: hardly any was seen, and it is not only noise that hides it."""
        return self.slope < _TIRED * growth and self.slope + self.doubt < _STILL_RISING * growth

    @staticmethod
    def of(x: Floats, free: Floats, line: models.Line, share: float) -> _Late:
        n = max(4, round(share * len(x)))
        rho = float(line.fits.rho[line.which])
        sd = float(np.sqrt(line.fits.variance[line.which] / max(1e-6, 1 - rho * rho)))
        error = sd * np.sqrt(12 / effective(n, rho)) / share
        return _Late(late_slope(x, free, share), 1.645 * float(error))


def late_slope(t: Floats, z: Floats, share: float) -> float:
    """The slope over the last `share` of the blocks (units a second): the median over all their pairs (Theil 1950)."""
    n = max(2, round(share * len(z)) + 1)
    i, j = np.triu_indices(len(z[-n:]), 1)
    return float(np.median((z[-n:][j] - z[-n:][i]) / (t[-n:][j] - t[-n:][i])))


def without_outliers(z: Floats) -> Floats:
    """Isolated bumps replaced by the median around them (Hampel 1974); steps and what lasts stay."""
    if len(z) < 2 * _SMOOTHED:
        return z
    padded = np.pad(z, _SMOOTHED // 2, mode="reflect", reflect_type="odd")
    middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, _SMOOTHED), axis=1)
    rest = np.abs(z - middle)
    spread = 1.4826 * float(np.median(rest)) or 1.25 * float(np.mean(rest))
    return np.where(rest > _OUTLIER * spread, middle, z)


def _constant(value: float, start: float, span: float, m: int) -> Trend:
    """What never moved, exactly: no slope, no noise and no doubt."""
    sure = Estimate(0.0, ((0.0, float(m)),))
    still = Band(0.0, 0.0, 0.0, 0.0)
    return Trend(
        start, 0.0, 0.0, 0.0, value, value, value, value, span, m, float(m), 0.0, "flat", 1.0, ((1.0, sure),), still
    )


def _unit(column: Floats) -> Floats:
    return (column - float(np.mean(column))) / float(np.ptp(column))


def _band(line: models.Line, half: float, scale: float, span: float) -> Band:
    """The line from the end of the span on, as doubtful as the widest interval of its growth is."""
    v = covariance(line.fits, line.which)[:2, :2]
    quantile = half / max(float(np.sqrt(v[1, 1])), 1e-15)
    forward = span * (1 - line.onset) if line.onset is not None else span
    return Band(
        rate=line.growth.value * scale / forward,
        end_error=float(np.sqrt(max(v.sum(), 0.0))) * quantile * scale,
        rate_error=half * scale / forward,
        together=float(v[0, 1] + v[1, 1]) * (quantile * scale) ** 2 / forward,
    )
