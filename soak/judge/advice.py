"""The next step for each cause, in words that somebody on call can act on."""

from __future__ import annotations

from collections.abc import Mapping

ADVICE: Mapping[str, str] = {
    "memory_growth": (
        "Compare two heap snapshots some minutes apart under this load (memray for Python, --heapsnapshot-signal for "
        "Node.js, pprof for Go, a heap dump for the JVM, or your allocator's profile): what is new in the second and "
        "never freed is it. Until it is mended, restart before the time left is up."
    ),
    "object_leak": (
        "Look at the place above, and at who keeps what it makes: a list, a cache without a bound, a callback that is "
        "never removed. `soak report RUN --flamegraph` opens what Python held. Until it is mended, restart in time."
    ),
    "native_leak": (
        "Look at extension modules and what is passed to them: memory that native code takes and never frees. `memray "
        "run --native`, or heaptrack and jemalloc's profile for other programs, show who allocates it."
    ),
    "fragmentation": (
        "Small long-lived pieces between large short-lived ones pin the heap. Allocate the long-lived first or apart, "
        "keep sizes alike, or try another allocator (jemalloc by LD_PRELOAD) and soak again. Redis: `CONFIG SET "
        "activedefrag yes`."
    ),
    "pymalloc_fragmentation": (
        "Something makes very many small objects at once, and keeps a few of them. Build the kept ones first, keep "
        "them compact (arrays, __slots__), or do the big work in a process that ends."
    ),
    "retention": (
        "Nothing leaks: the peak of what was in use decides. Bound the peak (smaller batches, fewer threads), or have "
        "it given back: malloc_trim(0) after it, MALLOC_TRIM_THRESHOLD_ and MALLOC_ARENA_MAX (glibc), GOMEMLIMIT (Go), "
        "-Xmx and G1PeriodicGCInterval (JVM), MEMORY PURGE (Redis)."
    ),
    "cache_fill": "Nothing to mend. Make the warm-up longer than the fill, so that the soak begins when it is full.",
    "stack_growth": (
        "Look for recursion whose depth follows the data (nested input, linked records) and give it a bound or a "
        "loop. A crash by SIGSEGV is what comes at the limit."
    ),
    "recursion_limit": (
        "Find the recursion in the traceback of the target's log and give it a bound or a loop: its depth follows the "
        "data (nested input, linked records). A higher sys.setrecursionlimit() only puts it off, until a stack ends."
    ),
    "stack_exhaustion": (
        "Find the recursion that ran out (core dumps on: ulimit -c unlimited; gdb's backtrace shows it) and give it a "
        "bound or a loop. A larger stack (ulimit -s, the thread's stack size) only puts it off."
    ),
    "fd_leak": "List them (ls -l /proc/PID/fd): what is many times there is opened and not closed on some path.",
    "thread_leak": (
        "Dump the stacks of all threads (py-spy dump, jstack, gdb; Go: /debug/pprof/goroutine?debug=1): the many alike "
        "are never joined."
    ),
    "connection_leak": "List them (ss -tanp): connections left open to one peer mean a client that is not closed.",
    "child_leak": (
        "List them (ps --ppid PID): live ones alike are started and never ended; <defunct> ones have ended, and their "
        "parent must wait for them (waitpid, subprocess.wait, or SIGCHLD ignored)."
    ),
    "latency_drift": (
        "Profile the endpoint at the end of a soak and at its start (py-spy record, perf): what takes a larger share "
        "works on data that grows. Look for scans of lists and for queries without an index."
    ),
    "superlinear_cost": (
        "Find what is gone through for each request: a scan without an index (EXPLAIN), a list searched or sorted "
        "anew, a text built piece by piece. Look it up instead (an index, a dict, a heap), or bound the data."
    ),
    "latency_step": "Look at what happened at that moment: a deploy, a failover, a cache flush, a job that began.",
    "cpu_drift": "Profile the process early and late in the soak; what takes a larger share works on data that grows.",
    "error_drift": "Read the errors above and the target's log from the second half: something runs out or fills up.",
    "throughput_loss": "Lower the rate until all arrivals are served to find its capacity, or give it more workers.",
    "crash": "Read its last output above; for a signal, run it with core dumps on (ulimit -c unlimited).",
    "hang": (
        "Do not restart it yet: dump the stacks of all its threads (py-spy dump --pid PID, jstack, or gdb -p PID "
        "-batch -ex 'thread apply all bt') twice, some seconds apart. The same locks in both: a deadlock; one place "
        "that runs: a loop. In state D, /proc/PID/stack names what the kernel waits for. Give every wait a timeout."
    ),
    "oom_kill": "Raise the memory limit only if the growth above levels off; if it does not, find the leak first.",
    "restart": (
        "Read the target's log at these times, and what its supervisor says of the end (journalctl, kubectl describe): "
        "a signal asks for a core dump (ulimit -c unlimited), a code for a traceback, SIGKILL for a look at memory. A "
        "pool that is meant to recycle must let a worker finish what it has accepted."
    ),
    "no_recovery": (
        "Look at what still goes on when the burst is over: retries that make retries, a queue of work whose askers "
        "are gone, locks, a pool that is never given back. Bound the queue, drop what is too late, back off retries."
    ),
    "latency_regression": (
        "Profile the endpoint in both versions under this load (py-spy record, perf diff): what takes a larger share "
        "is new work, or a lock. `git bisect` with `soak run` as its test finds the change."
    ),
    "cpu_regression": (
        "Profile both versions under this load (py-spy record, perf diff), and look at what is new or takes more; the "
        "hot paths of both are in the report. `git bisect` with `soak run` as its test finds the change."
    ),
    "allocation_regression": (
        "Compare the places that allocate in the report: what is new, or allocates more, is copied or built anew for "
        "each request. `soak report RUN --flamegraph` opens a window of each side."
    ),
    "memory_regression": (
        "If it does not grow it is no leak: look at what is loaded or kept from the start (imports, caches, pools, "
        "more workers), and at who holds most in both versions."
    ),
    "throughput_regression": (
        "Look at the arrivals that failed or were never served, and at what the candidate waits for: a pool, a lock, "
        "or fewer workers than the reference has."
    ),
    "error_regression": "Read why requests failed, and the candidate's log: the reference answered the same ones.",
    "size_regression": "List both installations by size (du -a | sort -n): what is new, or only the build needs.",
    "noisy_host": "Soak on a host of its own, or beside a reference, so that what both suffer is not blamed on one.",
    "generator_saturated": "Give the load more workers (load.workers) or another machine, and soak again.",
}

HEALTHY_COST = "Nothing to mend: trees and sorted data cost this. Ten times the data cost a little more, not ten times."
"""The next step after a cost that grows no faster than the logarithm."""

RECYCLING = (
    "Nothing to mend if workers recycle by design (max_requests and its like). What that covers up, such as a leak, a "
    "soak without it would show."
)
"""The next step after a restart that is only told."""
