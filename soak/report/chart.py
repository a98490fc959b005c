"""A chart as data: traces over time in one unit, what marks it, and what it shows in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from soak.core import units
from soak.core.records import Series
from soak.core.units import Dimension
from soak.report import tables
from soak.report.decimate import decimate

Tone = Literal["side", "bad", "warn", "muted", "other"]
"""The colour of a trace: that of its side, or one that says failed, unserved, planned, or not the target's."""
Style = Literal["solid", "dash", "dot", "thin", "points"]

_SCALES: dict[Dimension, tuple[tuple[str, float], ...]] = {
    "bytes": (("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10), ("B", 1.0)),
    "time": (("ms", 1e-3),),
    "ratio": (("%", 0.01),),
    "rate": (("/s", 1.0),),
    "count": (("", 1.0),),
}
_LEAST_SPAN = 0.1
"""A y axis spans at least this share of its top, so that noise on a flat line does not look like a mountain."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One line of a chart, in base units. `endpoint` None: of the run as a whole; "" : all endpoints merged."""

    name: str
    side: str
    style: Style
    series: Series
    tone: Tone = "side"
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. Findings whose metric belongs to one of `rooms` mark it; `caption` says how to read it."""

    id: str
    title: str
    dimension: Dimension
    traces: tuple[Trace, ...]
    rooms: tuple[str, ...]
    caption: str
    log: bool = False
    from_zero: bool = False

    def summary(self, start: float, end: float) -> str:
        """What the chart shows between two times, in words, for who cannot see it."""
        parts = []
        for trace in self.traces:
            inside = tables.finite(trace.series, start, end)
            if len(inside) and trace.endpoint == self.traces[0].endpoint:
                first, last = (units.show(x, self.dimension) for x in tables.edges(inside))
                worst = units.show(float(inside.v.max()), self.dimension)
                parts.append(f"{trace.name} from {first} to {last}, at most {worst}")
        return "; ".join(parts)

    def data(self, marks: Sequence[int]) -> dict[str, Any]:
        """What the page needs to draw it; values in the unit of its axis, null where there is a hole."""
        unit, scale = self._unit()
        traces = []
        for trace in self.traces:
            thin = decimate(trace.series)
            traces.append(
                {
                    "name": trace.name,
                    "side": trace.side,
                    "style": trace.style,
                    "tone": trace.tone,
                    "endpoint": trace.endpoint,
                    "t": [round(float(t), 1) for t in thin.t],
                    "v": [_rounded(float(v) / scale) for v in thin.v],
                }
            )
        return {
            "id": self.id,
            "title": self.title,
            "unit": unit,
            "log": self.log,
            "range": None if self.log else self._range(scale),
            "marks": list(marks),
            "traces": traces,
        }

    def _unit(self) -> tuple[str, float]:
        top = self._extent()[1]
        return next((s for s in _SCALES[self.dimension] if top >= s[1]), _SCALES[self.dimension][-1])

    def _extent(self) -> tuple[float, float]:
        values = [t.series.v[np.isfinite(t.series.v)] for t in self.traces]
        found = np.concatenate([v for v in values if len(v)]) if any(len(v) for v in values) else np.zeros(1)
        return float(found.min()), float(found.max())

    def _range(self, scale: float) -> list[float]:
        low, high = (x / scale for x in self._extent())
        span = max(high - low, _LEAST_SPAN * abs(high)) or 1.0
        bottom = 0.0 if self.from_zero or low < 0.5 * high else max(0.0, (low + high - span) / 2 - 0.1 * span)
        return [bottom, max(high, (low + high + span) / 2) + 0.12 * span]


def _rounded(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None
