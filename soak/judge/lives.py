"""The lives of a target in a run that was resumed: nothing is ever held against another life.

    warm-up ▸ soak ═════╪ cut off ╪ warm-up again ▸ soak ══════════
              one life                              another life

Where the target went on, there is one life, with a hole in what is known. Where it is another process since, what it
weighs, holds and costs began anew: each life is a recording of its own, with a warm-up of its own. Both sides of a pair
begin another life when one of them does: they are compared window by window.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from soak.core import units
from soak.core.records import Gap, Phase, Recording, Series, SideRecording
from soak.core.verdict import CriterionResult, Finding, Verdict

_OF_A_LIFE = ("inspection", "trim", "agent", "attach", "door")
"""Events that tell of the process itself."""
_ENOUGH = 0.25
"""Of the planned soak: in a shorter life a heap that fills still looks like one that leaks."""


def lives(recording: Recording) -> list[Recording]:
    """Each life as a recording, in order; a run that was not resumed, or only once it was over, is itself."""
    span, gaps = recording.soak_span, recording.gaps
    cuts = [g for g in gaps if g.anew and span is not None and g.start < span[1] and g.end > _loaded(recording)]
    if not gaps:
        return [recording]
    edges = [0.0, *(g.end for g in cuts)], [*(g.start for g in cuts), recording.duration + 1.0]
    found = [_life(recording, start, end, gaps) for start, end in zip(*edges, strict=True)]
    return [one for one in found if one.soak_span is not None] or [found[-1]]


def loaded_s(recording: Recording) -> float:
    """Seconds of soak that there are, without the gaps in it."""
    start, end = recording.soak_span or (0.0, 0.0)
    return end - start - sum(max(0.0, min(g.end, end) - max(g.start, start)) for g in recording.gaps)


def long_enough(recording: Recording) -> bool:
    """Whether a life says something of growth by itself."""
    return loaded_s(recording) >= _ENOUGH * recording.scenario.phases.soak


def gap_notes(recording: Recording) -> list[str]:
    """Each gap in words."""
    return [_words(gap) for gap in recording.gaps]


def missing(recording: Recording, judged: Recording) -> list[str]:
    """Why a run whose longest life is `judged` cannot pass; empty where that life had all but the whole soak."""
    planned, lived = recording.scenario.phases.soak, loaded_s(judged)
    anew = sum(1 for g in recording.gaps if g.anew)
    if not anew or lived >= 0.95 * planned:
        return []
    return [
        f"the target was started anew {'once' if anew == 1 else f'{anew} times'}, when the run was resumed: growth was "
        f"seen for {units.duration(round(lived))} of one life; {units.duration(round(planned - lived))} are missing "
        f"to the {units.duration(planned)} of soak: soak again without a break"
    ]


def findings_of(
    others: list[tuple[Recording, Verdict]], own: tuple[Finding, ...], side: str, hard: Collection[str]
) -> list[Finding]:
    """What fails a side in its other lives, and not in the one that is judged; of a short one, `hard` evidence."""
    known = {(f.cause, f.endpoint) for f in own}
    found = []
    for life, verdict in others:
        told = verdict.candidate if side == "candidate" else verdict.reference
        if told is None:
            continue
        trusted = long_enough(life) and not told.validity.reasons
        for finding in told.findings:
            counts = trusted or finding.cause in hard
            if counts and finding.severity == "fail" and (finding.cause, finding.endpoint) not in known:
                known.add((finding.cause, finding.endpoint))
                found.append(replace(finding, evidence=(*finding.evidence, _where(life))))
    return found


def worst_of(results: list[CriterionResult], others: list[tuple[Recording, Verdict]]) -> list[CriterionResult]:
    """Each criterion as it came out in the life that is judged, unless it failed in another one."""
    found = {(r.text, r.endpoint): r for r in results}
    for life, verdict in others:
        if verdict.candidate.validity.reasons or not long_enough(life):
            continue
        for r in verdict.criteria:
            key = (r.text, r.endpoint)
            if r.result == "fail" and key in found and found[key].result != "fail":
                found[key] = replace(r, reason=f"{r.reason}; {_where(life)}")
    return list(found.values())


def _where(life: Recording) -> str:
    start, end = life.soak_span or (0.0, 0.0)
    return f"that was in the life of the target from {units.duration(round(start))} to {units.duration(round(end))}"


def _words(gap: Gap) -> str:
    whose = f"the {' and the '.join(sorted(gap.anew))}"
    lives_on = (
        f"{whose} {'are' if len(gap.anew) > 1 else 'is'} another process since: no growth is held against it"
        if gap.anew
        else "what was watched went on meanwhile"
    )
    return (
        f"the run was {gap.why} {units.duration(round(gap.start))} into it and resumed "
        f"{units.duration(round(gap.away + gap.end - gap.start))} later; {lives_on}, and that stretch is left out"
    )


def _loaded(recording: Recording) -> float:
    """When the first arrival could fall due: another process before that is the one that is soaked."""
    return recording.load_start if recording.load_start is not None else recording.duration


def _life(recording: Recording, start: float, end: float, gaps: tuple[Gap, ...]) -> Recording:
    """What was recorded within [start, end), without its gaps."""
    holes = [(g.start, g.end) for g in gaps]
    warm = start + recording.scenario.phases.warmup_s if start else 0.0
    return replace(
        recording,
        phases=tuple(_phases(recording, start, warm, end)),
        sides={name: _side(side, start, end, holes) for name, side in recording.sides.items()},
        host=_cut(recording.host, start, end, holes),
        events=tuple(
            e
            for e in recording.events
            if (e.kind != "resumed" or start <= float(str(e.data["from"])) < float(str(e.data["to"])) < end)
            and (e.kind not in _OF_A_LIFE or start <= e.t < end)
        ),
    )


def _phases(recording: Recording, start: float, warm: float, end: float) -> list[Phase]:
    """Its phases; those of a life that began under load begin with its warm-up, and the idle one before is not its."""
    found: list[Phase] = []
    for phase in recording.phases:
        phase_end = phase.end if phase.end is not None else recording.duration
        since, until = max(phase.start, start), min(phase_end, end)
        if phase.name == "soak" and since < min(warm, until):
            if not any(p.name == "warmup" for p in found):
                found.append(Phase("warmup", since, min(warm, until)))
            since = min(warm, until)
        if until > since and not (phase.name == "idle_before" and phase.start < start):
            cut_off = phase.end is None or until < phase_end
            found.append(Phase(phase.name, since, None if phase.end is None and not cut_off else until))
    return found


def _side(side: SideRecording, start: float, end: float, holes: list[tuple[float, float]]) -> SideRecording:
    """Its accounts stay whole: every arrival of the run is told in each life's verdict."""
    return replace(
        side,
        series=_cut(side.series, start, end, holes),
        processes={name: _cut(series, start, end, holes) for name, series in side.processes.items()},
    )


def _cut(series: Mapping[str, Series], start: float, end: float, holes: list[tuple[float, float]]) -> dict[str, Series]:
    cut = {}
    for name, one in series.items():
        inside = one.between(start, end)
        keep = inside.t >= start
        for a, b in holes:
            keep &= (inside.t < a) | (inside.t >= b)
        cut[name] = inside if keep.all() else Series(inside.t[keep], inside.v[keep])
    return cut
