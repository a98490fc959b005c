"""Causes that happen at one moment: exits, kills, restarts."""

from __future__ import annotations

from soak.core import units
from soak.core.records import Event
from soak.core.verdict import Finding
from soak.judge.advice import ADVICE
from soak.judge.side import Side


def crash(side: Side) -> list[Finding]:
    """The target ended although nobody asked it to."""
    for event in side.recording.events:
        if event.kind == "target_exit" and event.side == side.name:
            return [_crash(side, event)]
    return []


def _crash(side: Side, event: Event) -> Finding:
    evidence = []
    begun = side.recording.phase("warmup")
    if begun is not None and event.t >= begun.start:
        after = sum(y.scheduled for y in side.data.tallies if y.start < event.t)
        evidence.append(f"after {units.duration(round(event.t - begun.start))} of load and about {after} arrivals")
    output = str(event.data.get("output") or "").strip().splitlines()
    evidence += [f"its last output: {line[:200]}" for line in output[-3:]]
    return Finding(
        cause="crash",
        metric="process.restarts",
        endpoint=None,
        severity="fail",
        title=event.text,
        evidence=(event.text, *evidence),
        advice=ADVICE["crash"],
        start=event.t,
        end=event.t,
    )


def oom(side: Side) -> list[Finding]:
    """The kernel killed a process of the target's control group."""
    events = [e for e in side.recording.events if e.kind == "oom_kill" and e.side == side.name]
    if not events:
        return []
    return [
        Finding(
            cause="oom_kill",
            metric="memory.rss",
            endpoint=None,
            severity="fail",
            title=f"the kernel killed a process for want of memory ({len(events)} times)",
            evidence=tuple(e.text for e in events[:3]),
            advice=ADVICE["oom_kill"],
            start=events[0].t,
            end=events[-1].t,
        )
    ]


def restart(side: Side) -> list[Finding]:
    """Processes of the target that were replaced while it was under load."""
    begun = side.recording.phase("warmup")
    events = [
        e
        for e in side.recording.events
        if e.kind == "restart" and e.side == side.name and begun is not None and e.t >= begun.start
    ]
    if not events:
        return []
    root = [e for e in events if "service was started anew" in e.text]
    return [
        Finding(
            cause="restart",
            metric="process.restarts",
            endpoint=None,
            # a pool that replaces its workers may be meant to; a whole service that starts anew is not
            severity="fail" if root else "warning",
            title=f"processes of the target were replaced under load ({len(events)} times)",
            evidence=tuple(e.text for e in events[:3]),
            advice=ADVICE["restart"],
            start=events[0].t,
            end=events[-1].t,
        )
    ]
