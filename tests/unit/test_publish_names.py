"""The list of names: by Prometheus' conventions."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from soak.publish.names import FAMILIES

PAGE = Path(__file__).parents[2] / "docs" / "prometheus.md"


def test_the_run_is_named_on_its_info_alone() -> None:
    assert [f.name for f in FAMILIES.values() if "run_id" in f.labels] == ["soak_run_info"]


def test_names_and_labels_are_plain_and_in_base_units() -> None:
    for family in FAMILIES.values():
        assert re.fullmatch(r"soak_[a-z0-9_]+", family.name), family
        assert not re.search(r"_(ms|us|kb|mb|gb|percent|total|bucket|sum|count)$", family.name), family
        assert all(re.fullmatch(r"[a-z_]+", label) for label in family.labels), family
        assert family.help, family


def test_the_configurations_in_the_documentation_are_accepted(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    (tmp_path / "token").write_text("soak_0123456789abcdef")
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    for number, text in enumerate(blocks):
        path = tmp_path / f"{number}.yml"
        path.write_text(text.replace("/etc/prometheus/soak-token", str(tmp_path / "token")))
        kind = "rules" if text.startswith("# soak.rules.yml") else "config"
        done = subprocess.run(["promtool", "check", kind, str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_names_in_the_documentation_exist() -> None:
    known = {f.sample for f in FAMILIES.values()} | set(FAMILIES)
    prose, _, _ = PAGE.read_text().partition("## All names")
    assert set(re.findall(r"\bsoak_[a-z_]+\b", prose)) <= known | {"soak_"}
