from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.core.feedfile import cell, read_rows
from soak.core.traffic import Feed


def rows(tmp_path, text: str, kind: str = "csv"):
    (tmp_path / "f").write_text(text, encoding="utf-8")
    return read_rows(Feed.model_validate({kind: "f"}), tmp_path)


def test_csv_rows_by_their_header(tmp_path):
    assert rows(tmp_path, 'name,note\nann,"a, b"\nbob,\n') == [
        {"name": "ann", "note": "a, b"},
        {"name": "bob", "note": ""},
    ]
    assert rows(tmp_path, "\ufeffname\nann\n") == [{"name": "ann"}]


def test_json_lines_keep_their_types_and_nesting(tmp_path):
    (row,) = rows(tmp_path, '{"id": 7, "at": {"city": "X", "a.b": 1}}\n\n', "jsonl")
    assert (cell(row, "id"), cell(row, "at.city")) == (7, "X")
    for missing in ("no", "at.no", "id.x"):
        with pytest.raises(KeyError):
            cell(row, missing)


@pytest.mark.parametrize(
    "text, kind, words",
    [
        ("a,b\n1,2\n3\n", "csv", "line 3: expected 2 values"),
        ("a,b\n1,2,3\n", "csv", "line 2: expected 2 values"),
        ("a\n", "csv", "no rows"),
        ("", "csv", "no rows"),
        ('{"a": 1}\n{"a"\n', "jsonl", "line 2: not JSON"),
        ("[1]\n", "jsonl", "line 1: expected a JSON object"),
    ],
)
def test_files_that_are_not_that_are_refused_with_the_line(tmp_path, text, kind, words):
    with pytest.raises(ValueError, match=words):
        rows(tmp_path, text, kind)


@given(
    data=st.lists(st.dictionaries(st.text(min_size=1, max_size=4), st.integers() | st.text()), min_size=1, max_size=5)
)
def test_json_lines_come_back_as_they_were(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("feed")
    assert rows(folder, "\n".join(json.dumps(row) for row in data), "jsonl") == data
