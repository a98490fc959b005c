"""Causes that show on stacks: they get deeper and deeper, or have come to a language's own limit."""

from __future__ import annotations

import numpy as np

from soak.core import units
from soak.core.records import Series
from soak.core.verdict import Finding
from soak.judge.advice import ADVICE
from soak.judge.growing import growth, per_request
from soak.judge.matters import Gate
from soak.judge.side import Side
from soak.judge.stats.trend import late_slope

STACK = Gate(relative=0.20, absolute=64 * 1024)
STACKS = (
    ("the main thread's stack", "stack.high_water", "stack.limit"),
    ("a thread's stack", "stack.thread_high_water", "stack.thread_limit"),
)
"""Whose stack, the mark of how deep it has ever been, and its size."""
DEPTH = Gate(relative=0.20, absolute=20)
"""Of Python frames: they take no stack of C from 3.11 on, so nothing but their number shows them."""

_GOES_ON = 0.25
_COUNTERS = ("stack.recursion_errors", "agent.recursion_errors")
_MOST_ENDPOINTS = 3
_FAIR_PART = 0.1
"""Of the errors: one may be told several times, as the cause of another."""


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


def depth(side: Side) -> list[Finding]:
    """Frames of the language that pile up deeper and deeper, on their way to its recursion limit."""
    fitted, blocks = side.trend("stack.depth"), side.blocks("stack.depth")
    if fitted is None or blocks is None or DEPTH.severity(fitted) != "fail" or _errors(side) is not None:
        return []
    if fitted.shape == "step" or late_slope(blocks.t, blocks.v, 1 / 3) < _GOES_ON * fitted.slope:
        return []
    evidence = [f"the deepest frame was the {fitted.first:.0f}th at first and the {fitted.last:.0f}th at last"]
    limit = side.soak_series("stack.depth_limit")
    room = float(limit.v[-1]) - fitted.level if limit is not None else None
    what = f"the recursion limit of {limit.v[-1]:.0f}" if limit is not None else ""
    return [growth("stack_growth", "stack.depth", side, fitted, "recursion deepens", "count", evidence, room, what)]


def recursion_limit(side: Side) -> list[Finding]:
    """RecursionErrors: the limit of the language was reached, and each was a request that could not be answered."""
    errors = _errors(side)
    if errors is None:
        return []
    rises = errors.t[1:][np.diff(errors.v) > 0]
    count = int(errors.v[-1] - errors.v[0])
    failures = {endpoint: side.answers.failures(endpoint) for endpoint in side.data.endpoints}
    failing = sorted((e for e, (bad, _) in failures.items() if bad), key=lambda e: failures[e][0], reverse=True)
    if sum(y.scheduled - y.done for y in side.tallies) < _FAIR_PART * count:
        failing = []  # what failed there, failed of something else
    evidence = [f"{count} RecursionErrors in {units.duration(round(side.length))} of soak"]
    for endpoint in failing[:_MOST_ENDPOINTS]:
        bad, all_ = failures[endpoint]
        evidence.append(f"{bad} of {all_} requests of {endpoint} failed ({units.percent(bad / all_)})")
    if not failing:
        evidence.append("no request failed of it, so something catches them or they came from work in the background")
    deepest, limit = side.soak_series("stack.depth"), side.soak_series("stack.depth_limit")
    if deepest is not None:
        of = f" of {limit.v[-1]:.0f} that are allowed" if limit is not None else ""
        evidence.append(f"frames were seen {deepest.v.max():.0f} deep{of}")
    return [
        Finding(
            cause="recursion_limit",
            metric="stack.recursion_errors",
            endpoint=failing[0] if len(failing) == 1 else None,
            severity="fail" if failing else "warning",
            title=f"recursion reached its limit: {count} RecursionErrors",
            evidence=tuple(evidence),
            advice=ADVICE["recursion_limit"],
            start=float(rises[0]),
            end=float(rises[-1]),
        )
    ]


def _errors(side: Side) -> Series | None:
    """RecursionErrors so far over the soak phase, by the counter that saw most of them; None when there were none.

    The output knows those that are logged with a traceback, the agent inside the process those that are raised.
    """
    found = [s for metric in _COUNTERS if (s := side.soak_series(metric)) is not None]
    best = max(found, key=lambda s: float(s.v[-1] - s.v[0]), default=None)
    return best if best is not None and best.v[-1] > best.v[0] else None
