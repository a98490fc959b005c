"""Roll-ups: intervals merged into windows, so that a run of days opens in seconds."""

from __future__ import annotations

import sqlite3

from soak.core.histogram import Histogram
from soak.core.scenario import Scenario

WINDOWS = 360
"""A run is kept in about this many windows: 80 s each in an 8 h soak."""

Rolled = tuple[str, str, str, str, float, float, int, bytes]
"""side, endpoint, outcome, clock, start, length, clamped, histogram"""


def window_length(scenario: Scenario) -> float:
    """Length of a roll-up window in seconds: a whole number of intervals."""
    interval = scenario.interval_s
    return interval * max(1, round(scenario.load_s / WINDOWS / interval))


def roll(db: sqlite3.Connection, start: float, end: float) -> list[Rolled]:
    """Merge the intervals that begin in [start, end) by side, endpoint, outcome and clock."""
    parts: dict[tuple[str, str, str, str], list[Histogram]] = {}
    rows = db.execute(
        "SELECT side, endpoint, outcome, clock, clamped, histogram FROM interval WHERE start >= ? AND start < ?",
        (start, end),
    )
    for side, endpoint, outcome, clock, clamped, blob in rows:
        parts.setdefault((side, endpoint, outcome, clock), []).append(Histogram.decode(blob, clamped))
    merged = {key: Histogram.merge(found) for key, found in parts.items()}
    return [(*key, start, end - start, h.clamped, h.encode()) for key, h in merged.items()]
