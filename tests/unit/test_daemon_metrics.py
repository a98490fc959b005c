"""`/metrics` of a real daemon: its own state, and a page that a child makes. Runs are in test_publish_exporter.py."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from soak.daemon.job import Job
from soak.daemon.metrics import Pages, ended_run, live_run, verdicts
from soak.daemon.state import State
from tests.unit.daemoning import START, request
from tests.unit.serving import Daemon, library, serving
from tests.unit.test_publish_exporter import run

HELD = ("--min-free", "900000 TiB", "--requests", "1000/s")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    library(tmp_path, shop=8000)
    with serving(tmp_path, *HELD) as served:
        yield served


def scrape(daemon: Daemon) -> dict[str, float]:
    answer = daemon.ask("GET", "/metrics")
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"].startswith("text/plain")
    samples = [s for family in parsed(answer.body.decode()) for s in family.samples]
    return {s.name + "".join(f"/{v}" for _, v in sorted(s.labels.items())): s.value for s in samples}


def child(daemon: Daemon) -> psutil.Process:
    (found,) = [p for p in psutil.Process(daemon.process.pid).children() if "soak.publish" in p.cmdline()]
    return found


def test_the_daemon_tells_of_its_queue_and_that_it_works(daemon: Daemon) -> None:
    found = scrape(daemon)
    assert found["soak_daemon_runs/queued"] == 0
    assert found["soak_daemon_ready"] == 0  # the disk never has room enough here
    assert found["soak_daemon_heartbeat_timestamp_seconds"] == pytest.approx(time.time(), abs=60)
    assert "soak_daemon_oldest_queued_timestamp_seconds" not in found
    before = time.time()
    daemon.ask("POST", "/v1/runs", {"scenario": "shop.yaml"})
    found = scrape(daemon)
    assert found["soak_daemon_runs/queued"] == 1
    assert found["soak_daemon_oldest_queued_timestamp_seconds"] == pytest.approx(before, abs=60)


def test_a_run_that_never_measured_anything_is_told_if_it_has_a_verdict(daemon: Daemon) -> None:
    daemon.ask("POST", "/v1/runs", {"scenario": "shop.yaml"})
    daemon.ask("POST", "/v1/runs/1/stop")
    assert not any(name.startswith("soak_run_") for name in scrape(daemon))  # stopped in the queue: it has none


def test_a_child_that_is_killed_is_started_anew(daemon: Daemon) -> None:
    scrape(daemon)
    first = child(daemon)
    os.kill(first.pid, signal.SIGKILL)
    first.wait(30)
    answers = [daemon.ask("GET", "/metrics").status for _ in range(3)]
    assert answers[-1] == 200
    assert child(daemon).pid != first.pid


def test_the_child_ends_with_the_daemon(daemon: Daemon) -> None:
    scrape(daemon)
    left = child(daemon)
    daemon.process.kill()
    daemon.process.wait(30)
    left.wait(30)
    assert not left.is_running()


def ended(state: State, name: str, verdict: str | None, scenario: str | None = None) -> int:
    asked = request(name) if scenario is None else replace(request(name), scenario=scenario)
    number = state.add(asked, START)[0].id
    state.end(number, verdict, 0, "", START + number)
    return number


def test_the_last_verdict_of_each_scenario_is_told_and_a_run_that_could_not_begin_changes_nothing(
    tmp_path: Path,
) -> None:
    with State(tmp_path / "s") as state:
        ended(state, "shop", "pass")
        failed = ended(state, "shop", "fail")
        passed = ended(state, "till", "pass")
        ended(state, "shop", None)
        last = state.last_judged(50)
    assert [j.id for j in last] == [passed, failed]
    told = {(name, *labels): value for name, labels, value in verdicts(last)}
    assert told["soak_last_verdict", "shop", "fail"] == 1
    assert told["soak_last_verdict", "shop", "pass"] == 0
    assert told["soak_last_verdict", "till", "pass"] == 1
    assert told["soak_last_verdict_timestamp_seconds", "shop"] == START + failed


def test_a_verdict_is_told_however_many_runs_of_others_came_since(tmp_path: Path) -> None:
    with State(tmp_path / "s") as state:
        nightly = ended(state, "nightly", "fail")
        busy = [ended(state, "busy", "pass") for _ in range(600)]
        assert [j.id for j in state.last_judged(50)] == [busy[-1], nightly]
        assert [j.id for j in state.last_judged(1)] == [busy[-1]]


def test_runs_that_go_on_and_that_ended_are_on_one_page(tmp_path: Path) -> None:
    going = Job(2, "running", request("shop"), START, START, run_file=run(tmp_path, "b", scenario="shop"))
    died = Job(1, "ended", request("till"), START, START, START + 9, run_file=tmp_path / "gone.soak", verdict="invalid")

    async def made() -> bytes:
        body, _ = await Pages().make([live_run(going), ended_run(died)], verdicts([died]), "")
        return body

    text = asyncio.run(made()).decode()
    assert 'run_id="b",scenario="shop"' in text
    assert 'soak_run_verdict{result="invalid",scenario="till"} 1.0' in text
    assert 'soak_last_verdict{result="invalid",scenario="till"} 1.0' in text


def test_what_was_uploaded_takes_no_place_of_a_scenario_that_is_watched(tmp_path: Path) -> None:
    with State(tmp_path / "s") as state:
        ours = ended(state, "shop", "fail")
        ended(state, "shop", "pass", "sha256:" + "0" * 64)
        assert [j.id for j in state.last_judged(50)] == [ours]
