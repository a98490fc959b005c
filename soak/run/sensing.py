"""The watch over one side: its process tree, and the exit of a target that soak started."""

from __future__ import annotations

from pathlib import Path

from soak.core.records import Event, Sample
from soak.core.scenario import Target
from soak.probe import AgentSense, Sense, ThreadStacks, TreeProbe, find
from soak.run.target import StartedTarget


class SideWatch:
    """Samples and events of one side; without a process to watch it is silent."""

    def __init__(
        self, side: str, target: Target, started: StartedTarget | None, every: float, folder: Path | None
    ) -> None:
        self.side = side
        self.started = started
        self.gone = False
        watched = target.model_copy(update={"process": None, "pid": started.pid}) if started else target
        self._probe = TreeProbe(side, find(watched), watched) if watched.watched else None
        self.agent = AgentSense(side, every, folder)
        self._senses: list[Sense] = [ThreadStacks(side), self.agent] if watched.watched else []

    def look(self, t: float) -> tuple[list[Sample], list[Event]]:
        """What is seen at `t` seconds since the start of the run."""
        if self._probe is None:
            return [], []
        samples, events = self._probe.sample(t), self._probe.events(t)
        for sense in self._senses:
            samples += sense.look(t, self._probe.members)
            events += sense.events()
        if self.started is not None:
            samples.append(Sample(t, self.side, {"stack.recursion_errors": float(self.started.recursion_errors)}))
        if not self.gone and (ended := self._ended()) is not None:
            self.gone = True
            events.append(Event(t, "target_exit", self.side, _how(self.side, ended), ended))
        return samples, events

    def close(self) -> None:
        """Let go of everything but the target."""
        for sense in self._senses:
            sense.close()

    def _ended(self) -> dict[str, object] | None:
        if self.started is not None:
            if (ended := self.started.exit()) is None:
                return None
            said = self.started.overflow_said()
            return ended | {"output": self.started.output()[-2000:]} | ({"stack_overflow": said} if said else {})
        if self._probe is not None and not self._probe.alive:
            return {"code": None, "signal": None, "signal_name": ""}
        return None


def _how(side: str, ended: dict[str, object]) -> str:
    if ended["signal_name"]:
        return f"the {side} was ended by {ended['signal_name']}"
    if ended["code"] is None:
        return f"the watched process of the {side} is gone"
    return f"the {side} exited with code {ended['code']}"
