"""The catalogue of specimens: each name with its truth, and the causes that a judge should find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from soak.specimens import memory, sickness, stories
from soak.specimens.sickness import Healthy


@dataclass(frozen=True, slots=True)
class Specimen:
    """One server to soak.

    `truth` is what is wrong with it, in one line. `causes` are what a soak from outside should fail it for, at
    least one of them; none when it should not fail: it is healthy, or only looks scary. `make` takes its
    options, all with defaults. A story has a trusted reference too, to be soaked beside it: `make` takes `reference`.
    """

    name: str
    truth: str
    causes: tuple[str, ...]
    make: Callable[..., Healthy]
    well: str = ""
    """Of a story: how its reference does the same task."""


_ALL = [
    Specimen("healthy", "nothing is wrong", (), sickness.Healthy),
    Specimen("leak", "keeps a record of every request for ever", ("object_leak",), sickness.Leak),
    Specimen("cache_fill", "fills a bounded cache, then levels off", (), sickness.CacheFill),
    Specimen("gc_sawtooth", "leaves cycles that the garbage collector frees in waves", (), sickness.GcSawtooth),
    Specimen("fragmentation", "fills the heap with holes too small to use", ("fragmentation",), sickness.Fragmentation),
    Specimen("native_leak", "allocates past Python and never frees", ("native_leak",), memory.NativeLeak),
    Specimen("cycles", "leaves cycles, and has switched off who frees them", ("object_leak",), memory.Cycles),
    Specimen("ledger", "writes on and on into one buffer", ("object_leak",), memory.Ledger),
    Specimen("arenas", "leaves Python's arenas nearly empty", ("pymalloc_fragmentation",), memory.Arenas),
    Specimen("retention", "needs more at once each time; malloc keeps it", ("retention",), memory.Retention),
    Specimen("deep_calls", "recurses deeper and deeper, until Python refuses", ("recursion_limit",), memory.DeepCalls),
    Specimen("recursion", "recurses through C, deeper and deeper", ("stack_growth",), sickness.Recursion),
    Specimen("quadratic", "does more work the more it has sold", ("superlinear_cost",), sickness.Quadratic),
    Specimen("stall", "freezes for 1 s in every 10 s", (), sickness.Stall),
    Specimen("crash", "serves well, then dies by SIGSEGV", ("crash",), sickness.Crash),
    Specimen("no_recovery", "retries itself to death after a burst", ("no_recovery",), sickness.NoRecovery),
    Specimen("hang", "serves well, then waits for a lock that it holds", ("hang",), sickness.Hang),
    Specimen("restart", "dies again and again under a supervisor", ("restart",), sickness.Restart),
    Specimen("fd_leak", "opens files and never closes them", ("fd_leak",), sickness.FdLeak),
    Specimen("thread_leak", "starts threads that never end", ("thread_leak",), sickness.ThreadLeak),
    Specimen("connection_leak", "connects and never hangs up", ("connection_leak",), sickness.ConnectionLeak),
    Specimen("child_leak", "starts helpers and never ends them", ("child_leak",), sickness.ChildLeak),
    Specimen("zombies", "starts helpers and never waits for their end", ("child_leak",), sickness.Zombies),
    Specimen(
        "lookup", "looks up by number without an index", ("superlinear_cost",), stories.Lookup, "by its primary key"
    ),
    Specimen(
        "resort",
        "sorts anew what is nearly sorted",
        ("superlinear_cost",),
        stories.Resort,
        "puts each event where it belongs",
    ),
    Specimen(
        "nesting",
        "recurses as deep as its data is nested",
        ("recursion_limit",),
        stories.Nesting,
        "goes down in a loop",
    ),
    Specimen(
        "pinned",
        "leaves small pieces where large ones were",
        ("fragmentation",),
        stories.Pinned,
        "copies what it keeps",
    ),
    Specimen("join", "joins by comparing all with all", ("cpu_regression",), stories.Join, "by a hash of one side"),
    Specimen("format", "builds a page line by line", ("cpu_regression",), stories.Format, "joins the lines once"),
    Specimen(
        "commit",
        "commits each row by itself",
        ("cpu_regression", "latency_regression"),
        stories.Commit,
        "commits all rows of a request together",
    ),
    Specimen(
        "buffer",
        "builds anew what it could reuse",
        ("allocation_regression",),
        stories.Buffer,
        "writes into one buffer that it keeps",
    ),
    Specimen(
        "preload",
        "loads at the start what it hardly needs",
        ("memory_regression",),
        stories.Preload,
        "works it out when it is asked",
    ),
]

SPECIMENS: Mapping[str, Specimen] = {s.name: s for s in _ALL}
