"""The plan: what a load process is told when it starts, as one line of JSON on its standard input."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from soak.core.errors import LoadError
from soak.core.pattern import curve_of
from soak.core.scenario import Scenario
from soak.load.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a master or worker of one side needs.

    `zero` is the start of the run on the monotonic clock (s), shared by all processes of the host;
    `scenario` is the scenario as plain data; `folder` is the base of its relative paths. `run` and
    `token` must come back in every message: a stranger on the port is refused.
    """

    run: str
    token: str
    side: str
    zero: float
    scenario: dict[str, Any]
    folder: str
    run_file: str

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Read the line that `to_line` wrote."""
        return cls(**json.loads(line))

    def model(self) -> Scenario:
        """The scenario as a model."""
        return Scenario.model_validate(self.scenario)


def schedule_of(scenario: Scenario, folder: Path) -> Schedule | None:
    """The arrival schedule of an open-model scenario; None for the closed model. Raises LoadError."""
    load = scenario.load
    if not load.open_model:
        return None
    try:
        curve = curve_of(load.rate, load.pattern, folder)
    except (OSError, ValueError) as error:
        raise LoadError(f"load.pattern.file: {error}") from None
    # a trace says itself when each arrival comes
    arrivals = "constant" if load.pattern is not None and load.pattern.kind == "trace" else load.arrivals
    return Schedule(curve, arrivals, load.seed, scenario.load_s)
