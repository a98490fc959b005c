"""The watch over one side: its process tree, and the exit of a target that soak started."""

from __future__ import annotations

from soak.core.records import Event, Sample
from soak.core.scenario import Target
from soak.probe import Sense, Watch, senses_of
from soak.run.target import StartedTarget


class SideWatch:
    """Samples and events of one side; without a process to watch it is silent."""

    def __init__(self, side: str, target: Target, started: StartedTarget | None) -> None:
        self.side = side
        self.started = started
        self.gone = False
        watched = target.model_copy(update={"process": None, "pid": started.pid}) if started else target
        self._senses: list[Sense] = senses_of(side)
        self._watch = Watch(side, watched, self._senses) if watched.watched else None

    def look(self, t: float) -> tuple[list[Sample], list[Event]]:
        """What is seen at `t` seconds since the start of the run."""
        if self._watch is None:
            return [], []
        samples, events = self._watch.look(t)
        if self.started is not None:  # who started it knows how it ended
            events = [e for e in events if e.kind != "target_exit"]
            if not self.gone and (ended := self._ended(self.started)) is not None:
                events.append(Event(t, "target_exit", self.side, _how(self.side, ended), ended))
        self.gone = self.gone or any(e.kind == "target_exit" for e in events)
        return samples, events

    def close(self) -> None:
        """Let go of everything but the target."""
        if self._watch is not None:
            self._watch.close()

    def _ended(self, started: StartedTarget) -> dict[str, object] | None:
        ended = started.exit()
        return ended | {"output": started.output()[-2000:]} if ended is not None else None


def _how(side: str, ended: dict[str, object]) -> str:
    if ended["signal_name"]:
        return f"the {side} was ended by {ended['signal_name']}"
    return f"the {side} exited with code {ended['code']}"
