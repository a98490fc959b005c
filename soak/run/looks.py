"""When to look closely: early and late in the soak, as often as asked for, and when something is suspected.

The cheap watch goes on all the time; what costs the target something is done in short windows, which are then left out
of what is judged. Two looks at least, so that a report can say what grew between them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from soak.core.inspection import REHEARSAL
from soak.core.records import PhaseName
from soak.core.scenario import Scenario
from soak.core.verdict import Finding
from soak.probe import AgentSense, Attach, Inspection, trim

_SUSPECTS = ("memory_growth", "object_leak", "native_leak", "fragmentation", "pymalloc_fragmentation", "retention")
_HOT_S = 5.0
_OVERHEAD_S = 2.0
_APART = 0.2
"""Of the soak: a suspicion so soon after another look has nothing new to see."""


class Looks:
    """Orders inspections from the agents of all sides at once: what one suffers the other must, to be compared."""

    def __init__(self, scenario: Scenario, senses: Sequence[AgentSense], scratch: Path) -> None:
        self._senses = senses
        self._scratch = scratch
        self._window = scenario.probe.window
        self._seconds = scenario.inspection_s
        self._hot = min(_HOT_S, scenario.phases.soak / 15)
        self._soak = scenario.phases.soak
        self._took = self._hot + self._seconds + _OVERHEAD_S
        self._debugger = scenario.probe.attach
        self._plan: list[float] = []
        self._last = -math.inf
        self._suspected = False
        self._rehearsed: set[int] = set()

    def enter(self, phase: PhaseName, at: float, end: float = math.inf) -> None:
        """A phase lasts from `at` to `end`, in seconds since the start of the run; the rest of a resumed soak."""
        for sense in self._senses:
            sense.force = phase in ("idle_before", "idle_after")
            if self._debugger is not None and phase == "warmup":
                sense.order(Attach(self._debugger))
        if phase == "soak":
            length = min(self._soak, end - at)
            early, late = at + min(0.05 * length, 60.0), at + length - self._took
            every = self._window.every if self._window and self._window.every else math.inf
            between = [early + i * every for i in range(1, int((late - early) / every)) if math.isfinite(every)]
            self._plan = [early, *between, late] if late > early + self._took else []
        elif phase != "warmup":
            self._plan = []

    def tick(self, now: float, phase: PhaseName, findings: Iterable[Finding]) -> None:
        """Order what is due at `now`."""
        if phase in ("idle_before", "warmup"):
            self._rehearse()
        if self._plan and now >= self._plan[0]:
            self._plan.pop(0)
            self._order(now, "planned")
        elif self._plan and not self._suspected and now - self._last > _APART * self._soak:
            suspect = next((f for f in findings if f.cause in _SUSPECTS and f.severity == "fail"), None)
            if suspect is not None and self._plan[0] - now > _APART * self._soak:
                self._suspected = True
                self._order(now, f"suspected: {suspect.cause}")

    def conclude(self, now: float) -> float:
        """Have the late look now, for the load ends early; for how many seconds the load must go on for it."""
        if not self._plan or not any(sense.present for sense in self._senses):
            return 0.0
        self._plan = []
        if now - self._last > _APART * self._soak:
            self._order(now, "before an early end")
        return max(0.0, self._last + self._took - now)

    def trim(self) -> None:
        """Have every process give back what its allocator keeps: what comes back was retention, not fragmentation."""
        for sense in self._senses:
            if sense.present:
                sense.order(trim)

    def _order(self, now: float, why: str) -> None:
        self._last = now
        seconds, objects = (self._seconds, self._window.objects) if self._window else (0.0, False)
        for sense in self._senses:
            if sense.present and not sense.busy:
                sense.order(Inspection(why, seconds, self._hot, objects, self._scratch))

    def _rehearse(self) -> None:
        """Before anything is judged, track for a moment: the first time loads memray, and that memory stays."""
        for sense in self._senses:
            if self._window and sense.present and id(sense) not in self._rehearsed:
                self._rehearsed.add(id(sense))
                sense.order(Inspection(REHEARSAL, 0.1, 0.0, self._window.objects, self._scratch))
