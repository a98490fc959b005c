from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from soak.core.errors import SoakError
from soak.daemon import events, making
from soak.daemon.making import BusyError, Maker
from soak.daemon.pages import visits
from soak.daemon.state import State
from soak.daemon.tokens import Caller, make_token
from tests.unit.daemoning import START

QUICK = ["-n1", "-r1", "pass"]


def test_a_few_wait_for_their_turn_and_whoever_comes_then_is_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(making, "_MOST_WAITING", 2)

    async def many() -> list[bytes | BaseException]:
        maker = Maker()
        found = await asyncio.gather(*(maker.make("timeit", QUICK) for _ in range(4)), return_exceptions=True)
        return [*found, await maker.make("timeit", QUICK)]

    found = asyncio.run(many())
    assert [type(one) for one in found] == [bytes, bytes, BusyError, BusyError, bytes]


def test_what_cannot_be_made_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SoakError, match="nowhere"):
        asyncio.run(Maker().make("soak.cli", ["report", "nowhere"]))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SoakError, match="it cannot be made: No such file"):
        asyncio.run(Maker().make("timeit", QUICK))


def test_pages_and_programs_together_watch_with_half_of_the_connections() -> None:
    watchers = events.Watchers(255)
    watchers.refuse_more()
    watchers.count += 1
    with pytest.raises(HTTPException, match="256 watch"):
        watchers.refuse_more()


def test_whoever_watches_by_a_visit_is_let_go_with_it(tmp_path: Path) -> None:
    with State(tmp_path / "s") as state:
        token = make_token(state, "ci", "read", START)
        begun = visits.begin(state, token, START)
        assert begun is not None
        caller, visit = begun
        browser, program = Headers({"cookie": f"soak_visit={visit}"}), Headers({"authorization": f"Bearer {token}"})

        def still(headers: Headers, later: float = 1.0) -> bool:
            return visits.still_in(state, caller, headers, START + later)

        assert (still(browser), still(program)) == (True, True)
        assert not still(browser, visits.LENGTH_S + 1)
        visits.end(state, browser)
        assert (still(browser), still(program)) == (False, True)
        state.remove_token("ci")
        assert not still(program)
        assert visits.still_in(state, Caller("local", "admin"), Headers({}), START)
