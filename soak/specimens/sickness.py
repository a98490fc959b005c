"""The sicknesses, one class each: plausible code, wrong under load in exactly one way.

A sickness sees the item of every request (`touch`). Its truth is known, so a judge can be tested on it.
The numbers are chosen for some 100 requests a second and a soak of two minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable
from typing import Any


class Healthy:
    """Bounded work and memory."""

    def start(self) -> None:
        """Called once, on the event loop, before the first request."""

    def touch(self, item: int) -> None:
        """Called with the item of every request."""

    async def handle(self, item: int) -> bool:
        """Called with the item of every request, in its own task; False is answered with 503."""
        self.touch(item)
        return True

    def run(self, serve: Callable[[], None]) -> None:
        """Called once, by the program itself, to serve."""
        serve()


class Leak(Healthy):
    """Keeps an audit record of every request for ever: an object leak of `per_request` bytes and a little more."""

    def __init__(self, per_request: int = 3072) -> None:
        self.audit: list[dict[str, Any]] = []
        self.per_request = per_request

    def touch(self, item: int) -> None:
        self.audit.append({"item": item, "at": time.time(), "trace": os.urandom(self.per_request)})


class CacheFill(Healthy):
    """Keeps one picture of `value` bytes for each of `size` shelves: memory grows, ever slower, and levels off.

    Items come at random, so after n requests a share of exp(-n / size) of the shelves is still empty.
    """

    def __init__(self, size: int = 1500, value: int = 8192) -> None:
        self.pictures: dict[int, bytes] = {}
        self.size, self.value = size, value

    def touch(self, item: int) -> None:
        shelf = item % self.size
        if shelf not in self.pictures:
            self.pictures[shelf] = os.urandom(self.value)


class GcSawtooth(Healthy):
    """Leaves a reference cycle behind at each request; the garbage collector frees them in waves, the floor is flat.

    An order of `lines` lines, each of which knows its order, holds `scratch` bytes. They are mapped, not
    allocated, so that the kernel has them back as soon as the collector does: the heap of malloc would keep
    them, and the sawtooth would not be seen from outside.
    """

    def __init__(self, lines: int = 20, scratch: int = 32768, wave: int = 650) -> None:
        self.lines, self.scratch, self.wave = lines, scratch, wave

    def start(self) -> None:
        # the collector counts containers: with so few of them in an order, a wave is that many orders
        gc.set_threshold(self.wave * self.lines, 10, 1000)

    def touch(self, item: int) -> None:
        scratch = mmap.mmap(-1, self.scratch, flags=mmap.MAP_PRIVATE)
        scratch[:] = bytes(self.scratch)
        order: list[Any] = [scratch]
        order.extend([order, item, line] for line in range(self.lines))


class Fragmentation(Healthy):
    """Cuts one document in `keep` down to its first 600 bytes, in place, and keeps that: the heap fills with holes.

    A document takes `document` bytes, and malloc has the rest of one that is cut; but sooner or later there
    is no room for a whole one between any two heads, so the heap grows by a document where what is alive
    grows by a head: some 25 times as fast. All are above 512 bytes, so they are malloc's and not pymalloc's.
    The heads have to grow in number: a heap whose live bytes and sizes are both bounded can be fragmented
    only so far (J. M. Robson, "Bounds for some functions concerning dynamic storage allocation", JACM 21, 1974).
    """

    HEAD = 600

    def __init__(self, document: int = 16384, keep: int = 4, recent: int = 64) -> None:
        self.document, self.keep = document, keep
        self.recent: deque[bytearray] = deque([bytearray(self.HEAD)] * recent, maxlen=recent)
        self.heads: list[bytearray] = []
        self.touched = 0

    def touch(self, item: int) -> None:
        self.touched += 1
        oldest = self.recent[0]
        self.recent.append(bytearray(self.document))
        if self.touched % self.keep == 0:
            self.heads.append(self.head(oldest))

    def head(self, document: bytearray) -> bytearray:
        """What is kept of a document."""
        del document[self.HEAD :]
        return document


class Recursion(Healthy):
    """Walks a chain that every `per_link` requests make longer, by recursion through C: the stack grows with the data.

    Recursion of Python functions alone takes no C stack from 3.11 on; sorted() calls back into Python from
    C, so here each level takes about 5 KB of it. The chain ends at `longest`: 3.12 refuses more than some
    500 levels of this kind, and nobody should die of it.
    """

    def __init__(self, per_link: int = 30, longest: int = 450) -> None:
        self.touched = 0
        self.per_link, self.longest = per_link, longest

    def start(self) -> None:
        sys.setrecursionlimit(10 * max(self.longest, 100))

    def touch(self, item: int) -> None:
        self.touched += 1
        self._walk(min(self.touched // self.per_link, self.longest))

    def _walk(self, depth: int) -> int:
        if depth <= 0:
            return 0
        return sorted((depth,), key=lambda d: self._walk(d - 1))[0]


class Quadratic(Healthy):
    """Counts through all that was ever sold at each request: each costs more than the one before.

    An order has `lines` lines. Two bytes are kept of each, so memory hardly shows it.
    """

    def __init__(self, lines: int = 12) -> None:
        self.sold = array("h")
        self.popularity = 0
        self.lines = lines

    def touch(self, item: int) -> None:
        self.popularity = self.sold.count(item % 5000)
        self.sold.extend((item + line) % 5000 for line in range(self.lines))


class Stall(Healthy):
    """Freezes for the last `for_` seconds of every `every`, counted from the start: a synchronous flush on the loop.

    Raises ValueError when it would never wake.
    """

    def __init__(self, every: float = 10.0, for_: float = 1.0) -> None:
        if for_ >= every:
            raise ValueError(f"--for {for_:g} s leaves nothing of --every {every:g} s to serve in")
        self.every, self.length = every, for_

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        due = time.monotonic()
        while True:
            due += self.every
            await asyncio.sleep(max(0.0, due - self.length - time.monotonic()))
            time.sleep(max(0.0, due - time.monotonic()))


class Crash(Healthy):
    """Serves well, then dies by SIGSEGV at request number `after`."""

    def __init__(self, after: int = 4500) -> None:
        self.left = after

    def touch(self, item: int) -> None:
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGSEGV)


class NoRecovery(Healthy):
    """Asks a warehouse that does one thing at a time, for `work` seconds each, and retries what takes too long.

    A try that is given up after `patience` stays in the warehouse's queue, so each visitor may put `tries` of them
    there. At the usual rate that never happens. A burst makes a queue longer than the patience; from then on everyone
    retries, that alone is more than the warehouse can do, and the queue never gets shorter again (a metastable
    failure: Bronson et al., HotOS 2021).
    """

    def __init__(self, work: float = 0.004, patience: float = 0.4, tries: int = 4) -> None:
        self.work, self.patience, self.tries = work, patience, tries
        self.free_at = 0.0

    async def handle(self, item: int) -> bool:
        for _ in range(self.tries):
            now = time.monotonic()
            self.free_at = max(self.free_at, now) + self.work
            wait = self.free_at - now
            await asyncio.sleep(min(wait, self.patience))
            if wait <= self.patience:
                return True
        return False


class Hang(Healthy):
    """Serves well, then takes a lock that it holds already, at request number `after`: no answer ever again.

    Connections are still accepted, by the kernel. SIGTERM still ends it.
    """

    def __init__(self, after: int = 3000) -> None:
        self.left = after

    def touch(self, item: int) -> None:
        self.left -= 1
        if self.left <= 0:
            with contextlib.suppress(ValueError):  # not in the main thread: then that one still handles signals
                signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a handler in Python would wait for the lock too
            lock = threading.Lock()
            with lock, lock:
                pass


class FdLeak(Healthy):
    """Opens a file at one request in `every`, and never closes it."""

    def __init__(self, every: int = 20) -> None:
        self.every, self.touched = every, 0

    def touch(self, item: int) -> None:
        self.touched += 1
        if self.touched % self.every == 0:
            self.take()

    def take(self) -> None:
        """Take one more of what is never given back."""
        os.open(os.devnull, os.O_RDONLY)


class ThreadLeak(FdLeak):
    """Starts a thread at one request in `every` that waits for ever."""

    def take(self) -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()


class ConnectionLeak(FdLeak):
    """Connects to a listener of its own at one request in `every`; neither end ever hangs up."""

    def __init__(self, every: int = 40) -> None:
        super().__init__(every)
        self.ends: list[socket.socket] = []

    def start(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))

    def take(self) -> None:
        self.ends.append(socket.create_connection(self.listener.getsockname()))
        self.ends.append(self.listener.accept()[0])


class ChildLeak(FdLeak):
    """Starts a helper at one request in `every` and never ends it. Helpers end with their parent."""

    def __init__(self, every: int = 50) -> None:
        super().__init__(every)
        self.helpers: list[subprocess.Popen[bytes]] = []

    def take(self) -> None:
        self.helpers.append(subprocess.Popen(["cat"], stdin=subprocess.PIPE))  # reads until its parent is gone


class Zombies(FdLeak):
    """Starts a helper at one request in `every` that ends at once, and never waits for it."""

    def take(self) -> None:
        os.posix_spawnp("true", ["true"], os.environ)


class Restart(Healthy):
    """Is a supervisor and its server: the server dies at request number `after`, the supervisor starts another.

    That takes `pause` seconds, in which nobody listens.
    """

    def __init__(self, after: int = 800, pause: float = 0.5) -> None:
        self.left, self.pause = after, pause

    def touch(self, item: int) -> None:
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGSEGV)

    def run(self, serve: Callable[[], None]) -> None:
        while True:
            child = os.fork()
            if child == 0:
                serve()
                os._exit(0)
            signal.signal(signal.SIGTERM, lambda *_, child=child: self._end(child))
            os.waitpid(child, 0)
            time.sleep(self.pause)

    def _end(self, child: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
