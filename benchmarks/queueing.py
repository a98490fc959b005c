"""Poisson arrivals into a queue with one server and a deterministic service: does soak measure M/D/1?

The wait is what an arrival took beyond one that met no queue: the latency of the same server nearly idle
is measured first, and taken off. It holds the service and what loopback and a timer's wake-up cost. A
hundred seconds of a queue are a small sample (its mean wait has a standard error of 5 %, its p99 of 7 %),
so what those very arrivals had to wait for those very services is worked out beside the theory.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.processes import ROOT, await_port, end, free_port, soak
from benchmarks.rows import Row
from benchmarks.theory import Floats, lindley_waits, md1_mean_wait, md1_wait_percentile, percentile
from soak import runfile
from soak.core.histogram import Histogram
from soak.core.records import Recording
from soak.load.plan import schedule_of

SERVICE_MS, UTILISATION, BAR = 5.0, 0.7, 0.10
_IDLE_RATE = 20.0
SCENARIO = """
name: queue
target: {{url: "http://127.0.0.1:{port}", pid: {pid}}}
load:
  rate: {rate}/s
  arrivals: poisson
  connections: 100
  requests: [{{name: page, get: /}}]
phases: {{warmup: 0s, soak: {seconds}s}}
criteria: [{{metric: errors.ratio, below: 1%}}]
"""


@contextlib.contextmanager
def queue() -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The queue server; gives its port and process."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.queue_server", str(port), str(SERVICE_MS)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        await_port(port)
        yield port, process
    finally:
        end(process)


def _soaked(folder: Path, rate: float, seconds: int) -> tuple[Histogram, Floats, Recording]:
    """Latencies of a soak of a fresh queue, how long each service took (s), and the recording."""
    with queue() as (port, process):
        text = SCENARIO.format(port=port, pid=process.pid, rate=rate, seconds=seconds)
        with soak(folder, text) as run:
            run.verdict()
            recording = runfile.read(run.run_file)
        process.terminate()
        services = np.array(json.loads(process.communicate(timeout=10)[0]))
    windows = recording.sides["candidate"].windows["page", "ok", "latency"]
    return Histogram.merge(w.histogram for w in windows), services, recording


def measure(folder: Path, quick: bool) -> list[Row]:
    """The waits of soak by those of M/D/1."""
    rate = UTILISATION / (SERVICE_MS / 1e3)
    idle, _, _ = _soaked(folder / "idle", _IDLE_RATE, 10 if quick else 20)
    loaded, services, recording = _soaked(folder / "loaded", rate, 30 if quick else 110)
    alone = idle.percentile(50)
    mean, p99 = loaded.mean - alone, loaded.percentile(99) - alone
    schedule = schedule_of(recording.scenario, folder)
    assert schedule is not None
    due = np.concatenate([block.due for block in schedule.blocks()])
    service = float(services.mean())
    own = lindley_waits(due, services if len(services) == len(due) else service)
    rho = len(due) / float(due[-1]) * service
    measured = f"D {service * 1e3:.3f} ms, utilisation {rho:.3f}, {loaded.total:,} arrivals"
    rows = [Row("queue", f"M/D/1: {measured}", f"alone {alone * 1e3:.2f} ms")]
    for name, value, theory, sample in (
        ("mean wait", mean, md1_mean_wait(rho / service, service), float(own.mean())),
        ("p99 wait", p99, md1_wait_percentile(99, rho / service, service), percentile(own, 99)),
    ):
        for against, truth in (("M/D/1 theory", theory), ("these arrivals and services", sample)):
            ratio = value / truth
            what, held = f"{name}, by {against}", f"{truth * 1e3:.2f} ms"
            met = abs(ratio - 1) <= BAR
            rows.append(Row("queue", what, f"{value * 1e3:.2f} ms", held, ratio, "within 10 %", met))
    return rows
