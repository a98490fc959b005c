"""The mix: what an arrival does, chosen by weight from the scenario's requests and journeys."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from soak.core.load import Load
from soak.core.traffic import Think
from soak.load.calls import Ready, Workshop
from soak.load.values import Values, mixed

_THINK = 2**40
_CHURN = 2**41


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause between two requests; `place` makes its draw its own."""

    think: Think
    place: int

    def seconds(self, values: Values) -> float:
        """How long this arrival pauses here."""
        return self.think.draw(mixed(values.draw, self.place) / 2**64)


@dataclass(frozen=True, slots=True)
class Action:
    """What one arrival does: the steps, and the name of the journey that they make (None: one request)."""

    journey: str | None
    steps: tuple[Ready | Pause, ...]

    @property
    def first(self) -> Ready:
        """Its first request."""
        return next(step for step in self.steps if isinstance(step, Ready))


class Mix:
    """Actions by weight. `pick` in [0, 1) chooses one, so a seeded schedule repeats the same mix.

    Raises LoadError when a file or an environment variable that it needs is not there.
    """

    def __init__(self, load: Load, folder: Path) -> None:
        shop = Workshop(load, folder)
        self.cookies: dict[str, str | Callable[[Values], str]] = shop.cookies
        weights = [r.weight for r in load.requests or []] + [j.weight for j in load.journeys or []]
        total = sum(weights)
        self._upper = [w / total for w in accumulate(weights)][:-1]
        self._churn = load.churn
        self.actions = [Action(None, (shop.call(r),)) for r in load.requests or []]
        for journey in load.journeys or []:
            steps = [
                Pause(step.think, _THINK + i) if step.think is not None else shop.call(step)
                for i, step in enumerate(journey.steps)
            ]
            self.actions.append(Action(journey.name, tuple(steps)))

    def choose(self, pick: float) -> Action:
        """What an arrival does, by its pick."""
        return self.actions[bisect_right(self._upper, pick)]

    def fresh(self, values: Values) -> bool:
        """Whether an arrival begins on a new connection."""
        return self._churn > 0 and mixed(values.draw, _CHURN) < self._churn * 2**64
