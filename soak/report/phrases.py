"""Values, rates, times and names as people say them; what every view shares.

Text that a target, a scenario or a proxy chose (endpoint names, error messages) goes through `clean`
before it reaches a terminal or a page: an escape sequence in a name must not colour, move or hide anything.
"""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime

from soak.core import units
from soak.core.units import Dimension
from soak.core.verdict import Finding, StoppedEarly

NOTHING = "-"
"""What stands where there is no value."""

WORDS = {"pass": "PASS", "fail": "FAIL", "inconclusive": "INCONCLUSIVE", "invalid": "INVALID"}
"""The word of each result."""

MEANINGS = {
    "pass": "Every criterion was met and nothing that grows was found.",
    "fail": "Something is wrong with the target.",
    "inconclusive": "The evidence does not settle it; this is no pass.",
    "invalid": "The measurement itself cannot be trusted, so nothing is said of the target.",
}
"""What each result means, in one line."""

_BASES: dict[str, Dimension] = {
    "s": "time",
    "bytes": "bytes",
    "ratio": "ratio",
    "count": "count",
    "1": "count",
    "": "count",
}
_YEAR_S = 365 * 86400.0


def certainty(early: StoppedEarly) -> str:
    """How it was certain that a run would pass or fail: `a fail was certain after 36 s, at look 3 of 10`."""
    text = f"a {early.rule} was certain after {units.duration(round(early.at_s))}"
    if early.look is None or early.level is None:
        return text
    return f"{text}, at look {early.look} of {early.looks}, by intervals of {100 * (1 - early.level):.4g} %"


def clean(text: object) -> str:
    """`text` on one line, with every control, format and surrogate character made visible."""
    return "".join(map(_visible, str(text)))


def clean_block(text: object) -> str:
    """`text` with its line breaks and tabs kept and every other control character made visible."""
    lines = str(text).replace("\r\n", "\n").split("\n")
    return "\n".join("".join("\t" if c == "\t" else _visible(c) for c in line) for line in lines)


def _visible(char: str) -> str:
    if char in "\n\r\t":
        return " "
    if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def quantity(value: float | None, unit: str | None) -> str:
    """A value in base units of `unit`: s, bytes, ratio, count or 1/s, also by time (bytes/h, ratio/h)."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if unit == "exponent":
        return f"n^{value:.2f}"
    base, _, per = (unit or "").partition("/")
    dimension = _BASES.get(base)
    if dimension is None:
        return f"{units.show(value, 'count')} {clean(unit)}"
    shown = units.show(value, dimension)
    return f"{shown}/{clean(per)}" if per else shown


def interval(low: float | None, high: float | None, unit: str | None) -> str:
    """An interval in words, or nothing when neither end is known."""
    below, above = quantity(low, unit), quantity(high, unit)
    if below == NOTHING and above == NOTHING:
        return ""
    if below == NOTHING:
        return f"up to {above}"
    return f"at least {below}" if above == NOTHING else f"{below} to {above}"


def growth(finding: Finding) -> str:
    """The rate of a finding with its interval; empty when it has none."""
    rate = quantity(finding.rate, finding.rate_unit)
    if rate == NOTHING:
        return ""
    span = interval(finding.low, finding.high, finding.rate_unit)
    return f"{rate} ({span})" if span else rate


def time_left(finding: Finding) -> str:
    """The time left to the limit of a finding, with its interval; empty when none was computed."""
    if finding.eta_s is None or not math.isfinite(finding.eta_s):
        return ""
    text = _far(finding.eta_s)
    ends = [e for e in (finding.eta_low_s, finding.eta_high_s) if e is not None and math.isfinite(e)]
    if len(ends) == 2 and _far(ends[0]) != _far(ends[1]):
        text += f" ({_far(ends[0])} to {_far(ends[1])})"
    return f"{text} to {clean(finding.eta_limit)}" if finding.eta_limit else text


def _far(seconds: float) -> str:
    return "more than a year" if seconds > _YEAR_S else units.duration(max(seconds, 0.0))


def span(finding: Finding) -> str:
    """Where a finding lies on the time axis, from the start of the run; empty when it is not placed."""
    if finding.start is None:
        return ""
    begin = units.duration(round(finding.start))
    if finding.end is None or finding.end <= finding.start:
        return f"{begin} into the run"
    return f"{begin} to {units.duration(round(finding.end))} into the run"


def where(finding: Finding) -> str:
    """What a finding is about: its metric, and the endpoint if it has one."""
    return f"{finding.metric} of {clean(finding.endpoint)}" if finding.endpoint else finding.metric


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
