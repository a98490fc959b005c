"""What an observer says is read as it was said, and anything else is refused in words."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.core.records import Event, Sample
from soak.probe.message import FORMAT, Answer, Look, write

NUMBERS = st.floats(allow_nan=False)
MOMENTS = st.floats(0, 1e9)
NAMES = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
SAMPLES = st.builds(Sample, MOMENTS, NAMES, st.dictionaries(NAMES, NUMBERS, max_size=5))
EVENTS = st.builds(
    Event, MOMENTS, NAMES, st.none() | NAMES, NAMES, st.dictionaries(NAMES, st.integers() | NAMES | st.none())
)
LOOKS = st.builds(Look, MOMENTS, st.lists(SAMPLES, max_size=4).map(tuple), st.lists(EVENTS, max_size=3).map(tuple))
ABOUT: dict[str, Any] = {"every": 1.0, "alive": True, "root": "7@1"}
HEAD: dict[str, Any] = {"session": "abc", "now": 12.5, "next": 9, "about": ABOUT}


@given(st.lists(LOOKS, max_size=4), MOMENTS, st.integers(1, 10**9))
def test_what_is_written_is_read(looks: list[Look], now: float, first: int) -> None:
    head = HEAD | {"now": now, "next": first + len(looks)}
    answer = Answer.read(write(head, first, [look.pack() for look in looks]))
    assert answer.looks == tuple(looks)
    assert (answer.session, answer.now, answer.first, answer.next) == ("abc", now, first, first + len(looks))
    assert answer.about == ABOUT


@given(st.binary(max_size=200) | JSON.map(lambda v: json.dumps(v).encode()))
def test_what_is_no_observer_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not a soak observer$"):
        Answer.read(body)


@given(st.sampled_from(["session", "now", "next", "first", "about", "looks"]), JSON)
def test_a_damaged_answer_raises_nothing_else(key: str, value: Any) -> None:
    plain = json.loads(write(HEAD, 1, [Look(1.0, (Sample(1.0, "target", {"a": 1.0}),), ()).pack()])) | {key: value}
    with suppress(ValueError):  # and nothing else
        Answer.read(json.dumps(plain).encode())


@pytest.mark.parametrize("now", ["NaN", "Infinity", "1e999", "null", '"soon"'])
def test_a_time_that_is_none_is_refused(now: str) -> None:
    body = write(HEAD, 1, []).replace(b'"now":12.5', f'"now":{now}'.encode())
    with pytest.raises(ValueError, match="although it says"):
        Answer.read(body)


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"first":1}', b"", b"\xff\xfe", b'{"format":["soak.observer/1"]}'])
def test_strange_bodies(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"soak observer|another version"):
        Answer.read(body)


def test_another_version_is_told_what_to_do() -> None:
    body = write(HEAD, 1, []).replace(FORMAT.encode(), b"soak.observer/2")
    with pytest.raises(ValueError, match=r"it speaks soak.observer/2, this soak soak.observer/1; install the same"):
        Answer.read(body)


def test_it_is_text_that_a_person_can_read() -> None:
    look = Look(2.0, (Sample(2.0, "target", {"memory.rss": 4096.0}),), (Event(2.0, "note", "target", "hm", {}),))
    plain = json.loads(write(HEAD, 8, [look.pack()]))
    assert plain["format"] == FORMAT
    assert plain["first"] == 8
    assert plain["looks"][0]["samples"] == [[2.0, "target", {"memory.rss": 4096.0}]]
    assert plain["looks"][0]["events"] == [[2.0, "note", "target", "hm", {}]]
