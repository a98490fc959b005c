"""Whether the measurement as a whole can be trusted, and in what words it cannot."""

from __future__ import annotations

from collections.abc import Collection

from soak.core import units
from soak.core.verdict import Validity
from soak.judge.marks import NO_SLOT_P99_S, Late, Why, lag_limit, lag_p99_limit, load_began, without_slots
from soak.judge.side import Side

INVALID_SHARE = 0.05
FEW = 2
"""So many untrusted intervals do not condemn a run, however short: a busy host has such moments."""
_FREEZE_S = 1.0
_FREEZE_SHARE = 0.005
"""A generator that stood still for a second, and for this share of the soak, has not measured that soak."""
_CLOCK_EVENTS = ("clock_step", "suspended")
_UNWATCHED = ("observer_restarted", "observer_gap")
_TOLD = 3
"""Gaps in the watch that are told one by one."""


def validity(side: Side) -> Validity:
    """The account and the health of one side, with the reasons that make it invalid."""
    data, recording, marks = side.data, side.recording, side.marks
    told = {k: sum(getattr(y, k) for y in data.tallies) for k in ("scheduled", "done", "failed", "unserved", "lost")}
    scheduled = data.scheduled if data.scheduled is not None else told["scheduled"]
    reasons = []
    parts = told["done"] + told["failed"] + told["unserved"] + told["lost"]
    if recording.finished and data.scheduled is not None and parts != scheduled:
        reasons.append(f"the account does not balance: {scheduled} arrivals scheduled, {parts} accounted for")
    for event in recording.events:
        if event.side in (None, side.name) and event.kind in ("generator_error", *_CLOCK_EVENTS):
            reasons.append(event.text)
    reasons += _stood_still(side)
    if _too_many(side):
        reasons.append(
            f"{len(marks.all)} of {_intervals(side)} intervals cannot be trusted: {'; '.join(_causes(side))}"
        )
    return Validity(
        scheduled=scheduled,
        done=told["done"],
        failed=told["failed"],
        unserved=told["unserved"],
        lost=told["lost"],
        intervals=_intervals(side),
        invalid_intervals=len(marks.all),
        reasons=tuple(reasons),
    )


def _intervals(side: Side) -> int:
    """How many intervals the soak of a side has."""
    marks = side.marks
    return len(({marks.number(y) for y in side.tallies} | marks.missing) - marks.away)


def _too_many(side: Side) -> bool:
    """Whether so many intervals are not trusted that nothing is."""
    spoiled = len(side.marks.all)
    return spoiled > FEW and spoiled > INVALID_SHARE * max(1, _intervals(side))


def saturated(side: Side) -> bool:
    """Whether the generator, not the target, was the bottleneck: no free slot while its own loop was late."""
    return len(_without_slots(side)) > INVALID_SHARE * max(1, len(side.tallies))


def at_its_limit(side: Side) -> bool:
    """Whether that was its own work: a generator that waits for a core is not helped by more workers."""
    own = [late for late in _without_slots(side) if late.why == "saturated"]
    return len(own) > INVALID_SHARE * max(1, len(side.tallies))


def _without_slots(side: Side) -> list[Late]:
    return [late for late in side.marks.late if without_slots(late.tally)]


def remarks(side: Side) -> list[str]:
    """What is worth saying in any case: workers and looks that were lost, endpoints and intervals left out."""
    told = []
    for event in side.recording.events:
        if event.kind == "worker_lost" and event.side == side.name and "to" in event.data:
            begin = load_began(event, side.recording)
            start, end = float(str(event.data["from"])), float(str(event.data["to"]))
            told.append(
                f"{event.text} {units.duration(max(0.0, begin + start))} into the run; {units.duration(end - start)} "
                "later its share of the rate was that of the others. Unless it came back to tell, what it did in "
                "between is missing; those intervals are not trusted"
            )
    told += _unwatched(side)
    if idle := [e for e in side.data.endpoints if e not in side.asked]:
        told.append(
            f"{', '.join(idle)}: asked before the soak only, as `on_start` does; judged by no criterion but one that "
            "names it"
        )
    if side.marks.all and not _too_many(side):  # then they are the reason of the verdict
        told.append(f"{_left_out(side.marks.all)} of what is judged: {'; '.join(_causes(side))}")
    if side.marks.inspected:
        told.append(
            f"{_left_out(side.marks.inspected)} of latency and CPU: the target was looked into closely then, which "
            "slows it down"
        )
    return told


def _left_out(numbers: Collection[int]) -> str:
    return f"{len(numbers)} intervals are left out" if len(numbers) > 1 else "1 interval is left out"


def _unwatched(side: Side) -> list[str]:
    """When nobody watched the target, although it need not have been long enough to keep a run from passing."""
    told = [
        f"{event.text}, {units.duration(round(max(0.0, event.t), 1))} into the run"
        for event in side.recording.events
        if event.kind in _UNWATCHED and event.side == side.name
    ]
    return told[:_TOLD] + ([f"{len(told) - _TOLD} more such gaps in the watch"] if len(told) > _TOLD else [])


def _stood_still(side: Side) -> list[str]:
    """A stop so long that the soak was not the one that was asked for."""
    frozen = [late.tally for late in side.marks.late if late.why == "frozen"]
    worst = max(frozen, key=lambda y: y.lag_max, default=None)
    if worst is None or worst.lag_max < max(_FREEZE_S, _FREEZE_SHARE * side.length):
        return []
    return [
        f"the generator ({worst.worker}) was frozen for {units.duration(worst.lag_max)} until about "
        f"{units.duration(worst.start + worst.length)} into the run: it was stopped, or its machine was paused"
    ]


def _causes(side: Side) -> list[str]:
    marks, causes = side.marks, []
    limits = (lag_p99_limit(side.recording), NO_SLOT_P99_S, lag_limit(side.recording))
    usual, tight, ever = (f"{limit * 1e3:.0f} ms" for limit in limits)
    words: dict[Why, str] = {
        "frozen": "the generator was frozen: it neither ran nor waited for a core",
        "starved": "the generator was starved of CPU: it waited for a core that other programs, or other machines, had",
        "saturated": (
            f"the generator was saturated: its own work kept its event loop late (by more than {usual} at p99, "
            f"{tight} with no slot free, or {ever} at most, or it never slept while no slot was free)"
        ),
    }
    for why, text in words.items():
        found = [late.tally for late in marks.late if late.why == why]
        if found:
            waited = max(y.waited for y in found)
            more = f", up to {units.percent(waited)} of the time" if why == "starved" else ""
            longest = units.duration(max(y.lag_max for y in found))
            causes.append(f"in {len({marks.number(y) for y in found})} {text}{more}, {longest} at the longest")
    if marks.lossy:
        causes.append(f"in {len(marks.lossy)} arrivals were lost")
    if marks.gaps:
        causes.append(f"in {len(marks.gaps)} a worker was cut off or gone")
    if marks.missing:
        causes.append(f"{len(marks.missing)} were not reported")
    return causes
