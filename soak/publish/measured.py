"""What was measured of a run, as of any moment of it: counts, quantiles of a window, the target, the generator.

A live page is this at the present moment; a run that is told in hindsight is this at the end of each of its windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from soak.core.exposition import exposed
from soak.core.histogram import Histogram
from soak.core.inspection import looks, requests_in
from soak.core.records import Floats, Recording, Series, SideRecording, Tally, Window
from soak.publish.names import ALL, HOST, MORE, PHASES, PROBED, QUANTILES
from soak.publish.page import Page

MOST_ENDPOINTS = 30
MOST_JOURNEYS = 20
_DERIVED = ("stack.headroom", "cpu.per_request", "allocations.per_request", "allocations.bytes_per_request")
_OUTCOMES = ("ok", "failed", "timeout")
_BECAME = ("done", "failed", "unserved", "lost")
_LIVES = ("restart", "target_exit")
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `start` to `end` (s since the start of the run), for what is reported by interval.

    All the rest is told as it is at `now`, and nothing of it that is older than `since`.
    """

    start: float
    end: float
    now: float
    since: float

    def holds(self, found: Window | Tally) -> bool:
        """Whether the middle of a window or of an account lies in it."""
        return self.start - _EPSILON <= found.start + found.length / 2 < self.end + _EPSILON


class Measured:
    """A recording that is told as of one moment after the other: what came since the last one is added."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._sides = {name: _Side(name, side, recording) for name, side in recording.sides.items()}

    @property
    def left_out(self) -> dict[str, int]:
        """How many endpoints and journeys are beyond the limit."""
        return {
            "endpoints": sum(max(0, len(s.endpoints) - MOST_ENDPOINTS) for s in self._sides.values()),
            "journeys": sum(max(0, len(s.side.journeys) - MOST_JOURNEYS) for s in self._sides.values()),
        }

    def tell(self, page: Page, stretch: Stretch) -> None:
        """Add what there was at the end of a stretch; each begins no earlier than the one before."""
        name = self.recording.scenario.name
        if stretch.end > stretch.start:
            page.add("soak_window_seconds", [name], stretch.end - stretch.start)
        begun = [p.name for p in self.recording.phases if p.start <= stretch.now]
        over = self.recording.phases and self.recording.phases[-1].end is not None
        ended = over and stretch.now >= (self.recording.phases[-1].end or 0.0)
        page.choose("soak_run_phase", [name], PHASES, "end" if ended else begun[-1] if begun else None)
        soak = self.recording.phase("soak")
        if soak is not None:
            until = min(stretch.now, soak.end if soak.end is not None else stretch.now)
            page.add("soak_run_soaked_seconds", [name], max(0.0, until - soak.start))
        page.add("soak_run_planned_seconds", [name], self.recording.scenario.phases.soak)
        for kind in sorted({e.kind for e in self.recording.events}):
            count = sum(e.kind == kind and e.t <= stretch.now for e in self.recording.events)
            page.add("soak_events", [name, kind], count)
        for metric in HOST:
            page.add(exposed(metric), [name], _last(self.recording.host.get(metric), stretch.since, stretch.now))
        for side in self._sides.values():
            side.tell(page, stretch)


class _Side:
    def __init__(self, name: str, side: SideRecording, recording: Recording) -> None:
        self.side, self.recording = side, recording
        self.labels = [recording.scenario.name, name]
        self.name = name
        named = {name: i for i, name in enumerate(recording.scenario.load.per_arrival)}
        self.endpoints = _in_order(side, named, journeys=False)
        self.journeys = _in_order(side, named, journeys=True)[:MOST_JOURNEYS]
        self._shown = {e: e for e in self.endpoints[:MOST_ENDPOINTS]}
        tallies = sorted(side.tallies, key=lambda y: y.start)
        self._tallies = tallies
        self._starts = np.array([y.start for y in tallies])
        fields = ("scheduled", *_BECAME)
        self._sums = {f: np.concatenate([[0], np.cumsum([getattr(y, f) for y in tallies])]) for f in fields}
        self._windows = sorted(
            ((w.start, key, w) for key, windows in side.windows.items() for w in windows), key=lambda x: (x[0], x[1])
        )
        self._lives = [e.t for e in recording.events if e.kind in _LIVES and e.side == name]
        self._at = 0
        self._requests: dict[tuple[str, str], int] = {}
        self._so_far: dict[str, list[Histogram]] = {}

    def tell(self, page: Page, stretch: Stretch) -> None:
        """All of one side."""
        self._count(page, stretch.end)
        self._quantiles(page, stretch)
        self._target(page, stretch)
        self._generator(page, stretch)

    def _count(self, page: Page, end: float) -> None:
        """What only rises."""
        upto = int(np.searchsorted(self._starts, end - _EPSILON))
        page.add("soak_arrivals_scheduled", self.labels, int(self._sums["scheduled"][upto]))
        for field in _BECAME:
            page.add("soak_arrivals", [*self.labels, field], int(self._sums[field][upto]))
        while self._at < len(self._windows) and self._windows[self._at][0] < end - _EPSILON:
            _, (endpoint, outcome, clock), window = self._windows[self._at]
            self._at += 1
            if clock == "latency":
                shown = self._shown.get(endpoint, MORE)
                key = (shown, outcome)
                self._requests[key] = self._requests.get(key, 0) + window.histogram.total
                if outcome != "failed":
                    self._so_far.setdefault(shown, []).append(window.histogram)
        for shown in dict.fromkeys(e for e, _ in self._requests):
            for became in _OUTCOMES:
                page.add("soak_requests", [*self.labels, shown, became], self._requests.get((shown, became), 0))
        for shown, parts in self._so_far.items():
            whole = Histogram.merge(parts)
            self._so_far[shown] = [whole]
            page.histogram([*self.labels, shown], whole)

    def _quantiles(self, page: Page, stretch: Stretch) -> None:
        """Quantiles of all answers and timeouts of the stretch: of merged histograms, never of quantiles."""
        inside = [(key, w) for _, key, w in self._windows if stretch.holds(w)]
        for endpoint in (ALL, *self._shown):
            of = [(outcome, clock, w.histogram) for (e, outcome, clock), w in inside if endpoint in (ALL, e)]
            counts = {o: sum(h.total for outcome, c, h in of if c == "latency" and outcome == o) for o in _OUTCOMES}
            if not (total := sum(counts.values())):
                continue
            labels = [*self.labels, endpoint]
            page.add("soak_window_requests", labels, total)
            page.add("soak_errors_ratio", labels, 1 - counts["ok"] / total)
            for family, clock in (("soak_latency_seconds", "latency"), ("soak_service_seconds", "service")):
                _add_quantiles(page, family, labels, (h for o, c, h in of if c == clock and o != "failed"))
        for journey in self.journeys:
            parts = (w.histogram for (e, o, c), w in inside if (e, c) == (journey, "journey") and o != "failed")
            _add_quantiles(page, "soak_journey_seconds", [*self.labels, journey], parts)

    def _target(self, page: Page, whole: Stretch) -> None:
        series = self.side.series
        lives = [t for t in self._lives if t <= whole.now]
        stretch = replace(whole, since=max([whole.since, *lives]))  # what an earlier process held is no longer held
        for metric in PROBED:
            if metric not in _DERIVED:
                page.add(exposed(metric), self.labels, _last(series.get(metric), stretch.since, stretch.now))
        page.add(exposed("stack.headroom"), self.labels, self._headroom(stretch))
        cpu = self._cpu_per_request(stretch)
        page.add(exposed("cpu.per_request"), self.labels, cpu)
        scale = self.recording.scenario.cost
        if scale is not None and cpu is not None:
            cores = cpu * scale.rate * scale.instances
            page.add("soak_cost_cores", self.labels, cores)
            if scale.price is not None:
                page.add("soak_cost_per_hour", [*self.labels, scale.price[1]], cores * scale.price[0])
        windows = [
            (look.window, requests_in(self.side, look))
            for look in looks(self.recording, self.name)
            if look.window is not None and stretch.since <= look.window.end <= stretch.now
        ]
        if windows and windows[-1][1] > 0:
            window, requests = windows[-1]
            page.add(exposed("allocations.per_request"), self.labels, window.count / requests)
            page.add(exposed("allocations.bytes_per_request"), self.labels, window.bytes / requests)

    def _headroom(self, stretch: Stretch) -> float | None:
        """The share of its stack that the fullest thread never touched, as the judge has it."""
        left = []
        for mark, size in (("stack.high_water", "stack.limit"), ("stack.thread_high_water", "stack.thread_limit")):
            used, limit = (_last(self.side.series.get(m), stretch.since, stretch.now) for m in (mark, size))
            if used is not None and limit:
                left.append(1 - used / limit)
        return min(left, default=None)

    def _cpu_per_request(self, stretch: Stretch) -> float | None:
        cpu = self.side.series.get("process.cpu_seconds")
        used = cpu.between(max(stretch.start, stretch.since), stretch.end + _EPSILON) if cpu is not None else None
        if used is None or len(used) < 2:
            return None
        first, last = float(used.t[0]), float(used.t[-1])
        if not self._tallies:
            return None
        starts = np.append(self._starts, self._tallies[-1].start + self._tallies[-1].length)
        done = float(np.diff(np.interp([first, last], starts, self._sums["done"]))[0])
        return float(used.v[-1] - used.v[0]) / done if done > 0 and used.v[-1] >= used.v[0] else None

    def _generator(self, page: Page, stretch: Stretch) -> None:
        a, b = np.searchsorted(self._starts, [stretch.start - _EPSILON, stretch.end])
        found = [y for y in self._tallies[a:b] if stretch.holds(y)]
        if not found:
            return
        last = {y.worker: y for y in found}
        page.add("soak_generator_workers", self.labels, len(last))
        page.add(exposed("generator.loop_lag_max"), self.labels, max(y.lag_max for y in found))
        page.add(exposed("generator.wake_p99"), self.labels, max(y.wake_p99 for y in found))
        page.add(exposed("generator.cpu"), self.labels, max(y.cpu for y in found))
        page.add(exposed("generator.rss"), self.labels, max(y.rss for y in last.values()))
        page.add("soak_generator_in_flight", self.labels, sum(y.in_flight for y in last.values()))
        page.add("soak_generator_free_slots", self.labels, min(y.free_slots for y in found))


def _in_order(side: SideRecording, named: Mapping[str, int], journeys: bool) -> list[str]:
    """Endpoints, or journeys: first those that are `named`, then the others by when they were first answered.

    So those that are shown stay the same ones while a run goes on. When alone would not do: once the first seconds are
    rolled up to one window, all in it were first answered at once.
    """
    first: dict[str, float] = {}
    for (name, _, clock), windows in side.windows.items():
        if (clock == "journey") == journeys and windows:
            first[name] = min(first.get(name, windows[0].start), windows[0].start)
    return sorted(first, key=lambda e: (named.get(e, len(named)), first[e], e))


def _add_quantiles(page: Page, family: str, labels: Sequence[str], parts: Iterable[Histogram]) -> None:
    whole = Histogram.merge(parts)
    for label, value in zip(QUANTILES, whole.percentiles(list(QUANTILES.values())), strict=True):
        page.add(family, [*labels, label], value)


def _last(series: Series | None, since: float, end: float) -> float | None:
    """The last value that was seen from `since` to `end`."""
    if series is None:
        return None
    values: Floats = series.between(since, end + _EPSILON).v
    seen = values[np.isfinite(values)]
    return float(seen[-1]) if len(seen) else None
