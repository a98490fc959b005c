from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from soak.daemon.calendar import ASKER, Schedule, due, next_due, request_key, still_waits
from soak.daemon.job import Job
from tests.unit.daemoning import START, request

BERLIN = ZoneInfo("Europe/Berlin")
NIGHTLY = Schedule(name="nightly", cron="0 2 * * *", scenario="shop.yaml")


def at(text: str) -> float:
    """Seconds since 1970 of a local time in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


def test_an_occurrence_is_due_from_its_time_on_and_not_before() -> None:
    since = at("2026-11-20 12:00")
    assert due(NIGHTLY, BERLIN, since, at("2026-11-21 01:59:59")) is None
    assert due(NIGHTLY, BERLIN, since, at("2026-11-21 02:00")) == at("2026-11-21 02:00")
    assert due(NIGHTLY, BERLIN, since, at("2026-11-21 02:59")) == at("2026-11-21 02:00")


def test_one_that_was_missed_for_long_is_left_out() -> None:
    assert due(NIGHTLY, BERLIN, at("2026-11-20 12:00"), at("2026-11-21 03:01")) is None


def test_what_was_due_before_the_schedule_was_known_is_not_made_up_for() -> None:
    assert due(NIGHTLY, BERLIN, at("2026-11-21 02:10"), at("2026-11-21 02:20")) is None


def test_the_time_is_that_of_the_zone_in_summer_and_in_winter() -> None:
    days = [next_due(NIGHTLY, BERLIN, at(f"2026-{day} 12:00")) for day in ("07-01", "12-01")]
    assert [datetime.fromtimestamp(d, ZoneInfo("UTC")).hour for d in days] == [0, 1]


def test_no_occurrence_is_left_out_when_the_clocks_are_put_back_or_forward() -> None:
    often = NIGHTLY.model_copy(update={"cron": "*/20 * * * *"})
    for day in ("2026-10-25", "2026-03-29"):
        begin, found = at(f"{day} 00:00"), set()
        for minute in range(5 * 60):
            found.add(due(often, BERLIN, begin, begin + 60.0 * minute))
        assert found == {None, *(begin + 1200.0 * n for n in range(1, 15))}, day


def test_a_schedule_that_is_seen_in_the_future_has_nothing_due() -> None:
    assert due(NIGHTLY, BERLIN, at("2030-01-01 00:00"), at("2026-11-21 02:00")) is None


def test_an_occurrence_is_one_request_and_runs_do_not_pile_up() -> None:
    keys = {request_key(NIGHTLY, t) for t in (START, START + 0.2, START + 86400)}
    assert len(keys) == 2
    queued = Job(1, "queued", request(by=ASKER, key=request_key(NIGHTLY, START)), START)
    assert still_waits(NIGHTLY, [queued])
    assert not still_waits(NIGHTLY, [replace(queued, state="running")])
    assert not still_waits(NIGHTLY.model_copy(update={"name": "other"}), [queued])
    assert not still_waits(NIGHTLY, [replace(queued, request=request(by="ci", key="nightly@1"))])


@pytest.mark.parametrize("cron", ["", "daily", "61 * * * *", "* * * *", "0 0 31 2 *"])
def test_what_is_no_cron_expression_is_refused(cron: str) -> None:
    with pytest.raises(ValidationError, match="expected five fields"):
        Schedule(name="n", cron=cron, scenario="s.yaml")
