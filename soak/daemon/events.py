"""A run as it goes on, as server-sent events (WHATWG HTML, section 9.2).

    event: run     how the job is now; at first, and whenever it changes
    event: line    a line that the run said; its id is where the next one begins in the run's log (bytes)
    event: end     how the job ended; the last one

Whoever was cut off shows the last id it saw (Last-Event-ID), and gets every line after it, once.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from soak.daemon.job import Job
from soak.daemon.process import log_path

_LOOK_S = 0.5
_ALIVE_S = 15.0
_PIECE = 64 * 1024
_MOST_WATCHERS = 256


@dataclass(slots=True)
class Watchers:
    """How many watch now, pages and programs together: half of all connections at most."""

    count: int = 0

    def refuse_more(self) -> None:
        """Raises HTTPException when there are too many."""
        if self.count >= _MOST_WATCHERS:
            raise HTTPException(503, f"{_MOST_WATCHERS} watch already")


class Watched(StreamingResponse):
    """Events as an answer. Counted from when it is made: no rush of watchers slips in before the first."""

    def __init__(
        self, shown: AsyncIterator[str], watchers: Watchers, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", **headers}
        super().__init__(shown, media_type="text/event-stream", headers=headers)
        self._watchers = watchers
        watchers.count += 1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the last, or until nobody watches."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._watchers.count -= 1


async def events(job_now: Callable[[], Job | None], shown: Callable[[Job], str], after: int) -> AsyncIterator[str]:
    """The events of a job; `shown` makes its JSON, `after` is where in the log to go on (bytes)."""
    before, quiet = "", 0.0
    while (job := job_now()) is not None:
        said = False
        ended = job.state == "ended"
        if (now := shown(job)) != before and not ended:
            yield _event("run", now, after)
            before, said = now, True
        if job.run_file is not None:
            # a run that had ended before this look has said all it will say
            while piece := await asyncio.to_thread(_lines, log_path(job.run_file), after, ended):
                for line, end in piece:
                    yield _event("line", line, end)
                after, said = piece[-1][1], True
        if ended:
            yield _event("end", now, after)
            return
        quiet = 0.0 if said else quiet + _LOOK_S
        if quiet >= _ALIVE_S:
            yield ": still here\n\n"
            quiet = 0.0
        await asyncio.sleep(_LOOK_S)


def _event(kind: str, data: str, number: int) -> str:
    return f"event: {kind}\nid: {number}\ndata: {data}\n\n"


def _lines(log: Path, after: int, whole: bool) -> list[tuple[str, int]]:
    """Lines from `after` on, each with where it ends; one that is not finished yet only if no more will come."""
    try:
        with log.open("rb") as file:
            file.seek(after)
            piece = file.read(_PIECE)
    except OSError:
        return []
    found = []
    for line in io.BytesIO(piece):
        if not line.endswith(b"\n") and not whole and len(piece) < _PIECE:
            break
        after += len(line)
        text = line.decode(errors="replace").rstrip("\r\n")
        found.append(("".join(c if c.isprintable() else " " for c in text), after))
    return found
