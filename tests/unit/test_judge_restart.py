"""Crash loops that a supervisor covers up, and pools that recycle their workers by design."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from soak.core.records import Event
from soak.core.verdict import Finding, Verdict
from soak.judge.side import Side
from tests.making import Shape, recording, scenario, side
from tests.unit.judging import failing, judged

EVERY = 10.0


def replaced(t: float, how: str = "", lived: float = 8.0, **more: Any) -> Event:
    data = {
        "name": "worker",
        "how": how,
        "lived": lived,
        "vacant": 1.0,
        "rss": 30e6,
        "root": False,
        "alike": 4,
    }
    return Event(t, "restart", "candidate", "process 7 (worker) took the place of one that ended", data | more)


def loop(count: int, **data: Any) -> tuple[Event, ...]:
    return tuple(replaced(25.0 + EVERY * i, **data) for i in range(count))


def failing_around(count: int, share: float = 0.2, usual: float = 0.0) -> Shape:
    moments = [24.0 + EVERY * i for i in range(count)]

    def shape(t: np.ndarray) -> np.ndarray:
        near = np.any([np.abs(t - m) < 1.0 for m in moments], axis=0)
        return np.where(near, share, usual)

    return shape


def the_restart(verdict: Verdict) -> Finding:
    (found,) = [f for f in verdict.candidate.findings if f.cause == "restart"]
    return found


def test_deaths_in_a_row_are_a_loop_though_no_request_fails() -> None:
    verdict = judged(events=loop(5, how="by SIGSEGV"))
    assert failing(verdict) == ["restart"]
    found = the_restart(verdict)
    assert found.title == "worker ended and was started anew under load 5 times, every 10 s or so"
    assert "they ended by SIGSEGV (5 times)" in found.evidence
    assert any("lived for 8 s (median), and had 28.6 MiB" in line and "4 alike" in line for line in found.evidence)
    assert found.advice


def test_ends_that_nobody_saw_are_a_loop_when_requests_fail_of_them() -> None:
    verdict = judged(events=loop(5), failed_share=failing_around(5))
    assert failing(verdict) == ["restart"]
    assert any("requests failed around 5 of 5 of them" in line for line in the_restart(verdict).evidence)


@pytest.mark.parametrize("how", ["", "with code 0", "with code 155", "by SIGTERM"])
@pytest.mark.parametrize("usual", [0.0, 0.02])
def test_a_pool_that_recycles_by_design_is_told_and_no_fault(how: str, usual: float) -> None:
    verdict = judged(events=loop(10, how=how), failed_share=lambda t: np.full_like(t, usual))
    assert failing(verdict) == []
    found = the_restart(verdict)
    assert found.severity == "info"
    assert "by design" in found.advice


def test_helpers_that_end_with_a_code_of_their_own_are_no_loop() -> None:
    events = tuple(replaced(20.0 + 2 * i, how="with code 1", lived=0.5) for i in range(40))
    assert failing(judged(events=events)) == []


def test_a_death_or_two_is_a_warning() -> None:
    verdict = judged(events=loop(2, how="by SIGKILL"))
    assert failing(verdict) == []
    assert the_restart(verdict).severity == "warning"


def test_a_whole_service_that_starts_anew_fails_the_first_time() -> None:
    verdict = judged(events=(replaced(60.0, root=True, alike=1),))
    assert failing(verdict) == ["restart"]
    assert the_restart(verdict).title == "the service ended and was started anew under load once"


def test_roles_are_told_apart() -> None:
    events = (*loop(2, how="by SIGSEGV"), *(replaced(30.0 + i, how="by SIGSEGV", name="mailer") for i in range(2)))
    verdict = judged(events=events)
    assert failing(verdict) == []
    assert sum(f.cause == "restart" for f in verdict.candidate.findings) == 2


def test_what_is_replaced_without_load_does_not_count() -> None:
    events = (replaced(2.0, how="by SIGSEGV", root=True), replaced(139.0, how="by SIGSEGV", root=True))
    assert not [f for f in judged(events=events).candidate.findings if f.cause == "restart"]


def test_what_is_missing_while_a_place_is_vacant_is_no_floor_of_memory() -> None:
    """A look that falls on a vacant place finds the supervisor alone; later they all fall beside it."""
    events = loop(9, how="by SIGSEGV", vacant=0.6)
    seen = [e.t for e in events[:4]]

    def live(t: np.ndarray) -> np.ndarray:
        alone = np.any([(t >= at - 0.6) & (t <= at) for at in seen], axis=0)
        return np.where(alone, 21e6, 42e6) + 1e3 * np.sin(t)

    def lowest(events: tuple[Event, ...]) -> float:
        spec = scenario()
        whole = recording(spec, side(spec, series={"memory.live": live}), events=events)
        blocks = Side("candidate", whole, *whole.soak_span or (0.0, 0.0)).blocks("memory.live")
        assert blocks is not None
        return float(blocks.v.min())

    assert lowest(()) < 30e6
    assert lowest(events) > 41e6


def test_of_very_many_the_told_ones_stand_for_the_others() -> None:
    data = {"how": "with code 0", "name": "sleep"}
    many = tuple(replaced(60.0 + EVERY * i, times=100, **data) for i in range(3))
    found = the_restart(judged(events=(*loop(3, **data), *many)))
    assert "sleep was replaced under load 303 times" in found.title
    assert "they ended with code 0 (303 times)" in found.evidence
