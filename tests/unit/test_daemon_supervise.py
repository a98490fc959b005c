"""The supervisor, with runs that are made in no time; whole soaks under it are in tests/e2e/test_daemon.py."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from soak.core.errors import SoakError
from soak.daemon import process, supervise
from soak.daemon.job import Job, Process
from soak.daemon.library import Found
from soak.daemon.state import State
from soak.daemon.supervise import Rules, Supervisor
from tests.unit.daemoning import START, Said, request, resumes_of, runs_of

SLEEPS = "import time; time.sleep(600)"
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


class House:
    """A state, its supervisor, and all it started."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.state = State(folder / "state")
        self.said = Said()
        self._monkeypatch = monkeypatch
        self.supervisor = self.restarted()

    def restarted(self, *, min_free: float = 0, parallel: int = 2, resumes: int = 0) -> Supervisor:
        """A daemon that knows nothing but the state."""
        rules = Rules(
            self.folder / "runs",
            parallel,
            (),
            min_free,
            lambda name: Found(self.folder / name, "a load", False),
            resumes=resumes,
        )
        self.supervisor = Supervisor(self.state, rules, lambda: START, self.said)
        return self.supervisor

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

    def ended(self, number: int = 1) -> Job:
        self.until(lambda: self.job(number).state == "ended")
        return self.job(number)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    made = House(tmp_path, monkeypatch)
    yield made
    for job in made.state.page(50):
        if job.process is not None and process.alive(job.process):
            os.kill(job.process.pid, signal.SIGKILL)
    made.state.close()


def test_a_run_that_ends_has_its_verdict_and_its_exit_code(house: House) -> None:
    house.runs(FINISHED)
    house.state.add(request(), START)
    job = house.ended()
    assert (job.verdict, job.exit_code, job.reason) == ("fail", 1, "it leaks")
    assert job.run_file is not None
    assert job.run_file.parent == house.folder / "runs"


def test_a_run_that_is_refused_says_why_and_has_no_verdict(house: House) -> None:
    house.runs(REFUSED)
    house.state.add(request(), START)
    job = house.ended()
    assert (job.verdict, job.exit_code, job.reason) == (None, 2, "soak: nothing answers at 127.0.0.1:8000")


@pytest.mark.parametrize(
    "program,how",
    [(DIED, "killed by SIGKILL"), (BROKE, "broke off with exit code 1")],
)
def test_a_run_that_dies_without_a_file_is_invalid_with_the_reason(house: House, program: str, how: str) -> None:
    house.runs(program)
    house.state.add(request(), START)
    job = house.ended()
    assert (job.verdict, job.exit_code) == ("invalid", 4)
    assert job.reason is not None
    assert how in job.reason
    assert ("starting" if program == DIED else "a fault of soak itself") in job.reason


def test_a_run_that_dies_is_judged_by_what_it_left(house: House) -> None:
    house.runs(HALF)
    house.state.add(request(), START)
    job = house.ended()
    assert job.verdict in ("inconclusive", "invalid")
    assert job.exit_code in (3, 4)
    assert job.reason is not None
    assert job.reason.startswith("the run was killed by SIGKILL: ")


def test_a_run_file_that_nobody_can_read_is_invalid(house: House) -> None:
    house.runs("import sys; open(sys.argv[3], 'w').write('torn'); sys.exit(1)")
    house.state.add(request(), START)
    job = house.ended()
    assert (job.verdict, job.exit_code) == ("invalid", 4)
    assert "cannot be judged" in (job.reason or "")


def test_a_restarted_daemon_adopts_what_runs_and_starts_nothing_twice(house: House) -> None:
    house.runs(SLEEPS)
    house.state.add(request(), START)
    house.state.add(request(), START)
    house.supervisor.tick()
    before = house.job().process
    again = house.restarted()
    again.adopt()
    again.tick()
    assert house.job().process == before
    assert [j.state for j in house.state.open_jobs()] == ["running", "queued"]
    assert before is not None
    os.kill(before.pid, signal.SIGKILL)
    os.waitpid(before.pid, 0)
    again.tick()
    assert (house.job().verdict, house.job().state) == ("invalid", "ended")
    assert "died while nobody watched" in (house.job().reason or "")


def test_a_run_that_was_started_and_not_noted_is_found_by_its_run_file(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_file = house.folder / "runs" / "shop-1.soak"
    child = runs_of(SLEEPS)(house.folder, run_file, (), None)
    monkeypatch.setattr(process, "_RUN", ["-c", SLEEPS, "soak.cli"])
    house.state.add(request(), START)
    house.state.begin(1, run_file, START)
    house.runs("raise AssertionError")
    house.supervisor.adopt()
    assert house.job().process == process.identity(child.pid)
    child.kill()
    child.wait()


def test_a_run_that_never_got_a_process_is_queued_again(house: House) -> None:
    house.state.add(request(), START)
    house.state.begin(1, house.folder / "runs" / "shop-1.soak", START)
    house.supervisor.adopt()
    assert (house.job().state, house.job().run_file) == ("queued", None)


def test_another_process_with_the_same_pid_is_not_the_run() -> None:
    child = subprocess.Popen(["sleep", "600"])
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(child.wait)
        cleanup.callback(child.kill)
        now = process.identity(child.pid)
        assert now is not None
        for other in (Process(now.boot, now.pid, now.started - 1), Process("another boot", now.pid, now.started)):
            assert not process.alive(other)
            assert not process.interrupt(other)
        assert child.poll() is None


def test_a_queued_job_that_is_stopped_never_starts(house: House) -> None:
    house.runs(SLEEPS)
    house.state.add(request(), START)
    house.supervisor.stop(house.job())
    house.supervisor.tick()
    assert (house.job().state, house.job().exit_code, house.job().run_file) == ("ended", 130, None)


def test_a_run_is_interrupted_once_however_often_it_is_asked_for(house: House) -> None:
    house.runs(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *_: print('interrupted', file=sys.stderr, flush=True))\n"
        "print('ready', file=sys.stderr, flush=True)\n"
        "for _ in range(6000): time.sleep(0.1)"
    )
    house.state.add(request(), START)
    house.supervisor.tick()
    job = house.job()
    assert job.run_file is not None
    log = process.log_path(job.run_file)
    house.until(lambda: "ready" in log.read_text())
    house.supervisor.stop(house.job())
    house.until(lambda: "interrupted" in log.read_text())
    house.supervisor.stop(house.job())
    assert job.process is not None
    os.kill(job.process.pid, signal.SIGKILL)
    assert house.ended().exit_code == 130
    assert log.read_text().count("interrupted") == 1


def test_no_run_is_started_while_the_disk_is_nearly_full(house: House) -> None:
    house.runs(FINISHED)
    house.state.add(request(), START)
    house.restarted(min_free=2.0**80)
    for _ in range(3):
        house.supervisor.tick()
    assert house.job().state == "queued"
    assert "must be free" in (house.supervisor.waits_for(house.job()) or "")
    assert len([line for line in house.said if "must be free" in line]) == 1
    house.restarted()
    assert house.ended().verdict == "fail"


def test_a_scenario_that_is_gone_ends_the_job_with_the_reason(house: House) -> None:
    def find(name: str) -> Found:
        raise SoakError(f"{name}: no such scenario")

    rules = Rules(house.folder / "runs", 1, (), 0, find)
    house.supervisor = Supervisor(house.state, rules, lambda: START, house.said)
    house.state.add(request(), START)
    house.supervisor.tick()
    assert (house.job().exit_code, house.job().reason) == (2, "shop.yaml: no such scenario")


def test_the_output_of_a_run_is_no_pipe_to_the_daemon(house: House) -> None:
    house.runs(SLEEPS)
    house.state.add(request(), START)
    house.supervisor.tick()
    running = house.job().process
    assert running is not None
    ours = os.getsid(0)
    assert os.getsid(running.pid) != ours
    for number in (1, 2):
        assert str(house.folder) in str(Path(f"/proc/{running.pid}/fd/{number}").readlink())


PASSED = FINISHED.replace('"fail"', '"pass"').replace("sys.exit(1)", "sys.exit(0)")


def test_a_run_is_compared_with_the_last_pass_whose_file_is_there(house: House) -> None:
    asked = replace(request(), against="last_pass")
    given: list[Path | None] = []
    start = runs_of(PASSED)

    def noting(
        scenario: Path, run_file: Path, allowed: Sequence[str], baseline: Path | None
    ) -> subprocess.Popen[bytes]:
        given.append(baseline)
        return start(scenario, run_file, allowed, baseline)

    house._monkeypatch.setattr(supervise, "start_run", noting)
    for _ in range(3):
        house.state.add(asked, START)
    files = [house.ended(n).run_file for n in (1, 2, 3)]
    assert given == [None, files[0], files[1]]
    assert [house.job(n).baseline for n in (1, 2, 3)] == [None, 1, 2]
    assert files[2] is not None
    files[2].unlink()
    house.state.add(asked, START)
    house.state.add(request(), START)
    house.ended(5)
    assert given[3:] == [files[1], None]


def test_old_run_files_go_with_all_that_lies_beside_them(house: House) -> None:
    house.runs(FINISHED)
    house.state.add(request(), START)
    run_file = house.ended().run_file
    assert run_file is not None
    assert len(list(run_file.parent.glob(f"{run_file.stem}*"))) >= 3
    for later, left in ((50.0, True), (101.0, False)):
        rules = Rules(house.folder / "runs", 1, (), 0, lambda name: Found(house.folder / name, "", False), keep=100.0)
        Supervisor(house.state, rules, lambda at=later: START + at, house.said).clear()  # type: ignore[misc]
        assert run_file.exists() is left
    assert not list(run_file.parent.glob(f"{run_file.stem}*"))
    assert (house.job().run_file, house.job().verdict) == (None, "fail")


AGAIN = """
import os, sys
from pathlib import Path
from soak.runfile import RunWriter
writer = RunWriter.resume(Path(sys.argv[3]))
writer.set_meta("verdict", "inconclusive")
writer.set_meta("headline", "a part is missing")
writer.finish()
sys.exit(3)
"""
KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def test_a_run_that_is_killed_goes_on_in_its_file_and_says_so(house: House) -> None:
    house.restarted(resumes=3)
    house.runs(HALF, AGAIN)
    house.state.add(request(), START)
    job = house.ended()
    assert (job.verdict, job.exit_code, job.reason, job.resumed) == ("inconclusive", 3, "a part is missing", 1)
    assert job.run_file is not None
    assert "the run was killed by SIGKILL; it goes on, for the first time" in process.log_path(job.run_file).read_text()
    assert [(d.who, d.action) for d in house.state.deeds(5)] == [("daemon", "resume")]
    assert len(list(job.run_file.parent.glob("*.soak"))) == 1


def test_it_goes_on_so_many_times_and_is_judged_then(house: House) -> None:
    house.restarted(resumes=2)
    house.runs(HALF, KILLED)
    house.state.add(request(), START)
    job = house.ended()
    assert (job.resumed, job.verdict in ("inconclusive", "invalid")) == (2, True)
    assert job.reason is not None
    assert job.reason.startswith("the run was killed by SIGKILL: ")


def test_one_that_cannot_go_on_is_judged_with_the_reason(house: House) -> None:
    house.restarted(resumes=1)
    house.runs(HALF, "import sys; print('soak: users.csv changed since it began', file=sys.stderr); sys.exit(2)")
    house.state.add(request(), START)
    job = house.ended()
    assert job.verdict in ("inconclusive", "invalid")
    assert (job.reason or "").startswith("it cannot go on (soak: users.csv changed since it began): ")


def test_the_real_resume_refuses_what_it_cannot_go_on_with(house: House) -> None:
    house.restarted(resumes=1)
    real = supervise.resume_run
    house.runs(HALF)
    house._monkeypatch.setattr(supervise, "resume_run", real)
    house.state.add(request(), START)
    job = house.ended()
    assert job.resumed == 1
    assert "it cannot go on (soak: " in (job.reason or "")
    assert "only the same one can resume it): " in (job.reason or "")
    assert job.run_file is not None
    assert house.supervisor.waits_for(job) is None
    assert process.verdict_path(job.run_file).stat().st_size > 100


def test_one_that_was_asked_to_stop_does_not_go_on(house: House) -> None:
    house.restarted(resumes=3)
    house.runs(HALF.replace("os.kill(", "print('measured', file=sys.stderr, flush=True); signal.pause(); os.kill("))
    house.state.add(request(), START)
    house.supervisor.tick()
    running = house.job()
    assert running.run_file is not None
    assert running.process is not None
    log = process.log_path(running.run_file)
    house.until(lambda: "measured" in log.read_text())
    house.supervisor.stop(running)
    os.kill(running.process.pid, signal.SIGKILL)
    job = house.ended()
    assert (job.resumed, job.exit_code, job.verdict is not None) == (0, 130, True)


def test_one_that_waits_to_go_on_keeps_its_target_and_may_be_stopped(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.restarted(resumes=3)
    house.runs(HALF, AGAIN)
    monkeypatch.setattr(supervise, "_PAUSE_S", 600.0)
    house.state.add(request(), START)
    house.supervisor.tick()
    house.state.add(replace(request(), priority=9), START)
    house.until(lambda: any(line.startswith("cut_off") for line in house.said))
    for _ in range(3):
        house.supervisor.tick()
    assert [(j.id, j.state) for j in house.state.open_jobs()] == [(1, "queued"), (2, "queued")]
    assert "killed by SIGKILL: it goes on" in (house.supervisor.waits_for(house.job()) or "")
    assert house.supervisor.waits_for(house.job(2)) == "run 1 is first"
    house.supervisor.stop(house.job())
    job = house.ended()
    assert (job.exit_code, job.resumed, job.resumable) == (130, 0, True)
    assert (job.reason or "").startswith("stopped before it went on: ")


def test_a_run_of_an_earlier_boot_goes_on(house: House) -> None:
    house.restarted(resumes=3)
    house.runs(HALF, AGAIN)
    run_file = house.folder / "runs" / "shop-1.soak"
    runs_of(HALF)(house.folder, run_file, (), None).wait()
    house.state.add(request(), START)
    house.state.begin(1, run_file, START)
    house.state.note_process(1, Process("another boot", 1, 1))
    house.supervisor.adopt()
    job = house.ended()
    assert (job.verdict, job.resumed) == ("inconclusive", 1)
    assert "the machine was rebooted; it goes on" in process.log_path(run_file).read_text()


@pytest.mark.parametrize("boot,resumed", [("another boot", 1), ("", 0)])
def test_one_that_a_shutdown_interrupted_goes_on_and_one_that_somebody_interrupted_does_not(
    house: House, boot: str, resumed: int
) -> None:
    house.restarted(resumes=3)
    house.runs(HALF, AGAIN)
    run_file = house.folder / "runs" / "shop-1.soak"
    runs_of(FINISHED.replace('"fail"', '"inconclusive"'))(house.folder, run_file, (), None).wait()
    process.verdict_path(run_file).write_text(
        '{"verdict": "inconclusive", "headline": "cut short", "interrupted": true}'
    )
    house.state.add(request(), START)
    house.state.begin(1, run_file, START)
    house.state.note_process(1, Process(boot or process.boot_id(), 2**22, 1))
    house.supervisor.adopt()
    job = house.ended()
    assert (job.resumed, job.exit_code, job.resumable) == ((1, 3, False) if resumed else (0, 130, True))


def test_one_that_ended_before_its_time_goes_on_when_it_is_asked_to(house: House) -> None:
    house.runs(HALF, AGAIN)
    house.state.add(request(), START)
    job = house.ended()
    assert (job.resumed, job.resumable) == (0, True)
    assert house.supervisor.resume(job)
    assert not house.supervisor.resume(house.job()) or house.job().state == "queued"
    again = house.ended()
    assert (again.verdict, again.exit_code, again.resumed, again.resumable) == ("inconclusive", 3, 1, False)
    assert not house.supervisor.resume(again)
    house.runs(FINISHED)
    house.state.add(request(), START)
    assert not house.supervisor.resume(house.ended(2))
