"""The scenarios that may be run: files of one folder, and nothing that a path or a link leads out of it to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from soak.core.errors import SoakError
from soak.core.summary import load_digest
from soak.daemon.job import target_key
from soak.scenario import load, refuse_foreign

_SUFFIXES = (".yaml", ".yml")


class NoScenarioError(SoakError):
    """There is no scenario of that name."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A scenario that may be run: its own name, and the keys of the targets that it loads."""

    name: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A scenario as it is when its run starts. `load` tells runs that can be compared."""

    path: Path
    load: str
    has_reference: bool


class Library:
    """The scenarios folder, and the hosts beyond loopback that its scenarios may load."""

    def __init__(self, folder: Path, allowed: tuple[str, ...]) -> None:
        self._folder = folder
        self._allowed = allowed

    def names(self) -> list[str]:
        """All that can be asked for, as paths within the folder."""
        found = []
        for path in self._folder.rglob("*"):
            name = str(path.relative_to(self._folder))
            if path.suffix in _SUFFIXES and not any(part.startswith(".") for part in Path(name).parts):
                try:
                    self.find(name)
                except NoScenarioError:
                    continue
                found.append(name)
        return sorted(found)

    def find(self, name: str) -> Path:
        """The file of a name, links resolved. Raises NoScenarioError: what lies elsewhere is not there at all."""
        missing = NoScenarioError(f"no scenario {name!r} in the scenarios folder")
        try:
            folder = self._folder.resolve()
            path = (folder / name).resolve()
            if not path.is_relative_to(folder) or path.suffix not in _SUFFIXES or not path.is_file():
                raise missing
        except (OSError, ValueError, RuntimeError):  # a name too long, with a zero byte, or a loop of links
            raise missing from None
        return path

    def read(self, name: str) -> Found:
        """A scenario that is about to be started. Raises SoakError where it cannot be run."""
        path = self.find(name)
        scenario = load(path).scenario
        return Found(path, load_digest(scenario), scenario.reference is not None)

    def choose(self, name: str, against: str | None = None) -> Chosen:
        """Read a scenario as it is now. Raises SoakError where it cannot be run, or loads what it may not."""
        loaded = load(self.find(name))
        if against is not None and loaded.scenario.reference is not None:
            raise SoakError(f"{name} has a reference of its own: leave out `against`")
        refuse_foreign(loaded.scenario, self._allowed)
        return Chosen(loaded.scenario.name, tuple(sorted({target_key(t) for t in loaded.scenario.sides.values()})))
