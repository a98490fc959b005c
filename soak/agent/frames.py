"""How deep Python's calls go, and what is on the way: looks at the frames of all threads but the agent's own."""

from __future__ import annotations

import sys
from _thread import get_ident
from collections import Counter
from types import CodeType, FrameType
from typing import Any

_LONGEST = 100_000


class Depth:
    """The deepest call seen since it was last asked for."""

    def __init__(self) -> None:
        self.deepest = 0
        self._where = ""

    def look(self) -> None:
        """Look once. A short recursion between two looks is not seen."""
        own = get_ident()
        for thread, frame in _frames().items():
            if thread == own:
                continue
            depth = 0
            at: FrameType | None = frame
            while at is not None and depth < _LONGEST:
                depth += 1
                at = at.f_back
            if depth > self.deepest:
                self.deepest, self._where = depth, name(frame.f_code)

    def take(self) -> dict[str, Any]:
        """The deepest since the last call, with the recursion limit beside it."""
        found = {"depth": self.deepest, "where": self._where, "limit": sys.getrecursionlimit()}
        self.deepest, self._where = 0, ""
        return found


class Hot:
    """Functions by the share of samples that they are in, busy threads only.

    Counted by identity: from 3.12 on the hash of a code object is made of all its instructions, every time.
    """

    def __init__(self) -> None:
        self.samples = 0
        self._codes: dict[int, CodeType] = {}
        self._within: Counter[int] = Counter()
        self._leaf: Counter[int] = Counter()
        self._recursive: dict[int, int] = {}

    def look(self) -> None:
        """Look once at all threads."""
        own = get_ident()
        for thread, frame in _frames().items():
            if thread == own or _waits(frame):
                continue
            self.samples += 1
            self._leaf[id(frame.f_code)] += 1
            counts: Counter[int] = Counter()
            depth = 0
            at: FrameType | None = frame
            while at is not None and depth < _LONGEST:
                self._codes[id(at.f_code)] = at.f_code
                counts[id(at.f_code)] += 1
                depth += 1
                at = at.f_back
            for code, times in counts.items():
                self._within[code] += 1
                if times > 1:
                    self._recursive[code] = max(self._recursive.get(code, 0), times)

    def most(self, share: float, at_most: int) -> list[dict[str, Any]]:
        """Functions in more than `share` of the samples, the most frequent first."""
        return [
            {
                "function": self._codes[code].co_name,
                "file": self._codes[code].co_filename,
                "line": self._codes[code].co_firstlineno,
                "within": count / self.samples,
                "own": self._leaf[code] / self.samples,
                "recursion": self._recursive.get(code, 0),
            }
            for code, count in self._within.most_common(at_most)
            if count > share * self.samples
        ]


def _frames() -> dict[int, FrameType]:
    """The frame of each thread; none while there are other interpreters with an allocator of their own.

    From 3.12 on there may be: `sys._current_frames` makes objects of theirs too, in the wrong memory.
    """
    if sys.version_info >= (3, 12) and _interpreters() > 1:
        return {}
    return sys._current_frames()


def _interpreters() -> int:
    for module in ("_interpreters", "_xxsubinterpreters"):
        try:
            return len(__import__(module).list_all())
        except ImportError:
            continue
    return 1


_WAITING = {
    ("threading.py", "wait"), ("threading.py", "_wait_for_tstate_lock"), ("threading.py", "join"),
    ("selectors.py", "select"), ("selectors.py", "poll"), ("queue.py", "get"), ("socket.py", "accept"),
    ("socket.py", "readinto"), ("thread.py", "_worker"), ("asyncore.py", "poll"), ("asyncore.py", "poll2"),
    ("wasyncore.py", "poll"), ("wasyncore.py", "poll2"), ("subprocess.py", "_try_wait"), ("popen_fork.py", "poll"),
    ("ssl.py", "read"), ("sync.py", "wait"), ("gthread.py", "run"), ("connection.py", "_recv"),
    ("runners.py", "run"),  # uvloop waits in C
}  # fmt: skip


def _waits(frame: FrameType) -> bool:
    """Whether a thread is, by where it stands, idle: it waits in the standard library for something to come."""
    code = frame.f_code
    return (code.co_filename.rpartition("/")[2], code.co_name) in _WAITING


def name(code: CodeType) -> str:
    """`walk (/srv/shop.py:12)`."""
    return f"{code.co_name} ({code.co_filename}:{code.co_firstlineno})"


def key(code: CodeType) -> tuple[str, str, int]:
    """File, function and first line."""
    return code.co_filename, code.co_name, code.co_firstlineno
