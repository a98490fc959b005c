"""Restarts: processes of the target that ended under load and were replaced, again and again or by design.

A pool may replace its workers on purpose (max_requests, max_tasks_per_child): each ends of its own accord, and no
request fails of it. A crash loop that a supervisor covers up looks the same from afar, and is told apart by what it
costs: its processes end with an error or by a signal that nobody sends to be polite, or requests fail around it.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np

from soak.core import units
from soak.core.records import Event
from soak.core.verdict import Finding, Severity
from soak.judge.advice import ADVICE, RECYCLING
from soak.judge.side import Side
from soak.judge.stats.proportion import share, share_rose

LOOP = 3
"""So many bad replacements of one role are a loop."""
_ASKED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_MEANT = ("", "with code 0", "with code 155", *(f"by {name}" for name in _ASKED))
"""Ends that a pool may mean: not known, well, as Celery's pool says that a worker has had its share, or asked for."""
_HELPER_S = 3.0
"""What lives shorter is a helper that is run for a task: its exit code is its answer."""
_CHANCE = 1e-3
_SHARE = 0.01
"""Of requests around a replacement: fewer failures are not put down to it."""
_ALL_OVER = 0.05
"""The same where replacements leave hardly a moment without one to compare with."""
_FEW = 50


def restart(side: Side) -> list[Finding]:
    """One finding for each role of which processes were replaced under load; a role is what has one name."""
    begun = side.recording.phase("warmup") or side.recording.phase("soak")
    if begun is None:
        return []
    over = side.recording.phase("drain")
    until = over.start if over is not None else side.recording.duration
    events = [
        e for e in side.recording.events if e.kind == "restart" and e.side == side.name and begun.start <= e.t <= until
    ]
    loaded = Side(side.name, side.recording, begun.start, until)
    roles = [list(found) for _, found in groupby(sorted(events, key=_role), key=_role)]
    return [_finding(loaded, found) for found in roles]


def _role(event: Event) -> tuple[bool, str]:
    return _is_root(event), str(event.data.get("name", ""))


def _stands_for(event: Event) -> int:
    """How many replacements it is told for: of very many only some are."""
    times = event.data.get("times")
    return times if isinstance(times, int) else 1


def _is_root(event: Event) -> bool:
    return bool(event.data.get("root", "service was started anew" in event.text))


def _finding(side: Side, events: Sequence[Event]) -> Finding:
    events = sorted(events, key=lambda e: e.t)
    costly, words = _cost(side, events)
    bad = [e for e, cost in zip(events, costly, strict=True) if cost or _ill(e)]
    root, name = _is_root(events[0]), str(events[0].data.get("name", ""))
    times = sum(map(_stands_for, events))
    severity: Severity = "info"
    if len(bad) >= LOOP or root:  # nobody means a whole service to start anew
        severity = "fail"
    elif bad:
        severity = "warning"
    who = "the service" if root else name or "a process of the target"
    often = _pace(events)
    if severity == "info":
        title = f"{who} was replaced under load {_times(times)}{often}; no request failed of it"
    else:
        title = f"{who} ended and was started anew under load {_times(times)}{often}"
    return Finding(
        cause="restart",
        metric="process.restarts",
        endpoint=None,
        severity=severity,
        title=title,
        evidence=(_ends(events), *words, *_lives(events), *(e.text for e in events[:3])),
        advice=RECYCLING if severity == "info" else ADVICE["restart"],
        start=events[0].t,
        end=events[-1].t,
    )


def _ill(event: Event) -> bool:
    """Whether it ended as nobody means a process to end."""
    how, lived = str(event.data.get("how", "")), _lived(event)
    return how not in _MEANT and (how.startswith("by ") or lived is None or lived >= _HELPER_S)


def _cost(side: Side, events: Sequence[Event]) -> tuple[list[bool], list[str]]:
    """Around which replacements requests failed, and that in words; none where failures are not more frequent.

    By the accounts of single intervals: windows of latencies are packed in a long run, and are minutes wide.
    """
    none = [False] * len(events)
    kept = sorted((y for y in side.tallies if side.marks.number(y) not in side.marks.all), key=lambda y: y.start)
    if not kept:
        return none, []
    starts, length = np.array([y.start for y in kept]), side.marks.step
    bad = np.array([y.failed + y.unserved + y.lost for y in kept])
    total = bad + np.array([y.done for y in kept])
    near = []
    touched = np.zeros(len(kept), dtype=bool)
    for event in events:
        begin, end = side.vacancy(event, 1.0)
        stretch = slice(*np.searchsorted(starts, [begin - length, end]))
        near.append((int(bad[stretch].sum()), int(total[stretch].sum())))
        touched[stretch] = True
    around = int(bad[touched].sum()), int(total[touched].sum())
    rest = int(bad[~touched].sum()), int(total[~touched].sum())
    bar = _ALL_OVER
    if rest[1] >= _FEW:
        bar = max(_SHARE, 2 * share(rest))
        if share_rose(rest, around) > _CHANCE:
            return none, []
    costly = [share(part) >= bar for part in near]
    if 2 * sum(costly) < len(events):
        return none, []
    beside = f" ({units.percent(share(rest))} otherwise)" if rest[1] else ""
    there = units.percent(share(around))
    return costly, [f"requests failed around {sum(costly)} of {len(events)} of them: {there} there{beside}"]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _pace(events: Sequence[Event]) -> str:
    gaps = [(b.t - a.t) / _stands_for(b) for a, b in pairwise(events)]
    return f", every {units.duration(round(statistics.median(gaps), 1))} or so" if gaps else ""


def _ends(events: Sequence[Event]) -> str:
    """How they ended, the most frequent first."""
    counts = Counter[str]()
    for e in events:
        counts[str(e.data.get("how", "")) or "in a way that was not seen"] += _stands_for(e)
    return "they ended " + ", ".join(f"{how} ({_times(n)})" for how, n in counts.most_common(4))


def _lives(events: Sequence[Event]) -> list[str]:
    """How long they lived and how much memory they had in the end."""
    lives = [lived for e in events if (lived := _lived(e)) is not None]
    sizes = [float(rss) for e in events if isinstance(rss := e.data.get("rss"), (int, float))]
    if not lives:
        return []
    memory = f", and had {units.size(statistics.median(sizes))} of memory in the end" if sizes else ""
    alike = max((int(n) for e in events if isinstance(n := e.data.get("alike"), int)), default=1)
    pool = f"; there were up to {alike} alike at a time" if alike > 1 else ""
    return [f"they lived for {units.duration(round(statistics.median(lives), 1))} (median){memory}{pool}"]


def _lived(event: Event) -> float | None:
    lived = event.data.get("lived")
    return float(lived) if isinstance(lived, (int, float)) else None
