"""SIGINT and SIGTERM while a run goes on: the first ends the load and leads to a verdict."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any


class Interrupts:
    """How often a run was interrupted. The second time it does not wait for answers any more.

    Before there is anything to judge (`measuring`), and at the third, everything is ended at once.
    """

    def __init__(self) -> None:
        self.count = 0
        self.measuring = False

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count them in here; whoever handled them before does so again afterwards."""

        def note(_signal: int, _frame: FrameType | None) -> None:
            self.count += 1
            if not self.measuring or self.count > 2:
                raise KeyboardInterrupt

        before: list[tuple[signal.Signals, Callable[..., Any] | int | None]] = [
            (s, signal.signal(s, note)) for s in (signal.SIGINT, signal.SIGTERM)
        ]
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)
