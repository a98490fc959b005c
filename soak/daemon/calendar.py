"""Runs by the calendar: what is due by a cron expression, in a time zone that is said.

    [[schedules]]
    name = "nightly"
    cron = "0 2 * * *"                # cron(8), as Debian's
    scenario = "checkout.yaml"
    against = "last_pass"

An occurrence is asked for with its own time as request key, so that it is one run however often the daemon is started
anew. One that was missed is made up for when it is not older than an hour; later the next one is soon enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from soak.daemon.job import Against, Job, Priority, ScenarioFile

ASKER = "calendar"
"""Who asks for what is due."""
MISSED_S = 3600.0


def _cron(text: str) -> str:
    try:
        CronSim(text, datetime(2026, 1, 1))
    except CronSimError as error:
        raise ValueError(f"expected five fields as of cron, such as '0 2 * * *', got {text!r} ({error})") from None
    return text


class Schedule(BaseModel):
    """One line of the calendar."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="its name in the calendar")]
    cron: Annotated[
        str, AfterValidator(_cron), Field(description="five fields as of cron: 0 2 * * * is 2:00 each night")
    ]
    scenario: ScenarioFile
    priority: Priority = 0
    against: Against = None


def due(schedule: Schedule, zone: ZoneInfo, since: float, now: float) -> float | None:
    """The last occurrence after `since`, if it is not longer ago than MISSED_S (all in s since 1970)."""
    last: float | None = None
    earliest = max(since, now - MISSED_S - 0.001)
    # forward: backwards CronSim leaves out what falls into the hour that there is twice
    for moment in CronSim(schedule.cron, datetime.fromtimestamp(min(earliest, now), zone)):
        if moment.timestamp() > now:
            break
        last = moment.timestamp()
    return last


def next_due(schedule: Schedule, zone: ZoneInfo, now: float) -> float:
    """The next occurrence (s since 1970)."""
    return next(CronSim(schedule.cron, datetime.fromtimestamp(now, zone))).timestamp()


def request_key(schedule: Schedule, occurrence: float) -> str:
    """What makes an occurrence one run."""
    return f"{keys_of(schedule)}{occurrence:.0f}"


def keys_of(schedule: Schedule) -> str:
    """How the request keys of all its occurrences begin."""
    return f"{schedule.name}@"


def still_waits(schedule: Schedule, open_jobs: Sequence[Job]) -> bool:
    """Whether an earlier occurrence is still queued: runs that cannot keep up do not pile up."""
    return any(
        j.state == "queued" and j.request.asked_by == ASKER and (j.request.key or "").startswith(keys_of(schedule))
        for j in open_jobs
    )
