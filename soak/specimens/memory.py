"""Sicknesses of memory that look alike from outside, and differ in where the memory is."""

from __future__ import annotations

import ctypes
import gc
import os
from typing import Any

from soak.specimens.sickness import Healthy


class NativeLeak(Healthy):
    """Takes `per_request` bytes from malloc at each request and never frees them, as a C extension that forgets does.

    Python knows nothing of them: no object stands for them.
    """

    def __init__(self, per_request: int = 3072) -> None:
        self.per_request = per_request
        libc = ctypes.CDLL(None)
        self._malloc, self._fill = libc.malloc, libc.memset
        self._malloc.restype, self._malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        self._fill.restype, self._fill.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

    def touch(self, item: int) -> None:
        self._fill(self._malloc(self.per_request), item & 0xFF, self.per_request)


class Cycles(Healthy):
    """Switches the garbage collector off "for speed", and leaves a reference cycle of `per_request` bytes each time."""

    def __init__(self, per_request: int = 3072) -> None:
        self.per_request = per_request

    def start(self) -> None:
        gc.disable()

    def touch(self, item: int) -> None:
        order: dict[str, Any] = {"item": item, "body": os.urandom(self.per_request)}
        order["self"] = order


class Ledger(Healthy):
    """Writes `per_request` bytes of every request to the end of one buffer: it grows, and no object is added."""

    def __init__(self, per_request: int = 3072) -> None:
        self.book = bytearray()
        self.per_request = per_request

    def touch(self, item: int) -> None:
        self.book += os.urandom(self.per_request)


class Arenas(Healthy):
    """Reads a table of small rows at one request in `every`, and remembers one row in `keep`: pools stay, nearly empty.

    A pool of Python's allocator serves one size for as long as anything in it lives, so the rest of it cannot serve
    the next table, whose rows are `STEP` bytes longer. There are only so many sizes, so it ends some day; a soak is
    over by then. (Objects/obmalloc.c of CPython: pools of 16 KiB, sizes up to 512 bytes in steps of 16.)
    """

    FIRST, LAST, STEP = 64, 480, 16

    def __init__(self, rows: int = 30_000, every: int = 500, keep: int = 40) -> None:
        self.rows, self.every, self.keep = rows, every, keep
        self.size = self.FIRST
        self.touched = 0
        self.remembered: list[list[bytes]] = []

    def touch(self, item: int) -> None:
        self.touched += 1
        if self.touched % self.every == 0 and self.size <= self.LAST:
            body = self.size - 40  # a bytes object takes 33 bytes more than it holds
            count = self.rows * 64 // self.size
            table = [bytes(body) for _ in range(count)]
            self.remembered.append(table[:: self.keep])
            self.size += self.STEP


class Retention(Healthy):
    """Works on a report that is `more` bytes longer every time, and leaves a small note behind it in memory.

    The report is freed, so what is live stays as it is; but malloc gives only the top of the heap back to the system,
    and that is the note. The free stretch is large and in one piece: the next report begins in it.
    """

    PIECE = 96 * 1024

    def __init__(self, more: int = 400 * 1024, every: int = 80) -> None:
        self.more, self.every = more, every
        self.touched = 0
        self.notes: list[bytearray] = []

    def touch(self, item: int) -> None:
        self.touched += 1
        if self.touched % self.every == 0:
            length = self.more * (self.touched // self.every)
            report = [b"." * self.PIECE for _ in range(length // self.PIECE + 1)]
            self.notes.append(bytearray(self.PIECE // 4))
            del report


class DeepCalls(Healthy):
    """Walks a chain that every `per_link` requests make longer, by plain recursion, until Python refuses to go on."""

    def __init__(self, per_link: int = 3) -> None:
        self.touched = 0
        self.per_link = per_link

    def touch(self, item: int) -> None:
        self.touched += 1
        self._walk(self.touched // self.per_link)

    def _walk(self, depth: int) -> int:
        return self._walk(depth - 1) + 1 if depth > 0 else 0
