"""Going on with a run that was cut off or interrupted: where it stood, by its file, and what is missing of it.

    run file ─▶ Past ─▶ the account of what was begun is closed ─▶ `resumed` event ─▶ the schedule goes on

The run's clock stood still meanwhile: it goes on where the file ends. The schedule goes on where its account ends: what
fell due by then and was not reported is lost, what falls due later is sent now. No arrival is sent twice.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from soak import __version__
from soak.core.errors import RunFileError
from soak.core.records import Event, Recording
from soak.core.scenario import Scenario
from soak.load import digests
from soak.run.account import close_past
from soak.runfile import RunWriter, read, read_meta

STOP_LEAD_S = 0.3
"""A load that is ended ends so much later: all workers have heard of it by then."""
_SILENT_S = 1.0
"""Beyond the pace of the probes, how long a run that lives may write nothing: so much later it may have died."""
_ENDED = ("interrupted", "stopped_early", "generator_error", "target_exit")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Past:
    """What a run file says of the run so far. All times are seconds of the run's clock, but for `upto`.

    `stood` is the last that is known of it, `since` from when on not all is known. The load began at `begin` (None
    before it), and its schedule is accounted for up to `upto` (s since it began). `known` are the processes of each
    side that a life goes on with, as `pid@start`; `events` are all so far.
    """

    writer: RunWriter
    number: int
    why: str
    stood: float
    since: float
    begin: float | None
    upto: float
    over: bool
    known: Mapping[str, frozenset[str]]
    away: float
    events: tuple[Event, ...]


def identity(scenario: Scenario, folder: Path) -> dict[str, Any]:
    """What a run file must say for its run to be resumed: where its files are and what is in them, and the boot."""
    return {"folder": str(folder.resolve()), "digests": digests(scenario, folder), "boot": boot_id()}


def boot_id() -> str:
    """This boot of the machine (random(4)); a process of an earlier one does not live."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def scenario_of(path: Path) -> tuple[Scenario, dict[str, Any], Path]:
    """The scenario of a run to resume: model, plain data, and the folder of its files. Raises RunFileError."""
    meta = read_meta(path)
    provenance = meta.get("provenance") or {}
    if "digests" not in meta or provenance.get("soak") != __version__:
        began = provenance.get("soak", "another version")
        raise RunFileError(f"{path}: begun by soak {began}, and this is {__version__}: only the same one can resume it")
    try:
        scenario = Scenario.model_validate(meta["scenario"])
    except (KeyError, ValidationError) as error:
        raise RunFileError(f"{path}: the head of the run file is damaged: {error}") from error
    folder = Path(meta["folder"])
    found = digests(scenario, folder)
    if changed := sorted(file for file, digest in meta["digests"].items() if found.get(file) != digest):
        raise RunFileError(
            f"{path}: cannot be resumed: {', '.join(changed)} changed since it began (looked for in {folder}); "
            "the rest would be another load"
        )
    return scenario, meta["scenario"], folder


def take_up(path: Path) -> Past:
    """Own the file of a run that can be resumed. Raises RunFileError when it cannot, and says why."""
    writer = RunWriter.resume(path)
    try:
        return _past(path, writer, read_meta(path), read(path))
    except BaseException:
        writer.close()
        raise


def close(past: Past, path: Path, folder: Path) -> None:
    """Close the account of what was begun. It reads the whole file, so no load may be waiting for it."""
    if past.begin is not None:
        close_past(past.writer, read(path), folder, past.begin, past.upto)


def write_gap(past: Past, anew: Sequence[str], at: float) -> float:
    """Say what is missing: the load goes on at `at`.

    Gives when the schedule would have begun, had it gone on all the time until then (s of the run's clock).
    """
    begin = at if past.begin is None else at - past.upto
    for key, value in {"finished": False, "verdict": None, "headline": "", "soak_s": None, "boot": boot_id()}.items():
        past.writer.set_meta(key, value)
    fresh = f"; the {' and the '.join(anew)} {'are' if len(anew) > 1 else 'is'} another process since" if anew else ""
    text = f"the run was {past.why} and went on {past.away:.0f} s later{fresh}"
    data = {
        "from": past.since, "to": at, "why": past.why, "away": past.away, "anew": list(anew), "begin": begin,
        "upto": past.upto,
    }  # fmt: skip
    past.writer.add_event(Event(at, "resumed", None, text, data))
    return begin


def _past(path: Path, writer: RunWriter, meta: Mapping[str, Any], recording: Recording) -> Past:
    if any(e.kind == "torn" for e in recording.events):
        raise RunFileError(f"{path}: the file is torn: what is left can be judged (`soak judge`), not resumed")
    scenario, stood = recording.scenario, recording.duration
    number = len(recording.gaps)
    events = _of_this_life(recording.events)
    ended = next((e for e in events if e.kind in _ENDED and (e.kind != "target_exit" or e.side == "candidate")), None)
    begin = _began(recording.events)
    before_that = max((float(str(e.data["upto"])) for e in recording.events if e.kind == "resumed"), default=0.0)
    silent = stood + scenario.probe.every + _SILENT_S
    if begin is not None and begin > silent and not recording.gaps:
        begin = None
    until = since = 0.0
    over = ended is not None and ended.kind != "interrupted"
    if begin is not None:
        told = any(e.kind == "split" for e in events)  # before that, nobody has sent anything
        until = (silent if told else 0.0) if ended is None else ended.t + STOP_LEAD_S
        until = max(begin + before_that, min(begin + scenario.load_s, until))
        until = next((float(str(e.data["until"])) for e in events if e.kind == "schedule"), until)
        over = over or until >= begin + scenario.load_s - 1e-6
        since = max(begin, min(until, *_reported(recording, events, begin, until)))
    if meta.get("finished") and (over or ended is None):
        verdict = f", with the verdict {meta['verdict']}" if meta.get("verdict") else ""
        raise RunFileError(f"{path}: this run is finished{verdict}: there is nothing to resume")
    same = meta.get("boot") == boot_id() != ""
    before = recording.started + sum(gap.away for gap in recording.gaps)
    return Past(
        writer=writer,
        number=number + 1,
        why="interrupted" if ended is not None and ended.kind == "interrupted" else "cut off",
        stood=max(stood, until),
        since=since,
        begin=begin,
        upto=max(0.0, until - begin) if begin is not None else 0.0,
        over=over,
        known={side: _alive(recording, side) if same else frozenset() for side in scenario.sides},
        away=max(0.0, time.time() - before - stood),
        events=tuple(recording.events),
    )


def _of_this_life(events: Sequence[Event]) -> Sequence[Event]:
    """What happened since the run was begun or last resumed."""
    last = max((i for i, e in enumerate(events) if e.kind == "resumed"), default=-1)
    return events[last + 1 :]


def _began(events: Sequence[Event]) -> float | None:
    """When the schedule that is followed now began (s of the run's clock); None before any was."""
    told = [float(str(e.data["begin"])) for e in events if e.kind in ("split", "resumed") and "begin" in e.data]
    return told[-1] if told and any(e.kind == "split" for e in events) else None


def _reported(recording: Recording, events: Sequence[Event], begin: float, until: float) -> list[float]:
    """Up to when each worker that had a share has told what became of it; where the account is closed, to its end."""
    found = [until]
    for side, data in recording.sides.items():
        if any(e.kind == "schedule" and e.side == side for e in events):
            continue
        splits = [e for e in events if e.kind == "split" and e.side == side]
        owners = splits[-1].data["shares"] if splits else {}
        assert isinstance(owners, dict)
        for name in owners:
            found.append(max((y.start + y.length for y in data.tallies if y.worker == name), default=begin))
    return found


def _alive(recording: Recording, side: str) -> frozenset[str]:
    """The processes of a side at the last looks at it, as `pid@start`."""
    last = {
        name: max((float(s.t[-1]) for s in series.values() if len(s)), default=-math.inf)
        for name, series in recording.sides[side].processes.items()
    }
    newest = max(last.values(), default=0.0) - 2 * recording.scenario.probe.every
    return frozenset(name for name, t in last.items() if t >= newest)
