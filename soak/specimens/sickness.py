"""The sicknesses, one class each: plausible code, wrong under load in exactly one way.

A sickness sees the item of every request (`touch`). Its truth is known, so a judge can be tested on it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any


class Healthy:
    """Bounded work and memory."""

    def start(self) -> None:
        """Called once, on the event loop, before the first request."""

    def touch(self, item: int) -> None:
        """Called with the item of every request."""


class Leak(Healthy):
    """Keeps an audit record of every request for ever: an object leak."""

    def __init__(self, per_request: int = 3072) -> None:
        self.audit: list[dict[str, Any]] = []
        self.per_request = per_request

    def touch(self, item: int) -> None:
        self.audit.append({"item": item, "at": time.time(), "trace": os.urandom(self.per_request)})


class CacheFill(Healthy):
    """Fills a bounded cache: memory grows, ever slower, and levels off. It is not sick."""

    def __init__(self, size: int = 1500, value: int = 8192) -> None:
        self.cache: OrderedDict[int, bytes] = OrderedDict()
        self.size, self.value = size, value

    def touch(self, item: int) -> None:
        key = item % self.size
        if key not in self.cache:
            self.cache[key] = os.urandom(self.value)
        self.cache.move_to_end(key)


class GcSawtooth(Healthy):
    """Makes reference cycles, freed by the garbage collector in waves: the floor is flat. It is not sick."""

    def start(self) -> None:
        gc.set_threshold(20_000, 10, 1000)

    def touch(self, item: int) -> None:
        for _ in range(30):
            node: dict[str, Any] = {"item": item, "payload": bytes(600)}
            node["self"] = node


class Fragmentation(Healthy):
    """Pins small blocks between buffers of drifting sizes: the heap cannot give back what is free.

    What is alive stays bounded but for the pins; blocks are above 512 bytes, so they are malloc's.
    """

    def __init__(self, buffers: int = 400) -> None:
        self.buffers: list[bytes] = [b""] * buffers
        self.pins: list[bytes] = []
        self.at = 0
        self.dice = random.Random(1)

    def touch(self, item: int) -> None:
        # each round asks for slightly more than any hole that the round before left behind
        size = 4096 + 48 * (self.at // len(self.buffers)) * 16 + self.dice.randrange(512)
        self.buffers[self.at % len(self.buffers)] = bytes(size)
        self.at += 1
        if self.at % 2 == 0:
            self.pins.append(bytes(640))


class Recursion(Healthy):
    """Walks a chain that every order makes longer, by recursion through C: the stack grows with the data."""

    def __init__(self, per_link: int = 30, longest: int = 450) -> None:
        self.touched = 0
        self.per_link, self.longest = per_link, longest

    def start(self) -> None:
        sys.setrecursionlimit(10 * self.longest)

    def touch(self, item: int) -> None:
        self.touched += 1
        self._walk(min(self.touched // self.per_link, self.longest))

    def _walk(self, depth: int) -> int:
        # sorted() calls back into Python from C, so each level takes C stack as well as a frame
        if depth <= 0:
            return 0
        return sorted((depth,), key=lambda d: self._walk(d - 1))[0]


class Quadratic(Healthy):
    """Looks for duplicates in a list that only grows: each request costs more than the one before."""

    def __init__(self, lines: int = 4) -> None:
        self.seen: list[str] = []
        self.lines = lines

    def touch(self, item: int) -> None:
        for line in range(self.lines):
            key = f"order-{len(self.seen)}-{item}-{line}"
            if key not in self.seen:
                self.seen.append(key)


class Stall(Healthy):
    """Stops answering for a while, again and again, as a synchronous flush on the event loop does."""

    def __init__(self, every: float = 10.0, length: float = 1.0) -> None:
        self.every, self.length = every, length

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        due = time.monotonic()
        while True:
            due += self.every
            await asyncio.sleep(max(0.0, due - self.length - time.monotonic()))
            time.sleep(max(0.0, due - time.monotonic()))


class Crash(Healthy):
    """Serves well, then dies by SIGSEGV."""

    def __init__(self, after: int = 4500) -> None:
        self.left = after

    def touch(self, item: int) -> None:
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGSEGV)


SICKNESSES: dict[str, Callable[..., Healthy]] = {
    "healthy": Healthy,
    "leak": Leak,
    "cache_fill": CacheFill,
    "gc_sawtooth": GcSawtooth,
    "fragmentation": Fragmentation,
    "recursion": Recursion,
    "quadratic": Quadratic,
    "stall": Stall,
    "crash": Crash,
}
