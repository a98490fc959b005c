"""Everything that is seen of a run: its host with its clocks, and each side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import monotonic

from soak.core.records import Event, Sample
from soak.core.scenario import Scenario
from soak.probe import AgentSense, HostProbe
from soak.run.clocks import Clocks
from soak.run.sensing import SideWatch

Artifact = tuple[float, str, str, bytes]
MOST_LIVES = 4096
"""Processes of a run that are told one by one: a target may start a new one every second for days."""
_LIVES = ("process_started", "process_exit")
MOST_RESTARTS = 1000
"""Replacements of one kind that are told one by one; of those to come one stands for `STANDS_FOR`."""
STANDS_FOR = 100
_KINDS = 256
"""Kinds of replacements that are counted apart: processes may name themselves as they like."""


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
        self._processes: set[str] = set()
        self._lives = 0
        self._restarts: dict[tuple[object, ...], int] = {}

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

    @property
    def observers(self) -> dict[str, Mapping[str, object]]:
        """What the observers of sides say of themselves and their hosts."""
        return {watch.side: watch.observer for watch in self.sides if watch.observer is not None}

    @property
    def agents(self) -> list[AgentSense]:
        """Who asks the processes of a side from inside, of all sides that are watched here."""
        return [watch.agent for watch in self.sides if watch.agent is not None]

    def complete(self, moment: float) -> bool:
        """Whether all that was seen before `moment` (s, monotonic) is here; what is not is asked for."""
        return all(watch.complete(moment) for watch in self.sides)

    def observed(self, now: float) -> Seen:
        """What has come in from observers since the last look, and nothing else."""
        found = Seen()
        for watch in self.sides:
            if watch.observer is not None:
                samples, events = watch.look(now)
                found.samples += samples
                found.events += events
        return self._bounded(found, now)

    def stop_targets(self, now: float) -> list[Artifact]:
        """End the targets that soak started; the end of what each has put out."""
        logs = []
        for watch in self.sides:
            if watch.started is not None:
                watch.started.stop()
                logs.append((now, "log", f"{watch.side}-output", watch.started.output().encode()))
        return logs

    def look(self, now: float) -> Seen:
        """What is seen at `now` (s of the run's clock)."""
        found = Seen([self._host.sample(now)])
        for watch in self.sides:
            samples, events = watch.look(now)
            found.samples += samples
            found.events += events
            found.artifacts += watch.agent.artifacts() if watch.agent is not None else []
            for sample in samples:
                if sample.source == watch.side and "memory.rss" in sample.values:
                    self.rss[watch.side] = sample.values["memory.rss"]
        return self._bounded(found, now)

    def _bounded(self, seen: Seen, now: float) -> Seen:
        """Without what is told of single processes beyond the first; the figures of whole trees go on."""
        full = len(self._processes) >= MOST_LIVES
        samples = [s for s in seen.samples if "/" not in s.source or self._has_series(s.source)]
        events = [told for e in seen.events if (told := self._told(e)) is not None]
        if not full and len(self._processes) >= MOST_LIVES:
            text = f"{MOST_LIVES:,} processes came and went: those to come have no series of their own"
            events.append(Event(now, "note", None, text))
        return Seen(samples, events, seen.artifacts)

    def _has_series(self, process: str) -> bool:
        if len(self._processes) < MOST_LIVES:
            self._processes.add(process)
        return process in self._processes

    def _told(self, event: Event) -> Event | None:
        """An event as it is told; None if it is one of too many."""
        if event.kind in _LIVES:
            self._lives += 1
            return event if self._lives <= 2 * MOST_LIVES else None
        if event.kind != "restart":
            return event
        kind: tuple[object, ...] = (event.side, *(event.data.get(key) for key in ("root", "name", "how")))
        if kind not in self._restarts and len(self._restarts) >= _KINDS:
            kind = (event.side,)
        times = self._restarts[kind] = self._restarts.get(kind, 0) + 1
        if times <= MOST_RESTARTS:
            return event
        return replace(event, data={**event.data, "times": STANDS_FOR}) if times % STANDS_FOR == 0 else None
