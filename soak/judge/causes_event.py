"""Causes that happen at one moment: exits and kills."""

from __future__ import annotations

import numpy as np

from soak.core import units
from soak.core.records import Event
from soak.core.verdict import Finding
from soak.judge.advice import ADVICE
from soak.judge.causes_stack import STACK, STACKS
from soak.judge.side import Side, finite

_OVERFLOWS = ("SIGSEGV", "SIGBUS")
_FILLING = 0.5
"""Share of a stack from which on a segmentation fault is put down to it; stacks of 512 KiB that ran over had been
seen at 0.65 to 0.70 of it one look before."""
_FULL = 0.9
_NEAR_S = 5.0
"""An end and the count of kills that it is part of may be seen by different looks."""


def crash(side: Side) -> list[Finding]:
    """The target ended although nobody asked it to: of a stack that ran out, where that can be told, or a crash."""
    for event in side.recording.events:
        if event.kind == "target_exit" and event.side == side.name:
            if _by_sigkill(event) and any(
                f.start is not None and f.end is not None and f.start - _NEAR_S <= event.t <= f.end + _NEAR_S
                for f in oom(side)
            ):
                return []  # it was killed for want of memory, and that is told
            return [_exhaustion(side, event) or _ended("crash", "process.restarts", event.text, side, event, [])]
    return []


def _ended(cause: str, metric: str, title: str, side: Side, event: Event, why: list[str]) -> Finding:
    """A finding on the end of the target: when, why, and what it wrote last."""
    evidence = [event.text, *why]
    begun = side.recording.phase("warmup")
    if begun is not None and event.t >= begun.start:
        after = sum(y.scheduled for y in side.data.tallies if y.start < event.t)
        evidence.append(f"after {units.duration(round(event.t - begun.start))} of load and about {after} arrivals")
    output = str(event.data.get("output") or "").strip().splitlines()
    evidence += [f"its last output: {line[:200]}" for line in output[-3:]]
    return Finding(
        cause=cause,
        metric=metric,
        endpoint=None,
        severity="fail",
        title=title,
        evidence=tuple(evidence),
        advice=ADVICE[cause],
        start=event.t,
        end=event.t,
    )


def _exhaustion(side: Side, event: Event) -> Finding | None:
    """A target that died because a stack ran out: its runtime said so, or a stack had been filling up before.

    A recursion without end takes milliseconds, so it may well come between two looks: then a crash is all that
    is known.
    """
    signal = str(event.data.get("signal_name") or "")
    said = event.data.get("stack_overflow")
    if said and signal in ("", *_OVERFLOWS, "SIGABRT"):
        why = [f"its output says so: {said}"]
        return _ended("stack_exhaustion", "stack.headroom", f"{event.text}: a stack ran out", side, event, why)
    if signal in _OVERFLOWS:
        for whose, mark, limit in STACKS:
            filled = _filled(side, mark, limit, event.t)
            if filled is not None:
                share, words = filled
                word = "almost certainly" if share >= _FULL else "probably"
                title = f"{event.text}: {whose} {word} ran out"
                return _ended("stack_exhaustion", mark, title, side, event, [f"{whose} {words}: it {word} ran out"])
    return None


def _filled(side: Side, mark: str, limit: str, end: float) -> tuple[float, str] | None:
    """How full a stack was at the last look before the end, and that in words; None where it was not filling up."""
    marks, sizes = side.series(mark), side.series(limit)
    if marks is None or sizes is None:
        return None
    marks, sizes = finite(marks.between(0.0, end + 1.0)), finite(sizes)
    if not len(marks) or not len(sizes):
        return None
    first, last = float(marks.v[0]), float(marks.v[-1])
    size = float(np.interp(marks.t[-1], sizes.t, sizes.v))
    if last < _FILLING * size or last - first < STACK.absolute:
        return None
    age = units.duration(round(max(0.0, end - float(marks.t[-1])), 1))
    return last / size, (
        f"had grown from {units.size(first)} to {units.size(last)} of its {units.size(size)} "
        f"when it was last looked at, {age} before"
    )


def oom(side: Side) -> list[Finding]:
    """The kernel killed a process of the target for want of memory: its control group counted it, or the host did."""
    counted = [e for e in side.recording.events if e.kind == "oom_kill" and e.side == side.name]
    events = counted or _killed_on_host(side)
    if not events:
        return []
    times = sum(int(n) if isinstance(n := e.data.get("count"), (int, float)) else 1 for e in events)
    title = f"the kernel killed a process for want of memory ({times} times)"
    if not counted:
        title = f"the kernel very likely killed a process for want of memory ({times} times)"
    evidence = [f"{e.text}{_memory_at(side, e.t)}" for e in events[:3]]
    if not counted:
        evidence.append("no control group of it could be read, but the host's count of such kills rose at that moment")
    return [
        Finding(
            cause="oom_kill",
            metric="memory.rss",
            endpoint=None,
            severity="fail",
            title=title,
            evidence=tuple(evidence),
            advice=ADVICE["oom_kill"],
            start=events[0].t,
            end=events[-1].t,
            confidence=None if counted else "medium",
        )
    ]


def _killed_on_host(side: Side) -> list[Event]:
    """Ends by SIGKILL at a moment when the host's count of out-of-memory kills rose."""
    kills = side.raw("host.oom_kills")
    if kills is None:
        return []
    found = []
    for event in side.recording.events:
        if event.side == side.name and _by_sigkill(event):
            near = kills.between(event.t - _NEAR_S, event.t + _NEAR_S)
            if len(near) and near.v[-1] > near.v[0]:
                found.append(event)
    return found


def _by_sigkill(event: Event) -> bool:
    if event.kind == "target_exit":
        return event.data.get("signal_name") == "SIGKILL"
    return event.kind == "restart" and event.data.get("how") == "by SIGKILL"


def _memory_at(side: Side, t: float) -> str:
    """What the target and its control group used when they were last looked at before `t` (s), and the limit."""
    parts = []
    for metric, words in (
        ("memory.rss", "the target had {} resident"),
        ("cgroup.memory", "its control group used {}"),
        ("memory.limit", "of a limit (memory.max) of {}"),
    ):
        found = side.series(metric)
        seen = finite(found.between(0.0, t)) if found is not None else None
        if seen is not None and len(seen):
            parts.append((float(seen.t[-1]), words.format(units.size(float(seen.v[-1])))))
    if not parts:
        return ""
    age = units.duration(round(max(0.0, t - parts[0][0]), 1))
    return f"; when last looked at, {age} before, {', '.join(words for _, words in parts)}"
