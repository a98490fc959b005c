"""The arrival schedule: one stream of intended starts for a whole run, the same for everyone who asks.

It is a pure function of the seed, so no message carries it: every worker computes the whole stream and
takes its own share, the conductor counts it again for the account, and a reference gets exactly the
arrivals of the candidate. Arrivals are those of a process of unit rate (Poisson, or evenly spaced),
stretched by the curve of the load's rate.

Two sides that get each arrival at the very same moment meet a host that the first of them has just woken: if that were
always the same one, it would look slower. So each arrival comes a moment later to one of them, by turns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

import numpy as np
import numpy.typing as npt

from soak.core.pattern import Curve

_BLOCK = 4096
TURN_S = 0.002
"""How much later the second side gets an arrival: beyond what timers are late by, far below what a judge resolves."""


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
class Part:
    """Who one is from `at` on (s since the start of load): the `index`-th of `of` workers; `of` 0 is nobody."""

    at: float
    index: int
    of: int


WHOLE = (Part(0.0, 0, 1),)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Arrivals along `curve`, from `seed`, for `length` seconds from the start of load."""

    curve: Curve
    arrivals: Literal["poisson", "constant"]
    seed: int
    length: float
    second: int | None = None
    """Which of two kinds of arrivals, 0 or 1, comes a moment later here; None where nobody else gets them."""

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
                yield Block(first, self._by_turns(first, due)[:end], pick[:end], draw[:end])
            if end < _BLOCK:
                return
            first += _BLOCK

    def _by_turns(self, first: int, due: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The times of a block, with those arrivals a moment later that another side gets first.

        By at most half the gap to the next, so that their order stays; and none is moved beyond the end.
        """
        if self.second is None:
            return due
        mine = _kind(np.arange(first, first + len(due))) == self.second
        moved = due + np.where(mine, np.minimum(TURN_S, np.diff(due, append=due[-1]) / 2), 0.0)
        return np.where(due < self.length, np.minimum(moved, np.nextafter(self.length, 0.0)), moved)

    def count(self, until: float, parts: Sequence[Part] = WHOLE) -> int:
        """How many arrivals of a share fall due before `until` (s since the start of load)."""
        return Share(self, parts).skip_until(until)


def _kind(number: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Whose turn an arrival is, 0 or 1, by its number: Thue and Morse's sequence, ABBA BAAB.

    Plain alternation would go in step with whatever else is every second arrival: a feed, or the share of a worker.
    """
    kind = number.copy()
    for bits in (32, 16, 8, 4, 2, 1):
        kind ^= kind >> bits
    return kind & 1


class Share:
    """One worker's arrivals: of each part of the run, every `of`-th of the schedule, from `index` on.

    The parts of all workers together own every arrival once, as long as all have the same times in them.
    """

    def __init__(self, schedule: Schedule, parts: Sequence[Part] = WHOLE) -> None:
        self._blocks = schedule.blocks()
        self.parts = list(parts)
        self._held: deque[Block] = deque(maxlen=2)
        """The block that is taken from, and the one before: at its end may be some that become one's own."""
        self._passed = -1
        self._number: list[int] = []
        self._due: list[float] = []
        self._pick: list[float] = []
        self._draw: list[int] = []
        self._at = 0

    def forward(self, since: float) -> None:
        """Go to `since` (s since the start of load): a long run that is resumed has much of its schedule behind it."""
        while not self._held or self._held[-1].due[-1] < since:
            block = next(self._blocks, None)
            if block is None:
                return
            self._held.append(block)

    def peek(self) -> float | None:
        """When the next arrival is due; None when there are no more."""
        while self._at >= len(self._due):
            last = self.parts[-1]
            if not last.of and last.at <= (self._held[-1].due[-1] if self._held else 0.0):
                return None  # nobody's for now: what is to come may be one's own again
            block = next(self._blocks, None)
            if block is None:
                return None
            self._held.append(block)
            self._cut([block])
        return self._due[self._at]

    def take(self) -> tuple[int, float, float, int]:
        """The next arrival: its number in the whole schedule, due, pick, draw. Only after `peek` gave a time."""
        at = self._at
        self._at += 1
        self._passed = self._number[at]
        return self._passed, self._due[at], self._pick[at], self._draw[at]

    def skip_until(self, until: float) -> int:
        """Pass over all arrivals due before `until`; how many there were."""
        passed = 0
        while (due := self.peek()) is not None and due < until:
            end = int(np.searchsorted(self._due, until))
            passed += end - self._at
            self._at = end
            self._passed = self._number[end - 1]
        return passed

    def resplit(self, part: Part) -> None:
        """From `part.at` on, own another share. What was taken already stays taken."""
        self.parts = [p for p in self.parts if p.at < part.at] + [part]
        self._cut(self._held)

    def _cut(self, blocks: Iterable[Block]) -> None:
        """Make what is left of one's own in some blocks ready to be taken."""
        self._number, self._due, self._pick, self._draw, self._at = [], [], [], [], 0
        for block in blocks:
            number = np.arange(block.first, block.first + len(block.due))
            mine = np.zeros(len(number), bool)
            for part, end in zip(self.parts, [*(p.at for p in self.parts[1:]), inf], strict=True):
                if part.of:
                    a, b = np.searchsorted(block.due, [part.at, end])
                    mine[a:b] = number[a:b] % part.of == part.index
            mine &= number > self._passed
            self._number += number[mine].tolist()
            self._due += block.due[mine].tolist()
            self._pick += block.pick[mine].tolist()
            self._draw += block.draw[mine].tolist()
