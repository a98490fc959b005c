"""Criteria as rows: what was measured against which limit, in the unit that the limit was written in."""

from __future__ import annotations

import re
from dataclasses import dataclass

from soak.core.criterion import Criterion
from soak.core.records import Recording
from soak.core.verdict import CriterionResult, Result, Verdict
from soak.report import phrases

_ORDER: tuple[Result, ...] = ("fail", "invalid", "inconclusive", "pass")
_HOUR_S = 3600.0
_OVER_SOAK = " over the soak"
_OF_REFERENCE = " of the reference's"


@dataclass(frozen=True, slots=True)
class CriterionRow:
    """One criterion as shown. `reason` leaves out what `measured` and `interval` say already."""

    result: Result
    text: str
    measured: str
    interval: str
    limit: str
    reason: str


def criterion_rows(recording: Recording, verdict: Verdict) -> list[CriterionRow]:
    """All criteria, the gravest result first, else in the order of the scenario."""
    written = {c.text(): c for c in recording.scenario.criteria}
    return [_row(r, _written(r, written)) for r in sorted(verdict.criteria, key=lambda r: _ORDER.index(r.result))]


def _written(result: CriterionResult, written: dict[str, Criterion]) -> Criterion | None:
    """The criterion of the scenario that a result answers; its text may be followed by the endpoint."""
    return written.get(result.text) or written.get(result.text.removesuffix(f" ({result.endpoint})"))


def _row(result: CriterionResult, criterion: Criterion | None) -> CriterionRow:
    unit, scale, words, suffix, ending = result.unit, 1.0, "limit ", "", ""
    if criterion is not None:
        words = {"growth_below": "growth below ", "ratio_below": "below ", "ratio_above": "above "}.get(
            criterion.kind, f"{criterion.kind} "
        )
        if criterion.kind == "growth_below" and criterion.limit.per is not None:
            unit, scale = f"{result.unit}/h", _HOUR_S / criterion.limit.per
        elif criterion.kind == "growth_below":
            suffix = _OVER_SOAK
        elif criterion.against_reference:
            ending = _OF_REFERENCE
    value, low, high, limit = (
        phrases.quantity(None if x is None else x * scale, unit)
        for x in (result.value, result.low, result.high, result.limit)
    )
    known = phrases.NOTHING not in (low, high) and low != high
    return CriterionRow(
        result.result,
        phrases.clean(result.text),
        value if value == phrases.NOTHING else value + suffix,
        f"{low} to {high}{suffix}" if known else "",
        words + limit + ending,
        _remainder(phrases.clean(result.reason), value, low, high),
    )


def _remainder(reason: str, value: str, low: str, high: str) -> str:
    """The reason without the value and interval at its head, in whichever order they are given.

    A reason says `59 MiB an hour` where the row says `59 MiB/h`.
    """
    if value == phrases.NOTHING:
        return reason
    value, low, high = (re.escape(text.removesuffix("/h")) + "(?:/h)?" for text in (value, low, high))
    over = f"{_OVER_SOAK}| an hour"
    head = rf"{value}(?:{over})?(?: \({low}(?:{over})? to {high}(?:{over})?\))?(?:{over})?(?=$|[,;:]| is )"
    rest = re.sub(rf"^{head}", "", reason).lstrip(" ,;:")
    return "" if rest in ("is not below the limit", "is not above the limit") else rest
