"""When a line reaches a limit, with an interval: where the band around the line does (Fieller 1954)."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Band:
    """A line from now on: `rate` (units a second), and the half-widths of the 95 % intervals of where it stands now
    (`end_error`, units) and of its rate (`rate_error`); `together` is what the two errors have in common (units² / s).
    """

    rate: float
    end_error: float
    rate_error: float
    together: float

    def reach(self, room: float) -> tuple[float | None, float | None, float | None]:
        """Seconds until it has grown by `room` units: at the earliest, by the line, at the latest (None: never).

        The edges of the band lie at  rate x +- sqrt(end² + 2 together x + rate_error² x²).
        """
        if room <= 0:  # it is there already
            return 0.0, 0.0, 0.0
        at = room / self.rate if self.rate > 0 else None
        a = self.rate**2 - self.rate_error**2
        b = -(room * self.rate + self.together)
        c = room**2 - self.end_error**2
        early = 0.0 if c <= 0 else _first_root(a, b, c)  # it may be there already
        if early is None:
            return None, at, None
        if a <= 0:  # it may as well not grow at all
            return early, at, None
        return early, at, (-b + math.sqrt(max(0.0, b * b - a * c))) / a


def _first_root(a: float, b: float, c: float) -> float | None:
    """The least positive x with a x² + 2 b x + c = 0."""
    if abs(a) < 1e-300:
        return -c / (2 * b) if b < 0 else None
    root = math.sqrt(max(0.0, b * b - a * c))
    roots = sorted(((-b - root) / a, (-b + root) / a))
    return next((r for r in roots if r > 0), None)
