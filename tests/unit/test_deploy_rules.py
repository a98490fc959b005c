"""The rules for Prometheus: promtool accepts them, their own tests hold, and the docs tell of each."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from soak.publish.names import FAMILIES

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/rules"
ALERTS = [r for g in yaml.safe_load((RULES / "soak.yml").read_text())["groups"] for r in g["rules"] if "alert" in r]
PAGE = (ROOT / "docs/alerts.md").read_text()


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool")
    return subprocess.run(["promtool", *arguments], cwd=RULES, capture_output=True, text=True, check=False)


def test_promtool_accepts_the_rules() -> None:
    done = promtool("check", "rules", "soak.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_fire_and_are_resolved_when_they_should() -> None:
    done = promtool("test", "rules", "../tests/soak_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", ALERTS, ids=lambda r: r["alert"])
def test_somebody_on_call_can_read_it(rule) -> None:
    told = rule["annotations"]
    assert {"summary", "next_step", "runbook"} <= told.keys()
    assert rule["labels"]["severity"] in ("warning", "critical")
    anchor = told["runbook"].partition("#")[2]
    assert anchor == "{{ $labels.cause }}" or re.search(rf"^### {anchor}$", PAGE, re.M)
    assert f"`{rule['alert']}`" in PAGE, "the docs tell of it"


def test_each_alert_is_tested() -> None:
    tests = (RULES.parent / "tests/soak_test.yml").read_text()
    assert [r["alert"] for r in ALERTS if not re.search(rf"alertname: {r['alert']}\n\s+exp_alerts:", tests)] == []


def test_the_rules_ask_for_what_soak_serves() -> None:
    rules = (RULES / "soak.yml").read_text()
    asked = set(re.findall(r"\bsoak_[a-z_]+", rules))
    assert asked
    assert asked <= {family.sample for family in FAMILIES.values()}
