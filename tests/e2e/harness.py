"""Running `soak` as its user does: as a process, with its exit code and what it prints."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

ROOT = Path(__file__).parents[2]
SOAK = [sys.executable, "-m", "soak.cli"]
T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """What one `soak` command did."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def verdict(self) -> dict[str, Any]:
        """The verdict JSON, printed as the last thing on standard output."""
        found = self.out.rfind("\n{\n")
        document: dict[str, Any] = json.loads(self.out[found + 1 :] if found >= 0 else self.out)
        return document

    @property
    def run_file(self) -> Path:
        """The one run file that was left."""
        (path,) = (self.folder / "runs").glob("*.soak")
        return path

    def causes(self, severity: str = "fail", side: str = "candidate") -> set[str]:
        """Causes found on a side, of one severity."""
        document = self.verdict if side == "candidate" else self.verdict["reference"]
        return {f["cause"] for f in document["findings"] if f["severity"] == severity}

    def show(self) -> str:
        """Everything, for a failing assertion."""
        return f"exit code {self.code}\n--- stdout\n{self.out[-6000:]}\n--- stderr\n{self.err[-6000:]}"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(folder: Path) -> dict[str, str]:
    """The test's environment, with run files kept in `folder`."""
    return os.environ | {"SOAK_RUNS": str(folder / "runs"), "PYTHONPATH": str(ROOT), "COLUMNS": "100"}


def soak(folder: Path, *arguments: str, timeout: float = 280) -> Outcome:
    """Run `soak ARGUMENTS...` in `folder` to its end."""
    done = subprocess.run(
        [*SOAK, *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr, folder)


_BUSY = re.compile(
    r"\d+ of \d+ intervals cannot be trusted: in \d+ the generator was [^;]+(; in \d+ the generator was [^;]+)*"
    r"|the generator \([^)]*\) was frozen .*"
)


def busy(outcome: Outcome) -> bool:
    """Whether all that is wrong with the soak is this machine: too busy to measure on. Its user would soak again."""
    return outcome.code == 4 and all(_BUSY.fullmatch(reason) for reason in outcome.verdict["reasons"])


def measured(folder: Path, *arguments: str) -> Outcome:
    """`soak ARGUMENTS... --json`; at most twice more while the machine was too busy to measure on, which is printed."""
    outcome = soak(folder, *arguments, "--json")
    for _ in range(2):
        if not busy(outcome):
            break
        print(f"soaked again: {outcome.verdict['reasons']}")
        shutil.rmtree(folder / "runs")
        outcome = soak(folder, *arguments, "--json")
    return outcome


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `soak ARGUMENTS...` in `folder` and leave it running."""
    return subprocess.Popen(
        [*SOAK, *arguments],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def shipped(folder: Path, name: str, options: str = "", **phases: str) -> Path:
    """A copy of a shipped scenario in `folder`, on free ports, with `options` and with some phases of other lengths."""
    text = (ROOT / "scenarios" / f"{name}.yaml").read_text()
    text = text.replace(f"soak.specimens {name}", f"soak.specimens {name} {options}".rstrip())
    for port in sorted(set(re.findall(r"\b187\d\d\b", text))):
        text = text.replace(port, str(free_port()))
    for phase, length in phases.items():
        text, n = re.subn(rf"\b{phase}: [0-9a-z]+", f"{phase}: {length}", text)
        assert n == 1, f"{name}.yaml has no {phase}"
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def scenario(folder: Path, text: str) -> Path:
    """A scenario file of the test's own."""
    path = folder / "scenario.yaml"
    path.write_text(text)
    return path


def load_processes(run: str) -> list[psutil.Process]:
    """Load masters and workers of a run that are alive, by their command line and working plan."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if ("soak.load.master" in line or "soak.load.worker" in line) and f" {run} " in f"{line} ":
            found.append(process)
    return found


@contextmanager
def beside_each_other(
    request: pytest.FixtureRequest, names: Iterable[str], run: Callable[[str], T]
) -> Iterator[Callable[[str], T]]:
    """Gives what `run` gives of a name. Two run at a time; what chosen tests have as their `name` begins at once."""
    tests = (item for item in request.session.items if item.path == request.path and hasattr(item, "callspec"))
    asked = {item.callspec.params.get("name") for item in tests}
    with ThreadPoolExecutor(2) as pool:
        running = {name: pool.submit(run, name) for name in names if name in asked}

        def outcome(name: str) -> T:
            if name not in running:
                running[name] = pool.submit(run, name)
            return running[name].result()

        try:
            yield outcome
        finally:
            pool.shutdown(cancel_futures=True)
