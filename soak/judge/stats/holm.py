"""Many series, one run: which of them are beyond doubt when all of them were looked at (Holm 1979).

Forty healthy series at five per cent each are not a healthy run nineteen times in twenty. Holm's procedure keeps the
chance of even one false claim below `alpha`, whatever the series have to do with each other.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def beyond(p_values: Mapping[Key, float], alpha: float) -> frozenset[Key]:
    """The keys whose null hypothesis is rejected: the k-th smallest p-value must reach alpha / (n - k + 1), in turn."""
    found: set[Key] = set()
    known = {key: 1.0 if math.isnan(p) else p for key, p in p_values.items()}
    for rank, (key, p) in enumerate(sorted(known.items(), key=lambda item: item[1])):
        if p > alpha / (len(known) - rank):
            break
        found.add(key)
    return frozenset(found)
