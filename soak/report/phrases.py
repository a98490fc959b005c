"""Values, rates, times and names as people say them; what every view shares. What alerts say too is in core."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from soak.core import units
from soak.core.verdict import Finding, StoppedEarly
from soak.core.wording import NOTHING, clean, growth, interval, quantity, time_left, visible, where

__all__ = [
    "MEANINGS",
    "NOTHING",
    "WORDS",
    "certainty",
    "clean",
    "clean_block",
    "confidence",
    "count",
    "growth",
    "interval",
    "milliseconds",
    "plural",
    "quantity",
    "span",
    "time_left",
    "wall_clock",
    "where",
]

WORDS = {"pass": "PASS", "fail": "FAIL", "inconclusive": "INCONCLUSIVE", "invalid": "INVALID"}
"""The word of each result."""

MEANINGS = {
    "pass": "Every criterion was met and nothing that grows was found.",
    "fail": "Something is wrong with the target.",
    "inconclusive": "The evidence does not settle it; this is no pass.",
    "invalid": "The measurement itself cannot be trusted, so nothing is said of the target.",
}
"""What each result means, in one line."""


def certainty(early: StoppedEarly) -> str:
    """How it was certain that a run would pass or fail: `a fail was certain after 36 s, at look 3 of 10`."""
    text = f"a {early.rule} was certain after {units.duration(round(early.at_s))}"
    if early.look is None or early.level is None:
        return text
    return f"{text}, at look {early.look} of {early.looks}, by intervals of {100 * (1 - early.level):.4g} %"


def clean_block(text: object) -> str:
    """`text` with its line breaks and tabs kept and every other control character made visible."""
    lines = str(text).replace("\r\n", "\n").split("\n")
    return "\n".join("".join("\t" if c == "\t" else visible(c) for c in line) for line in lines)


def span(finding: Finding) -> str:
    """Where a finding lies on the time axis, from the start of the run; empty when it is not placed."""
    if finding.start is None:
        return ""
    begin = units.duration(round(finding.start))
    if finding.end is None or finding.end <= finding.start:
        return f"{begin} into the run"
    return f"{begin} to {units.duration(round(finding.end))} into the run"


def milliseconds(value: float | None) -> str:
    """A latency in ms without its unit, about three significant digits: 0.420, 4.87, 12.4, 1,240."""
    if value is None or not math.isfinite(value):
        return NOTHING
    decimals = next((d for bound, d in ((1, 3), (10, 2), (100, 1)) if abs(value) < bound), 0)
    return f"{value:,.{decimals}f}"


def count(n: float) -> str:
    """A whole number with its thousands set apart."""
    return f"{n:,.0f}"


def wall_clock(epoch: float) -> str:
    """A moment in UTC, to the second."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def plural(n: int, noun: str) -> str:
    """`1 finding`, `2 findings`."""
    return f"{count(n)} {noun}{'' if n == 1 else 's'}"


_SURE = {
    "high": "the cause is told with high confidence",
    "medium": "the cause is told with medium confidence",
    "low": "that it grows is sure, its cause is not",
}


def confidence(finding: Finding) -> str:
    """How sure the cause of a finding is, in words; empty when nothing is to be said of it."""
    return _SURE[finding.confidence] if finding.confidence else ""
