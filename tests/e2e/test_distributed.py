"""Workers that come, go and are cut off: nothing is lost without being said, and nobody else gets in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from soak.runfile import read
from tests.e2e.harness import SOAK, Outcome, environment, free_port, scenario
from tests.e2e.test_endings import descendants

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

COUNTED = """
name: counted
target: {{url: "http://{host}:{port}", process: {{command: "{{python}} {server} {port}"}}}}
load: {{rate: 100/s, connections: 20, timeout: 2s, workers: {workers}, requests: [{{get: /}}]}}
phases: {{warmup: 0s, soak: {soak}s}}
criteria: [{{metric: errors.ratio, below: 50%}}]
"""
TOKEN = "0123456789abcdef0123456789abcdef"


def token(folder: Path, name: str = "token", text: str = TOKEN) -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    return path


def counted(folder: Path, port: int, soak: int, workers: int = 1, host: str = "127.0.0.1") -> Path:
    server = Path(__file__).with_name("counting.py")
    return scenario(folder, COUNTED.format(host=host, port=port, server=server, soak=soak, workers=workers))


def served(folder: Path) -> dict[str, int]:
    """Requests that the target counted, by the address that they came from."""
    found: dict[str, int] = json.loads((folder / "count.json").read_text())
    return found


@contextmanager
def command(folder: Path, *arguments: str, inside: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """`soak ARGUMENTS...` while it runs, on another host perhaps; ended at the end whatever happens."""
    process = subprocess.Popen(
        [*inside, *SOAK, *arguments],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            for child in [*descendants(process), process]:
                child.kill()
            process.wait()


def ended(process: subprocess.Popen[str], folder: Path, timeout: float = 90) -> Outcome:
    out, err = process.communicate(timeout=timeout)
    return Outcome(process.returncode, out, err, folder)


def until(what: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def loading(folder: Path, count: int = 50) -> Callable[[], bool]:
    """Whether the target has had so many requests."""
    return lambda: (folder / "count.json").exists() and sum(served(folder).values()) >= count


def second_worker(run: subprocess.Popen[str]) -> int:
    """Its process id: workers are started in order."""
    return sorted(c.pid for c in descendants(run) if "soak.load.worker" in c.cmdline())[1]


def test_the_rate_of_a_worker_that_is_killed_is_split_among_the_others(tmp_path: Path) -> None:
    file = counted(tmp_path, free_port(), 14, workers=2)
    with command(tmp_path, "run", str(file), "--json") as run:
        until(loading(tmp_path, 300))
        os.kill(second_worker(run), signal.SIGKILL)
        outcome = ended(run, tmp_path)
    verdict = outcome.verdict
    account = verdict["validity"]
    assert account["balanced"], outcome.show()
    assert any("was lost (its process ended)" in note for note in verdict["notes"]), outcome.show()
    assert 0 < account["lost"] < 400  # at most the last report and what was due until the new split
    assert 1 <= account["invalid_intervals"] <= 5
    # what the dead worker did after its last report is all that the server knows and the record does not
    assert account["done"] <= sum(served(tmp_path).values()) <= account["done"] + account["lost"]
    tallies = [y for y in read(outcome.run_file).sides["candidate"].tallies if y.worker == "worker-0"]
    late = [y for y in tallies if y.length > 0.9][-3:]
    assert sum(y.scheduled for y in late) > 210, late  # the survivor makes the whole rate of 100/s


def test_a_late_worker_takes_its_share_and_a_stranger_does_not(tmp_path: Path) -> None:
    port, door = free_port(), free_port()
    listen = ("--listen", f"127.0.0.1:{door}", "--token-file", str(token(tmp_path)))
    with command(tmp_path, "run", str(counted(tmp_path, port, 25)), "--json", *listen) as run:
        until(loading(tmp_path))
        join = ("worker", "--master", f"127.0.0.1:{door}", "--token-file")
        wrong = token(tmp_path, "wrong", "another token of 32 characters!!")
        with command(tmp_path, *join, str(wrong)) as stranger:
            refused = ended(stranger, tmp_path)
        assert refused.code != 0
        assert "refused by the master: it does not know this run's token" in refused.err
        assert "Traceback" not in refused.err
        with command(tmp_path, *join, str(tmp_path / "token"), "--name", "late") as late:
            outcome = ended(run, tmp_path)
            assert ended(late, tmp_path).code == 0
    account = outcome.verdict["validity"]
    assert outcome.verdict["verdict"] != "fail", outcome.show()  # a busy machine may spoil its intervals
    assert (account["lost"], account["failed"], account["unserved"]) == (0, 0, 0)
    assert account["done"] == account["scheduled"] == sum(served(tmp_path).values())  # the sum over workers, exactly
    tallies = read(outcome.run_file).sides["candidate"].tallies
    assert {y.worker for y in tallies} == {"worker-0", "late"}
    assert sum(y.done for y in tallies if y.worker == "late") > 50
    assert "worker refused" in outcome.err


def test_a_worker_on_another_host_is_cut_off_and_comes_back(tmp_path: Path, hosts: tuple[str, str]) -> None:
    """Its clock is another one too: a time namespace sets it 5,000 s ahead."""
    one, two = hosts
    here = ("ip", "netns", "exec", one)
    there = ("ip", "netns", "exec", two, "unshare", "--time", "--fork", "--kill-child", "--monotonic", "5000")
    secret = str(token(tmp_path))
    file = counted(tmp_path, 18080, 20, host="10.77.0.1")
    listen = ("--listen", "10.77.0.1:5557", "--token-file", secret, "--remote-workers", "1")
    allow = ("--allow-host", "10.77.0.1")
    join = ("worker", "--master", "10.77.0.1:5557", "--token-file", secret, "--name", "far")
    with command(tmp_path, "run", str(file), "--json", *listen, *allow, inside=here) as run:
        with command(tmp_path, *join, inside=there) as careful:
            refused = ended(careful, tmp_path)
        assert "add --allow-host 10.77.0.1" in refused.err, refused.show()
        with command(tmp_path, *join, *allow, inside=there) as far:
            until(loading(tmp_path, 400))
            subprocess.run(["ip", "-n", two, "link", "set", "cable1", "down"], check=True)
            time.sleep(6)
            subprocess.run(["ip", "-n", two, "link", "set", "cable1", "up"], check=True)
            outcome = ended(run, tmp_path)
            assert ended(far, tmp_path).code == 0
    account = outcome.verdict["validity"]
    assert account["balanced"], outcome.show()
    assert account["lost"] == 0, outcome.show()  # it was cut off, and told all when it was back
    by_worker: dict[str, int] = {}
    for y in read(outcome.run_file).sides["candidate"].tallies:
        by_worker[y.worker] = by_worker.get(y.worker, 0) + y.done
    count = served(tmp_path)
    assert by_worker["worker-0"] == count["10.77.0.1"]
    # a request that was under way when the cable was cut may have been counted by the server and given up by the worker
    assert by_worker["far"] <= count["10.77.0.2"] <= by_worker["far"] + account["failed"]
    assert by_worker["far"] > 300
    assert "worker lost: far was lost (not heard from for 4 s)" in outcome.err
    assert "worker joined: far is back" in outcome.err
    assert account["invalid_intervals"] >= 4
    # its latencies are its own: an offset of 5,000 s that was wrong by a little would show
    assert outcome.verdict["latency"]["GET /"]["p50_ms"] < 1000
