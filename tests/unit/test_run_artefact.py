from __future__ import annotations

from pathlib import Path

import pytest

from soak.core.errors import TargetError
from soak.run.artefact import size_of


def test_a_folder_is_all_its_files_and_a_file_with_two_names_counts_once(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a").write_bytes(b"x" * 1000)
    (tmp_path / "deep" / "b").write_bytes(b"y" * 234)
    (tmp_path / "deep" / "again").hardlink_to(tmp_path / "a")
    assert size_of(tmp_path) == (1234, 2)
    assert size_of(tmp_path / "a") == (1000, 1)


def test_what_a_link_in_it_leads_to_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 100_000)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path / "large")
    assert size_of(inside)[0] < 1000


def test_what_is_gone_is_an_error_and_no_size(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="nothing"):
        size_of(tmp_path / "nothing")
