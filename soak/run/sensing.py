"""The watch over one side: its processes, here or through an observer, and the exit of a target that soak started."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from soak.core.records import Event, Sample
from soak.core.scenario import Scenario
from soak.core.target import Target
from soak.probe import AgentSense, RemoteWatch, ScrapeSense, Watch, senses_of
from soak.run.target import StartedTarget

_NO_AGENT = "the target is a Python program in which no agent answers, so its memory is seen from outside only"
_LOST_ON_THE_WAY = "does its command set PYTHONPATH itself, or run python with -I, -E or -S?"
_NOT_BROUGHT = "start it by `soak exec`, or `import soak.agent` in it"


class SideWatch:
    """Samples and events of one side; without a process to watch it is silent.

    `folder` is the base of the scenario's paths; agents of a target that soak started have their sockets in `scratch`.
    """

    def __init__(
        self,
        side: str,
        target: Target,
        started: StartedTarget | None,
        scenario: Scenario,
        folder: Path,
        scratch: Path | None,
    ) -> None:
        self.side = side
        self.started = started
        self.gone = False
        self._present: set[str] = set()
        """The processes that an observer saw last, as `pid@start`."""
        self.agent: AgentSense | None = None
        """Who asks its processes from inside; None where they are not watched here."""
        self._watch: Watch | None = None
        self._remote: RemoteWatch | None = None
        watched = target.model_copy(update={"process": None, "pid": started.pid}) if started else target
        if target.observer is not None:
            self._remote = RemoteWatch(side, target.observer, folder, scenario.probe.every)
        elif watched.watched:
            self.agent = AgentSense(side, scenario.allocator_s, scratch, _missing(scenario, target))
            self._watch = Watch(side, watched, senses_of(side, self.agent))
        self._scrape: ScrapeSense | None = None
        if target.scrape is not None:  # its address is good for whoever watches the process, or nobody
            self._scrape = ScrapeSense(
                side, target.scrape, scenario.allocator_s, target.watched, self._told_inside, target.page_size
            )

    @property
    def observer(self) -> Mapping[str, object] | None:
        """What the observer says of itself and its host; None without one."""
        return None if self._remote is None else {**self._remote.about, "clock_error": self._remote.clock_error}

    def begin(self, zero: float, since: float | None = None) -> None:
        """The run's clock is counted from `zero`, and this watch begins at `since` (s, monotonic)."""
        if self._remote is not None:
            self._remote.begin(zero, since)

    def goes_on(self, known: Collection[str]) -> bool:
        """Whether the processes watched now are those that were `known` (as `pid@start`) when the run was cut off.

        Where no process is watched, nobody ever knows, nor is anything said of one.
        """
        if self.started is not None:
            return False
        if self._watch is not None:
            return f"{self._watch.root.pid}@{self._watch.root.started}" in known
        return self._remote is None or not self._present.isdisjoint(known)

    def look(self, t: float) -> tuple[list[Sample], list[Event]]:
        """What is seen at `t` seconds since the start of the run, or has come in since the last call."""
        if self._remote is not None:
            samples, events = self._remote.look()
            self._present = {s.source.partition("/")[2] for s in samples} or self._present
        elif self._watch is not None:
            samples, events = self._watch.look(t)
        else:
            samples, events = [], []
        if self._scrape is not None:
            samples = [*samples, *self._scrape.look(t, ())]
            events = [*events, *self._scrape.events()]
        if self.started is not None:  # who started it knows how it ended, and hears what it says
            samples.append(Sample(t, self.side, {"stack.recursion_errors": float(self.started.recursion_errors)}))
            events = [e for e in events if e.kind != "target_exit"]
            if not self.gone and (ended := self._ended(self.started)) is not None:
                events.append(Event(t, "target_exit", self.side, _how(self.side, ended), ended))
        self.gone = self.gone or any(e.kind == "target_exit" for e in events)
        return samples, events

    def complete(self, moment: float) -> bool:
        """Whether all that was seen before `moment` (s, monotonic) is here."""
        return self._remote is None or self._remote.complete(moment)

    def close(self) -> None:
        """Let go of everything but the target."""
        for watch in (self._watch, self._remote, self._scrape):
            if watch is not None:
                watch.close()

    def _told_inside(self) -> bool:
        return self.agent is not None and self.agent.tells

    def _ended(self, started: StartedTarget) -> dict[str, object] | None:
        if (ended := started.exit()) is None:
            return None
        said = started.overflow_said()
        return ended | {"output": started.output()[-2000:]} | ({"stack_overflow": said} if said else {})


def _missing(scenario: Scenario, target: Target) -> str:
    """What is said of a Python target without an agent; nothing where none is wanted, or one is yet to be let in."""
    if scenario.probe.attach is not None:
        return ""
    if target.process is None:
        return f"{_NO_AGENT}: {_NOT_BROUGHT}"
    return f"{_NO_AGENT}: {_LOST_ON_THE_WAY}" if target.process.agent else ""


def _how(side: str, ended: Mapping[str, object]) -> str:
    if ended["signal_name"]:
        return f"the {side} was ended by {ended['signal_name']}"
    return f"the {side} exited with code {ended['code']}"
