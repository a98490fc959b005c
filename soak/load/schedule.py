"""The arrival schedule: one stream of intended starts for a whole run, the same for everyone who asks.

It is a pure function of the seed, so no message carries it: every worker computes the whole stream and
takes its own share, the conductor counts it again for the account, and a reference gets exactly the
arrivals of the candidate. Arrivals are those of a process of unit rate (Poisson, or evenly spaced),
stretched by the curve of the load's rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from soak.core.pattern import Curve

_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Block:
    """A run of consecutive arrivals: `due` (s since the start of load), and two draws for each.

    `pick` in [0, 1) chooses what the arrival does; `draw` (63 bits) fills its placeholders.
    """

    first: int
    due: npt.NDArray[np.float64]
    pick: npt.NDArray[np.float64]
    draw: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Arrivals along `curve`, from `seed`, for `length` seconds from the start of load."""

    curve: Curve
    arrivals: Literal["poisson", "constant"]
    seed: int
    length: float

    def blocks(self) -> Iterator[Block]:
        """All arrivals in order; the last block ends before `length`."""
        first, position = 0, 0.0
        while True:
            rng = np.random.default_rng([self.seed, first // _BLOCK])
            if self.arrivals == "poisson":
                units = position + np.cumsum(rng.exponential(1.0, _BLOCK))
                position = float(units[-1])
            else:
                units = np.arange(first, first + _BLOCK, dtype=np.float64)
            pick, draw = rng.random(_BLOCK), rng.integers(0, 2**63 - 1, _BLOCK)
            due = self.curve.when(units)
            end = int(np.searchsorted(due, self.length))
            if end:
                yield Block(first, due[:end], pick[:end], draw[:end])
            if end < _BLOCK:
                return
            first += _BLOCK

    def count(self, until: float, index: int = 0, of: int = 1) -> int:
        """How many arrivals of a share fall due before `until` (s since the start of load)."""
        return Share(self, index, of).skip_until(until)


class Share:
    """One worker's arrivals: every `of`-th of the schedule, from `index` on."""

    def __init__(self, schedule: Schedule, index: int, of: int) -> None:
        self._blocks = schedule.blocks()
        self._index, self._of = index, of
        self._first = 0
        self._due: list[float] = []
        self._pick: list[float] = []
        self._draw: list[int] = []
        self._at = 0

    def peek(self) -> float | None:
        """When the next arrival is due; None when there are no more."""
        while self._at >= len(self._due):
            block = next(self._blocks, None)
            if block is None:
                return None
            offset = (self._index - block.first) % self._of
            mine = slice(offset, None, self._of)
            self._first = block.first + offset
            self._due, self._pick, self._draw = (
                block.due[mine].tolist(),
                block.pick[mine].tolist(),
                block.draw[mine].tolist(),
            )
            self._at = 0
        return self._due[self._at]

    def take(self) -> tuple[int, float, float, int]:
        """The next arrival: its number in the whole schedule, due, pick, draw. Only after `peek` gave a time."""
        at = self._at
        self._at += 1
        return self._first + at * self._of, self._due[at], self._pick[at], self._draw[at]

    def skip_until(self, until: float) -> int:
        """Pass over all arrivals due before `until`; how many there were."""
        passed = 0
        while (due := self.peek()) is not None and due < until:
            end = int(np.searchsorted(self._due, until))
            passed += end - self._at
            self._at = end
        return passed
