"""Finding run files: the folder they are kept in, their names, and which one is meant."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from soak.core.errors import RunFileError
from soak.runfile.read import read_meta
from soak.runfile.schema import SUFFIX


@dataclass(frozen=True, slots=True)
class Entry:
    """One run file in a list. `verdict` is None while the run goes on, or if it was killed."""

    path: Path
    run: str
    scenario: str
    started: float
    soak_s: float | None
    verdict: str | None
    headline: str
    bytes: int


def folder() -> Path:
    """Where run files are kept: $SOAK_RUNS, else `runs/` in the current folder."""
    return Path(os.environ.get("SOAK_RUNS", "runs"))


def new_path(scenario: str, started: float, where: Path) -> Path:
    """A fresh run file name: scenario and start time, so that names sort by time."""
    stamp = datetime.fromtimestamp(started).strftime("%Y%m%d-%H%M%S")
    path = where / f"{scenario}-{stamp}{SUFFIX}"
    n = 2
    while path.exists():
        path = where / f"{scenario}-{stamp}-{n}{SUFFIX}"
        n += 1
    return path


def entries(where: Path) -> tuple[list[Entry], list[str]]:
    """All run files in a folder, newest first, and a line for each that could not be read."""
    found, broken = [], []
    for path in where.glob(f"*{SUFFIX}"):
        try:
            meta = read_meta(path)
            found.append(
                Entry(
                    path=path,
                    run=str(meta["run"]),
                    scenario=str(meta["scenario"]["name"]),
                    started=float(meta["started"]),
                    soak_s=meta.get("soak_s"),
                    verdict=meta.get("verdict"),
                    headline=str(meta.get("headline", "")),
                    bytes=path.stat().st_size,
                )
            )
        except (RunFileError, KeyError, TypeError, ValueError, OSError) as error:
            broken.append(str(error) if isinstance(error, RunFileError) else f"{path}: damaged head: {error}")
    return sorted(found, key=lambda e: e.started, reverse=True), broken


def resolve(reference: str, where: Path) -> Path:
    """The run file meant by a path, a run id, its beginning, or `latest`. Raises RunFileError."""
    if Path(reference).is_file():
        return Path(reference)
    runs = sorted(where.glob(f"*{SUFFIX}"), key=_written)
    if reference == "latest":
        if runs:
            return runs[-1]
        raise RunFileError(f"no run files in {where}/")
    exact = [p for p in runs if p.stem == reference]
    matches = exact or [p for p in runs if p.stem.startswith(reference)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise RunFileError(f"{reference!r} could be any of {', '.join(p.stem for p in matches)}")
    raise RunFileError(f"no run file {reference!r}: neither a path nor a run in {where}/ (see `soak runs`)")


def _written(path: Path) -> float:
    """When a file was last written; one that was removed meanwhile is the oldest."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
