"""Runs against runs: the answer of `soak compare`, and its JSON form `soak.comparison/1`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from soak.core.summary import Spread
from soak.core.verdict import Comparison, CriterionResult, Result, exit_code_of, finite

SCHEMA = "soak.comparison/1"


@dataclass(frozen=True, slots=True)
class RunsCompared:
    """Runs of a candidate against runs of a reference, and what that comes to.

    `visible` goes with `comparison`: the smallest loss, as a ratio above 1, that would have been found nine times in
    ten; None where that is not known. `spreads` are what was measured of the noise between runs, of a calibration only.
    """

    verdict: Result
    headline: str
    candidate: tuple[str, ...]
    reference: tuple[str, ...]
    comparison: tuple[Comparison, ...]
    visible: tuple[float | None, ...]
    criteria: tuple[CriterionResult, ...] = ()
    spreads: tuple[Spread, ...] = ()
    notes: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """The exit code of the contract."""
        return exit_code_of(self.verdict, self.interrupted)

    def to_json(self) -> dict[str, Any]:
        """The `soak.comparison/1` document; what is infinite becomes null."""
        rows = [asdict(c) | {"visible": v} for c, v in zip(self.comparison, self.visible, strict=True)]
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "headline": self.headline,
            "interrupted": self.interrupted,
            "candidate": list(self.candidate),
            "reference": list(self.reference),
            "comparison": rows,
            "criteria": [asdict(c) for c in self.criteria],
            "spreads": [asdict(s) for s in self.spreads],
            "notes": list(self.notes),
        }
        clean: dict[str, Any] = finite(document)
        return clean
