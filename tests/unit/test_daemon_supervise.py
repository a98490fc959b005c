"""The supervisor, with runs that are made in no time; whole soaks under it are in tests/e2e/test_daemon.py."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from soak.core.errors import SoakError
from soak.daemon import process, supervise
from soak.daemon.job import Process
from soak.daemon.library import Found
from soak.daemon.supervise import Rules, Supervisor
from tests.unit.daemoning import (
    BROKE,
    DIED,
    FINISHED,
    HALF,
    REFUSED,
    SLEEPS,
    START,
    House,
    a_house,
    request,
    runs_of,
)

house = pytest.fixture(a_house)


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


def test_a_run_that_said_why_it_ended_while_no_daemon_was_there_is_invalid(house: House) -> None:
    house.runs("import sys; sys.exit('soak: the load worker-1 did not start: exit code -9')")
    house.state.add(request(), START)
    house.supervisor.tick()
    running = house.job().process
    assert running is not None
    os.waitpid(running.pid, 0)  # its exit code goes with the daemon that had started it
    house.restarted()
    job = house.ended()
    assert (job.verdict, job.exit_code) == ("invalid", 4)
    assert job.reason == "soak: the load worker-1 did not start: exit code -9"


@pytest.mark.parametrize(
    "program,how",
    [
        (DIED, "killed by SIGKILL"),
        (DIED.replace("signal.SIGKILL", "40"), "killed by signal 40"),  # it has no name
        (BROKE, "broke off with exit code 1"),
    ],
)
def test_a_run_that_dies_without_a_file_is_invalid_with_the_reason(house: House, program: str, how: str) -> None:
    house.runs(program)
    house.state.add(request(), START)
    job = house.ended()
    assert (job.verdict, job.exit_code) == ("invalid", 4)
    assert job.reason is not None
    assert how in job.reason
    assert ("a fault of soak itself" if program == BROKE else "starting") in job.reason


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


def test_a_job_waits_for_what_its_scenario_loads_when_its_turn_comes(house: House) -> None:
    house.runs(SLEEPS)
    house.state.add(request("shop", "localhost:8000"), START)
    house.state.add(request("moved", "localhost:8001"), START)
    house.state.add(request("other", "localhost:8001"), START)
    house.changed["moved.yaml"] = ("localhost:8000",)  # its file was changed while it was queued
    house.supervisor.tick()
    assert [house.job(n).state for n in (1, 2, 3)] == ["running", "queued", "queued"]
    house.supervisor.tick()
    assert [house.job(n).state for n in (1, 2, 3)] == ["running", "queued", "running"]
    assert house.job(2).request.targets == ("localhost:8000",)
    assert house.supervisor.waits_for(house.job(2)) == "run 1 loads localhost:8000"
    assert [line for line in house.said if "retargeted" in line] == [
        "retargeted: its scenario was changed: it loads localhost:8000 now"
    ]


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
    run_file.with_suffix(".grafana.log").touch()  # of annotations that failed
    assert len(list(run_file.parent.glob(f"{run_file.stem}*"))) >= 4
    for later, left in ((50.0, True), (101.0, False)):
        rules = Rules(house.folder / "runs", 1, (), 0, house.read, keep=100.0)
        Supervisor(house.state, rules, lambda at=later: START + at, house.said).clear()  # type: ignore[misc]
        assert run_file.exists() is left
    assert not list(run_file.parent.glob(f"{run_file.stem}*"))
    assert (house.job().run_file, house.job().verdict) == (None, "fail")
