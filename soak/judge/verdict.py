"""From a recording to a verdict. Pure: the same recording gives the same verdict, live or a year later.

Hard evidence on the target itself (it crashed, it was killed) fails a run even if the measurement is not
to be trusted; otherwise invalid goes before fail, fail before inconclusive, inconclusive before pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from soak.core import units
from soak.core.metrics import QUANTILES
from soak.core.records import Clock, Recording
from soak.core.verdict import CriterionResult, Finding, Percentiles, Result, SideVerdict, Verdict
from soak.judge import (
    causes_cost,
    causes_event,
    causes_hang,
    causes_held,
    causes_memory,
    causes_recovery,
    causes_restart,
    causes_stack,
    causes_time,
)
from soak.judge.combine import combine, freed
from soak.judge.cost import beside, costed
from soak.judge.criteria import judge_criterion
from soak.judge.differences import CAUSES
from soak.judge.doubts import doubts, incomplete
from soak.judge.early import Certain, Look, certain, could_have_seen, ended_by, told
from soak.judge.lives import findings_of, gap_notes, lives, loaded_s, long_enough, missing, worst_of
from soak.judge.reference import ask_reference
from soak.judge.side import ALPHA, Side
from soak.judge.sight import latency_sight, memory_sight
from soak.judge.stats.spending import left
from soak.judge.validity import remarks, validity

Rule = Callable[[Side], list[Finding]]
EVENT_CAUSES: tuple[Rule, ...] = (causes_event.crash, causes_event.oom, causes_hang.hang, causes_restart.restart)
SOAK_CAUSES: tuple[Rule, ...] = (
    causes_memory.memory,
    causes_stack.stack,
    causes_stack.depth,
    causes_stack.recursion_limit,
    causes_held.held,
    causes_time.latency,
    causes_time.cpu,
    causes_time.errors,
    causes_time.throughput,
    causes_recovery.recovery,
    causes_time.host,
)

HARD = ("crash", "stack_exhaustion", "oom_kill", "hang")
_ORDER = {"fail": 0, "warning": 1, "info": 2}
_ALL_MEMORY = ("memory.rss", "memory.anon", "memory.pss", "memory.peak")
_PARTS = ("memory.live", "memory.free_in_heap", "memory.retained", "memory.pymalloc_slack")
_MOST = 0.5
_LATENCY_CAUSES = ("latency_drift", "latency_step", "superlinear_cost")


def judge(recording: Recording) -> Verdict:
    """Judge a run: finished, still going on, interrupted, torn, or ended early because this was certain."""
    return judge_live(recording, None)[0]


def judge_live(recording: Recording, look: Look | None) -> tuple[Verdict, Certain | None]:
    """The verdict as of a look at a run that goes on, and what of it is certain. Without one: as at a run's end."""
    lived = lives(recording)
    whole = ALPHA if recording.scenario.stop_early is None else left(ALPHA)  # the looks may use up the rest
    if len(lived) == 1:
        return _judge(recording, lived[0], look, whole, [])
    longest = max(lived, key=loaded_s)
    rest = [one for one in lived if one is not longest]
    alpha = whole / (1 + sum(map(long_enough, rest)))  # one run is one family, however many lives it has
    others = [(one, _judge(one, one, None, alpha, [])[0]) for one in rest]
    return _judge(recording, longest, look, alpha, others)


def _judge(
    whole: Recording, recording: Recording, look: Look | None, alpha: float, others: list[tuple[Recording, Verdict]]
) -> tuple[Verdict, Certain | None]:
    """Judge one life of the target, and beside it what its other lives showed; `whole` is the run as it was."""
    interrupted = _interrupted(whole)
    span = recording.soak_span
    start, end = span if span is not None else (recording.duration, recording.duration)
    ended = ended_by(recording)
    look = ended.look if ended is not None else look
    if look is not None:
        end, alpha = max(start, min(end, look.upto)), look.level
    sides = {name: Side(name, recording, start, end, alpha) for name in recording.sides}
    candidate = sides["candidate"]
    criteria = recording.scenario.criteria if span else []
    verdicts = {name: _side_verdict(side) for name, side in sides.items()}
    verdicts = {
        name: replace(
            v, findings=tuple(sorted((*v.findings, *findings_of(others, v.findings, name, HARD)), key=_urgency))
        )
        for name, v in verdicts.items()
    }
    reference = verdicts.get("reference")
    alone = {c.text(): judge_criterion(c, candidate) for c in criteria if not c.against_reference}
    growth = [r for c in criteria if c.kind == "growth_below" for r in alone[c.text()]]
    # before the reference is asked, which then sees what followed; and after, for what only shows beside it
    seen = _tolerated(candidate, verdicts["candidate"].findings, growth)
    verdicts["candidate"] = replace(verdicts["candidate"], findings=tuple(seen))
    answer = ask_reference(sides, verdicts, criteria, HARD)
    judged = [(c, r) for c in criteria for r in (alone.get(c.text()) or answer.results.get(c.text(), []))]
    results = worst_of([r for _, r in judged], others)
    findings = sorted(_tolerated(candidate, answer.findings, growth), key=_urgency)
    findings = [replace(costed(f, candidate, sides.get("reference")), follows=()) for f in findings]
    own = replace(verdicts["candidate"], findings=tuple(findings))
    open_ = doubts(candidate)
    sure = certain(candidate, judged, own, HARD, open_, look)
    settled = ended is not None and sure is not None and sure.rule == ended.rule
    short = [*incomplete(recording, loaded_s(whole), interrupted, ended, settled), *missing(whole, recording)]
    result, reasons = _decide(results, own, [*short, *open_])
    verdict = Verdict(
        run=recording.run,
        scenario=recording.scenario.name,
        verdict=result,
        headline=_headline(result, candidate, results, own, reasons),
        reasons=tuple(reasons),
        interrupted=interrupted,
        soak_s=end - start if not whole.gaps else loaded_s(whole),
        criteria=tuple(results),
        candidate=own,
        reference=reference,
        comparison=answer.comparison,
        notes=(
            *gap_notes(whole),
            *_untold(whole),
            *_part(candidate),
            *remarks(candidate),
            *causes_recovery.recovery_notes(candidate),
            *_seen(candidate, result, ended),
            *beside(candidate, sides.get("reference")),
            *_notes(reference),
            *answer.notes,
        ),
        stopped_early=told(recording, ended, start) if ended is not None else None,
    )
    return verdict, sure


def _interrupted(recording: Recording) -> bool:
    """Whether it was interrupted, and not resumed since."""
    kinds = [e.kind for e in recording.events if e.kind in ("interrupted", "resumed")]
    return kinds[-1:] == ["interrupted"]


def _part(side: Side) -> list[str]:
    """That the soak was only a part of what the scenario wants, and what a part does not show."""
    phases = side.recording.scenario.phases
    if phases.whole_s <= phases.soak:
        return []
    soak = units.duration(phases.soak)
    return [
        f"cut to a budget: {soak} of soak instead of {units.duration(phases.whole_s)}; growth that begins later, and "
        f"what comes round more seldom than every {soak}, was not seen"
    ]


def _untold(recording: Recording) -> list[str]:
    """That somebody who should have been told of a finding was not."""
    lost = [e.text for e in recording.events if e.kind == "alert_lost"]
    more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
    return [f"an alert could not be delivered: {lost[0]}{more}"] if lost else []


def _side_verdict(side: Side) -> SideVerdict:
    findings = [f for rule in EVENT_CAUSES for f in rule(side)]
    healthy = causes_hang.before_hang(side)
    if healthy.length > 0:
        findings += causes_cost.one_root(healthy, combine(healthy, [f for rule in SOAK_CAUSES for f in rule(healthy)]))
    follows = causes_hang.explained(side)
    findings = [f for f in findings if f.cause not in follows]
    return SideVerdict(
        findings=tuple(sorted(findings, key=_urgency)),
        validity=validity(side),
        latency={e: _percentiles(side, e, "latency") for e in side.data.endpoints + side.data.journeys},
        service={e: _percentiles(side, e, "service") for e in side.data.endpoints},
    )


def _urgency(finding: Finding) -> tuple[int, float]:
    """What kills first comes first: what happened already, then by the time that is left."""
    left = finding.eta_s if finding.eta_s is not None else math.inf
    return _ORDER[finding.severity], -1.0 if finding.cause in HARD else left


def _percentiles(side: Side, endpoint: str, clock: Clock) -> Percentiles:
    values = {name: side.answers.judged(endpoint, clock, q).percentile(q) for name, q in QUANTILES.items()}
    given_up = side.answers.given_up(endpoint, clock)
    timeouts = side.answers.histogram(endpoint, clock, "timeout").total
    return Percentiles(
        **{f"{name}_ms": None if math.isnan(v) else v * 1e3 for name, v in values.items()},
        count=side.answers.histogram(endpoint, clock).total,
        failed=side.answers.histogram(endpoint, clock, "failed").total + timeouts,
        timeouts=timeouts,
        censored=tuple(name for name, v in values.items() if v >= given_up),
    )


def _tolerated(side: Side, findings: Iterable[Finding], growth: list[CriterionResult]) -> list[Finding]:
    """The findings as the user's growth criteria leave them, and what followed from those that fail nothing now."""

    def of(some: Iterable[Finding]) -> list[Finding]:
        return [_tolerate(side, f, growth) for f in some]

    return freed(of(findings), lambda loose: of(causes_cost.one_root(side, loose)))


def _tolerate(side: Side, finding: Finding, growth: list[CriterionResult]) -> Finding:
    """The user's own growth criterion on the same thing decides how much of it matters."""
    if finding.severity != "fail" or finding.cause in HARD or finding.cause in CAUSES.values():
        return finding
    same = [r for r in growth if _same_thing(side, r, finding)]
    if same and all(r.result == "pass" for r in same):
        text = "tolerated: it is within the growth that the scenario allows"
        return replace(finding, severity="warning", evidence=(*finding.evidence, text))
    return finding


def _same_thing(side: Side, result: CriterionResult, finding: Finding) -> bool:
    if finding.metric.startswith("memory."):
        return result.metric in _ALL_MEMORY or (result.metric in _PARTS and _is_most(side, result.metric, finding))
    if finding.cause in _LATENCY_CAUSES:
        return result.metric == finding.metric and result.endpoint in (None, finding.endpoint)
    return result.metric == finding.metric


def _is_most(side: Side, part: str, finding: Finding) -> bool:
    """Whether most of what memory grew by is growth of a part: a limit on it is no limit on the rest."""
    grown, whole = side.trend(part), side.trend(finding.metric)
    return grown is not None and whole is not None and grown.growth >= _MOST * whole.growth


def _decide(results: list[CriterionResult], side: SideVerdict, open_: list[str]) -> tuple[Result, list[str]]:
    """The result and its reasons; `open_` is why a run that found nothing wrong still cannot pass."""
    hard = [f.title for f in side.findings if f.cause in HARD]
    if hard:
        return "fail", hard
    if side.validity.reasons:
        return "invalid", list(side.validity.reasons)
    failed = [f.title for f in side.findings if f.severity == "fail"]
    failed += [f"{r.text}: {r.reason}" for r in results if r.result == "fail"]
    if failed:
        return "fail", failed
    open_ = open_ + [f"{r.text}: {r.reason}" for r in results if r.result == "inconclusive"]
    return ("inconclusive", open_) if open_ else ("pass", [])


def _seen(side: Side, result: Result, ended: Certain | None) -> list[str]:
    """What a pass could have seen."""
    if result != "pass":
        return []
    return could_have_seen(side)[1:] if ended is not None else latency_sight(side)


def _headline(
    result: Result, candidate: Side, results: list[CriterionResult], side: SideVerdict, reasons: list[str]
) -> str:
    word = result.upper()
    if result == "pass":
        hold = f"all {len(results)} criteria hold" if len(results) > 1 else "the criterion holds"
        phases = candidate.recording.scenario.phases
        if phases.whole_s > phases.soak:
            hold += f" for {units.duration(phases.soak)} of the {units.duration(phases.whole_s)} that are wanted"
        return f"{word}: {hold}; {memory_sight(candidate)}"
    extra = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    first = next((f for f in side.findings if f.severity == "fail"), None)
    if result == "fail" and first is not None:
        return f"{word}: {first.title}{extra}"
    return f"{word}: {reasons[0]}{extra}"


def _notes(reference: SideVerdict | None) -> list[str]:
    if reference is None:
        return []
    sick = [f.title for f in reference.findings if f.severity == "fail"]
    notes = [f"the reference is not healthy itself: {title}" for title in sick]
    return notes + [f"the reference was not measured well: {reason}" for reason in reference.validity.reasons]
