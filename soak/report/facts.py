"""What every view says in words, made once: headline, next step, findings, account, phases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from soak.core import units
from soak.core.records import Recording
from soak.core.verdict import Finding, Severity, SideVerdict, Verdict
from soak.report import phrases

_SEVERITIES: tuple[Severity, ...] = ("fail", "warning", "info")
_AT_ONCE_S = 0.01
_OF_THE_INSTRUMENT = ("generator_saturated", "noisy_host")
"""Causes that spoil a measurement, whose advice mends it."""


@dataclass(frozen=True, slots=True)
class NumberedFinding:
    """A finding with the number it has in every view, and the side that it was found on."""

    number: int
    side: str
    finding: Finding


def findings(verdict: Verdict) -> list[NumberedFinding]:
    """All findings, the gravest first, the candidate's before the reference's."""
    found = [(name, f) for name, side in sides(verdict).items() for f in side.findings]
    found.sort(key=lambda pair: _SEVERITIES.index(pair[1].severity))
    return [NumberedFinding(n, name, f) for n, (name, f) in enumerate(found, 1)]


def sides(verdict: Verdict) -> dict[str, SideVerdict]:
    """The candidate, and the reference when there is one."""
    return {"candidate": verdict.candidate} | ({"reference": verdict.reference} if verdict.reference else {})


def headline(verdict: Verdict) -> str:
    """The headline without the word of the verdict, which every view shows in its own way."""
    text = phrases.clean(verdict.headline).strip()
    rest = text.removeprefix(f"{phrases.WORDS[verdict.verdict]}:").strip()
    return rest or phrases.MEANINGS[verdict.verdict]


def word(verdict: Verdict) -> str:
    """The word of the verdict, and whether the run was interrupted."""
    return phrases.WORDS[verdict.verdict] + (" (interrupted)" if verdict.interrupted else "")


def next_step(verdict: Verdict) -> str:
    """What to do first; empty after a pass."""
    if verdict.interrupted and verdict.verdict in ("pass", "inconclusive"):
        return "It was interrupted. `soak run --resume RUN` goes on with it."
    if verdict.verdict == "pass":
        return ""
    if verdict.verdict == "invalid":
        known = dict.fromkeys(f.finding.advice for f in findings(verdict) if f.finding.cause in _OF_THE_INSTRUMENT)
        return " ".join(["Mend the measurement first (the reasons are below), then soak again.", *filter(None, known)])
    if verdict.verdict == "inconclusive":
        return (
            "Do what the reasons say, most often soak longer or with more load; what would settle a criterion stands "
            "beside it."
        )
    advice = (f.finding.advice for f in findings(verdict) if f.side == "candidate" and f.finding.severity == "fail")
    return next(filter(None, advice), "Look at the criteria that failed, and at their charts in the HTML report.")


def further_reasons(verdict: Verdict) -> list[str]:
    """The reasons that neither headline, findings nor criteria say already."""
    said = {f.finding.title for f in findings(verdict)} | {f"{c.text}: {c.reason}" for c in verdict.criteria}
    return [r for r in verdict.reasons if r not in said and r not in verdict.headline]


def account(side: SideVerdict) -> str:
    """Where every arrival went, in one line."""
    v = side.validity
    parts = [
        f"{phrases.count(n)} {word}"
        for n, word in ((v.done, "done"), (v.failed, "failed"), (v.unserved, "unserved"), (v.lost, "lost"))
    ]
    sign = "=" if v.balanced else "≠"
    tail = "" if v.balanced else " (the account does not balance)"
    return f"{phrases.count(v.scheduled)} scheduled {sign} {' + '.join(parts)}{tail}"


def instrument(recording: Recording, side: str, verdict: SideVerdict) -> str:
    """How well the generator itself kept time, in one line."""
    v = verdict.validity
    text = f"{phrases.count(v.invalid_intervals)} of {phrases.plural(v.intervals, 'interval')} not trusted"
    recorded = recording.sides.get(side)
    if recorded is not None and recorded.tallies:
        lag = max(t.lag_max for t in recorded.tallies)
        wake = max(t.wake_p99 for t in recorded.tallies)
        usual = float(np.median([t.wake_p99 for t in recorded.tallies]))
        text += f"; the generator was at most {units.duration(lag)} behind; it sent late by {units.duration(usual)} at "
        text += f"p99 (at most {units.duration(wake)}), and no drift below that is claimed"
    return text


def phases(recording: Recording) -> list[tuple[str, str]]:
    """Name and length of each phase that was begun, but for those that were over at once: they were not asked for."""
    shown = []
    for phase in recording.phases:
        end = phase.end if phase.end is not None else recording.duration
        if phase.end is not None and end - phase.start < _AT_ONCE_S:
            continue
        length = units.duration(max(end - phase.start, 0.0))
        shown.append((phase.name.replace("_", "-"), length if phase.end is not None else f"{length}, not ended"))
    return shown


def summary(recording: Recording, verdict: Verdict) -> str:
    """Run, start and length in one line."""
    planned = recording.scenario.phases.whole_s
    soaked = f"soaked {units.duration(verdict.soak_s)}"
    if verdict.soak_s < planned - 1:
        soaked += f" of {units.duration(planned)}"
    if (early := verdict.stopped_early) is not None:
        soaked += f" (stopped {units.duration(round(early.saved_s))} early: {phrases.certainty(early)})"
    text = f"Run {phrases.clean(verdict.run)}, {soaked}, started {phrases.wall_clock(recording.started)}"
    if verdict.interrupted:
        text += "; interrupted"
    return text
