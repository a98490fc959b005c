"""Whole soaks under `soak serve`: it may be killed at any time, and a CI job gets its verdict."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from soak import runfile
from soak.daemon.config import STATE
from soak.daemon.process import alive, interrupt
from soak.daemon.state import State
from tests.e2e.harness import SOAK, environment, free_port, shipped
from tests.unit.serving import Daemon, launch

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]


_LAUNCHED: list[Daemon] = []


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon with one scenario; whatever runs in the end is ended."""
    (tmp_path / "scenarios").mkdir()
    shipped(tmp_path / "scenarios", "healthy", idle_before="1s", warmup="2s", soak="20s", idle_after="1s")
    _LAUNCHED.append(launch(tmp_path, port=free_port()))
    yield _LAUNCHED[0]
    for daemon in _LAUNCHED:
        killed(daemon)
    _LAUNCHED.clear()
    with State(tmp_path / "runs" / STATE) as state:
        for process in [job.process for job in state.open_jobs() if job.process is not None]:
            while alive(process):  # the second does not wait for answers, the third ends at once
                interrupt(process)
                time.sleep(1)


def killed(daemon: Daemon) -> None:
    daemon.process.kill()
    daemon.process.wait()
    assert daemon.process.stderr is not None
    daemon.process.stderr.close()


def restarted(daemon: Daemon) -> Daemon:
    killed(daemon)
    _LAUNCHED.append(launch(daemon.folder, port=daemon.port))
    return _LAUNCHED[-1]


def run_on(daemon: Daemon, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*SOAK, "run", "--on", f"http://127.0.0.1:{daemon.port}", "healthy.yaml", *options],
        cwd=daemon.folder, env=environment(daemon.folder), text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(daemon: Daemon, state: str, number: int = 1, seconds: float = 120) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        run: dict[str, Any] = daemon.ask("GET", f"/v1/runs/{number}").json
        if run["state"] == state:
            return run
        time.sleep(0.3)
    raise AssertionError(run)


def wait_until_soaking(daemon: Daemon) -> Path:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        for path in (daemon.folder / "runs").glob("*.soak"):
            recording = runfile.read(path)
            if recording.soak_span and recording.duration - recording.soak_span[0] > 3:
                return path
        time.sleep(0.3)
    raise AssertionError("the soak phase was not reached")


def process_of(path: Path) -> psutil.Process:
    """The `soak run` that writes a run file."""
    (found,) = [
        p for p in psutil.process_iter(["cmdline"])
        if (p.info["cmdline"] or [])[2:5] == ["-m", "soak.cli", "run"] and str(path) in p.info["cmdline"]
    ]  # fmt: skip
    return found


def test_a_ci_job_gets_progress_verdict_and_exit_code_though_the_daemon_is_killed(house: Daemon) -> None:
    job = run_on(house, "--json")
    path = wait_until_soaking(house)
    running = process_of(path)
    house = restarted(house)
    assert running.is_running()
    assert any("goes on; adopted" in line for line in house.said) or wait_for(house, "running")
    out, err = job.communicate(timeout=150)
    run = wait_for(house, "ended")
    document = json.loads(out)
    assert document["schema"] == "soak.verdict/1"
    assert job.returncode == run["exit_code"] == {"pass": 0, "fail": 1, "inconclusive": 3, "invalid": 4}[run["verdict"]]
    assert document["verdict"] == run["verdict"]
    assert document["validity"]["balanced"]
    assert document["validity"]["lost"] == 0
    assert "cannot be reached" in err
    lines = err.splitlines()
    assert len([line for line in lines if line.startswith("starting candidate")]) == 1  # no line twice
    assert len(list((house.folder / "runs").glob("*.soak"))) == 1  # and no run
    page = house.ask("GET", "/v1/runs/1/report?format=html")
    assert page.status == 200
    assert page.headers["content-security-policy"].startswith("sandbox")
    text = house.ask("GET", "/v1/runs/1/report?format=text")
    assert text.body.decode().upper().startswith(run["verdict"].upper())


@pytest.mark.long
def test_ctrl_c_of_a_ci_job_stops_its_run_and_brings_the_verdict_home(house: Daemon) -> None:
    long = {"idle_before": "1s", "warmup": "2s", "soak": "90s", "idle_after": "1s"}  # it is not soaked to its end
    shipped(house.folder / "scenarios", "healthy", **long)
    job = run_on(house)
    wait_until_soaking(house)
    job.send_signal(signal.SIGINT)
    out, err = job.communicate(timeout=120)
    assert job.returncode == 130, err
    assert "INTERRUPTED" in out.upper() or "interrupted" in err
    assert wait_for(house, "ended")["exit_code"] == 130
    assert "Traceback" not in err


def test_a_run_that_is_killed_goes_on_and_leaves_no_orphan(house: Daemon) -> None:
    house.ask("POST", "/v1/runs", {"scenario": "healthy.yaml"})
    house.ask("POST", "/v1/runs", {"scenario": "healthy.yaml"})
    path = wait_until_soaking(house)
    assert house.ask("GET", "/v1/runs/2").json["waits_for"].startswith("run 1 loads localhost:")
    running = process_of(path)
    children = running.children(recursive=True)
    assert len(children) >= 3  # target, master, worker
    killed(house)  # both die, as in a reboot
    os.kill(running.pid, signal.SIGKILL)
    _, left = psutil.wait_procs(children, timeout=15)
    assert not left
    house = restarted(house)
    run = wait_for(house, "ended")
    assert run["resumed"] == 1, run
    assert run["verdict"] in ("inconclusive", "invalid")  # no life of the target had the whole soak
    assert run["exit_code"] in (3, 4)
    document = house.ask("GET", "/v1/runs/1/verdict").json
    assert document["validity"]["balanced"]
    assert any("cut off" in note for note in document["notes"])
    (gap,) = runfile.read(path).gaps
    assert gap.away > 0
    shown = house.ask("GET", "/v1/runs/1/events").body.decode()
    assert "data: the run died while nobody watched it; it goes on, for the first time" in shown
    assert ("daemon", "resume", 1) in [
        (e["who"], e["action"], e["run"]) for e in house.ask("GET", "/v1/audit").json["entries"]
    ]
    assert wait_for(house, "running", 2)["started_at"] >= run["ended_at"] - 1  # the next one has the target
    assert house.ask("GET", "/v1/compare?candidate=2&reference=1").status == 409
    house.ask("POST", "/v1/runs/2/stop")
    stopped = wait_for(house, "ended", 2)
    assert (stopped["exit_code"], stopped["resumed"]) == (130, 0)
    compared = house.ask("GET", "/v1/compare?candidate=1&reference=1")
    assert compared.status == 200, compared.body
    assert compared.json["schema"] == "soak.comparison/1"


@pytest.mark.long
def test_a_run_that_ended_while_no_daemon_was_there_has_its_own_exit_code(house: Daemon) -> None:
    house.ask("POST", "/v1/runs", {"scenario": "healthy.yaml"})
    path = wait_until_soaking(house)
    running = process_of(path)
    killed(house)
    running.send_signal(signal.SIGINT)
    psutil.wait_procs([running], timeout=90)
    assert not running.is_running() or running.status() == psutil.STATUS_ZOMBIE
    house = restarted(house)
    run = wait_for(house, "ended")
    assert run["exit_code"] == 130
    assert run["verdict"] is not None
