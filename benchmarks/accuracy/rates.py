"""A share with its interval, and counts of verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from soak.judge.stats.proportion import wilson


@dataclass(frozen=True, slots=True)
class Rate:
    """`hits` in `total`."""

    hits: int
    total: int

    @property
    def share(self) -> float:
        """0 to 1; NaN of nothing."""
        return self.hits / self.total if self.total else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval (Wilson 1927)."""
        return wilson(self.hits, self.total)

    def __str__(self) -> str:
        """As `93 % (90 to 95)`."""
        if not self.total:
            return "-"
        low, high = self.interval
        return f"{_percent(self.share)} % ({_percent(low)} to {_percent(high)})"


def rate(found: Iterable[bool]) -> Rate:
    """The share of those that are true."""
    values = list(found)
    return Rate(sum(values), len(values))


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.1f}" if 0 < percent < 10 or 99 < percent < 100 else f"{percent:.0f}"
