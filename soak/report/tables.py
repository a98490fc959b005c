"""The rows of every table that a view shows, made once: latency, comparison, failures, hot paths, places, resources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from soak.core import units
from soak.core.inspection import OFTEN, Function, Look, Window, is_own, looks, requests_in
from soak.core.records import Recording, Series, SideRecording
from soak.core.units import Dimension
from soak.core.verdict import Change, Comparison, Percentiles, Verdict
from soak.report import phrases
from soak.report.facts import sides

QUANTILE_LABELS = ("p50", "p90", "p99", "p99.9", "p99.99", "max")
CLOCKS = {"latency": "intended start", "service": "actual send"}
"""What each clock measures from."""
_CHANGES: tuple[Change, ...] = ("worse", "unclear", "better", "same")
_EDGE_SHARE = 0.05
"""Start and end of a resource are medians over this share of the soak phase: one sample proves nothing."""
_MOST_HOT = 12
_MOST_SITES = 8
_ENOUGH_SAMPLES = 20
_ENTRY = 0.95
_MOST_FAILURES = 10
_RESOURCES: tuple[tuple[str, str, Dimension], ...] = (
    ("memory.rss", "memory, resident", "bytes"),
    ("memory.anon", "memory, anonymous", "bytes"),
    ("memory.pss", "memory, proportional", "bytes"),
    ("memory.live", "memory, live", "bytes"),
    ("memory.free_in_heap", "memory, free in heap", "bytes"),
    ("memory.retained", "memory, free pages kept", "bytes"),
    ("memory.pymalloc_slack", "memory, free in arenas", "bytes"),
    ("memory.fragmentation", "memory, fragmentation", "ratio"),
    ("stack.depth", "Python calls, deepest", "count"),
    ("stack.high_water", "stack, deepest", "bytes"),
    ("stack.thread_high_water", "a thread's stack", "bytes"),
    ("process.threads", "threads", "count"),
    ("process.fds", "file descriptors", "count"),
    ("process.connections", "connections", "count"),
    ("process.processes", "processes", "count"),
    ("go.goroutines", "goroutines", "count"),
    ("redis.keys", "keys", "count"),
    ("redis.evicted", "keys evicted", "count"),
)
_LIMITS = {"stack.high_water": "stack.limit", "stack.thread_high_water": "stack.thread_limit"}


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """The percentiles of one endpoint, side and clock as shown: `cells` go with QUANTILE_LABELS, in ms."""

    endpoint: str
    side: str
    clock: str
    cells: tuple[str, ...]
    count: str
    failed: str


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One metric of the candidate against the reference's, as shown."""

    metric: str
    candidate: str
    reference: str
    ratio: str
    interval: str
    change: str
    reason: str


@dataclass(frozen=True, slots=True)
class FailureRow:
    """One kind of failure of one endpoint over the whole run, as shown."""

    endpoint: str
    side: str
    error: str
    count: str


@dataclass(frozen=True, slots=True)
class HotRow:
    """One function that takes much of the time or is called very often, as shown."""

    place: str
    side: str
    within: str
    own: str
    calls: str
    allocations: str
    """For each call."""
    recursion: str


@dataclass(frozen=True, slots=True)
class SiteRow:
    """One place that allocates, or all of them together, for each request; `stays` was not freed in the window."""

    place: str
    side: str
    bytes: str
    allocations: str
    stays: str
    before: str
    """Bytes in the first window."""


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """One resource of one side over the soak phase, as shown."""

    label: str
    side: str
    start: str
    end: str
    peak: str
    note: str = ""


def latency_rows(verdict: Verdict) -> Iterator[LatencyRow]:
    """Both clocks of every endpoint; each candidate's row stands right above its reference's."""
    by_side = sides(verdict)
    endpoints = sorted({name for side in by_side.values() for name in (*side.latency, *side.service)})
    for endpoint in endpoints:
        for clock in CLOCKS:
            for name, side in by_side.items():
                table: Mapping[str, Percentiles] = side.latency if clock == "latency" else side.service
                p = table.get(endpoint)
                if p is not None:
                    values = {
                        "p50": p.p50_ms, "p90": p.p90_ms, "p99": p.p99_ms,
                        "p999": p.p999_ms, "p9999": p.p9999_ms, "max": p.max_ms,
                    }  # fmt: skip
                    cells = (("≥ " if q in p.censored else "") + phrases.milliseconds(v) for q, v in values.items())
                    yield LatencyRow(
                        phrases.clean(endpoint),
                        name,
                        CLOCKS[clock],
                        tuple(cells),
                        phrases.count(p.count),
                        phrases.count(p.failed),
                    )


def comparison_rows(verdict: Verdict) -> list[ComparisonRow]:
    """The candidate against the reference, what is worse first."""
    return [comparison_row(c) for c in sorted(verdict.comparison, key=lambda c: _CHANGES.index(c.change))]


def comparison_row(c: Comparison) -> ComparisonRow:
    """One metric of the candidate against the reference's."""
    return ComparisonRow(
        phrases.clean(f"{c.metric} of {c.endpoint}" if c.endpoint else c.metric),
        phrases.quantity(c.candidate, c.unit),
        phrases.quantity(c.reference, c.unit),
        phrases.quantity(c.ratio, "ratio"),
        phrases.interval(c.low, c.high, "ratio") if c.ratio is not None else "",
        c.change,
        phrases.clean(c.reason),
    )


def failure_rows(recording: Recording) -> list[FailureRow]:
    """Why requests failed in the whole run, the most frequent first; the first ten."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for event in recording.events:
        if event.kind == "error_sample" and "error" in event.data:
            key = (str(event.data["endpoint"]), event.side or "", str(event.data["error"]))
            counts[key] += int(str(event.data["count"]))
    return [
        FailureRow(phrases.clean(endpoint), side, phrases.clean(error), phrases.count(count))
        for (endpoint, side, error), count in counts.most_common(_MOST_FAILURES)
    ]


def hot_rows(recording: Recording) -> list[HotRow]:
    """The hot paths of each side at the last look into it: its own code first, then by the time it takes itself."""
    rows = []
    for name in recording.sides:
        found = [look for look in looks(recording, name) if look.functions]
        if found:
            last = found[-1]
            shown = [f for f in last.functions if _tells(f, last.samples)]
            ordered = sorted(shown, key=lambda f: (not is_own(f.site.file), -f.own, -f.within))
            rows += [_hot_row(name, f, last.window) for f in ordered[:_MOST_HOT]]
    return rows


def site_rows(recording: Recording) -> list[SiteRow]:
    """Who allocates in the last window of each side, the most bytes first, against the first window."""
    rows: list[SiteRow] = []
    for name, side in recording.sides.items():
        found = [(look, n) for look in looks(recording, name) if look.window and (n := requests_in(side, look)) > 0]
        if found:
            rows += _site_rows(name, found)
    return rows


def _site_rows(side: str, found: list[tuple[Look, float]]) -> Iterator[SiteRow]:
    (first, requests_then), (last, requests) = found[0], found[-1]
    one, other = first.window, last.window
    assert one is not None
    assert other is not None
    again = len(found) > 1
    yield SiteRow(
        "all places",
        side,
        units.size(other.bytes / requests),
        _few(other.count / requests),
        units.size(sum(s.size for s in other.held) / requests),
        units.size(one.bytes / requests_then) if again else "",
    )
    before = {(s.file, s.line): s.size for s in one.by_bytes}
    counts = {(s.file, s.line): s.count for s in other.by_count}
    held = Counter[tuple[str, int]]()
    for s in other.held:
        held[s.file, s.line] += s.size
    for s in [s for s in other.by_bytes if not s.of_the_look][:_MOST_SITES]:
        at = (s.file, s.line)
        yield SiteRow(
            phrases.clean(s.text),
            side,
            units.size(s.size / requests),
            _few(counts[at] / requests) if at in counts else "",
            units.size(held[at] / requests) if at in held else "",
            units.size(before[at] / requests_then) if again and at in before else "",
        )


def _few(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _tells(f: Function, samples: int) -> bool:
    """Not by a handful of samples; and everything passes through the entry points of a program."""
    often = f.calls is not None and f.calls > OFTEN
    return often or f.recursion > 0 or (samples >= _ENOUGH_SAMPLES and (f.within < _ENTRY or f.own > 1 - _ENTRY))


def _hot_row(side: str, f: Function, window: Window | None) -> HotRow:
    made = (
        sum(s.count for s in window.by_count if (s.file, s.function) == (f.site.file, f.site.function)) if window else 0
    )
    calls = f.calls * window.seconds if f.calls and window else 0.0
    return HotRow(
        place=phrases.clean(f.site.text),
        side=side,
        within=units.percent(f.within),
        own=units.percent(f.own),
        calls="" if f.calls is None else f"{f.calls:,.0f}/s",
        allocations=f"{made / calls:.3g}" if made and calls else "",
        recursion=f"{f.recursion} deep" if f.recursion else "",
    )


def resource_rows(recording: Recording) -> Iterator[ResourceRow]:
    """What the target's process used at the start, the end and the peak of the soak phase."""
    begin, end = recording.soak_span or (0.0, recording.duration)
    for metric, label, dimension in _RESOURCES:
        for name, side in recording.sides.items():
            series = finite(side.series.get(metric), begin, end)
            if len(series):
                first, last = edges(series)
                yield ResourceRow(
                    label,
                    name,
                    units.show(first, dimension),
                    units.show(last, dimension),
                    units.show(float(series.v.max()), dimension),
                    _headroom(side, series, begin, end, _LIMITS[metric]) if metric in _LIMITS else "",
                )


def finite(series: Series | None, start: float, end: float) -> Series:
    """The measured values of a series within [start, end]; empty when there are none."""
    if series is None:
        return Series(np.empty(0), np.empty(0))
    kept = np.isfinite(series.v) & (series.t >= start) & (series.t <= end)
    return Series(series.t[kept], series.v[kept])


def edges(series: Series) -> tuple[float, float]:
    """The medians of the first and the last twentieth of a series that is not empty."""
    width = max(1, round(len(series) * _EDGE_SHARE))
    return float(np.median(series.v[:width])), float(np.median(series.v[-width:]))


def _headroom(side: SideRecording, high_water: Series, begin: float, end: float, size: str) -> str:
    limit = finite(side.series.get(size), begin, end)
    if not len(limit) or limit.v[-1] <= 0:
        return ""
    free = 1.0 - float(high_water.v.max()) / float(limit.v[-1])
    return f"{units.percent(max(free, 0.0))} of {units.size(float(limit.v[-1]))} untouched"
