"""Whether the measurement itself can be trusted. The instrument is judged before the target.

An interval is invalid when the generator's event loop was late (it then sent late, whatever the target
did): for long at once, or at p99 for about ten seconds around it; and when arrivals were lost in it.
Slots that ran out while the loop was on time are the target's own backlog, and valid.
"""

from __future__ import annotations

import math

import numpy as np

from soak.core import units
from soak.core.records import Recording, Tally
from soak.core.verdict import Validity
from soak.judge.side import Side

LAG_P99_S = 0.020
LAG_MAX_S = 0.250
LAG_ALWAYS_FINE_S = 0.100
SLO_SHARE = 0.2
_AROUND_S = 10.0
INVALID_SHARE = 0.05
FEW = 2
"""So many untrusted intervals do not condemn a run, however short: a busy host has such moments."""


def validity(side: Side) -> Validity:
    """The account and the health of one side, with the reasons that make it invalid."""
    data, recording = side.data, side.recording
    told = {k: sum(getattr(y, k) for y in data.tallies) for k in ("scheduled", "done", "failed", "unserved", "lost")}
    scheduled = data.scheduled if data.scheduled is not None else told["scheduled"]
    lag_limit = _lag_limit(recording)
    step = recording.scenario.interval_s
    late = {int(y.start / step + 0.5) for y in late_tallies(side)}
    lossy = {int(y.start / step + 0.5) for y in side.tallies if y.lost}
    missing, gaps = _missing(side), _gaps(side)
    intervals = len({int(y.start / step + 0.5) for y in side.tallies} | missing)
    invalid = len(late | lossy | missing | gaps)
    reasons = []
    parts = told["done"] + told["failed"] + told["unserved"] + told["lost"]
    if recording.finished and data.scheduled is not None and parts != scheduled:
        reasons.append(f"the account does not balance: {scheduled} arrivals scheduled, {parts} accounted for")
    for event in recording.events:
        if event.side in (None, side.name) and event.kind == "generator_error":
            reasons.append(event.text)
    share = invalid / max(1, intervals)
    if share > INVALID_SHARE and invalid > FEW:
        causes = [
            f"in {len(late)} the generator's event loop was late (by more than {LAG_P99_S * 1e3:.0f} ms at p99 or "
            f"{lag_limit * 1e3:.0f} ms at most)" * bool(late),
            f"in {len(lossy)} arrivals were lost" * bool(lossy),
            f"in {len(gaps)} a worker was cut off or gone" * bool(gaps),
            f"{len(missing)} were not reported" * bool(missing),
        ]
        what = "; ".join(c for c in causes if c)
        reasons.append(f"{invalid} of {intervals} intervals cannot be trusted: {what}")
    return Validity(
        scheduled=scheduled,
        done=told["done"],
        failed=told["failed"],
        unserved=told["unserved"],
        lost=told["lost"],
        intervals=intervals,
        invalid_intervals=invalid,
        reasons=tuple(reasons),
    )


def saturated(side: Side) -> bool:
    """Whether the generator, not the target, was the bottleneck: no free slot while its own loop was late."""
    bad = [y for y in late_tallies(side) if y.no_slot > 0.05 * max(1, y.scheduled)]
    return len(bad) > INVALID_SHARE * max(1, len(side.tallies))


def late_tallies(side: Side) -> list[Tally]:
    """The intervals in which a worker's event loop was late, by its own measure."""
    limit = _lag_limit(side.recording)
    around = max(1, round(_AROUND_S / side.recording.scenario.interval_s))
    late = []
    for worker in {y.worker for y in side.tallies}:
        mine = [y for y in side.tallies if y.worker == worker]
        p99 = np.array([y.lag_p99 for y in mine])
        for i, y in enumerate(mine):
            # in one second a p99 is all but the maximum: only one that lasts says that the loop is saturated
            lasting = float(np.median(p99[max(0, i - around // 2) : i + around // 2 + 1]))
            if y.lag_max > limit or lasting > LAG_P99_S:
                late.append(y)
    return late


def _lag_limit(recording: Recording) -> float:
    """A loop may be late by a fifth of the tightest latency limit, but not by more than 250 ms."""
    limits = [
        c.limit.value
        for c in recording.scenario.criteria
        if c.spec.room in ("latency", "service") and c.kind == "below"
    ]
    return min([LAG_MAX_S, *(max(SLO_SHARE * limit, LAG_ALWAYS_FINE_S) for limit in limits)])


def losses(side: Side) -> list[str]:
    """Workers that were lost while the run went on without them, each in a sentence."""
    begin = side.recording.load_start or 0.0
    told = []
    for event in side.recording.events:
        if event.kind == "worker_lost" and event.side == side.name and "to" in event.data:
            start, end = float(str(event.data["from"])), float(str(event.data["to"]))
            told.append(
                f"{event.text} {units.duration(max(0.0, begin + start))} into the run; {units.duration(end - start)} "
                "later its share of the rate was that of the others. Unless it came back to tell, what it did in "
                "between is missing; those intervals are not trusted"
            )
    return told


def _gaps(side: Side) -> set[int]:
    """Intervals of the soak in which a worker that had a share of the rate was not heard from."""
    step, begin = side.recording.scenario.interval_s, side.recording.load_start or 0.0
    found: set[int] = set()
    for event in side.recording.events:
        if event.kind == "worker_lost" and event.side == side.name and "to" in event.data:
            start = max(side.start, begin + float(str(event.data["from"])))
            end = min(side.end, begin + float(str(event.data["to"])))
            found |= set(range(int(start / step), math.ceil(end / step))) if end > start else set()
    return found


def _missing(side: Side) -> set[int]:
    """Intervals of the soak in which a worker had a share of the rate and never reported what became of it."""
    step = side.recording.scenario.interval_s
    first, last = int(side.start / step) + 1, int(side.end / step) - 1
    by_worker: dict[str, set[int]] = {}
    for y in side.tallies:
        if 0.5 * step <= y.length < 1.5 * step and not y.lost:
            by_worker.setdefault(y.worker, set()).add(int(y.start / step + 0.5))
    if not by_worker:
        return set(range(first, max(first + 1, last)))
    missing: set[int] = set()
    for start, end, workers in _owners(side):
        wanted = range(max(first, math.ceil(start / step)), min(last, int(end / step)))
        for worker in workers:
            missing |= set(wanted) - by_worker.get(worker, set())
    return missing


def _owners(side: Side) -> list[tuple[float, float, list[str]]]:
    """From when to when (s since the start of the run) which workers shared the rate."""
    begin = side.recording.load_start or 0.0
    splits = [
        (begin + float(str(e.data["at"])), list(e.data["shares"]))  # type: ignore[call-overload]
        for e in side.recording.events
        if e.kind == "split" and e.side == side.name
    ]
    if not splits:
        return [(side.start, side.end, sorted({y.worker for y in side.tallies}))]
    ends = [start for start, _ in splits[1:]] + [side.end]
    return [(start, end, workers) for (start, workers), end in zip(splits, ends, strict=True)]
