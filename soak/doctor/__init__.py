"""`soak doctor`: whether a machine and a target are fit for a soak, before one is begun."""

from __future__ import annotations

from pathlib import Path

from soak.core.checkup import Check
from soak.core.scenario import Scenario
from soak.doctor import kernel, machine, network, software, target

__all__ = ["examine"]


def examine(runs: Path, scenario: Scenario | None) -> list[Check]:
    """All checks of this machine, and those of a scenario's targets; run files are kept in `runs`. About a second."""
    slots = scenario.load.slots if scenario is not None else 0
    found = [*software.checks(), *kernel.checks(), *machine.limits(slots), *machine.disk(runs), *machine.now()]
    found += network.checks(scenario)
    for side, one in scenario.sides.items() if scenario is not None else ():
        found += target.checks(side, one)
    return found
