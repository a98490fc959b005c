"""The alert rules for Grafana: PromQL, in words that need no other page, right about what series say."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from soak.publish import names
from soak.publish.grafana.rules import ALERTS, rules

_SERIES = 'job="soak",instance="here",scenario="shop"'
_FINDING = 'side="candidate",cause="object_leak",metric="memory.anon",endpoint=""'
_LABELS = f'{_SERIES},{_FINDING},location="shop.py:7",advice="Look at the cache."'


_TOLD = f"{{{_LABELS}}}".replace('endpoint="",', "")
"""An empty label is none."""


def test_every_rule_says_what_and_the_next_step_and_has_a_uid_of_its_own() -> None:
    made = rules("soak", "prometheus", "soak")
    assert len({rule["uid"] for rule in made}) == len(made)
    for rule in made:
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", rule["uid"])
        assert {"summary", "next_step"} <= rule["annotations"].keys()
        assert rule["condition"] in {node["refId"] for node in rule["data"]}
        texts = " ".join(rule["annotations"].values())
        assert "query" not in re.findall(r"\{\{.*?\}\}", texts), "Grafana's templates cannot ask"


def test_every_name_is_one_that_soak_has() -> None:
    known = {family.sample for family in names.FAMILIES.values()}
    for alert in ALERTS:
        assert set(re.findall(r"\bsoak_\w+", alert.expr + (alert.beside or ""))) <= known, alert.name


def assert_gives(
    tmp_path: Path, alert: str, series: dict[str, str], samples: list[dict[str, Any]], at: str, beside: bool = False
) -> None:
    """Have promtool say what the expression of an alert, or the one beside it, gives after a while."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    expr = next(a.beside if beside else a.expr for a in ALERTS if a.name == alert)
    expected = {"expr": expr, "eval_time": at, "exp_samples": samples}
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    group = {"interval": "1m", "input_series": inputs, "promql_expr_test": [expected]}
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [group]}))
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def finding(eta: str, info: str = "1x30", state: str = "1x30") -> dict[str, str]:
    return {
        f'soak_finding_info{{{_LABELS},severity="fail",confidence="high"}}': info,
        f"soak_finding_eta_seconds{{{_SERIES},{_FINDING}}}": eta,
        f"soak_judged_timestamp_seconds{{{_SERIES}}}": "0x30",
        f'soak_run_state{{{_SERIES},state="running"}}': state,
    }


def test_the_time_left_is_from_now_and_comes_with_the_next_step(tmp_path: Path) -> None:
    told = [{"labels": _TOLD, "value": 7200 - 600}]
    assert_gives(tmp_path, "SoakTimeLeft", finding("7200x30"), told, "10m")
    assert_gives(tmp_path, "SoakFinding", finding("7200x30"), told, "10m")


def test_how_fast_it_goes_has_the_labels_of_what_fires(tmp_path: Path) -> None:
    series = finding("_x30") | {f'soak_finding_rate{{{_SERIES},{_FINDING},unit="bytes/h"}}': "1024x30"}
    labels = _TOLD.replace("}", ',unit="bytes/h"}')
    assert_gives(tmp_path, "SoakFinding", series, [{"labels": labels, "value": -1}], "10m")
    assert_gives(tmp_path, "SoakFinding", series, [{"labels": labels, "value": 1024}], "10m", beside=True)
    assert_gives(tmp_path, "SoakTimeLeft", finding("60x30") | series, [{"labels": labels, "value": 1024}], "10m", True)
    assert_gives(tmp_path, "SoakFinding", finding("_x30"), [], "10m", beside=True)


def test_a_limit_that_is_overdue_is_near_and_not_far(tmp_path: Path) -> None:
    told = [{"labels": _TOLD, "value": 0}]
    assert_gives(tmp_path, "SoakTimeLeft", finding("300x30"), told, "10m")
    assert_gives(tmp_path, "SoakFinding", finding("300x30"), told, "10m")


def test_a_run_that_vanished_is_told_and_one_that_ended_is_not(tmp_path: Path) -> None:
    state = f'soak_run_state{{{_SERIES},state="running"}}'
    told = [{"labels": f"{{{_SERIES}}}", "value": 1}]
    assert_gives(tmp_path, "SoakRunLost", {state: "1x5 stale"}, told, "10m")
    assert_gives(tmp_path, "SoakRunLost", {state: "1x5 0 stale"}, [], "10m")
    assert_gives(tmp_path, "SoakRunLost", {state: "1x30"}, [], "10m")


def test_what_is_far_away_is_a_finding_and_not_urgent(tmp_path: Path) -> None:
    assert_gives(tmp_path, "SoakTimeLeft", finding("99999x30"), [], "10m")
    assert_gives(tmp_path, "SoakFinding", finding("_x30"), [{"labels": _TOLD, "value": -1}], "10m")


def test_a_series_that_is_gone_is_no_all_clear_but_a_run_that_is_well_is(tmp_path: Path) -> None:
    still = [{"labels": _TOLD, "value": -1}]
    assert_gives(tmp_path, "SoakFinding", finding("_x30", "1x5 stale", "1x5 stale"), still, "30m")
    assert_gives(tmp_path, "SoakFinding", finding("_x30", "1x5 stale"), [], "30m")


def test_a_daemon_that_vanished_is_silent(tmp_path: Path) -> None:
    heartbeat = 'soak_daemon_heartbeat_timestamp_seconds{job="soak",instance="here"}'
    gone = [{"labels": '{job="soak",instance="here"}', "value": 300}]
    assert_gives(tmp_path, "SoakDaemonSilent", {heartbeat: "0+60x5 stale"}, gone, "30m")
    assert_gives(tmp_path, "SoakDaemonSilent", {heartbeat: "0+60x60"}, [], "30m")
