"""One run as it is now: what it is, how it stands, and while it goes on what is measured.

    state      measurements    criteria, findings, verdict
    running    of the present  as of the run's last look
    lost       none            as of the run's last look
    ended      none            as they were at the end, until another run of the scenario begins

A measurement that is no longer taken goes stale at once: its last value would be read as the present one. What was held
of the run stays: an alert on it is not resolved by the mere end of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from soak.core.records import Recording
from soak.publish.judged import Document, tell_verdict
from soak.publish.measured import Measured, Stretch
from soak.publish.names import RESULTS, STATES
from soak.publish.page import Page

WINDOW_S = 60.0
"""Quantiles are of the last so many seconds."""
_LOST_S = 60.0
_LOST_LOOKS = 10

State = Literal["running", "ended", "lost"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What is held of a run: when it was judged (s since 1970), and by what document."""

    judged: float
    document: Document


def collect(page: Page, recording: Recording, standing: Standing | None, ended: bool, now: float) -> None:
    """Add one run. `ended`: its verdict is final; `now` is in seconds since 1970."""
    name = recording.scenario.name
    heartbeat = recording.wall(recording.duration)
    silent = max(_LOST_S, _LOST_LOOKS * max(recording.scenario.probe.every, recording.scenario.interval_s))
    state: State = "ended" if ended else "lost" if now - heartbeat > silent else "running"
    page.add("soak_run_info", [name, *_about(recording)], 1)
    page.choose("soak_run_state", [name], STATES, state)
    page.add("soak_run_start_timestamp_seconds", [name], recording.started)
    page.add("soak_run_heartbeat_timestamp_seconds", [name], heartbeat)
    verdict = standing.document["verdict"] if ended and standing is not None else None
    page.choose("soak_run_verdict", [name], RESULTS, verdict)
    if ended:
        page.add("soak_run_end_timestamp_seconds", [name], heartbeat)
    if standing is not None:
        page.add("soak_judged_timestamp_seconds", [name], standing.judged)
        if ended:
            page.add("soak_run_headline_info", [name, standing.document["headline"]], 1)
        tell_verdict(page, name, standing.document)
    if state == "running":
        measured = Measured(recording)
        measured.tell(page, present(recording))
        for what, count in measured.left_out.items():
            page.add("soak_left_out", [name, what], count)


def present(recording: Recording) -> Stretch:
    """The last minute of a run that goes on, without the newest interval: some worker may still owe it."""
    interval = recording.scenario.interval_s
    newest = max((y.start for s in recording.sides.values() for y in s.tallies), default=None)
    end = recording.duration
    if newest is not None and end - newest < max(30.0, 4 * interval):  # else the load is over
        end = newest
    return Stretch(max(0.0, end - WINDOW_S), end, recording.duration, 0.0)


def _about(recording: Recording) -> list[str]:
    provenance: Mapping[str, Any] = recording.provenance
    reference = "beside" if "reference" in recording.sides else "earlier" if recording.scenario.reference else ""
    return [recording.run, str(provenance.get("soak", "")), str(provenance.get("host", "")), reference]
