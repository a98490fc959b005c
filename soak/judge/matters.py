"""How much growth matters, and whether a trend shows it: significance is not size (law 6)."""

from __future__ import annotations

from dataclasses import dataclass

from soak.core.verdict import Severity
from soak.judge.stats.decide import grows
from soak.judge.stats.trend import Trend


@dataclass(frozen=True, slots=True)
class Gate:
    """The least growth over the soak that matters: relative to the level, and absolute in units."""

    relative: float
    absolute: float

    def bar(self, fitted: Trend) -> float:
        """Growth over the soak, in units, that must be reached."""
        return max(self.absolute, self.relative * fitted.base)

    def severity(self, fitted: Trend, missed: bool = False) -> Severity | None:
        """`fail` for growth that is certain, matters and goes on; `info` if it levels off; else nothing.

        It matters whatever its size if it has `missed` a limit that the scenario states.
        """
        if not missed and not grows(fitted, self.bar(fitted)):
            return None
        return "info" if fitted.shape == "decelerating" else "fail"
