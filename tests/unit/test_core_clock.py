from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from soak.core.clock import RemoteClock

delays = st.floats(0.0, 0.5)


@given(st.floats(-1e6, 1e6), st.lists(st.tuples(delays, delays), min_size=1, max_size=40))
def test_the_offset_is_within_its_error_however_unequal_the_ways(ahead: float, ways: list[tuple[float, float]]) -> None:
    clock, now = RemoteClock(), 1000.0
    for there, back in ways:
        clock.exchange(now, now + there + ahead, now + there + back)
        now += 1.0
    assert abs(clock.offset - ahead) <= clock.error + 1e-6
    assert clock.error <= (min(a + b for a, b in ways[-16:]) + 1e-6) / 2


def test_an_unknown_clock_has_no_bound() -> None:
    assert RemoteClock().error == math.inf


def test_a_clock_that_drifts_is_followed() -> None:
    clock = RemoteClock()
    for second in range(100):
        clock.exchange(second, second + 0.001 + second * 50e-6, second + 0.002)
    assert abs(clock.offset - 99 * 50e-6) < 16 * 50e-6 + 0.001
