"""Which intervals of a run cannot be trusted, and why: the instrument is judged before the target.

An interval is marked when the generator's event loop was late in it (it then sent late, whatever the target did): for
long at once, at p99 for about ten seconds around it, or because it never slept while no slot was free; when arrivals
were lost in it; when a worker that had a share of the rate was cut off or did not report. What is in a marked interval
says nothing about the target, and is left out of every percentile, trend and ratio of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from soak.core.criterion import Criterion
from soak.core.records import Event, Recording, SideRecording, Tally

_LAG_S = (0.100, 0.250)
"""A loop that is late by less at once spoils nothing, by more anything; between them the latency limits decide."""
NO_SLOT_P99_S = 0.020
"""A tail of that, with no slot free, is a saturated loop's."""
_LAG_P99_S = (NO_SLOT_P99_S, 0.050)
_SLO_SHARE = 0.2
_AROUND_S = 10.0
_NEVER_SLEEPS = 0.9
"""Of the time, running or waiting for a core."""
_NO_SLOT_SHARE = 0.05
_HAS_ROOM = 0.5
"""A worker that ran for less than this is not late by its own work where waiting for a core explains it."""
_RECOVERY_S = 1.0
"""After a costly look, for what waited meanwhile to be served."""

Why = Literal["frozen", "starved", "saturated"]


@dataclass(frozen=True, slots=True)
class Late:
    """An interval in which a worker's event loop was late, and what kept it."""

    tally: Tally
    why: Why


@dataclass(frozen=True)
class Marks:
    """The marked intervals of one side within [start, end) of a run, by their number from its start."""

    recording: Recording
    data: SideRecording
    name: str
    start: float
    end: float

    @cached_property
    def step(self) -> float:
        """Length of an interval in seconds."""
        return self.recording.scenario.interval_s

    @cached_property
    def tallies(self) -> list[Tally]:
        """The workers' accounts of this stretch."""
        return [y for y in self.data.tallies if self.start <= y.start < self.end and self.number(y) not in self.away]

    @cached_property
    def away(self) -> set[int]:
        """Intervals in which nobody conducted the run: it was cut off there, and resumed."""
        found: set[int] = set()
        for gap in self.recording.gaps:
            found |= set(range(int(gap.start / self.step), math.ceil(gap.end / self.step)))
        return found

    @cached_property
    def late(self) -> list[Late]:
        """Intervals in which a worker's event loop was late, by its own measure."""
        limit, usual = lag_limit(self.recording), lag_p99_limit(self.recording)
        around = max(1, round(_AROUND_S / self.step))
        found = []
        for worker in sorted({y.worker for y in self.tallies}):
            mine = [y for y in self.tallies if y.worker == worker]
            p99 = np.array([y.lag_p99 for y in mine])
            ever = bool((p99 > NO_SLOT_P99_S).any())
            for i, y in enumerate(mine):
                # in one second a p99 is all but the maximum: only one that lasts says that the loop is saturated
                near = p99[max(0, i - around // 2) : i + around // 2 + 1]
                lasting = ever and np.median(near) > (NO_SLOT_P99_S if without_slots(y) else usual)
                if y.lag_max > limit or lasting or _at_its_limit(y):
                    found.append(Late(y, _why(y, limit)))
        return found

    @cached_property
    def behind(self) -> set[int]:
        """Intervals that lateness reaches into: a process that stood still was late for all of that time."""
        found = {self.number(late.tally) for late in self.late}
        for event in self.recording.events:
            if event.kind == "stall" and event.side == self.name:
                since, until = float(str(event.data["from"])), float(str(event.data["to"]))
                if until - since > lag_limit(self.recording):
                    found |= set(self._numbers(since, until))
        return found

    @cached_property
    def lossy(self) -> set[int]:
        """Intervals in which arrivals were lost."""
        return {self.number(y) for y in self.tallies if y.lost}

    @cached_property
    def gaps(self) -> set[int]:
        """Intervals in which a worker that had a share of the rate was not heard from."""
        found: set[int] = set()
        for event in self.recording.events:
            if event.kind == "worker_lost" and event.side == self.name and "to" in event.data:
                begin = load_began(event, self.recording)
                start, end = (begin + float(str(event.data[key])) for key in ("from", "to"))
                found |= set(self._numbers(start, end))
        return found

    @cached_property
    def missing(self) -> set[int]:
        """Intervals in which a worker had a share of the rate and never reported what became of it."""
        first, last = int(self.start / self.step) + 1, int(self.end / self.step) - 1
        by_worker: dict[str, set[int]] = {}
        for y in self.tallies:
            if 0.5 * self.step <= y.length < 1.5 * self.step and not y.lost:
                by_worker.setdefault(y.worker, set()).add(self.number(y))
        if not by_worker:
            return set(range(first, max(first + 1, last)))
        found: set[int] = set()
        for start, end, workers in self._owners():
            wanted = set(range(max(first, math.ceil(start / self.step)), min(last, int(end / self.step))))
            for worker in workers:
                found |= wanted - by_worker.get(worker, set())
        return found

    @cached_property
    def all(self) -> set[int]:
        """Every interval that cannot be trusted."""
        return (self.behind | self.lossy | self.gaps | self.missing) - self.away

    @cached_property
    def inspected(self) -> set[int]:
        """Intervals in which the target was slowed down by a costly look into it: right, but not its own doing."""
        found: set[int] = set()
        for event in self.recording.events:
            if event.kind == "inspection" and event.side == self.name:
                start, end = (float(str(event.data[key])) for key in ("from", "to"))
                found |= set(self._numbers(start, end + _RECOVERY_S))
        return found

    @cached_property
    def unjudged(self) -> set[int]:
        """Every interval that is left out of what is judged."""
        return self.all | self.inspected | self.away

    @cached_property
    def trusted(self) -> list[Tally]:
        """Those of the soak phase whose interval is not marked."""
        return [y for y in self.tallies if self.number(y) not in self.unjudged]

    def number(self, y: Tally) -> int:
        """Of the interval that a tally is for."""
        return int(y.start / self.step + 0.5)

    def touches(self, start: float, length: float) -> bool:
        """Whether a stretch of time has a marked interval in it."""
        if not self.unjudged:
            return False
        first, last = int(start / self.step + 1e-6), math.ceil((start + length) / self.step - 1e-6)
        return not self.unjudged.isdisjoint(range(first, max(first + 1, last)))

    def _numbers(self, start: float, end: float) -> Iterable[int]:
        start, end = max(start, self.start), min(end, self.end)
        return range(int(start / self.step), math.ceil(end / self.step)) if end > start else range(0)

    def _owners(self) -> list[tuple[float, float, list[str]]]:
        """From when to when (s since the start of the run) which workers shared the rate."""
        splits = [
            (
                load_began(e, self.recording) + float(str(e.data["at"])),
                list(e.data["shares"]),  # type: ignore[call-overload]
            )
            for e in self.recording.events
            if e.kind == "split" and e.side == self.name
        ]
        if not splits:
            return [(self.start, self.end, sorted({y.worker for y in self.tallies}))]
        ends = [start for start, _ in splits[1:]] + [self.end]
        return [(start, end, workers) for (start, workers), end in zip(splits, ends, strict=True)]


def load_began(event: Event, recording: Recording) -> float:
    """When the schedule began that the times of an event are counted from (s since the start of the run).

    A run that was resumed has several such moments, and the event says its own.
    """
    return float(str(event.data.get("begin", recording.load_start or 0.0)))


def lag_limit(recording: Recording) -> float:
    """How late (s) a loop may be once: a fifth of the tightest latency limit, but 100 ms always and 250 ms never."""
    return _share_of_limits(recording, *_LAG_S)


def lag_p99_limit(recording: Recording) -> float:
    """How late (s) it may be at p99 with slots to spare: a fifth too, but 20 ms always and 50 ms never.

    20 ms where latencies are compared, with a reference or over time, and where no slot is free: then it is saturated.
    """
    if any(c.kind != "below" for c in _of_latency(recording)):
        return NO_SLOT_P99_S
    return _share_of_limits(recording, *_LAG_P99_S)


def _share_of_limits(recording: Recording, least: float, most: float) -> float:
    limits = [c.limit.value for c in _of_latency(recording) if c.kind == "below"]
    return min(most, max(least, _SLO_SHARE * min(limits, default=math.inf)))


def _of_latency(recording: Recording) -> list[Criterion]:
    return [c for c in recording.scenario.criteria if c.spec.room in ("latency", "service")]


def without_slots(y: Tally) -> bool:
    """Whether arrivals of an interval found no slot free, more than now and then."""
    return y.no_slot > _NO_SLOT_SHARE * max(1, y.scheduled)


def _at_its_limit(y: Tally) -> bool:
    """Whether the worker never slept, and arrivals found no slot: a loop of many short turns is late by little."""
    return y.cpu + y.waited > _NEVER_SLEEPS and without_slots(y)


def _why(y: Tally, limit: float) -> Why:
    """What kept the loop: nothing ran (a stop), others ran (no core was free), or its own work."""
    busy, waited = y.cpu * y.length, y.waited * y.length
    if y.lag_max > limit and busy + waited < y.lag_max / 2:
        return "frozen"
    explained = waited > y.lag_max / 2 and y.cpu < _HAS_ROOM
    return "starved" if y.waited > y.cpu or explained else "saturated"
