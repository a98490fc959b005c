"""Causes that show in what a process holds: memory, stack, descriptors, threads, connections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from soak.core import units
from soak.core.units import Dimension
from soak.core.verdict import Finding, Severity
from soak.judge.advice import ADVICE
from soak.judge.classify import cause_of_growth
from soak.judge.matters import Gate
from soak.judge.side import Side
from soak.judge.stats.blocks import FLOOR_BLOCKS
from soak.judge.stats.trend import Trend, late_slope

MEMORY = Gate(relative=0.03, absolute=1024 * 1024)
STACK = Gate(relative=0.20, absolute=64 * 1024)
COUNT = Gate(relative=0.10, absolute=10)

_STILL_FILLING = 0.5
_HELD = (
    ("fd_leak", "process.fds", "open file descriptors"),
    ("thread_leak", "process.threads", "threads"),
    ("connection_leak", "process.connections", "connections"),
)


def memory(side: Side) -> list[Finding]:
    """Resident anonymous memory that grows, with its cause; or what is live, where an agent sees it grow first."""
    metric = memory_metric(side)
    fitted = side.trend(metric)
    if fitted is None or _is_stack(side, fitted):
        return []
    severity = _severity(side, metric, fitted)
    if severity != "fail":
        live = side.trend("memory.live")
        if live is not None and _severity(side, "memory.live", live) == "fail":
            return [_grows(side, "memory.live", live)]
    if severity is None:
        return _filled(side, metric, fitted)
    if severity == "info":
        return [_cache_fill(side, metric, fitted, _rose(side, metric, fitted))]
    return [_grows(side, metric, fitted)]


def _severity(side: Side, metric: str, fitted: Trend) -> Severity | None:
    """Information only, if it rose once or has stopped rising."""
    severity = MEMORY.severity(fitted)
    if severity == "fail" and (fitted.shape == "step" or not _goes_on(side, metric, fitted)):
        return "info"
    return severity


def _rose(side: Side, metric: str, fitted: Trend) -> list[str]:
    what = "what is live" if metric == "memory.live" else "anonymous memory"
    return [
        f"the floor of {what} rose from {units.size(fitted.first)} to {units.size(fitted.last)} "
        f"in {units.duration(round(side.length))} of soak",
        *_per_request(side, fitted),
        *_idle(side, metric),
    ]


def _grows(side: Side, metric: str, fitted: Trend) -> Finding:
    cause = cause_of_growth(side, fitted)
    evidence = [*_rose(side, metric, fitted), *cause.evidence]
    room, what = _memory_room(side)
    finding = _growth(cause.name, metric, side, fitted, cause.words, "bytes", evidence, room, what)
    return replace(finding, confidence=cause.confidence, location=cause.location)


def memory_metric(side: Side) -> str:
    """What is watched: anonymous memory, or all that is resident where the kernel does not tell them apart."""
    return "memory.anon" if side.soak_series("memory.anon") is not None else "memory.rss"


def _is_stack(side: Side, fitted: Trend) -> bool:
    """Whether what grows is the main thread's stack: then memory only repeats what the stack says."""
    deeper = side.trend("stack.high_water")
    if deeper is None or deeper.low <= 0:
        return False
    rest = fitted.growth - deeper.growth
    return rest < MEMORY.bar(fitted)


def _goes_on(side: Side, metric: str, fitted: Trend) -> bool:
    """Whether the last third still grows at a fair part of the fitted rate: a leak does not tire."""
    blocks = side.blocks(metric)
    return blocks is not None and late_slope(blocks.t, blocks.v, 1 / 3) > 0.25 * fitted.slope


def _filled(side: Side, metric: str, fitted: Trend) -> list[Finding]:
    """A transient that was large and is over: information, so that nobody takes its rise for a leak."""
    blocks = side.blocks(metric)
    if blocks is None or len(blocks.v) < FLOOR_BLOCKS // 2:
        return []
    rise = float(np.median(blocks.v[-3:]) - np.median(blocks.v[:2]))
    if rise < MEMORY.bar(fitted):
        return []
    half = blocks.v[len(blocks.v) // 2 :]
    if half[-1] - half[0] > _STILL_FILLING * rise:
        return []
    evidence = [f"memory rose by {units.size(rise)} and then levelled off at {units.size(float(blocks.v[-1]))}"]
    return [_cache_fill(side, metric, None, evidence)]


def _cache_fill(side: Side, metric: str, fitted: Trend | None, evidence: list[str]) -> Finding:
    return Finding(
        cause="cache_fill",
        metric=metric,
        endpoint=None,
        severity="info",
        title="memory grew and levels off, as a cache that fills does",
        rate=fitted.slope * 3600 if fitted else None,
        rate_unit="bytes/h" if fitted else None,
        low=fitted.low * 3600 if fitted else None,
        high=fitted.high * 3600 if fitted else None,
        evidence=tuple(evidence),
        advice=ADVICE["cache_fill"],
        start=side.start,
        end=side.end,
    )


def stack(side: Side) -> list[Finding]:
    """A stack whose high-water mark keeps rising: recursion that deepens with data or load."""
    fitted = side.trend("stack.high_water")
    blocks = side.blocks("stack.high_water")
    if fitted is None or blocks is None or STACK.severity(fitted) != "fail":
        return []
    late = blocks.v[len(blocks.v) // 2 :]
    rises = int(np.count_nonzero(np.diff(late) > 0))
    if rises < 3 or late[-1] - late[0] < 0.2 * (blocks.v[-1] - blocks.v[0]):
        return []  # one early jump, or a few, is how a stack finds its size
    evidence = [
        f"the main thread's high-water mark rose from {units.size(float(blocks.v[0]))} to "
        f"{units.size(float(blocks.v[-1]))}, and {rises} times in the second half of the soak",
        *_per_request(side, fitted),
    ]
    limit = side.soak_series("stack.limit")
    room = float(limit.v[-1]) - float(blocks.v[-1]) if limit is not None else None
    what = f"the stack limit of {units.size(float(limit.v[-1]))}" if limit is not None else ""
    return [_growth("stack_growth", "stack.high_water", side, fitted, "the stack grows", "bytes", evidence, room, what)]


def held(side: Side) -> list[Finding]:
    """Descriptors, threads and connections that are opened and never given back."""
    findings = []
    for cause, metric, words in _HELD:
        fitted = side.trend(metric)
        if fitted is None or COUNT.severity(fitted) != "fail" or fitted.shape == "step":
            continue
        if not _goes_on(side, metric, fitted):
            continue
        evidence = [f"{words} rose from {fitted.first:.0f} to {fitted.last:.0f}", *_idle(side, metric)]
        findings.append(_growth(cause, metric, side, fitted, f"{words} grow", "count", evidence, None, ""))
    return findings


def _growth(
    cause: str,
    metric: str,
    side: Side,
    fitted: Trend,
    words: str,
    dimension: Dimension,
    evidence: list[str],
    room: float | None,
    limit: str,
) -> Finding:
    """A finding of steady growth with its rate by the hour and the time to a limit."""
    rate = units.show_growth(fitted.slope, dimension)
    interval = f"{units.show_growth(fitted.low, dimension)} to {units.show_growth(fitted.high, dimension)}"
    early, eta, late = time_left(room, fitted)
    left = f"; {limit} is reached in {units.duration(round(eta))}" if eta is not None else ""
    return Finding(
        cause=cause,
        metric=metric,
        endpoint=None,
        severity="fail",
        title=f"{words} by {rate} ({interval}){left}",
        rate=fitted.slope * 3600,
        rate_unit=f"{dimension}/h",
        low=fitted.low * 3600,
        high=fitted.high * 3600,
        eta_s=eta,
        eta_low_s=early,
        eta_high_s=late,
        eta_limit=limit or None,
        evidence=tuple(evidence),
        advice=ADVICE[cause],
        start=side.start,
        end=side.end,
    )


def time_left(room: float | None, fitted: Trend) -> tuple[float | None, float | None, float | None]:
    """Seconds until `room` units are used up: at the fastest, the fitted and the slowest slope; None if never."""
    if room is None or room <= 0:
        return None, None, None
    early, eta, late = (room / s if s > 0 else None for s in (fitted.high, fitted.slope, fitted.low))
    return early, eta, late


def _per_request(side: Side, fitted: Trend) -> list[str]:
    if not side.done or side.length <= 0:
        return []
    each = fitted.slope / (side.done / side.length)
    return [f"that is {units.size(each)} for each request done"] if each > 0 else []


def _idle(side: Side, metric: str) -> list[str]:
    """What idle-before and idle-after say: what load took and did not give back."""
    dimension: Dimension = "bytes" if metric.startswith("memory") else "count"
    before = side.mean_of(metric, side.recording.phase("idle_before"))
    after = side.mean_of(metric, side.recording.phase("idle_after"))
    if before is None or after is None:
        return []
    return [
        f"idle before the load it stood at {units.show(before, dimension)}, idle after it at "
        f"{units.show(after, dimension)}"
    ]


def _memory_room(side: Side) -> tuple[float | None, str]:
    """Bytes that are left, and what ends there: the control group's limit, or the host's memory."""
    limit, used = side.soak_series("memory.limit"), side.soak_series("cgroup.memory")
    if limit is not None and used is not None:
        return float(limit.v[-1] - used.v[-1]), f"the control group's limit of {units.size(float(limit.v[-1]))}"
    host = side.soak_series("host.memory_available")
    return (float(host.v[-1]), "the end of the host's memory") if host is not None else (None, "")
