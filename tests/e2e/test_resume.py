"""A run that was killed goes on in its file, and its verdict says what is missing; test_endings.py has Ctrl-C."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from soak import runfile
from soak.core.records import Recording
from tests.agents import eventually
from tests.e2e.harness import Outcome, environment, free_port, scenario, soak, start

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(280)]

WATCHED = """
name: watched
target: {{url: 'http://127.0.0.1:{port}', port: {port}}}
load: {{rate: 50/s, connections: 10, workers: 2, requests: [{{name: browse, get: "/items/{{random:1-5000}}"}}]}}
phases: {{idle_before: 2s, warmup: 4s, soak: {soak}s, idle_after: 2s}}
criteria: [{{metric: errors.ratio, below: 5%}}]
"""


BESIDE = """
name: beside
target: {{url: 'http://127.0.0.1:{ours}', process: {{command: '{{python}} -m soak.specimens healthy --port {ours}'}}}}
reference:
  url: http://127.0.0.1:{theirs}
  process: {{command: '{{python}} -m soak.specimens healthy --port {theirs}'}}
load: {{rate: 50/s, connections: 10, timeout: 2s, requests: [{{name: browse, get: "/items/{{random:1-5000}}"}}]}}
phases: {{idle_before: 2s, warmup: 4s, soak: 40s, idle_after: 2s}}
criteria: [{{metric: errors.ratio, below: 5%}}]
"""


@contextmanager
def living(folder: Path, port: int) -> Iterator[None]:
    """A healthy target that is not soak's own."""
    server = subprocess.Popen(
        [sys.executable, "-m", "soak.specimens", "healthy", "--port", str(port)], env=environment(folder)
    )
    try:
        eventually(lambda: socket.create_connection(("127.0.0.1", port), 5).close() is None, "a listener", seconds=60)
        yield
    finally:
        server.kill()
        server.wait()


def soaked(recording: Recording) -> float:
    """Seconds of soak that there are so far, in all lives."""
    return recording.duration - recording.soak_span[0] if recording.soak_span else 0.0


def until_soaked(folder: Path, process: subprocess.Popen[str], seconds: float, gaps: int = 0) -> Path:
    """Wait until so much of the soak is in the run file, after so many gaps."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        for path in (folder / "runs").glob("*.soak"):
            recording = runfile.read(path)
            since = recording.gaps[-1].end if recording.gaps else 0.0
            if soaked(recording) > seconds and len(recording.gaps) == gaps and recording.duration > since + seconds / 2:
                return path
        time.sleep(0.3)
    raise AssertionError("that much of the soak was not reached")


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL, and wait until everything of the run is gone."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=15)
    assert not alive


def balanced(outcome: Outcome, rate: float, seconds: float) -> None:
    """The account holds, and all of the schedule is in it."""
    validity = outcome.verdict["validity"]
    parts = sum(validity[key] for key in ("done", "failed", "unserved", "lost"))
    assert validity["balanced"], outcome.show()
    assert parts == validity["scheduled"]
    assert 0.8 * rate * seconds < parts < 1.2 * rate * seconds


def test_killed_twice_with_a_reference_it_goes_on_and_says_what_is_missing(tmp_path: Path) -> None:
    ours, theirs = free_port(), free_port()
    file = scenario(tmp_path, BESIDE.format(ours=ours, theirs=theirs))
    process = start(tmp_path, "run", str(file), "--json")
    path = until_soaked(tmp_path, process, 8)
    goes_on = soak(tmp_path, "run", "--resume", "latest")
    assert goes_on.code == 2
    assert "still goes on" in goes_on.err
    kill(process)
    before = runfile.read(path)
    again = start(tmp_path, "run", "--resume", "latest", "--json")
    until_soaked(tmp_path, again, 10, gaps=1)
    kill(again)
    outcome = soak(tmp_path, "run", "--resume", path.stem, "--json")
    assert outcome.code in (3, 4), outcome.show()  # never a pass: no life had the whole soak
    recording = runfile.read(path)
    assert len(recording.gaps) == 2
    assert all(gap.anew == {"candidate", "reference"} for gap in recording.gaps)
    for side, data in recording.sides.items():
        kept = {(y.worker, y.sequence): y for y in data.tallies}
        assert len(kept) == len(data.tallies)
        for y in before.sides[side].tallies:  # what was acknowledged is there, once
            assert kept[y.worker, y.sequence] == y
    load_s, rate = recording.scenario.load_s, recording.scenario.load.rate or 0.0
    balanced(outcome, rate, load_s)
    assert "was started anew" in outcome.out, outcome.show()
    assert any("cut off" in note for note in outcome.verdict["notes"])
    judged = soak(tmp_path, "judge", str(path), "--json")
    assert judged.verdict == outcome.verdict
    finished = soak(tmp_path, "run", "--resume", str(path))
    assert finished.code == 2
    assert "finished" in finished.err


def test_a_target_that_lived_on_is_one_life_with_a_hole_and_may_pass(tmp_path: Path) -> None:
    port = free_port()
    with living(tmp_path, port):
        process = start(tmp_path, "run", str(scenario(tmp_path, WATCHED.format(port=port, soak=40))), "--json")
        path = until_soaked(tmp_path, process, 12)
        kill(process)
        outcome = soak(tmp_path, "run", "--resume", str(path), "--json")
    recording = runfile.read(path)
    (gap,) = recording.gaps
    assert not gap.anew, outcome.show()
    # the clock stood still while nobody conducted: missing is only what the dead run had not written yet
    assert 0.85 * 40 < outcome.verdict["soak_s"] < 40
    assert not any("started anew" in reason for reason in outcome.verdict["reasons"])
    balanced(outcome, 50, 44)
    assert outcome.verdict["validity"]["lost"] > 0


def test_a_run_whose_files_changed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("id\n1\n2\n")
    port = free_port()
    text = WATCHED.format(port=port, soak=20).replace(
        'requests: [{name: browse, get: "/items/{random:1-5000}"}]',
        'feeds: {who: {csv: users.csv}}, requests: [{name: browse, get: "/items/{who.id}"}]',
    )
    with living(tmp_path, port):
        process = start(tmp_path, "run", str(scenario(tmp_path, text)))
        path = until_soaked(tmp_path, process, 4)
        kill(process)
        (tmp_path / "users.csv").write_text("id\n3\n")
        outcome = soak(tmp_path, "run", "--resume", str(path))
    assert outcome.code == 2, outcome.show()
    assert "users.csv changed" in outcome.err
    assert "Traceback" not in outcome.err
