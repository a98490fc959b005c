from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.load.wire import Session, nonce

data = st.dictionaries(st.text(max_size=5), st.integers(-(2**31), 2**31) | st.text(max_size=9) | st.binary(max_size=9))
TOKEN = "t" * 32


@given(data)
def test_both_sides_of_a_session_understand_each_other(sent: dict) -> None:
    worker, master = (Session(TOKEN, "run-1", "a", "b") for _ in range(2))
    assert master.open("soak_report", worker.seal("soak_report", sent)) == sent


@pytest.mark.parametrize(
    "other",
    [
        ("wrong token of another", "run-1", "a", "b"),
        (TOKEN, "run-2", "a", "b"),
        (TOKEN, "run-1", "c", "b"),
        (TOKEN, "run-1", "a", "c"),
    ],
)
def test_nobody_else_does(other: tuple[str, str, str, str]) -> None:
    sealed = Session(TOKEN, "run-1", "a", "b").seal("soak_report", {"x": 1})
    assert Session(*other).open("soak_report", sealed) is None


def test_what_was_changed_on_the_way_is_refused() -> None:
    session = Session(TOKEN, "run-1", "a", "b")
    sealed = session.seal("soak_stop", {"at": 1})
    assert session.open("soak_start", sealed) is None  # another kind
    assert session.open("soak_stop", sealed | {"body": sealed["body"] + b"\0"}) is None
    for nonsense in (
        None,
        [],
        {},
        {"body": 1, "proof": b""},
        {"body": b"", "proof": "x"},
        {"body": b"\xc1", "proof": b"x" * 32},
    ):
        assert session.open("soak_stop", nonsense) is None
    assert TOKEN.encode() not in repr(sealed).encode()


def test_a_nonce_is_used_once() -> None:
    assert len({nonce() for _ in range(100)}) == 100
