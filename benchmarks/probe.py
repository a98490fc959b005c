"""The benchmark of the watch: `python -m benchmarks.probe [--quick] [--json FILE]`.

What the looks from outside cost soak, at a process and at a tree of ten, taken in turn; and what an agent inside costs
its host: two of the same server in one soak, under the same arrivals, one with an agent and one without.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

from benchmarks.outcome import add_options, leave
from benchmarks.processes import NGINX, MissingError, await_port, cpu_seconds, end, free_port, nginx, soak
from benchmarks.rows import Row
from soak import runfile
from soak.core.scrape import Scrape
from soak.core.target import Target
from soak.probe import Watch
from soak.probe.scrape_redis import read_redis
from soak.probe.stacks import ThreadStacks

LOOK_BAR = 0.001
AGENT_BAR = 0.01
EVERY_S = 1.0
TREE = 10
DOOR_EVERY_S = 10.0
_SETTLE_S = 8.0
_STRETCH_S = 5.0
_PAGE_S = 10.0
"""The recording interval of a soak of two hours."""

# two hours, so that agents are asked at the pace of a long soak, and none of its costly looks is due; ended by force
SCENARIO = """
name: agents
target:
  url: http://127.0.0.1:{a}
  process: {{command: "{{python}} -m soak.specimens healthy --port {a}", {first}}}
reference:
  url: http://127.0.0.1:{b}
  process: {{command: "{{python}} -m soak.specimens healthy --port {b}", {other}}}
load: {{rate: 100/s, connections: 20, requests: [{{name: browse, get: "/items/{{random:1-5000}}"}}]}}
phases: {{warmup: 0s, soak: 2h}}
probe: {{allocations: false}}
criteria: [{{metric: errors.ratio, below: 1%}}]
"""


def main() -> int:
    """Run it all; 0 when every bar is met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.probe", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about two minutes, with wider noise")
    add_options(parser)
    asked = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="soak-bench-") as folder:
        for part in (looks, door, agents):
            print(f"{part.__name__} ...", flush=True)
            try:
                rows += part(Path(folder) / part.__name__, asked.quick)
            except MissingError as error:
                rows.append(Row(part.__name__, str(error), "-"))
    return leave(rows, asked, "probe")


def looks(folder: Path, quick: bool) -> list[Row]:
    """CPU of the looks that soak takes from outside every second, beside the same figures by psutil."""
    names = ("one nginx", "28 MB", "1.5 GB in 5,000 maps", f"a tree of {TREE}")
    with (
        nginx(folder / "one") as one,
        _hoard(20, 1) as small,
        _hoard(1500, 5000) as large,
        _tree(folder / "tree") as root,
        contextlib.ExitStack() as stack,
    ):
        ways: dict[str, Callable[[float], object]] = {}
        for name, pid in zip(names, (one.pid, small, large, root), strict=True):
            watch = Watch("candidate", Target(url="http://127.0.0.1", pid=pid), [ThreadStacks("candidate")])
            stack.callback(watch.close)
            ways[f"soak, {name}"] = watch.look
            ways[f"psutil, {name}"] = _by_psutil(pid)
        spent = _in_turn(ways, 30 if quick else 120)
    rows = []
    for name in names:
        own, peer = spent[f"soak, {name}"], spent[f"psutil, {name}"]
        share = sum(own) / len(own) / EVERY_S
        bar = LOOK_BAR if name != names[-1] else None
        rows.append(
            Row(
                "looks",
                f"CPU of a look a second, {name}: median {1e6 * statistics.median(own):.0f} us",
                f"{share:.3%} of a core",
                f"psutil {sum(peer) / len(peer) / EVERY_S:.3%}",
                sum(own) / sum(peer),
                f"<= {bar:.1%}" if bar else "",
                share <= bar if bar else None,
            )
        )
    return rows


@contextlib.contextmanager
def _hoard(megabytes: int, maps: int) -> Iterator[int]:
    """A Python that holds so much resident memory in so many mappings that the kernel cannot join: its pid."""
    code = (
        "import mmap, time\n"
        f"size = max(4096, {megabytes} * 2**20 // {maps} // 4096 * 4096)\n"
        f"kept = [mmap.mmap(-1, size, prot=(3 if i % 2 else 7)) for i in range({maps})]\n"
        "for m in kept: m[:] = bytes([1]) * size\n"
        "print(flush=True)\n"
        "time.sleep(3600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
    finally:
        end(process)


def _in_turn(ways: dict[str, Callable[[float], object]], seconds: int) -> dict[str, list[float]]:
    """CPU seconds of each way to look, all of them once a second; the first looks are not counted."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    zero = time.monotonic()
    for second in range(seconds + 2):
        time.sleep(max(0.0, zero + second * EVERY_S - time.monotonic()))
        for name in list(ways) if second % 2 else list(reversed(ways)):
            began = time.thread_time()
            ways[name](float(second))
            if second >= 2:
                spent[name].append(time.thread_time() - began)
    return spent


def _by_psutil(root: int) -> Callable[[float], object]:
    """A common way to watch a tree: its processes' memory, CPU, threads, descriptors, connections."""

    def look(_t: float) -> object:
        top = psutil.Process(root)
        return [
            (p.memory_full_info(), p.cpu_times(), p.num_threads(), p.num_fds(), p.net_connections("tcp"))
            for p in (top, *top.children(recursive=True))
        ]

    return look


@contextlib.contextmanager
def _tree(folder: Path) -> Iterator[int]:
    """An nginx of ten processes: the root's pid. Raises MissingError."""
    if NGINX is None:
        raise MissingError("nginx is not installed (Debian: apt-get install nginx-light)")
    folder.mkdir(parents=True)
    port = free_port()
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; worker_processes {TREE - 1}; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{}} http {{ access_log off; server {{ listen 127.0.0.1:{port}; }} }}\n"
    )
    process = subprocess.Popen([NGINX, "-c", str(conf), "-p", str(folder)], stderr=subprocess.DEVNULL)
    try:
        await_port(port)
        yield process.pid
    finally:
        end(process)


def door(folder: Path, quick: bool) -> list[Row]:
    """CPU of asking a Redis at its own door, at the pace of a long soak."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise MissingError("redis-server is not installed (Debian: apt-get install redis-server)")
    folder.mkdir(parents=True)
    port = free_port()
    process = subprocess.Popen(
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""], cwd=folder, stdout=subprocess.DEVNULL
    )
    try:
        await_port(port)
        scrape = Scrape(redis=f"127.0.0.1:{port}")
        spent = []
        for _ in range(50 if quick else 200):
            began = time.thread_time()
            read_redis(scrape, None)
            spent.append(time.thread_time() - began)
            time.sleep(0.02)
    finally:
        end(process)
    median = statistics.median(spent)
    what = f"CPU of asking a Redis every {DOOR_EVERY_S:.0f} s: median {1e6 * median:.0f} us"
    return [Row("door", what, f"{sum(spent) / len(spent) / DOOR_EVERY_S:.4%} of a core")]


def agents(folder: Path, quick: bool) -> list[Row]:
    """What an agent costs its host: by its own account, by the kernel's, and in p99."""
    own: list[float] = []
    extra: list[float] = []
    bare: list[float] = []
    tails: list[tuple[float, float]] = []
    for i in range(2 if quick else 4):
        found = _round(folder / str(i), with_first=i % 2 == 0, seconds=30 if quick else 45)
        own.append(found[0])
        extra += [a - b for a, b in found[1]]
        bare += [b for _, b in found[1]]
        tails += found[2]
        print(f"  round {i + 1}: own account {own[-1]:.3%}", flush=True)
    used, ratio = statistics.median(extra), statistics.median(a / b for a, b in tails)
    print(f"  differences by stretch, quartiles {_quartiles(extra)}; of a core")
    print(f"  {len(tails)} paired p99, quartiles of their ratio {_quartiles([a / b for a, b in tails])}")
    mean = statistics.median(own)
    return [
        Row(
            "agent",
            "CPU of the agent, by its own account",
            f"{mean:.3%} of a core",
            "",
            None,
            "<= 1 %",
            mean <= AGENT_BAR,
        ),
        Row(
            "agent",
            "CPU of its host, with it less without",
            f"{used:.3%} of a core",
            f"host {statistics.median(bare):.3%}",
            used / statistics.median(bare),
            "<= 1 %",
            used <= AGENT_BAR,
        ),
        Row(
            "agent",
            f"p99 of its host, with it by without, {len(tails)} pairs",
            f"{1e3 * statistics.median(a for a, _ in tails):.2f} ms",
            f"{1e3 * statistics.median(b for _, b in tails):.2f} ms",
            ratio,
        ),
    ]


Pairs = list[tuple[float, float]]


def _round(folder: Path, with_first: bool, seconds: int) -> tuple[float, Pairs, Pairs]:
    """One soak: the agent's own share of a core, shares of the hosts and p99 (s), each with an agent and without."""
    a, b = free_port(), free_port()
    flags = ["agent: true", "agent: false"]
    first, other = flags if with_first else reversed(flags)
    with soak(folder, SCENARIO.format(a=a, b=b, first=first, other=other)) as run:
        run.find("soak.load.worker", 2)
        hosts = {p.cmdline()[-1]: p.pid for p in run.find("soak.specimens", 2)}
        pids = [hosts[str(a)], hosts[str(b)]]
        time.sleep(_SETTLE_S)
        shares: Pairs = []
        before, at = [cpu_seconds(p) for p in pids], time.monotonic()
        for _ in range(round(seconds / _STRETCH_S)):
            time.sleep(_STRETCH_S)
            after, now = [cpu_seconds(p) for p in pids], time.monotonic()
            x, y = ((u - v) / (now - at) for u, v in zip(after, before, strict=True))
            shares.append((x, y) if with_first else (y, x))
            before, at = after, now
        run.interrupt()
        run.verdict()
        recording = runfile.read(run.run_file)
    sides = [recording.sides[s] for s in ("candidate", "reference")]
    host = sides[0] if with_first else sides[1]
    spent = host.series["agent.cpu_seconds"]
    if len(spent) < 2:
        raise RuntimeError("no agent answered")
    windows = [
        {
            w.start: w.histogram
            for w in s.merged("latency", "ok", None, 0.0, recording.duration)
            if w.length > 0.9 * _PAGE_S
        }
        for s in sides
    ]
    tails = [
        (windows[0][t].percentile(99), windows[1][t].percentile(99))
        for t in sorted(windows[0])[1:]  # what starts up is in the first
        if t in windows[1]
    ]
    own = float((spent.v[-1] - spent.v[0]) / (spent.t[-1] - spent.t[0]))
    return own, shares, tails if with_first else [(y, x) for x, y in tails]


def _quartiles(values: Sequence[float]) -> str:
    return " ".join(f"{q:.4f}" for q in statistics.quantiles(values, n=4))


if __name__ == "__main__":
    sys.exit(main())
