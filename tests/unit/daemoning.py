"""What the tests of the daemon share: requests, and runs that are made in no time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from soak.daemon.job import Request
from soak.daemon.process import log_path, verdict_path

START = 1_790_000_000.0


def request(name: str = "shop", *targets: str, by: str = "ci", priority: int = 0, key: str | None = None) -> Request:
    return Request(f"{name}.yaml", name, targets or ("localhost:8000",), by, priority, key)


class Said(list[str]):
    """A log: the lines that were said."""

    def __call__(self, event: str, text: str, **_: object) -> None:
        self.append(f"{event}: {text}")


def resumes_of(program: str) -> Callable[[Path, Sequence[str], str], subprocess.Popen[bytes]]:
    """In place of `soak run --resume`: a Python program that gets the run file as its argument."""
    start = runs_of(program)

    def resume(run_file: Path, allowed: Sequence[str], why: str) -> subprocess.Popen[bytes]:
        with log_path(run_file).open("a") as log:
            log.write(f"{why}\n")
        return start(run_file, run_file, allowed, None)

    return resume


def runs_of(program: str) -> Callable[[Path, Path, Sequence[str], Path | None], subprocess.Popen[bytes]]:
    """In place of `soak run`: a Python program that gets the run file as its argument."""

    def start(
        _scenario: Path, run_file: Path, _allowed: Sequence[str], _baseline: Path | None
    ) -> subprocess.Popen[bytes]:
        run_file.parent.mkdir(parents=True, exist_ok=True)
        with verdict_path(run_file).open("wb") as out, log_path(run_file).open("ab") as log:
            # the same places on the command line as a real run has
            words = [sys.executable, "-P", "-c", program, "soak.cli", "run", str(run_file)]
            return subprocess.Popen(words, stdout=out, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)

    return start
