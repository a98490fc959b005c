"""soak as a gate of CI: in a budget, with its reports; and asked for by one job, waited for by another."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.e2e.harness import ROOT, free_port, shipped, soak
from tests.unit.serving import launch

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]


@pytest.mark.long
def test_a_leak_is_caught_in_a_budget_and_the_reports_say_what_was_not_seen(tmp_path: Path) -> None:
    shipped(tmp_path, "leak", soak="8h")
    binary = tmp_path / "bin"
    binary.mkdir()
    (binary / "soak").write_text(f'#!/bin/sh\nexec {sys.executable} -m soak.cli "$@"\n')
    (binary / "soak").chmod(0o755)
    environ = os.environ | {
        "PATH": f"{binary}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "SOAK_SCENARIO": "leak.yaml",
        "SOAK_BUDGET": "150s", "SOAK_RUNS": str(tmp_path / "runs"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "GITHUB_OUTPUT": str(tmp_path / "output"),
    }  # fmt: skip
    gate = ROOT / "deploy/github/gate.sh"
    done = subprocess.run([gate], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Cut to a budget of 2 min 30 s: it soaks 1 min" in done.stderr
    assert "of 8 h" in done.stderr
    summary = (tmp_path / "summary").read_text()
    assert summary.startswith("## ❌ FAIL: soak of `leak`")
    assert "cut to a budget" in summary
    suite = ET.parse(tmp_path / "soak-reports/junit.xml").getroot()
    assert int(suite.attrib["failures"]) >= 2
    assert (tmp_path / "output").read_text() == "exit-code=1\n"
    [run_file] = (tmp_path / "runs").glob("*.soak")
    with sqlite3.connect(run_file) as db:
        [[end]] = db.execute("SELECT t FROM event WHERE kind = 'phase' AND text = 'end'")
    db.close()
    assert end < 150 - 15, "what is left is for the judge and the report"


def test_one_job_asks_and_another_waits_for_the_same_run(tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    shipped(tmp_path / "scenarios", "healthy", idle_before="1s", warmup="2s", soak="6s", idle_after="1s")
    daemon = launch(tmp_path, port=free_port())
    try:
        asked = ("run", "healthy.yaml", "--on", f"http://127.0.0.1:{daemon.port}", "--request-key", "night-1")
        left = soak(tmp_path, *asked, "--detach")
        assert left.code == 0, left.show()
        assert "/runs/1" in left.err
        waited = soak(tmp_path, *asked, "--report", "junit=j.xml", "--report", "markdown=m.md")
        assert "/runs/1" in waited.err, "the same key is the same run"
        run = daemon.ask("GET", "/v1/runs/1").json
        assert waited.code == run["exit_code"], waited.show()
        assert f'"verdict" value="{run["verdict"]}"' in (tmp_path / "j.xml").read_text()
        assert (tmp_path / "m.md").read_text().startswith("## ")
        again = soak(tmp_path, *asked)
        assert again.code == waited.code, "long after, the verdict is still there"
    finally:
        daemon.process.kill()
        daemon.process.wait()
        assert daemon.process.stderr is not None
        daemon.process.stderr.close()
