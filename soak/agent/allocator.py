"""The C allocator's own figures, in bytes: what is held, what is free but kept.

Which allocator it is has to be known first: glibc's functions are there under jemalloc too, and say zero. Asking
glibc takes its arenas' locks while it walks all free chunks: 0.3 ms at ten thousand of them, 40 ms at a hundred
thousand, and every thread that allocates waits meanwhile. So the next look is put off by what the last one took, in
CPU time: the wait for the interpreter afterwards holds up nobody.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from time import monotonic, thread_time

_PATIENCE = 2_000
_PATIENCE_WHEN_SLOW = 10_000
"""A look may take one part in so many of the time between two."""
_SLOW_S = 0.005
"""From here on a look is a stall that a user could see."""
_LIBRARIES = (
    ("jemalloc", re.compile(r"/libjemalloc[^/]*\.so|/jemalloc")),
    ("tcmalloc", re.compile(r"/libtcmalloc[^/]*\.so")),
    ("mimalloc", re.compile(r"/libmimalloc[^/]*\.so")),
    ("musl", re.compile(r"/ld-musl-[^/]*\.so|/libc\.musl-")),
    ("glibc", re.compile(r"/libc[.-][^/]*so|/libc\.so")),
)


class _Mallinfo2(ctypes.Structure):
    """struct mallinfo2 of malloc.h (mallinfo(3))."""

    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
    )]  # fmt: skip


def written(library: ctypes.CDLL, write: Callable[[int], object]) -> bytes:
    """What a C function writes to a stream (open_memstream(3)); empty if it says that it did not."""
    library.open_memstream.restype = ctypes.c_void_p
    library.open_memstream.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.fclose.argtypes = library.free.argtypes = [ctypes.c_void_p]
    buffer, size = ctypes.c_void_p(), ctypes.c_size_t()
    stream = library.open_memstream(ctypes.byref(buffer), ctypes.byref(size))
    if not stream:
        return b""
    done = write(stream)
    library.fclose(stream)
    text = ctypes.string_at(buffer.value, size.value) if done and buffer.value else b""
    library.free(buffer)
    return text


class Allocator:
    """Reads the process's own allocator. `name` is what it was found to be."""

    def __init__(self) -> None:
        with open("/proc/self/maps") as maps:
            mapped = maps.read()
        self.name = next((name for name, pattern in _LIBRARIES if pattern.search(mapped)), "unknown")
        self._library = ctypes.CDLL(None)
        self._next = 0.0

    def look(self, force: bool = False) -> dict[str, float]:
        """`live` and `free` bytes, of glibc also in how many pieces (`holes`).

        Empty when they cannot be had, or would cost too much now.
        """
        now = monotonic()
        if now < self._next and not force:
            return {}
        began = thread_time()
        try:
            found = {"glibc": self._glibc, "jemalloc": self._jemalloc, "tcmalloc": self._tcmalloc}[self.name]()
        except (KeyError, AttributeError, OSError):
            return {}
        took = thread_time() - began
        self._next = now + (_PATIENCE if took < _SLOW_S else _PATIENCE_WHEN_SLOW) * took
        return found

    def trim(self) -> bool:
        """Give back to the kernel what is free (malloc_trim(3)); False where there is no such thing."""
        if self.name != "glibc":
            return False
        self._library.malloc_trim(0)
        return True

    def _glibc(self) -> dict[str, float]:
        mallinfo2 = getattr(self._library, "mallinfo2", None)
        if mallinfo2 is None:  # before glibc 2.33 its counts have 32 bits
            return self._malloc_info()
        mallinfo2.restype = _Mallinfo2
        info = mallinfo2()
        return {
            "live": float(info.uordblks + info.hblkhd),
            "free": float(info.fordblks),
            "holes": float(info.ordblks),
        }

    def _malloc_info(self) -> dict[str, float]:
        """The same from the last lines of malloc_info(3), which are the sums over all arenas."""
        text = written(self._library, lambda stream: self._library.malloc_info(0, ctypes.c_void_p(stream)) == 0)
        sums = text[text.rfind(b"</heap>") :]

        def read(kind: bytes, what: bytes) -> float:
            found = re.search(b'type="' + kind + b'"[^>]* ' + what + b'="(\\d+)"', sums)
            if found is None:
                raise OSError("malloc_info")
            return float(found[1])

        free = read(b"fast", b"size") + read(b"rest", b"size")
        holes = read(b"fast", b"count") + read(b"rest", b"count")
        return {"live": read(b"current", b"size") + read(b"mmap", b"size") - free, "free": free, "holes": holes}

    def _jemalloc(self) -> dict[str, float]:
        """Statistics as of now (jemalloc(3), stats.*): resident but not allocated is dirty pages and holes."""
        mallctl = getattr(self._library, "mallctl", None) or self._library.je_mallctl
        epoch = ctypes.c_uint64(1)
        mallctl(b"epoch", None, None, ctypes.byref(epoch), ctypes.c_size_t(ctypes.sizeof(epoch)))
        value, size = ctypes.c_size_t(), ctypes.c_size_t(ctypes.sizeof(ctypes.c_size_t))
        read = {}
        for name in ("allocated", "resident", "metadata"):
            if mallctl(b"stats." + name.encode(), ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0)):
                raise OSError(name)
            read[name] = float(value.value)
        return {"live": read["allocated"], "free": max(0.0, read["resident"] - read["metadata"] - read["allocated"])}

    def _tcmalloc(self) -> dict[str, float]:
        """Numeric properties (gperftools, malloc_extension.h)."""
        value = ctypes.c_size_t()
        read = {}
        for name in ("generic.current_allocated_bytes", "generic.heap_size", "tcmalloc.pageheap_unmapped_bytes"):
            if not self._library.MallocExtension_GetNumericProperty(name.encode(), ctypes.byref(value)):
                raise OSError(name)
            read[name] = float(value.value)
        live, heap, unmapped = read.values()
        return {"live": live, "free": max(0.0, heap - unmapped - live)}
