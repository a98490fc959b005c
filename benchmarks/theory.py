"""What the measurements must come to: a single-server queue, and an open load on a target that freezes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def md1_mean_wait(rate: float, service: float) -> float:
    """Mean time in the queue (s) of M/D/1: rho D / (2 (1 - rho)) (Pollaczek 1930, Khinchine 1932)."""
    rho = rate * service
    return rho * service / (2 * (1 - rho))


def md1_waits_at_most(t: float, rate: float, service: float) -> float:
    """P(wait <= t) in M/D/1 (A. K. Erlang, 1909; C. D. Crommelin, P.O.E.E. Journal 25, 1932):

    (1 - rho) * sum over k <= t/D of (-x)^k / k! * e^x, with x = rate * (t - k D).
    The terms alternate, so it loses digits as t grows: good to 1e-9 up to about 25 services.
    """
    if t < 0:
        return 0.0
    terms = []
    for k in range(math.floor(t / service) + 1):
        x = rate * (t - k * service)
        terms.append((-1) ** k * math.exp(x + k * math.log(x) - math.lgamma(k + 1)) if x > 0 else float(k == 0))
    return (1 - rate * service) * math.fsum(terms)


def md1_wait_percentile(q: float, rate: float, service: float) -> float:
    """The wait (s) that a share of `q` percent does not exceed in M/D/1."""
    low, high = 0.0, 25 * service
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if md1_waits_at_most(middle, rate, service) < q / 100 else (low, middle)
    return high


def lindley_waits(due: Floats, service: Floats | float) -> Floats:
    """Waits (s) of given arrivals in a queue with one server (D. V. Lindley, 1952), without sampling error.

    W(n+1) = max(0, W(n) + D - gap), written as a walk and its running minimum.
    """
    services = np.broadcast_to(service, due.shape)
    walk = np.concatenate([[0.0], np.cumsum(services[:-1] - np.diff(due))])
    waits: Floats = walk - np.minimum.accumulate(walk)
    return waits


def frozen_latencies(due: Floats, freezes: Sequence[tuple[float, float]]) -> Floats:
    """Latencies (s) of arrivals at a target that answers at once but in its freezes [start, end)."""
    latencies = np.zeros(len(due))
    for start, end in freezes:
        hit = (due >= start) & (due < end)
        latencies[hit] = end - due[hit]
    return latencies


def percentile(values: Floats, q: float) -> float:
    """The value that a share of `q` percent does not exceed: by rank, half up, as HdrHistogram does it."""
    rank = max(1, math.floor(q * len(values) / 100 + 0.5))
    return float(np.sort(values)[rank - 1])
