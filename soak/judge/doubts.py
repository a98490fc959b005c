"""Why a run that found nothing wrong still cannot pass: what nobody saw, and what did not happen, is not healthy."""

from __future__ import annotations

from collections.abc import Iterator

from soak.core import units
from soak.core.records import Recording
from soak.judge.causes_memory import memory_metric
from soak.judge.causes_recovery import unsettled
from soak.judge.early import Certain
from soak.judge.side import Side

_WHOLE = 0.95
"""Of the planned soak: from there on it is all of it."""
_MANY = 10
"""Requests of one endpoint: when so many fail, and none does not, it is no chance."""


def doubts(side: Side) -> list[str]:
    """What was not seen well enough of a side, or not asked of it."""
    return [*unsettled(side), *_blind(side), *_unanswered(side)]


def incomplete(
    recording: Recording, soaked: float, interrupted: bool, ended: Certain | None, settled: bool
) -> list[str]:
    """What is missing of a soak of which `soaked` s were made; one that was ended early may pass if it is `settled`."""
    planned = recording.scenario.phases.soak
    if recording.soak_span is None:
        return ["the soak phase was not reached"]
    if ended is not None and not settled:
        return [f"it was ended early, when a {ended.rule} seemed certain, and all that was recorded does not show it"]
    if ended is None and (interrupted or soaked < _WHOLE * planned):
        short = f"{units.duration(round(soaked))} of {units.duration(planned)}"
        return [f"the run {'was interrupted' if interrupted else 'ended'} after {short} of soak"]
    if recording.finished:
        return []
    return [e.text for e in recording.events if e.kind == "torn"] or ["the run was cut off before its end"]


def _blind(side: Side) -> list[str]:
    """Why the watch over the process was no watch."""
    if side.length <= 0 or not side.recording.scenario.sides[side.name].watched:
        return []
    unseen = side.unseen(memory_metric(side))
    return [f"the process was not watched all the time: {unseen}"] if unseen else []


def _unanswered(side: Side) -> list[str]:
    """That the target did not do what it was asked for: what it holds and costs then tells nothing of that work."""
    if side.length <= 0:
        return []
    if not side.done:
        return ["no request of the soak was answered as it should be, so nothing was seen of the target at its work"]
    return list(_never_answered(side))


def _never_answered(side: Side) -> Iterator[str]:
    if side.recording.scenario.load.locustfile is not None:
        return  # its endpoints are whatever its users ask, and one of them stands for arrivals that nobody served
    for endpoint in side.data.endpoints:
        bad, of_all = side.answers.failures(endpoint)
        if bad == of_all >= _MANY:
            yield f"none of the {bad:,} requests of {endpoint} was answered as it should be: it was not soaked"
