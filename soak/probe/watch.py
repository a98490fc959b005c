"""One side's processes, looked at with every sense there is: what a run does here, an observer does beside a target."""

from __future__ import annotations

from collections.abc import Sequence

from soak.core.records import Event, Sample
from soak.core.scenario import Target
from soak.probe.agent import AgentSense
from soak.probe.find import Root, find
from soak.probe.sense import Sense
from soak.probe.stacks import ThreadStacks
from soak.probe.tree import TreeProbe


def senses_of(side: str, agent: AgentSense) -> list[Sense]:
    """Every sense beyond the process tree."""
    return [ThreadStacks(side), agent]


class Watch:
    """The process tree that a target names, and what the senses make of it. Raises TargetError if there is none."""

    def __init__(self, side: str, target: Target, senses: Sequence[Sense]) -> None:
        self.side = side
        self._tree = TreeProbe(side, find(target), target)
        self._senses = senses
        self._gone = False

    @property
    def root(self) -> Root:
        """The root process; a service that was started anew has another one."""
        return self._tree.root

    def look(self, t: float) -> tuple[list[Sample], list[Event]]:
        """What is seen, and what happened since the last look, at `t` seconds since the start of the run."""
        samples, events = self._tree.sample(t), self._tree.events(t)
        for sense in self._senses:
            samples += sense.look(t, self._tree.members)
            events += sense.events()
        if self._tree.alive:
            self._gone = False
        elif not self._gone:
            self._gone = True
            events.append(gone(self.side, t))
        return samples, events

    def close(self) -> None:
        """Let go of everything but the processes."""
        for sense in self._senses:
            sense.close()


def gone(side: str, t: float) -> Event:
    """The watched process is no more; only whoever started it knows how it ended."""
    data = {"code": None, "signal": None, "signal_name": ""}
    return Event(t, "target_exit", side, f"the watched process of the {side} is gone", data)
