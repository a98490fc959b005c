"""Runs that go on after they were cut off, and what the daemon does while its own disk or state fails."""

from __future__ import annotations

import os
import signal
import sqlite3
from dataclasses import replace

import pytest

from soak.daemon import process, supervise
from soak.daemon.job import Process
from tests.unit.daemoning import (
    BROKE,
    FINISHED,
    HALF,
    SLEEPS,
    START,
    House,
    a_house,
    request,
    runs_of,
)

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
house = pytest.fixture(a_house)


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


def test_one_whose_own_file_refuses_is_judged_at_once(house: House) -> None:
    house.restarted(resumes=3)
    house.runs(HALF, "import sys; print(f'soak: {sys.argv[3]}: the file is torn', file=sys.stderr); sys.exit(2)")
    house.state.add(request(), START)
    job = house.ended()
    assert (job.resumed, job.verdict in ("inconclusive", "invalid")) == (1, True)
    assert "the file is torn): " in (job.reason or "")


def test_one_that_was_about_to_go_on_when_the_daemon_was_killed_goes_on(house: House) -> None:
    house.restarted(resumes=3)
    house.runs(HALF, AGAIN)
    run_file = house.folder / "runs" / "shop-1.soak"
    runs_of(FINISHED.replace('"fail"', '"inconclusive"'))(house.folder, run_file, (), None).wait()
    house.state.add(request(), START)
    house.state.begin(1, run_file, START)
    house.state.end(1, "inconclusive", 130, "cut short", START, resumable=True)
    house.supervisor.resume(house.job())
    house.state.begin_again(1)
    house.restarted(resumes=3).adopt()
    assert (house.job().state, house.job().run_file) == ("queued", run_file)
    assert (house.ended().resumed, house.job().reason) == (2, "a part is missing")


def test_a_run_whose_process_could_not_be_written_down_is_known_and_can_be_stopped(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    house.runs(SLEEPS)
    house.state.add(request(), START)
    house.state.add(request("other", "localhost:9"), START)
    with monkeypatch.context() as broken:
        broken.setattr(house.state, "note_process", full)
        with pytest.raises(sqlite3.OperationalError):
            house.supervisor.tick()
    assert [(j.state, j.process) for j in house.state.open_jobs()] == [("running", None)] * 2  # both were started
    house.ready()
    house.supervisor.stop(house.job())
    assert (house.ended().exit_code, house.job().reason) == (130, "stopped before it measured anything")
    house.supervisor.tick()
    assert house.job(2).process is not None


def test_how_a_run_ended_is_not_forgotten_while_the_state_cannot_be_written(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    house.runs(BROKE)
    house.state.add(request(), START)
    house.supervisor.tick()
    with monkeypatch.context() as broken:
        broken.setattr(house.state, "end", full)
        with pytest.raises(sqlite3.OperationalError):
            house.until(lambda: False)
    assert "broke off with exit code 1" in (house.ended().reason or "")


def test_a_run_that_does_not_end_when_it_is_asked_to_is_killed_in_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); print('ready', file=sys.stderr, flush=True)"
    )
    house.runs(f"{deaf}; {SLEEPS}")
    house.state.add(request(), START)
    house.supervisor.tick()
    run_file = house.job().run_file
    assert run_file is not None
    house.until(lambda: "ready" in process.log_path(run_file).read_text())
    house.supervisor.stop(house.job())
    for _ in range(3):
        house.supervisor.tick()
    assert house.job().state == "running"
    monkeypatch.setattr(supervise, "_STOPPING_S", -1.0)
    assert house.ended().exit_code == 130
    assert any(line.startswith("killed: ") for line in house.said)


def test_a_run_file_that_cannot_be_removed_keeps_no_other_from_it_and_is_told_once(house: House) -> None:
    house.runs(FINISHED)
    for _ in range(2):
        house.state.add(request(), START)
    files = [house.ended(n).run_file for n in (1, 2)]
    assert files[0] is not None
    files[0].unlink()
    files[0].mkdir()
    house.restarted()
    house.supervisor.rules = replace(house.supervisor.rules, keep=-1.0)
    for _ in range(3):
        house.supervisor.clear()
    assert house.job(2).run_file is None
    assert len([line for line in house.said if line.startswith("not_removed: ")]) == 1
