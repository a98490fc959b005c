"""Whether a trend matters: beyond noise and beyond a bar, or certainly below it, or neither (law 6)."""

from __future__ import annotations

from soak.core.verdict import Result
from soak.judge.stats.blocks import FEW_FALLS
from soak.judge.stats.trend import Trend

_CERTAIN = 0.25
"""Of the bar, that the low end of the interval must reach: not just more than nothing."""
_EARLY = 0.15
"""Of the span: a step before this may be the end of a warm-up."""
_DOUBT = 0.05


def grows(fitted: Trend, bar: float) -> bool:
    """Whether growth over the span is certain and reaches `bar` (units), though it may come to an end."""
    if fitted.shape == "step" and fitted.step_low >= bar:
        return True
    if fitted.falls is not None and fitted.falls < FEW_FALLS:
        return False
    return fitted.growth >= bar and fitted.low * fitted.span >= _CERTAIN * bar


def decide(fitted: Trend, bar: float) -> Result:
    """`fail` for growth of `bar` units or more that goes on, `pass` where less than that is certain."""
    if fitted.shape == "step" and fitted.step_low >= bar:
        return "inconclusive" if came_early(fitted) else "fail"
    if fitted.shape == "linear" and grows(fitted, bar):
        return "fail"
    if fitted.falls is not None and fitted.falls < FEW_FALLS:
        return "inconclusive"
    ends = fitted.to_come < bar
    if fitted.settles and ends:
        return "pass"
    # of what fills, a line beside it says little: its late part must be as calm
    return "pass" if fitted.reaches(bar) < _DOUBT and (ends or not fitted.fills) else "inconclusive"


def came_early(fitted: Trend) -> bool:
    """Whether this is a step at the very beginning, where the end of a warm-up would put one."""
    return fitted.step_at is not None and fitted.step_at - fitted.start < _EARLY * fitted.span
