"""The verdict as plain text for a terminal or a log; its first lines are what somebody on call needs.

At most WIDTH columns and no escape sequences, so that it reads the same in a CI log and in a mail.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from soak.core.records import Recording
from soak.core.verdict import Verdict
from soak.report import facts, phrases, tables
from soak.report.criteria import criterion_rows

WIDTH = 96
_INDENT = "  "
_MARKS = {"pass": "ok", "fail": "FAIL", "inconclusive": "inconclusive", "invalid": "invalid"}
_SEVERITIES = {"fail": "FAIL", "warning": "warning", "info": "info"}


def render(recording: Recording, verdict: Verdict) -> str:
    """The whole report."""
    blocks = [
        _head(recording, verdict),
        _findings(verdict),
        _criteria(recording, verdict),
        comparison(verdict),
        _latency(verdict),
        _failures(recording),
        _resources(recording),
        _hot_paths(recording),
        _allocations(recording),
        _measurement(recording, verdict),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _head(recording: Recording, verdict: Verdict) -> list[str]:
    lines = wrap(f"{facts.word(verdict)}: {facts.headline(verdict)}")
    step = facts.next_step(verdict)
    if step:
        lines += wrap(f"Next: {phrases.clean(step)}", rest="      ")
    lines += wrap(facts.summary(recording, verdict))
    for reason in facts.further_reasons(verdict):
        lines += wrap(phrases.clean(reason), "- ", "  ")
    for note in verdict.notes:
        lines += wrap(f"Note: {phrases.clean(note)}", rest="      ")
    return lines


def _findings(verdict: Verdict) -> list[str]:
    found = facts.findings(verdict)
    lines = ["FINDINGS"] if found else []
    for item in found:
        f = item.finding
        side = f" of the {item.side}" if verdict.reference is not None else ""
        lines += wrap(
            f"{item.number}. {_SEVERITIES[f.severity]}  {f.cause}: {phrases.clean(f.title)}", _INDENT, "     "
        )
        parts = (
            ("where", phrases.where(f) + side),
            ("code", phrases.clean(f.location or "")),
            ("sure", phrases.confidence(f)),
            ("rate", phrases.growth(f)),
            ("time left", phrases.time_left(f)),
            ("when", phrases.span(f)),
            ("cost", phrases.clean(f.cost or "")),
            *(("evidence", phrases.clean(line)) for line in f.evidence),
            ("next", phrases.clean(f.advice)),
        )
        last = ""
        for key, value in parts:
            if value:
                label = key if key != last else ""
                lines += wrap(value, f"     {label:10} ", " " * 16)
                last = key
    return lines


def _criteria(recording: Recording, verdict: Verdict) -> list[str]:
    rows = criterion_rows(recording, verdict)
    if not rows:
        return []
    table = [("CRITERIA", "measured", "limit", "criterion")]
    table += [(_INDENT + _MARKS[r.result], r.measured, r.limit, r.text) for r in rows]
    widths = widths_of(table)
    lines = [columns(table[0], widths).rstrip()]
    under = " " * (widths[0] + 2)
    for row, cells in zip(rows, table[1:], strict=True):
        lines += wrap(cells[3], f"{columns(cells[:3], widths)}  ", " " * (sum(widths[:3]) + 6))
        more = "; ".join(filter(None, (row.interval, row.reason)))
        if more:
            lines += wrap(more, under, under)
    return lines


def comparison(verdict: Verdict) -> list[str]:
    """The candidate against the reference, as a table."""
    rows = tables.comparison_rows(verdict)
    if not rows:
        return []
    table = [("AGAINST THE REFERENCE", "candidate", "reference", "ratio", "interval", "")]
    table += [(_INDENT + middle(r.metric, 36), r.candidate, r.reference, r.ratio, r.interval, r.change) for r in rows]
    widths = widths_of(table)
    lines = []
    for cells, reason in zip(table, ["", *(r.reason for r in rows)], strict=True):
        lines.append(columns(cells, widths, right_from=1).rstrip())
        lines += wrap(reason, _INDENT * 3, _INDENT * 3) if reason else []
    return lines


def _latency(verdict: Verdict) -> list[str]:
    rows = list(tables.latency_rows(verdict))
    if not rows:
        return []
    beside = verdict.reference is not None
    table: list[tuple[str, ...]] = [("LATENCY in ms, from", *tables.QUANTILE_LABELS, "answered", "failed")]
    named = ""
    for row in rows:
        if row.endpoint != named:
            named = row.endpoint
            table.append((_INDENT + middle(named, WIDTH - 4),))
        label = f"{row.clock}, {row.side}" if beside else row.clock
        table.append((_INDENT * 2 + label, *row.cells, row.count, row.failed))
    widths = widths_of([cells for cells in table if len(cells) > 1])
    return [columns(cells, widths, right_from=1).rstrip() for cells in table]


def _failures(recording: Recording) -> list[str]:
    rows = tables.failure_rows(recording)
    if not rows:
        return []
    beside = len(recording.sides) > 1
    table = [("FAILURES", "count", "")]
    table += [(_INDENT + middle(r.endpoint, 40) + (f", {r.side}" if beside else ""), r.count, r.error) for r in rows]
    widths = widths_of(table)
    lines = []
    for cells in table:
        lines += wrap(cells[2], f"{columns(cells[:2], widths, right_from=1)}  ", _INDENT * 3)
    return lines


def _resources(recording: Recording) -> list[str]:
    rows = list(tables.resource_rows(recording))
    if not rows:
        return []
    beside = len(recording.sides) > 1
    table = [("PROCESS", "soak began", "soak ended", "peak", "")]
    table += [(f"{_INDENT}{r.label}{f', {r.side}' if beside else ''}", r.start, r.end, r.peak, r.note) for r in rows]
    widths = widths_of(table)
    lines = []
    for cells in table:
        lines += wrap(cells[4], f"{columns(cells[:4], widths, right_from=1)}  ", _INDENT * 3)
    return lines


def _hot_paths(recording: Recording) -> list[str]:
    rows = tables.hot_rows(recording)
    if not rows:
        return []
    beside = len(recording.sides) > 1
    table = [("HOT PATHS", "in", "itself", "calls", "allocs/call", "recursion")]
    for r in rows:
        label = _INDENT + middle(r.place, 48) + (f", {r.side}" if beside else "")
        table.append((label, r.within, r.own, r.calls, r.allocations, r.recursion))
    return aligned(table)


def _allocations(recording: Recording) -> list[str]:
    rows = tables.site_rows(recording)
    if not rows:
        return []
    beside = len(recording.sides) > 1
    table = [("ALLOCATIONS for each request", "bytes", "count", "stays", "bytes at first")]
    for r in rows:
        label = _INDENT + middle(r.place, 48) + (f", {r.side}" if beside else "")
        table.append((label, r.bytes, r.allocations, r.stays, r.before))
    return aligned(table)


def _measurement(recording: Recording, verdict: Verdict) -> list[str]:
    lines = ["MEASUREMENT"]
    for name, side in facts.sides(verdict).items():
        label = f"{name}: " if verdict.reference is not None else ""
        lines += wrap(f"{label}{facts.account(side)}", _INDENT, _INDENT * 2)
        lines += wrap(f"{label}{facts.instrument(recording, name, side)}", _INDENT, _INDENT * 2)
        for reason in side.validity.reasons:
            lines += wrap(f"not to be trusted: {label}{phrases.clean(reason)}", _INDENT, _INDENT * 2)
    shown = ", ".join(f"{name} {length}" for name, length in facts.phases(recording))
    return lines + (wrap(f"phases: {shown}", _INDENT, _INDENT * 2) if shown else [])


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table whose first column alone is text."""
    widths = widths_of(table)
    return [columns(cells, widths, right_from=1).rstrip() for cells in table]


def widths_of(table: Sequence[Sequence[str]]) -> list[int]:
    """How wide each column of a table is."""
    return [max(map(len, column)) for column in zip(*table, strict=True)]


def columns(cells: Sequence[str], widths: Sequence[int], right_from: int = 99) -> str:
    """A row of a table, from some column on aligned to the right."""
    padded = [
        cell.rjust(width) if i >= right_from else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=False))
    ]
    return "  ".join(padded)


def middle(text: str, width: int) -> str:
    """Text cut in its middle: names differ at their ends."""
    if len(text) <= width:
        return text
    half = (width - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def wrap(text: str, first: str = "", rest: str = "") -> list[str]:
    """Text in lines of at most WIDTH columns."""
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False) or [
        first.rstrip()
    ]
