"""The last looks of an observer, numbered, so that whoever was cut off can ask for what it missed."""

from __future__ import annotations

import threading
from collections import deque
from itertools import islice


class Ring:
    """At most `entries` entries of `size` bytes together; the oldest give way. Numbers begin at 1 and never repeat."""

    def __init__(self, entries: int, size: int) -> None:
        self._entries = entries
        self._size = size
        self._kept: deque[bytes] = deque()
        self._bytes = 0
        self._next = 1
        self._lock = threading.Lock()

    @property
    def next(self) -> int:
        """The number that the next entry will have."""
        return self._next

    @property
    def weight(self) -> int:
        """What the kept entries weigh together (bytes)."""
        return self._bytes

    def add(self, entry: bytes) -> None:
        """Keep an entry; the newest is kept whatever it weighs."""
        with self._lock:
            self._kept.append(entry)
            self._bytes += len(entry)
            self._next += 1
            while len(self._kept) > 1 and (len(self._kept) > self._entries or self._bytes > self._size):
                self._bytes -= len(self._kept.popleft())

    def since(self, number: int, most: int) -> tuple[int, list[bytes]]:
        """The oldest kept entries from `number` on, and the number of the first: as many as `most` bytes, or one."""
        with self._lock:
            oldest = self._next - len(self._kept)
            first = min(max(number, oldest), self._next)
            found: list[bytes] = []
            weight = 0
            for entry in islice(self._kept, first - oldest, None):
                weight += len(entry)
                if found and weight > most:
                    break
                found.append(entry)
            return first, found
