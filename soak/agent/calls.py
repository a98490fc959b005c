"""How often each Python function is called, counted for a moment.

From 3.12 on in all threads (sys.monitoring, PEP 669). Before that a profile function can only be set by a thread for
itself, and the only thread that can be asked to is the main one (Py_AddPendingCall): the others are not counted.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from time import perf_counter
from types import CodeType, FrameType
from typing import Any

Wait = Callable[[float], object]
_TOOLS = (4, 3, 1)
"""Identifiers that debuggers, profilers and coverage usually leave alone (sys.monitoring)."""


class Calls:
    """Calls by function, counted by identity: from 3.12 on a code object's hash is made of all its instructions."""

    def __init__(self) -> None:
        self._times: dict[int, int] = {}
        self._codes: dict[int, CodeType] = {}

    def note(self, code: CodeType) -> None:
        """One call more."""
        key = id(code)
        if key in self._times:
            self._times[key] += 1
        else:
            self._codes[key] = code
            self._times[key] = 1

    def most(self, at_most: int) -> list[tuple[CodeType, int]]:
        """The most frequent."""
        ordered = sorted(self._times.items(), key=lambda item: item[1], reverse=True)
        return [(self._codes[key], times) for key, times in ordered[:at_most]]


def left(wait: Wait) -> bool:
    """Whether the main thread has left our profile function; waits for it a while.

    Until then nobody else may set one: to take ours out would take out theirs, and memray's host dies of that.
    """
    late = perf_counter() + _LEAVES_S
    while _IN["main"] and perf_counter() < late:
        wait(0.001)
    return not _IN["main"]


def count(seconds: float, wait: Wait) -> tuple[float, str, Calls]:
    """Calls by function; how long they were counted (s), and in which threads: `all`, `main` or `none`."""
    if hasattr(sys, "monitoring"):
        return _monitored(seconds, wait)
    return _profiled(seconds, wait)


def _monitored(seconds: float, wait: Wait) -> tuple[float, str, Calls]:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined]
    calls = Calls()
    tool = next((t for t in _TOOLS if monitoring.get_tool(t) is None), None)
    if tool is None:
        return 0.0, "none", calls

    def entered(code: CodeType, _offset: int) -> None:
        calls.note(code)

    monitoring.use_tool_id(tool, "soak")
    try:
        monitoring.register_callback(tool, monitoring.events.PY_START, entered)
        monitoring.set_events(tool, monitoring.events.PY_START)
        began = perf_counter()
        wait(seconds)
        monitoring.set_events(tool, 0)
        return perf_counter() - began, "all", calls
    finally:
        monitoring.set_events(tool, 0)
        monitoring.register_callback(tool, monitoring.events.PY_START, None)
        monitoring.free_tool_id(tool)


_PENDING = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_NOW: dict[str, Calls | None] = {"calls": None, "counted": None}
"""What is counted now, and what the main thread has begun to count. It may come to that long after we left."""
_IN = {"main": False}
"""Whether the main thread has our profile function, or is about to take it."""
_LEAVES_S = 5.0
"""A main thread that runs leaves at once; one that is busy in C, or finds no core, does so later."""


def _entered(frame: FrameType, event: str, _argument: object) -> None:
    calls = _NOW["calls"]
    if calls is None:
        sys.setprofile(None)  # it did not come to it by itself
        _IN["main"] = False
    elif event == "call":
        calls.note(frame.f_code)


def _begin(_nothing: object) -> int:
    _IN["main"] = True  # before it looks: whoever leaves says so first, and looks at this after
    if sys.getprofile() is None and _NOW["calls"] is not None:
        sys.setprofile(_entered)
        _NOW["counted"] = _NOW["calls"]
    else:
        _IN["main"] = False
    return 0


def _end(_nothing: object) -> int:
    if sys.getprofile() is _entered and _NOW["calls"] is None:
        sys.setprofile(None)
    _IN["main"] = False
    return 0


_FIRST, _LAST = _PENDING(_begin), _PENDING(_end)


def _profiled(seconds: float, wait: Wait) -> tuple[float, str, Calls]:
    """The main thread runs what it is asked to between two of its own instructions."""
    calls = Calls()
    _NOW["calls"] = calls
    try:
        ctypes.pythonapi.Py_AddPendingCall(_FIRST, None)
        began = perf_counter()
        wait(seconds)
    finally:
        _NOW["calls"] = None
    took = perf_counter() - began
    ctypes.pythonapi.Py_AddPendingCall(_LAST, None)
    left(wait)
    counted, _NOW["counted"] = _NOW["counted"] is calls, None
    return (took, "main", calls) if counted else (0.0, "none", calls)
