"""What each cause means, how the judge tells it and what helps meanwhile: the words of the page of causes and of the
runbook, beside the advice that findings give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meaning:
    """What is wrong, by what it is told, when it fails a run, and what helps until it is mended."""

    means: str
    told: str
    fails: str
    meanwhile: str


_YES = "yes."
_INFO = "no; it is information."
_GROWS = "yes, when it is beyond noise and goes on to the end of the soak."
_RATIO = "yes: a criterion on the ratio (`ratio_below`, `ratio_above`) was missed."

_MEMORY = {
    "object_leak": Meaning(
        "Python objects pile up: something keeps what each request makes.",
        "the floor of resident memory grows, live bytes in the allocators grow with it, and Python's objects hold what "
        "became live between two close looks. The line is named when it keeps a fair part of it in every window.",
        _GROWS,
        "restart before the time left is up, one instance after the other.",
    ),
    "native_leak": Meaning(
        "memory that no Python object holds piles up: of an extension, a library, or mapped past all allocators.",
        "live bytes grow and Python's objects do not hold them; or resident memory grows although neither live nor "
        "free bytes of any allocator do.",
        _GROWS,
        "restart before the time left is up.",
    ),
    "fragmentation": Meaning(
        "the heap grows although the program does not hold more: free memory lies in pieces too small to be used.",
        "resident memory grows, live bytes do not, and what is free in the heap grows in many holes.",
        _GROWS,
        "restart; `MALLOC_ARENA_MAX=2`, or another allocator by `LD_PRELOAD`.",
    ),
    "pymalloc_fragmentation": Meaning(
        "Python's arenas cannot be given back: a few small objects that stay pin each of them.",
        "resident memory grows with the free bytes inside arenas, live bytes do not.",
        _GROWS,
        "recycle workers (`max_requests`).",
    ),
    "retention": Meaning(
        "the allocator keeps what was needed once, free; nothing leaks, and it does not grow by itself.",
        "resident memory grows with what is free in few pieces, or in whole pages.",
        _GROWS,
        "nothing is urgent; smaller batches.",
    ),
    "memory_growth": Meaning(
        "memory grows, and nobody could say why: there was no agent and no door; or it is a database's own data.",
        "the floor of resident memory, from outside. Low confidence in the cause, not in the growth.",
        _GROWS,
        "restart before the time left is up; halve the load to double it.",
    ),
    "cache_fill": Meaning(
        "memory rose and levelled off, as a cache that fills does; or it still fills a container that has a bound.",
        "a rise that is large enough to matter, most of it before the middle of the soak; or all that grows is a deque "
        "with a `maxlen` or an `lru_cache` with a `maxsize` (a warning, until it is full).",
        _INFO,
        "none needed.",
    ),
}
_STACK = {
    "stack_growth": Meaning(
        "a stack gets deeper with load or data, of a thread, or of Python's frames; at its limit comes a crash.",
        "high-water marks of stacks against their size; the deepest frame seen against the recursion limit.",
        "yes, when it goes on in the last part of the soak.",
        "a larger stack (`ulimit -s`) puts it off.",
    ),
    "recursion_limit": Meaning(
        "requests fail with RecursionError.",
        "the agent, or tracebacks in the target's output, together with requests that fail.",
        _YES,
        "refuse such input at the edge.",
    ),
    "stack_exhaustion": Meaning(
        "the target died of a stack that ran out.",
        "an end by SIGSEGV or SIGBUS while a stack was nearly full when it was last looked at.",
        "yes, whatever else is wrong.",
        "restart; refuse such input at the edge.",
    ),
}
_HELD = {
    "fd_leak": Meaning(
        "files are opened and not closed; at the limit nothing can be opened any more, no connection either.",
        "the floor of open descriptors grows by 10 or more, to the end.",
        _GROWS,
        "restart; `ulimit -n` puts it off.",
    ),
    "thread_leak": Meaning(
        "threads, or goroutines, are started and never end.",
        "the floor of their number grows, to the end.",
        _GROWS,
        "restart.",
    ),
    "connection_leak": Meaning(
        "connections are opened and not closed; the peer runs out first, often a database.",
        "the floor of their number grows and they are still open, idle, after the load (with `phases.idle_before` and "
        "`phases.idle_after`).",
        _GROWS,
        "restart; a lower limit of the pool spares the peer.",
    ),
    "child_leak": Meaning(
        "child processes are started and never end, or have ended and nobody waited for them.",
        "the number of processes, or of zombies, grows to the end.",
        _GROWS,
        "restart the parent.",
    ),
}
_TIME = {
    "latency_drift": Meaning(
        "requests to an endpoint become slower while the load stays the same.",
        "the trend of a percentile over windows of merged histograms, beyond autocorrelated noise and large enough to "
        "matter (10 % of the median, 15 % of p99, 20 % of p99.9).",
        "yes; a warning when the host or the generator may be to blame, or a warm-up that was too short.",
        "restart if the data is in memory; else trim the data.",
    ),
    "latency_step": Meaning(
        "requests became slower at one moment and stayed so.",
        "one step explains the course better than any slope.",
        "as `latency_drift`.",
        "roll back what happened at that moment.",
    ),
    "superlinear_cost": Meaning(
        "each request costs more the more data there is: a scan, a sort, a text that is built anew.",
        "a drift of latency or CPU that the number of requests done (or `target.size`) explains; the exponent tells "
        "how it grows. See [Cost that grows with the data](../superlinear.md).",
        "yes; growth as the logarithm is information.",
        "bound the data.",
    ),
    "cpu_drift": Meaning(
        "each request takes more CPU than before.",
        "the trend of CPU time by requests done, beyond noise and by 25 % or more.",
        "yes; a warning when neighbours took the CPU's caches meanwhile.",
        "more cores put it off.",
    ),
    "error_drift": Meaning(
        "requests fail more often than before.",
        "the second half of the soak against the first: more than twice as many, more than chance, and not one outage "
        "that is over.",
        _YES,
        "look at limits first: descriptors, connections, disk.",
    ),
    "throughput_loss": Meaning(
        "the target cannot keep up: arrivals were never served.",
        "1 % of arrivals or more waited longer than the timeout for a connection, while the generator was on time.",
        _YES,
        "shed load.",
    ),
}
_EVENTS = {
    "crash": Meaning(
        "the target ended and nobody asked it to.",
        "its exit code or signal, with its last output.",
        "yes, always.",
        "its supervisor restarts it; keep the core dump.",
    ),
    "oom_kill": Meaning(
        "the kernel killed it for want of memory.",
        "the counts of its control groups, or the host's own; with what was used and the limit.",
        "yes, always.",
        "restart; see whether memory grew before.",
    ),
    "hang": Meaning(
        "it lives, had answered, and answers nothing any more.",
        "a stretch of 5 s and two timeouts or longer without one answer as expected, most of it timeouts; its CPU "
        "tells a deadlock from an endless loop. See [Survival](../survival.md).",
        "yes, always.",
        "take the stacks first, then restart.",
    ),
    "restart": Meaning(
        "processes ended under load and were replaced.",
        "a process of the same name within 30 s. How it ended, and what failed around it, tell a crash loop from "
        "workers that recycle by design.",
        "a crash loop, or a whole service that starts anew; else a warning or information.",
        "give workers the time to finish.",
    ),
    "no_recovery": Meaning(
        "the burst is over, the usual load is back, and the target is not what it was.",
        "the last third of the recovery against the end of the soak: failures, latency, work done (`phases.burst`).",
        _YES,
        "shed load until the queue is empty, or restart.",
    ),
}
_REFERENCE = {
    "latency_regression": Meaning(
        "it is slower than the reference.", "the ratio, window by window.", _RATIO, "do not release it."
    ),
    "cpu_regression": Meaning(
        "a request takes more CPU than the reference's.",
        "the ratio, window by window.",
        _RATIO,
        "do not release it, or plan for the cost that is stated.",
    ),
    "allocation_regression": Meaning(
        "a request allocates more than the reference's.",
        "close looks into both sides.",
        _RATIO,
        "not urgent by itself.",
    ),
    "memory_regression": Meaning(
        "it holds more memory than the reference.",
        "the ratio, window by window.",
        _RATIO,
        "do not release it, or give it more memory.",
    ),
    "throughput_regression": Meaning(
        "it serves less than the reference.", "the ratio, window by window.", _RATIO, "do not release it."
    ),
    "error_regression": Meaning(
        "it fails more often than the reference.", "the ratio of failures.", _RATIO, "do not release it."
    ),
    "size_regression": Meaning(
        "what is installed is larger.", "`target.artefact` of both sides.", _RATIO, "not urgent."
    ),
}
_MEASUREMENT = {
    "noisy_host": Meaning(
        "others on the host took CPU, memory or the disk from the target: what is said of latency is less sure.",
        "the last third of the soak against the first: CPU of neighbours, stolen time, pressure (PSI) that neither the "
        "target nor the generator brought about. Or all along: more than half of the host's cores taken by others, or "
        "stolen time.",
        "no; it explains, and turns what it may be to blame for into a warning.",
        "soak on a host of its own.",
    ),
    "generator_saturated": Meaning(
        "the load generator was at its own limit: what it measured is partly its own.",
        "its event loop was late while no slot was free.",
        "no; what it spoiled is left out, and too much of that makes the run invalid.",
        "more workers.",
    ),
}

ROOMS: Mapping[str, Mapping[str, Meaning]] = {
    "Memory": _MEMORY,
    "Stack": _STACK,
    "Held and never given back": _HELD,
    "Time and work": _TIME,
    "Ends and hangs": _EVENTS,
    "Against a reference": _REFERENCE,
    "The measurement itself": _MEASUREMENT,
}
"""Every cause, by what it shows in."""
