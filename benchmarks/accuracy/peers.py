"""What others would say of the same series: tests for a trend, a change point detector, and static limits.

They get every point, and are not told of what kind a series is: that is how they are used. The two limits are ours;
other limits would miss more or cry wolf more often.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.accuracy.family import Floats

_ALPHA = 0.05
_BASE = 0.1  # of the run: what is called normal
_WINDOW = 6  # points: their mean is a window of a threshold
_ANY_WINDOW, _MEAN = 1.2, 1.05
_OTAVA = (50, 0.001, 0.05)
"""Window, p-value and least relative change of a change point; the first two are Otava's own defaults."""


def any_window(v: Floats) -> bool:
    """Whether any window's mean is 20 % above the first tenth: a threshold as load generators have them."""
    windows = [float(part.mean()) for part in np.array_split(v, max(1, len(v) // _WINDOW))]
    return max(windows) > _ANY_WINDOW * _normal(v)


def run_mean(v: Floats) -> bool:
    """Whether the mean of the run is 5 % above that of its first tenth."""
    return float(v.mean()) > _MEAN * _normal(v)


def _normal(v: Floats) -> float:
    return float(v[: max(1, round(_BASE * len(v)))].mean())


def available() -> dict[str, Callable[[Floats], bool]]:
    """All of them that are installed, by name; True means that it finds growth."""
    found: dict[str, Callable[[Floats], bool]] = {}
    kendall, otava = _module("pymannkendall"), _module("otava.analysis")
    if kendall is not None:
        found["Mann-Kendall"] = lambda v: _rises(kendall.original_test, v)
        found["Hamed-Rao"] = lambda v: _rises(kendall.hamed_rao_modification_test, v)
    if otava is not None:
        found["Otava"] = lambda v: any(
            point.stats.mean_2 > point.stats.mean_1 for point in otava.compute_change_points(v.tolist(), *_OTAVA)[0]
        )
    found["any window +20 %"] = any_window
    found["run mean +5 %"] = run_mean
    return found


def missing() -> list[str]:
    """What is not installed, so that the table can say so."""
    return [name for name, module in _PACKAGES.items() if _module(module) is None]


_PACKAGES = {"pymannkendall": "pymannkendall", "apache-otava": "otava.analysis"}


def _rises(test: Callable[[Floats, float], Any], v: Floats) -> bool:
    with np.errstate(invalid="ignore"):  # Hamed and Rao's variance may come out negative: then it finds nothing
        result = test(v, _ALPHA)
    return bool(result.h and result.trend == "increasing")


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
