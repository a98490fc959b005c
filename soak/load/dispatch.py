"""Handing arrivals to slots: one timer for the next arrival that is due, and one idle slot woken for each.

A slot takes an arrival only when it is due, so a split of the rate, or its end, has nothing to take back. The slot
that came free last is woken first: its connection is the warmest, as in any pool.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from gevent.hub import Waiter, get_hub

from soak.load.engine import Arrival, Engine

SPIN_S = 0.0015
"""The event loop's timers are rounded up to a millisecond: to be sharper, wake this much early and go round."""


class Dispatcher:
    """The slots of one worker that wait for something to do.

    With `spin`, the loop goes round without sleeping for the last 1.5 ms before an arrival: it is then sent within
    microseconds of when it is due, for the CPU of those turns. Sockets are served in every turn.
    """

    def __init__(self, engine: Engine, *, spin: bool = False) -> None:
        self._engine = engine
        self._early = SPIN_S if spin else 0.0
        self._spinning = False
        self._loop = get_hub().loop
        self._idle: list[Any] = []
        self._timer: Any = None
        self._armed = 0.0

    def next(self) -> Arrival:
        """The next arrival for the slot that asks; blocks until it is due."""
        arrival = self._engine.claim(idle=False)
        if arrival is not None:
            self._engine.ledger.free_slots = 0
            return arrival
        waiter = Waiter()
        self._idle.append(waiter)
        self.rearm()
        try:
            taken: Arrival = waiter.get()
        except BaseException:  # killed while it waited
            if waiter in self._idle:
                self._idle.remove(waiter)
            raise
        return taken

    def rearm(self) -> None:
        """Set the timer to the next arrival; to be called when that may have changed."""
        due = self._engine.next_due()
        if self._spinning:
            return
        if self._timer is not None:
            if due == self._armed:
                return
            self._timer.stop()
            self._timer.close()
            self._timer = None
        if due is not None and self._idle:
            self._armed = due
            self._timer = self._loop.timer(max(0.0, due - self._early - monotonic()))
            self._timer.start(self._fire, update=True)

    def _fire(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None
        due = self._engine.next_due()
        self._spinning = bool(self._early and due is not None and self._idle and 0 < due - monotonic() <= self._early)
        if self._spinning:
            self._loop.run_callback(self._fire)
            return
        while self._idle and (arrival := self._engine.claim(idle=True)) is not None:
            slot = self._idle.pop()
            self._engine.ledger.free_slots = min(self._engine.ledger.free_slots, len(self._idle))
            slot.switch(arrival)
        self.rearm()
