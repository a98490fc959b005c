"""Regression in noise that remembers itself: many designs at once, by feasible generalised least squares.

    y = X beta + u,   u(i) = rho u(i-1) + e(i)

Errors are AR(1) (Prais and Winsten 1954), rho corrected for its small-sample bias (Kendall 1954) and taken as
a unit root where it cannot be told from one. Real noise is not AR(1): standard errors are therefore taken a
second time from the scores of the whitened regression with cosine weights (Lazarus, Lewis, Stock and Watson
2018), and the larger doubt of the two counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soak.judge.stats.tails import student_above, student_quantile

Floats = npt.NDArray[np.float64]

_HIGHEST_RHO = 0.99
_UNIT_ROOT = 0.995
_RIDGE = 1e-12
_COSINES = 5
"""Blocks for each cosine: the scores' noise is taken as even over periods longer than ten blocks."""


@dataclass(frozen=True, slots=True)
class Fits:
    """C designs of m rows and k columns fitted to one series.

    `beta` is (C, k), `gram` (C, k, k) the whitened X'X, `rho` and `variance` (C,), `bic` (C,) that of the
    innovations: BIC of ordinary residuals would take correlation for structure.
    """

    beta: Floats
    gram: Floats
    rho: Floats
    variance: Floats
    bic: Floats
    whitened: Floats
    rest: Floats

    def best(self) -> int:
        """The design with the least BIC."""
        return int(np.argmin(self.bic))


@dataclass(frozen=True, slots=True)
class Estimate:
    """One coefficient with its doubts: standard errors with their degrees of freedom.

    `wary` is the doubt if rho is a standard error higher: what looks like a trend took correlation with it.
    """

    value: float
    doubts: tuple[tuple[float, float], ...]
    wary: tuple[float, float] = (0.0, 1.0)

    def half(self, alpha: float) -> float:
        """Half the width of its two-sided interval at level 1 - `alpha`."""
        return max(student_quantile(1 - alpha / 2, freedom) * error for error, freedom in self.doubts)

    def below(self, bound: float) -> float:
        """The one-sided p-value of the hypothesis that it is no more than `bound`."""
        return max(_tail((self.value - bound), error, freedom) for error, freedom in (*self.doubts, self.wary))

    def above(self, bound: float) -> float:
        """The one-sided p-value of the hypothesis that it is `bound` or more."""
        return max(_tail((bound - self.value), error, freedom) for error, freedom in self.doubts)

    def scaled(self, unit: float) -> Estimate:
        """The same in other units."""
        doubts = tuple((error * unit, freedom) for error, freedom in self.doubts)
        return Estimate(self.value * unit, doubts, (self.wary[0] * unit, self.wary[1]))


def fit(designs: Floats, y: Floats, chosen: int = 0) -> Fits:
    """Fit `designs` (C, m, k) to `y` (m,); `chosen` charges BIC for as many parameters chosen from a grid."""
    count, m, k = designs.shape
    target = np.broadcast_to(y, (count, m))
    beta, gram = _least_squares(designs, target)
    rho = np.zeros(count)
    whitened, moved = designs, target
    for _ in range(2):
        rho = _rho(target - (designs @ beta[..., None])[..., 0])
        w = np.sqrt(1 - rho**2)
        whitened = np.concatenate(
            [w[:, None, None] * designs[:, :1], designs[:, 1:] - rho[:, None, None] * designs[:, :-1]], axis=1
        )
        moved = np.concatenate([w[:, None] * target[:, :1], target[:, 1:] - rho[:, None] * target[:, :-1]], axis=1)
        beta, gram = _least_squares(whitened, moved)
    rest = moved - (whitened @ beta[..., None])[..., 0]
    variance = np.maximum(np.einsum("cm,cm->c", rest, rest) / (m - k), 1e-18)
    bic = m * np.log(variance * (m - k) / m) - np.log(1 - rho**2) + (k + chosen) * np.log(m)
    return Fits(beta, gram, rho, variance, bic, whitened, rest)


def stack(base: Sequence[Floats], additions: Sequence[Sequence[Floats]]) -> Floats:
    """Designs (C, m, k): the columns of `base` and, for each of C `additions` of equal number, its columns."""
    designs = np.empty((len(additions), len(base[0]), len(base) + len(additions[0])))
    designs[..., : len(base)] = np.column_stack(base)
    if len(additions[0]):
        designs[..., len(base) :] = np.asarray(additions).transpose(0, 2, 1)
    return designs


def effective(m: int, rho: float) -> float:
    """How many independent blocks `m` correlated ones are worth; never fewer than four."""
    return max(4.0, m * (1 - rho) / (1 + rho))


def covariance(fits: Fits, which: int) -> Floats:
    """Of the coefficients of design `which`, if the noise is AR(1)."""
    found: Floats = fits.variance[which] * np.linalg.pinv(fits.gram[which])
    return found


def estimate(fits: Fits, which: int, column: int) -> Estimate:
    """The coefficient of `column` in design `which`."""
    rho = float(fits.rho[which])
    x, rest = fits.whitened[which], fits.rest[which]
    m = len(x)
    error = float(np.sqrt(max(covariance(fits, which)[column, column], 0.0)))
    cosines = max(4, m // _COSINES)
    robust = _cosine_error(x, rest, column, cosines)
    freedom = max(3.0, effective(m, rho) - 2)
    more = min(_UNIT_ROOT, rho + float(np.sqrt((1 - rho * rho) / m))) if rho > 0 else 0.0
    wider = float(np.sqrt((1 + more) / (1 - more) * (1 - rho) / (1 + rho)))
    wary = (error * wider, max(3.0, effective(m, more) - 2))
    return Estimate(float(fits.beta[which, column]), ((error, freedom), (robust, float(cosines))), wary)


def _cosine_error(x: Floats, rest: Floats, column: int, cosines: int) -> float:
    """Standard error of a coefficient from the lowest frequencies of its scores."""
    m, k = x.shape
    others = np.delete(x, column, axis=1)
    alone = x[:, column] - others @ np.linalg.lstsq(others, x[:, column], rcond=None)[0]
    weights = np.sqrt(2 / m) * np.cos(np.pi * np.outer(np.arange(1, cosines + 1), np.arange(m) + 0.5) / m)
    power = float(np.mean((weights @ (alone * rest)) ** 2))
    return float(np.sqrt(power * m * m / (m - k))) / max(float(alone @ alone), 1e-18)


def _least_squares(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    gram = x.transpose(0, 2, 1) @ x
    k = gram.shape[1]
    ridge = _RIDGE * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(k)
    return np.linalg.solve(gram + ridge, x.transpose(0, 2, 1) @ y[..., None])[..., 0], gram


def _rho(residuals: Floats) -> Floats:
    """Lag-one correlation of each row, corrected for its bias towards zero; near one it is taken as one."""
    m = residuals.shape[1]
    square = np.einsum("cm,cm->c", residuals[:, :-1], residuals[:, :-1])
    product = np.einsum("cm,cm->c", residuals[:, 1:], residuals[:, :-1])
    r = np.where(square > 1e-24, product / np.maximum(square, 1e-24), 0.0)
    corrected = np.minimum(_HIGHEST_RHO, r + (2 + 4 * r) / m)
    corrected = np.where(corrected > 1 - 0.525 / np.sqrt(m), _UNIT_ROOT, corrected)
    return np.where(r <= 0, 0.0, corrected)


def _tail(distance: float, error: float, freedom: float) -> float:
    if error <= 0:
        return 0.0 if distance > 0 else 1.0
    return student_above(distance / error, freedom)
