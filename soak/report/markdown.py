"""The verdict as GitHub-flavoured Markdown, made for a comment on a pull request.

Names are kept as they are: what Markdown or HTML would read as markup is escaped, pipes in tables too,
and an `@` in prose does not call anybody. Long tables are cut, for a comment holds 65,536 characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from soak.core.records import Recording
from soak.core.verdict import Result, Severity, Verdict
from soak.report import facts, phrases, tables
from soak.report.criteria import CriterionRow, criterion_rows
from soak.report.facts import NumberedFinding

MAX_ROWS = 30
MAX_FINDINGS = 8
_MAX_LINES = 10
_LONGEST = 300
_BADGES: dict[Result, str] = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "invalid": "⚠️"}
_SEVERITIES: dict[Severity, str] = {"fail": "❌ fails the run", "warning": "⚠️ warning", "info": "ℹ️ for information"}
_MARKUP = re.compile(r"([\\`*_\[\]<>|~#])")


def render(recording: Recording, verdict: Verdict) -> str:
    """The comment."""
    found = facts.findings(verdict)
    rows = criterion_rows(recording, verdict)
    step = facts.next_step(verdict)
    parts = [
        f"## {_BADGES[verdict.verdict]} {facts.word(verdict)}: soak of {_code(verdict.scenario)}",
        f"**{_prose(facts.headline(verdict))}**",
        f"**Next:** {_prose(step)}" if step else "",
        _bullets(facts.further_reasons(verdict)),
        _findings(found, beside=verdict.reference is not None),
        "### Criteria" if rows else "",
        _criteria(rows),
        _details("Against the reference", _comparison(verdict)),
        _details("Latency", _latency(verdict)),
        _details("Failures over the whole run", _failures(recording)),
        _details("Process over the soak phase", _resources(recording)),
        _details("Hot paths", _hot_paths(recording)),
        _details("Allocations for each request", _allocations(recording)),
        _details("Measurement", _measurement(recording, verdict)),
        f"<sub>{_prose(facts.summary(recording, verdict))}</sub>",
    ]
    return "\n\n".join(p for p in parts if p)


def _findings(found: list[NumberedFinding], beside: bool) -> str:
    if not found:
        return ""
    lines = ["### Findings"]
    for item in found[:MAX_FINDINGS]:
        f = item.finding
        side = f" of the {item.side}" if beside else ""
        lines.append(f"{item.number}. {_SEVERITIES[f.severity]}: **{_prose(f.title)}**")
        place = f"   - `{f.cause}` in {_code(f.metric)}"
        lines.append(place + (f", endpoint {_code(phrases.clean(f.endpoint))}" if f.endpoint else "") + side)
        facts_of = (
            ("Code", f.location or ""),
            ("Sure", phrases.confidence(f)),
            ("Rate", phrases.growth(f)),
            ("Time left", phrases.time_left(f)),
            ("Cost", f.cost or ""),
        )
        lines += [f"   - {key}: {_prose(value)}" for key, value in facts_of if value]
        lines += [f"   - Evidence: {_prose(line)}" for line in f.evidence[:_MAX_LINES]]
        if f.advice:
            lines.append(f"   - **Next:** {_prose(f.advice)}")
    return "\n".join([lines[0], "", *lines[1:]]) + _rest(len(found), MAX_FINDINGS, "findings")


def _criteria(rows: list[CriterionRow]) -> str:
    head = ("Result", "Criterion", "Measured", "Limit", "Why")
    cells = (
        (
            f"{_BADGES[r.result]} {r.result}",
            _code(r.text, in_table=True),
            _prose(r.measured),
            _prose(r.limit),
            _prose("; ".join(filter(None, (r.interval, r.reason)))),
        )
        for r in rows
    )
    return _table(head, cells, len(rows), "criteria")


def _comparison(verdict: Verdict) -> str:
    rows = tables.comparison_rows(verdict)
    head = ("Metric", "", "Candidate", "Reference", "Ratio", "Interval", "Missing")
    cells = (
        (_code(r.metric, in_table=True), r.change, r.candidate, r.reference, r.ratio, r.interval, _prose(r.reason))
        for r in rows
    )
    return _table(head, cells, len(rows), "metrics")


def _latency(verdict: Verdict) -> str:
    rows = list(tables.latency_rows(verdict))
    head = ("Endpoint", "Side", "ms from", *tables.QUANTILE_LABELS, "Answered", "Failed")
    cells = ((_code(r.endpoint, in_table=True), r.side, r.clock, *r.cells, r.count, r.failed) for r in rows)
    return _table(head, cells, len(rows), "rows", right_from=3)


def _failures(recording: Recording) -> str:
    rows = tables.failure_rows(recording)
    cells = ((_code(r.endpoint, in_table=True), r.side, _prose(r.error), r.count) for r in rows)
    return _table(("Endpoint", "Side", "Failure", "Count"), cells, len(rows), "rows", right_from=3)


def _resources(recording: Recording) -> str:
    rows = list(tables.resource_rows(recording))
    head = ("Resource", "Side", "Soak began", "Soak ended", "Peak", "")
    return _table(head, ((r.label, r.side, r.start, r.end, r.peak, r.note) for r in rows), len(rows), "rows", 2)


def _hot_paths(recording: Recording) -> str:
    rows = tables.hot_rows(recording)
    head = ("Function", "Side", "In samples", "Itself", "Calls", "Allocations a call", "Recursion")
    cells = (
        (_code(r.place, in_table=True), r.side, r.within, r.own, r.calls, r.allocations, r.recursion) for r in rows
    )
    return _table(head, cells, len(rows), "functions", 2)


def _allocations(recording: Recording) -> str:
    rows = tables.site_rows(recording)
    head = ("Place", "Side", "Bytes", "Count", "Stays", "Bytes at first")
    cells = ((_code(r.place, in_table=True), r.side, r.bytes, r.allocations, r.stays, r.before) for r in rows)
    return _table(head, cells, len(rows), "places", 2)


def _measurement(recording: Recording, verdict: Verdict) -> str:
    lines = []
    for name, side in facts.sides(verdict).items():
        lines += [f"{name}: {facts.account(side)}", f"{name}: {facts.instrument(recording, name, side)}"]
        lines += [f"{name}, not to be trusted: {reason}" for reason in side.validity.reasons]
    shown = ", ".join(f"{name} {length}" for name, length in facts.phases(recording))
    lines += [f"phases: {shown}"] if shown else []
    return _bullets([*lines, *verdict.notes])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], total: int, noun: str, right_from: int = 99) -> str:
    if not total:
        return ""
    rule = ["---:" if i >= right_from else "---" for i in range(len(head))]
    shown = [cells for cells, _ in zip(rows, range(MAX_ROWS), strict=False)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *shown)) + _rest(total, MAX_ROWS, noun)


def _rest(total: int, most: int, noun: str) -> str:
    return f"\n\n… and {phrases.count(total - most)} more {noun}: see the HTML report." if total > most else ""


def _details(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>" if body else ""


def _bullets(lines: Sequence[str]) -> str:
    more = [f"… and {phrases.count(len(lines) - _MAX_LINES)} more"] if len(lines) > _MAX_LINES else []
    return "\n".join(f"- {_prose(line)}" for line in [*lines[:_MAX_LINES], *more])


def _prose(text: str) -> str:
    """Text that Markdown shows as it is, on one line; in a table too."""
    cut = phrases.clean(text)
    cut = cut if len(cut) <= _LONGEST else f"{cut[:_LONGEST]}…"
    return _MARKUP.sub(r"\\\1", cut).replace("&", "&amp;").replace("@", "@\u200b")


def _code(text: str, in_table: bool = False) -> str:
    """Text in a code span, whose fence is longer than any run of backticks within."""
    text = phrases.clean(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    text = text.replace("|", "\\|") if in_table else text
    return f"{fence}{pad}{text}{pad}{fence}"
