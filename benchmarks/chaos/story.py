"""What came of a trial: who was killed when, what was seen before, and how each run ended."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.chaos.plan import Injection, Kind, Victim
from soak import runfile
from soak.core.errors import RunFileError
from soak.core.records import Tally

Key = tuple[str, str, int]
"""A report: side, worker, sequence."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A kill that hit: whom, in which phase of the run, how far into it (s; None before there was a run file)."""

    victim: Victim | Injection
    phase: str | None
    t: float | None

    @property
    def under_load(self) -> bool:
        """Whether load was on its way, or had been begun."""
        return self.phase in ("warmup", "soak")


@dataclass(slots=True)
class Run:
    """One run of a trial. `seen` are the reports that were in its file at some moment, `told` (worker and sequence)
    those of which a worker was told that they are safe."""

    path: Path
    hits: list[Hit] = field(default_factory=list)
    seen: dict[Key, Tally] = field(default_factory=dict)
    told: set[tuple[str, int]] = field(default_factory=set)
    lives: int = 0
    code: int | None = None
    document: Mapping[str, Any] | None = None
    said: str = ""
    """The end of what it wrote to standard error."""
    reason: str = ""
    """What a daemon says of it."""

    result: str | None = None
    """The verdict that a daemon gives a run which left none itself."""
    _cuts: int = 0
    """So many gaps its file has at least once the life that is under way has begun."""

    @property
    def verdict(self) -> str | None:
        """The run's own verdict, or that of its daemon; None where there is none."""
        return str(self.document["verdict"]) if self.document is not None else self.result

    def look(self) -> tuple[str | None, float | None]:
        """Keep what is in the file now; its phase, while somebody conducts it, and how long it is (s)."""
        try:
            recording = runfile.read(self.path)
        except RunFileError:
            return None, None
        for side, data in recording.sides.items():
            for y in data.tallies:
                self.seen.setdefault((side, y.worker, y.sequence), y)
        begun = recording.phases and len(recording.gaps) >= self._cuts
        return (recording.phases[-1].name if begun else None), recording.duration

    def hit(self, victim: Victim | Injection, at: tuple[str | None, float | None]) -> None:
        """Note a kill."""
        self.hits.append(Hit(victim, *at))
        if victim == "conductor":
            with suppress(RunFileError):
                self._cuts = len(runfile.read(self.path).gaps) + 1


@dataclass(slots=True)
class Story:
    """A whole trial. `stuck` says what did not come to an end."""

    number: int
    kind: Kind | Injection
    runs: list[Run]
    kills: list[Victim] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    stuck: str | None = None
