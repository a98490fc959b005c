"""A target that freezes for a second in every ten: whose p99 is the truth?

soak, plain Locust, hey and wrk send 200 requests a second each to one nginx at the same time. The truth is
worked out from the freezes as they really happened and from soak's actual arrivals.
"""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks.locusts import standalone
from benchmarks.processes import MissingError, Nginx, end, nginx, soak, tool
from benchmarks.rows import Row
from benchmarks.theory import frozen_latencies, percentile
from soak import runfile
from soak.core.histogram import Histogram
from soak.core.records import Recording
from soak.load.plan import schedule_of

RATE, EVERY_S, FREEZE_S, BAR = 200, 10.0, 1.0, 0.02
SCENARIO = """
name: freeze
target: {{url: "{url}", pid: {pid}}}
load:
  rate: {rate}/s
  connections: 50
  requests: [{{name: page, get: /}}]
phases: {{warmup: 0s, soak: {seconds}s}}
criteria: [{{metric: errors.ratio, below: 1%}}]
"""
_WRK_PACE = "function delay() return {ms} end\n"


class Freezer(threading.Thread):
    """Freezes a process again and again, and notes when it did (s on the monotonic clock)."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._over = threading.Event()
        self.freezes: list[tuple[float, float]] = []

    def run(self) -> None:
        """Until `stop`; the process is never left frozen."""
        while not self._over.wait(EVERY_S - FREEZE_S):
            os.kill(self._pid, signal.SIGSTOP)
            start = time.monotonic()
            time.sleep(FREEZE_S)
            os.kill(self._pid, signal.SIGCONT)
            self.freezes.append((start, time.monotonic()))

    def stop(self) -> None:
        """End after the freeze under way."""
        self._over.set()
        self.join()


def measure(folder: Path, quick: bool) -> list[Row]:
    """p99 and p99.9 of each tool by the truth."""
    seconds = 32 if quick else 72
    with nginx(folder / "nginx") as target:
        freezer = Freezer(target.pid)
        text = SCENARIO.format(url=target.url, pid=target.pid, rate=RATE, seconds=seconds)
        with soak(folder / "soak", text) as run:
            run.find("soak.load.worker")
            freezer.start()
            peers, missing = _peers(target, seconds, folder)
            try:
                run.verdict()
            finally:
                freezer.stop()
                told = {name: _told(name, process, folder) for name, process in peers.items()}
            recording = runfile.read(run.run_file)
    truth = _truth(recording, freezer.freezes, folder)
    windows = recording.sides["candidate"].windows["page", "ok", "latency"]
    whole = Histogram.merge(w.histogram for w in windows)
    rows = []
    for q, name in ((99.0, "p99"), (99.9, "p99.9")):
        true = percentile(truth, q)
        ratio = whole.percentile(q) / true
        rows.append(
            Row(
                "truth",
                f"{name} under freezes, soak",
                f"{whole.percentile(q) * 1e3:.0f} ms",
                f"{true * 1e3:.0f} ms",
                ratio,
                "within 2 %",
                abs(ratio - 1) <= BAR,
            )
        )
        for peer, answers in told.items():
            if q in answers:
                value = answers[q]
                rows.append(
                    Row(
                        "truth",
                        f"{name} under freezes, {peer}",
                        f"{value * 1e3:.0f} ms",
                        f"{true * 1e3:.0f} ms",
                        value / true,
                    )
                )
    return rows + [Row("truth", text, "-") for text in missing]


def _truth(recording: Recording, freezes: list[tuple[float, float]], folder: Path) -> np.ndarray:
    """The latency of every arrival of the soak, worked out."""
    schedule = schedule_of(recording.scenario, folder)
    assert schedule is not None
    begin = next(float(str(e.data["begin"])) for e in recording.events if e.kind == "schedule")
    # the run's clock is this host's monotonic clock since its start
    zero = time.monotonic() - time.time() + recording.started
    due = zero + begin + np.concatenate([block.due for block in schedule.blocks()])
    return frozen_latencies(due, freezes)


def _peers(target: Nginx, seconds: int, folder: Path) -> tuple[dict[str, subprocess.Popen[bytes]], list[str]]:
    """The other tools, started; and what is not installed, in words."""
    users = 10
    peers = {"plain Locust, 10 users": standalone("Paced", target.url, RATE, users, seconds, folder / "locust")}
    pace = folder / "pace.lua"
    pace.write_text(_WRK_PACE.format(ms=round(1e3 * users / RATE)))
    missing = []
    for name, flags in (
        ("hey", ["-c", str(users), "-q", str(RATE // users), "-z", f"{seconds}s"]),
        ("wrk", ["-c", str(users), "-t", "1", "-d", f"{seconds}s", "--latency", "--timeout", "10s", "-s", str(pace)]),
    ):
        try:
            command = [tool(name), *flags, f"{target.url}/"]
        except MissingError as error:
            missing.append(str(error))
            continue
        with (folder / f"{name}.txt").open("wb") as out:
            peers[name] = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
    return peers, missing


def _told(name: str, process: subprocess.Popen[bytes], folder: Path) -> dict[float, float]:
    """Percentiles (s) by what a tool says itself."""
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        end(process)
    if name in ("hey", "wrk"):
        text = (folder / f"{name}.txt").read_text()
        found = re.search(r"99% in ([\d.]+) (secs)" if name == "hey" else r"99%\s+([\d.]+)(us|ms|s)\b", text)
        return {99.0: float(found[1]) * {"us": 1e-6, "ms": 1e-3}.get(found[2], 1.0)} if found else {}
    with (folder / "locust" / "plain_stats.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row["Name"] == "page")
    return {99.0: float(row["99%"]) / 1e3, 99.9: float(row["99.9%"]) / 1e3}
