"""Windows to verdict; pure: no clock, no files, no network."""

from soak.judge.stats.series import judge_many, judge_series
from soak.judge.verdict import judge

__all__ = ["judge", "judge_many", "judge_series"]
