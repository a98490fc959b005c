"""The time left: when the band around a line reaches a limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.judge.stats.eta import Band


def test_a_line_that_is_certain_reaches_it_when_it_does() -> None:
    assert Band(2.0, 0.0, 0.0, 0.0).reach(10.0) == pytest.approx((5.0, 5.0, 5.0))


def test_what_may_not_grow_may_never_reach_it() -> None:
    early, at, late = Band(1.0, 0.5, 2.0, 0.0).reach(10.0)
    assert early is not None
    assert 3.0 < early < 3.5  # the upper edge grows by 3 a second
    assert at == 10.0
    assert late is None


def test_what_shrinks_reaches_it_at_most_by_its_upper_edge() -> None:
    early, at, late = Band(-1.0, 0.1, 2.0, 0.0).reach(5.0)
    assert early == pytest.approx(5.0, rel=0.1)
    assert (at, late) == (None, None)
    assert Band(-1.0, 0.1, 0.2, 0.0).reach(5.0) == (None, None, None)


def test_no_room_is_no_time() -> None:
    assert Band(1.0, 0.1, 0.1, 0.0).reach(0.0) == (0.0, 0.0, 0.0)


@given(st.floats(1e-3, 1e3), st.floats(0, 10), st.floats(0, 0.9), st.floats(0.1, 1e4), st.floats(-0.9, 0.9))
def test_the_interval_holds_the_line_and_the_band_reaches_the_limit_at_its_ends(
    rate: float, end: float, share: float, room: float, correlation: float
) -> None:
    error = rate * share
    band = Band(rate, end, error, correlation * end * error)
    early, at, late = band.reach(room)
    assert early is not None
    assert at is not None
    assert early <= at * 1.0001
    if late is not None:
        assert late >= at * 0.9999
    for moment, sign in ((early, 1), (late, -1)):
        if moment is not None and moment > 0:
            half = (end**2 + 2 * band.together * moment + (error * moment) ** 2) ** 0.5
            assert rate * moment + sign * half == pytest.approx(room, rel=1e-3, abs=1e-6)
