"""A finding of steady growth: its rate by the hour, its interval, and the time that is left to a limit."""

from __future__ import annotations

from soak.core import units
from soak.core.units import Dimension
from soak.core.verdict import Finding
from soak.judge.advice import ADVICE
from soak.judge.side import Side
from soak.judge.stats.trend import Trend, late_slope


def goes_on(side: Side, metric: str, fitted: Trend) -> bool:
    """Whether the last third still grows at a fair part of the fitted rate: a leak does not tire."""
    blocks = side.blocks(metric)
    return blocks is not None and late_slope(blocks.t, blocks.v, 1 / 3) > 0.25 * fitted.slope


def growth(
    cause: str,
    metric: str,
    side: Side,
    fitted: Trend,
    words: str,
    dimension: Dimension,
    evidence: list[str],
    room: float | None,
    limit: str,
) -> Finding:
    """A finding of steady growth with its rate by the hour and the time to a limit."""
    rate = units.show_growth(fitted.slope, dimension)
    interval = f"{units.show_growth(fitted.low, dimension)} to {units.show_growth(fitted.high, dimension)}"
    early, eta, late = time_left(room, fitted)
    left = f"; {limit} is reached in {units.duration(round(eta))}" if eta is not None else ""
    return Finding(
        cause=cause,
        metric=metric,
        endpoint=None,
        severity="fail",
        title=f"{words} by {rate} ({interval}){left}",
        rate=fitted.slope * 3600,
        rate_unit=f"{dimension}/h",
        low=fitted.low * 3600,
        high=fitted.high * 3600,
        eta_s=eta,
        eta_low_s=early,
        eta_high_s=late,
        eta_limit=limit or None,
        evidence=tuple(evidence),
        advice=ADVICE[cause],
        start=side.start,
        end=side.end,
    )


def time_left(room: float | None, fitted: Trend) -> tuple[float | None, float | None, float | None]:
    """Seconds until `room` units are used up: at the earliest, by the trend, at the latest; None for never."""
    return fitted.band.reach(room) if room is not None and room > 0 else (None, None, None)


def per_request(side: Side, fitted: Trend) -> list[str]:
    """What a steady growth of bytes comes to for each request done, as evidence."""
    if not side.done or side.length <= 0:
        return []
    each = fitted.slope / (side.done / side.length)
    return [f"that is {units.size(each)} for each request done"] if each > 0 else []


def idle(side: Side, metric: str) -> list[str]:
    """What idle-before and idle-after say: what load took and did not give back."""
    dimension: Dimension = "bytes" if metric.startswith("memory") else "count"
    if (rest := side.at_rest(metric)) is None:
        return []
    before, after = rest
    return [
        f"idle before the load it stood at {units.show(before, dimension)}, idle after it at "
        f"{units.show(after, dimension)}"
    ]
