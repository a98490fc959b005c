"""A generator that is frozen, starved or overloaded, and a clock that is set: named, and never green."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.harness import SOAK, Outcome, environment, free_port, scenario, soak, start
from tests.e2e.test_distributed import descendants

pytestmark = [pytest.mark.e2e, pytest.mark.quiet, pytest.mark.timeout(120)]

SPECIMEN = """
name: health
target:
  url: "http://127.0.0.1:{port}"
  process: {{command: "{{python}} -m soak.specimens healthy --port {port}"}}
load: {{rate: {rate}, connections: {connections}, timeout: 2s, requests: [{{get: "{path}"}}]}}
phases: {{warmup: 0s, soak: {soak}s}}
criteria: [{{metric: errors.ratio, below: 99%}}]
"""


def specimen(folder: Path, soak: int, rate: str = "50/s", connections: int = 20, path: str = "/items/1") -> Path:
    text = SPECIMEN.format(port=free_port(), soak=soak, rate=rate, connections=connections, path=path)
    return scenario(folder, text)


def load_worker(run: subprocess.Popen[str]) -> psutil.Process:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [c for c in descendants(run) if "soak.load.worker" in c.cmdline()]
        if found:
            return found[0]
        time.sleep(0.1)
    raise AssertionError("no load worker")


def finish(run: subprocess.Popen[str], folder: Path) -> Outcome:
    out, err = run.communicate(timeout=90)
    return Outcome(run.returncode, out, err, folder)


def said(outcome: Outcome) -> str:
    verdict: dict[str, Any] = outcome.verdict
    return " ".join([verdict["headline"], *verdict["reasons"], *verdict["notes"]])


def test_a_frozen_generator_is_named_and_never_green(tmp_path: Path) -> None:
    run = start(tmp_path, "run", str(specimen(tmp_path, 12)), "--json")
    worker = load_worker(run)
    time.sleep(6)
    os.kill(worker.pid, signal.SIGSTOP)
    time.sleep(3)
    os.kill(worker.pid, signal.SIGCONT)
    outcome = finish(run, tmp_path)
    assert outcome.code == 4, outcome.show()
    assert re.search(r"the generator \(worker-0\) was frozen for (2\.[89]|3)", said(outcome)), outcome.show()
    assert 3 <= outcome.verdict["validity"]["invalid_intervals"] <= 6
    assert outcome.causes() == set()  # what came late of it is not the target's
    assert outcome.verdict["validity"]["balanced"]


def test_a_generator_that_gets_no_cpu_is_named_and_never_green(tmp_path: Path) -> None:
    run = start(tmp_path, "run", str(specimen(tmp_path, 14)), "--json")
    worker = load_worker(run)
    time.sleep(5)
    os.sched_setscheduler(worker.pid, os.SCHED_IDLE, os.sched_param(0))
    group = Path(f"/proc/{worker.pid}/autogroup")  # the kernel is fair between sessions first
    if group.exists():
        group.write_text("19")
    one = sorted(os.sched_getaffinity(0))[0]
    os.sched_setaffinity(worker.pid, {one})
    burn = f"import os; os.sched_setaffinity(0, {{{one}}})\nwhile True: pass"
    hogs = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(2)]
    try:
        time.sleep(7)
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    outcome = finish(run, tmp_path)
    assert outcome.code == 4, outcome.show()
    assert "starved of CPU: it waited for a core" in said(outcome), outcome.show()


@pytest.mark.long
def test_more_than_a_generator_can_send_is_its_own_limit_and_no_fault_of_the_target(tmp_path: Path) -> None:
    outcome = soak(tmp_path, "run", str(specimen(tmp_path, 6, rate="30000/s", connections=50)), "--json")
    assert outcome.code == 4, outcome.show()
    assert "saturated: its own work" in said(outcome) or "starved of CPU" in said(outcome), outcome.show()
    assert "throughput_loss" not in outcome.causes()
    assert outcome.verdict["validity"]["balanced"]


@pytest.mark.long
def test_a_target_that_backs_up_is_measured_and_blamed(tmp_path: Path) -> None:
    file = specimen(tmp_path, 8, rate="60/s", connections=2, path="/slow")
    shop = Path(__file__).with_name("shop.py")  # answers there after 0.6 s
    file.write_text(file.read_text().replace("-m soak.specimens healthy --port", str(shop)))
    outcome = soak(tmp_path, "run", str(file), "--json")
    account = outcome.verdict["validity"]
    assert account["balanced"], outcome.show()
    assert account["unserved"] + account["failed"] > 0
    assert account["invalid_intervals"] <= 2, outcome.show()


@pytest.mark.long
def test_a_clock_that_is_set_during_the_run_is_named_and_never_green(tmp_path: Path) -> None:
    """The processes of the run see a wall clock that jumps by two minutes; the machine's own is left alone."""
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "sitecustomize.py").write_text(
        "import os, time\n"
        "real = time.time\n"
        f"time.time = lambda: real() + (120 if os.path.exists({str(tmp_path / 'jump')!r}) else 0)\n"
    )
    environ = environment(tmp_path)
    environ["PYTHONPATH"] = f"{tmp_path / 'fake'}:{environ['PYTHONPATH']}"
    run = subprocess.Popen(
        [*SOAK, "run", str(specimen(tmp_path, 8)), "--json"],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    load_worker(run)
    time.sleep(6)
    (tmp_path / "jump").touch()
    outcome = finish(run, tmp_path)
    assert outcome.code == 4, outcome.show()
    assert "the host's clock was stepped by +2 min" in said(outcome), outcome.show()
    # nothing was lost by it: Locust itself would end its workers when the wall clock leaps by a minute
    assert (outcome.verdict["validity"]["lost"], outcome.verdict["validity"]["balanced"]) == (0, True)
