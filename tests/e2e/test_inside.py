"""A soak of Python that soak did not start: seen from inside by `soak exec`, or by a debugger; flame graphs of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from soak import runfile
from tests.agents import eventually
from tests.e2e.harness import SOAK, Outcome, environment, free_port, measured, soak
from tests.e2e.test_agent_servers import serves

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(280)]

KEEPS = """
kept = []
def keep(environ):
    kept.append({"path": environ["PATH_INFO"], "body": bytearray(6000)})
def wsgi(environ, start_response):
    keep(environ)
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
"""
LINE = 4
"""Of KEEPS: where what stays is allocated."""


@contextmanager
def serving(folder: Path, port: int, *before: str) -> Iterator[subprocess.Popen[bytes]]:
    """gunicorn with the application that keeps every request, in an environment without an agent."""
    (folder / "apps.py").write_text(KEEPS)
    server = ["-m", "gunicorn", "-k", "gthread", "--threads", "4", "-b", f"127.0.0.1:{port}", "apps:wsgi"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*before, sys.executable, *server], cwd=folder, env=environment(folder), stdout=log, stderr=log
        )
    try:
        eventually(lambda: serves(port), "an answer")
        yield process
    finally:
        process.terminate()
        process.wait(20)


def soaked(folder: Path, port: int, probe: str, warmup: str) -> Outcome:
    (folder / "scenario.yaml").write_text(
        f"name: keeps\ntarget: {{url: 'http://127.0.0.1:{port}', port: {port}}}\n"
        "load: {rate: 60/s, requests: [{name: root, get: /}]}\n"
        f"phases: {{idle_before: 3s, warmup: {warmup}, soak: 50s, idle_after: 2s}}\n"
        f"probe: {probe}\n"
        "criteria: [{metric: errors.ratio, below: 5%}]\n"
    )
    return measured(folder, "run", "scenario.yaml")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Both at once, since both mostly wait."""

    def inside(folder: Path) -> Outcome:
        port = free_port()
        with serving(folder, port, *SOAK, "exec", "--"):
            return soaked(folder, port, "{every: 1s, trim: true}", "5s")

    def attached(folder: Path) -> Outcome:
        port = free_port()
        with serving(folder, port) as server:
            outcome = soaked(folder, port, "{attach: lldb}", "15s")
            assert server.poll() is None
            assert serves(port), "a debugger was there, and it still serves"
            return outcome

    with ThreadPoolExecutor(2) as pool:
        runs = {f.__name__: pool.submit(f, tmp_path_factory.mktemp(f.__name__)) for f in (inside, attached)}
        return {name: run.result() for name, run in runs.items()}


@pytest.mark.parametrize("way", ["inside", "attached"])
def test_the_leak_is_found_at_its_line(outcomes: dict[str, Outcome], way: str) -> None:
    outcome = outcomes[way]
    assert outcome.code == 1, outcome.show()
    leak = next(f for f in outcome.verdict["findings"] if f["cause"] == "object_leak")
    assert leak["location"] == f"{outcome.folder / 'apps.py'}:{LINE} (keep)"
    assert leak["confidence"] == "high"
    assert "the list apps.kept grew" in str(leak["evidence"])


def test_where_time_goes_and_what_was_kept_is_told(outcomes: dict[str, Outcome]) -> None:
    said = soak(outcomes["inside"].folder, "report", "latest").out
    assert "HOT PATHS" in said
    recording = runfile.read(outcomes["inside"].run_file)
    (trim,) = [e for e in recording.events if e.kind == "trim"]
    assert float(str(trim.data["after"])) <= float(str(trim.data["before"]))


def test_the_debugger_is_announced_before_and_told_after(outcomes: dict[str, Outcome]) -> None:
    recording = runfile.read(outcomes["attached"].run_file)
    attach = [e for e in recording.events if e.kind == "attach"]
    assert "stands still for 1 to 3 s" in attach[0].text
    assert [e.data.get("error") for e in attach if "error" in e.data] == [""] * (len(attach) // 2)
    warmup = recording.phase("warmup")
    assert warmup is not None
    assert all(warmup.start <= e.t < (warmup.end or 0) for e in attach[:2])


@pytest.mark.parametrize("shown", ["held", "peak", "temporary"])
def test_a_window_is_a_flame_graph(outcomes: dict[str, Outcome], shown: str) -> None:
    folder = outcomes["inside"].folder
    made = soak(folder, "report", "latest", "--flamegraph", "--show", shown, "-o", f"{shown}.html")
    assert made.code == 0, made.show()
    assert "allocations of candidate-" in made.err
    page = (folder / f"{shown}.html").read_text()
    assert "<html" in page
    assert ("apps.py" in page) or shown == "temporary"
    assert 'src="http' not in page, "it is whole without a network"


def test_a_window_that_is_not_there_is_said(outcomes: dict[str, Outcome]) -> None:
    folder = outcomes["inside"].folder
    made = soak(folder, "report", "latest", "--flamegraph", "--window", "tuesday")
    assert made.code == 2, made.show()
    assert "not in this run, which has candidate-" in made.err
    assert soak(folder, "report", "latest", "--window", "x").code == 2


def test_exec_becomes_the_program(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getpid(), '_soak_agent' in sys.modules); sys.exit(5)"
    started = subprocess.Popen(
        [*SOAK, "exec", "--", sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment(tmp_path)
    )
    out, _ = started.communicate(timeout=30)
    assert out.split() == [str(started.pid).encode(), b"True"]
    assert started.returncode == 5
    missing = soak(tmp_path, "exec", "--", "no-such-program")
    assert missing.code == 2
    assert missing.err == "soak: cannot start 'no-such-program': No such file or directory\n"
    assert os.environ.get("SOAK_AGENT_DIR") is None
