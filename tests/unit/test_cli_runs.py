"""What is left of a run when it is over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from soak import runfile
from soak.cli.soaking import tell
from soak.core.errors import SoakError
from soak.judge import judge
from tests.unit.test_publish_exporter import run


def test_a_report_that_cannot_be_written_takes_no_other_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run(tmp_path, "a", verdict="fail")
    (taken := tmp_path / "taken").mkdir()
    reports = {taken: "junit", tmp_path / "summary.md": "markdown"}
    with pytest.raises(SoakError, match="taken cannot be written"):
        tell(judge(runfile.read(path)), path, as_json=True, reports=reports)
    assert (tmp_path / "summary.md").read_text().strip()
    assert json.loads(capsys.readouterr().out)["run"] == "a"
