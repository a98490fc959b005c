"""The pages of many runs: all of them, the queue, and the calendar."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from cronsim import CronSim
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from soak.daemon.calendar import ASKER, Schedule, keys_of, next_due
from soak.daemon.job import MAX_PRIORITY, MIN_PRIORITY, JobState
from soak.daemon.pages.answers import page
from soak.daemon.pages.desk import Desk, form
from soak.daemon.queue import turn

_STATES = ("queued", "running", "ended")
_PAGE = 25
_RECENT = 500
_DAYS = 7
_MOST_COMING = 40


class Lists:
    """Runs at a glance."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def runs(self, request: Request) -> Response:
        """Runs and their verdicts, newest first."""
        asked = request.query_params
        state = asked["state"] if asked.get("state") in _STATES else ""
        before = asked["before"] if asked.get("before", "").isdecimal() else ""
        name = asked.get("name", "")
        found = await self._desk.have(request, "/v1/runs", limit=_PAGE, state=state, name=name, before=before)
        return page(
            request, "runs.html", runs=found["runs"], next=found["next"], state=state, name=name, before=before,
            states=_STATES, names=self._names(), now=self._desk.clock(),
        )  # fmt: skip

    async def queue(self, request: Request) -> Response:
        """What runs and what waits, and why; and the form that asks for a run."""
        chosen = {"scenario": request.query_params.get("scenario", ""), "priority": "0", "against": ""}
        return await self._queue(request, 200, chosen, "")

    async def submit(self, request: Request) -> Response:
        """Ask for a run."""
        given = await form(request)
        chosen = {name: given.get(name, "") for name in ("scenario", "priority", "against")}
        try:
            priority = int(chosen["priority"] or 0)
        except ValueError:
            return await self._queue(request, 422, chosen, f"the priority is a whole number, not {given['priority']!r}")
        wanted: dict[str, Any] = {"scenario": chosen["scenario"], "priority": priority}
        if chosen["against"]:
            wanted["against"] = chosen["against"]
        # a form that is sent twice asks for one run
        answer = await self._desk.ask(request, "POST", "/v1/runs", wanted, key=given.get("key") or secrets.token_hex(8))
        if not answer.ok:
            return await self._queue(request, answer.status, chosen, answer.refusal)
        return RedirectResponse(f"/runs/{answer.json['id']}", 303)

    async def calendar(self, request: Request) -> Response:
        """What runs by itself, and when."""
        now, zone = self._desk.clock(), self._desk.house.zone
        rows = [
            {
                "schedule": schedule,
                "words": CronSim(schedule.cron, datetime.now(zone)).explain(),
                "last": self._desk.state.last_asked(ASKER, keys_of(schedule)),
                "next": next_due(schedule, zone, now),
            }
            for schedule in self._desk.house.schedules
        ]
        return page(request, "calendar.html", rows=rows, days=self._coming(now), zone=zone, length=_DAYS)

    async def _queue(self, request: Request, status: int, chosen: dict[str, str], refused: str) -> Response:
        running, queued = [await all_in(self._desk, request, state) for state in ("running", "queued")]
        queued.sort(key=lambda run: turn(run["id"], run["priority"], cut_off=run["run"] is not None))
        scenarios = (await self._desk.have(request, "/v1/scenarios"))["scenarios"]
        return page(
            request, "queue.html", status, running=running, queued=queued, scenarios=scenarios, chosen=chosen,
            refused=refused, key=secrets.token_hex(16), least=MIN_PRIORITY, most=MAX_PRIORITY, now=self._desk.clock(),
        )  # fmt: skip

    def _names(self) -> list[str]:
        return sorted({job.request.name for job in self._desk.state.page(_RECENT)})

    def _coming(self, now: float) -> list[tuple[datetime, list[tuple[datetime, Schedule]]]]:
        """The next occurrences, by day."""
        here = datetime.fromtimestamp(now, self._desk.house.zone)
        end = here + timedelta(days=_DAYS)
        due = sorted(
            (
                (at, schedule)
                for schedule in self._desk.house.schedules
                for at in islice(CronSim(schedule.cron, here), _MOST_COMING)
                if at < end
            ),
            key=lambda pair: pair[0],
        )[:_MOST_COMING]
        days: dict[datetime, list[tuple[datetime, Schedule]]] = {}
        for at, schedule in due:
            days.setdefault(at.replace(hour=0, minute=0, second=0, microsecond=0), []).append((at, schedule))
        return list(days.items())


async def all_in(desk: Desk, request: Request, state: JobState) -> list[dict[str, Any]]:
    """All runs in a state, which the API gives page by page: those that are next stand on the last one."""
    found: list[dict[str, Any]] = []
    before: int | None = None
    while True:
        some = await desk.have(request, "/v1/runs", state=state, limit=_RECENT, before=before)
        found += some["runs"]
        before = some["next"]
        if before is None:
            return found
