"""The machine as it is right now: limits, disk, who else is on it, and how late its timers are."""

from __future__ import annotations

import os
import resource
import shutil
import time
from pathlib import Path

from soak.core import units
from soak.core.checkup import Check, State, expect
from soak.probe import HostProbe

_DISK_LEAST = 100 * 1024**2
_DISK_WANTED = 1024**3
_FILES_BESIDE = 200
"""Descriptors that a generator has beside its connections."""
_FILES_WANTED = 4096
_TASKS_WANTED = 512
_CALIBRATION_S = 0.5
_PERIOD_S = 0.005
_LATE_S = 0.002
_TOO_LATE_S = 0.020
"""From so late on at p99, intervals of a run are not trusted."""


def limits(slots: int) -> list[Check]:
    """Descriptors and processes that soak may have; `slots` is the connections of a scenario, 0 without one."""
    files, tasks = _soft(resource.RLIMIT_NOFILE), _soft(resource.RLIMIT_NPROC)
    needed = slots + _FILES_BESIDE if slots else _FILES_WANTED
    return [
        expect(
            "open files", _most(files), files >= needed,
            f"the generator, and a target that it starts, need up to {needed:,}: connections would fail",
            f"ulimit -n {max(needed, 65536)}, or LimitNOFILE= of the service", "problem" if slots else "warning",
        ),
        expect(
            "processes", _most(tasks), tasks >= _TASKS_WANTED,
            "threads or workers may fail to start, and look like a fault of the target", "ulimit -u 4096",
        ),
    ]  # fmt: skip


def disk(runs: Path) -> list[Check]:
    """Room for run files."""
    there = next(p for p in (runs.resolve(), *runs.resolve().parents) if p.exists())
    free = shutil.disk_usage(there).free
    state: State = "ok" if free >= _DISK_WANTED else "warning" if free >= _DISK_LEAST else "problem"
    text = f"{units.size(free)} free for {runs}/"
    if state == "ok":
        return [Check("disk", "ok", text)]
    return [Check("disk", state, text, "a run file that cannot grow ends its run", "make room, or set SOAK_RUNS")]


def now() -> list[Check]:
    """Half a second of timers, and what others took of the machine meanwhile."""
    host, spent = HostProbe(), time.process_time()
    late = lateness()
    seen, own = host.sample(0.0).values, (time.process_time() - spent) / _CALIBRATION_S
    cores = len(os.sched_getaffinity(0))
    steal, busy = seen.get("host.steal", 0.0), seen.get("host.cpu", 0.0) * (os.cpu_count() or 1) - own
    p99 = sorted(late)[int(0.99 * (len(late) - 1))]
    state: State = "ok" if p99 < _LATE_S else "warning" if p99 < _TOO_LATE_S else "problem"
    load = f"load {seen['host.load']:.2f}, {max(0.0, busy):.1f} cores busy, {units.percent(steal)} stolen"
    timers = f"late by {units.duration(p99)} at p99"
    return [
        expect(
            "cores", str(cores), cores >= 2, "generator and target take turns: latencies are those of both",
            "give soak two cores, or load from another machine (soak run --listen)",
        ),
        expect(
            "neighbours", load,
            steal < 0.02 and busy < cores / 2, "others take CPU that the target is judged on: a noisy run",
            "stop what runs beside it, or soak on a machine of its own",
        ),
        Check("timers", "ok", timers) if state == "ok" else Check(
            "timers", state, timers, "arrivals are sent late; from 20 ms on they are not judged",
            "stop what runs beside it; a host of its own, or more cores",
        ),
    ]  # fmt: skip


def lateness() -> list[float]:
    """How late a timer of five milliseconds woke (s), again and again for half a second."""
    found, end = [], time.monotonic() + _CALIBRATION_S
    while (begun := time.monotonic()) < end:
        time.sleep(_PERIOD_S)
        found.append(time.monotonic() - begun - _PERIOD_S)
    return found


def _soft(which: int) -> float:
    soft = resource.getrlimit(which)[0]
    return float("inf") if soft == resource.RLIM_INFINITY else float(soft)


def _most(limit: float) -> str:
    return "not limited" if limit == float("inf") else f"{limit:,.0f} at most"
