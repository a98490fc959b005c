"""A window in which memray notes every allocation of the process: who allocates how much, and what stays.

memray (https://bloomberg.github.io/memray) must be importable in the host, or the soak that asks must have one for
the same Python. The tracker is entered and left by the agent's own thread: 5 to 35 ms, without a debugger.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

_RSS_FIELD = 1


def take(path: str, seconds: float, objects: bool, elsewhere: str, wait: Callable[[float], object]) -> dict[str, Any]:
    """Track for some seconds into the file at `path`; `objects`: Python's small objects too.

    `elsewhere` is a folder of packages that has a memray, if the host has none. Returns for how long it tracked and
    how long it all took (s), and resident bytes before and after. Raises ImportError, OSError, and RuntimeError when
    another tracker is at work.
    """
    memray = _import(elsewhere)
    before = _resident()
    began = perf_counter()
    destination = memray.FileDestination(path, overwrite=True, compress_on_exit=False)
    with memray.Tracker(destination=destination, native_traces=False, trace_python_allocators=objects):
        tracked = perf_counter()
        wait(seconds)
        over = perf_counter()
    return {
        "tracked_s": over - tracked,
        "taken_s": perf_counter() - began,
        "rss_before": before,
        "rss_after": _resident(),
        "objects": objects,
    }


def _spec(elsewhere: str) -> Any:
    try:
        found = importlib.util.find_spec("memray")
    except (ImportError, ValueError):
        found = None
    same = "/python%d.%d/" % sys.version_info[:2] in elsewhere  # a compiled module fits one version
    return elsewhere if found is None and same and os.path.isdir(f"{elsewhere}/memray") else found


def _import(elsewhere: str) -> Any:
    borrowed = _spec(elsewhere) == elsewhere and bool(elsewhere)
    if borrowed:
        sys.path.append(elsewhere)  # last, and only meanwhile: the host's own packages go first
    try:
        import memray

        return memray
    finally:
        if borrowed:
            sys.path.remove(elsewhere)


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[_RSS_FIELD]) * os.sysconf("SC_PAGE_SIZE")
