"""Whether two series move together in time, beyond both of them growing.

Any two things that grow steadily look alike, whatever they have to do with each other. So a straight line proves
nothing here: what counts is a knee at the same moment, or wiggles around the lines that are the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from soak.judge.stats.tails import student_above

Floats = npt.NDArray[np.float64]

_LEAST = 12
"""Windows; with fewer, nothing is told."""
_ALIKE = 0.6
_CHANCE = 1e-3
_KNEE_BIC = 10.0
_EDGE = 0.15
"""Of the span, at either end: a knee there cannot be told from a line."""
_SAME_KNEE = 0.07
_SAME_SHAPE = 0.9


def together(t: Floats, a: Floats, b: Floats) -> bool:
    """Whether `a` and `b`, both at times `t`, have the same knee or the same wiggles."""
    if len(t) < _LEAST or np.ptp(a) == 0 or np.ptp(b) == 0:
        return False
    one, other = knee(t, a), knee(t, b)
    if one is not None and other is not None:
        near = abs(one - other) <= _SAME_KNEE * float(np.ptp(t))
        return near and float(np.corrcoef(a, b)[0, 1]) >= _SAME_SHAPE
    return one is None and other is None and wiggle_alike(t, a, b)


def knee(t: Floats, v: Floats) -> float | None:
    """When growth began, if it clearly began within the span: a hinge fits far better than a line (BIC)."""
    n = len(t)
    one = np.ones(n)
    line = _rest(np.column_stack([one, t]), v)
    low, high = t[0] + _EDGE * np.ptp(t), t[-1] - _EDGE * np.ptp(t)
    hinges = [(_rest(np.column_stack([one, np.maximum(0.0, t - k)]), v), float(k)) for k in t if low <= k <= high]
    if not hinges:
        return None
    rest, at = min(hinges)
    floor = 1e-12 * float(v @ v) + 1e-300
    return at if n * np.log(max(line, floor) / max(rest, floor)) > _KNEE_BIC + np.log(n) else None


def wiggle_alike(t: Floats, a: Floats, b: Floats) -> bool:
    """Whether what is left of both beside their lines is correlated, allowing for noise that remembers itself."""
    design = np.column_stack([np.ones(len(t)), t])
    x, y = (v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (a, b))
    if np.std(x) == 0 or np.std(y) == 0:
        return False
    r = float(np.corrcoef(x, y)[0, 1])
    memory = max(0.0, _lag_one(x)) * max(0.0, _lag_one(y))
    freedom = len(t) * (1 - memory) / (1 + memory) - 3
    if r < _ALIKE or freedom < 1:
        return False
    return student_above(r * float(np.sqrt(freedom / max(1e-12, 1 - r * r))), freedom) < _CHANCE


def _rest(design: Floats, v: Floats) -> float:
    gap = v - design @ np.linalg.lstsq(design, v, rcond=None)[0]
    return float(gap @ gap)


def _lag_one(x: Floats) -> float:
    return float(np.corrcoef(x[:-1], x[1:])[0, 1]) if np.std(x[:-1]) > 0 and np.std(x[1:]) > 0 else 0.0
