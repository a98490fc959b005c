"""Part three: what a reference beside the candidate adds, where both live through the same nuisance.

Two real processes share less than everything. So each side has noise of its own (AR .5, 1 % of the level), a cache of
the reference fills 10 % faster or slower, and it feels 80 to 120 % of what the host does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from multiprocessing.pool import Pool

import numpy as np

from benchmarks.accuracy.family import LEVEL, POINTS, Floats, Series, times
from benchmarks.accuracy.judge import judge
from benchmarks.accuracy.noise import ar, fill, run, wave
from benchmarks.accuracy.rates import Rate
from soak.core.verdict import Result

STREAM = 6
SEEDS, SEEDS_QUICK = 40, 6
_TOLERANCE, _LEAK = 0.03, 0.05


def _filling(rng: np.random.Generator, n: int, low: float, high: float) -> tuple[Floats, Floats]:
    size, tau, other = rng.uniform(0.1, 0.4), rng.uniform(low, high), rng.uniform(0.9, 1.1)
    return size * fill(n, tau), size * fill(n, tau * other)


def _felt(rng: np.random.Generator, what: Floats) -> tuple[Floats, Floats]:
    return what, what * rng.uniform(0.8, 1.2)


SHARED: dict[str, Callable[[np.random.Generator, int], tuple[Floats, Floats]]] = {
    "plain": lambda rng, n: _felt(rng, np.zeros(n)),
    "cache fill": lambda rng, n: _filling(rng, n, 0.08, 0.2),
    "slow fill": lambda rng, n: _filling(rng, n, 0.35, 0.6),
    "host noise": lambda rng, n: _felt(rng, ar(rng, n, 0.95, 0.04)),
    "daily load": lambda rng, n: _felt(rng, rng.uniform(0.04, 0.1) * wave(n, rng.uniform(1.5, 4), rng.uniform())),
}
"""What the candidate and the reference go through, each."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Verdicts on one nuisance: `growth` of the candidate beyond it, alone and beside its reference."""

    nuisance: str
    growth: float
    alone: dict[Result, Rate]
    beside: dict[Result, Rate]


def pairs(pool: Pool, seeds: int) -> list[Pairs]:
    """Two lines for each nuisance and for all together: healthy, and a leak of 5 % over the run."""
    tasks = [(nuisance, growth, i) for nuisance in SHARED for growth in (0.0, _LEAK) for i in range(seeds)]
    found = list(zip(tasks, pool.starmap(_judged, tasks, chunksize=4), strict=True))

    def line(name: str, nuisances: Collection[str], growth: float) -> Pairs:
        said = [verdicts for (nuisance, grew, _), verdicts in found if nuisance in nuisances and grew == growth]
        return Pairs(name, growth, _shares(alone for alone, _ in said), _shares(beside for _, beside in said))

    named = [*((name, {name}) for name in SHARED), ("all", set(SHARED))]
    return [line(name, nuisances, growth) for name, nuisances in named for growth in (0.0, _LEAK)]


def pair(nuisance: str, growth: float, index: int, n: int = POINTS) -> tuple[Series, Series]:
    """The candidate and the reference of one case."""
    rng = np.random.default_rng([STREAM, list(SHARED).index(nuisance), index])
    mine, its = SHARED[nuisance](rng, n)
    t = times(n)
    candidate = Series(t, LEVEL * (1 + growth * run(n) + mine + ar(rng, n, 0.5, 0.01)))
    return candidate, Series(t, LEVEL * (1 + its + ar(rng, n, 0.5, 0.01)))


def _judged(nuisance: str, growth: float, index: int) -> tuple[Result, Result]:
    candidate, reference = pair(nuisance, growth, index)
    alone = judge(candidate, "level", _TOLERANCE)
    return alone.verdict, judge(candidate, "level", _TOLERANCE, reference).verdict


def _shares(found: Iterable[Result]) -> dict[Result, Rate]:
    counts = Counter(found)
    verdicts: tuple[Result, ...] = ("fail", "pass", "inconclusive")
    return {verdict: Rate(counts[verdict], counts.total()) for verdict in verdicts}
