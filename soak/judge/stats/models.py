"""What a series may be doing: growing on, growing to an end, stepping up; each with its BIC, to be compared.

`x` is time over the span (0 to 1), `y` the series in units of its level, `columns` what is known to go on beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from soak.judge.stats.regress import Estimate, Fits, Floats, estimate, fit, stack

CLEARLY = 6.0
"""Of BIC: what is better by so much was not chosen by chance from the twenty places where it could be."""

_TAUS = np.geomspace(0.01, 0.25, 12)
_LONG_TAUS = np.array([0.2, 0.25, 0.3, 0.4, 0.5, 0.65])
_CORNERS = np.arange(0.1, 0.66, 0.05)
_ONSETS = np.arange(0.15, 0.71, 0.05)
_PART_WAVES = np.arange(0.35, 1.46, 0.05)
_ABOUT_EQUAL = 4.0
"""Of BIC: the weaker of two models is still one in seven."""
_EDGE = 10
_SEEN_AFTER = 0.2
"""Of the span, that a new level must have been seen: a burst may last so long."""


@dataclass(frozen=True, slots=True)
class Line:
    """Growth that goes on: a line, one after a transient that dies away, or one that begins at `onset`.

    `near` has the growth (of `y`, over the span) under each model about as good as the best, with its weight;
    `fills` says that the transient of the best is one that rises, as a cache that fills.
    """

    fits: Fits
    which: int
    growth: Estimate
    near: tuple[tuple[float, Estimate], ...]
    fills: bool = False
    onset: float | None = None

    @property
    def bic(self) -> float:
        """The BIC of the best."""
        return float(self.fits.bic[self.which])

    @property
    def beta(self) -> Floats:
        """Coefficients of the best: level at the start, growth, then those of `columns`."""
        found: Floats = self.fits.beta[self.which]
        return found


@dataclass(frozen=True, slots=True)
class Bounded:
    """Growth that comes to an end: how much is still to come, and whether it fills something (or is part of a wave)."""

    bic: float
    to_come: float
    fills: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One step up `at` a moment, its `size` with the low end of its interval, and the p-value that it is none."""

    at: float
    size: float
    low: float
    p: float


def line(x: Floats, y: Floats, columns: Sequence[Floats]) -> Line:
    """The best of the lines, and the growth under all that are about as good."""
    one: Floats = np.ones_like(x)
    plain = fit(stack([one, x, *columns], [[]]), y)
    dying = fit(stack([one, x, *columns], [[np.exp(-x / tau)] for tau in _TAUS]), y, chosen=1)
    late = fit(np.stack([np.column_stack([one, _after(x, c), *columns]) for c in _ONSETS]), y, chosen=1)
    i, j = dying.best(), late.best()
    least = min(float(plain.bic[0]), float(dying.bic[i]))
    if late.bic[j] < least - CLEARLY:
        growth = estimate(late, j, 1)
        return Line(late, j, growth, ((1.0, growth),), onset=float(_ONSETS[j]))
    if plain.bic[0] <= dying.bic[i]:
        growth = estimate(plain, 0, 1)
        return Line(plain, 0, growth, ((1.0, growth),))
    found = [
        (float(dying.bic[k]), estimate(dying, int(k), 1)) for k in np.flatnonzero(dying.bic < least + _ABOUT_EQUAL)
    ]
    if plain.bic[0] < least + _ABOUT_EQUAL:
        found.append((float(plain.bic[0]), estimate(plain, 0, 1)))
    weights = np.exp([-(bic - least) / 2 for bic, _ in found])
    weights /= np.sum(weights)
    near = tuple((float(w), e) for w, (_, e) in zip(weights, found, strict=True))
    return Line(dying, i, estimate(dying, i, 1), near, fills=bool(dying.beta[i, -1] < 0))


def bounded(x: Floats, y: Floats, columns: Sequence[Floats]) -> Bounded:
    """The best curve that comes to an end: one cache or two that fill, a ramp with a corner, part of a wave."""
    base = [np.ones_like(x), *columns]
    one = fit(stack(base, [[np.exp(-x / b)] for b in _LONG_TAUS]), y, chosen=1)
    pairs = [(a, b) for a in _TAUS[::2] for b in _LONG_TAUS if b > 2 * a]
    two = fit(stack(base, [[np.exp(-x / a), np.exp(-x / b)] for a, b in pairs]), y, chosen=2)
    corner = fit(stack(base, [[np.minimum(x, c)] for c in _CORNERS]), y, chosen=1)
    waves = [[np.sin(2 * np.pi * f * x), np.cos(2 * np.pi * f * x)] for f in _PART_WAVES]
    wave = fit(stack(base, waves), y, chosen=1)
    i, j = one.best(), two.best()
    a, b = pairs[j]
    left = float(-two.beta[j, -2] * np.exp(-1 / a) - two.beta[j, -1] * np.exp(-1 / b))
    found = [
        Bounded(float(one.bic[i]), float(-one.beta[i, -1] * np.exp(-1 / _LONG_TAUS[i])), fills=True),
        Bounded(float(two.bic[j]), left, fills=True),
        Bounded(float(np.min(corner.bic)), 0.0, fills=True),
        Bounded(float(np.min(wave.bic)), 0.0, fills=False),
    ]
    return min(found, key=lambda f: f.bic)


def step(x: Floats, y: Floats, free: Floats, columns: Sequence[Floats], bic: float, alpha: float) -> Step | None:
    """One upward step, if it explains the series clearly better than what has `bic`, is beyond doubt, and stays.

    `free` is the series without what goes on beside it.
    """
    edge = max(2, len(x) // _EDGE)
    places = range(edge, len(x) - max(2, int(len(x) * _SEEN_AFTER)))
    if not places:
        return None
    fits = fit(
        stack([np.ones_like(x), *columns], [[(np.arange(len(x)) >= i).astype(np.float64)] for i in places]), y, chosen=1
    )
    best = fits.best()
    if fits.bic[best] > bic - CLEARLY:
        return None
    size = estimate(fits, best, fits.beta.shape[1] - 1)
    low, i = size.value - size.half(alpha), places[best]
    if low <= 0 or not _stays(free, i, size.value):
        return None
    return Step(float(x[i - 1] + x[i]) / 2, size.value, low, size.below(0.0))


def jumped_late(x: Floats, y: Floats, columns: Sequence[Floats], bic: float) -> bool:
    """Whether a jump at the very end, too late to see whether it stays, explains the series better than `bic`."""
    places = range(len(x) - max(2, int(len(x) * _SEEN_AFTER)), len(x))
    fits = fit(stack([np.ones_like(x), *columns], [[(np.arange(len(x)) >= i).astype(np.float64)] for i in places]), y)
    return bool(np.min(fits.bic) < bic)


def _after(x: Floats, onset: float) -> Floats:
    """Zero until `onset`, then a line that reaches one at the end."""
    return np.maximum(x - onset, 0.0) / (1 - onset)


def _stays(y: Floats, i: int, size: float) -> bool:
    """Whether the level after a step at block `i` is another one to the end, and not a burst that went by."""
    before, after = y[:i], y[i:]
    half_way = float(np.median(before)) + size / 2
    end = after[-max(2, len(after) // 3) :]
    apart = float(np.quantile(after, 0.25)) > float(np.quantile(before, 0.75))
    return apart and float(np.median(after)) > half_way and float(np.median(end)) > half_way
