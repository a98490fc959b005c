"""The catalogue of metrics: every name a criterion, a chart or a finding may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from soak.core.units import Dimension

Shape = Literal["level", "floor", "peak", "counter"]
"""How a block of samples is summed up: by its median, its floor (5 % quantile), its maximum, or its rate."""

QUANTILES: Mapping[str, float] = {
    "p50": 50.0,
    "p90": 90.0,
    "p99": 99.0,
    "p999": 99.9,
    "p9999": 99.99,
    "max": 100.0,
}

WANTED: Mapping[str, int] = {"p50": 50, "p90": 200, "p99": 1_500, "p999": 10_000, "p9999": 100_000, "max": 1}
"""Requests that hold a percentile steady to about 10 % (order statistics of a log-normal, sigma 0.5)."""

TREND_WINDOWS = 12
"""A trend through fewer windows than this shows only what is gross."""

MEMORY_SHARE, MEMORY_LEAST = 0.03, 2.0**20
"""Growth of memory over a soak that matters where no criterion asks: of what is there, and in bytes at least."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its unit, how blocks of it are summed up, and what it means in one line."""

    name: str
    dimension: Dimension
    shape: Shape
    meaning: str
    per_endpoint: bool = False

    @property
    def room(self) -> str:
        """The part before the dot: latency, memory, ..."""
        return self.name.partition(".")[0]


def _percentiles(room: str, origin: str) -> list[Metric]:
    return [
        Metric(f"{room}.{q}", "time", "level", f"{q} of the time from {origin} to the end", per_endpoint=True)
        for q in QUANTILES
    ]


_ALL = [
    *_percentiles("latency", "the intended start of a request"),
    *_percentiles("service", "the actual send of a request"),
    Metric("errors.ratio", "ratio", "level", "failed and unserved arrivals by all arrivals", per_endpoint=True),
    Metric("throughput.rate", "rate", "level", "requests done a second"),
    Metric("memory.rss", "bytes", "floor", "resident memory of the process tree"),
    Metric("memory.anon", "bytes", "floor", "resident anonymous memory: heap, stacks, private pages"),
    Metric("memory.pss", "bytes", "floor", "proportional set size: shared pages counted once"),
    Metric("memory.idle", "bytes", "level", "resident anonymous memory at rest, before the load"),
    Metric("memory.peak", "bytes", "peak", "highest resident memory so far (VmHWM)"),
    Metric("memory.live", "bytes", "floor", "bytes the program holds in its allocators"),
    Metric("memory.free_in_heap", "bytes", "floor", "bytes free but kept by the allocator"),
    Metric("memory.fragmentation", "ratio", "floor", "share of the heap that is free but kept"),
    Metric("memory.retained", "bytes", "floor", "bytes of whole pages that are free but kept by the allocator"),
    Metric("memory.pymalloc_slack", "bytes", "floor", "free bytes inside Python's arenas"),
    Metric("allocations.per_request", "count", "level", "allocations by a request"),
    Metric("allocations.bytes_per_request", "bytes", "level", "bytes allocated by a request"),
    Metric("stack.high_water", "bytes", "peak", "deepest main-thread stack so far (VmStk)"),
    Metric("stack.thread_high_water", "bytes", "peak", "deepest stack so far of the thread nearest to its stack's end"),
    Metric("stack.headroom", "ratio", "floor", "share of its stack that the fullest thread never touched"),
    Metric("stack.recursion_errors", "count", "peak", "RecursionErrors that the target's output has told of so far"),
    Metric("stack.depth", "count", "peak", "deepest Python frame seen"),
    Metric("process.cpu", "ratio", "level", "cores used by the process tree"),
    Metric("process.threads", "count", "floor", "threads of the process tree"),
    Metric("process.fds", "count", "floor", "open file descriptors of the process tree"),
    Metric("process.connections", "count", "floor", "TCP connections of the process tree"),
    Metric("process.processes", "count", "floor", "processes of the tree"),
    Metric("process.zombies", "count", "floor", "processes of the tree that ended and that nobody waited for"),
    Metric("process.restarts", "count", "peak", "times that a process of the tree was replaced"),
    Metric("process.minor_faults", "rate", "counter", "minor page faults a second"),
    Metric("process.major_faults", "rate", "counter", "major page faults a second: reads from disk"),
    Metric("redis.keys", "count", "floor", "keys that a Redis holds"),
    Metric("redis.dataset", "bytes", "floor", "bytes that a Redis holds for its keys and values"),
    Metric("redis.evicted", "count", "peak", "keys that a Redis has evicted so far"),
    Metric("go.goroutines", "count", "floor", "goroutines of a Go program"),
    Metric("jvm.nonheap", "bytes", "floor", "bytes that a JVM uses beside its heap: classes, compiled code"),
    Metric("cpu.per_request", "time", "level", "CPU time of the process tree by a request done"),
    Metric("artefact.size", "bytes", "level", "bytes on disk of what is installed: target.artefact"),
    Metric("host.cpu", "ratio", "level", "share of all cores that is busy"),
    Metric("host.steal", "ratio", "level", "share of CPU time taken by the hypervisor"),
    Metric("host.psi_cpu", "ratio", "level", "share of the time in which some task waited for a core (PSI)"),
    Metric("host.psi_memory", "ratio", "level", "share of the time in which some task waited for memory (PSI)"),
    Metric("host.psi_io", "ratio", "level", "share of the time in which some task waited for a disk (PSI)"),
    Metric("host.memory_available", "bytes", "level", "memory the host could still give"),
    Metric("host.load", "count", "level", "load average of one minute"),
    Metric("generator.loop_lag_max", "time", "peak", "longest time the generator's event loop was late"),
    Metric("generator.wake_p99", "time", "level", "p99 of how late the generator sent: the instrument's floor"),
    Metric("generator.cpu", "ratio", "level", "cores used by a generator worker"),
    Metric("generator.rss", "bytes", "floor", "resident memory of a generator worker"),
]

METRICS: Mapping[str, Metric] = {m.name: m for m in _ALL}

ONCE = ("memory.idle", "artefact.size")
"""Measured once a run: they have no course over time."""

COMPARED = ("latency", "service", "errors", "throughput", "memory", "cpu", "allocations", "artefact")
"""Rooms whose metrics can be told as a ratio to a reference's."""
