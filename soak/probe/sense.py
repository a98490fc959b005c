"""What every sense beyond the process tree has in common: it looks at the same processes, at a pace of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from soak.core.records import Event, Sample
from soak.probe.procfs import Stat


class Sense(Protocol):
    """One more way to look at a side. Nothing that it does may take long: a slow door is waited for in a thread."""

    def look(self, t: float, members: Sequence[Stat]) -> list[Sample]:
        """What is seen at `t` seconds since the start of the run, if it is time to look; members: the process tree."""

    def events(self) -> list[Event]:
        """What happened since the last call."""

    def close(self) -> None:
        """Give back what it holds. It is not asked again."""
