"""The supervisor: starts what may start, notices what has ended, and closes it with its verdict.

    queued ──start──▶ running ──run ended──▶ verdict in the run file ──▶ ended
                         │ run died ──▶ judged by what it left ────────▶ ended
                         └ nothing was left ──▶ invalid, with the reason ▶ ended

It never loads, watches or judges anything itself: it is one look over processes and files, every half second.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from signal import Signals
from time import monotonic
from typing import Any

from soak.core import units
from soak.core.errors import (
    EXIT_FAIL,
    EXIT_INCONCLUSIVE,
    EXIT_INTERRUPTED,
    EXIT_INVALID,
    EXIT_PASS,
    EXIT_USAGE,
    RunFileError,
    SoakError,
)
from soak.daemon.job import Job
from soak.daemon.library import Found
from soak.daemon.process import alive, find_run, identity, interrupt, log_path, start_judge, start_run, verdict_path
from soak.daemon.queue import startable, waiting
from soak.daemon.retention import expired
from soak.daemon.state import State
from soak.runfile import read_meta

_JUDGING_S = 900.0
"""A run of days is judged in seconds; longer than this is a fault."""
_CODES = {"pass": EXIT_PASS, "fail": EXIT_FAIL, "inconclusive": EXIT_INCONCLUSIVE, "invalid": EXIT_INVALID}


@dataclass(frozen=True, slots=True)
class Rules:
    """What the supervisor goes by. `min_free` is in bytes, of the disk that run files are on."""

    runs: Path
    parallel: int
    allow_hosts: tuple[str, ...]
    min_free: float
    read_scenario: Callable[[str], Found]
    """The scenario of a name; raises SoakError where there is none any more."""
    keep: float | None = None
    """How long run files are kept (s); None: until somebody takes them away."""


@dataclass(slots=True)
class _Judging:
    """A run that died is being judged. `why` says how it died."""

    process: subprocess.Popen[bytes]
    why: str
    since: float = field(default_factory=monotonic)


class Supervisor:
    """All runs of one state. `say` gets a line for the daemon's log."""

    def __init__(self, state: State, rules: Rules, clock: Callable[[], float], say: Callable[[str], None]) -> None:
        self._state = state
        self._rules = rules
        self._clock = clock
        self._say = say
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._judging: dict[int, _Judging] = {}
        self._waiting: dict[int, str] = {}
        self.held: str | None = None
        """Why no run is started at all, if none is."""
        self.looked = clock()
        """When it last looked at everything (s since 1970)."""

    def adopt(self) -> None:
        """Take up what an earlier daemon left: runs that go on, and those that it was about to start."""
        for job in self._state.open_jobs():
            if job.state != "running" or job.run_file is None:
                continue
            if job.process is None:
                found = find_run(job.run_file)
                if found is not None:
                    self._state.note_process(job.id, found)
                elif not job.run_file.exists():
                    self._state.requeue(job.id)
                    self._say(f"run {job.id}: was never started; it is queued again")
                    continue
            elif not alive(job.process):
                continue
            self._say(f"run {job.id}: goes on; adopted")

    def tick(self) -> None:
        """Look once at everything."""
        for job in self._state.open_jobs():
            if job.state == "running":
                self._look_at(job)
        self._hold()
        if self.held is None:
            for job in startable(self._state.open_jobs(), self._rules.parallel):
                self._start(job)
        self._waiting = waiting(self._state.open_jobs(), self._rules.parallel)
        self.looked = self._clock()

    def stop(self, job: Job) -> None:
        """Ask for the end of a job: one that is queued is over, one that runs is interrupted, once."""
        if job.state == "queued":
            self._end(job, None, EXIT_INTERRUPTED, "stopped before it began")
        elif job.state == "running" and job.stop_at is None and job.process is not None:
            interrupt(job.process)
            self._state.note_stop(job.id, self._clock())

    def waits_for(self, job: Job) -> str | None:
        """Why a queued job does not run yet, as of the last look."""
        return (self.held or self._waiting.get(job.id)) if job.state == "queued" else None

    def _hold(self) -> None:
        free = shutil.disk_usage(_existing(self._rules.runs)).free
        held = None
        if free < self._rules.min_free:
            held = (
                f"the disk of {self._rules.runs} has {units.size(free)} left, less than the "
                f"{units.size(self._rules.min_free)} that must be free: no run is started"
            )
        if (held is None) != (self.held is None):
            self._say(held or "the disk has room again: runs are started")
        self.held = held

    def _start(self, job: Job) -> None:
        now = self._clock()
        stamp = datetime.fromtimestamp(now).strftime("%Y%m%d-%H%M%S")
        run_file = (self._rules.runs / f"{job.request.name}-{stamp}-{job.id}.soak").resolve()
        try:
            scenario = self._rules.read_scenario(job.request.scenario)
            baseline = self._baseline(job, scenario)
            if not self._state.begin(job.id, run_file, now, scenario.load, baseline.id if baseline else None):
                return
            child = start_run(scenario.path, run_file, self._rules.allow_hosts, baseline.run_file if baseline else None)
        except SoakError as error:
            self._end(job, None, EXIT_USAGE, str(error))
            return
        self._children[job.id] = child
        if (process := identity(child.pid)) is not None:  # a zombie has its identity until it is waited for
            self._state.note_process(job.id, process)
        self._say(f"run {job.id}: {job.request.scenario} started, process {child.pid}, {run_file.name}")

    def _baseline(self, job: Job, scenario: Found) -> Job | None:
        """The last pass that this run can be compared with, if it was asked for and there is one."""
        if job.request.against is None or scenario.has_reference:
            return None
        passed = self._state.passed(job.request.name, scenario.load)
        found = next((j for j in passed if j.run_file is not None and j.run_file.is_file()), None)
        if found is None:
            self._say(f"run {job.id}: no run of {job.request.name} under this load has passed yet: nothing to compare")
        return found

    def clear(self) -> None:
        """Remove the run files that nobody needs any more, and what lies beside them."""
        if self._rules.keep is None:
            return
        for job in expired(self._state.with_files(), self._clock(), self._rules.keep):
            assert job.run_file is not None
            for suffix in (".soak", ".soak-wal", ".soak-shm", ".log", ".json", ".html"):
                job.run_file.with_suffix(suffix).unlink(missing_ok=True)
            self._state.forget_file(job.id)
            self._say(f"run {job.id}: {job.run_file.name} was kept for long enough and is removed")

    def _look_at(self, job: Job) -> None:
        if job.id in self._judging:
            self._hear_judge(job, self._judging[job.id])
            return
        child = self._children.get(job.id)
        code: int | None = None
        if child is not None:
            if (code := child.poll()) is None:
                return
            del self._children[job.id]
        elif job.process is not None and alive(job.process):
            return
        self._close(job, code)

    def _close(self, job: Job, code: int | None) -> None:
        """A run is over; `code` is its exit code where this daemon has seen it."""
        assert job.run_file is not None
        meta = _meta(job.run_file)
        if meta is None:
            self._close_without_file(job, code)
        elif code is not None and code in (EXIT_INTERRUPTED, _CODES.get(str(meta.get("verdict")))):
            self._end(job, meta.get("verdict"), code, str(meta.get("headline", "")))
        elif "verdict" in meta and (left := _document(job.run_file)) is not None:
            self._end_by(job, left, "")
        else:
            self._judge(job, _how(code))

    def _close_without_file(self, job: Job, code: int | None) -> None:
        assert job.run_file is not None
        said = _last_line(log_path(job.run_file))
        if job.stop_at is not None:
            self._end(job, None, EXIT_INTERRUPTED, "stopped before it measured anything")
        elif code in (EXIT_USAGE, EXIT_INVALID) or (code is None and said.startswith("soak: ")):
            invalid = code == EXIT_INVALID
            self._end(job, "invalid" if invalid else None, EXIT_INVALID if invalid else EXIT_USAGE, said)
        else:
            tail = f"; it said last: {said}" if said else ""
            self._end(job, "invalid", EXIT_INVALID, f"{_how(code)}, and left no run file to judge{tail}")

    def _judge(self, job: Job, why: str) -> None:
        assert job.run_file is not None
        try:
            self._judging[job.id] = _Judging(start_judge(job.run_file), why)
        except SoakError as error:
            self._end(job, "invalid", EXIT_INVALID, f"{why}, and what it left cannot be judged: {error}")

    def _hear_judge(self, job: Job, judging: _Judging) -> None:
        assert job.run_file is not None
        if judging.process.poll() is None:
            if monotonic() - judging.since > _JUDGING_S:
                judging.process.kill()
            return
        del self._judging[job.id]
        found = _document(job.run_file)
        if found is None:
            said = _last_line(log_path(job.run_file))
            self._end(job, "invalid", EXIT_INVALID, f"{judging.why}, and its run file cannot be judged: {said}")
        else:
            self._end_by(job, found, f"{judging.why}: ")

    def _end_by(self, job: Job, verdict: dict[str, Any], before: str) -> None:
        result = str(verdict["verdict"])
        code = EXIT_INTERRUPTED if verdict["interrupted"] else _CODES.get(result, EXIT_INVALID)
        self._end(job, result, code, before + str(verdict["headline"]))

    def _end(self, job: Job, verdict: str | None, code: int, reason: str) -> None:
        self._state.end(job.id, verdict, code, reason, self._clock())
        self._say(f"run {job.id}: ended, {verdict or 'no verdict'}, exit code {code}: {reason}")


def _how(code: int | None) -> str:
    if code is None:
        return "the run died while nobody watched it"
    if code < 0:
        return f"the run was killed by {Signals(-code).name}"
    return f"the run broke off with exit code {code}"


def _meta(run_file: Path) -> dict[str, Any] | None:
    """The facts in a run file; without a verdict where it cannot be read, and None where there is none."""
    if not run_file.is_file():
        return None
    try:
        return read_meta(run_file)
    except RunFileError:
        return {}


def _document(run_file: Path) -> dict[str, Any] | None:
    """The verdict that a run or a judge left, if it is whole."""
    try:
        found = json.loads(verdict_path(run_file).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"verdict", "headline", "interrupted"} <= found.keys() else None


def _last_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
