"""Tables as people have them: with a header or bare, with times of any kind, with gaps, and with faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.core.errors import SoakError
from soak.series import from_table


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_are_series_and_the_first_may_tell_the_time(tmp_path: Path) -> None:
    table = from_table(written(tmp_path, "time,rss,fds\n0,100,3\n10,101,\n20,NaN,5\n"))
    assert list(table.series) == ["rss", "fds"]
    assert table.timed
    assert list(table.series["rss"].t) == [0, 10, 20]
    assert np.isnan(table.series["rss"].v[2])
    assert np.isnan(table.series["fds"].v[1])


@pytest.mark.parametrize("name", ["t_s", "Elapsed_Seconds", "seconds"])
def test_a_time_may_have_its_unit_in_its_name(tmp_path: Path, name: str) -> None:
    table = from_table(written(tmp_path, f"{name},rss\n0,100\n10,101\n"))
    assert (list(table.series), table.timed) == (["rss"], True)


@pytest.mark.parametrize(
    "cells",
    [
        ("2026-11-20T10:00:00Z", "2026-11-20T10:01:00Z"),
        ("2026-11-20 10:00:00", "2026-11-20 10:01:00"),
        ("1795168800", "1795168860"),
        ("1795168800000", "1795168860000"),
        ("1795168800000000000", "1795168860000000000"),
    ],
)
def test_times_are_seconds_whatever_they_are_written_in(tmp_path: Path, cells: tuple[str, str]) -> None:
    table = from_table(written(tmp_path, f"timestamp,x\n{cells[0]},1\n{cells[1]},2\n"))
    assert np.diff(table.series["x"].t) == pytest.approx([60])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_are_found_out(tmp_path: Path, delimiter: str) -> None:
    table = from_table(written(tmp_path, delimiter.join("ab") + "\n" + delimiter.join("12") + "\n"))
    assert list(table.series) == ["a", "b"]
    assert not table.timed


def test_bare_numbers_have_columns_by_number_and_rows_a_time_apart(tmp_path: Path) -> None:
    path = written(tmp_path, "1,10\n2,20\n3,30\n")
    assert list(from_table(path).series) == ["1", "2"]
    assert list(from_table(path, every=5.0).series["2"].t) == [0, 5, 10]


def test_columns_of_words_are_left_out_with_a_note(tmp_path: Path) -> None:
    table = from_table(written(tmp_path, "host,x\na,1\nb,2\n"))
    assert list(table.series) == ["x"]
    assert "'host'" in table.notes[0]


@pytest.mark.parametrize(
    "text,fault",
    [
        ("", "empty"),
        ("a,b\n", "a header and no rows"),
        ("a,b\n1,2\n3\n", ":3: 1 cells, where the first row has 2"),
        ("a,b\n1,2\n3,oops\n", ":3: column 'b': 'oops' is no number"),
        ("a,a\n1,2\n", ":1: two columns are named 'a'"),
        ("time,a\n1,2\n1,3\n", ":3: column 'time': time stands still or goes back here"),
        ("time,a\nyesterday,2\n", ":2: column 'time': 'yesterday' is no time"),
        ("host\na\nb\n", "no column of numbers"),
    ],
)
def test_faults_are_told_with_their_line(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(SoakError) as told:
        from_table(written(tmp_path, text))
    assert str(told.value).startswith(str(tmp_path))
    assert fault in str(told.value)


def test_columns_can_be_chosen_and_must_be_there(tmp_path: Path) -> None:
    path = written(tmp_path, "when,a,b\n1,2,3\n2,3,4\n")
    table = from_table(path, ["b"], time="when")
    assert list(table.series) == ["b"]
    with pytest.raises(SoakError, match="no column 'c'; there are a, b"):
        from_table(path, ["c"], time="when")
    with pytest.raises(SoakError, match="no column 'x' to tell the time"):
        from_table(path, time="x")


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(SoakError, match="No such file"):
        from_table(tmp_path / "none.csv")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(SoakError, match="not a text"):
        from_table(tmp_path / "binary")


@given(st.text(max_size=200))
def test_any_text_is_a_table_or_a_clear_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "t.csv"
    path.write_text(text, encoding="utf-8", errors="replace", newline="")
    try:
        table = from_table(path)
    except SoakError:
        return
    assert all(len(s.t) == len(s.v) for s in table.series.values())


def test_an_index_counts_rows_and_is_no_time(tmp_path: Path) -> None:
    table = from_table(written(tmp_path, ",x\n0,1\n1,2\n"))
    assert (list(table.series), table.timed) == (["x"], False)
