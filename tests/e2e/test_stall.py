"""The stall test: a latency that is not measured from the intended start hides a frozen target."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Outcome, free_port, scenario, soak

pytestmark = [pytest.mark.e2e, pytest.mark.quiet, pytest.mark.timeout(300)]

RATE, WARMUP, SOAK, EVERY, STALL = 200, 5, 50, 10.0, 1.0


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A real nginx with one worker; gives its port and the worker's pid."""
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(binary).exists():
        pytest.skip("nginx is not installed")
    port = free_port()
    conf = tmp_path / "nginx.conf"
    conf.write_text(
        f"daemon off; master_process off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log;\n"
        "events { worker_connections 512; }\n"
        f"http {{ access_log off; keepalive_requests 1000000; server {{ listen 127.0.0.1:{port};\n"
        '  location / { return 200 "ok"; } } }\n'
    )
    process = subprocess.Popen([binary, "-c", str(conf), "-p", str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(10)


class Freezer(threading.Thread):
    """Freezes a process for STALL seconds in every EVERY, and notes how long each freeze really was."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.over = threading.Event()
        self.freezes: list[tuple[float, float]] = []

    def run(self) -> None:
        import os

        while not self.over.wait(EVERY - STALL):
            os.kill(self.pid, signal.SIGSTOP)
            start = time.monotonic()
            time.sleep(STALL)
            os.kill(self.pid, signal.SIGCONT)
            self.freezes.append((start, time.monotonic() - start))


def soak_frozen(folder: Path, port: int, pid: int, load: str) -> tuple[Outcome, list[float]]:
    """Soak nginx while it is frozen again and again; gives the outcome and the freezes inside the soak."""
    file = scenario(
        folder,
        f"""
name: stall
target: {{url: "http://127.0.0.1:{port}", pid: {pid}}}
load:
  {load}
  requests: [{{name: page, get: /}}]
phases: {{warmup: {WARMUP}s, soak: {SOAK}s}}
criteria: [{{metric: errors.ratio, below: 1%}}]
""",
    )
    freezer = Freezer(pid)
    freezer.start()
    outcome = soak(folder, "run", str(file), "--json")
    freezer.over.set()
    freezer.join()
    from soak import runfile

    recording = runfile.read(outcome.run_file)
    assert recording.soak_span is not None
    # the run's clock is the monotonic clock since its start, and both are this machine's
    zero = time.monotonic() - time.time() + recording.started
    begin, end = (zero + t for t in recording.soak_span)
    return outcome, [length for start, length in freezer.freezes if begin <= start < end - STALL]


def analytic_p99(freezes: list[float]) -> float:
    """p99 in seconds of an open load on a target that answers at once, but for its freezes.

    An arrival x seconds into a freeze of length f waits f - x. The share of arrivals that wait longer
    than L is sum(max(0, f - L)) / duration; p99 is the L at which that share is 1 %.
    """
    low, high = 0.0, max(freezes)
    for _ in range(60):
        middle = (low + high) / 2
        if sum(max(0.0, f - middle) for f in freezes) / SOAK > 0.01:
            low = middle
        else:
            high = middle
    return low


def test_p99_from_the_intended_start_is_the_analytic_one(tmp_path: Path, nginx: tuple[int, int]) -> None:
    outcome, freezes = soak_frozen(tmp_path, *nginx, f"rate: {RATE}/s\n  connections: 50")
    assert len(freezes) >= 4
    truth = analytic_p99(freezes)
    latency = outcome.verdict["latency"]["page"]
    assert latency["p99_ms"] / 1e3 == pytest.approx(truth, rel=0.05), outcome.show()
    assert outcome.verdict["service"]["page"]["p99_ms"] <= latency["p99_ms"]
    assert outcome.causes() == set(), outcome.show()


@pytest.mark.long
def test_plain_locust_pacing_fails_the_same_check(tmp_path: Path, nginx: tuple[int, int]) -> None:
    outcome, freezes = soak_frozen(tmp_path, *nginx, f"rate: {RATE}/s\n  users: 10")
    truth = analytic_p99(freezes)
    measured = outcome.verdict["latency"]["page"]["p99_ms"] / 1e3
    assert measured != pytest.approx(truth, rel=0.05)
    assert measured < truth / 5  # it does not just miss: it hides the freeze
