"""The one error tree: whatever a user can cause ends here, with an exit code and no traceback.

SoakError (2)
├── ScenarioError (2)   a scenario that cannot be run; knows file, line, column, key
├── TargetError (2)     the target cannot be started, found or reached, or is not allowed
├── RunFileError (2)    a run file that cannot be opened, or does not exist
│   └── WriteError (4)  one that can be written no more: its run ends there
└── LoadError (4)       the generator itself failed: the measurement is invalid
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

EXIT_PASS, EXIT_FAIL, EXIT_USAGE, EXIT_INCONCLUSIVE, EXIT_INVALID, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 130


class SoakError(Exception):
    """An error to be shown to the user as one clear message."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a scenario: where it is, which key, and what was expected there."""

    message: str
    key: str = ""
    line: int = 0
    column: int = 0

    def render(self, path: str) -> str:
        """`FILE:LINE:COLUMN: KEY: MESSAGE`, the form editors and terminals turn into links."""
        place = f"{path}:{self.line}:{self.column}" if self.line else path
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class ScenarioError(SoakError):
    """A scenario that cannot be run; carries every problem that was found, not just the first."""

    def __init__(self, path: str, problems: list[Problem]) -> None:
        self.path = path
        self.problems = problems
        super().__init__("\n".join(p.render(path) for p in problems))


class TargetError(SoakError):
    """The target cannot be started, found or reached, or load may not go to it."""


class RunFileError(SoakError):
    """A run file is missing or holds nothing that can be read."""


class WriteError(RunFileError):
    """A run file can be written no more: what is measured from then on would be kept nowhere."""

    exit_code = EXIT_INVALID


class PublishError(SoakError):
    """A system that should be told of a run refuses what it is told, or cannot be reached."""


class LoadError(SoakError):
    """The load generator failed; nothing can be said of the target."""

    exit_code = EXIT_INVALID


def exit_code(work: Callable[[], object]) -> int:
    """Do the work of a process of its own, and say how it ends: what a user can cause is one line on standard error."""
    try:
        work()
    except SoakError as error:
        sys.stderr.write(f"soak: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        pass  # before its own way to end had begun
    return EXIT_PASS
