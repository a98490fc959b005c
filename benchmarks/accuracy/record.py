"""Record real processes: `python -m benchmarks.accuracy.record [--seconds N]`, five minutes.

It runs the programs of `programs.py`, some web servers of `soak.specimens` and an nginx under load, a Redis that fills
up to its limit and one that only grows: all at once, each at a few per cent of a core. It looks at their resident
memory ten times a second, from five seconds after they are ready, and writes one file for each and seed to
benchmarks/accuracy/recorded. Load goes to loopback only.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import redis

from benchmarks.accuracy import programs
from benchmarks.accuracy.recorded import FOLDER
from benchmarks.processes import ROOT, await_port, end, free_port, nginx, tool

SECONDS, WARMUP, EVERY = 75.0, 5.0, 0.1
SEEDS = (1, 2, 3)
RATE = 20.0
"""Requests a second to each web server."""
_MMAP = {"MALLOC_MMAP_THRESHOLD_": str(16 * 1024)}
"""Large pieces go back to the kernel when they are freed, so that the collector's sawtooth is one from outside too."""


WEB = {
    "web": ("healthy",),
    "web_cache": ("cache_fill", "--size", "300"),
    "web_cycles": ("gc_sawtooth", "--wave", "120"),
    "leak_web": ("leak", "--per-request", "1500"),
    "leak_web_native": ("native_leak", "--per-request", "2200"),
    "leak_web_holes": ("fragmentation", "--document", "8192"),
}
"""Web servers with the options that let each do in a minute what it does in an hour."""


def main() -> None:
    """Record them all."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.record", description=__doc__)
    arguments.add_argument("--seconds", type=float, default=SECONDS, metavar="N")
    seconds: float = arguments.parse_args().seconds
    FOLDER.mkdir(exist_ok=True)
    for seed in SEEDS:
        with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
            watched = {p.__name__: stack.enter_context(_program(p.__name__, seed, seconds)) for p in _PROGRAMS}
            watched |= {name: stack.enter_context(_web(options, seed)) for name, options in WEB.items()}
            watched["redis_limit"] = stack.enter_context(_redis(seed, 0, 1_500, "24mb"))
            watched["leak_redis"] = stack.enter_context(_redis(seed, 40_000, 110, "0"))
            watched["nginx"] = stack.enter_context(_nginx(Path(folder)))
            time.sleep(WARMUP)
            for name, rows in _watch(watched, seconds).items():
                text = "".join(f"{at:.2f},{kib}\n" for at, kib in rows)
                (FOLDER / f"{name}-{seed}.csv").write_text("t_s,rss_kib\n" + text)


_PROGRAMS = programs.HEALTHY + programs.SICK


def _watch(watched: dict[str, int], seconds: float) -> dict[str, list[tuple[float, int]]]:
    looks = {name: psutil.Process(pid) for name, pid in watched.items()}
    rows: dict[str, list[tuple[float, int]]] = {name: [] for name in watched}
    began = time.monotonic()
    for number in range(round(seconds / EVERY)):
        time.sleep(max(0.0, began + number * EVERY - time.monotonic()))
        for name, process in looks.items():
            rows[name].append((time.monotonic() - began, process.memory_info().rss // 1024))
    return rows


@contextlib.contextmanager
def _program(name: str, seed: int, seconds: float) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.accuracy.programs", name, str(seed), str(seconds + 4 * WARMUP)],
        cwd=ROOT,
        env=os.environ | (_MMAP if "cycles" in name else {}),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield process.pid
    finally:
        end(process)


@contextlib.contextmanager
def _redis(seed: int, preload: int, rate: int, limit: str) -> Iterator[int]:
    """A Redis that is sent `rate` new keys a second, after `preload` of them; past its limit it drops old ones."""
    port = free_port()
    policy = ["--maxmemory", limit, "--maxmemory-policy", "allkeys-lru"]
    process = subprocess.Popen(
        [tool("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", *policy],
        stdout=subprocess.DEVNULL,
    )
    try:
        await_port(port)
        draw, client = random.Random(seed), redis.Redis(port=port)

        def send(count: int) -> None:
            pipe = client.pipeline(transaction=False)
            for _ in range(count):
                pipe.set(f"k{draw.getrandbits(60)}", "v" * draw.randint(100, 900))
            pipe.execute()

        for _ in range(preload // 1000):
            send(1000)
        with _at_rate(lambda: send(max(1, round(rate * programs.TICK)))):
            yield process.pid
        client.close()
    finally:
        end(process)


@contextlib.contextmanager
def _web(options: tuple[str, ...], seed: int) -> Iterator[int]:
    """A web server of one process: one order for every four items that are looked at."""
    port, draw = free_port(), random.Random(seed)
    process = subprocess.Popen(
        [sys.executable, "-m", "soak.specimens", *options, "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await_port(port)
        link = http.client.HTTPConnection("127.0.0.1", port)

        def send() -> None:
            item = draw.randint(1, 5_000)
            if draw.random() < 0.2:
                link.request("POST", "/cart", json.dumps({"item": item}), {"Content-Type": "application/json"})
            else:
                link.request("GET", f"/items/{item}")
            link.getresponse().read()

        with _at_rate(send, 1 / RATE):
            yield process.pid
    finally:
        end(process)


@contextlib.contextmanager
def _nginx(folder: Path) -> Iterator[int]:
    with nginx(folder) as server:
        link = http.client.HTTPConnection("127.0.0.1", server.port)

        def send() -> None:
            for _ in range(5):
                link.request("GET", "/page")
                link.getresponse().read()

        with _at_rate(send):
            yield server.pid


@contextlib.contextmanager
def _at_rate(send: Callable[[], None], every: float = programs.TICK) -> Iterator[None]:
    """Call `send` every so many seconds in a thread of its own, until the block is left."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(every):
            send()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


if __name__ == "__main__":
    main()
