"""Pairs of whole runs: candidate and reference in turn, each alone on the host, fresh processes every time.

    pair 1: candidate, reference     pair 2: reference, candidate     pair 3: candidate, reference ...

In this order a host that drifts evenly does the same to both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from soak.core.errors import SoakError
from soak.core.metrics import ONCE
from soak.core.scenario import Scenario
from soak.core.summary import Summary
from soak.core.verdict import Verdict
from soak.judge import HARD
from soak.run.earlier import summary_of

_ANYTHING: dict[str, object] = {"metric": "errors.ratio", "below": "100%"}
_NAME = 50

Soak = Callable[[Scenario, dict[str, Any]], tuple[Verdict, Path]]
"""Soaks one side alone, given as model and plain data; its verdict and run file."""


@dataclass(frozen=True, slots=True)
class Done:
    """Pairs (candidate, reference) that were soaked to their end; `dead` says how a candidate died, `notes` what was
    left out and why."""

    pairs: tuple[tuple[Summary, Summary], ...]
    dead: str
    notes: tuple[str, ...]
    interrupted: bool


def soak_pairs(
    sides: tuple[dict[str, Any], dict[str, Any]], count: int, soak: Soak, say: Callable[[str], None]
) -> Done:
    """Soak `count` pairs of two scenarios, given as plain data. Ctrl-C keeps what is done."""
    models = [Scenario.model_validate(raw) for raw in sides]
    pairs: list[tuple[Summary, Summary]] = []
    notes: list[str] = []
    for pair in range(count):
        found: dict[int, Summary] = {}
        for side in (0, 1) if pair % 2 == 0 else (1, 0):
            say(f"pair {pair + 1} of {count}: {models[side].name}")
            try:
                verdict, path = soak(models[side], sides[side])
            except KeyboardInterrupt:
                return Done(tuple(pairs), "", tuple(notes), True)
            if verdict.interrupted:
                return Done(tuple(pairs), "", tuple(notes), True)
            dead = next((f.title for f in verdict.candidate.findings if f.cause in HARD), "")
            if dead and side == 0:
                return Done(tuple(pairs), f"the candidate, in pair {pair + 1}: {dead}", tuple(notes), False)
            found[side] = summary_of(path)
        faults = [f"{s.run}: {s.unfit}" for s in found.values() if s.unfit]
        if faults:
            notes.append(f"pair {pair + 1} is left out: {'; '.join(faults)}")
        else:
            pairs.append((found[0], found[1]))
    return Done(tuple(pairs), "", tuple(notes), False)


def alone(scenario: Scenario, raw: dict[str, Any], side: str, name: str) -> dict[str, Any]:
    """One side of a scenario as a scenario of its own, as plain data; `name` is put behind the scenario's.

    Criteria on ratios are of both; the others stay, because they say how exact the generator has to be.
    """
    target = scenario.sides.get(side)
    if target is None:
        raise SoakError("pairs of runs need a reference that soak can start: add `reference` with a process")
    if target.process is None:
        raise SoakError(f"the {side} must be started anew for each run: say its process.command")
    kept = [
        given
        for given, criterion in zip(raw["criteria"], scenario.criteria, strict=True)
        if not criterion.against_reference and criterion.metric not in ONCE
    ]
    made = {key: value for key, value in raw.items() if key != "reference"} | {
        "name": f"{scenario.name[:_NAME]}-{name}",
        "target": raw["target" if side == "candidate" else "reference"],
        "criteria": kept or [_ANYTHING],
    }
    try:
        Scenario.model_validate(made)
    except ValidationError as error:
        first = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise SoakError(f"the {side} cannot be soaked alone: {first}") from None
    return made
