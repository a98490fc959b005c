"""All formats together: goldens, and runs of which little was recorded."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from soak.core.errors import SoakError
from soak.core.records import Recording, SideRecording
from soak.core.verdict import SideVerdict, Validity, Verdict
from soak.report import FORMATS, render
from tests.unit import report_making as made

GOLDEN = Path(__file__).parent.parent / "golden"
UPDATE = os.environ.get("SOAK_UPDATE_GOLDENS") == "1"
SUFFIXES = {"text": "txt", "json": "json", "junit": "xml", "markdown": "md"}


@pytest.mark.parametrize("case", ["fail", "pass"])
@pytest.mark.parametrize("view", SUFFIXES)
def test_reports_are_as_they_were_approved(view: str, case: str) -> None:
    """After a change that is meant: run with SOAK_UPDATE_GOLDENS=1, and read the diff."""
    run = (made.recording(), made.verdict()) if case == "fail" else (made.alone(), made.passed())
    shown = render(*run, view) + "\n"
    path = GOLDEN / f"report_{case}.{SUFFIXES[view]}"
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")


def test_there_is_no_other_format() -> None:
    assert FORMATS == ("text", "json", "html", "junit", "markdown")
    with pytest.raises(SoakError, match=r"pdf.*text, json, html, junit, markdown"):
        render(made.recording(), made.verdict(), "pdf")


def empty() -> tuple[Recording, Verdict]:
    """A run that ended before anything was measured."""
    nothing = SideRecording({}, (), {}, {}, None)
    recording = replace(
        made.recording(),
        phases=(),
        duration=0.0,
        finished=False,
        sides={"candidate": nothing},
        host={},
        events=(),
        provenance={},
    )
    side = SideVerdict((), Validity(0, 0, 0, 0, 0, 0, 0, ()), {}, {})
    verdict = made.verdict(
        verdict="inconclusive",
        headline="INCONCLUSIVE: the soak phase was not reached",
        reasons=("the soak phase was not reached",),
        interrupted=True,
        soak_s=0.0,
        criteria=(),
        candidate=side,
        reference=None,
        notes=(),
    )
    return recording, verdict


@pytest.mark.parametrize("view", FORMATS)
def test_a_run_of_nothing_is_still_reported(view: str) -> None:
    shown = render(*empty(), view)
    assert "the soak phase was not reached" in shown
    if view not in ("json",):
        assert "INCONCLUSIVE (interrupted)" in shown or view == "junit"


@pytest.mark.parametrize("view", FORMATS)
def test_a_view_is_a_function_of_recording_and_verdict_alone(view: str) -> None:
    recording, verdict = made.recording(), made.verdict()
    assert render(recording, verdict, view) == render(recording, verdict, view)
