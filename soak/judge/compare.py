"""Whole runs compared: two run files, or pairs of runs of which each had the host for itself.

What so many runs cannot see is neither claimed nor excluded: that is inconclusive, and says how many would do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from soak.core import units
from soak.core.comparison import RunsCompared
from soak.core.criterion import Criterion
from soak.core.metrics import METRICS
from soak.core.summary import Noise, Summary, apart
from soak.core.verdict import Comparison, CriterionResult, Result
from soak.judge.against import Measured, against_limit
from soak.judge.differences import compared, matters, place
from soak.judge.runs import against_pairs, against_runs, measured_in, smallest, spread_of

Pairs = Sequence[tuple[Summary, Summary]]
_MOST_PAIRS = 200


def compare_runs(ours: Summary, theirs: Summary, noise: Noise) -> RunsCompared:
    """One run against another one."""
    runs = [ours, theirs]
    why = next((f"{s.run}: {s.unfit}" for s in runs if s.unfit), "")
    lengths = apart((ours.soak_s, ours.warmup_s), (theirs.soak_s, theirs.warmup_s))
    if ours.run == theirs.run:
        why = "both are the same run"
    elif not why and ours.load != theirs.load:
        why = "the two runs were soaked under different loads, so nothing can be compared"
    elif not why and lengths:
        why = f"{lengths}, so nothing can be compared"
    if why:
        return RunsCompared("invalid", f"INVALID: {why}", (ours.run,), (theirs.run,), (), ())
    measured = [against_runs(m, e, ours, [theirs], noise) for m, e in measured_in(runs)]
    measured.sort(key=place)
    where = "was measured by `soak compare --calibrate`" if noise.spreads else "is assumed, not measured"
    note = f"one run of each: how much runs differ by themselves {where}; `--pairs` would tell more"
    return _answer(measured, [None] * len(measured), [], runs[:1], runs[1:], (note,))


def compare_pairs(pairs: Pairs, criteria: Sequence[Criterion], dead: str = "") -> RunsCompared:
    """Pairs of runs, candidate and reference; `dead` says how a candidate ended before its soak did."""
    ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    if dead:
        return RunsCompared("fail", f"FAIL: {dead}", _names(ours), _names(theirs), (), ())
    if not pairs:
        return RunsCompared("inconclusive", "INCONCLUSIVE: no pair of runs was soaked to its end", (), (), (), ())
    keys = measured_in([*ours, *theirs])
    found = {key: against_pairs(*key, pairs) for key in keys}
    asked = [(c, e) for c in criteria if c.against_reference for e in _endpoints(c, ours[0])]
    for c, e in asked:
        found.setdefault((c.metric, e), against_pairs(c.metric, e, pairs))
    measured = sorted(found.values(), key=place)
    visible = [smallest(m, len(pairs), len(measured)) for m in measured]
    results = [against_limit(c, found[c.metric, e], None) for c, e in asked]
    return _answer(measured, visible, results, ours, theirs, ())


def calibrate(pairs: Pairs) -> RunsCompared:
    """Pairs of runs of one and the same program: how much runs differ, and whether anything is claimed falsely."""
    found = compare_pairs(pairs, [])
    if not found.comparison:
        return found
    spreads = [s for c in found.comparison if (s := spread_of(c.metric, c.endpoint, pairs)) is not None]
    claimed = [c for c in found.comparison if c.change in ("worse", "better")]
    if claimed:
        what = ", ".join(_name(c) for c in claimed)
        headline = f"FAIL: the same program is told apart from itself by {what}"
    else:
        headline = f"PASS: nothing is claimed of {len(pairs)} pairs of runs of the same program"
    return replace(found, verdict="fail" if claimed else "pass", headline=headline, spreads=tuple(spreads))


def _answer(
    measured: Sequence[Measured],
    visible: Sequence[float | None],
    results: Sequence[CriterionResult],
    ours: Sequence[Summary],
    theirs: Sequence[Summary],
    notes: tuple[str, ...],
) -> RunsCompared:
    rows = compared(list(measured))
    asked = {(r.metric, r.endpoint) for r in results}
    failed = [f"{r.text}: {r.reason}" for r in results if r.result == "fail"]
    for c, m in zip(rows, measured, strict=True):
        if c.change == "worse" and (c.metric, c.endpoint) not in asked:
            failed.append(_worse(c, m))
    open_ = [f"{r.text}: {r.reason}" for r in results if r.result == "inconclusive"]
    if not results:
        open_ = [
            f"{_name(c)}: {c.reason or f'{len(ours)} of each cannot see whether it is worse'}{_enough(c, v, len(ours))}"
            for c, v in zip(rows, visible, strict=True)
            if c.change == "unclear"
        ]
    verdict: Result = "fail" if failed else "inconclusive" if open_ or not rows else "pass"
    seen = "nothing is worse by what matters"
    first = (failed or open_ or [seen if rows else "nothing could be compared"])[0]
    more = len(failed or open_) - 1
    headline = f"{verdict.upper()}: {first}" + (f" (and {more} more)" if more > 0 else "")
    return RunsCompared(
        verdict, headline, _names(ours), _names(theirs), tuple(rows), tuple(visible), tuple(results), (), notes
    )


def _worse(row: Comparison, measured: Measured) -> str:
    assert row.ratio is not None
    by = units.percent(abs(row.ratio - 1)) if math.isfinite(row.ratio) else "much"
    return f"{_name(row)} is {by} {'below' if row.ratio < 1 else 'above'} the reference's: {measured.against}"


def _enough(row: Comparison, visible: float | None, pairs: int) -> str:
    """How many pairs would see a difference that matters: what is seen shrinks with the square root of their number."""
    if visible is None or visible <= 1:
        return ""
    needed = math.ceil(pairs * (math.log(visible) / math.log1p(matters(row.metric).relative)) ** 2)
    return f"; about {needed} pairs would" if pairs < needed <= _MOST_PAIRS else ""


def _endpoints(criterion: Criterion, run: Summary) -> list[str | None]:
    if criterion.endpoint is not None or not METRICS[criterion.metric].per_endpoint:
        return [criterion.endpoint]
    return [f.endpoint for f in run.failures if f.endpoint is not None] or [None]


def _name(row: Comparison) -> str:
    return f"{row.metric} of {row.endpoint}" if row.endpoint else row.metric


def _names(runs: Sequence[Summary]) -> tuple[str, ...]:
    return tuple(s.run for s in runs)
