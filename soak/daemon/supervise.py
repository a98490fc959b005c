"""The supervisor: starts what may start, notices what has ended, and closes it with its verdict.

    queued ──start──▶ running ──run ended──▶ verdict in the run file ──▶ ended
      ▲                  │ run died ──▶ judged by what it left ────────▶ ended
      │                  │ nothing was left ──▶ invalid, with the reason ▶ ended
      └─ after a pause ──┘ run died and may go on: `soak run --resume`, so many times

It never loads, watches or judges anything itself: it is one look over processes and files, every half second.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

from soak.core import units
from soak.core.errors import (
    EXIT_INTERRUPTED,
    EXIT_INVALID,
    EXIT_USAGE,
    SoakError,
)
from soak.core.verdict import EXIT_CODES
from soak.daemon import left
from soak.daemon.job import DAEMON, Job, Process
from soak.daemon.library import Found
from soak.daemon.log import Say
from soak.daemon.process import (
    alive,
    boot_id,
    find_run,
    identity,
    interrupt,
    kill,
    log_path,
    resume_run,
    start_judge,
    start_run,
    verdict_path,
)
from soak.daemon.queue import startable, waiting
from soak.daemon.retention import expired
from soak.daemon.state import State

_JUDGING_S = 900.0
"""A run of days is judged in seconds; longer than this is a fault."""
_STOPPING_S = 900.0
"""So long after it was asked to end a run is waited for; then it hangs, and keeps its target from everybody else."""
_OF_A_RUN = (".soak", ".soak-wal", ".soak-shm", ".log", ".json", ".html", ".grafana.log")
"""A run file, and what lies beside it."""
_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0
"""Before a run goes on: what died with it leaves its ports, and after a boot its target may still be starting."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the supervisor goes by. `min_free` is in bytes, of the disk that run files are on."""

    runs: Path
    parallel: int
    options: tuple[str, ...]
    """What each `soak run` is told beside its scenario."""
    min_free: float
    read_scenario: Callable[[str], Found]
    """The scenario of a name; raises SoakError where there is none any more."""
    keep: float | None = None
    """How long run files are kept (s); None: until somebody takes them away."""
    resumes: int = 3
    """How often a run that died goes on by itself."""


@dataclass(slots=True)
class _Judging:
    """A run that died is being judged. `why` says how it died."""

    process: subprocess.Popen[bytes]
    why: str
    since: float = field(default_factory=monotonic)


class Supervisor:
    """All runs of one state, by `rules`, which may be replaced. `say` gets a line for the daemon's log."""

    def __init__(self, state: State, rules: Rules, clock: Callable[[], float], say: Say) -> None:
        self._state = state
        self.rules = rules
        self._clock = clock
        self._say = say
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._judging: dict[int, _Judging] = {}
        self._pauses: dict[int, float] = {}
        self._waiting: dict[int, str] = {}
        self._stuck: set[int] = set()
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
                if found is None:
                    if not job.run_file.exists():
                        self._state.requeue(job.id)
                        self._say("requeued", "was never started; it is queued again", run=job.id)
                    elif job.resumed and left.document(job.run_file) is None:
                        self._cut_off(job, "the daemon was killed while the run was started again")
                    continue
                self._state.note_process(job.id, found)
            elif not alive(job.process):
                continue
            self._say("adopted", "goes on; adopted", run=job.id)

    def tick(self) -> None:
        """Look once at everything. A fault of one run keeps no other from being looked at; it is raised at the end."""
        faults: list[Exception] = []
        for job in self._state.open_jobs():
            try:
                self._look(job)
            except Exception as error:
                faults.append(error)
        self._hold()
        now = monotonic()
        self._pauses = {number: end for number, end in self._pauses.items() if end > now}
        if self.held is None:
            pausing = self._pauses.keys() | self._judging.keys()
            for job in startable(self._state.open_jobs(), self.rules.parallel, pausing):
                try:
                    self._start(job) if job.run_file is None else self._go_on(job, job.run_file)
                except Exception as error:
                    faults.append(error)
        self._waiting = waiting(self._state.open_jobs(), self.rules.parallel)
        if faults:
            raise faults[0]
        self.looked = self._clock()

    def stop(self, job: Job) -> None:
        """Ask for the end of a job: one that is queued is over, one that runs is interrupted, once."""
        if job.state == "queued" and job.run_file is None:
            self._end(job, None, EXIT_INTERRUPTED, "stopped before it began")
        elif job.state == "queued" and job.stop_at is None:
            self._state.note_stop(job.id, self._clock())
        elif job.state == "running" and job.stop_at is None:
            if (process := self._process_of(job)) is not None:
                interrupt(process)
            self._state.note_stop(job.id, self._clock())

    def resume(self, job: Job) -> bool:
        """Have a job go on that ended before its time; False when that cannot be."""
        if not job.resumable or job.run_file is None or not job.run_file.is_file():
            return False
        return self._state.take_up(job.id, "it was asked to go on")

    def waits_for(self, job: Job) -> str | None:
        """Why a queued job does not run yet, as of the last look."""
        if job.state != "queued":
            return None
        why = self.held or self._waiting.get(job.id)
        return why or (f"{job.reason}: it goes on in a moment" if job.run_file is not None else None)

    def _hold(self) -> None:
        free = shutil.disk_usage(_existing(self.rules.runs)).free
        held = None
        if free < self.rules.min_free:
            held = (
                f"the disk of {self.rules.runs} has {units.size(free)} left, less than the "
                f"{units.size(self.rules.min_free)} that must be free: no run is started"
            )
        if (held is None) != (self.held is None):
            if held is not None:
                self._say("disk_nearly_full", held, level=logging.ERROR)
            else:
                self._say("disk_has_room", "the disk has room again: runs are started")
        self.held = held

    def _start(self, job: Job) -> None:
        now = self._clock()
        stamp = datetime.fromtimestamp(now).strftime("%Y%m%d-%H%M%S")
        run_file = (self.rules.runs / f"{job.request.name}-{stamp}-{job.id}.soak").resolve()
        try:
            scenario = self.rules.read_scenario(job.request.scenario)
            if scenario.targets != job.request.targets:
                self._wait_anew(job, scenario.targets)
                return
            baseline = self._baseline(job, scenario)
            if not self._state.begin(job.id, run_file, now, scenario.load, baseline.id if baseline else None):
                return
            child = start_run(scenario.path, run_file, self.rules.options, baseline.run_file if baseline else None)
        except SoakError as error:
            self._end(job, None, EXIT_USAGE, str(error))
            return
        self._watch(job, child)
        self._say("started", f"{job.request.scenario} started, process {child.pid}, {run_file.name}", run=job.id)

    def _wait_anew(self, job: Job, targets: tuple[str, ...]) -> None:
        """Its scenario was changed while it waited: the next look asks whether what it loads now is free."""
        if self._state.retarget(job.id, targets):
            self._say("retargeted", f"its scenario was changed: it loads {', '.join(targets)} now", run=job.id)

    def _go_on(self, job: Job, run_file: Path) -> None:
        """Start a run again that was cut off, in its run file."""
        why = f"{job.reason}; it goes on, for the {_ordinal(job.resumed + 1)} time"
        verdict_path(run_file).unlink(missing_ok=True)  # what is there from now on is of the life that begins
        if not self._state.begin_again(job.id):
            return
        try:
            child = resume_run(run_file, self.rules.options, why)
        except SoakError as error:
            self._judge(job, f"{job.reason}, and cannot go on ({error})")
            return
        self._watch(job, child)
        self._say("resumed", f"{why}, process {child.pid}", run=job.id)
        self._state.note(self._clock(), DAEMON, "", "resume", job.id, why)

    def _watch(self, job: Job, child: subprocess.Popen[bytes]) -> None:
        self._children[job.id] = child
        if (process := identity(child.pid)) is not None:  # a zombie has its identity until it is waited for
            self._state.note_process(job.id, process)

    def _baseline(self, job: Job, scenario: Found) -> Job | None:
        """The last pass that this run can be compared with, if it was asked for and there is one."""
        if job.request.against is None or scenario.has_reference:
            return None
        passed = self._state.passed(job.request, scenario.load)
        found = next((j for j in passed if j.run_file is not None and j.run_file.is_file()), None)
        if found is None:
            text = f"no run of {job.request.name} under this load has passed yet: nothing to compare"
            self._say("no_baseline", text, run=job.id)
        return found

    def clear(self) -> None:
        """Remove the run files that nobody needs any more, and what lies beside them."""
        if self.rules.keep is None:
            return
        for job in expired(self._state.with_files(), self._clock(), self.rules.keep):
            assert job.run_file is not None
            try:
                for suffix in _OF_A_RUN:
                    job.run_file.with_suffix(suffix).unlink(missing_ok=True)
            except OSError as error:
                if job.id not in self._stuck:
                    text = f"{job.run_file.name} was kept for long enough and cannot be removed: {error.strerror}"
                    self._say("not_removed", text, run=job.id, level=logging.ERROR)
                self._stuck.add(job.id)
                continue
            self._state.forget_file(job.id)
            self._say("removed", f"{job.run_file.name} was kept for long enough and is removed", run=job.id)
            self._state.note(self._clock(), DAEMON, "", "remove", job.id, job.run_file.name)

    def _look(self, job: Job) -> None:
        """Look at one job; what this daemon knows of it is only forgotten when the state has it."""
        if (judging := self._judging.get(job.id)) is not None:
            self._hear_judge(job, judging)
        elif job.state == "running":
            child = self._children.get(job.id)
            code = child.poll() if child is not None else None
            if (child is not None and code is None) or (child is None and job.process and alive(job.process)):
                self._let_go_on(job)
            else:
                self._close(job, code)
                self._children.pop(job.id, None)
        elif job.stop_at is not None:
            self._judge(job, "stopped before it went on")

    def _let_go_on(self, job: Job) -> None:
        process = self._process_of(job)
        if job.process is None and process is not None:  # when it was started the state could not be written
            self._state.note_process(job.id, process)
        if process is not None and job.stop_at is not None and self._clock() - job.stop_at > _STOPPING_S:
            self._say("killed", "it was asked to end, and did not: killed", run=job.id, level=logging.ERROR)
            kill(process)

    def _process_of(self, job: Job) -> Process | None:
        child = self._children.get(job.id)
        return job.process or (identity(child.pid) if child is not None else None)

    def _close(self, job: Job, code: int | None) -> None:
        """A run is over; `code` is its exit code where this daemon has seen it."""
        assert job.run_file is not None
        facts = left.facts(job.run_file)
        if facts is None:
            self._close_without_file(job, code)
            return
        verdict = facts.get("verdict")
        if code is not None and code in (EXIT_INTERRUPTED, EXIT_CODES.get(str(verdict))):
            self._end(job, verdict, code, str(facts.get("headline", "")), resumable=code == EXIT_INTERRUPTED)
        elif verdict and (document := left.document(job.run_file)) is not None:
            if document["interrupted"] and job.stop_at is None and _rebooted(job):
                self._cut_off(job, "the machine was shut down")
            else:
                self._end_by(job, document, "")
        else:
            self._close_dead(job, code, readable=bool(facts))

    def _close_dead(self, job: Job, code: int | None, *, readable: bool) -> None:
        """A run is over without a verdict: it goes on if it may, and is judged by what it left if not."""
        assert job.run_file is not None
        said = left.last_line(log_path(job.run_file))
        refused = job.resumed > 0 and code == EXIT_USAGE
        for_good = refused and said.startswith(f"soak: {job.run_file}: ")  # it is its run file, not its target
        if (code is None or refused) and (found := find_run(job.run_file)) is not None:
            self._state.note_process(job.id, found)  # started by a daemon that was killed before it could say so
            return
        why = f"it cannot go on ({said})" if refused else left.how(code)
        may = code is None or code < 0 or (refused and not for_good)
        if may and readable and job.stop_at is None and job.resumed < self.rules.resumes:
            self._cut_off(job, "the machine was rebooted" if _rebooted(job) else why)
        else:
            self._judge(job, why)

    def _cut_off(self, job: Job, why: str) -> None:
        pause = min(_LONGEST_PAUSE_S, _PAUSE_S * 5**job.resumed)
        if self._state.cut_off(job.id, why):
            self._pauses[job.id] = monotonic() + pause
            self._say("cut_off", f"{why}; it goes on in {pause:.0f} s", run=job.id, level=logging.WARNING)

    def _close_without_file(self, job: Job, code: int | None) -> None:
        assert job.run_file is not None
        said = left.last_line(log_path(job.run_file))
        if job.stop_at is not None:
            self._end(job, None, EXIT_INTERRUPTED, "stopped before it measured anything")
        elif code == EXIT_USAGE:
            self._end(job, None, EXIT_USAGE, said)
        elif code == EXIT_INVALID or (code is None and said.startswith("soak: ")):
            self._end(job, "invalid", EXIT_INVALID, said)  # where nobody saw the code, it may have been either
        else:
            tail = f"; it said last: {said}" if said else ""
            self._end(job, "invalid", EXIT_INVALID, f"{left.how(code)}, and left no run file to judge{tail}")

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
        found = left.document(job.run_file)
        if found is None:
            said = left.last_line(log_path(job.run_file))
            self._end(job, "invalid", EXIT_INVALID, f"{judging.why}, and its run file cannot be judged: {said}")
        else:
            self._end_by(job, found, f"{judging.why}: ")
        del self._judging[job.id]

    def _end_by(self, job: Job, verdict: dict[str, Any], before: str) -> None:
        result = str(verdict["verdict"])
        stopped = verdict["interrupted"] or job.stop_at is not None
        code = EXIT_INTERRUPTED if stopped else EXIT_CODES.get(result, EXIT_INVALID)
        self._end(job, result, code, before + str(verdict["headline"]), resumable=bool(stopped or before))

    def _end(self, job: Job, verdict: str | None, code: int, reason: str, *, resumable: bool = False) -> None:
        self._state.end(job.id, verdict, code, reason, self._clock(), resumable=resumable)
        self._say("ended", f"ended, {verdict or 'no verdict'}, exit code {code}: {reason}", run=job.id)


def _rebooted(job: Job) -> bool:
    return job.process is not None and job.process.boot != boot_id()


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
