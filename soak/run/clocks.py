"""The host's clocks against each other: a wall clock that was set, a machine that was suspended."""

from __future__ import annotations

import time

from soak.core import units
from soak.core.records import Event

STEP_S = 0.5
"""NTP slews by 0.5 ms a second at most (RFC 5905, section 11.3): so much within one look was a step."""
_SLEPT_S = 0.5


class Clocks:
    """Compares the wall clock, and the clock that also counts suspended time, with the monotonic one."""

    def __init__(self) -> None:
        self._wall, self._boot = self._offsets()

    def look(self, now: float) -> list[Event]:
        """What happened to them since the last look; `now` is seconds since the start of the run."""
        wall, boot = self._offsets()
        stepped, slept = wall - self._wall, boot - self._boot
        self._wall, self._boot = wall, boot
        events = []
        if slept > _SLEPT_S:
            text = f"the machine was suspended for {units.duration(slept)}, {units.duration(now)} into the run"
            events.append(Event(now, "suspended", None, text, {"seconds": slept}))
        if abs(stepped - slept) > STEP_S:
            step = stepped - slept
            text = (
                f"the host's clock was stepped by {'+' if step > 0 else ''}{units.duration(step)}, "
                f"{units.duration(now)} into the run: timers, tokens and caches of the target lived through it"
            )
            events.append(Event(now, "clock_step", None, text, {"seconds": step}))
        return events

    @staticmethod
    def _offsets() -> tuple[float, float]:
        before = time.monotonic()
        wall, boot = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
        middle = (before + time.monotonic()) / 2
        return wall - middle, boot - middle
