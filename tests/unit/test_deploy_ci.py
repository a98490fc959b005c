"""What CI systems are given: their own schemas accept it, and the gate does what the exit code says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GATE = ROOT / "deploy/github/gate.sh"


@pytest.mark.parametrize(
    "schema, file",
    [
        ("vendor.github-actions", "deploy/github/action.yml"),
        ("vendor.github-workflows", "deploy/github/workflow.yml"),
        ("vendor.gitlab-ci", "deploy/gitlab/soak.gitlab-ci.yml"),
    ],
)
def test_the_schemas_of_ci_systems_accept_it(schema, file) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(ROOT / file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_gives_the_action_what_it_takes() -> None:
    action = yaml.safe_load((ROOT / "deploy/github/action.yml").read_text())
    jobs = yaml.safe_load((ROOT / "deploy/github/workflow.yml").read_text())["jobs"]
    steps = [s for job in jobs.values() for s in job["steps"] if "deploy/github" in s["uses"]]
    assert len(steps) == 3
    for step in steps:
        assert step["with"].keys() <= action["inputs"].keys()
    required = {name for name, given in action["inputs"].items() if given.get("required")}
    assert all(required <= step["with"].keys() for step in steps)


def test_the_gate_reads_what_the_action_sets_and_no_input_is_a_program() -> None:
    action = yaml.safe_load((ROOT / "deploy/github/action.yml").read_text())
    [gate] = [s for s in action["runs"]["steps"] if s.get("id") == "gate"]
    assert set(re.findall(r"SOAK_[A-Z_]+", GATE.read_text())) == set(gate["env"])
    assert not any("${{" in s.get("run", "") for s in action["runs"]["steps"])


def test_a_scenario_that_cannot_be_run_is_no_verdict_and_shows_no_earlier_one(tmp_path) -> None:
    (tmp_path / "soak-reports").mkdir()
    (tmp_path / "soak-reports/summary.md").write_text("PASS, an hour ago")
    (tmp_path / "s.yaml").write_text("name: x\n")
    binary = tmp_path / "bin"
    binary.mkdir()
    (binary / "soak").write_text(f'#!/bin/sh\nexec {sys.executable} -m soak.cli "$@"\n')
    (binary / "soak").chmod(0o755)
    environ = os.environ | {
        "PATH": f"{binary}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "SOAK_SCENARIO": "s.yaml",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "GITHUB_OUTPUT": str(tmp_path / "output"),
    }  # fmt: skip
    done = subprocess.run([GATE], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "did not come to a verdict (exit code 2)" in (tmp_path / "summary").read_text()
    assert "PASS" not in (tmp_path / "summary").read_text()
    assert not any((tmp_path / "soak-reports").iterdir()), "an artifact would have it"
    assert (tmp_path / "output").read_text() == "exit-code=2\n"
