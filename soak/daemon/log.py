"""The daemon's log: a line for whatever happened, on standard error, for a person (text) or for a program (json).

A line of JSON has `time` (UTC), `level`, `event` (a word that does not change), `run` (its number, or null) and
`message`.
"""

from __future__ import annotations

import json
import logging
import re
import time
from typing import Literal, Protocol

Format = Literal["text", "json"]
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""What a terminal takes for an order, such as to hide a line."""
LOG = logging.getLogger("soak.daemon")


class Say(Protocol):
    """Takes one line of the log."""

    def __call__(self, event: str, text: str, *, run: int | None = None, level: int = logging.INFO) -> None:
        """`event` names what happened, `text` says it, `run` is the number of the run that it is about."""


def say(event: str, text: str, *, run: int | None = None, level: int = logging.INFO, error: bool = False) -> None:
    """Write one line. `error`: with where in the program the exception in hand was raised."""
    LOG.log(level, text, extra={"event": event, "run": run}, exc_info=error)


def log_to_stderr(form: Format) -> None:
    """Have the log written to standard error in this form."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if form == "json" else _Text())
    LOG.handlers = [handler]
    LOG.setLevel(logging.INFO)
    LOG.propagate = False


class _Text(logging.Formatter):
    def __init__(self) -> None:
        self.converter = time.gmtime
        super().__init__("%(asctime)sZ %(levelname)s %(subject)s%(message)s", "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        run = getattr(record, "run", None)
        record.subject = f"run {run}: " if run is not None else ""
        said = " / ".join(record.getMessage().splitlines())  # what a target or a caller said begins no line of its own
        record.msg, record.args = _CONTROL.sub(lambda found: ascii(found[0])[1:-1], said), None
        return super().format(record)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": getattr(record, "event", "other"),
            "run": getattr(record, "run", None),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
