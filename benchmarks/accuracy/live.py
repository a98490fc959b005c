"""Part two: how soon a slow leak is found by looks while the run goes on, and what looking often costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from multiprocessing.pool import Pool

import numpy as np
from scipy import stats

from benchmarks.accuracy.family import Family, Floats
from benchmarks.accuracy.judge import judge
from benchmarks.accuracy.noise import ar, fill, run
from benchmarks.accuracy.rates import Rate, rate

STREAM = 5
LOOKS, FIRST = 10, 3
"""Equal looks over the run; the first that may decide, and the end, which is judged like any run that is over."""
ALPHA = 0.05
"""What all looks may use up together, two-sided: a healthy series may fail at half of it."""
DAY = 24.0
"""Hours in which the leak reaches its limit, at twice the level."""
PLANNED = (1.0, 2.0, 4.0, 8.0, 24.0)
"""Lengths of runs, h."""
SEEDS, SEEDS_QUICK = 60, 6


def _leak(hours: float) -> Family:
    growth = hours / DAY
    return Family(
        f"one-day leak, run of {hours:g} h",
        "sick",
        lambda rng, n: 1 + growth * run(n) + ar(rng, n, 0.5, 0.02),
        "",
        growth=growth,
    )


def _warming(rng: np.random.Generator, n: int) -> Floats:
    return 1 + 0.3 * fill(n, 0.05) + ar(rng, n, 0.5, 0.02)


LEAKS = tuple(_leak(hours) for hours in PLANNED)
HEALTHY = (
    Family("AR .5 noise", "healthy", lambda rng, n: 1 + ar(rng, n, 0.5, 0.02), ""),
    Family("AR .9 noise", "healthy", lambda rng, n: 1 + ar(rng, n, 0.9, 0.02), ""),
    Family("warm-up up", "healthy", _warming, ""),
)


@dataclass(frozen=True, slots=True)
class Detection:
    """How a leak was found by the looks: `median` and `ninth` (of ten) are shares of the time to the limit."""

    hours: float
    found: Rate
    within_5: Rate
    median: float
    ninth: float


@dataclass(frozen=True, slots=True)
class Peeking:
    """Healthy series that failed at any look: with the level that the look may spend, and with 5 % at each."""

    family: str
    spending: Rate
    uncorrected: Rate


def detections(pool: Pool, seeds: int) -> list[Detection]:
    """A line for each planned length of the run."""
    found = pool.starmap(_looked, [(f.name, i) for f in LEAKS for i in range(seeds)], chunksize=4)
    lines = []
    for number, hours in enumerate(PLANNED):
        shares = [at * hours / DAY for at, _ in found[number * seeds : (number + 1) * seeds]]
        lines.append(
            Detection(
                hours=hours,
                found=rate(math.isfinite(share) for share in shares),
                within_5=rate(share <= 0.05 for share in shares),
                median=_at_rank(shares, 0.5),
                ninth=_at_rank(shares, 0.9),
            )
        )
    return lines


def peeking(pool: Pool, seeds: int) -> list[Peeking]:
    """A line for each kind of healthy noise."""
    found = pool.starmap(_looked, [(f.name, i) for f in HEALTHY for i in range(seeds)], chunksize=4)
    parts = [found[number * seeds : (number + 1) * seeds] for number in range(len(HEALTHY))]
    return [
        Peeking(
            family.name,
            rate(math.isfinite(spent) for spent, _ in part),
            rate(math.isfinite(each) for _, each in part),
        )
        for family, part in zip(HEALTHY, parts, strict=True)
    ]


def _looked(name: str, index: int) -> tuple[float, float]:
    """The share of the run after which it failed first: at the levels of the looks, at 5 % each; infinite if never."""
    family = next(f for f in LEAKS + HEALTHY if f.name == name)
    series = family.series(STREAM, index)
    spending = uncorrected = math.inf
    for look in range(FIRST, LOOKS + 1):
        share = look / LOOKS
        opinion = judge(series.until(share), family.kind, family.tolerance)
        if opinion.verdict == "fail":
            uncorrected = min(uncorrected, share)
            if opinion.p <= _level(look) / 2:
                return share, uncorrected
    return spending, uncorrected


def _level(look: int) -> float:
    """What a look may use up: what O'Brien and Fleming's spending (Lan and DeMets 1983) adds since the look before."""
    if look == LOOKS:
        return ALPHA
    return _spent(look / LOOKS) - (_spent((look - 1) / LOOKS) if look > FIRST else 0.0)


def _spent(share: float) -> float:
    return float(2 * stats.norm.sf(stats.norm.isf(ALPHA / 2) / math.sqrt(share)))


def _at_rank(values: list[float], share: float) -> float:
    """The value that this share of them does not exceed; infinite where more than the rest were never found."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
