"""Reading a run that goes on, again and again, at a cost that does not grow with it.

What is packed never changes, so it is read once; of the samples so far at most MOST of each layout are kept, every
second or every fourth one of a long run. That is for hints to whoever watches: what decides anything reads the file.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from soak.core.records import Recording, Tally, Window, WindowKey
from soak.runfile.read import Reader, account, open_file
from soak.runfile.rollup import Floats, unpack_samples

MOST = 4096
"""Samples of a series that are kept at most: about a hundred for each block of a trend."""


@dataclass(slots=True)
class _Thinned:
    """A table of samples by time; each stands for `stride` of them."""

    table: Floats
    stride: int = 1

    def add(self, more: Floats) -> None:
        self.table = np.hstack([self.table, more[:, :: self.stride]])
        while self.table.shape[1] > MOST:
            self.table = self.table[:, ::2]
            self.stride *= 2


@dataclass(slots=True)
class _Kept:
    """What was read already, and up to which row."""

    tallies: list[Tally] = field(default_factory=list)
    windows: dict[tuple[str, WindowKey], list[Window]] = field(default_factory=dict)
    samples: dict[int, _Thinned] = field(default_factory=dict)
    tally: int = 0
    window: int = 0
    sample: int = 0


class LiveReader:
    """A run file that is being written; one for all threads of a process that follow it, for what is kept is large."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept = _Kept()
        self._alone = threading.Lock()

    def recording(self) -> Recording:
        """The run as it is now, its older samples thinned out. Raises RunFileError."""
        with self._alone, contextlib.closing(open_file(self.path)) as db:
            return _Again(self.path, db, self._kept).recording()


class _Again(Reader):
    """A pass that reads only what came since the one before."""

    def __init__(self, path: Path, db: sqlite3.Connection, kept: _Kept) -> None:
        super().__init__(path, db)
        self._kept = kept

    def tallies(self) -> list[Tally]:
        """All accounts, in order."""
        kept = self._kept
        for number, *row in self.rows(f"SELECT * FROM tally WHERE id > {kept.tally} ORDER BY id"):
            kept.tallies.append(account(*row))
            kept.tally = number
        return list(kept.tallies)

    def packed(self, after: int = 0) -> Iterator[tuple[str, WindowKey, Window]]:
        """Everything that is packed: side, key and window."""
        kept = self._kept
        last = next((n for (n,) in self.rows("SELECT coalesce(max(id), 0) FROM packed_window")), after)
        if last > kept.window:
            for side, key, window in super().packed(kept.window):
                kept.windows.setdefault((side, key), []).append(window)
            kept.window = last
        for (side, key), windows in kept.windows.items():
            yield from ((side, key, window) for window in windows)

    def tables(self, widths: dict[int, int]) -> Iterator[tuple[int, Floats]]:
        """Of each layout the samples by time, the older ones thinned out."""
        kept = self._kept
        for number, layout, count, data in self.rows(
            f"SELECT id, layout, count, data FROM packed_samples WHERE id > {kept.sample} ORDER BY id"
        ):
            kept.sample = number
            t, values = unpack_samples(count, data)
            thinned = kept.samples.setdefault(layout, _Thinned(np.empty((1 + values.shape[1], 0))))
            thinned.add(np.vstack([t, values.T]))
        fresh = self.fresh()
        for layout in widths:
            parts = [kept.samples[layout].table] if layout in kept.samples else []
            parts += [fresh[layout]] if layout in fresh else []
            if parts:
                table = np.hstack(parts)
                yield layout, table[:, np.argsort(table[0], kind="stable")]
