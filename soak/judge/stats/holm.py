"""Many series, one run: which of them are beyond doubt when all of them were looked at (Holm 1979).

Forty healthy series at five per cent each are not a healthy run nineteen times in twenty. Holm's procedure keeps the
chance of even one false claim below `alpha`, whatever the series have to do with each other.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def beyond(p_values: Mapping[Key, float], alpha: float) -> frozenset[Key]:
    """The keys whose null hypothesis is rejected: the k-th smallest p-value must reach alpha / (n - k + 1), in turn."""
    return frozenset(key for key, p in zip(p_values, adjusted([*p_values.values()]), strict=True) if p <= alpha)


def adjusted(p_values: Sequence[float]) -> list[float]:
    """The p-values as each may be read alone: at or below alpha it is rejected; one that is not known never is."""
    known = [1.0 if math.isnan(p) else p for p in p_values]
    found, so_far = [1.0] * len(known), 0.0
    for rank, i in enumerate(sorted(range(len(known)), key=known.__getitem__)):
        so_far = max(so_far, min(1.0, (len(known) - rank) * known[i]))
        found[i] = so_far
    return found
