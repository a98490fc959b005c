"""Metrics that nobody samples: made of counters, of two series, or of the workers' accounts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from soak.core.records import Series, Tally

if TYPE_CHECKING:
    from soak.judge.side import Side

_CPU_WINDOW_S = 2.0


def _allocations(side: Side, what: str) -> Series | None:
    """Allocations, or bytes allocated, for each request done in a window (`count` or `bytes`)."""
    points = []
    for look in side.looks:
        if look.window is not None and (requests := side.requests_in(look)) > 0:
            value = look.window.count if what == "count" else look.window.bytes
            points.append(((look.window.start + look.window.end) / 2, value / requests))
    t, v = np.array(points).reshape(-1, 2).T
    return Series(t, v)


def _rate(side: Side, counter: str) -> Series | None:
    """A cumulative counter as its rate a second; over a gap there is none, for whoever counts began anew."""
    rate = _rate_of(side.raw(counter))
    if rate is None or not side.recording.gaps:
        return rate
    over = np.searchsorted(rate.t, [gap.start for gap in side.recording.gaps])
    keep = np.ones(len(rate), dtype=bool)
    keep[over[over < len(rate)]] = False
    return Series(rate.t[keep], rate.v[keep])


def _rate_of(counter: Series | None) -> Series | None:
    if counter is None or len(counter) < 2:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.diff(counter.v) / np.diff(counter.t)
    return Series(counter.t[1:], np.where(np.isfinite(rate), rate, math.nan))


def _headroom(side: Side) -> Series | None:
    """The least of the main thread's and of any thread's; the threads are looked at less often."""
    main = _unused(side, "stack.high_water", "stack.limit")
    thread = _unused(side, "stack.thread_high_water", "stack.thread_limit")
    if main is None or thread is None or not len(thread):
        return main if main is not None else thread
    return Series(main.t, np.minimum(main.v, np.interp(main.t, thread.t, thread.v)))


def _unused(side: Side, mark: str, size: str) -> Series | None:
    used, limit = side.raw(mark), side.raw(size)
    if used is None or limit is None or not len(limit):
        return None
    return Series(used.t, 1 - used.v / np.interp(used.t, limit.t, limit.v))


def _cpu_per_request(side: Side) -> Series | None:
    cpu = side.raw("process.cpu_seconds")
    done = _tallied(side, lambda ys, _: float(sum(y.done for y in ys)))
    if cpu is None or done is None or len(cpu) < 2:
        return None
    step = side.recording.scenario.interval_s
    total = np.concatenate([[0.0], np.cumsum(done.v)])
    edges = np.concatenate([done.t, [done.t[-1] + step]])
    # windows of two samples at least: the probe and the workers do not look at the same moment
    width = max(_CPU_WINDOW_S, 2 * side.recording.scenario.probe.every, step)
    marks = np.arange(edges[0], min(edges[-1], cpu.t[-1]), width)
    requests = np.diff(np.interp(marks, edges, total))
    spent = np.diff(np.interp(marks, cpu.t, cpu.v))
    with np.errstate(divide="ignore", invalid="ignore"):
        per = np.where(requests > 0, spent / requests, np.nan)
    sampled = [look.sampled for look in side.looks if look.sampled is not None]
    inspected = [
        side.marks.touches(a, width) or any(a < end and a + width > start for start, end in sampled) for a in marks[:-1]
    ]
    per[np.array(inspected, dtype=bool)] = np.nan
    return Series((marks[:-1] + marks[1:]) / 2, per)


def _tallied(side: Side, take: Callable[[list[Tally], float], float]) -> Series | None:
    """A value for each interval, from the accounts of all workers in it and its length (s)."""
    if not side.intervals:
        return None
    starts = np.array([start for start, _, _ in side.intervals])
    return Series(starts, np.array([take(ys, length) for _, length, ys in side.intervals], dtype=float))


DERIVED: dict[str, Callable[[Side], Series | None]] = {
    "process.cpu": lambda side: _rate(side, "process.cpu_seconds"),
    "process.minor_faults": lambda side: _rate(side, "process.minor_faults"),
    "process.major_faults": lambda side: _rate(side, "process.major_faults"),
    "stack.headroom": _headroom,
    "cpu.per_request": _cpu_per_request,
    "allocations.per_request": lambda side: _allocations(side, "count"),
    "allocations.bytes_per_request": lambda side: _allocations(side, "bytes"),
    "throughput.rate": lambda side: _tallied(side, lambda ys, s: sum(y.done for y in ys) / s),
    "generator.loop_lag_max": lambda side: _tallied(side, lambda ys, _: max(y.lag_max for y in ys)),
    "generator.wake_p99": lambda side: _tallied(side, lambda ys, _: max(y.wake_p99 for y in ys)),
    "generator.cpu": lambda side: _tallied(side, lambda ys, _: max(y.cpu for y in ys)),
    "generator.rss": lambda side: _tallied(side, lambda ys, _: max(float(y.rss) for y in ys)),
}
"""How each is made; None when nothing was seen of what it is made of."""
