"""What a run is compared with when its reference was soaked before: other run files, in a few numbers each."""

from __future__ import annotations

import json
from pathlib import Path

from soak.core.errors import RunFileError, SoakError
from soak.core.scenario import Scenario
from soak.core.summary import Noise, Summary, apart, load_digest
from soak.judge import HARD, judge, summarise, unfit
from soak.runfile import read


def noise_path(name: str, runs: Path) -> Path:
    """Where the noise of a scenario's runs is kept, beside its run files."""
    return runs / f"{name}-noise.json"


def summary_of(path: Path) -> Summary:
    """A run file in a few numbers. Raises RunFileError."""
    recording = read(path)
    fault = unfit(judge(recording).candidate, HARD)
    if not fault and (not recording.finished or any(e.kind == "interrupted" for e in recording.events)):
        fault = "it was not soaked to its end"
    if not fault and any(gap.anew for gap in recording.gaps):
        fault = "it was resumed with another process of its target: it is not one soak"
    return summarise(recording, fault)


def earlier_runs(scenario: Scenario, folder: Path, runs: Path) -> dict[str, object] | None:
    """The earlier runs that a scenario is compared with, as plain data; None if it names none.

    Raises SoakError when one cannot be read, tells nothing, or was soaked under another load or for another time.
    """
    if scenario.earlier is None:
        return None
    found, load = [], load_digest(scenario)
    for file in scenario.earlier.files:
        path = folder / file
        summary = summary_of(path)
        if summary.unfit:
            raise RunFileError(f"reference.run: {path}: nothing can be held against this run: {summary.unfit}")
        if summary.load != load:
            raise RunFileError(f"reference.run: {path}: was soaked under another load, so nothing can be compared")
        unlike = apart((summary.soak_s, summary.warmup_s), (scenario.phases.soak, scenario.phases.warmup_s))
        if unlike:
            raise RunFileError(f"reference.run: {path}: {unlike}, so nothing can be compared")
        found.append(summary)
    if len({s.run for s in found}) < len(found):
        raise SoakError("reference.run: one run is named twice, and two of the same have no spread")
    noise = known_noise(scenario.name, load, runs)
    return {"runs": [s.to_json() for s in found], "noise": noise.to_json()}


def known_noise(name: str, load: str, runs: Path) -> Noise:
    """The noise that was measured under this load (`soak compare --calibrate`), or what is assumed.

    A run of a pair has the scenario's name with its side behind it.
    """
    for path in (noise_path(name, runs), noise_path(name.rpartition("-")[0], runs)):
        if not path.is_file():
            continue
        try:
            noise = Noise.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise SoakError(
                f"{path}: cannot be read as measured noise ({error}); remove it or calibrate anew"
            ) from None
        if noise.load == load:
            return noise
    return Noise()
