"""What the built-in watch could have seen: a pass that cannot say so claims too much (law 5)."""

from __future__ import annotations

from dataclasses import dataclass

from soak.core import units
from soak.judge.causes_held import COUNT, HELD
from soak.judge.causes_memory import MEMORY, memory_metric
from soak.judge.causes_stack import DEPTH, STACK, STACKS
from soak.judge.causes_time import CPU, GATES, gate_of
from soak.judge.classify import garbage_is_live
from soak.judge.matters import Gate
from soak.judge.side import Side
from soak.judge.stats.trend import Trend

_POWER = 1.28 / 1.96
"""How far above what a gate asks for growth must lie to be found nine times in ten, in half-widths of its interval."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One series that the built-in watch looks at for growth, and its gate; without a `needed` one it is blind."""

    metric: str
    endpoint: str | None
    gate: Gate
    needed: bool = False


def watched(side: Side) -> list[Watched]:
    """All series of the watch over one side: what is corrected for when many are looked at."""
    found = [
        Watched(f"latency.{q}", endpoint, gate_of(side, q), q == "p50")
        for endpoint in side.data.endpoints
        for q in GATES
    ]
    if side.recording.scenario.sides[side.name].watched:
        found.append(Watched(memory_metric(side), None, MEMORY, True))
        found.append(Watched("cpu.per_request", None, CPU))
        found += [Watched(mark, None, STACK) for _, mark, _ in STACKS]
        found.append(Watched("stack.depth", None, DEPTH))
    found += [Watched(metric, None, COUNT) for metric in HELD]
    if not garbage_is_live(side):
        found.append(Watched("memory.live", None, MEMORY))
    return found


def memory_sight(side: Side) -> str:
    """What growth of memory the watch would have found, in one clause."""
    if not side.recording.scenario.sides[side.name].watched:
        return "no process was watched, so growth of memory could not be seen"
    metric = memory_metric(side)
    fitted = side.trend(metric)
    if fitted is None:
        return "there is too little of it to see memory grow"
    return (
        f"memory growth above {units.show_growth(_least(fitted, MEMORY) / fitted.span, 'bytes')} would have been seen"
    )


def latency_sight(side: Side) -> list[str]:
    """The same for latencies, a line for each endpoint that had requests."""
    lines = []
    for endpoint in side.data.endpoints:
        seen, blind = [], []
        for quantile in GATES:
            fitted = side.trend(f"latency.{quantile}", endpoint)
            if fitted is None:
                blind.append(quantile)
            else:
                seen.append(f"{quantile} by {units.duration(_least(fitted, gate_of(side, quantile)))}")
        parts = [f"growth over the soak of {', '.join(seen)} would have been seen" if seen else ""]
        parts.append(f"too few requests for a trend of {' and '.join(blind)}" if blind else "")
        lines.append(f"{endpoint}: {'; '.join(p for p in parts if p)}")
    return lines


def _least(fitted: Trend, gate: Gate) -> float:
    """The least growth over the soak, in units, that would be found nine times in ten."""
    half = (fitted.high - fitted.low) / 2 * fitted.span
    bar = gate.bar(fitted)
    return max(bar, bar / 2 + half) + _POWER * half
