"""What must hold after a trial, whatever was killed in it. Each function gives what is broken, in words."""

from __future__ import annotations

import contextlib
import json
import math
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from benchmarks.chaos.plan import Injection, Victim
from benchmarks.chaos.story import Hit, Run, Story
from soak import runfile
from soak.core.errors import RunFileError
from soak.core.records import Recording

Promise = Literal["lost", "corrupt", "orphan", "untold"]
PROMISES: tuple[Promise, ...] = ("lost", "corrupt", "orphan", "untold")

_CUT = r"cut off|killed by SIGKILL|died while nobody watched it"
_TELLS: dict[Victim | Injection, str] = {
    "conductor": _CUT,
    "master": r"load master of the \w+ ended",
    "worker": r"\blost\b",
    "observer": r"observer|not seen",
    "disk full": _CUT,
    "clock step": "clock was stepped",
    "target OOM": "for want of memory",
}
"""What a verdict says of a kill under load. A daemon has no line: its runs go on without it, and nothing is missing."""
_NOTICED_S: dict[Victim | Injection, float] = {"worker": 6.0}
"""A worker from elsewhere is missed by its silence of 4 s; everybody else at once (2 s are a look on a busy machine).
Who dies so shortly before the whole run, or before the load is over, is part of that end."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that was not kept, and how."""

    promise: Promise
    words: str


def broken(story: Story) -> list[Broken]:
    """Everything that a trial broke."""
    found = [Broken("orphan", words) for words in story.orphans]
    if story.stuck is not None:
        found.append(Broken("untold", story.stuck))
    for run in story.runs:
        found += _of_run(run, story)
    return found


def _of_run(run: Run, story: Story) -> Iterator[Broken]:
    if run.document is None:
        if run.path.exists() or run.result != "invalid" or not run.reason:  # only what never measured has no document
            yield Broken("untold", f"no verdict: exit code {run.code}: {run.said[-300:]}")
        return
    try:
        recording = runfile.read(run.path)
    except RunFileError as error:
        yield Broken("corrupt", str(error))
        return
    yield from (Broken("corrupt", words) for words in corrupt(run, recording))
    yield from (Broken("lost", words) for words in lost(run, recording))
    yield from (Broken("untold", words) for words in untold(run, recording, story.kind == "observed"))


def lost(run: Run, recording: Recording) -> Iterator[str]:
    """Reports that were acknowledged, or in the file, and are not there as they were."""
    there = {(side, y.worker, y.sequence): y for side, d in recording.sides.items() for y in d.tallies}
    for key, tally in run.seen.items():
        if there.get(key) != tally:
            yield f"report {key} was in the file, and is {'gone' if key not in there else 'another'}"
    names = {(worker, sequence) for _, worker, sequence in there}
    for name, sequence in sorted(run.told - names):
        yield f"report {sequence} of {name} was acknowledged, and is not in the file"


def corrupt(run: Run, recording: Recording) -> Iterator[str]:
    """What is wrong with the file: by SQLite, as it reads, and in its account."""
    with contextlib.closing(sqlite3.connect(f"{run.path.as_uri()}?mode=ro", uri=True, timeout=30)) as db:
        said = db.execute("PRAGMA integrity_check").fetchall()
    if said != [("ok",)]:
        yield f"integrity_check: {said[:3]}"
    yield from (e.text for e in recording.events if e.kind == "torn")
    for side, data in recording.sides.items():
        ys = data.tallies
        if len({(y.worker, y.sequence) for y in ys}) != len(ys):
            yield f"{side}: a report is there twice"
        parts = sum(y.done + y.failed + y.unserved + y.lost for y in ys)
        if data.scheduled is not None and recording.finished and parts != data.scheduled:
            yield f"{side}: {data.scheduled} arrivals scheduled, {parts} accounted for"
        answers = sum(
            w.histogram.total for (_, outcome, clock), ws in data.windows.items() for w in ws
            if outcome == "ok" and clock == "latency"
        )  # fmt: skip
        if answers != sum(y.done for y in ys):
            yield f"{side}: {sum(y.done for y in ys)} arrivals done, {answers} in the histograms"
    if run.code not in (0, 1, 3, 4, 130):
        yield f"exit code {run.code}"


def untold(run: Run, recording: Recording, lived_on: bool) -> Iterator[str]:
    """Kills under load of which the verdict says nothing, and a pass where one life did not have the whole soak.

    Of a target that `lived_on`, which soak did not start, a pass with a gap that is told is one.
    """
    assert run.document is not None
    text = _words(run)
    over = next((p.start for p in recording.phases if p.name == "drain"), math.inf)
    for hit, later in ((hit, run.hits[i + 1 :]) for i, hit in enumerate(run.hits)):
        pattern, noticed = _TELLS.get(hit.victim), (hit.t or 0.0) + _NOTICED_S.get(hit.victim, 2.0)
        if not hit.under_load or pattern is None or (noticed >= over and hit.victim != "conductor"):
            continue
        ends = [_TELLS[h.victim] for h in later if h.victim in ("conductor", "master") and (h.t or 0.0) <= noticed]
        if not re.search("|".join([pattern, *ends]), text):
            yield f"{_said(hit)}, and the verdict ({run.document['verdict']}) does not say so"
    cut = [h for h in run.hits if h.under_load and h.victim in ("conductor", "master")]
    if run.document["verdict"] == "pass" and cut and not lived_on:
        yield f"{_said(cut[0])}, and the verdict is a pass"
    missed = sum(y.lost for data in recording.sides.values() for y in data.tallies)
    if run.document["verdict"] == "pass" and missed and not re.search(r"\blost\b|cut off", text):
        yield f"{missed} arrivals were lost, and a pass does not say so"


def _words(run: Run) -> str:
    document = run.document or {}
    found = [document.get(key) for key in ("headline", "reasons", "notes")]
    return json.dumps(found, ensure_ascii=False) + run.reason


def _said(hit: Hit) -> str:
    return f"the {hit.victim} was killed in {hit.phase}, {hit.t or 0:.1f} s into the run"
