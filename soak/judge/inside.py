"""What looks from inside say of growth: which containers grew, where the code is that allocated what stayed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from soak.core import units
from soak.core.inspection import Container, Look, Site
from soak.judge.side import Side

_GREW = 1.2
_LEAST_ITEMS = 100
_FAIR_SHARE = 0.2
_FAIR_PART = 0.3
_AT_MOST = 2.0
_HALF = 0.5
_MOST = 3
_TELLING = 512 * 1024
"""Bytes between two looks: from there on it matters whose they are."""

Place = tuple[str, str, int]
"""File, function, line."""


@dataclass(frozen=True, slots=True)
class Grown:
    """A container that grew by `more` items in the `seconds` between two looks; `seen` in the first, or smaller."""

    container: Container
    more: int
    seconds: float
    seen: bool

    @property
    def text(self) -> str:
        """In words; with the bound that it has, or could have."""
        now, was = self.container, f"{self.container.items - self.more:,}"
        bound = f", of at most {now.limit:,}" if now.limit is not None else ""
        if now.limit is None and now.type == "lru_cache":
            bound = ", and has no bound"
        return f"{now.text} grew from {'' if self.seen else 'at most '}{was} to {now.items:,} items{bound}"


def containers(side: Side) -> list[Grown]:
    """Containers that grew from the first look to the last, the fastest first."""
    first, last = _ends(side)
    if first is None or last is None:
        return []
    before = {c.identity: c.items for c in first.containers}
    smallest = min(before.values(), default=0)
    grown = [
        Grown(c, c.items - before.get(c.identity, smallest), last.start - first.start, c.identity in before)
        for c in last.containers
    ]
    fast = [g for g in grown if g.more >= _LEAST_ITEMS and g.container.items > _GREW * (g.container.items - g.more)]
    return sorted(fast, key=lambda g: g.more, reverse=True)[:_MOST]


def fills(side: Side) -> Grown | None:
    """The container that fills up to a bound of its own, when what grows is in it: None while anything else may leak.

    It must have taken in at least half as many items as there are new objects of the type that grew most in number.
    """
    found = containers(side)
    if not found or any(g.container.limit is None for g in found):
        return None
    newest = max((more for more, _ in _new_objects(side)), default=0)
    return found[0] if newest > 0 and found[0].more >= _HALF * newest else None


def buffers(side: Side) -> list[str]:
    """Large buffers that grew from the first look to the last, in words, the fastest first."""
    first, last = _ends(side)
    if first is None or last is None:
        return []
    before = {b.identity: b.bytes for b in first.buffers}
    grown = sorted(((b.bytes - before.get(b.identity, 0), b) for b in last.buffers), key=lambda g: g[0], reverse=True)
    return [
        f"the {b.type} {b.name or 'without a name'} grew by {units.size(more)} to {units.size(b.bytes)}"
        for more, b in grown[:_MOST]
        if more > 0
    ]


def share_of_objects(side: Side) -> float | None:
    """How much of what is live more than before Python's objects hold; None when the looks cannot tell."""
    first, last = _ends(side)
    if first is None or last is None:
        return None
    if first.live is None or last.live is None or first.by_objects is None or last.by_objects is None:
        return None
    grown = last.live - first.live
    usual = side.trend("memory.live")
    if usual is not None and len(side.data.processes) < 2:
        expected = usual.slope * (last.start - first.start)
        if not expected / 2 <= grown <= 2 * expected:
            return None  # what requests under way held at one of these moments is most of the difference
    return (last.by_objects - first.by_objects) / grown if grown >= _TELLING else None


def types(side: Side) -> str:
    """The types of which most new objects are, in words; empty when hardly any are."""
    first, last = _ends(side)
    if first is None or last is None:
        return ""
    least = max(_LEAST_ITEMS, _FAIR_SHARE * max(0, last.objects - first.objects))
    most = [(n, t) for n, t in _new_objects(side) if n >= least][:_MOST]
    return "new objects: " + ", ".join(f"{n:,} {t.removeprefix('builtins.')}" for n, t in most) if most else ""


def _new_objects(side: Side) -> list[tuple[int, str]]:
    """How many more there are of each type at the last look than at the first, most first."""
    first, last = _ends(side)
    if first is None or last is None:
        return []
    grown = [(last.types[t] - n, t) for t, n in first.types.items() if t in last.types]
    return sorted(grown + [(n, t) for t, n in last.types.items() if t not in first.types], reverse=True)


def staying(side: Side) -> tuple[dict[Place, float], float]:
    """Bytes that stay for each request, by where they were allocated, and those of all places in a window on average.

    In every window some of what was allocated is still in use at its end, since requests are under way. A leak's own
    place is there every time, with about the same number of bytes for each request: the least of all windows counts.
    """
    by_window: list[dict[Place, float]] = []
    for look in side.looks:
        if look.window is None or (requests := side.requests_in(look)) <= 0:
            continue
        sums: dict[Place, float] = defaultdict(float)
        for held in look.window.held:
            if not held.of_the_look:
                sums[held.file, held.function, held.line] += held.size / requests
        by_window.append(sums)
    if not by_window:
        return {}, 0.0
    least = {at: min(sums.get(at, 0.0) for sums in by_window) for at in by_window[0]}
    return least, float(np.mean([sum(sums.values()) for sums in by_window]))


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a leak is: the place, if the windows agree on one, or whether it is `scattered` over many; and evidence."""

    at: Site | None
    scattered: bool
    evidence: list[str]


def where(side: Side, growth: float) -> Whereabouts:
    """Where what stays comes from, by the windows of allocations, with containers and types that grew.

    `growth`: bytes over the soak. What stays at a place, or at all together, must account for a fair part of that:
    some of what is in use at the end of any window is only on its way.
    """
    least, total = staying(side)
    grows, evidence = growth / max(1.0, side.done), [*(g.text for g in containers(side)), *filter(None, [types(side)])]
    most = sorted(least.items(), key=lambda item: item[1], reverse=True)[:_MOST]
    places = [(Site(function, file, line), each) for (file, function, line), each in most]
    if places and total > 0 and places[0][1] >= max(_FAIR_SHARE * total, _FAIR_PART * grows):
        at, each = places[0]
        text = (
            f"in every window of allocations, {units.size(each)} a request stayed that {at.text} had allocated: "
            f"{units.percent(each / total)} of all that stayed"
        )
        return Whereabouts(at, False, [text, *evidence])
    together = sum(least.values())
    if len(least) <= _MOST or not _FAIR_PART * grows <= together <= _AT_MOST * grows:
        return Whereabouts(None, False, evidence)
    named = ", ".join(f"{place.text} {units.percent(each / total)}" for place, each in places)
    text = (
        f"in every window of allocations, {units.size(together)} a request stayed, from many places together, as when "
        f"all that belongs to a request is kept: {named}"
    )
    return Whereabouts(None, True, [text, *evidence])


def _ends(side: Side) -> tuple[Look | None, Look | None]:
    """The first and the last look at the heap of one and the same process."""
    found = [look for look in side.looks if look.objects]
    same = [look for look in found if look.pid == found[-1].pid]
    return (same[0], same[-1]) if len(same) > 1 else (None, None)
