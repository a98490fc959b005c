"""The stories in scenarios/: each can be run as it is, and says its true answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from soak.core.scenario import Scenario
from soak.specimens.catalogue import SPECIMENS

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "scenarios").glob("*.yaml"))


def read(path: Path) -> Scenario:
    return Scenario.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_there_is_one_for_each_specimen_the_demo_and_the_daemon() -> None:
    assert {p.stem for p in FILES} == {*SPECIMENS, "demo", "daemon"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_it_is_a_scenario_of_its_name_that_watches_what_it_starts(path: Path) -> None:
    scenario = read(path)
    assert scenario.name == path.stem
    for target in scenario.sides.values():
        assert target.process is not None
        assert target.host == "127.0.0.1"
        if path.stem == "daemon":
            assert f"soak.cli serve --listen 127.0.0.1:{target.tcp_port} " in target.process.command
            continue
        name = re.fullmatch(r"\{python\} -m soak\.specimens (\w+)( --reference)? --port (\d+)", target.process.command)
        assert name is not None
        assert name[1] in SPECIMENS
        assert int(name[3]) == target.tcp_port


@pytest.mark.parametrize("name", sorted(name for name, s in SPECIMENS.items() if s.well))
def test_a_story_is_soaked_beside_the_same_task_done_well(name: str) -> None:
    sides = read(ROOT / "scenarios" / f"{name}.yaml").sides
    commands = {side: target.process.command for side, target in sides.items() if target.process is not None}
    assert f"soak.specimens {name} --reference " in commands["reference"]
    assert "--reference" not in commands["candidate"]


@pytest.mark.parametrize("name", sorted(SPECIMENS))
def test_its_first_line_tells_the_truth_and_the_verdict(name: str) -> None:
    path = ROOT / "scenarios" / f"{name}.yaml"
    process = read(path).target.process
    assert process is not None
    assert f"soak.specimens {name} " in process.command
    truth, _, verdict = path.read_text(encoding="utf-8").splitlines()[0].partition(" Verdict: ")
    assert truth.startswith("# The truth: ")
    if causes := SPECIMENS[name].causes:
        assert verdict == f"fail, {' or '.join(causes)}."
    else:
        assert not verdict.startswith("fail")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_it_takes_a_few_minutes_at_a_modest_rate(path: Path) -> None:
    scenario = read(path)
    assert scenario.load.rate is not None
    assert 100 <= scenario.load.rate <= 200
    whole = scenario.phases.idle_before + scenario.load_s + scenario.phases.idle_after
    assert 110 <= whole <= 180


def test_no_two_sides_share_a_port() -> None:
    ports = [side.tcp_port for path in FILES for side in read(path).sides.values()]
    assert len(ports) == len(set(ports))
    assert all(18710 <= p <= 18799 for p in ports)


def test_the_daemons_own_asks_often_enough_for_each_criterion_to_be_decided() -> None:
    scenario = read(ROOT / "scenarios" / "daemon.yaml")
    assert scenario.load.rate is not None
    weights = [each.weight for each in (*scenario.load.requests, *scenario.load.journeys)]
    rarest = scenario.load.rate * scenario.phases.soak * min(weights) / sum(weights)
    assert rarest > 1.3 * 381  # 381 without a failure show a ratio below 1 %, and 368 bound a p99


def test_each_request_of_the_daemons_own_has_its_limit_and_only_the_journey_has_more() -> None:
    scenario = read(ROOT / "scenarios" / "daemon.yaml")
    limits = {c.endpoint: c.limit.value for c in scenario.criteria if c.metric == "latency.p99"}
    assert limits == {call.endpoint: 0.25 for _, call in scenario.load.calls} | {"a_run": 1.0}
