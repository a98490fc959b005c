"""Whether the measurement itself can be trusted. The instrument is judged before the target.

An interval is invalid when the generator's event loop was late (it then sent late, whatever the target
did): for long at once, or at p99 for about ten seconds around it; and when arrivals were lost in it.
Slots that ran out while the loop was on time are the target's own backlog, and valid.
"""

from __future__ import annotations

import numpy as np

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
    late = {round(y.start, 3) for y in late_tallies(side)}
    lossy = {round(y.start, 3) for y in side.tallies if y.lost}
    intervals = len({round(y.start, 3) for y in side.tallies})
    missing = _missing(side)
    invalid = len(late | lossy) + missing
    reasons = []
    parts = told["done"] + told["failed"] + told["unserved"] + told["lost"]
    if recording.finished and data.scheduled is not None and parts != scheduled:
        reasons.append(f"the account does not balance: {scheduled} arrivals scheduled, {parts} accounted for")
    for event in recording.events:
        if event.side in (None, side.name) and event.kind in ("worker_lost", "generator_error"):
            reasons.append(event.text)
    share = invalid / max(1, intervals + missing)
    if share > INVALID_SHARE and invalid > FEW:
        causes = [
            f"in {len(late)} the generator's event loop was late (by more than {LAG_P99_S * 1e3:.0f} ms at p99 or "
            f"{lag_limit * 1e3:.0f} ms at most)" * bool(late),
            f"in {len(lossy)} arrivals were lost" * bool(lossy),
            f"{missing} were not reported" * bool(missing),
        ]
        what = "; ".join(c for c in causes if c)
        reasons.append(f"{invalid} of {intervals + missing} intervals cannot be trusted: {what}")
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


def _missing(side: Side) -> int:
    """Intervals of the soak that a worker never reported."""
    step = side.recording.scenario.interval_s
    by_worker: dict[str, set[float]] = {}
    for y in side.tallies:
        if y.length >= 0.5 * step:
            by_worker.setdefault(y.worker, set()).add(round(y.start / step))
    if not by_worker:
        return int(side.length / step)
    seen = set.intersection(*by_worker.values())
    first, last = int(side.start / step) + 1, int(side.end / step) - 1
    return sum(1 for i in range(first, last) if i not in seen)
