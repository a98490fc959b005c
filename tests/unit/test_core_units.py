"""Quantities by name: read, refused and shown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.core import units
from soak.core.units import Quantity, parse


@pytest.mark.parametrize(
    "text, dimension, value",
    [
        ("50ms", "time", 0.05), ("8h", "time", 28800), ("1h30m", "time", 5400), ("1 h 30 min", "time", 5400),
        ("250us", "time", 250e-6), ("250 µs", "time", 250e-6), ("2d", "time", 172800), ("1.5s", "time", 1.5),
        ("200/s", "rate", 200), ("6000/min", "rate", 100), ("0.5/s", "rate", 0.5), ("36 / h", "rate", 0.01),
        ("3%", "ratio", 0.03), (0.03, "ratio", 0.03), ("0.03", "ratio", 0.03), ("120 %", "ratio", 1.2),
        ("512 KiB", "bytes", 524288), ("2 GB", "bytes", 2e9), ("1MiB", "bytes", 1048576), ("0B", "bytes", 0),
        (200, "count", 200), ("1_000", "count", 1000), ("1e3", "count", 1000),
    ],
)  # fmt: skip
def test_quantities_are_read_into_base_units(text, dimension, value):
    assert parse(text, dimension) == Quantity(pytest.approx(value), dimension)


@pytest.mark.parametrize(
    "text, dimension, value, kind, per",
    [
        ("10%", "bytes", 0.1, "ratio", None),
        ("2%/h", "time", 0.02, "ratio", 3600),
        ("1 MiB", "bytes", 1048576, "bytes", None),
        ("1 MiB/h", "bytes", 1048576, "bytes", 3600),
        ("5ms/d", "time", 0.005, "time", 86400),
        ("20/h", "count", 20, "count", 3600),
        ("20", "count", 20, "count", None),
        (20, "count", 20, "count", None),
    ],
)
def test_growth_is_an_amount_or_a_share_optionally_by_time(text, dimension, value, kind, per):
    assert parse(text, dimension, growth=True) == Quantity(pytest.approx(value), kind, per)


@pytest.mark.parametrize(
    "text, dimension, growth, words",
    [
        (10, "time", False, ["50ms", "got 10", "needs its unit"]),
        (200, "rate", False, ["200/s", "needs its unit"]),
        ("200", "rate", False, ["200/s"]),
        ("200 req/s", "rate", False, ["200/s"]),
        ("5 MB", "time", False, ["a duration", "'5 MB'"]),
        ("5s", "bytes", False, ["a size"]),
        ("5%", "bytes", False, ["a size"]),
        ("5 mb", "bytes", False, ["a size"]),
        ("1/s", "count", False, ["a number"]),
        ("1 MiB/week", "bytes", True, ["'week'", "1 MiB/h"]),
        (0.1, "ratio", True, ["10%", "needs its unit"]),
        ("10 ms/h", "bytes", True, ["a growth"]),
        ("", "time", False, ["a duration"]),
        (True, "count", False, ["got true"]),
        (None, "time", False, ["got nothing"]),
        ([1], "time", False, ["got a list"]),
        ({}, "time", False, ["got a mapping"]),
        (math.nan, "ratio", False, ["beyond all measure"]),
        (math.inf, "count", False, ["beyond all measure"]),
        ("1e999", "count", False, ["beyond all measure"]),
        ("1e999s", "time", False, ["beyond all measure"]),
        (10**400, "count", False, ["beyond all measure"]),
        ("9" * 50 + "d", "time", False, ["beyond all measure"]),
        ("1" + " " * 100_000 + "!", "bytes", False, ["a size", "..."]),
        ("1h" * 50_000 + "!", "time", False, ["a duration", "..."]),
    ],
)
def test_what_could_be_guessed_wrong_is_refused_with_what_was_expected(text, dimension, growth, words):
    with pytest.raises(ValueError, match=r"^expected ") as caught:
        parse(text, dimension, growth=growth)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert len(message) < 250


@given(st.one_of(st.text(max_size=40), st.integers(), st.floats(), st.booleans(), st.none()), st.booleans())
def test_anything_is_read_or_refused_with_value_error(text, growth):
    for dimension in units.EXAMPLES:
        try:
            quantity = parse(text, dimension, growth=growth)
        except ValueError:
            continue
        assert math.isfinite(quantity.value)


@given(st.floats(1e-6, 1e17))
def test_sizes_and_shares_that_are_shown_can_be_read_again(value):
    for dimension in ("bytes", "ratio", "rate"):
        shown = units.show(value, dimension)
        assert parse(shown, dimension).value == pytest.approx(value, rel=0.0051), shown


@given(st.floats(1e-6, 1e10))
def test_durations_that_are_shown_can_be_read_again(seconds):
    shown = units.duration(seconds)
    # two units are shown, so what is lost is less than half of the smaller, plus a rounding to seconds
    assert parse(shown, "time").value == pytest.approx(seconds, rel=1 / 24 + 0.01), shown


@pytest.mark.parametrize(
    "seconds, text",
    [(0, "0 s"), (2e-5, "20 µs"), (0.0015, "1.5 ms"), (45, "45 s"), (59.99, "60 s"), (60, "1 min"), (125, "2 min 5 s"),
     (28800, "8 h"), (273600, "3 d 4 h"), (-90, "-1 min 30 s")],
)  # fmt: skip
def test_durations_read_well(seconds, text):
    assert units.duration(seconds) == text


def test_other_quantities_read_well():
    assert [units.size(n) for n in (0, 512, 1536, 47_395_635, -2048, 5e14)] == [
        "0 B", "512 B", "1.5 KiB", "45.2 MiB", "-2 KiB", "455 TiB",
    ]  # fmt: skip
    assert [units.percent(r) for r in (0.031, 1, 0.00005, 0)] == ["3.1 %", "100 %", "0.005 %", "0 %"]
    assert units.show(200, "rate") == "200/s"
    assert units.show_growth(1048576 / 3600, "bytes") == "1 MiB/h"
    assert units.show_growth(0.02 / 3600, "ratio") == "2 %/h"
    assert units.show_growth(1 / 3600, "rate") == "1/h"


def test_a_rate_of_growth_knows_its_seconds():
    assert parse("36 MB/h", "bytes", growth=True).per_second == pytest.approx(10_000)
    with pytest.raises(ValueError, match="not a rate"):
        _ = Quantity(1.0, "bytes").per_second
