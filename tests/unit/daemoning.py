"""What the tests of the daemon share: requests, and a supervisor with runs that are made in no time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from soak.daemon import process, supervise
from soak.daemon.job import Job, Request
from soak.daemon.library import Found
from soak.daemon.process import log_path, verdict_path
from soak.daemon.state import State
from soak.daemon.supervise import Rules, Supervisor

START = 1_790_000_000.0
SLEEPS = "import sys, time; print('ready', file=sys.stderr, flush=True); time.sleep(600)"
"""Whoever signals it waits for `ready` first: an interpreter that starts may swallow an interrupt."""
FINISHED = """
import sys
from pathlib import Path
from soak.runfile import RunWriter
from tests.unit.test_runfile import META
writer = RunWriter.create(Path(sys.argv[3]), META)
writer.set_meta("verdict", "fail")
writer.set_meta("headline", "it leaks")
writer.finish()
sys.exit(1)
"""
HALF = """
import os, signal, sys
from pathlib import Path
from tests.unit.test_runfile import write
write(Path(sys.argv[3]), finish=False)
os.kill(os.getpid(), signal.SIGKILL)
"""
REFUSED = "import sys; print('soak: nothing answers at 127.0.0.1:8000', file=sys.stderr); sys.exit(2)"
DIED = "import os, signal, sys; print('starting', file=sys.stderr, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
BROKE = "raise RuntimeError('a fault of soak itself')"


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


class House:
    """A state, its supervisor, and all it started."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.state = State(folder / "state")
        self.said = Said()
        self.changed: dict[str, tuple[str, ...]] = {}
        """What a scenario loads that was changed since it was asked for."""
        self._monkeypatch = monkeypatch
        self.supervisor = self.restarted()

    def restarted(self, *, min_free: float = 0, parallel: int = 2, resumes: int = 0) -> Supervisor:
        """A daemon that knows nothing but the state."""
        rules = Rules(
            self.folder / "runs",
            parallel,
            (),
            min_free,
            self.read,
            resumes=resumes,
        )
        self.supervisor = Supervisor(self.state, rules, lambda: START, self.said)
        return self.supervisor

    def read(self, name: str) -> Found:
        """In place of a library: a scenario that loads what its job says, unless it was changed."""
        asked = next(job.request.targets for job in self.state.open_jobs() if job.request.scenario == name)
        return Found(self.folder / name, "a load", False, self.changed.get(name, asked))

    def runs(self, program: str, resumed: str = BROKE) -> None:
        """`program` is what a run does, and `resumed` what one does that goes on; both by their run file."""
        self._monkeypatch.setattr(supervise, "start_run", runs_of(program))
        self._monkeypatch.setattr(supervise, "resume_run", resumes_of(resumed))
        self._monkeypatch.setattr(supervise, "_PAUSE_S", 0.0)

    def job(self, number: int = 1) -> Job:
        job = self.state.job(number)
        assert job is not None
        return job

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not done():
            assert time.monotonic() < deadline, [self.state.page(10), self.said]
            self.supervisor.tick()
            time.sleep(0.02)

    def ready(self, number: int = 1) -> None:
        """Wait until the program of a run is where it sleeps, and do nothing else meanwhile."""
        run_file = self.job(number).run_file
        assert run_file is not None
        deadline = time.monotonic() + 60
        while "ready" not in log_path(run_file).read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def ended(self, number: int = 1) -> Job:
        self.until(lambda: self.job(number).state == "ended")
        return self.job(number)


def a_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A fixture; whatever it has started ends with it."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    made = House(tmp_path, monkeypatch)
    yield made
    for job in made.state.page(50):
        if job.process is not None and process.alive(job.process):
            os.kill(job.process.pid, signal.SIGKILL)
    made.state.close()
