from __future__ import annotations

from soak.publish.holding import Holding, Key
from tests.unit.report_making import DRIFT, MEMORY

GROWTH: Key = ("candidate", "memory_growth", "memory.anon", "")
HANG: Key = ("candidate", "hang", "target", "")
FOUND = {GROWTH: MEMORY}


def raised_at(holding: Holding, first: float, step: float = 15.0, most: int = 2000) -> float:
    for i in range(most):
        if holding.look(FOUND, first + i * step).raised:
            return first + i * step
    raise AssertionError("never")


def test_a_finding_holds_until_the_soak_is_a_quarter_longer() -> None:
    assert raised_at(Holding(8 * 3600, ()), first=3600) == 3600 * 1.25


def test_early_in_a_long_soak_it_holds_for_two_minutes_at_least() -> None:
    assert raised_at(Holding(8 * 3600, ()), first=30) == 150


def test_late_in_a_long_soak_it_holds_for_half_an_hour_at_most() -> None:
    assert raised_at(Holding(72 * 3600, ()), first=40 * 3600) == 40 * 3600 + 1800


def test_in_a_short_soak_two_looks_are_wanted() -> None:
    assert raised_at(Holding(60, ()), first=10) == 25
    assert raised_at(Holding(60, ()), first=10, step=0.5) == 16, "and a tenth of it"


def test_one_that_comes_and_goes_is_no_alert() -> None:
    holding = Holding(60, ())
    for i in range(40):
        assert not holding.look(FOUND if i % 2 else {}, 10.0 + 15 * i).raised


def test_it_is_told_once() -> None:
    holding = Holding(60, ())
    assert [holding.look(FOUND, 10.0 * i).raised for i in range(8)].count((GROWTH,)) == 1


def test_what_happened_waits_for_nothing_and_never_goes_away() -> None:
    holding = Holding(3600, ("hang",))
    assert holding.look({HANG: DRIFT}, 5.0).raised == (HANG,)
    assert not any(holding.look({}, 100.0 * i).gone for i in range(1, 36))


def test_it_is_over_when_it_was_missing_for_as_long() -> None:
    holding = Holding(60, ())
    for t in (10.0, 25.0, 40.0):
        holding.look(FOUND, t)
    assert not holding.look({}, 55.0).gone
    assert not holding.look(FOUND, 60.0).gone, "it is back"
    gone = [holding.look({}, t).gone for t in (70.0, 85.0, 100.0)]
    assert gone == [(), (), (GROWTH,)]
    assert not holding.look(FOUND, 115.0).raised, "then it has to hold anew"
