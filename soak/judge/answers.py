"""What a side answered over a stretch of time: merged histograms, percentiles over time, failures.

Percentiles are never averaged, and what cannot be trusted is in none of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from soak.core.histogram import Histogram
from soak.core.metrics import QUANTILES, TREND_WINDOWS, WANTED
from soak.core.records import TASK, UNSERVED, Clock, Floats, Outcome, SideRecording, Window
from soak.judge.marks import Marks
from soak.judge.stats.blocks import Blocks

ENOUGH = {"p50": 50, "p90": 200, "p99": 400, "p999": 4_000, "p9999": 40_000, "max": 1}
"""Fewer than these, and the percentile of a window has no finite interval; accepted to get more windows."""

SERVED: tuple[Outcome, ...] = ("ok", "timeout")
FAILURES: tuple[Outcome, ...] = ("failed", "timeout")

_MANY_WINDOWS = 60


@dataclass(frozen=True)
class Answers:
    """Latencies of `data` over [start, end) in seconds, without those of intervals that are marked."""

    data: SideRecording
    marks: Marks
    start: float
    end: float
    _kept: dict[tuple[Any, ...], list[Window]] = field(default_factory=dict, init=False, compare=False, repr=False)
    _wholes: dict[tuple[Any, ...], Histogram] = field(default_factory=dict, init=False, compare=False, repr=False)
    _bins: dict[tuple[Any, ...], list[tuple[float, Histogram, Histogram]]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def histogram(self, endpoint: str | None, clock: Clock, *outcomes: Outcome) -> Histogram:
        """All latencies of some outcomes (none said: of what was answered well), of one endpoint or of all."""
        key = (clock, endpoint, outcomes)
        if key not in self._wholes:
            self._wholes[key] = merged(self.windows(endpoint, clock, *(outcomes or ("ok",))))
        return self._wholes[key]

    def judged(self, endpoint: str | None, clock: Clock, q: float) -> Histogram:
        """What the percentile `q` (0 to 100) is taken of.

        That is all answers and timeouts, a timeout with the time after which it was given up; and failed
        answers too where that makes the percentile worse: failing fast must not improve it, nor failing slowly.
        """
        return worse(self.histogram(endpoint, clock, *SERVED), self.histogram(endpoint, clock, "failed"), q)

    def given_up(self, endpoint: str | None, clock: Clock) -> float:
        """The shortest time (s) after which a request was given up; infinite when none was.

        A percentile from there on is censored: the true one is that or more.
        """
        timeouts = self.histogram(endpoint, clock, "timeout")
        return timeouts.percentile(0) if timeouts.total else math.inf

    def failures(self, endpoint: str | None) -> tuple[int, int]:
        """Failed, timed out or unserved, and all requests.

        What stands for arrivals among the endpoints is a share of all arrivals: of its own kind none went well.
        """
        bad = sum(self.histogram(endpoint, "latency", outcome).total for outcome in FAILURES)
        if endpoint in (TASK, UNSERVED):
            return bad, max(bad, sum(y.scheduled for y in self.marks.trusted)) if bad else 0
        return bad, bad + self.histogram(endpoint, "latency").total

    def failures_between(self, start: float, end: float) -> tuple[int, int]:
        """Failed in any way, and all requests of all endpoints, in windows that begin within [start, end)."""
        bad = sum(w.histogram.total for w in self._trusted("latency", None, start, end, *FAILURES))
        return bad, bad + sum(w.histogram.total for w in self._trusted("latency", None, start, end, "ok"))

    def percentile_windows(self, endpoint: str | None, clock: Clock, quantile: str) -> Blocks | None:
        """A percentile over time, in windows of merged histograms wide enough to hold it; None if too few.

        Windows are widened until each has the requests it wants; rather
        than have fewer than 12 windows, the least that a finite interval needs is accepted.
        """
        windows = self.windows(endpoint, clock, *SERVED)
        total = sum(w.histogram.total for w in windows)
        count = min(_MANY_WINDOWS, total // WANTED[quantile])
        if count < TREND_WINDOWS:
            count = min(TREND_WINDOWS, total // ENOUGH[quantile])
        count = min(count, len(windows))
        if count < 1:
            return None
        times, values, q = [], [], QUANTILES[quantile]
        for middle, served, slow in self._binned(endpoint, clock, count):
            if served.total >= min(ENOUGH[quantile], total / count / 2):
                times.append(middle)
                values.append(worse(served, slow, q).percentile(q))
        return Blocks(np.array(times), np.array(values), (self.end - self.start) / count)

    def _binned(self, endpoint: str | None, clock: Clock, count: int) -> list[tuple[float, Histogram, Histogram]]:
        """So many bins: their middle (s), what was served, what failed; several percentiles ask."""
        key = (endpoint, clock, count)
        if key not in self._bins:
            self._bins.clear()  # they are asked for one after the other: keeping all would double what a judge needs
            edges = np.linspace(self.start, self.end, count + 1)
            served, failed = (
                [merged(ws) for ws in binned(self.windows(endpoint, clock, *outcomes), edges)]
                for outcomes in (SERVED, ("failed",))
            )
            middles = ((edges[:-1] + edges[1:]) / 2).tolist()
            self._bins[key] = list(zip(middles, served, failed, strict=True))
        return self._bins[key]

    def windows(self, endpoint: str | None, clock: Clock, *outcomes: Outcome) -> list[Window]:
        """Windows of an endpoint, a journey or all endpoints, without what cannot be trusted."""
        if endpoint in self.data.journeys:
            clock = "journey"
        return self._trusted(clock, endpoint, self.start, self.end, *outcomes)

    def _trusted(
        self, clock: Clock, endpoint: str | None, start: float, end: float, *outcomes: Outcome
    ) -> list[Window]:
        """Windows of some outcomes, but for those that the generator's own trouble is in.

        When it is in most of them, they are all kept: the run is invalid then, and its numbers are there to be seen.
        """
        key = (clock, endpoint, start, end, outcomes)
        if key not in self._kept:
            found = [w for outcome in outcomes for w in self.data.merged(clock, outcome, endpoint, start, end)]
            kept = [w for w in found if not self.marks.touches(w.start, w.length)]
            self._kept[key] = kept if len(kept) > len(found) / 2 else found
        return self._kept[key]


def binned(windows: list[Window], edges: Floats) -> list[list[Window]]:
    """The windows by the bin that their middle lies in."""
    bins: list[list[Window]] = [[] for _ in edges[1:]]
    middles = np.array([w.start + w.length / 2 for w in windows])
    place = np.clip(np.searchsorted(edges, middles, side="right") - 1, 0, len(bins) - 1)
    for w, at in zip(windows, place, strict=True):
        bins[at].append(w)
    return bins


def merged(windows: list[Window]) -> Histogram:
    """All latencies of some windows."""
    return Histogram.merge(w.histogram for w in windows)


def worse(served: Histogram, failed: Histogram, q: float) -> Histogram:
    """Of the served, or of them and the failed together: whichever has the higher percentile `q`."""
    if not failed.total:
        return served
    both = Histogram.merge([served, failed])
    return both if both.percentile(q) > served.percentile(q) else served
