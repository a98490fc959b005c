"""What looks from inside add to a report: hot paths, and who allocates."""

from __future__ import annotations

from typing import Any

import pytest

from soak.core.records import Event
from soak.judge import judge
from soak.report import FORMATS, render, tables
from tests.making import recording


def site(function: str, line: int, file: str = "/srv/shop.py", **numbers: float) -> dict[str, Any]:
    return {"function": function, "file": file, "line": line, **numbers}


def look(at: float, size: float, functions: list[dict[str, Any]] | None = None) -> Event:
    """A window of 2 s, in which 200 requests were done."""
    own = {"file": "/x/soak/agent/window.py"}
    data = {
        "pid": 4711,
        "why": "planned",
        "from": at,
        "to": at + 2.5,
        "hot": {"samples": 400, "functions": functions or []},
        "calls": {"rates": [["/srv/shop.py", "find", 7, 5000.0]], "threads": "all", "counted_s": 0.25},
        "window": {"from": at, "to": at + 2.0, "tracked_s": 2.0, "taken_s": 2.0, "objects": True},
        "allocations": {
            "count": 20_000,
            "bytes": 4_000 * 1024.0,
            "by_bytes": [site("keep", 12, size=size), site("take", 3, size=9e6, **own)],
            "by_count": [site("keep", 12, count=600)],
            "held": [site("keep", 12, size=100 * 1024.0, count=200), site("other", 1, size=100 * 1024.0, count=1)],
        },
    }
    return Event(at, "inspection", "candidate", "looked", data)


MADE = recording(events=(look(20, 200 * 1024.0), look(120, 400 * 1024.0)))


def test_who_allocates_is_told_for_each_request_against_the_first_window() -> None:
    everything, keep = tables.site_rows(MADE)
    assert (everything.place, everything.bytes, everything.allocations) == ("all places", "20 KiB", "100")
    assert everything.stays == "1 KiB"
    assert (keep.place, keep.bytes, keep.before) == ("srv/shop.py:12 (keep)", "2 KiB", "1 KiB")
    assert (keep.allocations, keep.stays) == ("3", "512 B")


def test_one_window_has_nothing_to_be_held_against() -> None:
    rows = tables.site_rows(recording(events=(look(20, 200 * 1024.0),)))
    assert [r.before for r in rows] == ["", ""]


def test_no_window_no_table() -> None:
    assert tables.site_rows(recording()) == []
    assert "ALLOCATIONS" not in render(recording(), judge(recording()), "text")


@pytest.mark.parametrize("view", [v for v in FORMATS if v in ("text", "html", "markdown")])
def test_every_view_for_people_has_both(view: str) -> None:
    shown = render(MADE, judge(MADE), view)
    assert "shop.py:12 (keep)" in shown
    assert "shop.py:7 (find)" in shown
    assert "5,000/s" in shown
