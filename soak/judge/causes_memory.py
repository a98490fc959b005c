"""Causes that show in the memory of a process."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from soak.core import units
from soak.core.metrics import MEMORY_LEAST, MEMORY_SHARE
from soak.core.verdict import Finding, Severity
from soak.judge import causes_stack, inside
from soak.judge.advice import ADVICE
from soak.judge.causes_held import holds_memory
from soak.judge.classify import cause_of_growth, garbage_is_live
from soak.judge.criteria import misses_growth
from soak.judge.growing import goes_on, growth, idle, per_request
from soak.judge.matters import Gate
from soak.judge.side import Side
from soak.judge.stats.blocks import FLOOR_BLOCKS
from soak.judge.stats.trend import Trend

MEMORY = Gate(MEMORY_SHARE, MEMORY_LEAST)

_STILL_FILLING = 0.5
_FRAME = 1024.0
"""Bytes of a Python frame, with many variables."""


def memory(side: Side) -> list[Finding]:
    """Resident anonymous memory that grows, with its cause; or what is live, where that is seen to grow first."""
    metric = memory_metric(side)
    fitted = side.trend(metric)
    if fitted is None or _is_stack(side, fitted):
        return []
    severity = _severity(side, metric, fitted)
    if severity != "fail" and not garbage_is_live(side):
        live = side.trend("memory.live")
        if live is not None and _severity(side, "memory.live", live) == "fail":
            if holds_memory(side, "memory.live", live):
                return []
            return [_grows(side, "memory.live", live)]
    if severity == "fail" and holds_memory(side, metric, fitted):
        return []  # threads or children leak, and memory only repeats it
    if severity is None:
        return _filled(side, metric, fitted)
    if severity == "info":
        return [_cache_fill(side, metric, fitted, _rose(side, metric, fitted))]
    return [_grows(side, metric, fitted)]


def _severity(side: Side, metric: str, fitted: Trend) -> Severity | None:
    """Information only, if it rose once or has stopped rising."""
    severity = MEMORY.severity(fitted, fitted.low > 0 and misses_growth(side, metric))
    if severity == "fail" and (fitted.shape == "step" or not goes_on(side, metric, fitted)):
        return "info"
    return severity


def _rose(side: Side, metric: str, fitted: Trend) -> list[str]:
    what = "what is live" if metric == "memory.live" else "anonymous memory"
    return [
        f"the floor of {what} rose from {units.size(fitted.first)} to {units.size(fitted.last)} "
        f"in {units.duration(round(side.length))} of soak",
        *per_request(side, fitted),
        *idle(side, metric),
    ]


def _grows(side: Side, metric: str, fitted: Trend) -> Finding:
    cause = cause_of_growth(side, fitted)
    evidence = [*_rose(side, metric, fitted), *cause.evidence]
    room, what = memory_room(side)
    if cause.name == "object_leak" and (filling := _fills_up(side, metric, fitted, evidence, room)) is not None:
        return filling
    finding = growth(cause.name, metric, side, fitted, cause.words, "bytes", evidence, room, what)
    advice = cause.advice or finding.advice
    return replace(finding, confidence=cause.confidence, location=cause.location, advice=advice)


def _fills_up(side: Side, metric: str, fitted: Trend, evidence: list[str], room: float | None) -> Finding | None:
    """That what grows fills a container that has a bound.

    None where it does not, memory (`room` bytes are left) ends before it is full, or the scenario does not allow it.
    """
    full = inside.fills(side)
    if full is None or misses_growth(side, metric):
        return None
    holder, limit = full.container, full.container.limit or 0
    each = fitted.slope * full.seconds / full.more
    to_come = max(0, limit - holder.items) * each
    if room is not None and to_come > room:
        return None
    rate = units.show_growth(fitted.slope, "bytes")
    title = f"memory grows by {rate} while {holder.text} fills to its bound of {limit:,} items"
    after = f"it takes about {units.size(each)} for each; what else leaks, if anything does, shows when it is full"
    finding = _cache_fill(side, metric, fitted, [*evidence, after])
    return replace(finding, title=title, severity="warning")


def memory_metric(side: Side) -> str:
    """What is watched: anonymous memory, or all that is resident where the kernel does not tell them apart."""
    return "memory.anon" if side.soak_series("memory.anon") is not None else "memory.rss"


def _is_stack(side: Side, fitted: Trend) -> bool:
    """Whether what grows is a stack, or those of all threads: then memory only repeats what the stack says.

    Only those that are findings of their own count. Only the deepest of a thread is known: the others may be as deep.
    Python's frames lie in stacks of their own.
    """
    threads = side.soak_series("process.threads")
    many = float(threads.v[-1]) if threads is not None else 1.0
    each = {"stack.high_water": 1.0, "stack.thread_high_water": many, "stack.depth": many * _FRAME}
    explained = sum(
        each[finding.metric] * deeper.growth
        for finding in (*causes_stack.stack(side), *causes_stack.depth(side))
        if (deeper := side.trend(finding.metric)) is not None
    )
    if causes_stack.recursion_limit(side) and (limit := side.soak_series("stack.depth_limit")) is not None:
        explained += many * float(limit.v[-1]) * _FRAME
    return explained > 0 and fitted.growth - explained < MEMORY.bar(fitted)


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


def memory_room(side: Side) -> tuple[float | None, str]:
    """Bytes that are left, and what ends there: the control group's limit, or the host's memory."""
    limit, used = side.soak_series("memory.limit"), side.soak_series("cgroup.memory")
    if limit is not None and used is not None:
        return float(limit.v[-1] - used.v[-1]), f"the control group's limit of {units.size(float(limit.v[-1]))}"
    host = side.soak_series("host.memory_available")
    return (float(host.v[-1]), "the end of the host's memory") if host is not None else (None, "")
