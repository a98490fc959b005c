"""RecursionErrors that the host met: those that it logged with their traceback, and those that nobody caught."""

from __future__ import annotations

import sys
from typing import Any

_LONGEST = 20
_SEEN = "_soak_seen"


class RecursionErrors:
    """Counts them. It sees what passes the logging module and the hooks for uncaught exceptions."""

    def __init__(self) -> None:
        self.seen = 0
        self._watched: set[str] = set()

    def watch(self) -> None:
        """Stand in the way of what the host has imported by now. Costs nothing when it is done already."""
        for module, install in (("logging", self._logging), ("threading", self._threading)):
            if module not in self._watched and module in sys.modules and self._ready(sys.modules[module]):
                self._watched.add(module)
                install(sys.modules[module])

    def note(self, error: BaseException | None) -> None:
        """Count an exception if it is a RecursionError, or was caused by one; the same one only once."""
        for _ in range(_LONGEST):
            if error is None:
                return
            if isinstance(error, RecursionError):
                # to keep the last one would keep all that its frames hold, and its identity is used again
                if not getattr(error, _SEEN, False):
                    setattr(error, _SEEN, True)
                    self.seen += 1
                return
            error = error.__cause__ or error.__context__

    @staticmethod
    def _ready(module: Any) -> bool:
        """Whether a module is imported whole: the host's thread may be in the middle of it."""
        return hasattr(module, "setLogRecordFactory") or hasattr(module, "excepthook")

    def _logging(self, logging: Any) -> None:
        made = logging.getLogRecordFactory()

        def factory(*arguments: Any, **named: Any) -> Any:
            record = made(*arguments, **named)
            info = getattr(record, "exc_info", None)
            if isinstance(info, tuple) and len(info) == 3:
                self.note(info[1])
            return record

        logging.setLogRecordFactory(factory)

    def _threading(self, threading: Any) -> None:
        uncaught = threading.excepthook

        def hook(arguments: Any, /) -> None:
            self.note(arguments.exc_value)
            uncaught(arguments)

        threading.excepthook = hook
