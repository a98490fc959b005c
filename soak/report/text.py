"""The verdict as plain text: the first lines are what somebody on call needs."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from soak.core import units
from soak.core.records import Recording
from soak.core.verdict import CriterionResult, Finding, Percentiles, SideVerdict, Verdict

WIDTH = 96
_MARKS = {"pass": "ok", "fail": "FAIL", "inconclusive": "?", "invalid": "invalid"}
_HEADS = ("p50", "p90", "p99", "p999", "p9999", "max")


def render(recording: Recording, verdict: Verdict) -> str:
    """The whole report, at most 96 columns wide."""
    blocks = [
        _head(recording, verdict),
        *[_finding(f) for f in verdict.candidate.findings],
        _criteria(verdict.criteria),
        _latency(verdict.candidate, "candidate" if verdict.reference else ""),
    ]
    if verdict.reference is not None:
        blocks += [_reference(verdict.reference), _latency(verdict.reference, "reference")]
    blocks += [_held(recording), _account(verdict)]
    return "\n\n".join(b for b in blocks if b)


def _head(recording: Recording, verdict: Verdict) -> str:
    scenario = recording.scenario
    lines = [
        _wrap(verdict.headline),
        f"{verdict.run}: {units.duration(round(verdict.soak_s))} of soak, {scenario.target.url}",
    ]
    if verdict.verdict != "pass":
        lines += [_wrap(reason, "- ", "  ") for reason in verdict.reasons]
    lines += [_wrap(note, "note: ", "      ") for note in verdict.notes]
    return "\n".join(lines)


def _finding(finding: Finding) -> str:
    label = {"fail": "finding", "warning": "warning", "info": "for information"}[finding.severity]
    lines = [_wrap(f"{label}: {finding.cause}: {finding.title}")]
    lines += [_wrap(line, "    ", "    ") for line in finding.evidence]
    if finding.eta_s is not None:
        lines.append(_wrap(_time_left(finding), "    ", "    "))
    if finding.advice:
        lines.append(_wrap(finding.advice, "    next: ", "          "))
    return "\n".join(lines)


def _time_left(finding: Finding) -> str:
    left = units.duration(round(finding.eta_s or 0))
    span = ""
    if finding.eta_low_s is not None and finding.eta_high_s is not None:
        span = f" ({units.duration(round(finding.eta_low_s))} to {units.duration(round(finding.eta_high_s))})"
    return f"time left: {left}{span} to {finding.eta_limit}"


def _criteria(results: tuple[CriterionResult, ...]) -> str:
    if not results:
        return ""
    lines = ["criteria"]
    for r in results:
        lines.append(f"  {_MARKS[r.result]:7} {r.text}")
        lines.append(_wrap(r.reason, "            ", "            "))
    return "\n".join(lines)


def _latency(side: SideVerdict, name: str) -> str:
    if not side.latency:
        return ""
    width = max([8, *(len(e) for e in side.latency)])
    width = min(width, 36)
    head = f"  {'':{width}} {'':8}" + "".join(f"{h:>10}" for h in _HEADS) + f"{'done':>9}{'failed':>8}"
    lines = [f"latency{f', {name}' if name else ''} (from the intended start; service: from the actual send)", head]
    for endpoint, p in side.latency.items():
        lines.append(_row(endpoint[:width], "latency", p, width))
        if endpoint in side.service:
            lines.append(_row("", "service", side.service[endpoint], width))
    return "\n".join(lines)


def _row(name: str, clock: str, p: Percentiles, width: int) -> str:
    values = (p.p50_ms, p.p90_ms, p.p99_ms, p.p999_ms, p.p9999_ms, p.max_ms)
    cells = "".join(f"{_ms(v):>10}" for v in values)
    counts = f"{p.count:>9}{p.failed:>8}" if clock == "latency" else ""
    return f"  {name:{width}} {clock:8}{cells}{counts}".rstrip()


def _ms(value: float | None) -> str:
    return "-" if value is None else units.duration(value / 1e3)


def _reference(side: SideVerdict) -> str:
    sick = [f for f in side.findings if f.severity == "fail"]
    if not sick:
        return "reference: nothing found that fails it, under the same arrivals"
    return "\n".join(["reference: not healthy itself", *(_wrap(f"{f.cause}: {f.title}", "  ", "  ") for f in sick)])


def _held(recording: Recording) -> str:
    """Memory, stack and the rest at the start and end of the soak."""
    span = recording.soak_span
    if span is None:
        return ""
    lines = []
    for name, side in recording.sides.items():
        parts = []
        for metric, word in (("memory.rss", "memory"), ("stack.high_water", "stack"), ("process.threads", "threads"),
                             ("process.fds", "descriptors")):  # fmt: skip
            found = side.series.get(metric)
            inside = found.between(*span) if found is not None else None
            if inside is not None and len(inside):
                show = units.size if metric in ("memory.rss", "stack.high_water") else lambda v: f"{v:.0f}"
                parts.append(f"{word} {show(float(inside.v[0]))} to {show(float(inside.v[-1]))}")
        if parts:
            lines.append(_wrap(f"{_label(recording, name)}{', '.join(parts)}", "  ", "    "))
    return "\n".join(["from the start to the end of the soak", *lines]) if lines else ""


def _label(recording: Recording, side: str) -> str:
    return f"{side}: " if len(recording.sides) > 1 else ""


def _account(verdict: Verdict) -> str:
    lines = []
    sides: Mapping[str, SideVerdict | None] = {"candidate": verdict.candidate, "reference": verdict.reference}
    for name, side in sides.items():
        if side is not None:
            v = side.validity
            label = f"{name}: " if verdict.reference is not None else ""
            lines.append(
                f"  {label}{v.scheduled} scheduled = {v.done} done + {v.failed} failed + {v.unserved} unserved + "
                f"{v.lost} lost; {v.invalid_intervals} of {v.intervals} intervals invalid"
            )
    return "\n".join(["arrivals", *lines])


def _wrap(text: str, first: str = "", rest: str = "") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
