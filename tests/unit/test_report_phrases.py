from __future__ import annotations

import math
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.report import phrases
from tests.unit.report_making import DRIFT, MEMORY, RESTART


@given(st.text(alphabet=st.characters()))
def test_clean_text_holds_nothing_that_could_steer_a_terminal(text: str) -> None:
    shown = phrases.clean(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


@given(st.text(alphabet="abc äöü€漢<>&|*"))
def test_clean_leaves_ordinary_text_alone(text: str) -> None:
    assert phrases.clean(text) == text


def test_an_escape_sequence_becomes_visible() -> None:
    assert phrases.clean("a\x1b[31mb\nc\u202ed") == "a\\x1b[31mb c\\u202ed"


def test_a_block_keeps_its_lines_and_tabs() -> None:
    assert phrases.clean_block("a:\r\n\tb\x07") == "a:\n\tb\\x07"


@pytest.mark.parametrize(
    "value,unit,shown",
    [
        (0.0042, "s", "4.2 ms"),
        (3 * 2.0**20, "bytes", "3 MiB"),
        (3 * 2.0**20, "bytes/h", "3 MiB/h"),
        (0.0285, "s/h", "28.5 ms/h"),
        (0.031, "ratio", "3.1 %"),
        (0.02, "ratio/h", "2 %/h"),
        (200.0, "1/s", "200/s"),
        (12.0, "count", "12"),
        (12.0, "count/h", "12/h"),
        (12.0, None, "12"),
        (2.0, "frogs", "2 frogs"),
        (None, "s", "-"),
        (math.nan, "s", "-"),
        (math.inf, "bytes", "-"),
    ],
)
def test_quantities_are_shown_in_units_people_use(value: float | None, unit: str | None, shown: str) -> None:
    assert phrases.quantity(value, unit) == shown


def test_an_interval_may_be_open_at_either_end() -> None:
    assert phrases.interval(1.0, 2.0, "s") == "1 s to 2 s"
    assert phrases.interval(1.0, math.inf, "s") == "at least 1 s"
    assert phrases.interval(None, 2.0, "s") == "up to 2 s"
    assert phrases.interval(None, None, "s") == ""


def test_growth_and_time_left_carry_their_intervals() -> None:
    assert phrases.growth(MEMORY) == "24.1 MiB/h (23.8 MiB/h to 24.4 MiB/h)"
    assert phrases.time_left(MEMORY) == "1 d 18 h (1 d 17 h to 1 d 19 h) to the container limit of 1 GiB"
    assert phrases.growth(RESTART) == phrases.time_left(DRIFT) == ""


def test_a_time_beyond_a_year_is_not_pretended_to_be_exact() -> None:
    far = replace(MEMORY, eta_s=3e9, eta_low_s=2e9, eta_high_s=math.inf)
    assert phrases.time_left(far) == "more than a year to the container limit of 1 GiB"


def test_a_finding_is_placed_on_the_time_axis() -> None:
    assert phrases.span(MEMORY) == "6 min to 2 h 6 min into the run"
    assert phrases.span(RESTART) == "1 h 33 min into the run"
    assert phrases.span(replace(RESTART, start=None)) == ""


@pytest.mark.parametrize(
    "value,shown", [(0.42, "0.420"), (4.867, "4.87"), (12.44, "12.4"), (1240.4, "1,240"), (None, "-")]
)
def test_milliseconds_have_about_three_digits(value: float | None, shown: str) -> None:
    assert phrases.milliseconds(value) == shown
