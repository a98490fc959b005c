"""The sets of cases: which families, from which stream of seeds, and how many of each."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.accuracy import heldout, tuning
from benchmarks.accuracy.family import Family

SEEDS, SEEDS_QUICK = 50, 6


@dataclass(frozen=True, slots=True)
class CaseSet:
    """Families of one origin; no stream of seeds belongs to two sets."""

    name: str
    stream: int
    families: tuple[Family, ...]

    @property
    def healthy(self) -> tuple[Family, ...]:
        """Those in which nothing goes on growing."""
        return tuple(family for family in self.families if family.healthy)

    @property
    def sick(self) -> tuple[Family, ...]:
        """Those that grow by more than the tolerance."""
        return tuple(family for family in self.families if family.truth == "sick")


SETS = {
    "tuning": CaseSet("tuning", tuning.STREAM, tuning.FAMILIES),
    "held-out": CaseSet("held-out", heldout.STREAM, heldout.FAMILIES),
}
