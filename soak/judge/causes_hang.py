"""Hang: the target lives, and answers nothing any more.

Seen from outside that is a stretch in which not one arrival was answered as it should be, and most ran into their
timeout, although there had been answers before. Errors that come back at once are answers: a target that refuses or
says 503 does not hang. What it does meanwhile tells a deadlock (its CPU is idle) from an endless loop (it is busy) and
from threads that the kernel does not let go (state D).

Only intervals that can be trusted make a stretch, so a generator in trouble cannot make one. Hence it is hard evidence.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from soak.core import units
from soak.core.records import Tally
from soak.core.verdict import Finding
from soak.judge.advice import ADVICE
from soak.judge.side import Side

_LEAST_S = 5.0
_TIMEOUTS = 2.0
"""Times the timeout: for so long nothing must have been answered; what is slow once is answered or given up by then."""
_MANY = 10
_CHANCE = 1e-6
"""That so many fail in a row although failures are no more frequent than before."""
_MOST = 0.5
_IDLE = 0.02
_IDLE_SHARE = 0.1
_BUSY = 0.5
"""Cores."""

_FOLLOWS = frozenset({"latency_drift", "latency_step", "error_drift", "throughput_loss", "cpu_drift"})


@dataclass(frozen=True, slots=True)
class Hang:
    """A stretch from `start` to `end` (s since the start of the run) in which `bad` arrivals had no answer."""

    start: float
    end: float
    bad: int
    lasting: bool
    """Whether it lasts to the end of what is judged."""


def hang(side: Side) -> list[Finding]:
    """One finding on all stretches in which the target hung."""
    found = hangs(side)
    if not found:
        return []
    worst = max(found, key=lambda h: (h.lasting, h.end - h.start))
    length, at = units.duration(round(worst.end - worst.start)), _at(side, worst.start)
    title = (
        f"it hangs: no answer from {at} on, for {length}, to the end"
        if worst.lasting
        else f"it hung: no answer for {length} from {at} on"
    )
    if len(found) > 1:
        title += f" ({len(found)} times in all)"
    return [
        Finding(
            cause="hang",
            metric="throughput.rate",
            endpoint=None,
            severity="fail",
            title=title,
            evidence=(
                f"{worst.bad} arrivals in a row failed, timed out or were never served, from {at} on",
                *_state(side, worst),
            ),
            advice=ADVICE["hang"],
            start=found[0].start,
            end=found[-1].end,
        )
    ]


def explained(side: Side) -> frozenset[str]:
    """Causes that would only tell of a hang once more: what it did to latency and errors, or to a burst after it."""
    found = hangs(side)
    follows = _FOLLOWS if any(not h.lasting for h in found) else frozenset()
    return follows | {"no_recovery"} if any(h.lasting for h in found) else follows


def before_hang(side: Side) -> Side:
    """The part of the soak before a hang that lasts to its end: all after it is the hang's doing."""
    last = next((h for h in hangs(side) if h.lasting), None)
    return side if last is None else replace(side, end=max(side.start, last.start))


def hangs(side: Side) -> list[Hang]:
    """Every stretch of warm-up and soak in which the target hung, in order."""
    begun = side.recording.load_start
    if begun is None:
        return []
    whole = Side(side.name, side.recording, begun, side.end)
    died = min((e.t for e in side.recording.events if e.kind == "target_exit" and e.side == side.name), default=None)
    # what was due in the interval that it died in may have failed of that
    tallies = [
        y for y in side.data.tallies if begun <= y.start < side.end and (died is None or y.start + y.length <= died)
    ]
    if all(y.done for y in tallies):  # as nearly always: answers came in every interval
        return []
    least = max(_LEAST_S, _TIMEOUTS * side.recording.scenario.load.timeout)
    found = []
    for stretch, lasting in _mute(tallies):
        if sum(map(_bad, stretch)) < _MANY:  # marks take their time: only what may be a hang is worth it
            continue
        judged = [y for y in stretch if whole.marks.number(y) not in whole.marks.unjudged]
        bad = sum(map(_bad, judged))
        trusted = len({whole.marks.number(y) for y in judged}) * whole.marks.step
        if trusted < least or bad < _MANY:
            continue
        first, last = judged[0].start, max(y.start + y.length for y in stretch)
        before = [y for y in tallies if y.start < first]
        failed, done = sum(map(_bad, before)), sum(y.done for y in before)
        if done and (failed / (failed + done)) ** bad < _CHANCE and _waited(side, first, last) >= _MOST * bad:
            found.append(Hang(first, last, bad, lasting))
    return found


def _mute(tallies: list[Tally]) -> Iterator[tuple[list[Tally], bool]]:
    """Runs of moments without an answer from any worker, and whether one is the last."""
    run: list[Tally] = []
    for _, found in groupby(sorted(tallies, key=lambda y: y.start), key=lambda y: round(y.start, 3)):
        together = list(found)
        if any(y.done for y in together):
            if run:
                yield run, False
            run = []
        else:
            run += together
    if run:
        yield run, True


def _bad(y: Tally) -> int:
    return y.failed + y.unserved + y.lost


def _waited(side: Side, start: float, end: float) -> int:
    """How many arrivals at most ran into their timeout, connected or not: by windows, which may be wider."""
    windows = side.data.merged("latency", "timeout", None, 0.0, end)
    return sum(w.histogram.total for w in windows if w.start + w.length > start)


def _at(side: Side, t: float) -> str:
    if t >= side.start:
        return f"{units.duration(round(t - side.start))} into the soak"
    return f"{units.duration(round(side.start - t))} before the soak"


def _state(side: Side, hung: Hang) -> list[str]:
    """What the target's process did meanwhile."""
    if not side.recording.scenario.sides[side.name].watched:
        return ["its process was not watched: whether it lives, and what it does, is not known"]
    begun = side.recording.load_start or 0.0
    before, now = (Side(side.name, side.recording, a, b) for a, b in ((begun, hung.start), (hung.start + 1, hung.end)))
    told = []
    count = _median(now, "process.processes")
    if count is not None:
        threads = _median(now, "process.threads") or 0.0
        told.append(f"it lives: processes: {count:.0f}, threads: {threads:.0f}")
    cores, usual = _median(now, "process.cpu"), _median(before, "process.cpu")
    stuck = _median(now, "process.threads_stuck") or 0.0
    if stuck >= 1:
        told.append(
            f"{stuck:.0f} threads are stuck in the kernel (state D), where no signal reaches them: a disk or a mount"
        )
    stopped = _median(now, "process.threads_stopped") or 0.0
    if stopped >= 1:
        told.append(f"{stopped:.0f} threads are stopped (state T): by SIGSTOP or a debugger; SIGCONT lets them go on")
    if cores is not None:
        told.append(_cpu(cores, usual, _median(now, "process.threads_running")))
    return told


def _cpu(cores: float, usual: float | None, running: float | None) -> str:
    was = f"; {usual:.2g} before" if usual is not None else ""
    threads = f", {running:.0f} threads run" if running is not None else ""
    if cores <= max(_IDLE, _IDLE_SHARE * (usual or 0.0)):
        what = "it waits, for a lock (deadlock) or for something that does not answer"
        return f"its CPU is idle ({cores:.2g} cores{was}): {what}"
    if cores >= _BUSY:
        what = "an endless loop, a live-lock, or work beyond all measure"
        return f"its CPU is busy ({cores:.2g} cores{threads}{was}): {what}"
    return f"its CPU is used ({cores:.2g} cores{threads}{was}): it takes requests, and does not finish them"


def _median(side: Side, metric: str) -> float | None:
    found = side.soak_series(metric)
    return statistics.median(found.v) if found is not None else None
