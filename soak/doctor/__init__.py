"""`soak doctor`: whether a machine and a target are fit for a soak, before one is begun."""

from __future__ import annotations

from pathlib import Path

from soak.core.checkup import Check
from soak.core.scenario import Scenario
from soak.doctor import kernel, machine, network, software, target

__all__ = ["examine"]


def examine(runs: Path, scenario: Scenario | None, folder: Path = Path()) -> list[Check]:
    """All checks of this machine, and those of a scenario's targets. About a second.

    Run files are kept in `runs`; `folder` is the base of the scenario's relative paths.
    """
    slots = scenario.load.slots if scenario is not None else 0
    found = [*software.checks(), *kernel.checks(), *machine.limits(slots), *machine.disk(runs), *machine.now()]
    found += network.checks(scenario)
    if scenario is not None:
        for side, one in scenario.sides.items():
            found += target.checks(side, one, scenario.probe.every, folder)
    return found
