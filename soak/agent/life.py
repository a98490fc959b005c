"""When the agent begins and ends: with its process, and around every fork.

Before a fork the thread ends, and both sides start it anew: a process that forks while it has other threads may give
its child a lock that nobody will ever open, and Python warns of it from 3.12 on. It looks for threads when all hooks
are through, so the parent's comes back a moment later, when the interpreter goes on.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from typing import Any

from .server import FOLDER, Agent, originals, own_folder

_GUARD_PATIENCE_S = 5.0


def start() -> None:
    """Start the agent of this process, unless it has one. Never raises."""
    if hasattr(sys, _MARK) or not sys.platform.startswith("linux"):
        return
    try:
        if "eventlet.patcher" in sys.modules or not _in_main_interpreter():
            return  # its threads are not the interpreter's; or it ends before its process does
        agent = Agent(os.environ.get(FOLDER) or own_folder())
        agent.begin()
        setattr(sys, _MARK, True)  # it may have been loaded under another name, too
        _STATE["agent"] = agent
        os.register_at_fork(before=_before_fork, after_in_parent=_again, after_in_child=_again_in_child)
        atexit.register(_at_exit)
    except Exception:  # the host's start matters more
        pass


def _in_main_interpreter() -> bool:
    for name in ("_interpreters", "_xxsubinterpreters"):
        with contextlib.suppress(ImportError):
            current = __import__(name).get_current()
            return int(current[0] if isinstance(current, tuple) else current) == 0
    return True


_MARK = "_soak_agent"
_STATE: dict[str, Any] = {"agent": None, "later": None, "owner": None, "guard": originals()[1]()}
"""`guard` is held while the thread is ended or begun, from before a fork until after it: forks may come from many
threads at once."""


def _before_fork() -> None:
    with contextlib.suppress(Exception):
        me = _ident()
        if _STATE["owner"] != me:  # a signal's handler may fork while we are at it
            _STATE["guard"].acquire(True, _GUARD_PATIENCE_S)
            _STATE["owner"] = me
        _STATE["agent"].end()
        if _STATE["later"] is None:
            import ctypes
            from functools import partial

            _STATE["later"] = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(_resume)
            # registered only now, it is called after the hooks of the host's modules; not being Python code itself,
            # it does not give the interpreter an occasion to go on
            os.register_at_fork(after_in_parent=partial(ctypes.pythonapi.Py_AddPendingCall, _STATE["later"], None))


def _again() -> None:
    """In the parent: what is pending is done by the main thread, and another one that forks cannot wait for it."""
    with contextlib.suppress(Exception):
        _release()
        threading = sys.modules.get("threading")
        if threading is not None and _ident() != threading.main_thread().ident:
            _resume(None)


def _resume(_nothing: object) -> int:
    """What the interpreter calls when it goes on after a fork; if another fork has begun, that one will see to it."""
    with contextlib.suppress(Exception):
        guard = _STATE["guard"]
        if guard.acquire(False):
            try:
                _STATE["agent"].resume()
            finally:
                guard.release()
    return 0


def _again_in_child() -> None:
    """The parent's calls may be pending here too: until all is done, the guard keeps them out."""
    with contextlib.suppress(Exception):
        _, lock, *_ = originals()
        guard = lock()
        guard.acquire()
        _STATE["guard"], _STATE["owner"] = guard, None
        try:
            _STATE["agent"].forget()
            _STATE["agent"].begin()
        finally:
            guard.release()


def _at_exit() -> None:
    agent, _STATE["agent"] = _STATE["agent"], None  # nothing begins any more
    _STATE["guard"].acquire(True, _GUARD_PATIENCE_S)
    try:
        agent.end()
    finally:
        _release()


def _release() -> None:
    _STATE["owner"] = None
    with contextlib.suppress(RuntimeError):
        _STATE["guard"].release()


def _ident() -> int:
    from _thread import get_ident

    return get_ident()
