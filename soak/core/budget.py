"""What a run takes besides its phases, for one that has to be over in a given time."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

from soak.core.scenario import Scenario

START_S = 15.0
"""Until the load begins: the target starts, and the generator."""
CLOSE_S = 20.0
"""From the end of the last phase to the verdict on the screen: last looks, the judge, the report."""
ALERTS_S = 20.0
"""How long alerts are waited for, at most, when all is over."""


def closing_s(scenario: Scenario) -> float:
    """Seconds from the end of the load to the verdict, at most, without the idle time after it."""
    return scenario.drain_s + ending_s(scenario)


def ending_s(scenario: Scenario) -> float:
    """Seconds from the end of the last phase to the verdict, at most."""
    return CLOSE_S + (ALERTS_S if scenario.alerts else 0.0)


@dataclass(frozen=True, slots=True)
class Budget:
    """The time that a run has: `seconds` in all, until `deadline` on the monotonic clock."""

    seconds: float
    deadline: float

    def load_until(self, scenario: Scenario) -> float:
        """When the load has to end, on the same clock."""
        return self.deadline - closing_s(scenario)

    def rest(self, most: float) -> float:
        """What is left of it, in seconds, or `most` if that is less."""
        return max(0.0, min(most, self.deadline - monotonic()))

    def all_until(self, scenario: Scenario) -> float:
        """When the last phase has to end."""
        return self.deadline - ending_s(scenario)


def whole(most: float) -> float:
    """What is left to a run without a budget: all that is wanted."""
    return most
