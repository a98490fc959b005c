"""The watch over one side: its processes, here or through an observer, and the exit of a target that soak started."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from soak.core.records import Event, Sample
from soak.core.scenario import Target
from soak.probe import RemoteWatch, Sense, Watch, senses_of
from soak.run.target import StartedTarget


class SideWatch:
    """Samples and events of one side; without a process to watch it is silent.

    `every` is how often the run wants to look (s); `folder` is the base of the scenario's paths.
    """

    def __init__(self, side: str, target: Target, started: StartedTarget | None, every: float, folder: Path) -> None:
        self.side = side
        self.started = started
        self.gone = False
        watched = target.model_copy(update={"process": None, "pid": started.pid}) if started else target
        self._senses: list[Sense] = senses_of(side)
        self._watch: Watch | None = None
        self._remote: RemoteWatch | None = None
        if target.observer is not None:
            self._remote = RemoteWatch(side, target.observer, folder, every)
        elif watched.watched:
            self._watch = Watch(side, watched, self._senses)

    @property
    def observer(self) -> Mapping[str, object] | None:
        """What the observer says of itself and its host; None without one."""
        return None if self._remote is None else {**self._remote.about, "clock_error": self._remote.clock_error}

    def begin(self, zero: float) -> None:
        """The run began at `zero` (s, monotonic)."""
        if self._remote is not None:
            self._remote.begin(zero)

    def look(self, t: float) -> tuple[list[Sample], list[Event]]:
        """What is seen at `t` seconds since the start of the run, or has come in since the last call."""
        if self._remote is not None:
            samples, events = self._remote.look()
        elif self._watch is not None:
            samples, events = self._watch.look(t)
        else:
            return [], []
        if self.started is not None:  # who started it knows how it ended
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
        for watch in (self._watch, self._remote):
            if watch is not None:
                watch.close()

    def _ended(self, started: StartedTarget) -> dict[str, object] | None:
        ended = started.exit()
        return ended | {"output": started.output()[-2000:]} if ended is not None else None


def _how(side: str, ended: dict[str, object]) -> str:
    if ended["signal_name"]:
        return f"the {side} was ended by {ended['signal_name']}"
    return f"the {side} exited with code {ended['code']}"
