"""Python's own allocator for small objects (Objects/obmalloc.c): bytes in use, and bytes that its arenas keep.

An arena goes back to the kernel only when nothing in it is in use. The figures are those of
`sys._debugmallocstats()`; that writes to the process's standard error, so the function behind it is given a stream of
its own.
"""

from __future__ import annotations

import ctypes
import re
import sys
from time import monotonic, thread_time

from .allocator import written

_PATIENCE = 1_000
_LINES = {
    "live": re.compile(rb"^# bytes in allocated blocks\s*=\s*([\d,]+)", re.MULTILINE),
    "free": re.compile(rb"^# bytes in available blocks\s*=\s*([\d,]+)", re.MULTILINE),
    "unused": re.compile(rb"^\d+ unused pools \* \d+ bytes\s*=\s*([\d,]+)", re.MULTILINE),
}


class Pymalloc:
    """Reads the arenas, holding the interpreter lock: 0.2 ms, some ms when there are millions of objects."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        self._write = getattr(ctypes.pythonapi, "_PyObject_DebugMallocStats", None)
        if self._write is not None:
            self._write.argtypes = [ctypes.c_void_p]
        self._next = 0.0

    def look(self, force: bool = False) -> dict[str, float]:
        """`live` and `slack` bytes, and `blocks`, the objects in use; empty when it would cost too much now."""
        now = monotonic()
        if now < self._next and not force:
            return {}
        began = thread_time()
        found = {"blocks": float(sys.getallocatedblocks())}
        text = self._text()
        read = {name: pattern.search(text) for name, pattern in _LINES.items()}
        if all(read.values()):
            number = {name: float(match[1].replace(b",", b"")) for name, match in read.items() if match}
            found["live"] = number["live"]
            found["slack"] = number["free"] + number["unused"]
        elif self._write is not None and not text:  # PYTHONMALLOC=malloc: there are no arenas
            found["live"] = found["slack"] = 0.0
        self._next = now + _PATIENCE * (thread_time() - began)
        return found

    def _text(self) -> bytes:
        """What the interpreter writes of its arenas; empty where it does not export how (or uses plain malloc)."""
        return written(self._library, self._write) if self._write is not None else b""
