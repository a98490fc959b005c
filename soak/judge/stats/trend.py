"""The trend of a series with noise that remembers itself: level + slope + a transient that dies away.

    z(t) = level + slope t + A exp(-t / tau) + AR(1) noise

Ordinary regression and Mann-Kendall call autocorrelated noise a trend; so the fit is feasible generalised
least squares with AR(1) errors (Prais and Winsten 1954), rho corrected for its small-sample bias (Kendall
1954), and an interval with the degrees of freedom that the correlation leaves. A warm-up that dies away is
fitted, not cut off: rules that cut (MSER-5) would cut half of every leak. The transient's time constant is
not known, so the interval is the union over all that fit about equally well (within 4 of AR-BIC).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from soak.judge.stats.blocks import MIN_BLOCKS

Floats = npt.NDArray[np.float64]
Shape = Literal["flat", "linear", "decelerating", "step"]

_TAUS: tuple[float | None, ...] = (None, *np.geomspace(0.01, 0.25, 16).tolist())
_PLATEAU_TAUS = (0.35, 0.5, 0.7, 1.0)
_ABOUT_EQUAL = 4.0  # of BIC: the weaker of two models is still one in seven
_BETTER = 2.0
_CLEARLY = 6.0  # a step chosen from twenty places must earn it
_WINSOR = 3.5  # robust standard deviations
_HIGHEST_RHO = 0.99


@dataclass(frozen=True, slots=True)
class Trend:
    """A fitted trend. `slope` (units a second) has a 95 % interval [low, high]; `level` is the fitted end.

    `span` is the time that was fitted (s), `n` the blocks and `n_eff` how many independent ones they are
    worth. `first` and `last` are what was seen: medians of the first and last blocks. `shape` says what
    kind of growth it is. For a step, `step_at` is when (s), `step_size` how high, and `step_low` the lower
    end of its interval; a step may be certain where a slope through it is not.
    """

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
    step_at: float | None = None
    step_size: float = 0.0
    step_low: float = 0.0

    @property
    def growth(self) -> float:
        """Growth over the span, in units."""
        return self.slope * self.span

    def relative(self, slope: float) -> float:
        """A slope as growth over the span by the median level; NaN for a level of zero."""
        middle = abs(self.start_level + self.level) / 2
        return slope * self.span / middle if middle > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class _Fit:
    beta: npt.NDArray[np.floating]
    covariance: npt.NDArray[np.floating]
    rho: float
    bic: float


def trend(t: Floats, z: Floats, alpha: float = 0.05) -> Trend | None:
    """Fit blocks `z` at times `t` (s, ascending, finite); None with fewer than 8 of them."""
    m = len(z)
    if m < MIN_BLOCKS:
        return None
    apart = float(np.median(np.diff(t)))
    origin, span = t[0] - apart / 2, t[-1] - t[0] + apart
    if np.ptp(z) == 0:
        return _constant(float(z[0]), float(span), m)
    x = (t - origin) / span
    largest = float(np.max(np.abs(z)))
    scale = max(float(np.median(np.abs(z))), 1e-6 * largest) or 1.0
    y = z / scale
    fits = {tau: _fit(_design(x, tau), y, extra=tau is not None) for tau in _TAUS}
    best = min(fits, key=lambda tau: fits[tau].bic)
    near = [tau for tau in fits if tau == best or (best is not None and fits[tau].bic < fits[best].bic + _ABOUT_EQUAL)]
    inferred = {tau: _infer(_design(x, tau), y, alpha) for tau in near}
    slope, low, high, rho, clean = inferred[best]
    low = min(i[1] for i in inferred.values())
    high = max(i[2] for i in inferred.values())
    shape = _shape(x, clean, slope, low, best)
    step = _step(x, y, fits[best].bic, alpha)
    if step is not None and (shape == "flat" or step.gain > _BETTER):
        shape = "step"
    beta, *_ = np.linalg.lstsq(_design(x, best), clean, rcond=None)
    stepped = step is not None and shape == "step"
    return Trend(
        slope=float(slope * scale / span),
        low=float(low * scale / span),
        high=float(high * scale / span),
        start_level=float(beta[0]) * scale,
        level=float(beta[0] + beta[1]) * scale,  # the line's end: a transient that died away is in neither end
        first=float(np.median(z[: max(1, m // 10)])),
        last=float(np.median(z[-max(1, m // 10) :])),
        span=float(span),
        n=m,
        n_eff=_effective(m, rho),
        rho=rho,
        shape=shape,
        step_at=float(origin + step.at * span) if stepped and step else None,
        step_size=step.size * scale if stepped and step else 0.0,
        step_low=step.low * scale if stepped and step else 0.0,
    )


def late_slope(t: Floats, z: Floats, share: float) -> float:
    """The slope over the last `share` of the blocks (units a second): the median over all their pairs (Theil 1950)."""
    n = max(2, round(share * len(z)) + 1)
    i, j = np.triu_indices(len(z[-n:]), 1)
    return float(np.median((z[-n:][j] - z[-n:][i]) / (t[-n:][j] - t[-n:][i])))


def _constant(value: float, span: float, m: int) -> Trend:
    """What never moved, exactly: no slope, no noise and no doubt."""
    return Trend(0.0, 0.0, 0.0, value, value, value, value, span, m, float(m), 0.0, "flat")


def _design(x: Floats, tau: float | None, *, line: bool = True) -> Floats:
    columns = [np.ones_like(x)]
    if line:
        columns.append(x)
    if tau is not None:
        columns.append(np.exp(-x / tau))
    return np.column_stack(columns)


def _fit(design: Floats, y: Floats, *, extra: bool = False) -> _Fit:
    """FGLS with AR(1) errors, two passes; `extra` charges the BIC for a parameter chosen from a grid."""
    m, k = design.shape
    beta, *_ = np.linalg.lstsq(design, y, rcond=None)
    rho = 0.0
    for _ in range(2):
        rho = _rho(y - design @ beta)
        w = np.sqrt(1 - rho * rho)
        moved = np.vstack([w * design[:1], design[1:] - rho * design[:-1]])
        target = np.concatenate([w * y[:1], y[1:] - rho * y[:-1]])
        beta, *_ = np.linalg.lstsq(moved, target, rcond=None)
    rest = target - moved @ beta
    variance = max(float(rest @ rest) / (m - k), 1e-18)
    covariance = variance * np.linalg.pinv(moved.T @ moved)
    bic = m * np.log(variance * (m - k) / m) - np.log(1 - rho * rho) + (k + extra) * np.log(m)
    return _Fit(beta, covariance, rho, float(bic))


def _rho(residuals: Floats) -> float:
    """Lag-one correlation, corrected for its bias towards zero; near one it is taken as one."""
    m = len(residuals)
    square = float(residuals[:-1] @ residuals[:-1])
    if square < 1e-24:
        return 0.0
    r = float(residuals[1:] @ residuals[:-1]) / square
    if r <= 0:
        return 0.0
    r = min(_HIGHEST_RHO, r + (2 + 4 * r) / m)
    return 0.995 if r > 1 - 0.525 / np.sqrt(m) else r


def _effective(m: int, rho: float) -> float:
    return max(4.0, m * (1 - rho) / (1 + rho))


def _infer(design: Floats, y: Floats, alpha: float) -> tuple[float, float, float, float, Floats]:
    """Slope with interval, rho, and the winsorised series that they come from."""
    clean = _winsorised(design, y)
    fit = _fit(design, clean)
    freedom = max(3.0, _effective(len(y), fit.rho) - 2)
    half = float(stats.t.ppf(1 - alpha / 2, freedom)) * float(np.sqrt(max(fit.covariance[1, 1], 0.0)))
    slope = float(fit.beta[1])
    return slope, slope - half, slope + half, fit.rho, clean


def _winsorised(design: Floats, y: Floats) -> Floats:
    """Pull isolated bumps in to 3.5 robust deviations from a least-absolute-deviations fit; steps stay."""
    weights = np.ones(len(y))
    rest = y
    for _ in range(8):
        root = np.sqrt(weights)
        beta, *_ = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)
        rest = y - design @ beta
        spread = 1.4826 * float(np.median(np.abs(rest))) + 1e-9
        weights = 1 / np.maximum(np.abs(rest), 0.3 * spread)
    clean: Floats = design @ beta + np.clip(rest, -_WINSOR * spread, _WINSOR * spread)
    return clean


def _shape(x: Floats, y: Floats, slope: float, low: float, tau: float | None) -> Shape:
    """Whether growth goes on as a line, or levels off."""
    if low <= 0 or slope <= 0:
        return "flat"
    line = _fit(_design(x, tau), y, extra=tau is not None).bic
    plateau = min(_fit(_design(x, long, line=False), y, extra=True).bic for long in _PLATEAU_TAUS)
    return "decelerating" if plateau < line - _BETTER else "linear"


@dataclass(frozen=True, slots=True)
class _Step:
    at: float
    size: float
    low: float
    gain: float


def _step(x: Floats, y: Floats, line: float, alpha: float) -> _Step | None:
    """One upward step, if it explains the series better than a line does and is beyond noise."""
    one = np.ones_like(x)
    best: _Step | None = None
    for i in range(max(2, len(x) // 10), len(x) - max(2, len(x) // 10)):
        cut = (x[i - 1] + x[i]) / 2
        design = np.column_stack([one, (x > cut) * 1.0])
        fit = _fit(design, y, extra=True)
        freedom = max(3.0, _effective(len(y), fit.rho) - 2)
        half = float(stats.t.ppf(1 - alpha / 2, freedom)) * float(np.sqrt(max(fit.covariance[1, 1], 0.0)))
        size, gain = float(fit.beta[1]), line - fit.bic
        if size - half > 0 and gain > _CLEARLY and (best is None or gain > best.gain) and _stays(y, i, size):
            best = _Step(float(cut), size, size - half, gain)
    return best


def _stays(y: Floats, i: int, size: float) -> bool:
    """Whether the level after a step at block `i` is another one to the end, and not a burst that went by."""
    before, after = y[:i], y[i:]
    half_way = float(np.median(before)) + size / 2
    end = after[-max(2, len(after) // 3) :]
    apart = float(np.quantile(after, 0.25)) > float(np.quantile(before, 0.75))
    return apart and float(np.median(after)) > half_way and float(np.median(end)) > half_way
