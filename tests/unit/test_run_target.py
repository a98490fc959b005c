"""Targets that soak starts: real processes, however they end."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from soak.core.errors import TargetError
from soak.core.target import Command, Target
from soak.run.target import StartedTarget, argv_of
from tests.e2e.harness import free_port

SERVER = "import socket,sys,time; s=socket.create_server(('127.0.0.1',int(sys.argv[1]))); {} ; time.sleep(60)"


def start(folder: Path, code: str, **options: object) -> StartedTarget:
    port = free_port()
    script = folder / "server.py"
    script.write_text(SERVER.format(code))
    command = Command.model_validate({"command": f"{{python}} {script} {port}", **options})
    target = Target(url=f"http://127.0.0.1:{port}", process=command)
    return StartedTarget("candidate", target, command, folder)


def wait_for_exit(target: StartedTarget) -> dict[str, object]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if (ended := target.exit()) is not None:
            return ended
        time.sleep(0.05)
    raise AssertionError("the target did not end")


def test_it_is_ready_when_it_accepts_connections_and_stops_when_asked(tmp_path: Path) -> None:
    target = start(tmp_path, "print('serving')")
    assert target.exit() is None
    target.stop()
    target.stop()
    assert target.exit() == {"code": None, "signal": 15, "signal_name": "SIGTERM"}


def test_its_exit_code_is_seen(tmp_path: Path) -> None:
    target = start(tmp_path, "s.listen(); s.accept(); print('last words', flush=True); sys.exit(7)")
    assert wait_for_exit(target) == {"code": 7, "signal": None, "signal_name": ""}
    target.stop()
    assert "last words" in target.output()


def test_the_signal_that_ended_it_is_named(tmp_path: Path) -> None:
    target = start(tmp_path, "pass")
    os.kill(target.pid, signal.SIGSEGV)
    assert wait_for_exit(target)["signal_name"] == "SIGSEGV"
    target.stop()


def test_a_signal_without_a_name_ended_it(tmp_path: Path) -> None:
    target = start(tmp_path, "pass")
    os.kill(target.pid, signal.SIGRTMIN + 3)
    assert wait_for_exit(target)["signal_name"] == f"signal {signal.SIGRTMIN + 3}"
    target.stop()


def test_the_number_of_one_that_ended_long_ago_is_nobody_elses_until_it_is_stopped(tmp_path: Path) -> None:
    target = start(tmp_path, "s.listen(); s.accept(); sys.exit(0)")
    wait_for_exit(target)
    assert target.exit() == wait_for_exit(target)
    assert psutil.Process(target.pid).status() == psutil.STATUS_ZOMBIE  # so SIGKILL to its group can only be for it
    target.stop()
    assert not psutil.pid_exists(target.pid)
    assert target.exit() == {"code": 0, "signal": None, "signal_name": ""}


def test_its_children_end_with_it(tmp_path: Path) -> None:
    code = "import subprocess; subprocess.Popen([sys.executable,'-c','import time; time.sleep(60)'])"
    target = start(tmp_path, code)
    deadline = time.monotonic() + 10
    while not (children := psutil.Process(target.pid).children()) and time.monotonic() < deadline:
        time.sleep(0.05)
    target.stop()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert children
    assert not alive


def test_its_environment_and_folder_are_the_scenarios(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    target = start(
        tmp_path, "import os; print(os.environ['SHOP'], os.getcwd(), flush=True)", env={"SHOP": "open"}, cwd="sub"
    )
    target.stop()
    assert f"open {tmp_path}/sub" in target.output()


def test_output_is_kept_bounded(tmp_path: Path) -> None:
    target = start(tmp_path, "[print('x' * 1000) for _ in range(2000)]; print('end', flush=True)")
    deadline = time.monotonic() + 10
    while "end" not in target.output() and time.monotonic() < deadline:
        time.sleep(0.05)
    target.stop()
    assert target.output().rstrip().endswith("end")
    assert len(target.output()) <= 64 * 1024


@pytest.mark.parametrize(
    "command,ready,said",
    [
        ("no-such-program-at-all", "1s", "no such program"),
        ("{python} -c 'print(\"bad config\"); raise SystemExit(3)'", "20s", "bad config"),
        ("{python} -c 'import time; time.sleep(30)'", "1s", "did not accept connections"),
    ],
)
def test_one_that_never_serves_is_a_clear_error(tmp_path: Path, command: str, ready: str, said: str) -> None:
    made = Command.model_validate({"command": command, "ready": ready})
    target = Target(url=f"http://127.0.0.1:{free_port()}", process=made)
    with pytest.raises(TargetError, match=said):
        StartedTarget("candidate", target, made, tmp_path)


def test_a_command_is_split_without_a_shell() -> None:
    argv = argv_of(Command(command="{python} -c 'print(1); $HOME' a\\ b"))
    assert argv == [sys.executable, "-c", "print(1); $HOME", "a b"]
    with pytest.raises(TargetError, match="No closing quotation"):
        argv_of(Command(command="sh -c 'oops"))
    with pytest.raises(TargetError, match="names no program"):
        argv_of(Command(command=" "))
