"""Recorded real processes with their truth, which is that of the code that ran (see `programs.py` and `record.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy.family import Kind, Series, Truth

FOLDER = Path(__file__).parent / "recorded"
TOLERANCE = 0.03


@dataclass(frozen=True, slots=True)
class Recording:
    """One process: its resident memory in KiB, about ten times a second."""

    program: str
    truth: Truth
    kind: Kind
    path: Path

    @property
    def series(self) -> Series:
        """What was seen."""
        rows = np.loadtxt(self.path, delimiter=",", skiprows=1)
        return Series(rows[:, 0], rows[:, 1])


def recordings() -> list[Recording]:
    """All that were recorded, by name. What leaks has a name that begins with `leak_`."""
    found = []
    for path in sorted(FOLDER.glob("*.csv")):
        program = path.stem.rpartition("-")[0]
        truth: Truth = "sick" if program.startswith("leak_") else "healthy"
        kind: Kind = "floor" if program.endswith("cycles") else "level"
        found.append(Recording(program, truth, kind, path))
    return found
