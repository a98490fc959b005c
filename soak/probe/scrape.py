"""What a target tells at a door of its own: figures of its allocator and runtime that nobody sees from outside.

A thread asks, at a pace: a door that is slow, gone or hostile delays no look, and is one event until it answers again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from time import monotonic

from soak.core.records import Event, Sample
from soak.core.scrape import Scrape
from soak.probe.line import DoorError
from soak.probe.procfs import Stat
from soak.probe.scrape_prometheus import read_prometheus
from soak.probe.scrape_redis import read_redis

_OUTSIDE = ("memory.rss", "process.fds")
"""Figures of the process that the kernel tells better, wherever it is asked."""
_INSIDE = ("memory.live", "memory.free_in_heap", "memory.fragmentation")
"""Figures that an agent in the process tells too, of all its allocators together."""


class ScrapeSense:
    """Asks one door every so many seconds. `watched`: a process is looked at beside it; `agent`: has one answered?

    `size` is a name on a Prometheus page that tells how much data there is.
    """

    def __init__(
        self, side: str, scrape: Scrape, every: float, watched: bool, agent: Callable[[], bool], size: str | None = None
    ) -> None:
        self.side = side
        self._scrape = scrape
        self._every = every
        self._size = size
        self._watched = watched
        self._agent = agent
        self._offset: float | None = None
        self._open: bool | None = None
        self._done: list[tuple[float, dict[str, float]]] = []
        self._events: list[tuple[float, str, str, dict[str, object]]] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"soak-scrape-{side}", daemon=True)

    def look(self, t: float, members: Sequence[Stat]) -> list[Sample]:  # noqa: ARG002
        """What came in since the last call."""
        self._offset = t - monotonic()
        if self._thread.ident is None and not self._stop.is_set():
            self._thread.start()
        with self._lock:
            done, self._done = self._done, []
        return [Sample(at + self._offset, self.side, values) for at, values in done]

    def events(self) -> list[Event]:
        """What happened since the last call."""
        with self._lock:
            events, self._events = self._events, []
        return [Event(at + (self._offset or 0.0), kind, self.side, text, data) for at, kind, text, data in events]

    def close(self) -> None:
        """Ask no more. A question that is under way is not waited for."""
        self._stop.set()

    def _run(self) -> None:
        due = monotonic()
        while not self._stop.wait(max(0.0, due - monotonic())):
            self._ask()
            due = max(due + self._every, monotonic() + self._every / 2)

    def _ask(self) -> None:
        name = self._scrape.name
        try:
            values, allocator = self._read()
        except Exception as error:  # whatever a stranger's answer leads to must not end the thread
            if self._open is not False:
                why = str(error) if isinstance(error, DoorError) else f"cannot be read: {type(error).__name__}"
                self._note("door_lost", f"{name} {why}", {"door": name})
            self._open = False
            return
        if self._open is None:
            of = f" of {allocator}" if allocator else ""
            self._note("door", f"{name} tells figures{of}", {"door": name, "allocator": allocator})
        elif not self._open:
            self._note("door_back", f"{name} answers again", {"door": name, "allocator": allocator})
        self._open = True
        hidden = (_OUTSIDE if self._watched else ()) + (_INSIDE if self._agent() else ())
        with self._lock:
            self._done.append((monotonic(), {m: v for m, v in values.items() if m not in hidden}))

    def _read(self) -> tuple[dict[str, float], str]:
        if self._scrape.prometheus is not None:
            return read_prometheus(self._scrape, self._size)
        variable = self._scrape.variable
        return read_redis(self._scrape, os.environ.get(variable) if variable is not None else None)

    def _note(self, kind: str, text: str, data: dict[str, object]) -> None:
        text = "".join(c if c.isprintable() else "?" for c in text)  # a stranger's words end up on a terminal
        with self._lock:
            self._events.append((monotonic(), kind, text, data))
