"""How often each Python function is called, counted for a moment.

From 3.12 on in all threads (sys.monitoring, PEP 669). Before that a profile function can only be set by a thread for
itself, and the only thread that can be asked to is the main one (Py_AddPendingCall): the others are not counted.
"""

from __future__ import annotations

import ctypes
import sys
from collections import Counter
from collections.abc import Callable
from time import perf_counter
from types import CodeType, FrameType
from typing import Any

Wait = Callable[[float], object]
_TOOLS = (4, 3, 1)
"""Identifiers that debuggers, profilers and coverage usually leave alone (sys.monitoring)."""


def count(seconds: float, wait: Wait) -> tuple[float, str, Counter[CodeType]]:
    """Calls by function; how long they were counted (s), and in which threads: `all`, `main` or `none`."""
    if hasattr(sys, "monitoring"):
        return _monitored(seconds, wait)
    return _profiled(seconds, wait)


def _monitored(seconds: float, wait: Wait) -> tuple[float, str, Counter[CodeType]]:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined]
    counts: Counter[CodeType] = Counter()
    tool = next((t for t in _TOOLS if monitoring.get_tool(t) is None), None)
    if tool is None:
        return 0.0, "none", counts

    def entered(code: CodeType, _offset: int) -> None:
        counts[code] += 1

    monitoring.use_tool_id(tool, "soak")
    try:
        monitoring.register_callback(tool, monitoring.events.PY_START, entered)
        monitoring.set_events(tool, monitoring.events.PY_START)
        began = perf_counter()
        wait(seconds)
        monitoring.set_events(tool, 0)
        return perf_counter() - began, "all", counts
    finally:
        monitoring.set_events(tool, 0)
        monitoring.register_callback(tool, monitoring.events.PY_START, None)
        monitoring.free_tool_id(tool)


_PENDING = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


def _profiled(seconds: float, wait: Wait) -> tuple[float, str, Counter[CodeType]]:
    """The main thread runs what it is asked to between two of its own instructions."""
    counts: Counter[CodeType] = Counter()
    state = {"on": False, "over": False}

    def entered(frame: FrameType, event: str, _argument: object) -> None:
        if state["over"]:
            sys.setprofile(None)  # it did not come to it by itself
        elif event == "call":
            counts[frame.f_code] += 1

    def begin(_nothing: object) -> int:
        if sys.getprofile() is None and not state["over"]:
            sys.setprofile(entered)
            state["on"] = True
        return 0

    def end(_nothing: object) -> int:
        if sys.getprofile() is entered:
            sys.setprofile(None)
        return 0

    first, last = _PENDING(begin), _PENDING(end)
    _KEPT.append((first, last))  # the main thread may come to them long after this returned
    ctypes.pythonapi.Py_AddPendingCall(first, None)
    began = perf_counter()
    wait(seconds)
    state["over"] = True
    took = perf_counter() - began
    ctypes.pythonapi.Py_AddPendingCall(last, None)
    return (took, "main", counts) if state["on"] else (0.0, "none", counts)


_KEPT: list[object] = []
