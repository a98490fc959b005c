"""A finding in words: what it is about, how fast it goes and how much time is left, for reports and for alerts.

Text that a target, a scenario or a proxy chose (endpoint names, error messages) goes through `clean`
before it reaches a terminal or a page: an escape sequence in a name must not colour, move or hide anything.
"""

from __future__ import annotations

import math
import unicodedata

from soak.core import units
from soak.core.units import Dimension
from soak.core.verdict import Finding

NOTHING = "-"
"""What stands where there is no value."""

_BASES: dict[str, Dimension] = {
    "s": "time",
    "bytes": "bytes",
    "ratio": "ratio",
    "count": "count",
    "1": "count",
    "": "count",
}
_YEAR_S = 365 * 86400.0


def clean(text: object) -> str:
    """`text` on one line, with every control, format and surrogate character made visible."""
    return "".join(map(visible, str(text)))


def visible(char: str) -> str:
    """One character as it can be shown: what would move or hide others, by its number."""
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


def where(finding: Finding) -> str:
    """What a finding is about: its metric, and the endpoint if it has one."""
    return f"{finding.metric} of {clean(finding.endpoint)}" if finding.endpoint else finding.metric
