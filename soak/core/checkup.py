"""What `soak doctor` finds: one check of a machine or a target, what it means for soaks, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Check:
    """`found` is what there is, `means` what follows for a soak, `fix` what mends it; both are empty where all is well.

    A problem keeps a soak from measuring what it should; a warning makes it say less.
    """

    name: str
    state: State
    found: str
    means: str = ""
    fix: str = ""

    def to_json(self) -> dict[str, str]:
        """As plain data."""
        return asdict(self)


def expect(name: str, found: str, good: bool, means: str, fix: str, otherwise: State = "warning") -> Check:
    """A check that is ok when it is `good`, and `otherwise` what it means and how it is mended."""
    return Check(name, "ok", found) if good else Check(name, otherwise, found, means, fix)
