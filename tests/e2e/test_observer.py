"""A target that is watched on its own machine: cut off, locked, and dying."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import trustme

from soak.core.errors import RunFileError
from soak.run.target import agent_environment
from soak.runfile import read
from tests.e2e.harness import environment, free_port, scenario, soak
from tests.e2e.test_distributed import command, ended, token, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

WATCHED = """
name: watched
target:
  url: http://{host}:{port}
  observer: {observer}
load: {{rate: 50/s, connections: 20, timeout: 5s, requests: [{{name: browse, get: "/items/{{random:1-5000}}"}}]}}
phases: {{idle_before: 2s, warmup: 8s, soak: {soak}s, idle_after: 2s}}
criteria: [{{metric: errors.ratio, below: 50%}}]
"""
CUT_S = 15


@contextmanager
def specimen(folder: Path, *arguments: str, inside: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """A specimen that somebody else started, with soak's agent in it."""
    own = environment(folder)
    own |= agent_environment(own, None)
    process = subprocess.Popen([*inside, sys.executable, "-m", "soak.specimens", *arguments], env=own, cwd=folder)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def certificates(folder: Path, name: str) -> None:
    """An authority of our own (ca.pem), and a server that it vouches for (cert.pem, key.pem)."""
    authority = trustme.CA()
    issued = authority.issue_cert(name)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))


def observing(observer: subprocess.Popen[str]) -> None:
    """Wait until it observes."""
    assert observer.stderr is not None
    said = observer.stderr.readline()
    assert said.startswith("observing "), said + observer.stderr.read()


@pytest.mark.long
def test_an_observer_that_is_cut_off_misses_nothing(
    tmp_path: Path, hosts: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Load has a cable of its own: only the watch is cut off. The other host's clock is 5,000 s ahead."""
    one, two = hosts
    here, there = ("ip", "netns", "exec", one), ("ip", "netns", "exec", two)
    ahead = ("unshare", "--time", "--fork", "--kill-child", "--monotonic", "5000")
    certificates(tmp_path, "10.78.0.2")
    secret = token(tmp_path)
    monkeypatch.setenv("OBSERVER_OF_TWO", secret.read_text())
    serve = ("--listen", "10.78.0.2:9645", "--token-file", str(secret))
    keys = ("--tls-cert", "cert.pem", "--tls-key", "key.pem")
    door = '{url: "https://10.78.0.2:9645", token: "${OBSERVER_OF_TWO}", ca: ca.pem}'
    file = scenario(tmp_path, WATCHED.format(host="10.77.0.2", port=18080, observer=door, soak=75))
    with specimen(tmp_path, "leak", "--host", "10.77.0.2", "--port", "18080", inside=there) as target:
        until(lambda: listens(target.pid, 18080))
        with command(tmp_path, "observe", "--port", "18080", *serve, *keys, inside=(*there, *ahead)) as observer:
            observing(observer)
            with command(tmp_path, "run", str(file), "--json", "--allow-host", "10.77.0.2", inside=here) as run:
                until(lambda: soaking(tmp_path, 25), 90)
                subprocess.run(["ip", "-n", two, "link", "set", "spare1", "down"], check=True)
                time.sleep(CUT_S)
                subprocess.run(["ip", "-n", two, "link", "set", "spare1", "up"], check=True)
                outcome = ended(run, tmp_path, 200)
    assert outcome.causes() & {"object_leak", "memory_growth"}, outcome.show()
    assert outcome.verdict["verdict"] == "fail"
    assert all(f["location"] is None for f in outcome.verdict["findings"])  # nothing is tracked through an observer
    assert "seen from outside only" not in outcome.out  # its agent was heard
    recording = read(outcome.run_file)
    lost, back = (next(e for e in recording.events if e.kind == k) for k in ("observer_lost", "observer_back"))
    assert back.t - lost.t > CUT_S - 6, outcome.show()  # a question that was under way is given up after 5 s
    assert not any(e.kind in ("observer_gap", "observer_restarted") for e in recording.events), outcome.show()
    seen = recording.sides["candidate"].series["memory.rss"].t
    apart = np.diff(seen)
    assert apart.min() > 0.1  # no look twice
    assert apart.max() < 4.0, outcome.show()  # looks went on while it was cut off; a busy machine delays one
    assert np.count_nonzero((seen > lost.t) & (seen < back.t)) > (back.t - lost.t) / 2
    assert seen[0] < 3
    assert seen[-1] > recording.phases[-1].start - 3
    assert "memory.live" in recording.sides["candidate"].series  # its agent was heard too
    assert recording.host["host.cpu"].t.size > 60  # "host" is where the target runs
    assert "observer lost: the observer at https://10.78.0.2:9645" in outcome.err
    assert "observer back: " in outcome.err


def listens(pid: int, port: int) -> bool:
    """Whether somebody listens on a port of the host that a process is on (proc_pid_net(5): state 0A)."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def soaking(folder: Path, seconds: float) -> bool:
    """Whether the soak phase has gone on for so long."""
    try:
        recording = read(next((folder / "runs").glob("*.soak")))
    except (StopIteration, RunFileError):  # not there, or only just
        return False
    return any(p.name == "soak" and recording.duration > p.start + seconds for p in recording.phases)


def test_a_wrong_token_ends_the_run_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port, door = free_port(), free_port()
    url = f"http://127.0.0.1:{door}"
    file = scenario(tmp_path, WATCHED.format(host="127.0.0.1", port=port, observer=url, soak=30))
    serve = ("--listen", f"127.0.0.1:{door}", "--token-file", str(token(tmp_path)))
    with specimen(tmp_path, "healthy", "--port", str(port)) as target:
        until(lambda: listens(target.pid, port))
        without = soak(tmp_path, "run", str(file))
        assert without.code == 2
        assert f"soak: candidate: the observer at {url} cannot be reached: Connection refused" in without.err
        with command(tmp_path, "observe", "--port", str(port), *serve) as observer:
            observing(observer)
            for shown, words in (
                ("another token of 32 characters!!", "refuses the token in $SOAK_OBSERVER_TOKEN"),
                ("", "wants a token in $SOAK_OBSERVER_TOKEN"),
            ):
                monkeypatch.setenv("SOAK_OBSERVER_TOKEN", shown)
                refused = soak(tmp_path, "run", str(file), "--json")
                assert refused.code == 2
                assert f"soak: candidate: the observer at {url} {words}" in refused.err, refused.show()
                assert "Traceback" not in refused.err
                assert refused.out == ""
    assert not list((tmp_path / "runs").glob("*.soak"))


def test_a_target_that_dies_on_its_own_machine_is_a_crash(tmp_path: Path) -> None:
    port, door = free_port(), free_port()
    url = f"http://127.0.0.1:{door}"
    file = scenario(tmp_path, WATCHED.format(host="127.0.0.1", port=port, observer=url, soak=60))
    with specimen(tmp_path, "healthy", "--port", str(port)) as target:
        until(lambda: listens(target.pid, port))
        with command(tmp_path, "observe", "--port", str(port), "--listen", f"127.0.0.1:{door}") as observer:
            observing(observer)
            with command(tmp_path, "run", str(file), "--json") as run:
                until(lambda: soaking(tmp_path, 3), 60)
                target.kill()
                outcome = ended(run, tmp_path)
    assert outcome.code == 1, outcome.show()
    assert "crash" in outcome.causes()
    recording = read(outcome.run_file)
    (gone,) = [e for e in recording.events if e.kind == "target_exit"]
    assert gone.text.startswith("the watched process of the candidate is gone")
    assert outcome.verdict["soak_s"] < 30  # it did not go on loading a hole


@pytest.mark.long
def test_a_run_whose_observer_died_cannot_pass(tmp_path: Path) -> None:
    port, door = free_port(), free_port()
    url = f"http://127.0.0.1:{door}"
    file = scenario(tmp_path, WATCHED.format(host="127.0.0.1", port=port, observer=url, soak=30))
    with specimen(tmp_path, "healthy", "--port", str(port)) as target:
        until(lambda: listens(target.pid, port))
        with command(tmp_path, "observe", "--port", str(port), "--listen", f"127.0.0.1:{door}") as observer:
            observing(observer)
            with command(tmp_path, "run", str(file), "--json") as run:
                until(lambda: soaking(tmp_path, 10), 60)
                observer.kill()
                outcome = ended(run, tmp_path)
    assert outcome.code == 3, outcome.show()
    (reason,) = [r for r in outcome.verdict["reasons"] if "not watched all the time" in r]
    assert "of the soak" in reason
    assert "waiting up to 30 s for what an observer saw" in outcome.err
