"""What a reference says of the candidate: beside it in the same run, or from earlier runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from soak.core.criterion import Criterion
from soak.core.summary import Noise, Summary
from soak.core.verdict import Comparison, CriterionResult, Finding, SideVerdict
from soak.judge.against import Measured, against_limit, judge_ratio, unanswered
from soak.judge.criteria import endpoints_of
from soak.judge.differences import compared, differences, place, regressions, told_anyway, where_differs
from soak.judge.pairs import Pair
from soak.judge.runs import against_runs, measured_in, summarise, unfit
from soak.judge.shared import with_reference
from soak.judge.side import Side

EARLIER = "earlier_runs"
"""Where a run keeps what it is compared with, in its provenance: `runs` as summaries, and `noise`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Results of criteria on ratios by the text of the criterion, and what differs.

    `findings` are all of the candidate's, those of its own in the light of the reference.
    """

    results: Mapping[str, list[CriterionResult]]
    findings: tuple[Finding, ...]
    comparison: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()


def ask_reference(
    sides: Mapping[str, Side], verdicts: Mapping[str, SideVerdict], criteria: Iterable[Criterion], hard: Collection[str]
) -> Answer:
    """The answer of whatever reference there is; `hard` are causes after which a side is no yardstick."""
    asked = [c for c in criteria if c.against_reference]
    side, own = sides["candidate"], verdicts["candidate"].findings
    if side.recording.scenario.earlier is not None:
        return _earlier(side, own, asked)
    reference = verdicts.get("reference")
    if reference is None:
        return _nothing(asked, own, "there is nothing of a reference in this run")
    return _beside(Pair(side, sides["reference"]), own, asked, unfit(reference, hard) or _idle(reference))


def _idle(reference: SideVerdict) -> str:
    """That it did nothing of what the candidate did; what it holds and costs then is no measure of that."""
    answered = any(p.count for p in reference.latency.values())
    return "" if answered else "no request of it was answered as it should be"


def _beside(pair: Pair, own: tuple[Finding, ...], criteria: list[Criterion], fault: str) -> Answer:
    why = f"the reference is no yardstick: {fault}" if fault else ""
    judged = {c.text(): judge_ratio(c, pair, why) for c in criteria}
    results = {text: [r for r, _ in found] for text, found in judged.items()}
    if why or pair.length <= 0:
        return Answer(results, own)
    asked = [(r, m) for found in judged.values() for r, m in found if m is not None]
    measured = differences(pair, [m for _, m in asked])
    rows, span = compared(measured), (pair.start, pair.end)

    def where(room: str) -> list[str]:
        return where_differs(pair, room)

    found = with_reference(pair, list(own))
    found += regressions(span, where, [(r, m) for r, m in asked if r.result == "fail"])
    keys = {(m.metric, m.endpoint) for _, m in asked}
    found += told_anyway(span, where, zip(rows, measured, strict=True), keys, found)
    return Answer(results, tuple(found), tuple(rows))


def _earlier(side: Side, own: tuple[Finding, ...], criteria: list[Criterion]) -> Answer:
    kept = side.recording.provenance.get(EARLIER)
    try:
        assert isinstance(kept, Mapping)
        theirs = [Summary.from_json(s) for s in kept["runs"]]
        noise = Noise.from_json(kept["noise"])
    except (AssertionError, KeyError, TypeError, ValueError):
        return _nothing(criteria, own, "the run file does not hold what it was to be compared with")
    fault = next((f"{s.run}: {s.unfit}" for s in theirs if s.unfit), "" if theirs else "there is none")
    if fault or side.length <= 0:
        return _nothing(criteria, own, f"the reference is no yardstick: {fault}" if fault else "there was no soak")
    ours = summarise(side.recording, "")
    asked: list[tuple[Criterion, Measured]] = [
        (c, against_runs(c.metric, endpoint, ours, theirs, noise))
        for c in criteria
        for endpoint in endpoints_of(c, side)
    ]
    answers = [(c, against_limit(c, m, None), m) for c, m in asked]
    results: dict[str, list[CriterionResult]] = {c.text(): [] for c in criteria}
    for c, r, _ in answers:
        results[c.text()].append(r)
    by_key = {(m.metric, m.endpoint): m for _, m in asked}
    for metric, endpoint in measured_in([ours, *theirs]):
        by_key.setdefault((metric, endpoint), against_runs(metric, endpoint, ours, theirs, noise))
    measured = sorted(by_key.values(), key=place)
    rows, span = compared(measured), (side.start, side.end)
    found = list(own) + regressions(span, _nowhere, [(r, m) for _, r, m in answers if r.result == "fail"])
    keys = {(m.metric, m.endpoint) for _, m in asked}
    found += told_anyway(span, _nowhere, zip(rows, measured, strict=True), keys, found)
    return Answer(results, tuple(found), tuple(rows), (_noise_told(theirs, noise),))


def _noise_told(theirs: list[Summary], noise: Noise) -> str:
    """Where the noise between runs comes from."""
    runs = f"the reference is {len(theirs)} earlier run{'s' * (len(theirs) != 1)}"
    if len(theirs) >= 3:
        return f"{runs}: how far they lie apart is the noise that a difference must be beyond"
    if noise.spreads:
        return f"{runs}: how much runs differ by themselves was measured by `soak compare --calibrate`"
    return (
        f"{runs}: how much runs differ by themselves is assumed (5 % in latency, 3 % in CPU, 2 % in memory, 25 % "
        "in failures); three or more runs, or `soak compare --calibrate`, would measure it"
    )


def _nothing(criteria: list[Criterion], own: tuple[Finding, ...], why: str) -> Answer:
    return Answer({c.text(): [unanswered(c, f"{why}: no data is no pass")] for c in criteria}, own)


def _nowhere(_room: str) -> list[str]:
    return []
