"""What is asked of a run: its scenario, where its file is, what of it was done already, and how long it may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soak.core.budget import Budget
from soak.core.scenario import Scenario
from soak.load import Listen
from soak.run.provenance import provenance
from soak.run.resume import Past, identity
from soak.runfile import LiveReader


@dataclass(frozen=True, slots=True)
class Order:
    """What to run: the scenario as model, plain data and text, and where its paths and its file are."""

    scenario: Scenario
    raw: dict[str, Any]
    text: str
    path: str
    folder: Path
    run_file: Path
    listen: Listen | None = None
    token: str | None = None
    """Where workers from elsewhere may join the candidate (the reference: one port further on), and what they show."""
    past: Past | None = None
    """Of a run that is resumed: where it stood."""
    budget: Budget | None = None
    """The time that it has, all in all."""
    live: LiveReader = field(init=False)
    """Its file, for whoever follows the run."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "live", LiveReader(self.run_file))

    def head(self, started: float, more: Mapping[str, object]) -> dict[str, Any]:
        """The facts that a run file begins with: `started` in s since 1970, `more` of where all this comes from."""
        return {
            "run": self.run_file.stem,
            "started": started,
            "scenario": self.raw,
            **identity(self.scenario, self.folder),
            "provenance": provenance(self.scenario, self.text, self.path, self.folder) | dict(more),
        }
