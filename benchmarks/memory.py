"""What a day costs in memory: the growth of worker and master after the first hour, on a simulated clock."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT
from benchmarks.rows import Row

BAR_MIB = 1.0


def simulate(role: str, hours: float) -> dict[str, Any]:
    """Run a role of benchmarks.simulated in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.simulated", role, f"{hours:g}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        raise RuntimeError(f"the simulated {role} failed: {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(_folder: Path, quick: bool) -> list[Row]:
    """Growth rows: worker and master of soak beside plain Locust's statistics."""
    hours = 4 if quick else 24
    rows = []
    plainly: dict[str, dict[str, Any]] = {}
    for ours, theirs, what in (
        ("worker", "locust", f"worker, hour 2 to {hours}"),
        ("master", "locust", f"master, hour 2 to {hours}"),
        ("names", "plain-names", "worker, 18,000 more unique names and error texts"),
    ):
        mine = simulate(ours, hours)
        if theirs not in plainly:
            plainly[theirs] = simulate(theirs, hours)
        plain = plainly[theirs]
        growth, beside = mine["last"] - mine["first"], plain["last"] - plain["first"]
        held = ", ".join(f"{k} {v}" for k, v in mine["holds"].items())
        rows.append(
            Row(
                "memory",
                f"growth of the {what} (holds {held})",
                f"{growth:.2f} MiB",
                f"Locust {beside:.1f} MiB",
                growth / beside if beside > 0 else None,
                f"<= {BAR_MIB:g} MiB",
                growth <= BAR_MIB,
            )
        )
    return rows
