"""Why memory grows, when an agent or a door tells what is live: leak, fragmentation, arenas, retention.

    resident memory grows, and what is live
      grows with it ── held by objects ─────── object_leak
                   └── held by others ──────── native_leak
                   └── a database's keys ───── memory_growth: its data
      does not ─────── free in many holes ──── fragmentation
                   └── free in few pieces ──── retention
                   └── free in whole pages ─── retention
                   └── free in arenas ──────── pymalloc_fragmentation
                   └── neither ─────────────── native_leak: mapped past all allocators

Live and free bytes are compared over the same stretch by the slopes of their floors, so that a garbage collector's
sawtooth is not taken for growth.
"""

from __future__ import annotations

from dataclasses import dataclass

from soak.core import units
from soak.core.verdict import Confidence
from soak.judge import inside
from soak.judge.advice import ADVICE
from soak.judge.side import Side
from soak.judge.stats.trend import Trend

_MOST = 0.5
"""Of the growth of resident memory: what explains so much of it is its cause."""
_LARGE_HOLE = 256 * 1024
"""Bytes: free pieces of this size hold anything that a service asks for."""
_PER_OBJECT = 256 * 1024
"""Bytes: if a new object stands for more than this, objects are not what grows."""
_FEW_COLLECTIONS = 3
_BOUND_THE_DATA = (
    "Look at what writes keys and never removes them (redis-cli --bigkeys, OBJECT IDLETIME). Give them an expiry, or "
    "Redis a maxmemory with a policy; or reckon with the growth above when you size it."
)

_HAVE_IT_NAMED = (
    "The line is not known (yet): where soak starts the program itself (target.process), its second close look, late "
    "in the soak, names it. Look at who keeps what stays: a list, a cache without a bound, a callback that is never "
    "removed. Until it is mended, restart in time."
)

_KEPT_WHOLE = (
    "No one line makes what stays: something keeps hold of all that belongs to a request, such as a cache keyed by it, "
    "an exception with its traceback, a closure. Look at the containers that grew, and at what the places above have "
    "in common; `soak report RUN --flamegraph` shows the paths to them. Until it is mended, restart in time."
)


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause with the words of its title, the evidence, how sure it is, the place in the code if known, and advice
    where that of the cause does not fit."""

    name: str
    words: str
    evidence: tuple[str, ...]
    confidence: Confidence
    location: str | None = None
    advice: str | None = None


def garbage_is_live(side: Side) -> bool:
    """Whether what is called live has garbage in it that waits for hours: a JVM collects when its heap is full."""
    return side.soak_series("jvm.nonheap") is not None


def cause_of_growth(side: Side, fitted: Trend) -> Cause:
    """The cause of a steady growth of resident memory, as closely as what was measured can tell."""
    live = _part(side, fitted, "memory.live")
    if live is None:
        return _unknown(side)
    free, slack = _part(side, fitted, "memory.free_in_heap"), _part(side, fitted, "memory.pymalloc_slack")
    pages = _part(side, fitted, "memory.retained")
    told = f"of that growth, {_percent(live)} is live, {_percent(free or 0.0)} is free but kept by malloc" + (
        f", {_percent(slack)} is free in Python's arenas" if slack is not None else ""
    )
    if pages is not None:
        told = (
            f"of that growth, {_percent(live)} is live, {_percent(free or 0.0)} is free between what is live, "
            f"{_percent(pages)} is free in whole pages"
        )
    free, slack, whole_pages = free or 0.0, slack or 0.0, pages or 0.0
    if live >= _MOST:
        return _data(side, live * fitted.growth, told, live) or _leak(side, live * fitted.growth, told, live)
    if slack >= _MOST and slack >= free:
        return _arenas(told, slack)
    if free + slack + whole_pages >= max(_MOST, live):
        if slack > free and slack >= whole_pages:
            return _arenas(told, slack)
        if whole_pages > free + slack:
            return _retained(told, whole_pages)
        return _fragments(side, fitted, told, free, parted=pages is not None)
    if live + free + slack + whole_pages < _MOST:
        text = "no allocator accounts for it: it is mapped directly, by native code or for stacks"
        return Cause("native_leak", "memory outside of all allocators grows", (told, text), "medium")
    return Cause("memory_growth", "memory grows", (told, "no single cause explains it"), "low")


def _part(side: Side, whole: Trend, metric: str) -> float | None:
    """How much of the growth of resident memory that of a part makes; None when nobody knows.

    By the slopes of the floors; or, where there are too few looks for a trend (a heap in pieces is slow to ask), by
    what it was idle before the load and after it.
    """
    part = side.trend(metric)
    if part is not None:
        return max(0.0, part.slope / whole.slope) if part.high > 0 and part.low > -part.slope else 0.0
    resident = "memory.anon" if side.soak_series("memory.anon") is not None else "memory.rss"
    grew, all_of_it = _between_idles(side, metric), _between_idles(side, resident)
    if grew is None or not all_of_it or all_of_it < 0:
        return None
    return max(0.0, grew / all_of_it)


def _between_idles(side: Side, metric: str) -> float | None:
    rest = side.at_rest(metric)
    return rest[1] - rest[0] if rest is not None else None


def _percent(share: float) -> str:
    return f"{100 * min(share, 9.99):.0f} %"


def _confidence(share: float) -> Confidence:
    return "high" if share >= 0.75 else "medium"


def _data(side: Side, growth: float, told: str, share: float) -> Cause | None:
    """What a database was given to keep, or what it holds beside that; None for what is no database."""
    keys, data, live = side.trend("redis.keys"), side.trend("redis.dataset"), side.trend("memory.live")
    if keys is None or live is None:
        return None
    if keys.low > 0:
        more = f"it holds {keys.growth:,.0f} keys more, {units.size(growth / keys.growth)} each"
    elif data is not None and data.low > 0 and data.slope >= _MOST * live.slope:
        more = f"it holds {units.size(data.growth)} more for its keys, of which there are no more: their values grow"
    else:
        text = "neither its keys nor their values grow with it: look at its clients' buffers, scripts and replicas"
        return Cause("memory_growth", "what it holds beside its data grows: memory grows", (told, text), "medium")
    text = "that is data it was given to keep, and no leak of its own"
    return Cause(
        "memory_growth",
        "the data that it holds grows: memory grows",
        (told, more, text),
        _confidence(share),
        advice=_BOUND_THE_DATA,
    )


def _leak(side: Side, growth: float, told: str, share: float) -> Cause:
    found = inside.where(side, growth)
    at, evidence = found.at, found.evidence
    location = at.place if at is not None else None
    blocks = side.trend("python.blocks")
    held = inside.share_of_objects(side)
    if blocks is None and held is None:
        words = "what the program holds grows"
        if garbage_is_live(side):
            text = "garbage that the JVM has not collected yet counts as live: look at its heap after a full collection"
            return Cause("memory_growth", f"{words}: memory grows", (told, text), "low")
        advice = None if location else ADVICE["memory_growth"]
        return Cause("object_leak", words, (told, *evidence), _confidence(share), location, advice)
    objects = blocks.growth if blocks is not None and blocks.low > 0 else 0.0
    if held is None:
        held = 1.0 if objects * _PER_OBJECT >= growth else 0.0
        whose = "objects grow in number with it" if held else "the number of Python's objects does not grow with it"
    else:
        whose = f"{_percent(max(0.0, held))} of what is live more at the second look is held by Python's objects"
    evidence.insert(0, whose)
    if held < _MOST:
        evidence.insert(1, "native code holds the rest: an extension, or a library called through ctypes or cffi")
        return Cause("native_leak", "native memory leaks", (told, *evidence), _confidence(share), location)
    place = f", allocated at {at.text}" if at is not None else ""
    unnamed = _KEPT_WHOLE if found.scattered else _HAVE_IT_NAMED
    grown, advice = inside.buffers(side), None if location else unnamed
    if objects * _PER_OBJECT < growth:
        words = f"few objects grow without end{place}: memory grows"
        return Cause("object_leak", words, (told, *grown, *evidence), _confidence(share), location, advice)
    count = f"Python's objects grew by {objects:,.0f}, {units.size(growth / objects)} each"
    confidence = _confidence(share)
    if not inside.containers(side) and (why := _uncollected(side)):
        evidence.append(why)
        confidence = "medium"
    words = f"objects leak{place}: memory grows"
    return Cause("object_leak", words, (told, count, *evidence), confidence, location, advice)


def _uncollected(side: Side) -> str:
    """Whether what grows may be garbage that nobody has collected yet, in words."""
    enabled, full = side.soak_series("gc.enabled"), side.soak_series("gc.full_collections")
    if enabled is not None and not enabled.v[-1]:
        return "Python's garbage collector is switched off: cycles are never freed"
    if full is not None and full.v[-1] - full.v[0] < _FEW_COLLECTIONS:
        times = int(full.v[-1] - full.v[0])
        few = {0: "was no full garbage collection", 1: "was only one full garbage collection"}.get(
            times, f"were only {times} full garbage collections"
        )
        return f"there {few} in the soak: part of it may be garbage still"
    return ""


def _arenas(told: str, share: float) -> Cause:
    text = "Python frees an arena only when nothing in it is in use: few objects that stay hold many that went"
    words = "Python's arenas are left nearly empty: memory grows"
    return Cause("pymalloc_fragmentation", words, (told, text), _confidence(share))


def _retained(told: str, share: float) -> Cause:
    text = "nothing lies in these pages, so they could be used again: what was in use at the peak grows"
    return Cause("retention", "freed memory is kept by the allocator: memory grows", (told, text), _confidence(share))


def _fragments(side: Side, fitted: Trend, told: str, share: float, parted: bool) -> Cause:
    """Free bytes that stay resident: many holes between live pieces, or a few large ones that were not given back.

    `parted`: the allocator tells what is free between live pieces from what is free in whole pages.
    """
    evidence = [told]
    back = _given_back(side)
    if back is not None:
        evidence.append(f"malloc_trim gave back {units.size(back)} at the end: whole pages that nothing live lies in")
    hole = _new_hole(side, share * fitted.growth)
    if hole is None and parted:
        evidence.append("it lies in pages that hold live pieces too: only pieces of the same size can use it again")
        return Cause("fragmentation", "the heap fragments: memory grows", tuple(evidence), _confidence(share))
    if hole is None and _asked(side, "door"):
        evidence.append("its allocator does not say where it lies: it may be retention, in few large pieces, as well")
        return Cause("fragmentation", "freed memory is not used again: memory grows", tuple(evidence), "low")
    if hole is None:
        words = "freed memory is not used again: memory grows"
        return Cause("fragmentation", words, tuple(evidence), "medium")
    if hole >= _LARGE_HOLE:
        evidence.append("it lies in few large pieces, so it could be used again: what was in use at the peak grows")
        return Cause("retention", "freed memory is kept by malloc: memory grows", tuple(evidence), _confidence(share))
    evidence.append(f"it lies in holes of {units.size(hole)} on average: too small, or in the wrong place, to be used")
    return Cause("fragmentation", "the heap fragments: memory grows", tuple(evidence), _confidence(share))


def _new_hole(side: Side, grown: float) -> float | None:
    """Bytes of free memory for each new piece of it; None when the allocator does not say in how many it lies."""
    fitted = side.trend("malloc.holes")
    holes = fitted.growth if fitted is not None else _between_idles(side, "malloc.holes")
    return None if holes is None else grown / max(1.0, holes)


def _given_back(side: Side) -> float | None:
    """Bytes that malloc_trim returned at the end of the run; None when it was not tried."""
    for event in side.recording.events:
        if event.kind == "trim" and event.side == side.name:
            return max(0.0, float(str(event.data["before"])) - float(str(event.data["after"])))
    return None


def _unknown(side: Side) -> Cause:
    text = "seen from outside only: an object leak, a native leak and growing fragmentation cannot be told apart"
    more = (
        "an agent inside would tell (`soak exec`, or `import soak.agent` in the target), or a door of its own "
        "(target.scrape), if it is Redis or runs on Go or the JVM"
    )
    # an observer met the agent before the run began: then there is no event of it
    if "memory.live" in side.data.series:
        text = "an object leak, a native leak and growing fragmentation cannot be told apart yet"
        more = "who is inside was asked too seldom for a trend of what is live: a longer soak would tell"
    elif _asked(side, "agent") or "agent.cpu_seconds" in side.data.series:
        more = "the agent inside could not tell what is live: its allocator is not one that it can ask"
    elif _asked(side, "door"):
        more = "its door did not tell what is live, or not for long enough"
    elif missing := [e.text for e in side.recording.events if e.kind == "agent_missing" and e.side == side.name]:
        more = missing[0]
    return Cause("memory_growth", "memory grows", (text, more), "low")


def _asked(side: Side, kind: str) -> bool:
    """Whether an `agent` inside, or a `door`, has ever answered."""
    return any(e.kind == kind and e.side == side.name for e in side.recording.events)
