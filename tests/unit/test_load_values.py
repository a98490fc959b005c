from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.core.errors import LoadError
from soak.core.traffic import Feed
from soak.load.values import Filler, Values

DRAWS = [int(d) for d in np.random.default_rng(1).integers(0, 2**63 - 1, 2_000)]


def filler(folder: Path = Path(), **feeds: Any) -> Filler:
    return Filler({name: Feed.model_validate(feed) for name, feed in feeds.items()}, folder)


def made(text: Any, values: Values) -> Any:
    return text(values) if callable(text) else text


@given(st.integers(0, 2**63 - 1))
def test_numbers_stay_within_their_bounds_and_each_is_drawn_for_itself(draw: int) -> None:
    path = made(filler().path("/items/{random:1-5000}/of/{random:7-7}?n={random:0-9}"), Values(0, draw))
    found = re.fullmatch(r"/items/(\d+)/of/(\d+)\?n=(\d+)", path)
    assert found is not None
    item, of, n = map(int, found.groups())
    assert (1 <= item <= 5000, of, 0 <= n <= 9) == (True, 7, True)


def test_numbers_reach_all_values_evenly() -> None:
    path = filler().path("/{random:1-20}")
    counts = np.unique([made(path, Values(0, d)) for d in DRAWS], return_counts=True)[1]
    assert len(counts) == 20
    assert counts.min() > 60  # 100 each


def test_two_places_of_one_arrival_are_independent() -> None:
    text = filler().text("{random:0-999999} {random:0-999999}")
    pairs = np.array([list(map(int, made(text, Values(0, d)).split())) for d in DRAWS])
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 0.1


def test_a_text_without_placeholders_is_made_once() -> None:
    assert filler().path("/plain") == "/plain"
    assert filler().data({"a": [1, "{{x}}"]}) == {"a": [1, "{x}"]}


def test_what_fills_a_path_is_encoded_and_a_lone_placeholder_in_data_keeps_its_type() -> None:
    f = filler(word={"choose": ["a/b c?"]}, n={"sequence": 5}, flag={"choose": [True]})
    assert made(f.path("/{word}?q={word}"), Values(0, 1)) == "/a%2Fb%20c%3F?q=a%2Fb%20c%3F"
    assert made(f.data({"n": "{n}", "s": "#{n}", "f": "{flag}", "k": 1}), Values(3, 1)) == {
        "n": 8, "s": "#8", "f": True, "k": 1,
    }  # fmt: skip


def test_a_feed_gives_one_row_to_an_arrival_and_every_row_in_turn(tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text("name,age\n" + "".join(f"u{i},{i}\n" for i in range(7)))
    f = filler(tmp_path, user={"csv": "u.csv"}, any={"csv": "u.csv", "order": "random"})
    text = f.text("{user.name} {user.age}")
    assert [made(text, Values(i, 0)) for i in range(8)] == [f"u{i} {i}" for i in range(7)] + ["u0 0"]
    drawn = [made(f.text("{any.name} {any.age}"), Values(0, d)) for d in DRAWS]
    assert set(drawn) == {f"u{i} {i}" for i in range(7)}


def test_named_draws_are_the_same_everywhere_in_an_arrival_and_unnamed_ones_are_not() -> None:
    f = filler(id={"uuid": True})
    text = f.text("{id} {id} {uuid} {uuid}")
    first, again, one, other = made(text, Values(0, 42)).split()
    assert first == again
    assert len({first, one, other}) == 3
    assert all(uuid.UUID(u).version == 4 for u in (first, one, other))
    assert made(text, Values(9, 42)).split()[0] == first  # of the draw alone: the seed repeats it
    assert made(text, Values(0, 43)).split()[0] != first


def test_captured_values_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOAK_TEST_TOKEN", "s3")
    f = filler()
    assert made(f.text("{tok}/${SOAK_TEST_TOKEN}"), Values(0, 0, {"tok": 7})) == "7/s3"
    monkeypatch.delenv("SOAK_TEST_TOKEN")
    with pytest.raises(LoadError, match="SOAK_TEST_TOKEN is not set"):
        f.text("${SOAK_TEST_TOKEN}")


def test_a_column_that_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text("name\nann\n")
    with pytest.raises(LoadError, match="not every row has a 'age'"):
        filler(tmp_path, user={"csv": "u.csv"}).text("{user.age}")
    with pytest.raises(LoadError, match=r"gone.csv"):
        filler(tmp_path, user={"csv": "gone.csv"}).text("{user.age}")
