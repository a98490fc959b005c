"""What load processes are told when they start, the plan of a run and the way to it, and how they say what happens."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from soak.core.errors import LoadError
from soak.core.scenario import Scenario
from soak.load.schedule import Schedule


@dataclass(frozen=True, slots=True)
class _Line:
    """What one process tells another in a line of JSON."""

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Read the line that `to_line` wrote."""
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class Plan(_Line):
    """Everything a master or worker of one side needs; it holds no secret.

    `zero` is the start of the run on the monotonic clock (s) of the conductor's host; `scenario` is the scenario as
    plain data; `folder` is the base of its relative paths, and `digests` says what its files are; `ports` where the
    masters of all sides listen for workers from elsewhere. A run that is resumed goes on with its schedule `since`
    a moment of it (s since the start of load).
    """

    run: str
    side: str
    zero: float
    scenario: dict[str, Any]
    folder: str
    digests: dict[str, str]
    ports: dict[str, int] = field(default_factory=dict)
    since: float = 0.0

    def model(self) -> Scenario:
        """The scenario as a model."""
        return Scenario.model_validate(self.scenario)


@dataclass(frozen=True, slots=True)
class Invitation(_Line):
    """How a worker finds its master: `local` ones share the conductor's clock, folder and trust.

    `name` is what it would like to be called; `folder` is the base of relative paths here, for one from elsewhere.
    """

    host: str
    port: int
    token: str
    name: str
    local: bool
    folder: str | None = None


def schedule_of(scenario: Scenario, folder: Path, side: str = "candidate") -> Schedule | None:
    """The arrival schedule of an open-model scenario; None for the closed model. Raises LoadError.

    Where two sides are soaked at once, they come first by turns.
    """
    load = scenario.load
    if not load.open_model:
        return None
    try:
        curve = scenario.curve(folder)
    except (OSError, ValueError) as error:
        raise LoadError(f"load.pattern.file: {error}") from None
    # a trace says itself when each arrival comes
    arrivals = "constant" if load.pattern is not None and load.pattern.kind == "trace" else load.arrivals
    second = list(scenario.sides).index(side) if len(scenario.sides) > 1 else None
    return Schedule(curve, arrivals, load.seed, scenario.load_s, second)


def digests(scenario: Scenario, folder: Path) -> dict[str, str]:
    """SHA-256 of every file that the load is made of; one that cannot be read has none."""
    found = {}
    for file in sorted(set(scenario.load.files.values())):
        try:
            with (folder / file).open("rb") as content:
                found[file] = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError:
            found[file] = ""
    return found


def emit(event: str, **data: Any) -> None:
    """Tell whoever started this process what happened, in a line on standard output."""
    sys.stdout.write(json.dumps({"event": event, **data}) + "\n")
    sys.stdout.flush()
