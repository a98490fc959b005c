from __future__ import annotations

import time

import pytest

from soak.run.clocks import Clocks


def test_clocks_that_agree_are_nothing_to_say() -> None:
    clocks = Clocks()
    assert clocks.look(1.0) == []


@pytest.mark.parametrize("step, shown", [(120.0, "by +2 min"), (-3.0, "by -3 s")])
def test_a_step_of_the_wall_clock_is_told_once(monkeypatch: pytest.MonkeyPatch, step: float, shown: str) -> None:
    clocks, real = Clocks(), time.time
    monkeypatch.setattr(time, "time", lambda: real() + step)
    (event,) = clocks.look(60.0)
    assert event.kind == "clock_step"
    assert shown in event.text
    assert "1 min into the run" in event.text
    assert clocks.look(61.0) == []


def test_a_suspended_machine_is_told_as_that_and_not_as_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks, wall, boot = Clocks(), time.time, time.clock_gettime
    monkeypatch.setattr(time, "time", lambda: wall() + 30)
    monkeypatch.setattr(time, "clock_gettime", lambda clock: boot(clock) + 30)
    assert [e.kind for e in clocks.look(60.0)] == ["suspended"]
