"""Soak a slow leak for an hour and a half, unattended, and print what was told: `make long` (docs/long.md).

aiohttp 3.10.10 leaves an entry in a cache for each request with a method that is not allowed, where there is a
middleware (CVE-2024-52303). One request in 360 is such a one here, as a crawler's might be, and the service holds its
catalogue in memory: what leaks is about one percent of its memory an hour. Beside it runs 3.10.11, which mended that.

The exit code is 1 when the leak is missed, the mended release is blamed, or soak's own memory does not stay flat.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.chaos.injections import memory_group
from benchmarks.course import course
from benchmarks.field.cases import CASES
from benchmarks.field.releases import installed
from benchmarks.outcome import add_options, leave
from benchmarks.processes import MissingError, environment, free_port
from benchmarks.rows import Row

SHOP = Path(__file__).with_name("shop.py")
LIMIT = 512 * 2**20
"""Bytes of memory that the candidate may have, where a control group can be made."""
OWN_GROWTH_BAR = 0.02
"""Of soak's own memory, by how much its trend may rise in an hour."""
_LOOK_S = 15.0
_SETTLED = 0.15
"""The share of the run that is left out of soak's own memory: its processes come up, warm up and fill their buffers."""
_LEAKS = ("object_leak", "native_leak", "memory_growth")
_SCENARIO = """
name: slow_leak
target: {{url: "http://127.0.0.1:{one}", process: {{command: "{faulty} {shop} {one} {group}"}}}}
reference: {{url: "http://127.0.0.1:{two}", process: {{command: "{mended} {shop} {two}"}}}}
load:
  rate: 20/s
  arrivals: poisson
  connections: 20
  requests:
    - {{name: item, weight: 300, get: "/items/{{random:1-180000}}"}}
    - {{name: search, weight: 59, get: "/search?from={{random:1-179900}}"}}
    - {{name: wrong, weight: 1, put: /items/7, expect: [405]}}
phases: {{idle_before: 1m, warmup: 5m, soak: {soak}, idle_after: 1m}}
criteria:
  - {{metric: errors.ratio, below: 0.1%}}
  - {{metric: latency.p99, below: 250ms}}
  - {{metric: memory.anon, growth_below: 0.5%}}
"""


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soak", default="90m", help="length of the soak, default: %(default)s")
    parser.add_argument("--environments", type=Path, default=Path.home() / ".cache" / "soak-field")
    parser.add_argument("--keep", type=Path, help="keep the scenario and the run file here")
    add_options(parser)
    given = parser.parse_args()
    case = next(case for case in CASES if case.name == "aiohttp")
    faulty, mended = (installed(case, version, given.environments) for version in (case.faulty, case.mended))
    with tempfile.TemporaryDirectory(prefix="soak-long-") as scratch, _group() as group:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        text = _SCENARIO.format(
            one=free_port(), two=free_port(), faulty=faulty, mended=mended, shop=SHOP, group=group, soak=given.soak
        )
        (folder / "slow_leak.yaml").write_text(text, encoding="utf-8")
        verdict, own = _soaked(folder)
    return leave([*told(verdict), *kept(own)], given, "long", "long.md", verdict["headline"])


@contextlib.contextmanager
def _group() -> Iterator[str]:
    """The file that a process joins the candidate's control group by; empty where there can be none."""
    try:
        with memory_group(LIMIT) as group:
            yield str(group / "cgroup.procs")
    except MissingError:
        yield ""


Own = list[tuple[float, dict[str, float]]]
"""soak's own memory over time: (s, MiB of its processes by the module that each runs)"""


def _soaked(folder: Path) -> tuple[dict[str, Any], Own]:
    """The verdict, and soak's own memory."""
    line = [sys.executable, "-m", "soak.cli", "run", str(folder / "slow_leak.yaml"), "--json"]
    own: Own = []
    begun = time.monotonic()
    with (
        (folder / "stdout").open("w+") as out,
        (folder / "stderr").open("w+") as err,
        subprocess.Popen(line, stdout=out, stderr=err, stdin=subprocess.DEVNULL, env=environment(folder)) as run,
    ):
        while run.poll() is None:
            if (held := _own(run.pid)) is not None:
                own.append((time.monotonic() - begun, held))
            time.sleep(_LOOK_S)
        (folder / "own.json").write_text(json.dumps(own), encoding="utf-8")
        out.seek(0)
        err.seek(0)
        text = out.read()
        if not text.startswith("{"):
            raise SystemExit(f"no verdict, exit code {run.returncode}\n{err.read()[-2000:]}")
    verdict: dict[str, Any] = json.loads(text)
    return verdict, own


def _own(pid: int) -> dict[str, float] | None:
    """Resident MiB of `soak run` and all that it started but the shops; None when a process went meanwhile."""
    held: dict[str, float] = {}
    try:
        run = psutil.Process(pid)
        for process in [run, *run.children(recursive=True)]:
            line = process.cmdline()
            if str(SHOP) not in line:
                module = next((word for word in line if word.startswith("soak.")), "")
                held[module] = held.get(module, 0.0) + process.memory_info().rss / 2**20
    except psutil.Error:
        return None
    return held


def told(verdict: dict[str, Any]) -> list[Row]:
    """What the verdict says of the leak, of the mended release, and of itself."""
    rows = []
    leaks = [f for f in verdict["findings"] if f["severity"] == "fail" and f["cause"] in _LEAKS]
    leak = leaks[0] if leaks else None
    rows.append(
        Row("candidate", "the leak: its cause", leak["cause"] if leak else "nothing", "", None, "told", bool(leak))
    )
    if leak and leak["rate"] is not None:
        rate, low, high = (leak[key] / 2**20 for key in ("rate", "low", "high"))
        rows.append(Row("candidate", "memory an hour", f"{rate:.2f} MiB", f"{low:.2f} to {high:.2f} MiB"))
    if leak and leak["eta_s"] is not None:
        eta, low, high = (leak[key] and leak[key] / 3600 for key in ("eta_s", "eta_low_s", "eta_high_s"))
        between = f"{low:.0f} h to " + ("never" if high is None else f"{high:.0f} h")
        rows.append(Row("candidate", f"time left to {leak['eta_limit']}", f"{eta:.0f} h", between))
    other = [f["cause"] for f in (verdict["reference"] or {}).get("findings", []) if f["severity"] == "fail"]
    rows.append(Row("reference", "what fails it", ", ".join(other) or "nothing", "", None, "nothing", not other))
    account = verdict["validity"]
    rows.append(Row("run", "arrivals scheduled", f"{account['scheduled']:,}", f"done {account['done']:,}", None,
                    "balanced", bool(account["balanced"])))  # fmt: skip
    spoiled, intervals = account["invalid_intervals"], account["intervals"]
    return [*rows, Row("run", "intervals that the generator spoiled", f"{spoiled:,}", f"of {intervals:,}")]


def kept(own: Own) -> list[Row]:
    """soak's own memory, all of it and by module: begin and end after it has settled, and its trend."""
    middle = own[len(own) // 2][1]  # what comes in at the end, the judge and the report, is left out
    modules = sorted(middle)
    return [_flat(own, modules, OWN_GROWTH_BAR), *(_flat(own, [module], None) for module in modules)]


def _flat(own: Own, modules: Sequence[str], bar: float | None) -> Row:
    """The course of what processes of `modules` held; `bar` is what it may grow by an hour, None for a mere figure."""
    t = np.array([at for at, _ in own])
    mib = np.array([sum(held.get(module, 0.0) for module in modules) for _, held in own])
    settled = (t >= t[-1] * _SETTLED) & (t <= t[-1] * (1 - _SETTLED / 3))  # at the end the judge and the report come in
    held = course(t[settled], mib[settled])
    what = "own memory" if bar is not None else f"of that, {modules[0]}"
    row = Row(
        "soak", f"{what}{held.slope}", f"{held.end:.1f} MiB", f"begin {held.begin:.1f} MiB", held.end / held.begin
    )
    if bar is None:
        return row
    hourly = held.fitted.slope * 3600 / held.begin if held.fitted is not None else held.end / held.begin - 1
    return replace(row, bar=f"<= {bar:.0%} an hour", met=hourly <= bar)


if __name__ == "__main__":
    sys.exit(main())
