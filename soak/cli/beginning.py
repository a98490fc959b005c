"""SIGINT and SIGTERM while `soak` is still imported: nothing is open yet, so it ends with one line."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_Handler = Callable[[int, FrameType | None], Any] | signal.Handlers
_USUAL: dict[signal.Signals, _Handler] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
_EXIT = 130


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """End the process at once in here: a KeyboardInterrupt may be swallowed by what an import calls, or is a traceback.

    A signal that is ignored, or that the program which imports this handles, is left to it.
    """
    ours = threading.current_thread() is threading.main_thread()  # no other thread may ask for signals
    asked = [number for number, usual in _USUAL.items() if ours and signal.getsignal(number) is usual]
    for number in asked:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in asked:
            signal.signal(number, _USUAL[number])


def _end(_signal: int, _frame: FrameType | None) -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"soak: interrupted before it began\n")
    os._exit(_EXIT)
