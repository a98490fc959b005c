"""What a costly look into a Python process found, read from the event that it left in the run file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from soak.core.records import Event, Recording, SideRecording

OFTEN = 1_000.0
"""Calls a second from which on a function is worth a look, however little each takes."""
_AROUND_S = 5.0
REHEARSAL = "rehearsal"
"""The look before anything is judged, which only loads what later looks need."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the code, with the bytes and the number of allocations of a window that were made there."""

    function: str
    file: str
    line: int
    size: int = 0
    count: int = 0

    @property
    def place(self) -> str:
        """`/srv/app/shop.py:12 (add)`."""
        return f"{self.file}:{self.line} ({self.function})"

    @property
    def of_the_look(self) -> bool:
        """Whether the look itself allocated there, not the target."""
        return "/soak/agent/" in self.file or "/memray/" in self.file

    @property
    def text(self) -> str:
        """`shop.py:12 (add)`, with the folder that the file is in."""
        short = "/".join(self.file.rsplit("/", 2)[-2:])
        return f"{short}:{self.line} ({self.function})"


@dataclass(frozen=True, slots=True)
class Container:
    """A large container: `name` is the global or attribute that holds it, if one does, or the function it caches.

    `limit` is how many items it may hold: that of a deque, or of a functools.lru_cache; None if it has none.
    """

    identity: int
    type: str
    items: int
    name: str
    limit: int | None = None

    @property
    def text(self) -> str:
        """Which one it is, in words."""
        return f"the {self.type} {self.name or 'without a name'}"


@dataclass(frozen=True, slots=True)
class Buffer:
    """A large object that holds bytes and nothing else, and what holds it."""

    identity: int
    type: str
    bytes: int
    name: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function that was hot: shares of the samples of busy threads that it was in, and that it was innermost in.

    `recursion`: how many times it was seen in one stack, 0 if never twice. `calls`: a second, None if not counted.
    """

    site: Site
    within: float
    own: float
    recursion: int
    calls: float | None


@dataclass(frozen=True, slots=True)
class Window:
    """Allocations between `start` and `end`, tracked for `seconds`; `held` were not freed in it.

    `objects` tells whether Python's small objects were tracked too.
    """

    start: float
    end: float
    seconds: float
    objects: bool
    count: int
    bytes: int
    by_bytes: tuple[Site, ...]
    by_count: tuple[Site, ...]
    held: tuple[Site, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """One costly look. What could not be had is empty; its event says why.

    `live`: bytes that all allocators have given out; `by_objects`: those of them that Python's objects hold.
    """

    side: str
    pid: int
    why: str
    start: float
    end: float
    objects: int
    live: float | None
    by_objects: float | None
    types: Mapping[str, int]
    containers: tuple[Container, ...]
    buffers: tuple[Buffer, ...]
    functions: tuple[Function, ...]
    samples: int
    counted: str
    window: Window | None
    sampled: tuple[float, float] | None = None
    """From when to when stacks were sampled (s): no request is slower for it, but it takes a twentieth of a core."""


def is_packaged(file: str) -> bool:
    """Whether a file is of an installed package."""
    parts = file.split("/")
    return "site-packages" in parts or "dist-packages" in parts


def is_own(file: str) -> bool:
    """Whether a file is neither of the standard library nor of an installed package, nor no file at all."""
    if is_packaged(file) or file.startswith("<"):
        return False
    parts = file.split("/")
    return not any(a == "lib" and b.startswith("python3") for a, b in pairwise(parts))


def looks(recording: Recording, side: str) -> list[Look]:
    """The looks into a side, in order, but for rehearsals."""
    found = [_look(e) for e in recording.events if e.kind == "inspection" and e.side == side]
    return sorted((look for look in found if look.why != REHEARSAL), key=lambda look: look.start)


def requests_in(side: SideRecording, look: Look) -> float:
    """Requests that the process did while its allocations were tracked: its share of the tree's CPU, of all."""
    if look.window is None:
        return 0.0
    middle, half = (look.window.start + look.window.end) / 2, look.window.seconds / 2
    return _done(side, middle - half, middle + half) * _cpu_share(side, look.pid, look.start, look.end)


def _done(side: SideRecording, start: float, end: float) -> float:
    """Requests that were done from `start` to `end` (s since the start of the run), evenly within an interval."""
    total = 0.0
    for y in side.tallies:
        common = min(end, y.start + y.length) - max(start, y.start)
        if common > 0 and y.length > 0:
            total += y.done * common / y.length
    return total


def _cpu_share(side: SideRecording, pid: int, start: float, end: float) -> float:
    """The share of the tree's CPU time that one of its processes used, around [start, end]; 1 when unknown."""
    tree = side.series.get("process.cpu_seconds")
    own = next((s.get("process.cpu_seconds") for key, s in side.processes.items() if key.startswith(f"{pid}@")), None)
    if tree is None or own is None or not len(own):
        return 1.0
    around = [start - _AROUND_S, end + _AROUND_S]
    whole = float(np.diff(np.interp(around, tree.t, tree.v))[0])
    part = float(np.diff(np.interp(around, own.t, own.v))[0])
    return min(1.0, part / whole) if whole > 0 and part > 0 else 1.0


def _look(event: Event) -> Look:
    data: Mapping[str, Any] = event.data
    heap, hot, calls, window = (data.get(key, {}) for key in ("heap", "hot", "calls", "window"))
    return Look(
        side=event.side or "",
        pid=int(data["pid"]),
        why=str(data["why"]),
        start=float(data["from"]),
        end=float(data["to"]),
        objects=int(heap.get("total", 0)),
        **_bytes(heap),
        types=heap.get("types", {}),
        containers=tuple(
            Container(c["id"], c["type"], c["items"], c["name"], c.get("limit")) for c in heap.get("containers", ())
        ),
        buffers=tuple(Buffer(b["id"], b["type"], b["bytes"], b["name"]) for b in heap.get("buffers", ())),
        functions=tuple(_functions(hot.get("functions", ()), calls.get("rates", ()))),
        samples=int(hot.get("samples", 0)),
        counted=str(calls.get("threads", "none")),
        window=_window(window, data["allocations"]) if "count" in data.get("allocations", {}) else None,
        sampled=(float(hot["from"]), float(hot["to"])) if "from" in hot and "to" in hot else None,
    )


def _bytes(heap: Mapping[str, Any]) -> dict[str, float | None]:
    """What is live, and what of it is Python's: small objects in its arenas, large ones taken from malloc."""
    malloc, small, large = heap.get("malloc", {}).get("live"), heap.get("pymalloc", {}).get("live"), heap.get("large")
    if malloc is None or small is None or large is None:
        return {"live": None, "by_objects": None}
    return {"live": float(malloc + small), "by_objects": float(large + small)}


def _functions(hot: Iterable[Mapping[str, Any]], rates: Iterable[Sequence[Any]]) -> Iterator[Function]:
    """Functions that are in many samples, then those that are only called very often."""
    by_place = {(file, function, line): rate for file, function, line, rate in rates}
    for f in hot:
        rate = by_place.pop((f["file"], f["function"], f["line"]), None)
        yield Function(Site(f["function"], f["file"], f["line"]), f["within"], f["own"], f["recursion"], rate)
    for (file, function, line), rate in by_place.items():
        if rate > OFTEN:
            yield Function(Site(function, file, line), 0.0, 0.0, 0, rate)


def _window(window: Mapping[str, Any], allocations: Mapping[str, Any]) -> Window:
    def sites(key: str) -> tuple[Site, ...]:
        return tuple(
            Site(s["function"], s["file"], s["line"], s.get("size", 0), s.get("count", 0)) for s in allocations[key]
        )

    return Window(
        start=float(window["from"]),
        end=float(window["to"]),
        seconds=float(window["tracked_s"]),
        objects=bool(window["objects"]),
        count=int(allocations["count"]),
        bytes=int(allocations["bytes"]),
        by_bytes=sites("by_bytes"),
        by_count=sites("by_count"),
        held=sites("held"),
    )
