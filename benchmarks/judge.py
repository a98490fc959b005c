"""The benchmark of the judge: `python -m benchmarks.judge [--quick] [--json FILE]`.

Run files of 1, 8 and 72 hours are made, of one target with 40 sampled series and four endpoints, written and packed by
the product's own writer. Each is then read and judged in a process of its own, as `soak judge` does it, and looked at
as a run that goes on is: the last look of a soak of that length. Seconds are of CPU.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.outcome import add_options, leave
from benchmarks.rows import Row
from benchmarks.size import histogram
from soak.core.records import Clock, Event, Interval, Sample, Tally
from soak.core.scenario import Scenario
from soak.judge import judge, judge_live
from soak.runfile import LiveReader, RunWriter, read
from soak.runfile.rollup import window_length

HOURS = (1.0, 8.0, 72.0)
SERIES = 40
ENDPOINTS = 4
RATE = 50.0
JUDGE_BAR_S = 1.0
"""Of CPU, once it is read."""
MEMORY_BAR_MB = 300.0
LINEAR_BAR = 1.5
"""Times as long for each hour of a file as the shorter file before it took."""
LOOK_BAR = 3.0
"""Times as long as a look at a run of an hour."""

_LEVELS = {
    "memory.rss": 5e7,
    "memory.anon": 4e7,
    "memory.pss": 4e7,
    "memory.live": 3e7,
    "memory.free_in_heap": 2e6,
    "memory.pymalloc_slack": 1e6,
    "stack.high_water": 132e3,
    "stack.limit": 8e6,
    "stack.thread_high_water": 64e3,
    "stack.thread_limit": 8e6,
    "stack.depth": 30.0,
    "process.threads": 8.0,
    "process.fds": 40.0,
    "process.connections": 20.0,
    "process.processes": 1.0,
    "process.restarts": 0.0,
}
_HOST = {"host.cpu": 0.4, "host.steal": 0.0, "host.memory_available": 8e9, "host.psi_cpu": 0.05}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="1 and 8 hours only")
    add_options(parser)
    parser.add_argument("--one", nargs=2, metavar=("WHAT", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(_measure(arguments.one[0], Path(arguments.one[1]))))
        return 0
    rows = measure(HOURS[:2] if arguments.quick else HOURS)
    return leave(rows, arguments, "judge")


def measure(hours: Sequence[float]) -> list[Row]:
    """All rows, for files of so many hours."""
    rows: list[Row] = []
    before: tuple[float, float] | None = None
    first: float | None = None
    with tempfile.TemporaryDirectory(prefix="soak-bench-") as folder:
        for length in hours:
            path = Path(folder) / f"{length:g}h.soak"
            make(path, length)
            whole, look = _alone("judge", path), _alone("look", path)
            full = length == HOURS[-1]
            size = f"{path.stat().st_size / 1e6:.1f} MB"
            what = f"{length:g} h of {SERIES} series"
            rows.append(Row("judge", f"{what}: read", f"{whole['read_s']:.2f} s", size))
            took = whole["read_s"] + whole["judge_s"]
            bar = f"at most {JUDGE_BAR_S:g} s" if full else ""
            met = whole["judge_s"] <= JUDGE_BAR_S if full else None
            rows.append(Row("judge", f"{what}: judged", f"{whole['judge_s']:.2f} s", "", None, bar, met))
            bar = f"at most {MEMORY_BAR_MB:g} MB" if full else ""
            met = whole["peak_mb"] <= MEMORY_BAR_MB if full else None
            rows.append(Row("judge", f"{what}: memory at most", f"{whole['peak_mb']:.0f} MB", "", None, bar, met))
            if before is not None:
                ratio = (took / before[1]) / (length / before[0])
                text = f"at most {LINEAR_BAR:g} times linear"
                rows.append(
                    Row("judge", f"{what}: growth by length", f"{took:.2f} s", f"{before[1]:.2f} s at {before[0]:g} h",
                        ratio, text, ratio <= LINEAR_BAR)
                )  # fmt: skip
            before = length, took
            first = look["look_s"] if first is None else first
            ratio = look["look_s"] / first
            text, beside = f"at most {LOOK_BAR:g} times", f"{first:.2f} s at {hours[0]:g} h"
            met = ratio <= LOOK_BAR
            rows.append(Row("look", f"{what}: a live look", f"{look['look_s']:.2f} s", beside, ratio, text, met))
    return rows


def make(path: Path, hours: float) -> None:
    """A run file of so many hours of soak, still going on."""
    document: dict[str, Any] = {
        "name": "long",
        "target": {"url": "http://127.0.0.1:8000", "pid": 1},
        "load": {
            "rate": f"{RATE * ENDPOINTS:g}/s",
            "requests": [{"name": f"endpoint-{i}", "get": f"/{i}"} for i in range(ENDPOINTS)],
        },
        "phases": {"warmup": "0s", "soak": f"{hours + 0.5:g}h"},
        "criteria": [{"metric": "errors.ratio", "below": "1%"}, {"metric": "memory.rss", "growth_below": "5%"}],
    }
    scenario = Scenario.model_validate(document)
    rng, window, step = np.random.default_rng(7), window_length(scenario), scenario.interval_s
    writer = RunWriter.create(path, {"run": path.stem, "started": 1.7e9, "scenario": document, "provenance": {}})
    writer.add_event(Event(0.0, "phase", None, "soak", {"name": "soak"}))
    levels = _LEVELS | {f"made.{i}": 100.0 + i for i in range(SERIES - len(_LEVELS) - len(_HOST) - 1)}
    seconds = int(hours * 3600)
    names = tuple(levels)
    base = np.array(list(levels.values()))
    per = max(1, round(window / step))
    for i in range(int(seconds / step)):
        start = i * step
        done = int(RATE * ENDPOINTS * step)
        tally = Tally(
            "candidate", "w", i, start, step, done, done, 0, 0, 0, 0, 2e-3, 5e-3, 1e-3, 4e-3, 0.1, 50_000_000, 1
        )
        writer.add_report(tally, _reports(rng, i, start, window) if i % per == 0 else [])
    for first in range(0, seconds, 3600):
        many = min(3600, seconds - first)
        values = base * (1 + 1e-3 * rng.standard_normal((many, len(base))))
        samples = []
        for t in range(first, first + many):
            cpu = {"process.cpu_seconds": 0.2 * t + 0.01 * float(rng.random())}
            samples.append(
                Sample(float(t), "candidate", dict(zip(names, values[t - first].tolist(), strict=True)) | cpu)
            )
            samples.append(Sample(float(t), "host", dict(_HOST)))
        writer.add_samples(samples)
        writer.roll_up(first + many, window)
    writer.finish()


def _reports(rng: np.random.Generator, number: int, start: float, window: float) -> list[Interval]:
    """The latencies of a whole window, told with its first interval: packed, they are the same."""
    clocks: tuple[Clock, ...] = ("latency", "service")
    found = []
    for i in range(ENDPOINTS):
        us = np.maximum(1, 5e3 * np.exp(rng.normal(0.0, 0.4, int(RATE * window)))).astype(np.int64)
        for clock in clocks:
            made = histogram(us)
            found.append(Interval("candidate", "w", number, start, window, f"endpoint-{i}", "ok", clock, made))
    return found


def _alone(what: str, path: Path) -> dict[str, float]:
    """What one process alone takes for it."""
    command = [sys.executable, "-m", "benchmarks.judge", "--one", what, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _measure(what: str, path: Path) -> dict[str, float]:
    if what == "judge":
        began = time.process_time()
        recording = read(path)
        was_read = time.process_time()
        judge(recording)
        end = time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {"read_s": was_read - began, "judge_s": end - was_read, "peak_mb": peak}
    reader = LiveReader(path)
    judge_live(reader.recording(), None)  # what was there before this look
    began = time.process_time()
    judge_live(reader.recording(), None)
    return {"look_s": time.process_time() - began}


if __name__ == "__main__":
    sys.exit(main())
