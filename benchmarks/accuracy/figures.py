"""The figures as JSON: every rate with its share and interval, and nothing that JSON does not have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from benchmarks.accuracy.rates import Rate


def plain(value: Any) -> Any:
    """What `json.dumps` takes: a dataclass is an object, a number that is none is null."""
    if isinstance(value, Rate):
        low, high = value.interval
        return plain({"hits": value.hits, "total": value.total, "share": value.share, "low": low, "high": high})
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
