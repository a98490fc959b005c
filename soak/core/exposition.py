"""How a value that was seen is called in Prometheus: base units, `_total` on what only rises.

One rule for all who expose it (https://prometheus.io/docs/practices/naming/): what an observer shows of a process and
what a run shows of its target have the same names.
"""

from __future__ import annotations

import re

from soak.core.metrics import METRICS

RISING = frozenset(
    {
        "process.cpu_seconds",
        "process.minor_faults",
        "process.major_faults",
        "process.restarts",
        "probe.cpu_seconds",
        "agent.cpu_seconds",
        "agent.recursion_errors",
        "gc.collections",
        "gc.full_collections",
        "gc.uncollectable",
        "host.oom_kills",
    }
)
"""What is cumulative: counters."""
_SUFFIX = {"bytes": "bytes", "ratio": "ratio", "time": "seconds"}
_UNIT = (
    (re.compile(r"memory\.|cgroup\.memory|stack\.(limit|thread_limit)|host\.memory|python\.live"), "bytes"),
    (re.compile(r"host\.psi_"), "ratio"),
)
"""Of values that are no metric of a criterion."""
_MEANING = {
    "process.cpu_seconds": "CPU time of the process tree",
    "process.minor_faults": "minor page faults of the process tree",
    "process.major_faults": "major page faults of the process tree: reads from disk",
    "memory.limit": "the memory that the control group of the target may have",
    "stack.limit": "the size that the main thread's stack may reach",
    "stack.thread_limit": "the size of the stack of the thread nearest to its end",
    "stack.depth_limit": "the frames at which Python raises RecursionError",
    "process.threads_limit": "the threads that the target may have",
    "process.fds_limit": "the descriptors that the process nearest to its limit may open",
    "host.memory_total": "memory of the host",
}
"""Of values that are no metric of a criterion, and of counters whose rate is one."""


def exposed(name: str) -> str:
    """What a metric, or a value beside them, is called; a counter without its `_total`."""
    known = METRICS.get(name)
    base = "soak_" + re.sub(r"[^a-z0-9]+", "_", name.lower())
    if name in RISING:
        return base
    unit = _SUFFIX.get(known.dimension) if known is not None else None
    if unit is None:
        unit = next((u for pattern, u in _UNIT if pattern.match(name)), None)
    return f"{base}_{unit}" if unit and f"_{unit}_" not in base else base


def meaning(name: str) -> str:
    """What it is, in one line."""
    if name in _MEANING:
        return _MEANING[name]
    return METRICS[name].meaning if name in METRICS else f"{name}, as it was seen"
