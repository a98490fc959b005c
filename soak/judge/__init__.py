"""Windows to verdict; pure: no clock, no files, no network."""

from soak.judge.compare import calibrate, compare_pairs, compare_runs
from soak.judge.early import Certain, Look, planned, settled_s
from soak.judge.reference import EARLIER
from soak.judge.runs import summarise, unfit
from soak.judge.stats.series import judge_many, judge_series
from soak.judge.verdict import HARD, judge, judge_live

__all__ = [
    "EARLIER",
    "HARD",
    "Certain",
    "Look",
    "calibrate",
    "compare_pairs",
    "compare_runs",
    "judge",
    "judge_live",
    "judge_many",
    "judge_series",
    "planned",
    "settled_s",
    "summarise",
    "unfit",
]
