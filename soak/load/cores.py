"""How long this process was ready to run and had no core: what others had is not its own lateness."""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")
_STEAL = 8
_TICKS = os.sysconf("SC_CLK_TCK")


def waited() -> float:
    """Seconds so far that the main thread was ready and had no core, or had one that the hypervisor had taken.

    Second field of /proc/PID/schedstat (Linux, Documentation/scheduler/sched-stats.rst) for what other programs had.
    What a hypervisor took (`steal`, proc_stat(5)) is in no figure of a process: it is that of the machine, for each of
    its cores. 0 where the kernel does not tell.
    """
    try:
        queued = int((PROC / "self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        queued = 0.0
    return queued + _stolen()


def _stolen() -> float:
    """Seconds that a hypervisor took of each core so far, on average."""
    try:
        lines = (PROC / "stat").read_text().splitlines()
    except OSError:
        return 0.0
    cores = sum(line.startswith("cpu") for line in lines) - 1  # the first is of all
    taken = lines[0].split()[_STEAL:]
    return int(taken[0]) / _TICKS / cores if taken and cores > 0 else 0.0
