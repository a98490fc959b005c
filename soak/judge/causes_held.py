"""Causes that show in what a process opens or starts and never gives back: descriptors, threads, connections, children.

One leak shows in several counts: a connection is a descriptor too, a child brings threads and descriptors of its own,
and all of them take memory. Each is told once, by what it is, with the rest as evidence.
"""

from __future__ import annotations

import numpy as np

from soak.core import units
from soak.core.verdict import Finding
from soak.judge.growing import goes_on, growth, idle
from soak.judge.matters import Gate
from soak.judge.side import Side, finite
from soak.judge.stats.trend import Trend

COUNT = Gate(relative=0.10, absolute=10)

HELD = {
    "process.processes": ("child_leak", "child processes"),
    "process.zombies": ("child_leak", "ended children that nobody waited for"),
    "process.threads": ("thread_leak", "threads"),
    "go.goroutines": ("thread_leak", "goroutines"),
    "process.connections": ("connection_leak", "connections"),
    "process.fds": ("fd_leak", "open file descriptors"),
}
"""By metric: the cause, and what grows."""

_OF_A_CHILD = 32
"""Threads, descriptors or connections that a child may bring with it without being a leak of their own."""
_OWN = 0.5
"""Of the growth of memory: when the processes that were there all the time make less of it, it is the new ones."""
_KEPT = 0.2
"""Of the growth: from which on what is still open, idle after the load, was never given back."""
_LAST_S = 5.0
_IN_USE = ("process.connections", "process.fds")
"""Of these a target has more open while it is slow, and fewer when the load is over."""
_SAME = 0.7
"""Of the growth of descriptors: from which on it is connections that leak, and below 1 - this something else."""

_MEMORY_OF = {
    "process.threads": 128 * 1024.0,
    "go.goroutines": 8 * 1024.0,
    "process.connections": 128 * 1024.0,
    "process.fds": 16 * 1024.0,
}
"""Bytes that one may take for its stack and buffers: memory that grows by no more for each grows because of it."""


def held(side: Side) -> list[Finding]:
    """Descriptors, threads, connections and children that only ever become more."""
    leaks = {metric: fitted for metric in HELD if (fitted := _leak(side, metric)) is not None}
    with_it = _explained(leaks)
    return [_finding(side, metric, leaks, with_it) for metric in leaks if metric not in with_it]


def holds_memory(side: Side, metric: str, grown: Trend) -> bool:
    """Whether memory (by `metric`) grows only because threads, connections, descriptors or children do."""
    return any(_holds(side, held, metric, grown) for held in HELD if _leak(side, held) is not None)


def _holds(side: Side, held: str, metric: str, grown: Trend) -> bool:
    fitted = side.trend(held)
    if fitted is None or held == "process.zombies":  # what has ended has no memory
        return False
    if held != "process.processes":
        return grown.growth <= fitted.growth * _MEMORY_OF[held]
    own = _of_the_old(side, metric)  # children may be of any size: it is enough that no other process grows
    return own is not None and own < _OWN * grown.growth


def _of_the_old(side: Side, metric: str) -> float | None:
    """Bytes by which the processes grew that were there during the whole soak; None when there is none."""
    grown = []
    for series in side.data.processes.values():
        found = series.get(metric)
        if found is None or not len(found) or found.t[0] > side.start:
            continue
        inside = finite(found.between(side.start, side.end))
        if len(inside) and inside.t[-1] >= side.end - _LAST_S:
            grown.append(float(inside.v[-1] - inside.v[0]))
    return sum(grown) if grown else None


def _leak(side: Side, metric: str) -> Trend | None:
    fitted = side.trend(metric)
    if fitted is None or COUNT.severity(fitted) != "fail" or fitted.shape == "step":
        return None
    return fitted if goes_on(side, metric, fitted) and not _given_back(side, metric, fitted) else None


def _given_back(side: Side, metric: str, fitted: Trend) -> bool:
    """Whether connections (and descriptors) went with the load: a target that slows down has more of them in use."""
    if metric not in _IN_USE:
        return False
    rest = side.at_rest(metric)
    return rest is not None and rest[1] - rest[0] < _KEPT * fitted.growth


def may_be_given_back(side: Side, metric: str) -> bool:
    """Whether what grows may still turn out to be in use only: idle-after will tell, and is yet to come."""
    phases = side.recording.scenario.phases
    return metric in _IN_USE and phases.idle_before > 0 and phases.idle_after > 0


def _explained(leaks: dict[str, Trend]) -> dict[str, str]:
    """Counts that grow only because another one does: which, and because of which."""
    found: dict[str, str] = {}
    children = leaks.get("process.processes")
    for metric in ("process.threads", "process.connections", "process.fds"):
        if children is not None and metric in leaks and leaks[metric].growth <= _OF_A_CHILD * children.growth:
            found[metric] = "process.processes"
    if "process.fds" in leaks and "process.connections" in leaks and not found:
        share = leaks["process.connections"].growth / leaks["process.fds"].growth
        if share >= _SAME:
            found["process.fds"] = "process.connections"
        elif share < 1 - _SAME:
            found["process.connections"] = "process.fds"
    return found


def _are_connections(side: Side) -> list[str]:
    """That the descriptors are connections, as evidence, where those were counted too seldom to show a leak.

    The kernel takes long to count connections on a busy host; what stands between two counts repeats the first.
    """
    counted, fds = side.soak_series("process.connections"), side.soak_series("process.fds")
    if counted is None or fds is None:
        return []
    at = np.flatnonzero(np.diff(counted.v)) + 1
    if not len(at):
        return []
    first, last = counted.v[0], counted.v[at[-1]]
    opened = np.interp(counted.t[at[-1]], fds.t, fds.v) - np.interp(counted.t[0], fds.t, fds.v)
    if last - first < max(COUNT.absolute, _SAME * opened):
        return []
    return [f"they are connections: of those there were {first:.0f} at first, {last:.0f} when last counted"]


def _finding(side: Side, metric: str, leaks: dict[str, Trend], with_it: dict[str, str]) -> Finding:
    cause, words = HELD[metric]
    fitted = leaks[metric]
    evidence = [f"{words} rose from {fitted.first:.0f} to {fitted.last:.0f}", *_rate(side, fitted, words)]
    if metric == "process.fds" and "process.connections" not in leaks and (sockets := _are_connections(side)):
        cause, evidence = HELD["process.connections"][0], evidence + sockets
    for other in (m for m, root in with_it.items() if root == metric):
        also = leaks[other]
        evidence.append(f"{HELD[other][1]} grew with them, from {also.first:.0f} to {also.last:.0f}")
    evidence += [*_memory(side, metric, fitted), *idle(side, metric)]
    room, limit = _room(side, metric)
    return growth(cause, metric, side, fitted, f"{words} grow", "count", evidence, room, limit)


def _memory(side: Side, metric: str, fitted: Trend) -> list[str]:
    """The memory that grows with them, when that is why it grows."""
    for memory in ("memory.anon", "memory.rss"):
        grown = side.trend(memory)
        if grown is not None:
            if grown.low <= 0 or not _holds(side, metric, memory, grown):
                return []
            each = units.size(grown.growth / fitted.growth)
            return [f"memory grew with them, by {units.size(grown.growth)}: {each} each"]
    return []


def _rate(side: Side, fitted: Trend, words: str) -> list[str]:
    """How many requests it takes for one more."""
    if not side.done or side.length <= 0 or fitted.slope <= 0:
        return []
    each = side.done / side.length / fitted.slope
    if each >= 1.5:
        return [f"one more for every {each:.0f} requests done"]
    return [f"{1 / each:.2g} {words} more for each request done"]


def _room(side: Side, metric: str) -> tuple[float | None, str]:
    """How many more there can be, and what ends there."""
    if metric in ("process.fds", "process.connections"):
        room, limit = side.soak_series("process.fds_room"), side.soak_series("process.fds_limit")
        if room is None or limit is None:
            return None, ""
        return float(room.v[-1]), f"the limit of {units.show(float(limit.v[-1]), 'count')} open files of a process"
    rooms = []
    for used, limit_of, what in (
        ("cgroup.pids", "pids.limit", "the control group's limit of {} processes and threads"),
        ("process.threads", "process.threads_limit", "its user's limit of {} processes and threads"),
    ):
        taken, most = side.soak_series(used), side.soak_series(limit_of)
        if taken is not None and most is not None:
            allowed = float(most.v[-1])
            rooms.append((allowed - float(taken.v[-1]), what.format(units.show(allowed, "count"))))
    return min(rooms) if rooms else (None, "")
