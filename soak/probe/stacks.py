"""The stacks of a native process's threads, from outside: how deep each has ever been, against its size.

The kernel does not say which mapping is whose stack. A thread that is blocked shows its stack pointer
(/proc/PID/task/TID/syscall; the same user only), and the mapping that holds it is the stack if it ends downwards at
a guard: a neighbour without any permission (pthread_create(3)), or pages marked as guards inside the mapping
(madvise(2), MADV_GUARD_INSTALL: glibc from 2.42 on). A goroutine's stack lies in Go's heap and has none, so it is
never taken for one.

The high-water mark is the distance from the lowest page that was ever touched to the top: such pages are not given
back while the thread lives. It is read from /proc/PID/pagemap, of the stacks alone. /proc/PID/smaps would give it
too, as the mapping's Rss, but walks all of the target's memory for that, with its mmap lock held: 8 ms for 1.5 GB,
in which the target cannot map memory. The lowest page also stays right where the kernel has merged the mapping with one
above it, whose pages an Rss would count in.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from soak.core.records import Event, Sample
from soak.probe import procfs
from soak.probe.budget import Pace
from soak.probe.procfs import GoneError, Stat

PAGE = os.sysconf("SC_PAGE_SIZE")
LARGEST = 64 * 1024 * 1024
"""Bytes to each side of a stack pointer that are searched for the ends of its stack; 8 MiB is usual."""
AT_ONCE = 512
"""Threads of a process that one look asks for; the next look goes on behind them."""

# proc_pid_pagemap(5), Documentation/admin-guide/mm/pagemap.rst: of the highest byte of a page's entry, bit 7 is
# "present", bit 6 "swapped", bit 2 "guard" (58, from Linux 6.15); a guard is marked as swapped as well
_KINDS = bytes(ord("G") if top & 0x04 else ord("#") if top & 0xC0 else ord(".") for top in range(256))
_MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (....) \S+ \S+ (\d+) *(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Extent:
    """A thread's stack: from `low`, right above its guard, to `top`. Addresses in bytes."""

    low: int
    top: int


@dataclass(frozen=True, slots=True)
class Mark:
    """How deep a stack has been, and its size; bytes."""

    high_water: int
    size: int

    @property
    def share(self) -> float:
        """How much of the stack was ever in use, 0 to 1."""
        return self.high_water / self.size


@dataclass(frozen=True, slots=True)
class Mappings:
    """The mappings of a process that can be a stack or a guard, ascending."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    stacklike: tuple[bool, ...]
    """Private, anonymous, readable and writable."""
    closed: tuple[bool, ...]
    """Without any permission."""

    def stack_at(self, address: int) -> tuple[int, int, bool] | None:
        """The stack-like mapping that holds an address: its start, its end, and whether a closed one adjoins below."""
        i = bisect_right(self.starts, address) - 1
        if i < 0 or address >= self.ends[i] or not self.stacklike[i]:
            return None
        guarded = i > 0 and self.closed[i - 1] and self.ends[i - 1] == self.starts[i]
        return self.starts[i], self.ends[i], guarded


def parse_maps(text: str) -> Mappings:
    """Of the text of /proc/PID/maps (proc_pid_maps(5)); those of files are left out."""
    found = [
        (int(m[1], 16), int(m[2], 16), m[3] == "rw-p", m[3].startswith("---"))
        for m in _MAPPING.finditer(text)
        if m[4] == "0" and (not m[5] or m[5].startswith("[anon"))
    ]
    starts, ends, stacklike, closed = zip(*found, strict=True) if found else ((), (), (), ())
    return Mappings(starts, ends, stacklike, closed)


def parse_stack_pointer(text: str) -> int | None:
    """The stack pointer of /proc/PID/task/TID/syscall: the last but one of its numbers; None of one that runs."""
    words = text.split()
    return int(words[-2], 16) if len(words) >= 3 and words[-2].startswith("0x") else None


def extent_of(pointer: int, start: int, end: int, guarded: bool, kinds: bytes, base: int) -> Extent | None:
    """The stack around a pointer within the mapping [start, end).

    `kinds` has a letter for each page from `base` on: `G` guard, `#` touched, `.` never touched. None where the
    stack has no guard below it, or no end within what was looked at: then its size is not known.
    """
    at = (pointer - base) // PAGE
    below, above = kinds.rfind(b"G", 0, at), kinds.find(b"G", at)
    low = base + (below + 1) * PAGE if below >= 0 else start if guarded and base == start else None
    top = base + above * PAGE if above >= 0 else end if base + len(kinds) * PAGE >= end else None
    return Extent(low, top) if low is not None and top is not None else None


@dataclass(slots=True)
class _Process:
    """What is known of one process."""

    stacks: dict[int, Extent] = field(default_factory=dict)
    """By thread; a thread that happened to run keeps what was seen of it before."""
    fullest: Mark | None = None
    asked: int = 0


class ThreadStacks:
    """The thread that has been nearest to its stack's end so far, over all processes of the tree that still run.

    The main thread's stack is not among them: it grows by itself, and the kernel gives its mark (VmStk).
    """

    def __init__(self, side: str) -> None:
        self._side = side
        self._known: dict[tuple[int, int], _Process] = {}
        self._pace = Pace(first=1.0, every=2.0, share=2000.0)

    def look(self, t: float, members: Sequence[Stat]) -> list[Sample]:
        """`stack.thread_high_water` and `stack.thread_limit`, if it is time to look."""
        if not self._pace.due(t):
            return []
        self._known = {(s.pid, s.started): self._known.get((s.pid, s.started), _Process()) for s in members}
        for stat in members:
            if stat.threads > 1:
                with suppress(GoneError, OSError):
                    _update(self._known[stat.pid, stat.started], stat.pid)
        self._pace.done(t)
        marks = [p.fullest for p in self._known.values() if p.fullest is not None]
        if not marks:
            return []
        fullest = max(marks, key=lambda mark: mark.share)
        values = {"stack.thread_high_water": float(fullest.high_water), "stack.thread_limit": float(fullest.size)}
        return [Sample(t, self._side, values)]

    def events(self) -> list[Event]:
        """None: a stack that is full shows as the end of its process."""
        return []

    def close(self) -> None:
        """Nothing is held."""


def _update(process: _Process, pid: int) -> None:
    """Look at the threads of a process. Raises GoneError; PermissionError when it is another user's."""
    threads = [tid for tid in procfs.threads(pid) if tid != pid]
    asked = [threads[(process.asked + i) % len(threads)] for i in range(min(AT_ONCE, len(threads)))]
    process.asked += len(asked)
    process.stacks = {tid: process.stacks[tid] for tid in threads if tid in process.stacks}
    pointers = dict(_pointers(pid, asked))
    with procfs.opened(pid, "pagemap") as pagemap:
        new = {tid: p for tid, p in pointers.items() if not _within(process.stacks.get(tid), p)}
        if new:  # the one costly file: 1 ms to make and 5 ms to parse with 5,000 mappings in it
            process.stacks |= dict(_found(new, parse_maps(procfs.read(pid, "maps")), pagemap))
        for tid in asked:
            # what is known stays: a mapping that is made right above a stack later may be one with it then
            mark = _mark(process.stacks[tid], pagemap) if tid in process.stacks else None
            if mark is not None and (process.fullest is None or mark.share > process.fullest.share):
                process.fullest = mark


def _pointers(pid: int, threads: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The stack pointers of those threads that are blocked."""
    for tid in threads:
        try:
            pointer = parse_stack_pointer(procfs.read(pid, f"task/{tid}/syscall"))
        except GoneError:
            continue
        if pointer is not None:
            yield tid, pointer


def _within(extent: Extent | None, pointer: int) -> bool:
    return extent is not None and extent.low <= pointer < extent.top


def _found(pointers: Mapping[int, int], mappings: Mappings, pagemap: int) -> Iterator[tuple[int, Extent]]:
    """The stacks that hold the pointers."""
    for tid, pointer in pointers.items():
        held = mappings.stack_at(pointer)
        if held is None:
            continue
        start, end, guarded = held
        base = max(start, (pointer - LARGEST) // PAGE * PAGE)
        extent = extent_of(pointer, start, end, guarded, _kinds(pagemap, base, min(end, base + 2 * LARGEST)), base)
        if extent is not None:
            yield tid, extent


def _mark(extent: Extent, pagemap: int) -> Mark | None:
    lowest = _kinds(pagemap, extent.low, extent.top).find(b"#")
    size = extent.top - extent.low
    return Mark(size - lowest * PAGE, size) if lowest >= 0 else None


def _kinds(pagemap: int, start: int, end: int) -> bytes:
    """A letter for each page of [start, end)."""
    entries = os.pread(pagemap, (end - start) // PAGE * 8, start // PAGE * 8)
    return entries[7::8].translate(_KINDS)
