"""Causes that show on stacks: they get deeper and deeper."""

from __future__ import annotations

import numpy as np

from soak.core import units
from soak.core.verdict import Finding
from soak.judge.growing import growth, per_request
from soak.judge.matters import Gate
from soak.judge.side import Side

STACK = Gate(relative=0.20, absolute=64 * 1024)
STACKS = (
    ("the main thread's stack", "stack.high_water", "stack.limit"),
    ("a thread's stack", "stack.thread_high_water", "stack.thread_limit"),
)
"""Whose stack, the mark of how deep it has ever been, and its size."""


def stack(side: Side) -> list[Finding]:
    """A stack whose high-water mark keeps rising: recursion that deepens with data or load."""
    return [finding for whose, mark, limit in STACKS for finding in _growing(side, whose, mark, limit)]


def _growing(side: Side, whose: str, mark: str, limit: str) -> list[Finding]:
    fitted = side.trend(mark)
    blocks = side.blocks(mark)
    if fitted is None or blocks is None or STACK.severity(fitted) != "fail":
        return []
    late = blocks.v[len(blocks.v) // 2 :]
    rises = int(np.count_nonzero(np.diff(late) > 0))
    if rises < 3 or late[-1] - late[0] < 0.2 * (blocks.v[-1] - blocks.v[0]):
        return []  # one early jump, or a few, is how a stack finds its size
    evidence = [
        f"the high-water mark of {whose} rose from {units.size(float(blocks.v[0]))} to "
        f"{units.size(float(blocks.v[-1]))}, and {rises} times in the second half of the soak",
        *per_request(side, fitted),
    ]
    sizes = side.soak_series(limit)
    room = float(sizes.v[-1]) - float(blocks.v[-1]) if sizes is not None else None
    what = f"the stack limit of {units.size(float(sizes.v[-1]))}" if sizes is not None else ""
    return [growth("stack_growth", mark, side, fitted, f"{whose} grows", "bytes", evidence, room, what)]
