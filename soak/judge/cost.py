"""What a regression costs: more CPU for each request in cores and money, more memory over the fleet.

    30 µs x 10,000/s x 20 instances = 6 cores; 6 x 0.05 USD x 730 h = 219 USD a month

The scenario's `cost` says how much traffic each instance serves in production, how many there are, and what an hour of
a core costs. What was measured is the growth over this soak, or the difference to the reference beside it. Memory has
no price: how it is sold is a matter of the machine, not of the byte.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from soak.core import units
from soak.core.scenario import Cost
from soak.core.verdict import Finding
from soak.judge.pairs import Pair
from soak.judge.side import Side
from soak.judge.stats.blocks import MIN_BLOCKS
from soak.judge.stats.tails import student_quantile
from soak.judge.stats.trend import Trend

MONTH_H = 730
"""Hours of a month: 365 days by twelve."""

_CPU = "cpu.per_request"
_REGRESSION = "_regression"
_TIMED = ("cpu.", "latency.", "service.")


@dataclass(frozen=True, slots=True)
class More:
    """How much more there is of something, in base units, with its interval."""

    value: float
    low: float
    high: float


def costed(finding: Finding, side: Side, reference: Side | None) -> Finding:
    """The finding with what it costs, where the scenario says at what scale, and it costs anything."""
    scale = side.recording.scenario.cost
    if scale is None or finding.severity == "info":
        return finding
    text = None
    if finding.metric.startswith(_TIMED):
        more = _difference(side, reference, _CPU) if finding.cause.endswith(_REGRESSION) else _drift(side)
        text = money(more, scale) if more is not None and more.low > 0 else None
    elif finding.metric.startswith("memory."):
        if finding.cause.endswith(_REGRESSION):
            more = _difference(side, reference, finding.metric)
            text = memory(more.value, "", scale) if more is not None else None
        elif finding.rate_unit == "bytes/h" and finding.rate is not None:
            text = memory(finding.rate, "/h", scale)
    return replace(finding, cost=text) if text else finding


def beside(side: Side, reference: Side | None) -> list[str]:
    """What the candidate's CPU costs more, or less, than that of the reference, whatever else was found."""
    scale = side.recording.scenario.cost
    more = _difference(side, reference, _CPU) if scale is not None else None
    if scale is None or more is None:
        return []
    if more.low > 0:
        return [f"a request takes more CPU than with the reference: {money(more, scale)}"]
    if more.high < 0:
        less = More(-more.value, -more.high, -more.low)
        return [f"a request takes less CPU than with the reference, which saves: {money(less, scale)}"]
    return []


def money(more: More, scale: Cost) -> str:
    """Seconds of CPU a request as cores of all instances, and as money.

    Every factor is shown, and reckoned with as it is shown: whoever checks it finds the same.
    """
    per_second = scale.rate * scale.instances
    value = _rounded(more.value)
    fleet = f" x {scale.instances:,} instances" if scale.instances > 1 else ""
    cores = _rounded(value * per_second)
    text = f"{units.duration(value)} x {scale.rate:,.6g}/s{fleet} = {_figure(cores)} cores"
    low, high = more.low * per_second, more.high * per_second
    if scale.price is None:
        return f"{text} ({_figure(low)} to {_figure(high)})"
    amount, currency = scale.price
    month = amount * MONTH_H
    return (
        f"{text}; {_figure(cores)} x {amount:g} {currency} x {MONTH_H} h = {_figure(cores * month)} {currency} a month "
        f"({_figure(low * month)} to {_figure(high * month)})"
    )


def memory(size: float, per: str, scale: Cost) -> str:
    """Bytes of one instance as bytes of all of them."""
    return f"{units.size(size)}{per} x {scale.instances:,} instances = {units.size(size * scale.instances)}{per}"


def _drift(side: Side) -> More | None:
    """By how much CPU a request grew over the soak (s)."""
    fitted: Trend | None = side.trend(_CPU)
    if fitted is None:
        return None
    if fitted.shape == "step":
        return More(fitted.step_size, fitted.step_low, 2 * fitted.step_size - fitted.step_low)
    return More(fitted.growth, fitted.low * fitted.span, fitted.high * fitted.span)


def _difference(side: Side, reference: Side | None, metric: str) -> More | None:
    """Candidate minus reference over the same windows, with an interval that allows for noise that remembers itself.

    The windows are those of a ratio, summed up the same way on both sides whatever shape either has.
    """
    paired = Pair(side, reference).series(metric) if reference is not None else None
    if paired is None or len(paired.t) < MIN_BLOCKS:
        return None
    gap = paired.candidate - paired.reference
    spread, mean = float(np.std(gap, ddof=1)), float(np.mean(gap))
    if spread == 0:
        return More(mean, mean, mean)
    rho = max(0.0, float(np.corrcoef(gap[:-1], gap[1:])[0, 1]))
    independent = max(4.0, len(gap) * (1 - rho) / (1 + rho))
    half = student_quantile(1 - side.alpha / 2, independent - 1) * spread / independent**0.5
    return More(mean, mean - half, mean + half)


def _rounded(number: float) -> float:
    """To the three digits that are shown."""
    return float(f"{number:.3g}")


def _figure(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
