"""The observer beside a target: looks at it and at its host at a pace, and keeps what it sees.

It looks in a thread of its own, so that a slow client never delays a look, and it keeps to a share of one core: a look
that costs more is taken less often.
"""

from __future__ import annotations

import os
import platform
import threading
from dataclasses import dataclass
from secrets import token_hex
from time import monotonic, thread_time
from typing import Any

import psutil

from soak import __version__
from soak.core.errors import TargetError
from soak.core.target import Target
from soak.probe.agent import AgentSense
from soak.probe.host import HostProbe
from soak.probe.message import TARGET, Look
from soak.probe.present import Present
from soak.probe.ring import Ring
from soak.probe.watch import Watch, senses_of

KEPT_S = 3600.0
"""A cut of so long loses nothing."""
KEPT_BYTES = 64 * 1024 * 1024
"""And never more than this is kept: a tree of 64 processes takes about 5 KiB a look."""
SHARE = 0.05
"""Of one core: what the looks may take."""
AGENT_S = 5.0
"""Between two looks of agents into their processes."""
_ALIVE_S = 30.0


@dataclass(frozen=True, slots=True)
class Watched:
    """How the target was named on the command line; one of the three."""

    pid: int | None = None
    port: int | None = None
    name: str | None = None

    def __str__(self) -> str:
        key = next(k for k in ("pid", "port", "name") if getattr(self, k) is not None)
        return f"{key} {getattr(self, key)}"

    @property
    def target(self) -> Target:
        """The same as the probes want it; nobody sends load to its URL."""
        return Target(url="http://127.0.0.1", pid=self.pid, port=self.port, name=self.name)


class Observer:
    """Looks and their ring. Raises TargetError when there is nothing to watch. `session` tells it from any other."""

    def __init__(self, watched: Watched, every: float) -> None:
        self.session = token_hex(8)
        self.every = every
        self.ring = Ring(round(KEPT_S / every), KEPT_BYTES)
        self.present = Present()
        self._zero = monotonic()
        self._watched = watched
        try:
            agent = AgentSense(TARGET, max(AGENT_S, every))
            agent.force = False  # whether there is load, nobody tells it
            self._watch = Watch(TARGET, watched.target, senses_of(TARGET, agent))
        except TargetError as error:
            raise TargetError(str(error).replace("target.", "--", 1)) from None
        self._host = HostProbe()
        self._last = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="soak-looks", daemon=True)

    def start(self) -> None:
        """Take the first look, then begin to look by itself."""
        self.look()
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()
        self._watch.close()

    @property
    def now(self) -> float:
        """Seconds since it began."""
        return monotonic() - self._zero

    @property
    def healthy(self) -> bool:
        """Whether it looks, and did so lately."""
        return self._thread.is_alive() and self.now - self._last < max(_ALIVE_S, 5 * self.every)

    def head(self) -> dict[str, Any]:
        """The head of an answer: who it is and what it watches."""
        root = self._watch.root
        return {
            "session": self.session,
            "now": self.now,
            "next": self.ring.next,
            "about": {
                "soak": __version__,
                "watches": str(self._watched),
                "root": f"{root.pid}@{root.started}",
                "alive": self.present.alive,
                "every": self.every,
                "host": platform.node(),
                "kernel": platform.release(),
                "cores": len(os.sched_getaffinity(0)),
                "memory": psutil.virtual_memory().total,
            },
        }

    def look(self) -> None:
        """Look at everything now, and keep it."""
        t = self.now
        seen, events = self._watch.look(t)
        samples = [self._host.sample(t), *seen]
        self.ring.add(Look(t, tuple(samples), tuple(events)).pack())
        self.present.see(samples, events)
        self._last = t

    def _run(self) -> None:
        due = self.now + self.every
        while not self._stop.wait(max(0.0, due - self.now)):
            before = thread_time()
            self.look()
            due = max(due + max(self.every, (thread_time() - before) / SHARE), self.now)
