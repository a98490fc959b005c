"""The host: whether somebody else took the CPU or the memory that the target is judged on."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from soak.core.records import Sample

PRESSURE = Path("/proc/pressure")
VMSTAT = Path("/proc/vmstat")


class HostProbe:
    """CPU shares since the last sample, memory, load average, and pressure stall where the kernel has it."""

    def __init__(self, source: str = "host") -> None:
        self._source = source
        self._before = psutil.cpu_times()

    def sample(self, t: float) -> Sample:
        """One sample at `t` seconds since the start of the run."""
        now, before = psutil.cpu_times(), self._before
        self._before = now
        spent = {field: getattr(now, field) - getattr(before, field) for field in now._fields}
        # guest time is already inside user time, and nice guests inside nice
        total = sum(v for field, v in spent.items() if not field.startswith("guest"))
        memory = psutil.virtual_memory()
        values = {
            "host.memory_available": float(memory.available),
            "host.memory_total": float(memory.total),
            "host.load": os.getloadavg()[0],
        }
        if total > 0:
            idle = spent.get("idle", 0.0) + spent.get("iowait", 0.0)
            values["host.cpu"] = min(1.0, max(0.0, 1 - idle / total))
            values["host.steal"] = min(1.0, max(0.0, spent.get("steal", 0.0) / total))
        if (kills := _oom_kills()) is not None:
            values["host.oom_kills"] = kills
        for resource in ("cpu", "memory", "io"):
            share = _some_avg10(resource)
            if share is not None:
                values[f"host.psi_{resource}"] = share
        return Sample(t, self._source, values)


def _oom_kills() -> float | None:
    """Processes of the whole host that were killed for want of memory so far (/proc/vmstat, since Linux 4.13)."""
    try:
        text = VMSTAT.read_text()
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("oom_kill "):
            return float(line.split()[1])
    return None


def _some_avg10(resource: str) -> float | None:
    """The share of the last 10 s in which some task waited for a resource (kernel: accounting/psi.rst)."""
    try:
        text = (PRESSURE / resource).read_text()
    except OSError:
        return None
    for part in text.split("\n", 1)[0].split():
        if part.startswith("avg10="):
            return float(part.removeprefix("avg10=")) / 100
    return None
