"""Families that the judge was not built on: how real services behave, with noise that is no AR(1).

They were written from the behaviour of the thing and fixed before any judge was asked about them, by somebody who had
read an earlier detector but not the one that is measured. They are never changed to suit it. Leaks are added to the
same nuisances that the healthy families have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.accuracy.family import Family, Floats
from benchmarks.accuracy.noise import after, ar, fill, run
from benchmarks.accuracy.physics import (
    arenas,
    arma,
    collector,
    generations,
    heavy,
    holes,
    long_memory,
    lru,
    regimes,
    weeks,
)

STREAM = 2
Make = Callable[[np.random.Generator, int], Floats]


def _small(rng: np.random.Generator, n: int) -> Floats:
    """What is always there: ARMA noise of 0.5 to 1.5 %."""
    return arma(rng, n, rng.uniform(0.005, 0.015))


def _arma(rng: np.random.Generator, n: int) -> Floats:
    return 1 + arma(rng, n, rng.uniform(0.01, 0.025))


def _long_memory(rng: np.random.Generator, n: int) -> Floats:
    return 1 + long_memory(rng, n, rng.uniform(0.15, 0.35), rng.uniform(0.01, 0.02))


def _heavy(rng: np.random.Generator, n: int) -> Floats:
    return 1 + heavy(rng, n, rng.uniform(2.2, 4), rng.uniform(0.008, 0.02))


def _grows_with_load(rng: np.random.Generator, n: int) -> Floats:
    load = (1 + np.sin(2 * np.pi * (rng.uniform(2.5, 6) * run(n) + rng.uniform()))) / 2
    return 1 + rng.uniform(0.02, 0.06) * load + ar(rng, n, 0.5, 1.0) * (0.005 + rng.uniform(0.01, 0.03) * load)


def _two_regimes(rng: np.random.Generator, n: int) -> Floats:
    levels = np.array([0.0, rng.uniform(0.04, 0.12)])
    return 1 + regimes(rng, n, levels, n * rng.uniform(0.02, 0.07)) + _small(rng, n)


def _three_regimes(rng: np.random.Generator, n: int) -> Floats:
    levels = np.array([0.0, rng.uniform(0.03, 0.08), rng.uniform(0.1, 0.2)])
    return 1 + regimes(rng, n, levels, n * rng.uniform(0.02, 0.05)) + _small(rng, n)


def _lru(rng: np.random.Generator, n: int) -> Floats:
    return 1 + lru(rng, n, rng.uniform(0.15, 0.5), rng.uniform(0.12, 0.35), int(rng.integers(6, 25))) + _small(rng, n)


def _second_cache(rng: np.random.Generator, n: int, low: float = 0.18, high: float = 0.28) -> Floats:
    fast = rng.uniform(0.1, 0.3) * fill(n, rng.uniform(0.02, 0.06))
    return 1 + fast + rng.uniform(0.08, 0.2) * fill(n, rng.uniform(low, high)) + _small(rng, n)


def _slow_gc(rng: np.random.Generator, n: int) -> Floats:
    return 1 + collector(rng, n, n / rng.uniform(3, 8), rng.uniform(0.3, 0.8), 0.02) + _small(rng, n)


def _generations(rng: np.random.Generator, n: int) -> Floats:
    return 1 + generations(rng, n) + 0.5 * _small(rng, n)


def _arenas(rng: np.random.Generator, n: int) -> Floats:
    return 1 + arenas(rng, n, rng.uniform(0.01, 0.03)) + 0.3 * _small(rng, n)


def _compaction(rng: np.random.Generator, n: int) -> Floats:
    return 1 + collector(rng, n, rng.uniform(18, 50), rng.uniform(0.1, 0.4), 0.005) + _small(rng, n)


def _weeks(rng: np.random.Generator, n: int) -> Floats:
    return 1 + weeks(rng, n, int(rng.integers(2, 5)), rng.uniform(0.05, 0.15)) + _small(rng, n)


def _restart(rng: np.random.Generator, n: int) -> Floats:
    at, tau = rng.uniform(0.4, 0.6), rng.uniform(0.02, 0.05)
    age = np.where(run(n) < at, run(n), run(n) - at)
    return 1 - rng.uniform(0.1, 0.4) * np.exp(-age / tau) + _small(rng, n)


def _shrinks(rng: np.random.Generator, n: int) -> Floats:
    return _arma(rng, n) - rng.uniform(0.05, 0.25) * run(n)


def _counts(rng: np.random.Generator, n: int) -> Floats:
    many = rng.uniform(40, 120)
    return np.round(many * (1 + ar(rng, n, rng.uniform(0.3, 0.8), rng.uniform(0.005, 0.02)))) / many


def _pages(rng: np.random.Generator, n: int) -> Floats:
    """Memory that mostly stands still, told in steps of 0.2 to 1 %."""
    step = rng.uniform(0.002, 0.01)
    return np.round((1 + ar(rng, n, 0.9, 0.6 * step)) / step) * step


def _gaps(rng: np.random.Generator, n: int) -> Floats:
    return holes(rng, _arma(rng, n))


def _tail_latency(rng: np.random.Generator, n: int) -> Floats:
    """A p99 that follows load a little: log-normal, with memory and now and then a stall."""
    stalls = np.where(rng.uniform(size=n) < 0.02, rng.uniform(0.2, 1.0, n), 0.0)
    return np.exp(long_memory(rng, n, 0.2, rng.uniform(0.04, 0.09)) + stalls)


HEALTHY = (
    Family("ARMA(2, 1)", "healthy", _arma, "noise that swings, 1 to 2.5 %"),
    Family("long memory", "healthy", _long_memory, "ARFIMA, d .15 to .35, 1 to 2 %"),
    Family("Student noise", "healthy", _heavy, "2.2 to 4 degrees of freedom"),
    Family("noise grows with load", "healthy", _grows_with_load, "2.5 to 6 waves; on top the noise is larger"),
    Family("two regimes", "healthy", _two_regimes, "4 to 12 % apart, exponential stays of 2 to 7 % of the run"),
    Family("three regimes", "healthy", _three_regimes, "up to 20 % apart, exponential stays of 2 to 5 % of the run"),
    Family("LRU slabs", "healthy", _lru, "15 to 50 % in 6 to 24 slabs, full after 12 to 35 % of the run"),
    Family("second cache", "healthy", _second_cache, "beside a fast one: 8 to 20 %, time constant 18 to 28 %"),
    Family("slow collector", "healthy", _slow_gc, "3 to 8 cycles in the run, floors 2 % apart", kind="floor"),
    Family("generations", "healthy", _generations, "minor and major collections", kind="floor"),
    Family("arenas", "healthy", _arenas, "taken and given back in lumps of 1 to 3 %"),
    Family("compaction", "healthy", _compaction, "a log that is compacted every 18 to 50 points", kind="floor"),
    Family("weeks", "healthy", _weeks, "daily load over 2 to 4 weeks, quieter at weekends"),
    Family("warm restart", "healthy", _restart, "at 40 to 60 % of the run everything warms up again"),
    Family("shrinking", "healthy", _shrinks, "by 5 to 25 %"),
    Family("counts", "healthy", _counts, "whole numbers around 40 to 120"),
    Family("pages", "healthy", _pages, "in steps of 0.2 to 1 %"),
    Family("gaps", "healthy", _gaps, "10 to 35 % missing, in 3 to 8 holes"),
    Family("tail latency", "healthy", _tail_latency, "a p99 with long memory and stalls", kind="ratio", tolerance=0.05),
)  # fmt: skip


def _with(nuisance: Family, name: str, growth: float, added: Make) -> Family:
    """A healthy family with growth of so much at the end on top of it (beneath it: its floor rises too)."""

    def make(rng: np.random.Generator, n: int) -> Floats:
        extra = growth * added(rng, n)
        v = nuisance.make(rng, n)
        return v * (1 + extra) if nuisance.kind == "ratio" else v + extra

    story = f"{100 * growth:.0f} % on top of {nuisance.name}"
    return replace(nuisance, name=name, truth="sick", make=make, story=story, growth=growth)


def _even(_: np.random.Generator, n: int) -> Floats:
    return run(n)


def _late(rng: np.random.Generator, n: int) -> Floats:
    onset = rng.uniform(0.45, 0.55)
    return np.maximum(0.0, run(n) - onset) / (1 - onset)


def _chunks(rng: np.random.Generator, n: int) -> Floats:
    """Every so many events (Poisson) a chunk that is kept."""
    events = np.cumsum(rng.poisson(20, n))
    each = events[-1] / rng.uniform(6, 18)
    return np.asarray(np.floor(events / each) * each / events[-1])


def _faster(rng: np.random.Generator, n: int) -> Floats:
    rate = rng.uniform(1.5, 3)
    return np.asarray(np.expm1(rate * run(n)) / np.expm1(rate))


def _stays(rng: np.random.Generator, n: int) -> Floats:
    return after(n, rng.uniform(0.3, 0.7))


def _root(_: np.random.Generator, n: int) -> Floats:
    return np.sqrt(run(n))


def _log(rng: np.random.Generator, n: int) -> Floats:
    more = rng.uniform(5, 30)
    return np.asarray(np.log1p(more * run(n)) / np.log1p(more))


_OF = {family.name: family for family in HEALTHY}
SICK = (
    _with(_OF["ARMA(2, 1)"], "leak 5 % in ARMA", 0.05, _even),
    _with(_OF["long memory"], "leak 10 % in long memory", 0.1, _even),
    _with(_OF["Student noise"], "leak 5 % in Student noise", 0.05, _even),
    _with(_OF["noise grows with load"], "leak 10 % under load", 0.1, _even),
    _with(_OF["two regimes"], "leak 10 % in two regimes", 0.1, _even),
    _with(_OF["three regimes"], "leak 30 % in three regimes", 0.3, _even),
    _with(_OF["LRU slabs"], "leak 10 % beside LRU slabs", 0.1, _even),
    _with(_OF["second cache"], "leak 10 % beside second cache", 0.1, _even),
    _with(_OF["slow collector"], "leak 10 % under slow collector", 0.1, _even),
    _with(_OF["generations"], "leak 10 % under generations", 0.1, _even),
    _with(_OF["arenas"], "leak 10 % in arenas", 0.1, _even),
    _with(_OF["compaction"], "leak 5 % under compaction", 0.05, _even),
    _with(_OF["weeks"], "leak 10 % over weeks", 0.1, _even),
    _with(_OF["counts"], "leak 10 % in counts", 0.1, _even),
    _with(_OF["gaps"], "leak 10 % with gaps", 0.1, _even),
    _with(_OF["tail latency"], "leak 30 % in tail latency", 0.3, _even),
    _with(_OF["ARMA(2, 1)"], "late leak 15 %", 0.15, _late),
    _with(_OF["pages"], "staircase 20 %", 0.2, _chunks),
    _with(_OF["long memory"], "accelerating 20 %", 0.2, _faster),
    _with(_OF["ARMA(2, 1)"], "step 12 %", 0.12, _stays),
    _with(_OF["tail latency"], "sqrt creep 40 %", 0.4, _root),
)


def _undecided(rng: np.random.Generator, n: int) -> Floats:
    return _second_cache(rng, n, 0.35, 0.8)


def _walk(rng: np.random.Generator, n: int) -> Floats:
    return np.asarray(1 + np.cumsum(rng.standard_normal(n)) * rng.uniform(0.02, 0.06) / np.sqrt(n))


AMBIGUOUS = (
    Family(
        "second cache, not full", "ambiguous", _undecided, "8 to 20 %, with a time constant of 35 to 80 % of the run"
    ),
    replace(_with(_OF["tail latency"], "log creep 20 %", 0.2, _log), truth="ambiguous"),
    Family("random walk", "ambiguous", _walk, "2 to 6 % away by the end, either way: noise that never comes back"),
)
FAMILIES = HEALTHY + SICK + AMBIGUOUS
