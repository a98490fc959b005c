"""A bounded part of `make chaos`: every kind of trial and every injection, by a fixed seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.quiet, pytest.mark.timeout(290)]


def test_nothing_acknowledged_is_lost_and_every_verdict_tells_its_gap(tmp_path: Path) -> None:
    root = os.geteuid() == 0  # a disk and a control group of one's own are root's
    without = [] if root else ["--without", "disk full", "target OOM"]
    line = ["--kills", "6", "--seed", "3", "--at-once", "3", "--json", "found.json", "--folder", "kept", *without]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.chaos", *line],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    show = done.stdout + done.stderr
    assert done.returncode == 0, show
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["kills"] >= 6, show
    assert found["broken"] == {"lost": 0, "corrupt": 0, "orphan": 0, "untold": 0}
    assert sum(run["acknowledged"] for trial in found["trials"] for run in trial["runs"]) > 0, show
    injected = {trial["kind"]: trial["runs"][0] for trial in found["trials"] if not trial["number"]}
    assert injected["clock step"]["verdict"] == "invalid", show
    if root:
        assert injected["target OOM"]["verdict"] == "fail", show
        assert injected["disk full"]["lives"] == 2, show  # it ended there, and went on when there was room
        assert injected["disk full"]["verdict"] in ("inconclusive", "invalid"), show
