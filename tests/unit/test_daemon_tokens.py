from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from starlette.types import Send

from soak.core.errors import SoakError
from soak.daemon.guard import Buckets, Guard
from soak.daemon.state import State
from soak.daemon.tokens import ROLES, Caller, caller_of, make_token
from tests.unit.daemoning import START


def test_whoever_shows_a_token_is_known_by_it_and_nobody_else_is(tmp_path: Path) -> None:
    with State(tmp_path / "s") as state:
        shown = {role: make_token(state, f"the-{role}", role, START) for role in ROLES}
        tokens = state.tokens()
    assert len(set(shown.values())) == 3
    for role, token in shown.items():
        assert caller_of(token, tokens) == Caller(f"the-{role}", role)
        assert caller_of(token + "x", tokens) is None
    assert caller_of("", tokens) is None
    assert not any(t.digest in token.encode() or token.encode() in t.digest for t in tokens for token in shown.values())


def test_each_role_may_do_what_those_before_it_may() -> None:
    assert [[Caller("x", mine).may(wanted) for wanted in ROLES] for mine in ROLES] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


@pytest.mark.parametrize("name", ["", "local", "a b", "-x", "x" * 65, "a\n"])
def test_a_name_that_would_mislead_in_a_log_is_refused(tmp_path: Path, name: str) -> None:
    with State(tmp_path / "s") as state, pytest.raises(SoakError, match="--add-token"):
        make_token(state, name, "run", START)


def test_a_bucket_lets_a_burst_pass_and_then_the_rate() -> None:
    now = [0.0]
    buckets = Buckets(10.0, lambda: now[0])
    assert [buckets.take("ci") for _ in range(20)] == [0.0] * 20
    assert buckets.take("ci") == pytest.approx(0.1)
    assert buckets.take("another") == 0.0
    now[0] = 0.25
    assert [buckets.take("ci") for _ in range(3)][:2] == [0.0, 0.0]
    assert buckets.take("ci") > 0


def test_what_strangers_cost_in_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soak.daemon.guard._MOST_BUCKETS", 5)
    buckets = Buckets(1.0, lambda: 0.0)
    for i in range(100):
        buckets.take(str(i))
    assert len(buckets._levels) == 5


def status(state: State, host: str = "localhost", *, private: bool = True) -> object:
    """What the guard answers to a stranger's look at the runs; 200 is whatever the application says."""
    sent: list[dict[str, object]] = []

    async def inner(_scope: object, _receive: object, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: object) -> None:
        sent.append(dict(message))  # type: ignore[call-overload]

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b""}

    scope = {
        "type": "http", "method": "GET", "path": "/v1/runs", "headers": [(b"host", host.encode())],
        "client": ("127.0.0.1", 1),
    }  # fmt: skip
    guard = Guard(inner, state, 50.0, lambda *_, **__: None, private=private)
    asyncio.run(guard(scope, receive, send))
    return sent[0]["status"]


def test_a_state_that_cannot_be_read_lets_nobody_in(tmp_path: Path) -> None:
    state = State(tmp_path / "s")
    make_token(state, "ci", "run", START)
    state.close()
    assert status(state) == 503


def test_where_others_can_reach_it_nobody_is_let_in_when_the_last_token_is_removed(tmp_path: Path) -> None:
    with State(tmp_path / "s") as state:
        make_token(state, "ci", "run", START)
        assert [status(state, private=private) for private in (True, False)] == [401, 401]
        state.remove_token("ci")
        assert [status(state, private=private) for private in (True, False)] == [200, 401]
