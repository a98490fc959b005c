"""One side's processes, looked at with every sense there is: what a run does here, an observer does beside a target."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial

from soak.core.child import signal_name
from soak.core.records import Event, Sample
from soak.core.target import Target
from soak.probe.agent import AgentSense
from soak.probe.find import Root, find
from soak.probe.procfs import Stat
from soak.probe.sense import Sense
from soak.probe.stacks import ThreadStacks
from soak.probe.tree import TreeProbe, how_ended

_MOST_SAID = 100
_Had = tuple[list[Sample], list[Event]]


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
        self._said: set[str] = set()

    @property
    def root(self) -> Root:
        """The root process; a service that was started anew has another one."""
        return self._tree.root

    def look(self, t: float) -> tuple[list[Sample], list[Event]]:
        """What is seen, and what happened since the last look, at `t` seconds since the start of the run.

        Whatever one sense meets with keeps neither the others nor the next look from seeing: it shows as a hole.
        """
        samples, events = self._had(t, partial(self._look_at_tree, t))
        for sense in self._senses:
            more, happened = self._had(t, partial(_sensed, sense, t, self._tree.members))
            samples += more
            events += happened
        return samples, events

    def _look_at_tree(self, t: float) -> _Had:
        samples, events = self._tree.sample(t), self._tree.events()
        if self._tree.alive:
            self._gone = False
        elif not self._gone:
            self._gone = True
            events.append(gone(self.side, t, self._tree.root_status))
        return samples, events

    def _had(self, t: float, look: Callable[[], _Had]) -> _Had:
        try:
            return look()
        except Exception as error:
            text = f"a look failed: {type(error).__name__}: {error}"[:300]
        if text in self._said or len(self._said) >= _MOST_SAID:
            return [], []
        self._said.add(text)
        return [], [Event(t, "note", self.side, text)]

    def close(self) -> None:
        """Let go of everything but the processes."""
        self._tree.close()
        for sense in self._senses:
            sense.close()


def _sensed(sense: Sense, t: float, members: Sequence[Stat]) -> _Had:
    return sense.look(t, members), sense.events()


def gone(side: str, t: float, status: int | None = None) -> Event:
    """The watched process is no more; `status` says how it ended, as wait(2) has it, where that is known."""
    data: dict[str, object] = {"code": None, "signal": None, "signal_name": "", "status": status}
    how = ""
    if status is not None:
        how = f": it ended {how_ended(status)}"
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            data |= {"signal": number, "signal_name": signal_name(number)}
        else:
            data |= {"code": os.WEXITSTATUS(status)}
    return Event(t, "target_exit", side, f"the watched process of the {side} is gone{how}", data)
