"""Two sides at the same time: each window of the candidate with the same one of the reference.

A window is left out when either side cannot be trusted in it: what is compared is what both did in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from soak.core.metrics import METRICS, QUANTILES, WANTED
from soak.core.records import Clock, Floats, Outcome, Series, Tally, Window
from soak.judge.answers import ENOUGH, FAILURES, SERVED, binned, merged, worse
from soak.judge.side import Side
from soak.judge.stats import sawtooth
from soak.judge.stats.blocks import FEW_FALLS, FLOOR_BLOCKS, LEVEL_BLOCKS, MIN_BLOCKS, floor_of

_WINDOWS = 30
"""Rather than have fewer, the least requests that hold a percentile are accepted: few windows tell little of noise."""
_MIN_SAMPLES = 3
_ENOUGH = 0.9
_TAKE: dict[str, Callable[[Floats], float]] = {"floor": floor_of, "peak": lambda v: float(np.max(v))}


@dataclass(frozen=True, slots=True)
class Paired:
    """Middles `t` (s) of windows that both sides have, and their values in base units.

    `share` of the soak (0 to 1) lies in windows that were kept.
    """

    t: Floats
    candidate: Floats
    reference: Floats
    share: float


@dataclass(frozen=True)
class Pair:
    """The candidate and the reference over the same soak phase of one run."""

    candidate: Side
    reference: Side

    @property
    def start(self) -> float:
        """Start of the soak phase (s)."""
        return self.candidate.start

    @property
    def end(self) -> float:
        """Its end so far (s)."""
        return self.candidate.end

    @property
    def length(self) -> float:
        """Seconds of soak there are."""
        return self.candidate.length

    @property
    def sides(self) -> tuple[Side, Side]:
        """Candidate, reference."""
        return self.candidate, self.reference

    @property
    def watched(self) -> bool:
        """Whether the processes of both sides were watched."""
        targets = self.candidate.recording.scenario.sides
        return all(targets[side.name].watched for side in self.sides)

    def spoiled(self, start: float, length: float) -> bool:
        """Whether either side has an interval in this stretch (s) that is not to be judged."""
        return any(side.marks.touches(start, length) for side in self.sides)

    def windows(self, side: Side, endpoint: str | None, clock: Clock, *outcomes: Outcome) -> list[Window]:
        """Windows of one side that can be trusted on both."""
        return [w for w in side.answers.windows(endpoint, clock, *outcomes) if not self.spoiled(w.start, w.length)]

    @cached_property
    def trusted(self) -> float:
        """The share of the soak phase that can be trusted on both sides (0 to 1)."""
        step = self.candidate.marks.step
        whole = max(1, round(self.length / step))
        bad = set[int]().union(*(side.marks.unjudged for side in self.sides))
        return 1 - min(len(bad), whole) / whole

    def percentile(self, endpoint: str | None, clock: Clock, quantile: str) -> Paired | None:
        """A percentile over time, in windows wide enough to hold it on both sides; None without a request."""
        served = [self.windows(side, endpoint, clock, *SERVED) for side in self.sides]
        failed = [self.windows(side, endpoint, clock, "failed") for side in self.sides]
        total = min(sum(w.histogram.total for w in windows) for windows in served)
        count = min(LEVEL_BLOCKS, total // WANTED[quantile])
        if count < _WINDOWS:
            count = min(_WINDOWS, total // ENOUGH[quantile])
        count = min(count, *(len(windows) for windows in served))
        if count < 1:
            return None
        edges, q = np.linspace(self.start, self.end, count + 1), QUANTILES[quantile]
        least = min(ENOUGH[quantile], total / count / 2)
        bins = [(binned(a, edges), binned(b, edges)) for a, b in zip(served, failed, strict=True)]
        rows = []
        for i in range(count):
            if all(sum(w.histogram.total for w in alive[i]) >= least for alive, _ in bins):
                rows.append(
                    [
                        (edges[i] + edges[i + 1]) / 2,
                        *(worse(merged(a[i]), merged(b[i]), q).percentile(q) for a, b in bins),
                    ]
                )
        return _paired(rows, len(rows) / count)

    def series(self, metric: str) -> Paired | None:
        """A sampled metric in blocks of the same times, summed up as the catalogue says; None if it was not seen."""
        found = [side.soak_series(metric) for side in self.sides]
        if found[0] is None or found[1] is None:
            return None
        kept = [self._unspoiled(s, metric) for s in found if s is not None]
        shape = METRICS[metric].shape if metric in METRICS else "level"
        each = 1 if METRICS[metric].room == "cpu" else _MIN_SAMPLES  # a window already, and no sample
        count = self._blocks(kept, FLOOR_BLOCKS if shape in ("floor", "peak") else LEVEL_BLOCKS, shape, each)
        take = _TAKE.get(shape, _mean)
        while (paired := self._blocked(kept, count, take)).share < _ENOUGH and count >= 2 * MIN_BLOCKS:
            count //= 2  # looked at unevenly: wider blocks have something of both
        return paired

    def _blocked(self, found: list[Series], count: int, take: Callable[[Floats], float]) -> Paired:
        edges, rows = np.linspace(self.start, self.end, count + 1), []
        for i in range(count):
            parts = [s.between(edges[i], edges[i + 1]).v for s in found]
            if all(len(v) for v in parts):
                rows.append([(edges[i] + edges[i + 1]) / 2, *(take(v) for v in parts)])
        return _paired(rows, len(rows) / count)

    def counted(self, count: Callable[[Tally], int]) -> Paired:
        """What the workers counted, in up to 60 blocks of the same times."""
        tallies = [[y for y in s.tallies if not self.spoiled(y.start, y.length * 0.99)] for s in self.sides]
        found = [Series(np.array([y.start for y in ys]), np.array([float(count(y)) for y in ys])) for ys in tallies]
        blocks = max(1, min(LEVEL_BLOCKS, round(self.length / self.candidate.marks.step) // 2))
        edges = np.linspace(self.start, self.end, blocks + 1)
        rows = []
        for i in range(blocks):
            # rounded the same way on both sides, so that each tally is in one block
            inside = [s.v[(s.t >= edges[i] - 1e-6) & (s.t < edges[i + 1] - 1e-6)] for s in found]
            if any(len(v) for v in inside):
                rows.append([(edges[i] + edges[i + 1]) / 2, *(float(v.sum()) for v in inside)])
        return _paired(rows, len(rows) / blocks)

    def failures(self, side: Side, endpoint: str | None) -> tuple[list[int], int]:
        """Requests of a side that failed or timed out, by block of the soak; and how many there were of any kind."""
        bad = self.windows(side, endpoint, "latency", *FAILURES)
        good = sum(w.histogram.total for w in self.windows(side, endpoint, "latency", "ok"))
        edges = np.linspace(self.start, self.end, LEVEL_BLOCKS + 1)
        counts = [sum(w.histogram.total for w in ws) for ws in binned(bad, edges)] if bad else [0] * LEVEL_BLOCKS
        return counts, sum(counts) + good

    def _unspoiled(self, series: Series, metric: str) -> Series:
        """Without samples of moments when a close look slowed a side down, where that is in the metric."""
        if METRICS[metric].room not in ("cpu", "latency"):
            return series
        keep = np.array([not self.spoiled(t, 1e-3) for t in series.t], dtype=bool)
        return Series(series.t[keep], series.v[keep])

    def _blocks(self, found: list[Series], most: int, shape: str, each: int) -> int:
        """How many blocks: with samples enough in each, and each a whole sawtooth long, on both sides."""
        count = max(1, min(most, *(len(s) // each for s in found)))
        periods = [p for s in found if (p := _period(s)) is not None] if shape == "floor" else []
        return min(count, max(MIN_BLOCKS, int(self.length / max(periods)))) if periods else count


def _period(series: Series) -> float | None:
    """The usual time (s) between falls of a series that climbs and is collected; None if it does not."""
    at = sawtooth.falls(series.v)
    return float(np.median(np.diff(series.t[at]))) if len(at) >= FEW_FALLS else None


def _mean(v: Floats) -> float:
    return float(np.mean(v))


def _paired(rows: list[list[float]], share: float) -> Paired:
    t, candidate, reference = np.array(rows, dtype=float).reshape(-1, 3).T
    return Paired(t, candidate, reference, share)
