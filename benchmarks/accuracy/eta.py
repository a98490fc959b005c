"""Part four: how often the time that is told to be left holds the true one, where 95 in 100 should."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from multiprocessing.pool import Pool

import numpy as np

from benchmarks.accuracy.family import APART, LEVEL, POINTS, Series, times
from benchmarks.accuracy.judge import judge
from benchmarks.accuracy.noise import ar, run
from benchmarks.accuracy.rates import Rate, rate

STREAM = 7
LIMIT = 4.0
"""The limit, in levels: beyond the end of the steepest run."""
RHOS, GROWTHS = (0.5, 0.9), (0.1, 0.3, 1.0)
SEEDS, SEEDS_QUICK = 120, 8


@dataclass(frozen=True, slots=True)
class Coverage:
    """`held`: of the cases that failed, how many intervals held the truth. `width`: the usual late end by the early."""

    rho: float
    growth: float
    failed: Rate
    held: Rate
    width: float


def coverage(pool: Pool, seeds: int) -> list[Coverage]:
    """A line for each noise and slope."""
    lines = []
    for rho in RHOS:
        for growth in GROWTHS:
            found = pool.starmap(_told, [(rho, growth, i) for i in range(seeds)], chunksize=4)
            truth = (LIMIT - 1 - growth) / growth * POINTS * APART
            told = [interval for interval in found if interval is not None]
            lines.append(
                Coverage(
                    rho,
                    growth,
                    Rate(len(told), len(found)),
                    rate(early <= truth <= late for early, late in told),
                    float(np.median([late / early for early, late in told])) if told else math.nan,
                )
            )
    return lines


def _told(rho: float, growth: float, index: int) -> tuple[float, float] | None:
    rng = np.random.default_rng([STREAM, zlib.crc32(f"{rho} {growth}".encode()), index])
    v = LEVEL * (1 + growth * run(POINTS) + ar(rng, POINTS, rho, 0.02))
    return judge(Series(times(POINTS), v), "level", 0.03, limit=LIMIT * LEVEL).eta
