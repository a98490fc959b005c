"""The engine of one worker: hands out arrivals, settles them, and keeps the account of each.

Users are connection slots. An open-model slot takes the next arrival of the shared schedule, whoever is
free first; its latency runs from when the arrival was due, however late a slot came free. A closed-model
slot is a plain Locust user and paces itself, for comparison.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from time import monotonic
from typing import Any

from soak.core.records import TASK, UNSERVED, Outcome
from soak.core.scenario import Scenario
from soak.load.ledger import Health, Ledger, Report
from soak.load.mix import Mix
from soak.load.schedule import WHOLE, Part, Schedule, Share


@dataclass(slots=True, eq=False)
class Arrival:
    """One arrival in a slot's hands: `due` on the monotonic clock, its number and draws, and what came of it.

    While a request of it is under way, that is given up at `deadline`, in `greenlet`.
    """

    due: float
    early: bool
    index: int
    pick: float
    draw: int
    sent: float | None = None
    timed: bool = False
    outcome: Outcome = "ok"
    deadline: float = math.inf
    greenlet: Any = None


class Engine:
    """All slots of one worker share it. Times are on the monotonic clock unless said otherwise."""

    def __init__(
        self,
        scenario: Scenario,
        schedule: Schedule | None,
        ledger: Ledger,
        zero: float,
        mix: Mix | None,
        part: Part = WHOLE[0],
        since: float = 0.0,
    ) -> None:
        self.scenario = scenario
        self.ledger = ledger
        self.mix = mix
        self.zero = zero
        self.begin = math.inf
        self.until = math.inf
        self.in_hand: set[Arrival] = set()
        self._timeout = scenario.load.timeout
        self._own = 0
        self._part = part
        self._rng = Random(f"{scenario.load.seed}/{part.index}")
        self._share = Share(schedule, [part]) if schedule else None
        self._falling_due = Share(schedule, [part]) if schedule else None
        if since:
            for share in filter(None, (self._share, self._falling_due)):
                share.forward(since)

    def start(self, begin: float) -> None:
        """Load starts at `begin` and ends by itself when the schedule does."""
        self.begin = begin
        self.until = min(self.until, begin + self.scenario.load_s)  # a stop may have come first

    def stop(self, at: float) -> None:
        """Let nothing begin that falls due at or after `at`.

        Told too late, it stops now: what has begun by then is part of the account.
        """
        self.until = min(self.until, max(at, monotonic()))

    def resplit(self, at: float, index: int, of: int) -> None:
        """Own another share from `at` (s since the start of load) on, or from now when told too late."""
        self._part = Part(max(at, monotonic() - self.begin), index, of)
        if self._share is not None and self._falling_due is not None:
            self._share.resplit(self._part)
            self._falling_due.resplit(self._part)

    def shift(self, seconds: float) -> None:
        """The clock that all times are given by was found to be so much ahead of what it was taken for."""
        self.zero -= seconds
        self.begin -= seconds
        self.until -= seconds

    @property
    def parts(self) -> list[Part]:
        """Which shares of the schedule it owned from when on."""
        return self._share.parts if self._share is not None else []

    def next_due(self) -> float | None:
        """When the next arrival falls due; None when there is none to come, as far as is known."""
        due = self._share.peek() if self._share is not None else None
        return due + self.begin if due is not None and due + self.begin < self.until else None

    def claim(self, *, idle: bool) -> Arrival | None:
        """An arrival that is due, for a slot that waited for it (`idle`) or has just come free; None if none is.

        One that waited longer than the request timeout for a slot is given up here: whoever sent it
        would have gone away. It counts as unserved and as a failure as slow as it was.
        """
        now = monotonic()
        while (due := self.next_due()) is not None and due <= now:
            assert self._share is not None
            index, _, pick, draw = self._share.take()
            if now - due > self._timeout:
                self._give_up(now - due, pick)
                continue
            if not idle:
                self.ledger.no_slot += 1
            arrival = Arrival(due, idle, index, pick, draw)
            self.in_hand.add(arrival)
            return arrival
        return None

    def claim_own(self, due: float) -> Arrival | None:
        """The next arrival of a closed-model user, due when the user itself means to make it."""
        if due >= self.until:
            return None
        index = self._part.index + self._own * self._part.of
        self._own += 1
        arrival = Arrival(due, False, index, self._rng.random(), self._rng.getrandbits(63))
        self.in_hand.add(arrival)
        return arrival

    def settle(self, arrival: Arrival) -> None:
        """The task of an arrival has ended: it is done or failed."""
        if arrival in self.in_hand:
            self.in_hand.discard(arrival)
            if arrival.outcome == "ok":
                self.ledger.done += 1
            else:
                self.ledger.failed += 1

    def request(self, arrival: Arrival | None, endpoint: str, outcome: Outcome, service: float) -> None:
        """Record one request and what became of it; `service` is its time from the send (s).

        Only the first request of an arrival can be late: those that follow begin when it answers.
        """
        latency = service
        if arrival is not None:
            if outcome != "ok":
                arrival.outcome = outcome
            if not arrival.timed:
                arrival.timed = True
                sent = arrival.sent if arrival.sent is not None else monotonic() - service
                if self._share is not None:
                    lateness = max(0.0, sent - arrival.due)
                    latency += lateness
                    if arrival.early:
                        self.ledger.wake.record(lateness)
        self.ledger.request(endpoint, outcome, latency, service)

    def raised(self, arrival: Arrival | None, text: str) -> None:
        """Record an exception of a locustfile: it fails the arrival in hand, whatever requests it made before."""
        self.ledger.error(TASK, text)
        if arrival is not None:  # without one it was a user that starts
            arrival.outcome = "failed"
            self.ledger.request(TASK, "failed", max(0.0, monotonic() - arrival.due), None)

    def journey(self, arrival: Arrival, name: str, paused: float) -> None:
        """Record a journey that has ended, `paused` (s) of it by its visitor's own will."""
        self.ledger.journey(name, arrival.outcome, max(0.0, monotonic() - arrival.due - paused))

    def overtime(self, now: float) -> list[Arrival]:
        """Arrivals whose request has taken longer than the timeout; each is given once for a request."""
        late = [a for a in self.in_hand if a.deadline <= now]
        for arrival in late:
            arrival.deadline = math.inf
        return late

    @property
    def over(self) -> bool:
        """Whether load has ended and every answer is in, or will not be waited for any longer."""
        now = monotonic()
        if now < self.until:
            return False
        return now >= self.until + self.scenario.drain_s or not (self.in_hand or self.next_due() is not None)

    def abandon(self) -> None:
        """The drain is over: what never got a slot is unserved, what is still in flight is lost."""
        now = monotonic()
        while (due := self.next_due()) is not None:
            assert self._share is not None
            _, _, pick, _ = self._share.take()
            self._give_up(now - due, pick)
        self.ledger.lost += len(self.in_hand)
        self.in_hand.clear()

    def report(
        self, start: float, end: float, cpu: float, rss: int, waited: float = 0.0, *, last: bool = False
    ) -> Report:
        """The account of the stretch [start, end), in seconds since the start of the run."""
        health = Health(cpu, rss, len(self.in_hand), waited)
        return self.ledger.report(start, end, self._fell_due(self.zero + end), health, last=last)

    def _fell_due(self, until: float) -> int:
        """Arrivals of this worker that fell due since the last report; closed: those that were settled."""
        if self._falling_due is None:
            ledger = self.ledger
            return ledger.done + ledger.failed + ledger.unserved + ledger.lost
        return self._falling_due.skip_until(min(until, self.until) - self.begin)

    def _give_up(self, waited: float, pick: float) -> None:
        self.ledger.unserved += 1
        endpoint = UNSERVED
        if self.mix is not None:
            action = self.mix.choose(pick)
            endpoint = action.first.endpoint
            if action.journey is not None:
                self.ledger.journey(action.journey, "timeout", waited)
        self.ledger.request(endpoint, "timeout", waited, None)
        self.ledger.error(endpoint, "no slot came free before the request timeout")
