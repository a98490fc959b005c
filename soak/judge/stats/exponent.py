"""How cost grows with size: cost = fixed + scale n^b + noise, its exponent b with an interval, and its class.

A plain slope of log cost on log size lets the fixed part of a request hide the exponent: 2 ms + 1 us n looks like
n^0.1 while n is small. So the fixed part is fitted, and b is profiled over a grid. The power is written as Box and
Cox (1964) do, (n^b - 1) / b: b = 0 is then log n, and the family is one from what levels off (b < 0) to n^3.

Noise is AR(1), its size the same everywhere or a share of the cost, whichever is likelier. The interval is that of
the profile likelihood: all b whose residuals are not worse than chance makes them, by Student's t with the degrees
of freedom that the correlation leaves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soak.judge.stats.tails import student_quantile

Floats = npt.NDArray[np.float64]

MIN_WINDOWS = 10
"""Fewer than this are no exponent."""

_GRID = np.round(np.arange(-2.0, 4.001, 0.05), 2)
_FREE_BELOW = 0.5
"""Exponents from here on have a cost at size nought, and it is not negative; log n has none there."""
_SYSTEMATIC = 0.1
_WINSOR = 3.5
_HIGHEST_RHO = 0.97
_PARAMETERS = 3
_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Curve:
    """cost(n) = level + scale ((n / unit)^b - 1) / b, in the units of the cost; `unit` is the largest size seen."""

    b: float
    level: float
    scale: float
    unit: float

    def at(self, n: float) -> float:
        """The cost at size `n` (above 0)."""
        return self.level + self.scale * float(_power(np.array([n / self.unit]), self.b)[0])

    def size_at(self, cost: float) -> float | None:
        """The size at which `cost` is reached; None if it never is."""
        if self.scale <= 0:
            return None
        step = (cost - self.level) / self.scale
        if abs(self.b) < 1e-9:
            return self.unit * math.exp(step) if step < 500 else None
        base = 1 + self.b * step
        return self.unit * base ** (1 / self.b) if base > 0 else None


@dataclass(frozen=True, slots=True)
class Exponent:
    """The best curve, and those at the ends of the 95 % interval of its exponent.

    `size` is the largest n seen, `n_eff` how many independent windows it was fitted to, `score` is minus twice the
    log-likelihood (up to a constant): of two sizes for the same costs, the lower one explains them better.
    """

    best: Curve
    least: Curve
    most: Curve
    size: float
    n_eff: float
    score: float

    @property
    def low(self) -> float:
        """The lower end of the exponent's interval."""
        return self.least.b

    @property
    def high(self) -> float:
        """The upper end of the exponent's interval."""
        return self.most.b

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of complexity that the interval holds, give or take 0.1; none when it lies between two of them.

        No host is so steady that the fixed part of a cost stays the same all the time, and no interval knows of that.
        """
        low, high = self.low - _SYSTEMATIC, self.high + _SYSTEMATIC
        return tuple(name for name, b in self._known.items() if low <= b <= high)

    @property
    def nearest(self) -> str:
        """The class whose exponent is the nearest to the fitted one."""
        return min(self._known, key=lambda name: abs(self._known[name] - self.best.b))

    @property
    def _known(self) -> dict[str, float]:
        return {
            "O(log n)": 0.0,
            "O(n)": 1.0,
            "O(n log n)": 1 + 1 / math.log(max(self.size, 10.0)),  # its slope in logarithms at the largest size
            "O(n^2)": 2.0,
            "O(n^3)": 3.0,
        }


def exponent(n: Floats, z: Floats, beside: Floats | None = None) -> Exponent | None:
    """Fit costs `z` at sizes `n` (above 0, in order of time); None if they are too few or do not grow.

    `beside` is something else that costs may depend on, such as the rate of arrivals at that moment.
    """
    m = len(z)
    if m < MIN_WINDOWS or float(np.min(n)) <= 0 or np.ptp(n) == 0 or np.ptp(z) == 0:
        return None
    x, scale = n / np.max(n), float(np.median(np.abs(z))) or 1.0
    y = z / scale
    extra = None if beside is None or np.ptp(beside) == 0 else (beside - beside.mean()) / np.std(beside)
    rough = _profile(x, y, extra, np.ones(m), 0.0)
    if not np.isfinite(rough.best.rest).all():
        return None
    y = _winsorised(y, rough.best.fitted)
    even = _profile(x, y, extra, np.ones(m), 0.0)
    share = 1 / np.maximum(even.best.fitted, 0.2 * float(np.median(y)))
    weights = min((np.ones(m), share), key=lambda w: _score(_profile(x, y, extra, w, 0.0).best.rest, w, 0.0))
    rho = _rho(_profile(x, y, extra, weights, 0.0).best.rest)
    found = _profile(x, y, extra, weights, rho)
    if not np.isfinite(found.best.rest).all():
        return None
    n_eff = max(4.0, m * (1 - rho) / (1 + rho))
    squares = np.array([float(f.rest @ f.rest) for f in found.fits])
    variance = max(float(np.min(squares)) / (m - _PARAMETERS), 1e-18)
    reach = float(student_quantile(1 - _ALPHA / 2, max(3.0, n_eff - _PARAMETERS))) ** 2
    within = np.flatnonzero(squares <= np.min(squares) + variance * reach)
    unit = float(np.max(n))
    return Exponent(
        best=found.best.curve(scale, unit),
        least=found.fits[max(within[0] - 1, 0)].curve(scale, unit),  # the end itself lies between two of the grid
        most=found.fits[min(within[-1] + 1, len(_GRID) - 1)].curve(scale, unit),
        size=unit,
        n_eff=n_eff,
        score=_score(found.best.rest, weights, rho),
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    b: float
    level: float
    scale: float
    fitted: Floats
    rest: Floats
    """Residuals, weighted and without what each remembers of the one before."""

    def curve(self, scale: float, unit: float) -> Curve:
        return Curve(self.b, self.level * scale, self.scale * scale, unit)


@dataclass(frozen=True, slots=True)
class _Profile:
    fits: list[_Fit]
    best: _Fit


def _profile(x: Floats, y: Floats, extra: Floats | None, weights: Floats, rho: float) -> _Profile:
    fits = [_fit(x, y, extra, weights, rho, float(b)) for b in _GRID]
    return _Profile(fits, min(fits, key=lambda f: float(f.rest @ f.rest)))


def _fit(x: Floats, y: Floats, extra: Floats | None, weights: Floats, rho: float, b: float) -> _Fit:
    """Least squares for one exponent; a cost that would fall is no fit, and none is negative at size nought."""
    power = _power(x, b)
    columns = [np.ones_like(x), power] + ([extra] if extra is not None else [])
    beta, rest = _solve(np.column_stack(columns), y, weights, rho)
    level, scale = float(beta[0]), float(beta[1])
    if b >= _FREE_BELOW and level < scale / b:
        columns = [power + 1 / b, *columns[2:]]
        beta, rest = _solve(np.column_stack(columns), y, weights, rho)
        scale = float(beta[0])
        level = scale / b
    if scale <= 0:
        rest = np.full_like(rest, np.inf)
    fitted = level + scale * power
    return _Fit(b, level, scale, fitted, rest)


def _solve(design: Floats, y: Floats, weights: Floats, rho: float) -> tuple[Floats, Floats]:
    design, y = design * weights[:, None], y * weights
    first = math.sqrt(1 - rho * rho)
    moved = np.vstack([first * design[:1], design[1:] - rho * design[:-1]])
    target = np.concatenate([first * y[:1], y[1:] - rho * y[:-1]])
    beta, *_ = np.linalg.lstsq(moved, target, rcond=None)
    return beta, target - moved @ beta


def _power(x: Floats, b: float) -> Floats:
    """(x^b - 1) / b, which is log x for b = 0."""
    grown: Floats = np.log(x) if abs(b) < 1e-9 else (np.power(x, b) - 1) / b
    return grown


def _winsorised(y: Floats, fitted: Floats) -> Floats:
    """Pull isolated bumps in to 3.5 robust deviations from the fit."""
    rest = y - fitted
    spread = 1.4826 * float(np.median(np.abs(rest))) + 1e-12
    clean: Floats = fitted + np.clip(rest, -_WINSOR * spread, _WINSOR * spread)
    return clean


def _score(rest: Floats, weights: Floats, rho: float) -> float:
    """Minus twice the log-likelihood, up to a constant."""
    m = len(rest)
    variance = max(float(rest @ rest) / m, 1e-18)
    return m * math.log(variance) - 2 * float(np.sum(np.log(weights))) - math.log(1 - rho * rho)


def _rho(rest: Floats) -> float:
    """Lag-one correlation, corrected for its bias towards nought (Kendall 1954)."""
    square = float(rest[:-1] @ rest[:-1])
    if square < 1e-24:
        return 0.0
    r = float(rest[1:] @ rest[:-1]) / square
    return min(_HIGHEST_RHO, r + (2 + 4 * r) / len(rest)) if r > 0 else 0.0
