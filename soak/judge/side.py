"""One side of a run as the judge looks at it: any metric as a series over the soak phase, and its trend."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from soak.core import units
from soak.core.inspection import Look, looks, requests_in
from soak.core.metrics import METRICS, TREND_WINDOWS
from soak.core.records import Event, Phase, Recording, Series, SideRecording, Tally
from soak.judge.answers import Answers
from soak.judge.derived import DERIVED
from soak.judge.marks import Marks
from soak.judge.stats.blocks import Blocks, floor_blocks, level_blocks, measured, peak_blocks
from soak.judge.stats.trend import Trend, trend

ALPHA = 0.05
"""Of a run in all: the chance that an interval does not hold what is true."""

_HOLE_S = 5.0
_HOLE_LOOKS = 5
"""A series has a hole where it has no sample for so long, or for so many times its own pace."""
_UNSEEN_SHARE = 0.05
_HELD_TOGETHER = ("memory.", "process.")
"""Metrics that are sums over the processes of a target."""


@dataclass(frozen=True)
class Side:
    """A view of `recording.sides[name]` over the soak phase [start, end) in seconds.

    Every interval of it errs with a chance of `alpha`: 5 % at the end of a run, less at a look before and at the end
    after looks.
    """

    name: str
    recording: Recording
    start: float
    end: float
    alpha: float = ALPHA
    _trends: dict[tuple[str, str | None], Trend | None] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @property
    def data(self) -> SideRecording:
        """What was recorded of this side."""
        return self.recording.sides[self.name]

    @property
    def length(self) -> float:
        """Seconds of soak there are."""
        return self.end - self.start

    @cached_property
    def marks(self) -> Marks:
        """Which intervals of it cannot be trusted."""
        return Marks(self.recording, self.data, self.name, self.start, self.end)

    @cached_property
    def answers(self) -> Answers:
        """How long it took to answer, and what failed."""
        return Answers(self.data, self.marks, self.start, self.end)

    @property
    def tallies(self) -> list[Tally]:
        """The workers' accounts of the soak phase."""
        return self.marks.tallies

    @property
    def trusted(self) -> list[Tally]:
        """Those of intervals that are not marked."""
        return self.marks.trusted

    @cached_property
    def asked(self) -> list[str]:
        """Endpoints that criteria without an endpoint are judged on.

        A scenario states its own. Those of a locustfile are whatever its users asked: what only `on_start` asks, most
        often a login, is asked in the warm-up and no more, and would keep every run from passing.
        """
        found = self.data.endpoints
        if self.recording.scenario.load.locustfile is None:
            return found
        return [e for e in found if self.answers.failures(e)[1]] or found

    @cached_property
    def done(self) -> int:
        """Arrivals that were answered well in the soak phase."""
        return sum(y.done for y in self.tallies)

    def series(self, metric: str) -> Series | None:
        """A metric over the whole run, measured or derived; None when nothing was seen of it."""
        found = DERIVED[metric](self) if metric in DERIVED else self.raw(metric)
        return found if found is not None and len(found) else None

    def soak_series(self, metric: str) -> Series | None:
        """The same, within the soak phase and without its holes; None when nothing is left."""
        found = self.series(metric)
        if found is None:
            return None
        inside = finite(found.between(self.start, self.end))
        return inside if len(inside) else None

    def unseen(self, metric: str) -> str:
        """What is missing of a sampled series, in words, when it is so much that nothing can pass on the rest.

        A hole at the end of the soak is that: a leak may have begun in it. So are holes of a twentieth of it together.
        """
        found = self.series(metric)
        if found is None:
            return f"{metric} was not seen"
        t = finite(found).t
        inside = t[(t >= self.start) & (t < self.end)]
        if not len(inside):
            return f"{metric} was not seen"
        longest = max(_HOLE_S, _HOLE_LOOKS * (float(np.median(np.diff(t))) if len(t) > 1 else self.length))
        edges = np.concatenate([[self.start], inside, [self.end]])
        lengths = np.diff(edges)
        for gap in self.recording.gaps:  # a hole that is known, and made up for
            lengths = lengths - np.clip(np.minimum(edges[1:], gap.end) - np.maximum(edges[:-1], gap.start), 0.0, None)
        holes = float(np.sum(lengths[lengths > longest]))
        if lengths[-1] > longest:
            return f"{metric} was not seen in the last {units.duration(round(float(lengths[-1]), 1))} of the soak"
        if holes > _UNSEEN_SHARE * self.length:
            whole = units.duration(round(self.length))
            return f"{metric} was not seen for {units.duration(round(holes, 1))} of the {whole} of soak"
        return ""

    @cached_property
    def vacancies(self) -> list[tuple[float, float]]:
        """From when on a process that ended was missed until its successor was seen (s)."""
        ended = (e for e in self.recording.events if e.kind == "restart" and e.side == self.name)
        return [self.vacancy(event, 0.5) for event in ended]

    def vacancy(self, event: Event, slack: float) -> tuple[float, float]:
        """The same of one replacement, with a slack in looks: it ended before it was missed."""
        more, vacant = slack * self.recording.scenario.probe.every, event.data.get("vacant")
        return event.t - (float(vacant) if isinstance(vacant, (int, float)) else 0.0) - more, event.t + more

    def blocks(self, metric: str) -> Blocks | None:
        """A series of the soak phase in blocks, summed up as the catalogue says.

        What all processes hold together says nothing while the place of one is vacant: a floor would be its absence.
        """
        found = self.soak_series(metric)
        if found is None:
            return None
        if metric.startswith(_HELD_TOGETHER):
            found = _without(found, self.vacancies)
        shape = METRICS[metric].shape if metric in METRICS else "level"
        make = {"floor": floor_blocks, "peak": peak_blocks}.get(shape, level_blocks)
        return make(found.t, found.v, self.start, self.end)

    def trend(self, metric: str, endpoint: str | None = None) -> Trend | None:
        """The trend of a metric over the soak phase; None when there is too little of it. Fitted once."""
        key = (metric, endpoint)
        if key not in self._trends:
            found = self.observed(metric, endpoint)
            self._trends[key] = (
                trend(found.t, found.v, self.alpha, beside=found.beside, falls=found.falls)
                if found is not None
                else None
            )
        return self._trends[key]

    def observed(self, metric: str, endpoint: str | None = None) -> Blocks | None:
        """What a trend is fitted to: a dozen windows of a percentile or more, or blocks of a series.

        Where the load is meant to vary, how much of it there was stands beside.
        """
        room, _, quantile = metric.partition(".")
        if room in ("host", "generator"):
            return self.blocks(metric)
        if room not in ("latency", "service"):
            return self._beside_load(self.blocks(metric))
        found = self.answers.percentile_windows(endpoint, "latency" if room == "latency" else "service", quantile)
        return self._beside_load(found) if found is not None and len(found.v) >= TREND_WINDOWS else None

    def _beside_load(self, found: Blocks | None) -> Blocks | None:
        if found is None or self.recording.scenario.load.pattern is None:
            return found
        tallies = sorted(self.tallies, key=lambda y: y.start)
        edges = np.array([y.start for y in tallies])
        starts, ends = np.searchsorted(edges, [found.t - found.length / 2, found.t + found.length / 2])
        scheduled = np.concatenate([[0.0], np.cumsum([y.scheduled for y in tallies])])
        offered = (scheduled[ends] - scheduled[starts]) / found.length
        return replace(found, beside=(*found.beside, offered))

    @cached_property
    def looks(self) -> list[Look]:
        """The close looks into it, in order."""
        return looks(self.recording, self.name)

    def requests_in(self, look: Look) -> float:
        """Requests that the process did while its allocations were tracked."""
        return requests_in(self.data, look)

    def once(self, metric: str) -> Series | None:
        """What is measured once a run: memory at rest in the second half of idle-before, or what is installed."""
        if metric == "artefact.size":
            sizes = [e for e in self.recording.events if e.kind == "artefact" and e.side == self.name]
            return Series(*(np.array([x]) for x in (sizes[0].t, float(str(sizes[0].data["bytes"]))))) if sizes else None
        phase = self.recording.phase("idle_before")
        resident = self.raw("memory.anon") or self.raw("memory.rss")
        if phase is None or phase.end is None or resident is None:
            return None
        rest = finite(resident.between((phase.start + phase.end) / 2, phase.end))
        return rest if len(rest) else None

    def mean_of(self, metric: str, phase: Phase | None) -> float | None:
        """The mean of a series over the second half of a phase, when it has settled; None without one."""
        if phase is None or phase.end is None or (found := self.series(metric)) is None:
            return None
        half = finite(found.between((phase.start + phase.end) / 2, phase.end))
        return float(np.mean(half.v)) if len(half) else None

    def at_rest(self, metric: str) -> tuple[float, float] | None:
        """The mean of a series while idle before the load and after it; None unless both are known."""
        before, after = (self.mean_of(metric, self.recording.phase(p)) for p in ("idle_before", "idle_after"))
        return (before, after) if before is not None and after is not None else None

    @property
    def cores(self) -> float:
        """How many cores the candidate's machine has."""
        observers = self.recording.provenance.get("observers")
        observer = observers.get("candidate") if isinstance(observers, dict) else None
        found = (observer if isinstance(observer, dict) else self.recording.provenance).get("cores")
        return float(str(found or 1))

    @cached_property
    def instrument_floor(self) -> float:
        """How late the generator itself usually sends at p99 (s): no smaller drift can be blamed on a target."""
        found = self.soak_series("generator.wake_p99")
        return float(np.median(found.v)) if found is not None else 0.0

    def raw(self, metric: str) -> Series | None:
        """A series as it was measured; of a host only where that is the side's own."""
        if metric.startswith("host."):
            return self.recording.host.get(metric) if self.on_host else None
        return self.data.series.get(metric)

    @property
    def on_host(self) -> bool:
        """Whether it is on the machine that `host` is of: the candidate's."""
        targets = self.recording.scenario.sides
        return targets[self.name].machine == targets["candidate"].machine

    @cached_property
    def intervals(self) -> list[tuple[float, float, list[Tally]]]:
        """Start and length (s) of each interval of the run, ascending, with all workers' accounts; without stubs."""
        found: dict[float, list[Tally]] = {}
        stub = 0.5 * self.recording.scenario.interval_s  # shorter, it says nothing about a rate
        for y in self.data.tallies:
            if y.length > stub and self.marks.number(y) not in self.marks.away:
                found.setdefault(round(y.start, 3), []).append(y)
        return [(start, max(y.length for y in ys), ys) for start, ys in sorted(found.items())]


def _without(series: Series, holes: list[tuple[float, float]]) -> Series:
    """A series without what lies in holes; whole where little else is left."""
    keep = np.ones(len(series), dtype=bool)
    for start, end in holes:
        keep &= (series.t < start) | (series.t > end)
    return Series(series.t[keep], series.v[keep]) if 4 * keep.sum() > len(series) else series


def finite(series: Series) -> Series:
    """A series without its holes."""
    keep = measured(series.v)
    return series if keep.all() else Series(series.t[keep], series.v[keep])
