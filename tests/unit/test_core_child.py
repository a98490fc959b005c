"""Processes that soak starts: real ones, however much they say and however they end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import psutil
import pytest

from soak.core.child import Tail, end_group, signal_name, status_of

CHATTY = "for i in range(200_000): print(f'line {i}')"


def child(program: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)


def wait_for_status(process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + 20
    while (status := status_of(process)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return status


@pytest.mark.timeout(60)
def test_of_all_that_is_said_the_end_is_kept_and_nobody_waits_for_a_reader() -> None:
    pieces: list[int] = []
    process = child(CHATTY)
    assert process.stdout is not None
    said = Tail(process.stdout, lambda piece: pieces.append(len(piece)))
    assert wait_for_status(process) == 0
    text = said.whole().text()
    assert text.endswith("line 199999\n")
    assert len(text) == 64 * 1024
    assert sum(pieces) > 1_000_000
    said.close()
    assert process.stdout.closed
    end_group(process, 0.0)


@pytest.mark.parametrize(
    "program,status",
    [
        ("", 0),
        ("raise SystemExit(7)", 7),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("import os, signal; os.kill(os.getpid(), signal.SIGRTMIN + 2)", -(signal.SIGRTMIN + 2)),
    ],
)
def test_how_it_ended_is_known_and_its_number_is_kept_until_its_group_is_ended(program: str, status: int) -> None:
    process = child(program)
    assert wait_for_status(process) == status
    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    end_group(process, 0.0)
    end_group(process, 0.0)
    assert not psutil.pid_exists(process.pid)
    assert status_of(process) == process.returncode == status


def test_who_outlives_the_leader_of_a_group_is_ended_with_it() -> None:
    process = child(
        "import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(c.pid, flush=True)"
    )
    assert process.stdout is not None
    orphan = psutil.Process(int(process.stdout.readline()))
    wait_for_status(process)
    time.sleep(0.1)
    end_group(process, 0.0)
    psutil.wait_procs([orphan], timeout=10)
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    process.stdout.close()


def test_signals_have_names_but_for_those_that_have_none() -> None:
    assert signal_name(11) == "SIGSEGV"
    assert signal_name(signal.SIGRTMIN + 3) == f"signal {signal.SIGRTMIN + 3}"
