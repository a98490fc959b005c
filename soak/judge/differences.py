"""What differs from the reference: told in any case, and named where a criterion on a ratio fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from soak.core import units
from soak.core.inspection import Look, Site
from soak.core.metrics import METRICS
from soak.core.verdict import Change, Comparison, CriterionResult, Finding, Severity
from soak.judge.advice import ADVICE
from soak.judge.against import Measured, measure, told
from soak.judge.causes_memory import memory_metric
from soak.judge.criteria import UNITS
from soak.judge.pairs import Pair
from soak.judge.side import Side
from soak.judge.stats.holm import adjusted

CAUSES: Mapping[str, str] = {
    "latency": "latency_regression",
    "service": "latency_regression",
    "cpu": "cpu_regression",
    "allocations": "allocation_regression",
    "memory": "memory_regression",
    "throughput": "throughput_regression",
    "errors": "error_regression",
    "artefact": "size_regression",
}
"""What a loss against the reference is called, by the room of its metric."""

Where = Callable[[str], list[str]]
"""Evidence of where in the code a difference lies, by the room of its metric."""
_Costs = dict[tuple[str, str], tuple[float, Site]]
_SURE = 0.05
_ANY = 1e-9


@dataclass(frozen=True, slots=True)
class Matters:
    """The least difference worth telling without being asked: as a share of the reference, and in base units."""

    relative: float
    absolute: float = 0.0


_MATTERS: Mapping[str, Matters] = {
    "latency.p50": Matters(0.10, 0.5e-3),
    "latency.p99": Matters(0.15, 1e-3),
    "cpu": Matters(0.10, 50e-6),
    "memory": Matters(0.05, 1024.0 * 1024.0),
    "allocations": Matters(0.10),
    "throughput": Matters(0.01),
    "errors": Matters(0.10, 1e-3),
    "artefact": Matters(0.01),
}
_DEFAULT = Matters(0.10)


def differences(pair: Pair, asked: list[Measured]) -> list[Measured]:
    """Every metric that is compared: those of criteria, and what is always looked at."""
    found = {(m.metric, m.endpoint): m for m in asked}
    for metric, endpoint in _always(pair):
        if (metric, endpoint) not in found:
            found[metric, endpoint] = measure(pair, metric, endpoint)
    return sorted((m for m in found.values() if m.candidate is not None or m.reference is not None), key=place)


def compared(found: list[Measured]) -> list[Comparison]:
    """Rows of a comparison, each with what it tells when the others are reckoned with (Holm)."""
    sure = iter(adjusted([m.ratio.p for m in found if m.ratio is not None]))
    return [_row(m, next(sure) if m.ratio is not None else 1.0) for m in found]


def regressions(
    span: tuple[float, float], where: Where, failed: Iterable[tuple[CriterionResult, Measured]]
) -> list[Finding]:
    """What fails the run because criteria on ratios failed: one finding a cause and endpoint, of its worst metric."""
    groups: dict[tuple[str, str | None], list[tuple[CriterionResult, Measured]]] = {}
    for result, m in failed:
        if m.ratio is not None:
            groups.setdefault((_cause(m.metric), m.endpoint), []).append((result, m))
    findings = []
    for group in groups.values():
        result, worst = max(group, key=lambda rm: _loss(rm[1].metric, rm[1].ratio.value if rm[1].ratio else None))
        why = [f"the limit is {units.percent(result.limit)} of the reference's ({result.text})"]
        others = [(m, m.ratio) for _, m in group if m is not worst]
        why += [f"{_subject(m)} too: {told(r)}, {m.against}" for m, r in others if r is not None]
        findings.append(_finding(span, worst, "fail", [*why, *where(METRICS[worst.metric].room)]))
    return findings


def told_anyway(
    span: tuple[float, float],
    where: Where,
    found: Iterable[tuple[Comparison, Measured]],
    asked: set[tuple[str, str | None]],
    failed: Iterable[Finding],
) -> list[Finding]:
    """What is clearly worse than the reference although no criterion asks: one finding a cause, of its worst metric.

    What fails the run already explains what it makes worse: a leak needs no second finding for being larger.
    """
    explained = {(_cause(f.metric), f.endpoint) for f in failed if f.severity == "fail" and f.metric in METRICS}
    worst: dict[tuple[str, str | None], tuple[Comparison, Measured]] = {}
    for row, m in found:
        key = _cause(row.metric), row.endpoint
        known = key in explained or (key[0], None) in explained
        known = known or (row.endpoint is None and any(cause == key[0] for cause, _ in explained))
        if row.change != "worse" or (row.metric, row.endpoint) in asked or known:
            continue
        if key not in worst or _size(row) > _size(worst[key][0]):
            worst[key] = row, m
    findings = []
    for row, m in worst.values():
        certain = _size(row, least=True) >= math.log1p(matters(row.metric).relative)
        severity: Severity = "warning" if certain else "info"
        why = ["no criterion asks for it, so it fails nothing", *where(METRICS[row.metric].room)]
        findings.append(_finding(span, m, severity, why))
    return findings


def matters(metric: str) -> Matters:
    """What difference of a metric is worth telling."""
    return _MATTERS.get(metric) or _MATTERS.get(METRICS[metric].room, _DEFAULT)


def worse(metric: str, ratio: float) -> bool:
    """Whether a ratio of candidate to reference is a loss."""
    return ratio < 1 if metric == "throughput.rate" else ratio > 1


def _always(pair: Pair) -> list[tuple[str, str | None]]:
    """What is compared without being asked for."""
    both = [e for e in pair.candidate.data.endpoints if e in pair.reference.data.endpoints]
    found: list[tuple[str, str | None]] = [(f"latency.{q}", e) for e in both for q in ("p50", "p99")]
    only = both[0] if len(both) == 1 else None
    found += [("errors.ratio", only), ("throughput.rate", None)]
    if pair.watched:
        found += [("cpu.per_request", None), (memory_metric(pair.candidate), None)]
    for metric in ("memory.live", "allocations.per_request", "allocations.bytes_per_request"):
        if all(side.soak_series(metric) is not None for side in pair.sides):
            found.append((metric, None))
    found += [(m, None) for m in ("memory.idle", "artefact.size") if all(s.once(m) is not None for s in pair.sides)]
    return found


def place(measured: Measured) -> tuple[int, str]:
    """Where a metric stands in a comparison: as in the catalogue."""
    return list(METRICS).index(measured.metric), measured.endpoint or ""


def _row(m: Measured, sure: float) -> Comparison:
    unit = UNITS[METRICS[m.metric].dimension]
    if m.ratio is None:
        change: Change = "unclear" if m.missing else "same"
        return Comparison(
            m.metric, m.endpoint, m.candidate, m.reference, unit, None, None, None, None, 0, change, m.missing
        )
    r = m.ratio
    return Comparison(
        m.metric, m.endpoint, m.candidate, m.reference, unit, r.value, r.low, r.high, r.p, r.n,
        _change(m, sure), m.missing,
    )  # fmt: skip


def _change(m: Measured, sure: float) -> Change:
    """`same` claims something too: that a difference that matters is not there."""
    gate, r = matters(m.metric), m.ratio
    assert r is not None
    bound = 1 + gate.relative
    apart = abs((m.candidate or 0.0) - (m.reference or 0.0))
    if sure <= _SURE and apart > gate.absolute and not 1 / bound < r.value < bound:
        return "worse" if worse(m.metric, r.value) else "better"
    small = gate.absolute > 0 and apart <= gate.absolute and r.high < bound**2
    return "same" if (1 / bound < r.low and r.high < bound) or small else "unclear"


def _size(row: Comparison, *, least: bool = False) -> float:
    """How large a loss is, as a logarithm: at its value, or at the end of its interval nearer to none."""
    ends = (row.low, row.high) if least else (row.ratio, row.ratio)
    return min(_loss(row.metric, x) for x in ends)


def _loss(metric: str, ratio: float | None) -> float:
    """How much is lost at a ratio, as a logarithm; nothing for a gain."""
    size = math.log(max(ratio or _ANY, _ANY))
    return max(0.0, -size if metric == "throughput.rate" else size)


def _cause(metric: str) -> str:
    return CAUSES.get(METRICS[metric].room, "")


def _finding(span: tuple[float, float], m: Measured, severity: Severity, why: list[str]) -> Finding:
    cause = _cause(m.metric)
    r = m.ratio
    assert r is not None
    evidence = [f"{told(r)} of the reference's", *why]
    if r.n_eff != r.n and r.n > 1:
        evidence.insert(1, f"{r.n} windows of both sides were compared, worth {r.n_eff:.0f} independent ones")
    return Finding(
        cause=cause,
        metric=m.metric,
        endpoint=m.endpoint,
        severity=severity,
        title=f"{_subject(m)} is {_by(r.value)} the reference's: {m.against}",
        evidence=tuple(evidence),
        advice=ADVICE[cause],
        start=span[0],
        end=span[1],
    )


def _subject(m: Measured) -> str:
    return f"{m.metric} of {m.endpoint}" if m.endpoint else m.metric


def _by(ratio: float) -> str:
    if not math.isfinite(ratio):
        return "above"
    return f"{units.percent(abs(ratio - 1))} {'below' if ratio < 1 else 'above'}"


def where_differs(pair: Pair, room: str) -> list[str]:
    """The function, or the place that allocates, that differs most, where both sides were looked into."""
    if room == "allocations":
        ours, theirs = (_bytes_by_place(side) for side in pair.sides)
        return _differs(ours, theirs, lambda x: f"allocates {units.size(x)} a request more")
    if room in ("cpu", "latency", "service"):
        ours, theirs = (_cpu_by_function(side) for side in pair.sides)
        return _differs(ours, theirs, lambda x: f"takes {units.duration(x)} of CPU a request more")
    return []


def _differs(ours: _Costs, theirs: _Costs, show: Callable[[float], str]) -> list[str]:
    if not ours or not theirs:
        return []
    more = {key: value - theirs.get(key, (0.0, site))[0] for key, (value, site) in ours.items()}
    key = max(more, key=more.__getitem__)
    if more[key] <= 0:
        return []
    new = "" if key in theirs else ", where it was not seen"
    return [f"{ours[key][1].text} {show(more[key])} than in the reference{new}"]


def _key(site: Site) -> tuple[str, str]:
    """What a place is called in both versions: lines and folders differ between them."""
    return site.file.rsplit("/", 1)[-1], site.function


def _bytes_by_place(side: Side) -> _Costs:
    """Bytes allocated a request by place, of the last window."""
    found: _Costs = {}
    look = _last([look for look in side.looks if look.window is not None and side.requests_in(look) > 0])
    if look is None or look.window is None:
        return found
    requests = side.requests_in(look)
    for site in look.window.by_bytes:
        if not site.of_the_look:
            _add(found, site, site.size / requests)
    return found


def _cpu_by_function(side: Side) -> _Costs:
    """CPU time (s) a request by function, of the last look: its share of samples of what a request costs."""
    found: _Costs = {}
    look = _last([look for look in side.looks if look.functions])
    cpu = side.soak_series("cpu.per_request")
    if look is None or cpu is None:
        return found
    each = float(cpu.v.mean())
    for f in look.functions:
        _add(found, f.site, f.own * each)
    return found


def _add(found: _Costs, site: Site, cost: float) -> None:
    """More of one place; it is shown as it was first seen."""
    before, first = found.get(_key(site), (0.0, site))
    found[_key(site)] = before + cost, first


def _last(looks: list[Look]) -> Look | None:
    return looks[-1] if looks else None
