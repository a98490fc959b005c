"""Windows to verdict; pure: no clock, no files, no network."""

from soak.judge.compare import calibrate, compare_pairs, compare_runs
from soak.judge.reference import EARLIER
from soak.judge.runs import summarise, unfit
from soak.judge.stats.series import judge_many, judge_series
from soak.judge.verdict import HARD, judge

__all__ = [
    "EARLIER",
    "HARD",
    "calibrate",
    "compare_pairs",
    "compare_runs",
    "judge",
    "judge_many",
    "judge_series",
    "summarise",
    "unfit",
]
