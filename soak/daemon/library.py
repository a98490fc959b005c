"""The scenarios that may be run: files of one folder, and nothing that a path or a link leads out of it to.

Beside them are those that callers brought along, where the admin allows it (uploads.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from soak.core.errors import SoakError
from soak.core.scenario import Scenario
from soak.core.summary import load_digest
from soak.daemon.job import UPLOADED, target_key
from soak.daemon.uploads import Uploads
from soak.scenario import Loaded, load, refuse_foreign

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
    targets: tuple[str, ...]


class Library:
    """The scenarios folder, the hosts that its scenarios may load, and what was uploaded, if that is allowed."""

    def __init__(self, folder: Path, allowed: tuple[str, ...], uploads: Uploads | None = None) -> None:
        self._folder = folder
        self._allowed = allowed
        self.uploads = uploads

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
        path, loaded = self._load(name)
        scenario = loaded.scenario
        return Found(path, load_digest(scenario), scenario.reference is not None, _targets(scenario))

    def choose(self, name: str, against: str | None = None) -> Chosen:
        """Read a scenario as it is now. Raises SoakError where it cannot be run, or loads what it may not."""
        _, loaded = self._load(name)
        if against is not None and loaded.scenario.reference is not None:
            raise SoakError(f"{name} has a reference of its own: leave out `against`")
        refuse_foreign(loaded.scenario, self._allowed)
        return Chosen(loaded.scenario.name, _targets(loaded.scenario))

    def _load(self, name: str) -> tuple[Path, Loaded]:
        if not name.startswith(UPLOADED):
            path = self.find(name)
            return path, load(path)
        found = self.uploads.find(name) if self.uploads is not None else None
        if found is None:
            raise NoScenarioError(f"no scenario {name!r} was uploaded here, or it had to make room")
        return found


def _targets(scenario: Scenario) -> tuple[str, ...]:
    return tuple(sorted({target_key(target) for target in scenario.sides.values()}))
