"""What a service must survive: bursts, hangs, deaths and limits; each specimen ends with its true answer."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from soak import runfile
from soak.specimens.catalogue import SPECIMENS
from tests.cgroups import memory_group
from tests.e2e.harness import Outcome, beside_each_other, free_port, measured, scenario, shipped, soak

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]


def balanced(outcome: Outcome) -> bool:
    account = outcome.verdict["validity"]
    parts = account["done"] + account["failed"] + account["unserved"] + account["lost"]
    return bool(account["balanced"]) and parts == account["scheduled"]


def finding(outcome: Outcome, cause: str) -> dict[str, object]:
    (found,) = [f for f in outcome.verdict["findings"] if f["cause"] == cause]
    return found


# the options that make it sick within a shorter soak, and how long the phases are
SOAKS: dict[str, tuple[str, dict[str, str]]] = {
    "hang": ("--after 1500", {"warmup": "5s", "soak": "35s"}),
    "restart": ("--after 500", {"warmup": "5s", "soak": "35s"}),
    "fd_leak": ("--every 10", {"warmup": "5s", "soak": "45s"}),
    "thread_leak": ("--every 20", {"warmup": "5s", "soak": "45s"}),
    "connection_leak": ("--every 20", {"warmup": "5s", "soak": "45s"}),
    "child_leak": ("--every 30", {"warmup": "5s", "soak": "45s"}),
    "zombies": ("--every 20", {"warmup": "5s", "soak": "45s"}),
}


@pytest.fixture(scope="module")
def survivals(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Outcome]]:
    """Gives the outcome of a specimen by name."""
    folders = {name: tmp_path_factory.mktemp(name) for name in SOAKS}  # pytest makes them in one thread only

    def run(name: str) -> Outcome:
        options, phases = SOAKS[name]
        return measured(folders[name], "run", str(shipped(folders[name], name, options, **phases)))

    with beside_each_other(request, SOAKS, run) as outcomes:
        yield outcomes


@pytest.mark.parametrize(
    "name", ["hang", *(pytest.param(name, marks=pytest.mark.long) for name in SOAKS if name != "hang")]
)
def test_what_it_dies_of_in_the_end_has_its_one_name(survivals: Callable[[str], Outcome], name: str) -> None:
    outcome = survivals(name)
    (cause,) = SPECIMENS[name].causes
    assert outcome.code == 1, outcome.show()
    assert outcome.causes() == {cause}, outcome.show()
    assert outcome.verdict["findings"][0]["cause"] == cause, outcome.show()
    assert finding(outcome, cause)["advice"]
    assert balanced(outcome), outcome.show()


@pytest.mark.parametrize("name", ["hang"])
def test_a_hang_says_since_when_and_that_it_waits(survivals: Callable[[str], Outcome], name: str) -> None:
    found = finding(survivals(name), "hang")
    recording = runfile.read(survivals(name).run_file)
    answered = [y.start + y.length for y in recording.sides["candidate"].tallies if y.done]
    assert found["start"] == pytest.approx(max(answered))
    assert "its CPU is idle" in str(found["evidence"])


@pytest.mark.long
@pytest.mark.parametrize("name", ["restart"])
def test_a_crash_loop_says_how_often_and_what_it_costs(survivals: Callable[[str], Outcome], name: str) -> None:
    found = finding(survivals(name), "restart")
    assert "every" in str(found["title"])
    assert "requests failed around" in str(found["evidence"])
    if tuple(map(int, platform.release().split(".")[:2])) >= (6, 15):
        assert "by SIGSEGV" in str(found["evidence"])


@pytest.mark.long
def test_a_pool_that_recycles_its_workers_is_no_crash_loop(tmp_path: Path) -> None:
    pytest.importorskip("gunicorn")
    port = free_port()
    (tmp_path / "shop.py").write_text(
        "def app(environ, start):\n    start('200 OK', [('Content-Length', '2')])\n    return [b'ok']\n"
    )
    command = f"{{python}} -m gunicorn shop:app --bind 127.0.0.1:{port} --workers 2 --threads 4 --max-requests 200"
    file = scenario(
        tmp_path,
        f"name: recycling\ntarget:\n  url: http://127.0.0.1:{port}\n  process: {{command: '{command}'}}\n"
        "load: {rate: 100/s, requests: [{get: /}]}\n"
        "phases: {warmup: 2s, soak: 20s}\ncriteria: [{metric: errors.ratio, below: 20%}]\n",
    )
    outcome = measured(tmp_path, "run", str(file))
    found = finding(outcome, "restart")
    assert "restart" not in outcome.causes(), outcome.show()
    assert int(str(re.findall(r"(\d+) times", str(found["title"]))[0])) >= 3, outcome.show()


def test_a_leak_in_a_small_control_group_ends_by_oom_kill_and_is_no_crash(tmp_path: Path) -> None:
    port = free_port()
    with memory_group(128 * 2**20) as group:
        command = (
            f'sh -c "echo 0 > {group}/cgroup.procs; '
            f'exec {{python}} -m soak.specimens leak --per-request 100KiB --port {port}"'
        )
        file = scenario(
            tmp_path,
            f"name: small\ntarget:\n  url: http://127.0.0.1:{port}\n  process: {{command: '{command}'}}\n"
            "load: {rate: 100/s, requests: [{get: '/items/{random:1-50}'}]}\n"
            "phases: {warmup: 2s, soak: 30s}\ncriteria: [{metric: errors.ratio, below: 20%}]\n",
        )
        outcome = measured(tmp_path, "run", str(file))
    assert outcome.code == 1, outcome.show()
    assert "crash" not in outcome.causes(), outcome.show()
    assert outcome.verdict["findings"][0]["cause"] == "oom_kill", outcome.show()
    assert "of a limit (memory.max) of 128 MiB" in str(finding(outcome, "oom_kill")["evidence"])


@pytest.mark.long
def test_a_server_that_stays_overloaded_after_a_burst_fails_for_it(tmp_path: Path) -> None:
    phases = {"warmup": "3s", "soak": "15s", "for": "5s", "recovery": "12s"}
    outcome = measured(tmp_path, "run", str(shipped(tmp_path, "no_recovery", **phases)))
    assert outcome.code == 1, outcome.show()
    assert outcome.causes() == {"no_recovery"}, outcome.show()
    assert "before the burst: 0 % failed" in str(finding(outcome, "no_recovery")["evidence"])
    assert outcome.verdict["soak_s"] == pytest.approx(15, abs=0.1)
    assert all(p["failed"] == 0 for p in outcome.verdict["latency"].values()), "the soak must not see the burst"
    assert balanced(outcome), outcome.show()


def healthy(folder: Path, burst: str, load: str) -> Path:
    port = free_port()
    return scenario(
        folder,
        f"name: healthy\ntarget:\n  url: http://127.0.0.1:{port}\n"
        f'  process: {{command: "{{python}} -m soak.specimens healthy --port {port}"}}\n'
        f"load: {{{load}, requests: [{{get: '/items/{{random:1-50}}'}}]}}\n"
        f"phases: {{warmup: 2s, soak: 12s, burst: {burst}}}\n"
        "criteria: [{metric: errors.ratio, below: 10%}]\n",
    )


def test_the_burst_comes_after_the_soak_and_is_shared_and_accounted_for(tmp_path: Path) -> None:
    load = "rate: 50/s, arrivals: constant, workers: 2"
    outcome = soak(tmp_path, "run", str(healthy(tmp_path, "{rate: 200/s, for: 4s, recovery: 9s}", load)), "--json")
    assert outcome.code in (0, 3, 4), outcome.show()  # 3 and 4: this machine is too busy to measure on
    assert outcome.causes() == set(), outcome.show()
    assert balanced(outcome), outcome.show()
    recording = runfile.read(outcome.run_file)
    names = [p.name for p in recording.phases]
    assert names[names.index("soak") : names.index("drain")] == ["soak", "burst", "recovery"]
    assert recording.soak_span is not None
    tallies, soaked = recording.sides["candidate"].tallies, recording.soak_span[1]
    assert {y.worker for y in tallies if y.start == soaked} == {"worker-0", "worker-1"}  # both begin anew there
    assert sum(y.scheduled for y in tallies if y.start < soaked) == pytest.approx(700, abs=2)
    assert sum(y.scheduled for y in tallies if soaked <= y.start < soaked + 4) == pytest.approx(800, abs=55)
    assert recording.sides["candidate"].scheduled == pytest.approx(700 + 800 + 450, abs=2)
    if outcome.code == 0:
        assert any(note.startswith("in the burst of 200/s for 4 s") for note in outcome.verdict["notes"])


@pytest.mark.long
def test_users_of_the_closed_model_have_no_burst(tmp_path: Path) -> None:
    file = healthy(tmp_path, "{times: 3, for: 4s, recovery: 9s}", "users: 5")
    outcome = soak(tmp_path, "run", str(file))
    assert outcome.code == 2, outcome.show()
    assert "phases.burst: users of the closed model pace themselves" in outcome.err
