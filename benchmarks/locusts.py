"""Plain Locust as separate processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import ROOT, await_port, end, free_port

PLAIN = Path(__file__).with_name("plain.py")


def _start(arguments: list[str], rate: float, users: int, folder: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"BENCH_RATE": str(rate), "BENCH_USERS": str(users), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", str(PLAIN), "--skip-log-setup", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@contextlib.contextmanager
def distributed(user: str, url: str, rate: float, users: int, folder: Path) -> Iterator[int]:
    """One master and one worker of plain Locust under load; gives the worker's pid."""
    folder.mkdir(parents=True, exist_ok=True)
    port = str(free_port())
    arguments = [user, "--headless", "-H", url, "-u", str(users), "-r", str(users)]
    link = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "1"]
    master = _start(["--master", *arguments, *link], rate, users, folder)
    try:
        await_port(int(port), 60)
        worker = _start(
            [user, "--worker", "--master-host", "127.0.0.1", "--master-port", port, "-H", url], rate, users, folder
        )
        try:
            yield worker.pid
        finally:
            end(worker)
    finally:
        end(master)


def standalone(user: str, url: str, rate: float, users: int, seconds: float, folder: Path) -> subprocess.Popen[bytes]:
    """Plain Locust in one process for some seconds; writes `plain_stats.csv` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    length = ["--headless", "-t", f"{seconds:.0f}s", "--csv", "plain", "--only-summary"]
    return _start([user, "-H", url, "-u", str(users), "-r", str(users), *length], rate, users, folder)
