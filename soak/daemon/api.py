"""The API: ask for runs, list them, watch one, stop it, have its verdict and its report, pin it.

    POST /v1/runs                  GET /v1/runs            GET /v1/runs/{number}
    GET  /v1/runs/{number}/events  POST .../stop           GET .../verdict   GET .../report   PUT, DELETE .../pin
    GET  /v1/scenarios   GET /v1/calendar   GET /v1/audit           GET /healthz      GET /readyz      GET /openapi.json

Handlers run on the daemon's one event loop, where the state is used too; whatever takes long is done elsewhere.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import Depends, FastAPI, Header, HTTPException, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp

from soak import __version__
from soak.core.errors import SoakError
from soak.daemon import problems
from soak.daemon.calendar import Schedule, next_due
from soak.daemon.events import events
from soak.daemon.guard import Guard
from soak.daemon.job import MAX_PRIORITY, MIN_PRIORITY, Job, JobState
from soak.daemon.job import Request as JobRequest
from soak.daemon.library import Library
from soak.daemon.metrics import add_metrics
from soak.daemon.process import verdict_path
from soak.daemon.reports import MEDIA, Reports
from soak.daemon.state import Deed, State
from soak.daemon.supervise import Supervisor
from soak.daemon.tokens import Caller

_MOST_OPEN = 1000
_MOST_WATCHERS = 256
_PAGE, _MOST_PAGE = 50, 500
_LARGEST = 2**53
_EVENT_STREAM: problems.Answers = {200: {"content": {"text/event-stream": {}}}}
_REPORTS: problems.Answers = {200: {"content": {kind.partition(";")[0]: {} for kind in MEDIA.values()}}}
_PAGE_POLICY = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
)
"""A report is one page with all it needs in it. It may not be anything to the API that it came from."""


class Submission(BaseModel):
    """What is asked for."""

    model_config = ConfigDict(extra="forbid")

    scenario: Annotated[str, Field(min_length=1, max_length=500, description="a file of the scenarios folder")]
    priority: Annotated[int, Field(ge=MIN_PRIORITY, le=MAX_PRIORITY, description="higher is sooner")] = 0
    against: Annotated[
        Literal["last_pass"] | None, Field(description="compare it with the last run of this scenario that passed")
    ] = None


class Run(BaseModel):
    """A run: what was asked for and how it goes. Times are seconds since 1970 (UTC)."""

    id: int
    state: JobState
    scenario: str
    name: str
    targets: list[str]
    priority: int
    asked_by: str
    asked_at: float
    started_at: float | None
    ended_at: float | None
    waits_for: Annotated[str | None, Field(description="why it is not running yet")]
    stopping: Annotated[bool, Field(description="its end was asked for")]
    run: Annotated[str | None, Field(description="the name of its run file, without .soak")]
    measured: Annotated[bool, Field(description="it has a run file: there is something to report")]
    verdict: Annotated[Literal["pass", "fail", "inconclusive", "invalid"] | None, Field(description="once it ended")]
    exit_code: Annotated[int | None, Field(description="as `soak run` would end")]
    reason: Annotated[str | None, Field(description="the headline of its verdict, or why it has none")]
    pinned: bool
    baseline: Annotated[int | None, Field(description="the run that it is compared with")]


class Runs(BaseModel):
    """A page of runs, newest first. `next` is the `before` of the page after it."""

    runs: list[Run]
    next: int | None


class Scenarios(BaseModel):
    """What can be asked for."""

    scenarios: list[str]


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


@dataclass(frozen=True, slots=True)
class House:
    """All that the API speaks for. `ailing` tells what keeps the supervisor from its work, if anything."""

    state: State
    supervisor: Supervisor
    library: Library
    schedules: tuple[Schedule, ...]
    zone: ZoneInfo
    clock: Callable[[], float]
    ailing: Callable[[], str | None]


Number = Annotated[int, Path(ge=1, le=_LARGEST, description="the number of a run")]
Before = Annotated[int | None, Query(ge=1, le=_LARGEST, description="only what is older than this number")]
Limit = Annotated[int, Query(ge=1, le=_MOST_PAGE)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]


def application(house: House, rate: float, say: Callable[[str], None]) -> ASGIApp:
    """The web application. `rate` is how often each caller may ask (1/s); `say` hears of whoever was refused."""
    bearer = Depends(HTTPBearer(auto_error=False))  # for the OpenAPI document: the guard has looked already
    app = FastAPI(
        title="soak serve", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False,
        dependencies=[bearer], responses={"default": {"model": problems.Problem}},
    )  # fmt: skip
    problems.install(app)
    _add_health(app, house)
    _add_runs(app, house)
    _add_watching(app, house)
    _add_results(app, house)
    _add_overview(app, house)
    starts = lambda: house.ailing() is None and house.supervisor.held is None  # noqa: E731
    add_metrics(app, house.state, starts, lambda: house.supervisor.looked)
    return Guard(app, house.state, rate, lambda address: say(f"a request from {address} without a valid token"))


def _view(house: House, job: Job) -> Run:
    asked = job.request
    return Run(
        id=job.id,
        state=job.state,
        scenario=asked.scenario,
        name=asked.name,
        targets=list(asked.targets),
        priority=asked.priority,
        asked_by=asked.asked_by,
        asked_at=job.asked_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        waits_for=house.supervisor.waits_for(job),
        stopping=job.stop_at is not None and job.state != "ended",
        run=job.run_file.stem if job.run_file is not None else None,
        measured=job.run_file is not None and job.run_file.is_file(),
        verdict=job.verdict,
        exit_code=job.exit_code,
        reason=job.reason,
        pinned=job.pinned,
        baseline=job.baseline,
    )


def _job(house: House, number: int) -> Job:
    job = house.state.job(number)
    if job is None:
        raise HTTPException(404, f"there is no run {number}")
    return job


def _note(house: House, request: Request, action: str, job: int, detail: str = "") -> None:
    caller: Caller = request.scope["caller"]
    address = request.client.host if request.client is not None else "?"
    house.state.note(house.clock(), caller.name, address, action, job, detail)


def _add_health(app: FastAPI, house: House) -> None:
    @app.get("/healthz", tags=["health"])
    async def alive() -> Health:
        """Whether the daemon answers; open to everyone."""
        return Health(ok=True)

    @app.get("/readyz", tags=["health"], responses={503: {"model": Health}})
    async def ready(response: Response) -> Health:
        """Whether runs are started; open to everyone."""
        reason = house.ailing() or ("the disk is nearly full" if house.supervisor.held else None)
        response.status_code = 503 if reason else 200
        return Health(ok=reason is None, reason=reason)


def _add_runs(app: FastAPI, house: House) -> None:
    @app.post(
        "/v1/runs", status_code=201, tags=["runs"], responses=problems.refusals(422, 503, also={200: {"model": Run}})
    )
    async def submit(wanted: Submission, request: Request, response: Response, key: Key = None) -> Run:
        """Ask for a run. The same Idempotency-Key again is the same run, however often it is sent."""
        caller: Caller = request.scope["caller"]
        before = house.state.asked(caller.name, key) if key is not None else None
        if before is None:
            if len(house.state.open_jobs()) >= _MOST_OPEN:
                raise HTTPException(503, f"{_MOST_OPEN} runs are queued already")
            chosen = await asyncio.to_thread(house.library.choose, wanted.scenario, wanted.against)
            name, targets = chosen.name, chosen.targets
        else:  # the scenario may have changed or gone since: that is no matter of this request
            name, targets = before.request.name, before.request.targets
        asked = JobRequest(wanted.scenario, name, targets, caller.name, wanted.priority, key, wanted.against)
        job, new = house.state.add(asked, house.clock())
        if new:
            _note(house, request, "submit", job.id, wanted.scenario)
        response.status_code = 201 if new else 200
        response.headers["Location"] = f"/v1/runs/{job.id}"
        return _view(house, job)

    @app.get("/v1/runs", tags=["runs"], responses=problems.refusals(422))
    async def list_runs(
        limit: Limit = _PAGE, before: Before = None, state: JobState | None = None, name: str | None = None
    ) -> Runs:
        """Runs, newest first, page by page."""
        found = house.state.page(limit + 1, before, state, name)
        more = len(found) > limit
        return Runs(runs=[_view(house, j) for j in found[:limit]], next=found[limit - 1].id if more else None)

    @app.get("/v1/runs/{number}", tags=["runs"], responses=problems.refusals(404, 422))
    async def one_run(number: Number) -> Run:
        """One run."""
        return _view(house, _job(house, number))

    @app.post("/v1/runs/{number}/stop", status_code=202, tags=["runs"], responses=problems.refusals(404, 422))
    async def stop(number: Number, request: Request) -> Run:
        """End a run as Ctrl-C does: what was measured is judged. Asking again changes nothing."""
        job = _job(house, number)
        house.supervisor.stop(job)
        if job.state != "ended" and job.stop_at is None:
            _note(house, request, "stop", number)
        return _view(house, _job(house, number))

    async def pin(number: Number, request: Request) -> Run:
        """Keep the run file, or no longer."""
        job, pinned = _job(house, number), request.method == "PUT"
        if job.pinned != pinned:
            house.state.pin(number, pinned)
            _note(house, request, "pin" if pinned else "unpin", number)
        return _view(house, _job(house, number))

    refused = problems.refusals(404, 422)
    app.put("/v1/runs/{number}/pin", tags=["runs"], operation_id="pin", responses=refused)(pin)
    app.delete("/v1/runs/{number}/pin", tags=["runs"], operation_id="unpin", responses=refused)(pin)


def _add_watching(app: FastAPI, house: House) -> None:
    watchers = [0]

    @app.get(
        "/v1/runs/{number}/events",
        tags=["runs"],
        response_class=StreamingResponse,
        responses=problems.refusals(404, 422, 503, also=_EVENT_STREAM),
    )
    async def watch(
        number: Number, last: Annotated[int, Header(alias="Last-Event-ID", ge=0, le=_LARGEST)] = 0
    ) -> StreamingResponse:
        """The run as it goes on, until it has ended, as server-sent events: `run`, `line` and at last `end`."""
        _job(house, number)
        if watchers[0] >= _MOST_WATCHERS:
            raise HTTPException(503, f"{_MOST_WATCHERS} watch already")

        async def stream() -> AsyncIterator[str]:
            watchers[0] += 1
            try:
                shown = events(lambda: house.state.job(number), lambda j: _view(house, j).model_dump_json(), last)
                async for event in shown:
                    yield event
            finally:
                watchers[0] -= 1

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)


def _add_results(app: FastAPI, house: House) -> None:
    reports = Reports()

    @app.get("/v1/runs/{number}/verdict", tags=["results"], responses=problems.refusals(404, 409, 422))
    async def verdict(number: Number) -> dict[str, Any]:
        """The verdict of a run that has ended: a `soak.verdict/1` document."""
        job = _job(house, number)
        if job.state != "ended":
            raise HTTPException(409, f"run {number} is {job.state}: it has no verdict yet")
        try:
            text = await asyncio.to_thread(verdict_path(job.run_file).read_text) if job.run_file is not None else ""
            found: dict[str, Any] = json.loads(text)
        except (OSError, ValueError):
            raise HTTPException(404, f"run {number} left no verdict: {job.reason}") from None
        return found

    @app.get(
        "/v1/runs/{number}/report",
        tags=["results"],
        response_class=Response,
        responses=problems.refusals(404, 422, also=_REPORTS),
    )
    async def report(
        number: Number, view: Annotated[Literal["html", "json", "junit", "markdown", "text"], Query(alias="format")]
    ) -> Response:
        """The report of a run, in one of the formats of `soak report`; of one that goes on, as it is now."""
        job = _job(house, number)
        if job.run_file is None or not job.run_file.is_file():
            raise HTTPException(404, f"run {number} has no run file" + (f": {job.reason}" if job.reason else ""))
        try:
            content = await reports.make(job.run_file, view)
        except SoakError as error:
            raise HTTPException(404, str(error)) from None
        headers = {"Content-Security-Policy": _PAGE_POLICY, "X-Content-Type-Options": "nosniff"}
        return Response(content, media_type=MEDIA[view], headers=headers)


def _add_overview(app: FastAPI, house: House) -> None:
    @app.get("/v1/scenarios", tags=["scenarios"], responses=problems.refusals())
    async def scenarios() -> Scenarios:
        """The scenarios that can be asked for."""
        return Scenarios(scenarios=await asyncio.to_thread(house.library.names))

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
    async def audit(limit: Limit = _PAGE, before: Before = None) -> Audit:
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
