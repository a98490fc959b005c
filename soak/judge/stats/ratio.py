"""How many times as much: the ratio of two sides, with an interval that knows what its windows are worth.

Windows of the same time stand in pairs, so what both suffered cancels out, and a ratio is a difference of logarithms.
Pairs remember each other: their mean is worth as many independent ones as the lag-one correlation leaves (corrected for
its small-sample bias, Kendall 1954), and the interval is Student's with that many degrees of freedom. A ratio that
clearly moves in one direction is no noise: its line is taken out before the noise is measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from soak.judge.stats.tails import beta_below, beta_quantile, normal_quantile, student_above, student_quantile
from soak.judge.stats.trend import slope

Floats = npt.NDArray[np.float64]

ALPHA = 0.05
"""The level of an interval where none is asked for."""
MIN_PAIRS = 5
"""Fewer pairs of windows than this are no interval."""
_LEAST_N_EFF = 2.0
_MANY = 30
_FEW_ARE_WORTH = 1 / 3
"""Fewer pairs than `_MANY` are counted as at most this share of them: their correlation is too badly known for more."""
_NO_NOISE = 0.001
"""So sure must a line be to be taken out: taken out of noise that wanders, it would hide how much that wanders."""
_CAUTION = 0.5
"""Standard errors by which the correlation may be larger than it looks: few windows cannot tell it well."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio with its interval [low, high] at the level asked for (95 % if none); `p` is two-sided, of a ratio of 1.

    `n` pairs were compared, worth `n_eff` independent ones.
    """

    value: float
    low: float
    high: float
    p: float
    n: int
    n_eff: float


def of_windows(t: Floats, candidate: Floats, reference: Floats, alpha: float = ALPHA) -> Ratio | None:
    """The geometric mean of the ratios of pairs of windows at times `t` (s, ascending), all values positive."""
    n = len(t)
    if n < MIN_PAIRS:
        return None
    ratios = candidate / reference
    logs = np.log(ratios)
    mean, rest, lost = float(np.mean(logs)), logs - np.mean(logs), 1
    if np.ptp(logs) == 0:
        return exact(math.exp(mean), n)
    moves, low, high = slope(t, ratios, _NO_NOISE)
    if low > 0 or high < 0:
        level = float(np.mean(ratios))
        rest, lost = (ratios - level - moves * (t - np.mean(t))) / level, 2
    rho = _lag_one(rest)
    n_eff = max(_LEAST_N_EFF, n * min((1 - rho) / (1 + rho), _FEW_ARE_WORTH if n < _MANY else 1.0))
    # noise that remembers itself strays less from its own mean than from the true one
    variance = float(rest @ rest) / max(n / 4, n - lost * n / n_eff)
    return _student(mean, math.sqrt(variance / n_eff), n_eff - 1, n, n_eff, alpha)


def of_runs(logs: Sequence[float]) -> Ratio | None:
    """The geometric mean of independent ratios, given by their logarithms; None of fewer than two."""
    n = len(logs)
    if n < 2:
        return None
    mean, sd = float(np.mean(logs)), float(np.std(logs, ddof=1))
    if sd == 0:
        return exact(math.exp(mean), n)
    return _student(mean, sd / math.sqrt(n), n - 1, n, float(n))


def of_known_noise(log: float, error: float, freedom: float) -> Ratio:
    """One ratio, given by its logarithm, whose standard error is known from elsewhere, with `freedom` degrees."""
    return exact(math.exp(log), 1) if error == 0 else _student(log, error, freedom, 1, 1.0)


def of_ranges(candidate: Floats, reference: Floats) -> Ratio:
    """The ratio of two means of a few values each; it may be as small, or as large, as any two of them make it."""
    value = float(np.mean(candidate) / np.mean(reference))
    low, high = float(np.min(candidate) / np.max(reference)), float(np.max(candidate) / np.min(reference))
    return Ratio(value, low, high, float(low <= 1 <= high), min(len(candidate), len(reference)), 1.0)


def censored(found: Ratio, candidate: bool, reference: bool) -> Ratio:
    """The same where the true value of a side may be larger, nobody knows by how much: then that end is open."""
    low, high = 0.0 if reference else found.low, math.inf if candidate else found.high
    # an end that was opened over a ratio of 1 takes the claim with it
    p = 1.0 if low <= 1 <= high and not found.low <= 1 <= found.high else found.p
    return replace(found, low=low, high=high, p=p)


def run_spread(counts: Sequence[int]) -> float:
    """How much counts of runs alike differ beyond chance: a standard deviation as a share of their mean.

    It is as much larger as Student's interval of so few runs is wider than the normal one.
    """
    n, mean = len(counts), float(np.mean(counts))
    if n < 2 or mean == 0:
        return 0.0
    wider = (student_quantile(1 - ALPHA / 2, n - 1) / normal_quantile(1 - ALPHA / 2)) ** 2
    return math.sqrt(max(0.0, (wider * float(np.var(counts, ddof=1)) / mean - 1) / mean))


def of_counts(
    candidate: Sequence[int],
    of_candidate: int,
    reference: Sequence[int],
    of_reference: int,
    alpha: float = ALPHA,
    spread: float = 0.0,
) -> Ratio | None:
    """The ratio of two shares: what was counted in each window of a side, of so many in all. None if there is none.

    Given how many there were together, those of the candidate are binomial: the exact interval of Clopper and Pearson
    (1934) is that of the ratio, also where one side has none. What comes in bunches is counted by bunches: counts are
    divided by their index of dispersion over the windows. Of counts of whole runs, `spread` is how much these differ
    beyond chance, as a share: that alone makes the index 1 + spread**2 x mean.
    """
    if sum(candidate) + sum(reference) == 0 or min(of_candidate, of_reference) <= 0:
        return None
    bunch = _bunch(spread, candidate, reference)
    a, b = sum(candidate) / bunch, sum(reference) / bunch
    low = beta_quantile(alpha / 2, a, b + 1) if a else 0.0
    high = beta_quantile(1 - alpha / 2, a + 1, b) if b else 1.0
    scale = of_reference / of_candidate
    none = of_candidate / (of_candidate + of_reference)  # the candidate's part if both fail alike
    if a and b:
        p = min(1.0, 2 * min(beta_below(none, a, b + 1), 1 - beta_below(none, a + 1, b)))
    else:
        p = min(1.0, 2 * float(none**a if a else (1 - none) ** b))
    value = math.inf if not sum(reference) else sum(candidate) / sum(reference) * scale
    return Ratio(value, _odds(low) * scale, _odds(high) * scale, p, len(candidate), a + b)


def exact(value: float, n: int = 1) -> Ratio:
    """A ratio without any doubt."""
    return Ratio(value, value, value, float(value == 1), n, float(n))


def _student(mean: float, error: float, freedom: float, n: int, n_eff: float, alpha: float = ALPHA) -> Ratio:
    half = student_quantile(1 - alpha / 2, freedom) * error
    p = 2 * student_above(abs(mean) / error, freedom)
    return Ratio(math.exp(mean), _exp(mean - half), _exp(mean + half), p, n, n_eff)


def _lag_one(rest: Floats) -> float:
    """Lag-one correlation of what has a mean of zero, never negative, corrected for its bias towards zero."""
    n, square = len(rest), float(rest[:-1] @ rest[:-1])
    r = float(rest[1:] @ rest[:-1]) / square if square > 0 else 0.0
    r += (1 + 4 * r) / n
    return min(0.99, max(0.0, r + _CAUTION * math.sqrt(max(0.0, 1 - r * r) / n)))


def _bunch(spread: float, *sides: Sequence[int]) -> float:
    """How many at once, on average over both sides, each with the weight that its noise has in their ratio."""
    totals = [sum(counts) for counts in sides if sum(counts)]
    dispersions = [_dispersion(spread, counts) for counts in sides if sum(counts)]
    weighed = sum(d / total for d, total in zip(dispersions, totals, strict=True))
    return max(1.0, weighed / sum(1 / total for total in totals))


def _dispersion(spread: float, counts: Sequence[int]) -> float:
    mean = float(np.mean(counts))
    seen = float(np.var(counts, ddof=1)) / mean if len(counts) > 1 else 1.0
    return max(seen, 1 + spread**2 * mean) if spread else seen


def _odds(share: float) -> float:
    return math.inf if share >= 1 else share / (1 - share)


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf
