"""Windows to verdict; pure: no clock, no files, no network."""

from soak.judge.early import Certain, Look, planned, settled_s
from soak.judge.stats.series import judge_many, judge_series
from soak.judge.verdict import judge, judge_live

__all__ = ["Certain", "Look", "judge", "judge_live", "judge_many", "judge_series", "planned", "settled_s"]
