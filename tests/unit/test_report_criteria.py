from __future__ import annotations

from dataclasses import replace

import pytest

from soak.report.criteria import _remainder, criterion_rows
from tests.unit import report_making as made


def test_the_gravest_come_first() -> None:
    rows = criterion_rows(made.recording(), made.verdict())
    assert [r.result for r in rows] == ["fail", "fail", "inconclusive", "pass", "pass"]


def test_growth_is_shown_by_the_time_its_limit_is_written_in() -> None:
    rows = {r.text: r for r in criterion_rows(made.recording(), made.verdict())}
    memory = rows["memory.rss growth below 1 MiB/h"]
    assert (memory.measured, memory.limit) == ("24.1 MiB/h", "growth below 1 MiB/h")
    assert memory.interval == "23.8 MiB/h to 24.4 MiB/h"
    whole = rows["latency.p999 of browse growth below 10%"]
    assert (whole.measured, whole.limit) == ("8 % over the soak", "growth below 10 %")


def test_a_reason_does_not_repeat_the_value_but_keeps_what_would_settle_it() -> None:
    rows = {r.text: r for r in criterion_rows(made.recording(), made.verdict())}
    assert rows["stack.headroom above 50%"].reason == ""
    assert rows["latency.p999 of browse growth below 10%"].reason == (
        "noise hides whether that is below the limit; run 3 h more to settle it"
    )


@pytest.mark.parametrize(
    "reason,rest",
    [
        ("61 ms (60.4 ms to 61.7 ms) is not below the limit", ""),
        ("61 ms (60.4 ms to 61.7 ms), in one step at 2 min", "in one step at 2 min"),
        ("61 ms, but too few requests to bound it", "but too few requests to bound it"),
        ("61 msomething", "61 msomething"),
        ("3 of 4 windows miss the limit", "3 of 4 windows miss the limit"),
    ],
)
def test_what_the_row_says_already_is_left_out(reason: str, rest: str) -> None:
    (row,) = criterion_rows(made.recording(), made.verdict(criteria=(replace(made.criteria()[1], reason=reason),)))
    assert row.reason == rest


@pytest.mark.parametrize("more", ["", ", in one step at 1 min 28 s", ", but it is levelling off; run longer"])
def test_growth_by_the_hour_is_left_out_though_it_is_said_otherwise(more: str) -> None:
    reason = f"59 MiB (42.7 MiB to 75.3 MiB) an hour{more}"
    assert _remainder(reason, "59 MiB/h", "42.7 MiB/h", "75.3 MiB/h") == more.lstrip(", ")
    assert _remainder("5 MiB a day", "59 MiB/h", "42.7 MiB/h", "75.3 MiB/h") == "5 MiB a day"


def test_growth_over_the_soak_is_left_out_in_either_order() -> None:
    reason = "8 % (-2 % to 18 %) over the soak: noise hides it"
    (row,) = criterion_rows(made.recording(), made.verdict(criteria=(replace(made.criteria()[2], reason=reason),)))
    assert row.reason == "noise hides it"
    assert row.interval == "-2 % to 18 % over the soak"


def test_a_reason_of_other_words_is_kept_whole() -> None:
    odd = replace(made.criteria()[0], reason="0 %ish, they say")
    missing = replace(made.criteria()[0], value=None, low=None, high=None, reason="no data is no pass")
    rows = criterion_rows(made.recording(), made.verdict(criteria=(odd, missing)))
    assert [r.reason for r in rows] == ["0 %ish, they say", "no data is no pass"]
    assert rows[1].measured == "-"


def test_a_criterion_that_the_scenario_does_not_know_is_shown_in_base_units() -> None:
    stranger = replace(made.criteria()[3], text="something else")
    (row,) = criterion_rows(made.recording(), made.verdict(criteria=(stranger,)))
    assert row.measured == "24.1 MiB"
    assert row.limit == "limit 1 MiB"
