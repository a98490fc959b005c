"""How often the cause is the right one: `python -m benchmarks.causes [--seed N] [--only TEXT] [--at-once N]`.

Servers whose sickness is known, or that only look sick, under several kinds of server and of malloc, each soaked for a
minute. The seed draws how fast each leaks, how large its pieces are, and the arrivals. It prints each run, a confusion
matrix, and the share of runs whose first cause is the true one, with its interval.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.outcome import machine
from benchmarks.processes import free_port
from soak.judge.stats.proportion import wilson

ROOT = Path(__file__).parent.parent
BAR = 0.95
PRELOAD = {"glibc": "", "jemalloc": "libjemalloc.so.2", "tcmalloc": "libtcmalloc_minimal.so.4"}
FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu")
SERVERS = {
    "uvicorn": "{{python}} -m uvicorn benchmarks.causes_app:asgi --port {port} --log-level warning --no-access-log",
    "workers": "{{python}} -m uvicorn benchmarks.causes_app:asgi --workers 2 --port {port} --log-level warning "
    "--no-access-log",
    "sync": "{{python}} -m gunicorn --workers 2 --bind 127.0.0.1:{port} benchmarks.causes_app:wsgi",
    "gthread": "{{python}} -m gunicorn --worker-class gthread --threads 8 --bind 127.0.0.1:{port} "
    "benchmarks.causes_app:wsgi",
    "waitress": "{{python}} -m waitress --listen 127.0.0.1:{port} --threads 8 benchmarks.causes_app:wsgi",
}
WATCHED = {
    "object_leak", "native_leak", "fragmentation", "pymalloc_fragmentation", "retention", "memory_growth",
    "stack_growth", "stack_exhaustion", "recursion_limit", "fd_leak", "thread_leak", "connection_leak", "child_leak",
    "crash", "hang", "restart", "oom_kill",
}  # fmt: skip
"""All but drift of latency, CPU and errors, which three soaks at once on a small machine do to each other."""


@dataclass(frozen=True, slots=True)
class Case:
    """One run: a specimen with its options under a server and a malloc; `truth` is a cause, or "none"."""

    specimen: str
    server: str
    malloc: str
    truth: str
    options: dict[str, int]
    agent: bool = True

    @property
    def name(self) -> str:
        """In one word."""
        return f"{self.specimen}-{self.server}-{self.malloc}{'' if self.agent else '-outside'}"


def cases(seed: int) -> list[Case]:
    """All of them; the seed draws their options."""
    draw = random.Random(seed)
    made: list[Case] = []

    def add(specimen: str, truth: str, places: str, agent: bool = True, **ranges: tuple[int, int]) -> None:
        for place in places.split():
            server, _, malloc = place.partition("/")
            options = {name: draw.randint(*span) for name, span in ranges.items()}
            made.append(Case(specimen, server, malloc or "glibc", truth, options, agent))

    everywhere = "uvicorn workers gthread waitress uvicorn/jemalloc uvicorn/tcmalloc"
    add("healthy", "none", everywhere)
    add("cache_fill", "none", "uvicorn gthread waitress/jemalloc", size=(300, 900), value=(4096, 16384))
    add("gc_sawtooth", "none", "uvicorn waitress", wave=(300, 700))
    add("leak", "object_leak", f"{everywhere} sync", per_request=(1500, 6000))
    add("cycles", "object_leak", "uvicorn gthread uvicorn/jemalloc", per_request=(1500, 6000))
    add("ledger", "object_leak", "uvicorn waitress", per_request=(1500, 6000))
    add("native_leak", "native_leak", f"{everywhere} sync", per_request=(1500, 6000))
    add("fragmentation", "fragmentation", "uvicorn workers sync", document=(10_000, 24_000), keep=(3, 5))
    slabs = "uvicorn/jemalloc waitress/jemalloc uvicorn/tcmalloc"
    add("thinned", "fragmentation", slabs, every=(330, 400), keep=(12, 20))
    arenas = "uvicorn gthread waitress uvicorn/jemalloc uvicorn/tcmalloc"
    add("arenas", "pymalloc_fragmentation", arenas, every=(250, 400), keep=(30, 50))
    add("retention", "retention", "uvicorn gthread waitress", more=(300_000, 600_000), every=(50, 90))
    add("thread_arenas", "retention", "uvicorn waitress", every=(270, 320), burst=(2_000_000, 4_000_000))
    add("fd_leak", "fd_leak", "uvicorn gthread", every=(8, 20))
    add("thread_leak", "thread_leak", "uvicorn waitress", every=(8, 20))
    add("connection_leak", "connection_leak", "uvicorn gthread", every=(10, 25))
    add("child_leak", "child_leak", "uvicorn", every=(30, 50))
    add("crash", "crash", "uvicorn waitress", after=(1500, 3000))
    add("hang", "hang", "uvicorn gthread", after=(1500, 2500))
    add("recursion", "stack_growth", "uvicorn gthread waitress", per_link=(10, 20))
    add("deep_calls", "recursion_limit", "uvicorn gthread", per_link=(1, 2))
    add("leak", "memory_growth", "uvicorn waitress", agent=False, per_request=(1500, 6000))
    return made


def scenario(case: Case, port: int, seed: int) -> dict[str, Any]:
    """What soak is told: nothing of the case."""
    env = {"SPECIMEN": case.specimen, "SPECIMEN_OPTIONS": json.dumps(case.options)}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    if library := PRELOAD[case.malloc]:
        found = [path for folder in FOLDERS if (path := Path(folder) / library).exists()]
        if not found:
            raise SystemExit(f"{library} is not installed (Debian: libjemalloc2, libtcmalloc-minimal4)")
        env["LD_PRELOAD"] = str(found[0])
    command = SERVERS[case.server].format(port=port)
    return {
        "name": case.name,
        "target": {
            "url": f"http://127.0.0.1:{port}",
            "process": {"command": command, "env": env, "cwd": str(ROOT), "agent": case.agent},
        },
        "load": {
            "rate": "60/s",
            "arrivals": "poisson",
            "connections": 20,
            "seed": seed,
            "requests": [{"name": "browse", "get": "/items/{random:1-100000}"}],
        },
        "phases": {"idle_before": "4s", "warmup": "8s", "soak": "60s", "idle_after": "4s"},
        "criteria": [{"metric": "errors.ratio", "below": "50%"}],
    }


def judged(case: Case, number: int, seed: int, folder: Path) -> tuple[str, dict[str, Any]]:
    """The cause that soak names first, or "none", and its whole verdict."""
    place = folder / case.name
    place.mkdir(parents=True)
    (place / "soak.yaml").write_text(yaml.safe_dump(scenario(case, free_port(), seed + number)))
    command = [sys.executable, "-m", "soak.cli", "run", "soak.yaml", "--json", "--runs", "runs"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    (place / "stderr").write_text(done.stderr)
    if not done.stdout:
        return "no verdict", {"headline": done.stderr.strip()[-200:]}
    verdict = json.loads(done.stdout)
    (place / "verdict.json").write_text(done.stdout)
    causes = [f["cause"] for f in verdict["findings"] if f["severity"] == "fail" and f["cause"] in WATCHED]
    return causes[0] if causes else "none", verdict


def matrix(pairs: Sequence[tuple[str, str]]) -> str:
    """Truth by row, what was said by column."""
    truths, said = sorted({t for t, _ in pairs}), sorted({s for _, s in pairs})
    count = Counter(pairs)
    width = max(map(len, truths)) + 2
    lines = [" " * width + "  ".join(said)]
    lines += [t.ljust(width) + "  ".join(str(count[t, s] or ".").rjust(len(s)) for s in said) for t in truths]
    return "\n".join(lines)


def main() -> int:
    """Soak all cases; 0 when enough of the causes are right."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.causes", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="cases whose names have this regular expression in them")
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="leave run files and verdicts here")
    asked = parser.parse_args()
    if asked.keep is not None and asked.keep.exists():
        parser.error(f"{asked.keep}: exists already")
    chosen = [c for c in cases(asked.seed) if re.search(asked.only, c.name)]
    pairs: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory(prefix="soak-causes-") as scratch, ThreadPoolExecutor(asked.at_once) as pool:
        folder = (asked.keep or Path(scratch)).resolve()
        runs = [(c, pool.submit(judged, c, i, 1000 * asked.seed, folder)) for i, c in enumerate(chosen)]
        for case, run in runs:
            said, verdict = run.result()
            pairs.append((case.truth, said))
            mark = "ok   " if said == case.truth else "WRONG"
            print(f"{mark} {case.name:32} {case.truth:24} {said:24} {verdict['headline'][:110]}", flush=True)
    right = sum(truth == said for truth, said in pairs)
    low, high = wilson(len(pairs) - right, len(pairs))
    print(f"\n{machine()}, seed {asked.seed}\n\n{matrix(pairs)}\n")
    share = right / len(pairs)
    span = f"{100 * (1 - high):.0f} to {100 * (1 - low):.0f} %"
    print(f"{right} of {len(pairs)} right: {100 * share:.1f} % (95 % interval {span})")
    return int(share < BAR)


if __name__ == "__main__":
    sys.exit(main())
