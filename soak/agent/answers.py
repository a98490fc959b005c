"""What the agent answers: figures, a look at the heap, hot functions, calls, windows of allocations, a trim.

Whatever takes time waits by the thread's own means, so that a fork or the end of the process does not wait for it.
"""

from __future__ import annotations

import ctypes  # noqa: F401
import gc
import json  # noqa: F401
import sys
from collections.abc import Callable
from time import monotonic, thread_time
from typing import Any

# all of them now: a host that gives up its rights may not be able to read them later
from .allocator import Allocator
from .calls import count, left
from .errors import RecursionErrors
from .frames import Depth, Hot, key
from .heap import look as look_at_heap
from .pymalloc import Pymalloc
from .window import take

_SWITCH_S = 0.0002


class Answers:
    """The jobs by their names. `wait` lets seconds pass, `stopping` says that there is no time for more."""

    def __init__(self, wait: Callable[[float], None], stopping: Callable[[], bool]) -> None:
        self._wait, self._stopping = wait, stopping
        self._depth, self._errors = Depth(), RecursionErrors()
        self._allocator: Any = None
        self._pymalloc: Any = None
        self._collections: tuple[int, ...] = (0, 0, 0)
        self.jobs: dict[str, Callable[..., dict[str, Any]]] = {
            "look": self._look,
            "heap": self._heap,
            "hot": self._hot,
            "calls": self._calls,
            "window": self._window,
            "trim": self._trim,
        }

    def watch(self) -> None:
        """Look how deep the stacks are, and whether a RecursionError was raised: often, and cheap."""
        self._depth.look()
        self._errors.watch()

    def forget(self) -> None:
        """In a child: what was counted so far is the parent's."""
        self._errors.seen = 0
        self._depth.take()
        self._collections = _collections()

    def _figures(self, force: bool) -> dict[str, Any]:
        if self._allocator is None:
            self._allocator, self._pymalloc = Allocator(), Pymalloc()
        return {
            "allocator": self._allocator.name,
            "malloc": self._allocator.look(force),
            "pymalloc": self._pymalloc.look(force),
        }

    def _look(self, force: bool = False) -> dict[str, Any]:
        return self._figures(force) | {
            "python": sys.version.split()[0],
            "gc": {
                "collections": [n - self._collections[i] for i, n in enumerate(_collections())],
                "collected": sum(g["collected"] for g in gc.get_stats()),
                "uncollectable": sum(g["uncollectable"] for g in gc.get_stats()),
                "enabled": gc.isenabled(),
            },
            "stack": self._depth.take(),
            "recursion_errors": self._errors.seen,
        }

    def _heap(self) -> dict[str, Any]:
        figures = self._figures(force=True)
        return look_at_heap() | {"malloc": figures["malloc"], "pymalloc": figures["pymalloc"]}

    def _hot(self, seconds: float = 5.0, every: float = 0.002) -> dict[str, Any]:
        """Sample the frames, at a pace that keeps within a twentieth of a core.

        A thread hands over the interpreter when it waits, or when somebody has asked for it for 5 ms: most requests
        are over by then, and only their waits would be seen. So meanwhile the interpreter is handed over sooner.
        """
        hot, over, usual = Hot(), monotonic() + seconds, sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        try:
            while monotonic() < over and not self._stopping():
                began = thread_time()
                hot.look()
                self._wait(max(every, 20 * (thread_time() - began)))
        finally:
            sys.setswitchinterval(usual)
        return {"samples": hot.samples, "functions": hot.most(0.05, 60)}

    def _calls(self, seconds: float = 0.25, at_most: int = 300) -> dict[str, Any]:
        """Count calls for a moment; the most frequent, in calls a second."""
        took, threads, counted = count(seconds, self._wait)
        rates = [(*key(code), times / took) for code, times in counted.most(at_most)] if took else []
        return {"counted_s": took, "threads": threads, "rates": rates}

    def _window(self, path: str, seconds: float = 5.0, objects: bool = True, elsewhere: str = "") -> dict[str, Any]:
        if not left(self._wait):
            raise RuntimeError("the main thread is still in our profile function")
        return take(path, seconds, objects, elsewhere, self._wait)

    def _trim(self) -> dict[str, Any]:
        before = self._figures(force=True)
        done = self._allocator.trim()
        return {"done": done, "before": before, "after": self._figures(force=True)}


def _collections() -> tuple[int, ...]:
    return tuple(g["collections"] for g in gc.get_stats())
