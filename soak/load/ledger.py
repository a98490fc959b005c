"""The ledger: what one worker records between two reports, and the report it becomes.

It is plain bookkeeping for one event loop: no clock, no gevent, no Locust.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from soak.core.histogram import Histogram, Recorder
from soak.core.records import Clock, Event, Interval, Outcome, Tally

MAX_ENDPOINTS = 300
FOLDED = "(more endpoints)"
_MAX_ERRORS = 50
_MOST_STALLS = 5
"""Of one interval, the longest; how late the loop was in it is in its tally anyway."""
_TELL_EVERY = 1 / 200
"""Of the time that a run goes on: failures are told by kind no more often, and always at its end. They are summed up by
whoever reads them, and one in each interval would be a hundred thousand of each kind in a run of days."""
_ALL = 2**31

_Clocks = tuple[Recorder, Recorder]
"""Latency and service time of one endpoint and outcome."""
Report = dict[str, Any]
"""A tally, its histograms and its errors as plain data, fit for msgpack."""


@dataclass(frozen=True, slots=True)
class Health:
    """The generator's own state at a report: cores used, resident bytes, requests in flight, share of the time spent
    waiting for a core; since the last one."""

    cpu: float
    rss: int
    in_flight: int
    waited: float = 0.0


class Ledger:
    """Counts and histograms of one worker since its last report."""

    def __init__(self, side: str, worker: str) -> None:
        self.side, self.worker = side, worker
        self.sequence = 0
        self.lag = Recorder()
        self.wake = Recorder()
        self._requests: dict[tuple[str, Outcome], _Clocks] = {}
        self._journeys: dict[tuple[str, Outcome], Recorder] = {}
        self._endpoints: set[str] = set()
        self._errors: dict[tuple[str, str], int] = {}
        self._told = -math.inf
        self._notes: list[str] = []
        self.stalls: list[tuple[float, float]] = []
        """From when to when (s since the start of the run) the event loop stood still."""
        self._folded = False
        self._clear()

    def _clear(self) -> None:
        self.done = self.failed = self.unserved = self.lost = self.no_slot = 0
        self.free_slots = _ALL

    def request(self, endpoint: str, outcome: Outcome, latency: float, service: float | None) -> None:
        """Record a request (s); one that was never sent has no service time."""
        clocks = self._requests.get((endpoint, outcome))
        if clocks is None:
            clocks = self._requests.setdefault((self._admit(endpoint), outcome), (Recorder(), Recorder()))
        clocks[0].record(latency)
        if service is not None:
            clocks[1].record(service)

    def journey(self, name: str, outcome: Outcome, latency: float) -> None:
        """Record a whole journey (s)."""
        self._journeys.setdefault((name, outcome), Recorder()).record(latency)

    def error(self, endpoint: str, text: str) -> None:
        """Count a failure by its endpoint and normalised text."""
        key = (endpoint, text)
        if key in self._errors or len(self._errors) < _MAX_ERRORS:
            self._errors[key] = self._errors.get(key, 0) + 1

    def report(self, start: float, end: float, scheduled: int, health: Health, *, last: bool = False) -> Report:
        """Close the stretch [start, end) in seconds since the start of the run, and begin the next if it is not the
        `last`."""
        lag, wake = self.lag.take(), self.wake.take()
        tally = {
            "start": start,
            "length": end - start,
            "scheduled": scheduled,
            "done": self.done,
            "failed": self.failed,
            "unserved": self.unserved,
            "lost": self.lost,
            "no_slot": self.no_slot,
            "lag_p99": _or_zero(lag.percentile(99)),
            "lag_max": _or_zero(lag.maximum),
            "wake_p99": _or_zero(wake.percentile(99)),
            "wake_max": _or_zero(wake.maximum),
            "cpu": health.cpu,
            "rss": health.rss,
            "in_flight": health.in_flight,
            "waited": health.waited,
            "free_slots": self.free_slots if self.free_slots < _ALL else 0,
        }
        histograms = []
        for name, outcome, clock, recorder in self._recorders():
            taken = recorder.take()
            if taken.total:
                histograms.append([name, outcome, clock, taken.clamped, taken.encode()])
        errors: list[list[str | int]] = []
        if last or end - self._told >= _TELL_EVERY * end:
            errors = [[endpoint, text, count] for (endpoint, text), count in self._errors.items()]
            self._errors, self._told = {}, end
        notes, self._notes = self._notes, []
        longest = sorted(self.stalls, key=lambda stall: stall[0] - stall[1])[:_MOST_STALLS]
        stalls, self.stalls = sorted(longest), []
        self._clear()
        self.sequence += 1
        return {
            "worker": self.worker,
            "sequence": self.sequence,
            "tally": tally,
            "histograms": histograms,
            "errors": errors,
            "notes": notes,
            "stalls": stalls,
        }

    def _recorders(self) -> Iterator[tuple[str, Outcome, Clock, Recorder]]:
        for (endpoint, outcome), (latency, service) in self._requests.items():
            yield endpoint, outcome, "latency", latency
            yield endpoint, outcome, "service", service
        for (name, outcome), recorder in self._journeys.items():
            yield name, outcome, "journey", recorder

    def _admit(self, endpoint: str) -> str:
        """Names are bounded: ids in names would grow memory and the run file without end."""
        if endpoint in self._endpoints:
            return endpoint
        if len(self._endpoints) >= MAX_ENDPOINTS:
            if not self._folded:
                self._folded = True
                self._notes.append(
                    f"more than {MAX_ENDPOINTS} names of requests: the others are kept together as {FOLDED!r}; "
                    "name requests by their kind, without ids"
                )
            return FOLDED
        self._endpoints.add(endpoint)
        return endpoint


def unpack(report: Report, side: str) -> tuple[Tally, list[Interval], list[Event]]:
    """The records that a report stands for."""
    worker, sequence, tally = report["worker"], report["sequence"], report["tally"]
    start, length = tally["start"], tally["length"]
    intervals = [
        Interval(side, worker, sequence, start, length, endpoint, outcome, clock, Histogram.decode(blob, clamped))
        for endpoint, outcome, clock, clamped, blob in report["histograms"]
    ]
    events = [
        Event(
            start + length,
            "error_sample",
            side,
            f"{endpoint}: {text} ({count} times)",
            {"endpoint": endpoint, "error": text, "count": count},
        )
        for endpoint, text, count in report["errors"]
    ]
    for since, until in report["stalls"]:
        text = f"the event loop of {worker} stood still for {until - since:.2f} s"
        events.append(Event(since, "stall", side, text, {"worker": worker, "from": since, "to": until}))
    events += [Event(start + length, "note", side, text) for text in report["notes"]]
    return Tally(side=side, worker=worker, sequence=sequence, **tally), intervals, events


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
