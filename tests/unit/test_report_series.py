"""What is said of a series, for each reason there is."""

from __future__ import annotations

from typing import Any

import pytest

from soak.core.verdict import SeriesVerdict
from soak.report import render_series, series_json
from soak.report.series import reason


def made(**changes: Any) -> SeriesVerdict:
    values: dict[str, Any] = {
        "verdict": "fail", "growth": 0.12, "low": 0.09, "high": 0.15, "shape": "linear", "why": "grows",
        "start": 0.0, "span": 21600.0, "p": 1e-6,
    }  # fmt: skip
    return SeriesVerdict(**(values | changes))


@pytest.mark.parametrize(
    "changes,text",
    [
        ({}, "grows by 12 % (9 % to 15 %) over 6 h, and goes on"),
        ({"onset": 7200.0}, "grows by 12 % (9 % to 15 %) over 6 h, since 2 h into it, and goes on"),
        ({"eta": (3000.0, 3600.0, None)}, "; the limit is reached in 1 h (50 min to never)"),
        ({"why": "stepped", "onset": 3600.0}, "stepped up by 12 %, 1 h into it, and stayed"),
        ({"why": "below", "growth": -0.01}, "does not grow: -1 % (9 % to 15 %) over 6 h"),
        ({"why": "settled"}, "grew, and has settled"),
        ({"why": "levelling", "longer": 1.0}, "it may fill something; look 6 h longer, or beside a reference"),
        ({"why": "noise"}, "noise hides whether that matters; a reference beside it would tell"),
        ({"why": "many"}, "as one of so many series may by chance"),
        ({"why": "short", "growth": None, "low": None, "high": None}, "too few points"),
    ],
)
def test_each_reason_has_its_sentence(changes: dict[str, Any], text: str) -> None:
    assert text in reason(made(**changes), timed=True)


def test_rows_are_rows_where_no_time_is_told() -> None:
    assert "over 360 rows" in reason(made(span=360.0), timed=False)


def test_failing_series_come_first_and_all_are_counted() -> None:
    calm = made(verdict="pass", why="below", growth=0.0)
    shown = render_series({"calm": calm, "leak": made(), "worse": made(growth=0.5)}, timed=True).splitlines()
    assert [line.split()[1] for line in shown[:3]] == ["worse", "leak", "calm"]
    assert shown[-1] == "3 series: 2 fail, 1 pass"


def test_the_document_has_what_the_contract_names() -> None:
    (row,) = series_json({"x": made(high=float("inf"))}, timed=True)["series"]
    assert {"name", "verdict", "growth", "low", "high", "shape", "reason"} <= set(row)
    assert row["high"] is None
