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
from soak.core.verdict import RESULTS
from soak.publish.judged import Document, tell_verdict
from soak.publish.measured import Measured, Stretch
from soak.publish.names import PHASES, STATES
from soak.publish.page import Page

WINDOW_S = 60.0
"""Quantiles are of the last so many seconds."""
_LOST_S = 60.0
_LOST_LOOKS = 10
_LOADED_S = 30.0

State = Literal["running", "ended", "lost"]


@dataclass(frozen=True, slots=True)
class About:
    """Which run it is. `started` is in seconds since 1970."""

    scenario: str
    run: str
    started: float
    version: str = ""
    host: str = ""
    reference: str = ""

    @classmethod
    def of(cls, meta: Mapping[str, Any]) -> About:
        """What the facts in a run file tell."""
        provenance, scenario = meta.get("provenance") or {}, meta["scenario"]
        given = scenario.get("reference") or {}
        reference = ("earlier" if "run" in given or "runs" in given else "beside") if given else ""
        version, host = (str(provenance.get(key, "")) for key in ("soak", "host"))
        return cls(str(scenario["name"]), str(meta["run"]), float(meta["started"]), version, host, reference)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is held of a run: when it was judged (s since 1970), and by what document."""

    judged: float
    document: Document


def tell_run(page: Page, about: About, state: State, heartbeat: float) -> None:
    """Add which run it is, and whether it goes on. `heartbeat` is when it was last heard of (s since 1970)."""
    name = about.scenario
    page.add("soak_run_info", [name, about.run, about.version, about.host, about.reference], 1)
    page.choose("soak_run_state", [name], STATES, state)
    page.add("soak_run_start_timestamp_seconds", [name], about.started)
    page.add("soak_run_heartbeat_timestamp_seconds", [name], heartbeat)
    if state != "running":  # else what was measured tells it
        page.choose("soak_run_phase", [name], PHASES, "end" if state == "ended" else None)


def tell_end(page: Page, scenario: str, ended: float, verdict: str | None, headline: str) -> None:
    """Add how a run ended, and when (s since 1970)."""
    page.add("soak_run_end_timestamp_seconds", [scenario], ended)
    page.choose("soak_run_verdict", [scenario], RESULTS, verdict)
    if headline:
        page.add("soak_run_headline_info", [scenario, headline], 1)


def tell_standing(page: Page, scenario: str, standing: Standing) -> None:
    """Add what is held of a run."""
    page.add("soak_judged_timestamp_seconds", [scenario], standing.judged)
    tell_verdict(page, scenario, standing.document)


def tell_present(page: Page, about: About, recording: Recording, now: float) -> None:
    """Add a run that nobody has ended, as it is `now` (s since 1970): nothing that was measured, if it is silent."""
    heartbeat = recording.wall(recording.duration)
    silent = max(_LOST_S, _LOST_LOOKS * max(recording.scenario.probe.every, recording.scenario.interval_s))
    lost = now - heartbeat > silent
    if not lost:
        measured = Measured(recording)
        measured.tell(page, present(recording))
        for what, count in measured.left_out.items():
            page.add("soak_left_out", [about.scenario, what], count)
    tell_run(page, about, "lost" if lost else "running", heartbeat)
    page.choose("soak_run_verdict", [about.scenario], RESULTS, None)


def present(recording: Recording) -> Stretch:
    """The last minute of a run that goes on, without the newest interval: some worker may still owe it."""
    interval = recording.scenario.interval_s
    newest = max((y.start for s in recording.sides.values() for y in s.tallies), default=None)
    now = recording.duration
    if newest is None or now - newest > max(_LOADED_S, 4 * interval):  # there is no load: nothing is answered
        return Stretch(now, now, now, 0.0)
    return Stretch(max(recording.load_start or 0.0, newest - WINDOW_S), newest, now, 0.0)
