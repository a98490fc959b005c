from __future__ import annotations

from time import monotonic

from soak.core.budget import ALERTS_S, CLOSE_S, Budget, closing_s
from tests.making import scenario


def test_what_is_kept_for_the_end_is_the_drain_the_verdict_and_the_alerts() -> None:
    plain, telling = scenario(), scenario(alerts=[{"alertmanager": "http://127.0.0.1:9093"}])
    budget = Budget(600.0, 1000.0)
    assert budget.all_until(plain) == 1000.0 - CLOSE_S
    assert budget.all_until(telling) == 1000.0 - CLOSE_S - ALERTS_S
    assert budget.load_until(plain) == budget.all_until(plain) - plain.drain_s
    assert closing_s(telling) - closing_s(plain) == ALERTS_S


def test_the_rest_is_what_is_left_and_no_more_than_is_wanted() -> None:
    assert Budget(600.0, monotonic() + 600.0).rest(20.0) == 20.0
    assert 0.0 < Budget(600.0, monotonic() + 10.0).rest(20.0) <= 10.0
    assert Budget(600.0, monotonic() - 1.0).rest(20.0) == 0.0
