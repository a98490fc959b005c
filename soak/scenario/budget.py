"""A soak cut to a budget of time: the same traffic and the same limits in shorter phases, and what that cannot see.

Phases shrink in proportion, none below what the judge needs of it. Start, drain and judging have their share first, so
that all of it is over when the budget is.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from textwrap import fill
from typing import Any

from soak.core import units
from soak.core.budget import START_S, closing_s
from soak.core.criterion import Criterion
from soak.core.errors import SoakError
from soak.core.probing import ATTACH_WARMUP_S
from soak.core.scenario import Scenario
from soak.scenario.load import Loaded
from soak.scenario.sight import sight

_INDENT = " " * 5
_FLOORS = {"idle_before": 5.0, "warmup": 10.0, "soak": 60.0, "burst": 10.0, "recovery": 30.0, "idle_after": 5.0}
"""The least of each phase (s): in less of it the judge sees nothing. One that is shorter by itself stays as it is."""

_WARMUP_SHARE = 0.1


def fitted(loaded: Loaded, budget: float) -> Loaded:
    """The scenario cut to `budget` seconds, its limits on growth kept as rates; itself if it fits as it is.

    Raises SoakError when not even the least of each phase fits.
    """
    scenario = loaded.scenario
    asked = _asked(scenario)
    room = budget - START_S - closing_s(scenario)
    if sum(asked.values()) <= room:
        return loaded
    floors = {name: min(length, _FLOORS[name]) for name, length in asked.items()}
    # what has to warm up takes its time whatever the soak is cut to, and would look like growth in it
    floors["warmup"] = min(asked["warmup"], max(_FLOORS["warmup"], _WARMUP_SHARE * room))
    if scenario.probe.attach is not None:
        floors["warmup"] = max(floors["warmup"], min(asked["warmup"], ATTACH_WARMUP_S))
    if sum(floors.values()) > room:
        least = units.duration(round(budget - room + sum(floors.values())))
        raise SoakError(
            f"--budget {units.duration(budget)}: too short for {loaded.path}, which takes {least} at the least"
        )
    lengths = _shrunk(asked, floors, room)
    raw = copy.deepcopy(loaded.raw)
    phases = raw["phases"]
    for name in ("idle_before", "warmup", "soak", "idle_after"):
        if lengths[name] or name in phases:
            phases[name] = f"{lengths[name]:g}s"
    if scenario.phases.burst is not None:
        phases["burst"] |= {"for": f"{lengths['burst']:g}s", "recovery": f"{lengths['recovery']:g}s"}
    whole = scenario.phases.whole_s
    phases["whole"] = f"{whole:g}s"
    raw["criteria"] = [_by_rate(c, given, whole) for c, given in zip(scenario.criteria, raw["criteria"], strict=True)]
    return replace(loaded, scenario=Scenario.model_validate(raw), raw=raw)


def cut_in_words(scenario: Scenario, budget: float, folder: Path) -> str:
    """What a cut soak will do and not see, for whoever asked for it."""
    phases = scenario.phases
    soak = units.duration(phases.soak)
    lines = [f"Cut to a budget of {units.duration(budget)}: it soaks {soak} of {units.duration(phases.whole_s)}, "
             f"after {units.duration(phases.warmup_s)} of warm-up."]  # fmt: skip
    lines.append(f"Not seen: growth that begins later, and what comes round more seldom than every {soak}.")
    for number, criterion in enumerate(scenario.criteria, 1):
        lines.append(f"  {number}. {criterion.text()}")
        seen = _window(criterion, scenario) or sight(criterion, scenario, folder)
        lines.append(fill(seen, 80, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False))
    return "\n".join(lines)


def _asked(scenario: Scenario) -> dict[str, float]:
    p = scenario.phases
    asked = {"idle_before": p.idle_before, "warmup": p.warmup_s, "soak": p.soak, "idle_after": p.idle_after}
    if p.burst is not None:
        asked |= {"burst": p.burst.length, "recovery": p.burst.recovery}
    return asked


def _shrunk(asked: dict[str, float], floors: dict[str, float], room: float) -> dict[str, float]:
    """Each phase by the same factor, unless that is less than its floor; whole seconds, `room` in all at most."""
    at_floor: set[str] = set()
    while True:
        rest = room - sum(floors[name] for name in at_floor)
        factor = rest / sum(length for name, length in asked.items() if name not in at_floor)
        short = {n for n, length in asked.items() if n not in at_floor and length * factor < floors[n]}
        if not short:
            return {n: floors[n] if n in at_floor else float(int(length * factor)) for n, length in asked.items()}
        at_floor |= short


def _by_rate(criterion: Criterion, given: dict[str, Any], whole: float) -> dict[str, Any]:
    """Growth over a whole soak as the same growth by the hour: a short soak may not grow as much as a long one."""
    if criterion.kind != "growth_below" or criterion.limit.per is not None:
        return given
    return given | {"growth_below": units.show_growth(criterion.limit.value / whole, criterion.limit.dimension)}


def _window(criterion: Criterion, scenario: Scenario) -> str:
    if criterion.over is None or criterion.over <= scenario.phases.soak:
        return ""
    return f"A window of {units.duration(criterion.over)} does not fit into it: it can fail, but not pass."
