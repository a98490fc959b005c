"""The benchmark of the daemon: `python -m benchmarks.daemon [--quick] [--minutes N] [--json FILE]`.

200 clients poll `soak serve` while four runs go on and 10,000 are in its state: what its API takes, what it holds in
memory, and whether the runs notice. Everything is on this machine and shares its cores.
"""

from __future__ import annotations

import argparse
import json
import math
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.course import course
from benchmarks.outcome import add_options, leave
from benchmarks.pollers import KINDS
from benchmarks.processes import ROOT, await_port, environment, free_port
from benchmarks.processes import end as end_process
from benchmarks.rows import Row
from soak.daemon.config import STATE
from soak.daemon.state import State

CLIENTS, EVERY_S, RUNS, KNOWN = 200, 2.0, 4, 10_000
P99_BAR_MS = 250.0
GROWTH_BAR = 0.02
"""Of the memory, over the whole time."""
_SETTLED_S = 60.0
_SCENARIO = """
name: polled{i}
target: {{url: "http://127.0.0.1:{port}", process: {{command: "{{python}} -m soak.specimens healthy --port {port}"}}}}
load: {{rate: 20/s, connections: 10, requests: [{{name: browse, get: "/items/{{random:1-5000}}"}}]}}
phases: {{warmup: 5s, soak: {soak:.0f}s}}
criteria: [{{metric: errors.ratio, below: 1%}}]
"""


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two minutes")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long clients poll; default: 5")
    add_options(parser)
    arguments = parser.parse_args()
    rows = measure(120.0 if arguments.quick else arguments.minutes * 60)
    return leave(rows, arguments, "daemon")


def measure(seconds: float) -> list[Row]:
    """All rows; clients poll for so many seconds."""
    with tempfile.TemporaryDirectory(prefix="soak-bench-") as name:
        folder = Path(name)
        _fill(folder / "runs", KNOWN)
        with _serving(folder, seconds) as (process, port):
            rows = _listing(port)
            numbers = [_ask(port, "/v1/runs", {"scenario": f"polled{i}.yaml"})["id"] for i in range(RUNS)]
            _await(port, numbers, "running", 60)
            words = [str(port), str(CLIENTS), str(EVERY_S), str(seconds), json.dumps(numbers), "1"]
            polled = folder / "polled.json"  # no pipe: it holds 64 KiB, and nobody reads while the memory is watched
            with (
                polled.open("wb") as out,
                subprocess.Popen([sys.executable, "-m", "benchmarks.pollers", *words], cwd=ROOT, stdout=out) as pollers,
            ):
                seen = _watch(process, pollers)
            found = json.loads(polled.read_bytes())
            rows += _latencies(found) + _memory(seen) + [_cpu(seen, sum(len(found.get(k, [])) for k in KINDS))]
            _await(port, numbers, "ended", 240)
            return rows + _runs(port, numbers)


def _fill(runs: Path, count: int) -> None:
    """A state with so many runs that have ended; the first has a verdict."""
    with State(runs / STATE):
        pass
    verdict = {"schema": "soak.verdict/1", "criteria": [{"metric": "latency.p99", "result": "pass"}] * 40}
    (runs / "past-1.json").write_text(json.dumps(verdict))
    with sqlite3.connect(runs / STATE) as db:
        db.executemany(
            "INSERT INTO job (state, scenario, name, targets, asked_by, priority, asked_at, started_at, ended_at, "
            "run_file, verdict, exit_code, reason) VALUES ('ended', 'past.yaml', 'past', '[\"localhost:1\"]', 'local', "
            "0, ?, ?, ?, ?, 'pass', 0, 'all criteria hold')",
            ((i, i, i, str(runs / f"past-{i}.soak")) for i in range(1, count + 1)),
        )
    db.close()


@contextmanager
def _serving(folder: Path, seconds: float) -> Iterator[tuple[psutil.Process, int]]:
    scenarios, port = folder / "scenarios", free_port()
    scenarios.mkdir()
    for i in range(RUNS):
        text = _SCENARIO.format(i=i, port=free_port(), soak=seconds + 15)
        (scenarios / f"polled{i}.yaml").write_text(text)
    words = ["--listen", f"127.0.0.1:{port}", "--parallel", str(RUNS), "--requests", "10000/s", "--runs", "runs"]
    daemon = subprocess.Popen(
        [sys.executable, "-m", "soak.cli", "serve", *words],
        cwd=folder, env=environment(folder), stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await_port(port)
        yield psutil.Process(daemon.pid), port
    finally:
        for run in psutil.Process(daemon.pid).children():
            run.kill()  # only where something broke: by now they have ended
        end_process(daemon)


def _ask(port: int, path: str, body: object = None) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"} if data else {}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def _await(port: int, numbers: list[int], state: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    while any(_ask(port, f"/v1/runs/{n}")["state"] != state for n in numbers):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the runs are not {state} within {patience:g} s")
        time.sleep(0.5)


def _listing(port: int) -> list[Row]:
    """The first and the last page of all that there is, one after the other, before anything else goes on."""
    rows, first = [], math.nan
    for _ in range(100):  # warm
        _ask(port, "/v1/runs?limit=50")
    for what, path in (("first", "/v1/runs?limit=50"), ("last", "/v1/runs?limit=50&before=51")):
        took = []
        for _ in range(200):
            begun = time.perf_counter()
            _ask(port, path)
            took.append((time.perf_counter() - begun) * 1000)
        ms = float(np.median(took))
        first = ms if what == "first" else first
        text = f"the {what} page of {KNOWN:,} runs, 50 of them: median"
        rows.append(
            Row("listing", text, f"{ms:.1f} ms", f"first {first:.1f} ms", ms / first, "<= 1.5", ms / first <= 1.5)
        )
    return rows


def _watch(daemon: psutil.Process, pollers: subprocess.Popen[bytes]) -> np.ndarray[Any, Any]:
    """A row a second while the clients poll: s, CPU s, RSS and USS in MiB, descriptors."""
    begun, seen = time.monotonic(), []
    while pollers.poll() is None:
        memory, cpu = daemon.memory_full_info(), daemon.cpu_times()
        row = (
            time.monotonic() - begun,
            cpu.user + cpu.system,
            memory.rss / 2**20,
            memory.uss / 2**20,
            daemon.num_fds(),
        )
        seen.append(row)
        time.sleep(1)
    return np.array(seen)


def _latencies(found: dict[str, list[float]]) -> list[Row]:
    rows = []
    for kind in KINDS:
        p50, p99 = np.percentile(found[kind], [50, 99])
        what = f"{kind}: p50 of {len(found[kind]):,} requests of {CLIENTS} clients, and p99"
        rows.append(
            Row(
                "api",
                what,
                f"{p50:.1f} ms",
                f"p99 {p99:.1f} ms",
                None,
                f"p99 <= {P99_BAR_MS:g} ms",
                bool(p99 <= P99_BAR_MS),
            )
        )
    bad = len(found.get("refused", [])) + len(found.get("broken", []))
    return [*rows, Row("api", "requests that were not answered with 200", str(bad), "", None, "0", bad == 0)]


def _memory(seen: np.ndarray[Any, Any]) -> list[Row]:
    """Begin and end after it has settled, and the slope that soak's own judge sees, with its interval."""
    settled = seen[seen[:, 0] >= min(_SETTLED_S, seen[-1, 0] / 4)]
    t, rows = settled[:, 0], []
    for column, name in ((2, "RSS"), (3, "USS")):
        held = course(t, settled[:, column])
        ratio, begin = held.end / held.begin, f"begin {held.begin:.1f} MiB"
        rows.append(Row("memory", f"{name} at the end{held.slope}", f"{held.end:.1f} MiB", begin, ratio,
                        f"<= {1 + GROWTH_BAR:g}", ratio <= 1 + GROWTH_BAR))  # fmt: skip
    fds = settled[:, 4]
    return [*rows, Row("memory", "descriptors at most", f"{fds.max():.0f}", f"median {np.median(fds):.0f}")]


def _cpu(seen: np.ndarray[Any, Any], requests: int) -> Row:
    used, took = seen[-1, 1] - seen[0, 1], seen[-1, 0] - seen[0, 0]
    return Row(
        "cpu", "of the daemon, and for each request", f"{used / took:.1%} of a core", f"{used / requests * 1000:.2f} ms"
    )


def _runs(port: int, numbers: list[int]) -> list[Row]:
    rows = []
    for number in numbers:
        verdict = _ask(port, f"/v1/runs/{number}/verdict")
        account, ended = verdict["validity"], verdict["verdict"]
        whole = account["balanced"] and account["failed"] == account["lost"] == account["unserved"] == 0
        spoiled = f"{account['invalid_intervals']} of {account['intervals']} spoiled"
        met = whole and ended in ("pass", "inconclusive")
        what = f"run {number}: its verdict, and intervals that the generator spoiled"
        rows.append(Row("runs", what, ended, spoiled, None, "valid", met))
    return rows


if __name__ == "__main__":
    sys.exit(main())
