"""Roll-ups: what is old is packed by window, so that a run of days opens in seconds and stays small.

A window takes the place of its intervals: the same counts, in stretches that are still a small part of any
trend. Kept beside it, the intervals of a busy day would be nine tenths of the file, and nothing would read
them. Samples lose nothing: a window of them is one row instead of hundreds.
"""

from __future__ import annotations

import bz2
import json
import math
import sqlite3
import zlib
from collections.abc import Iterator
from itertools import groupby

import numpy as np
import numpy.typing as npt

from soak.core.histogram import Histogram
from soak.core.scenario import Scenario

WINDOWS = 360
"""A run is kept in about this many windows: 80 s each in an 8 h soak."""

_AT_ONCE = 16
"""Histograms of one kind that are held before they become one: many workers and names make very many of them."""

Floats = npt.NDArray[np.float64]
PackedWindow = tuple[str, float, float, str, bytes]
"""side, start, length, parts, histograms"""
PackedSamples = tuple[int, int, bytes]
"""layout, number of samples, table"""


def window_length(scenario: Scenario) -> float:
    """Length of a roll-up window in seconds: a whole number of intervals."""
    interval = scenario.interval_s
    return interval * max(1, round(scenario.load_s / WINDOWS / interval))


def pack_intervals(db: sqlite3.Connection, end: float, window: float, last: int) -> list[PackedWindow]:
    """Merge the intervals up to row `last` that begin before `end`: one row for each side and window.

    One that came late, after its window was rolled, makes another row of that window: readers merge them.
    """
    found: dict[tuple[str, float], dict[tuple[str, str, str], list[Histogram]]] = {}
    rows = db.execute(
        "SELECT side, start, endpoint, outcome, clock, clamped, histogram FROM interval "
        "WHERE start < ? AND id <= ? ORDER BY start",
        (end, last),
    )
    for side, start, *key, clamped, blob in rows:
        begin = math.floor(start / window + 1e-9) * window
        parts = found.setdefault((side, begin), {}).setdefault((key[0], key[1], key[2]), [])
        parts.append(Histogram.decode(blob, clamped))
        if len(parts) == _AT_ONCE:
            parts[:] = [Histogram.merge(parts)]
    packed = []
    for (side, begin), by_key in found.items():
        merged = {key: Histogram.merge(histograms) for key, histograms in sorted(by_key.items())}
        payloads = [zlib.decompress(h.encode()) for h in merged.values()]
        directory = [
            [*key, h.clamped, len(payload)] for (key, h), payload in zip(merged.items(), payloads, strict=True)
        ]
        packed.append((side, begin, window, json.dumps(directory), bz2.compress(b"".join(payloads))))
    return packed


def unpack_window(parts: str, histograms: bytes) -> Iterator[tuple[str, str, str, Histogram]]:
    """Endpoint, outcome, clock and histogram of each part of a window. Raises ValueError when it is damaged."""
    try:
        payloads = bz2.decompress(histograms)
    except (OSError, ValueError) as error:
        raise ValueError(f"a damaged window: {error}") from error
    at = 0
    for endpoint, outcome, clock, clamped, size in json.loads(parts):
        yield endpoint, outcome, clock, Histogram.decode(zlib.compress(payloads[at : at + size], 0), clamped)
        at += size


def pack_samples(db: sqlite3.Connection, end: float, last: int) -> list[PackedSamples]:
    """The samples up to row `last` from before `end`, one row for each layout."""
    rows = db.execute("SELECT layout, t, data FROM sample WHERE t < ? AND id <= ? ORDER BY layout, id", (end, last))
    packed = []
    for layout, group in groupby(rows, lambda row: int(row[0])):
        samples = list(group)
        values = np.frombuffer(b"".join(data for _, _, data in samples), "<f8").reshape(len(samples), -1)
        table = np.column_stack([np.array([t for _, t, _ in samples], "<f8"), values])
        planes = np.ascontiguousarray(table.T).view(np.uint8).reshape(-1, len(samples), 8).transpose(0, 2, 1)
        packed.append((layout, len(samples), zlib.compress(planes.tobytes(), 9)))
    return packed


def unpack_samples(count: int, data: bytes) -> tuple[Floats, Floats]:
    """Times (count,) and values (count, metrics) of packed samples. Raises ValueError when they are damaged."""
    try:
        planes = np.frombuffer(zlib.decompress(data), np.uint8).reshape(-1, 8, count)
    except zlib.error as error:
        raise ValueError(f"damaged samples: {error}") from error
    table = np.ascontiguousarray(planes.transpose(0, 2, 1)).view("<f8")[:, :, 0].T
    return table[:, 0], table[:, 1:]
