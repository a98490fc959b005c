"""The pulse of a worker: a timer of the event loop itself, which costs less than a greenlet that sleeps.

It tells how late the loop runs what is due, which is the generator's own saturation before CPU shows it,
and gives up requests that have taken longer than their timeout, however their answers drip.
"""

from __future__ import annotations

from time import monotonic

import gevent
from gevent.hub import get_hub

from soak.load.engine import Engine

EVERY_S = 0.02
STALL_S = 0.25
"""A loop that stood still for longer is told with its beginning and end: it can be longer than an interval."""
_GIVE_UP = 5
"""Every so many beats: a request is given up at most 0.1 s after its timeout."""


class Pulse:
    """Beats from `start` on, for as long as the process lives."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._last = monotonic()
        self._beats = 0
        self._timer = get_hub().loop.timer(EVERY_S, EVERY_S)

    def start(self) -> None:
        """Begin to beat."""
        self._last = monotonic()
        self._timer.start(self._beat)

    def _beat(self) -> None:
        now, last = monotonic(), self._last
        self._engine.ledger.lag.record(max(0.0, now - last - EVERY_S))
        if now - last > STALL_S:
            self._engine.ledger.stalls.append((last - self._engine.zero, now - self._engine.zero))
        self._last = now
        self._beats += 1
        if self._beats % _GIVE_UP == 0:
            for arrival in self._engine.overtime(now):
                arrival.greenlet.throw(gevent.Timeout(self._engine.scenario.load.timeout))
