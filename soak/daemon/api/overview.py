"""The calendar, the audit log, and whether the daemon does its work."""

from __future__ import annotations

from fastapi import FastAPI, Response
from pydantic import BaseModel

from soak.daemon import problems
from soak.daemon.api.house import PAGE, Before, House, Limit
from soak.daemon.calendar import next_due
from soak.daemon.state import Deed


class Occurrence(BaseModel):
    """A schedule, and when it is due next (seconds since 1970)."""

    name: str
    cron: str
    scenario: str
    next_at: float


class Calendar(BaseModel):
    """What runs by itself."""

    time_zone: str
    schedules: list[Occurrence]


class Entry(BaseModel):
    """One line of the audit log."""

    id: int
    at: float
    who: str
    address: str
    action: str
    run: int | None
    detail: str


class Audit(BaseModel):
    """A page of the audit log, newest first."""

    entries: list[Entry]
    next: int | None


class Health(BaseModel):
    """Whether the daemon does its work."""

    ok: bool
    reason: str | None = None


def add_health(app: FastAPI, house: House) -> None:
    """The routes that are open to everyone."""

    @app.get("/healthz", tags=["health"])
    async def alive() -> Health:
        """Whether the daemon answers; open to everyone."""
        return Health(ok=True)

    @app.get("/readyz", tags=["health"], responses={503: {"model": Health}})
    async def ready(response: Response) -> Health:
        """Whether runs are started; open to everyone."""
        ailing = "the daemon cannot do its work: its log says why" if house.ailing() else None
        reason = ailing or ("the disk is nearly full" if house.supervisor.held else None)
        response.status_code = 503 if reason else 200
        return Health(ok=reason is None, reason=reason)


def add_overview(app: FastAPI, house: House) -> None:
    """The routes of the calendar and the audit log."""

    @app.get("/v1/calendar", tags=["scenarios"], responses=problems.refusals())
    async def calendar() -> Calendar:
        """What runs by itself, and when next."""
        now = house.clock()
        return Calendar(
            time_zone=str(house.zone),
            schedules=[
                Occurrence(name=s.name, cron=s.cron, scenario=s.scenario, next_at=next_due(s, house.zone, now))
                for s in house.schedules
            ],
        )

    @app.get("/v1/audit", tags=["audit"], responses=problems.refusals(422))
    async def audit(limit: Limit = PAGE, before: Before = None) -> Audit:
        """Who did what, newest first; for admins."""
        found = house.state.deeds(limit + 1, before)
        more = len(found) > limit
        return Audit(entries=[_entry(d) for d in found[:limit]], next=found[limit - 1].id if more else None)


def _entry(deed: Deed) -> Entry:
    return Entry(
        id=deed.id,
        at=deed.at,
        who=deed.who,
        address=deed.address,
        action=deed.action,
        run=deed.job,
        detail=deed.detail,
    )
