"""Intervals for shares and for percentiles, from counts alone."""

from __future__ import annotations

import math

import numpy as np

from soak.core.histogram import Histogram, highest_equivalent
from soak.judge.stats.tails import binomial_quantile, hypergeometric_from, normal_quantile


def wilson(hits: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of a share of `hits` in `total` (Wilson 1927); (0, 1) of nothing."""
    if total <= 0:
        return 0.0, 1.0
    z = normal_quantile(0.5 + confidence / 2)
    p = hits / total
    centre = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return (0.0 if hits == 0 else max(0.0, centre - half)), (1.0 if hits == total else min(1.0, centre + half))


def percentile_interval(histogram: Histogram, q: float, confidence: float = 0.95) -> tuple[float, float]:
    """The order-statistic interval of a percentile (0 to 100) in seconds.

    Above the largest value it is infinite: with too few values a percentile has no upper bound. (Ranks
    by the binomial; a p99 has a finite upper bound from 368 values on, a p999 from 3,688.)
    """
    n, p = histogram.total, q / 100.0
    if n == 0:
        return float("nan"), float("nan")
    if p >= 1:
        return histogram.maximum, histogram.maximum
    tail = (1 - confidence) / 2
    low_rank = binomial_quantile(tail, n, p)
    high_rank = binomial_quantile(1 - tail, n, p) + 1
    cumulative = np.cumsum(histogram.counts)

    def at(rank: int) -> float:
        if rank > n:
            return math.inf
        slot = int(np.searchsorted(cumulative, max(rank, 1)))
        return float(highest_equivalent(histogram.index[slot : slot + 1])[0]) / 1e6

    return at(low_rank), at(high_rank)


def share(part: tuple[int, int]) -> float:
    """So many of so many, as a share; 0 of none."""
    return part[0] / part[1] if part[1] else 0.0


def share_rose(early: tuple[int, int], late: tuple[int, int]) -> float:
    """One-sided p-value that a share (hits, total) rose from early to late, by Fisher's exact test."""
    return hypergeometric_from(late[0], late[1], late[0] + early[0], late[1] + early[1])
