"""Verdicts of series that belong to no run: a line each, or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from soak.core import units
from soak.core.verdict import SeriesVerdict, finite
from soak.report import phrases

_WORDS = {"fail": "FAIL", "inconclusive": "inconclusive", "pass": "pass", "invalid": "invalid"}
_ORDER = {"fail": 0, "inconclusive": 1, "pass": 2, "invalid": 0}
_WIDEST = 48


def render_series(verdicts: Mapping[str, SeriesVerdict], timed: bool) -> str:
    """A line for each series, the failing ones first, and how many there are of each."""
    order = sorted(verdicts, key=lambda name: (_ORDER[verdicts[name].verdict], -(verdicts[name].growth or 0.0)))
    names = {name: phrases.clean(name) for name in order}
    width = min(_WIDEST, max(map(len, names.values()), default=0))
    lines = [
        f"{_WORDS[verdicts[name].verdict]:12}  {names[name]:{width}}  {reason(verdicts[name], timed)}" for name in order
    ]
    counts = [
        f"{count:,} {word}"
        for word in ("fail", "inconclusive", "pass")
        if (count := sum(v.verdict == word for v in verdicts.values()))
    ]
    return "\n".join([*lines, "", f"{len(verdicts):,} series: {', '.join(counts)}"])


def series_json(verdicts: Mapping[str, SeriesVerdict], timed: bool) -> dict[str, Any]:
    """The document of `soak trend --json`; growth is a ratio, times are in seconds (or rows)."""
    rows = [
        {
            "name": name,
            "verdict": one.verdict,
            "growth": one.growth,
            "low": one.low,
            "high": one.high,
            "shape": one.shape,
            "reason": reason(one, timed),
            "p": one.p,
            "span": one.span,
            "onset": one.onset,
            "eta_low": one.eta[0],
            "eta": one.eta[1],
            "eta_high": one.eta[2],
        }
        for name, one in verdicts.items()
    ]
    return {"series": finite(rows)}


def reason(one: SeriesVerdict, timed: bool) -> str:
    """Why a series got its verdict, in one sentence."""
    if one.growth is None or one.low is None or one.high is None:
        return "too few points: a trend needs two dozen"
    over = _time(one.span, timed)
    seen = f"{units.percent(one.growth)} ({units.percent(one.low)} to {units.percent(one.high)}) over {over}"
    since = _time((one.onset or one.start) - one.start, timed)
    match one.why:
        case "grows":
            began = f", since {since} into it" if one.onset is not None else ""
            return f"grows by {seen}{began}, and goes on{_left(one, timed)}"
        case "stepped":
            return f"stepped up by {units.percent(one.growth)}, {since} into it, and stayed"
        case "below":
            return f"grows by {seen}" if one.growth > 0 else f"does not grow: {seen}"
        case "settled":
            return "grew, and has settled"
        case "levelling":
            return f"grew by {seen}, but is levelling off: it may fill something{_more(one, timed)}"
        case "early":
            return f"stepped up by {units.percent(one.growth)} within the first {since}: a warm-up would look the same"
        case "late":
            return f"jumped at its very end: too late to see whether it stays{_more(one, timed)}"
        case "cycles":
            return f"goes up and is collected, too few times to see what stays{_more(one, timed)}"
        case "many":
            return f"grows by {seen}, as one of so many series may by chance"
        case _:
            return f"grows by {seen}: noise hides whether that matters{_more(one, timed)}"


def _more(one: SeriesVerdict, timed: bool) -> str:
    if one.longer is None:
        return "; a reference beside it would tell"
    return f"; look {_time(max(one.longer, 0.1) * one.span, timed)} longer, or beside a reference"


def _left(one: SeriesVerdict, timed: bool) -> str:
    early, at, late = one.eta
    if at is None:
        return ""
    if at == 0:
        return "; it is beyond the limit already"
    bounds = f"{_time(early or 0.0, timed)} to {_time(late, timed) if late is not None else 'never'}"
    return f"; the limit is reached in {_time(at, timed)} ({bounds})"


def _time(seconds: float, timed: bool) -> str:
    if not timed:
        return f"{round(seconds):,} rows"
    return units.duration(round(seconds) if seconds >= 10 else round(seconds, 2))
