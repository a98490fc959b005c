"""How large the run file of a day becomes: 24 h, 20 endpoints at 300 requests a second each.

A stretch of the day is written as it would be, by the product's own writer: reports of two clocks an
endpoint with log-normal latencies that drift, a few failures, samples of a process tree and the host, and
the roll-up that a run does as it goes. What a whole window costs, once it has been rolled up, is measured
and multiplied; what only waits to be rolled up is counted once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rows import Row
from soak.core.histogram import Histogram, index_of
from soak.core.records import Clock, Event, Interval, Outcome, Sample, Tally
from soak.core.scenario import Scenario
from soak.runfile import RunWriter
from soak.runfile.rollup import window_length

ENDPOINTS, RATE, HOURS, BAR_MB = 20, 300.0, 24.0, 60.0
_INDEX = np.array([index_of(us) for us in range(1 << 16)])
_SAMPLED = {"candidate": 17, "candidate/1@1": 12, "host": 8}
"""Metrics by source, as the probe of a target of one process samples them each second."""


def document(endpoints: int = ENDPOINTS, rate: float = RATE) -> dict[str, Any]:
    """The scenario of a day, as YAML would give it."""
    return {
        "name": "day",
        "target": {"url": "http://127.0.0.1:8000", "pid": 1},
        "load": {
            "rate": f"{rate * endpoints:g}/s",
            "requests": [{"name": f"endpoint-{i}", "get": f"/{i}"} for i in range(endpoints)],
        },
        "phases": {"warmup": "0s", "soak": f"{HOURS:g}h"},
        "criteria": [{"metric": "errors.ratio", "below": "1%"}],
    }


def day(endpoints: int = ENDPOINTS, rate: float = RATE) -> Scenario:
    """The scenario of a day."""
    return Scenario.model_validate(document(endpoints, rate))


def latencies(rng: np.random.Generator, endpoint: int, n: int, hour: float) -> np.ndarray:
    """`n` latencies in whole microseconds: log-normal, each endpoint its own, slowly drifting."""
    median = 2e-3 * 1.25**endpoint * (1 + 0.005 * hour)
    sigma = 0.3 + 0.02 * (endpoint % 10)
    found: np.ndarray = np.maximum(1, median * np.exp(rng.normal(0.0, sigma, n)) * 1e6).astype(np.int64)
    return found


def histogram(us: np.ndarray) -> Histogram:
    """A histogram of whole microseconds."""
    small = us < len(_INDEX)
    slots = np.concatenate([_INDEX[us[small]], [index_of(int(x)) for x in us[~small]]]).astype(np.int64)
    index, counts = np.unique(slots, return_counts=True)
    return Histogram(index, counts.astype(np.int64))


def report(
    rng: np.random.Generator, number: int, interval: float, endpoints: int, rate: float
) -> tuple[Tally, list[Interval]]:
    """What one worker reports of one interval: every endpoint, both clocks, and one failure in a thousand."""
    start, n = number * interval, rng.poisson(rate * interval, endpoints)
    failed = rng.binomial(n, 0.001)
    intervals = []
    for i in range(endpoints):
        outcomes: list[tuple[Outcome, int]] = [("ok", int(n[i] - failed[i])), ("failed", int(failed[i]))]
        for outcome, count in outcomes:
            if not count:
                continue
            service = latencies(rng, i, count, start / 3600)
            late = rng.integers(50, 1100, count)  # a timer of whole milliseconds wakes late
            clocks: list[tuple[Clock, np.ndarray]] = [("latency", service + late), ("service", service)]
            intervals += [
                Interval("candidate", "worker-0", number, start, interval, f"endpoint-{i}", outcome, clock, made)
                for clock, made in ((clock, histogram(us)) for clock, us in clocks)
            ]
    total, bad = int(n.sum()), int(failed.sum())
    tally = Tally(
        "candidate", "worker-0", number, start, interval, total, total - bad, bad, 0, 0, 3,
        0.001, 0.004, 0.001, 0.003, 0.4, 90_000_000, 2,
    )  # fmt: skip
    return tally, intervals


def sampled(rng: np.random.Generator, state: np.ndarray) -> dict[str, float]:
    """The next sample: by turns pages that come and go, a counter of ticks, a share, and what never changes."""
    n = len(state)
    state[0::4] += 4096 * rng.integers(-20, 21, len(state[0::4]))
    state[1::4] += rng.poisson(40, len(state[1::4])) / 100
    state[2::4] = rng.random(len(state[2::4]))
    return {f"metric.{i}": float(state[i]) for i in range(n)}


def write(path: Path, windows: int, endpoints: int = ENDPOINTS, rate: float = RATE) -> None:
    """A run file of so many roll-up windows of the day, as a run leaves it."""
    scenario, rng = day(endpoints, rate), np.random.default_rng(7)
    interval, window = scenario.interval_s, window_length(scenario)
    writer = RunWriter.create(path, {"run": "day", "started": 0.0, "scenario": document(endpoints, rate)})
    writer.add_event(Event(0.0, "phase", None, "", {"name": "soak"}))
    state = {source: np.full(n, 40960.0 * 4096) for source, n in _SAMPLED.items()}
    for number in range(round(windows * window / interval)):
        writer.add_report(*report(rng, number, interval, endpoints, rate))
        for second in range(round(interval)):
            t = number * interval + second
            writer.add_samples([Sample(t, source, sampled(rng, state[source])) for source in _SAMPLED])
        writer.roll_up((number + 1) * interval, window)
    writer.finish()


def projected(one: int, many: int, windows: int, whole: float) -> float:
    """Bytes of a run of `whole` windows, from files of one window and of `windows`: the rest grows evenly."""
    return one + (many - one) / (windows - 1) * (whole - 1)


def measure(folder: Path, quick: bool) -> list[Row]:
    """The size of the day's run file."""
    folder.mkdir(parents=True, exist_ok=True)
    windows = 3 if quick else 9
    sizes = []
    for n in (1, windows):
        path = folder / f"{n}.soak"
        write(path, n)
        sizes.append(path.stat().st_size)
    whole = HOURS * 3600 / window_length(day())
    size = projected(sizes[0], sizes[1], windows, whole) / 1e6
    what = f"run file of {HOURS:.0f} h, {ENDPOINTS} endpoints at {RATE:.0f}/s each"
    return [Row("size", what, f"{size:.0f} MB", f"{BAR_MB:.0f} MB", size / BAR_MB, "<= 60 MB", size <= BAR_MB)]
