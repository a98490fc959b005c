"""Everything that is seen of a run: its host with its clocks, and each side."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic

from soak.core.records import Event, Sample
from soak.core.scenario import Scenario
from soak.probe import HostProbe
from soak.run.clocks import Clocks
from soak.run.sensing import SideWatch

Artifact = tuple[float, str, str, bytes]


@dataclass(slots=True)
class Seen:
    """What one look has found."""

    samples: list[Sample] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)


class Watching:
    """Looks at all of it. `sides` are added when there are any."""

    def __init__(self, scenario: Scenario) -> None:
        self.sides: list[SideWatch] = []
        # "host" is where the candidate runs; with an observer that is elsewhere
        self._host = HostProbe("host" if scenario.target.observer is None else "host.load")
        self._clocks = Clocks()
        self.rss: dict[str, float] = {}
        """The memory of each side at the last look, in bytes."""

    def begin(self, zero: float) -> None:
        """The run's clock is counted from `zero` (s, monotonic), and it begins now."""
        self._clocks = Clocks()
        for watch in self.sides:
            watch.begin(zero, monotonic())

    @property
    def lost(self) -> bool:
        """Whether the candidate is gone: there is nothing left to soak."""
        return any(watch.gone for watch in self.sides if watch.side == "candidate")

    def clocks(self, now: float) -> list[Event]:
        """What happened to the host's clocks since this was asked last; `now` is the run's clock (s)."""
        return self._clocks.look(now)

    def look(self, now: float) -> Seen:
        """What is seen at `now` (s of the run's clock)."""
        found = Seen([self._host.sample(now)])
        for watch in self.sides:
            samples, events = watch.look(now)
            found.samples += samples
            found.events += events
            found.artifacts += watch.agent.artifacts()
            self.rss.update({s.source: s.values["memory.rss"] for s in samples if "memory.rss" in s.values})
        return found
