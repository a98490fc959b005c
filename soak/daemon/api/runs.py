"""Runs: ask for one, list them, look at one, stop it, have it go on, pin it, watch it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from soak.daemon import problems
from soak.daemon.api.house import LARGEST, PAGE, Before, House, Key, Limit, Number
from soak.daemon.events import Watched, events
from soak.daemon.job import Against, Job, JobState, Priority, ScenarioFile
from soak.daemon.job import Request as JobRequest
from soak.daemon.pages.visits import still_in
from soak.daemon.tokens import Caller

_MOST_OPEN = 1000
_EVENT_STREAM: problems.Answers = {200: {"content": {"text/event-stream": {}}}}


class Submission(BaseModel):
    """What is asked for."""

    model_config = ConfigDict(extra="forbid")

    scenario: ScenarioFile
    priority: Priority = 0
    against: Against = None


class Run(BaseModel):
    """A run: what was asked for and how it goes. Times are seconds since 1970 (UTC)."""

    id: Annotated[int, Field(description="its number")]
    state: Annotated[JobState, Field(description="how far it is")]
    scenario: Annotated[str, Field(description="a file of the scenarios folder")]
    name: Annotated[str, Field(description="the name of the scenario")]
    targets: Annotated[list[str], Field(description="HOST:PORT of the candidate, and of the reference")]
    priority: Annotated[int, Field(description="higher is sooner")]
    asked_by: Annotated[str, Field(description="name of the token, or of what asked in its place")]
    asked_at: Annotated[float, Field(description="when it was asked for")]
    started_at: Annotated[float | None, Field(description="when it was started")]
    ended_at: Annotated[float | None, Field(description="when it ended")]
    waits_for: Annotated[str | None, Field(description="why it is not running yet")]
    stopping: Annotated[bool, Field(description="its end was asked for")]
    run: Annotated[str | None, Field(description="the name of its run file, without .soak")]
    measured: Annotated[bool, Field(description="it has a run file: there is something to report")]
    verdict: Annotated[Literal["pass", "fail", "inconclusive", "invalid"] | None, Field(description="once it ended")]
    exit_code: Annotated[int | None, Field(description="as `soak run` would end")]
    reason: Annotated[str | None, Field(description="the headline of its verdict, or why it has none")]
    pinned: Annotated[bool, Field(description="its run file is kept")]
    baseline: Annotated[int | None, Field(description="the run that it is compared with")]
    resumed: Annotated[int, Field(description="how often it was taken up again after it was cut off")]
    resumable: Annotated[bool, Field(description="it ended before its time, and can be resumed")]


class Runs(BaseModel):
    """A page of runs, newest first. `next` is the `before` of the page after it."""

    runs: Annotated[list[Run], Field(description="newest first")]
    next: Annotated[int | None, Field(description="the `before` of the next page, if there is one")]


def view(house: House, job: Job) -> Run:
    """A job as the API shows it."""
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
        resumed=job.resumed,
        resumable=job.resumable and job.run_file is not None and job.run_file.is_file(),
    )


def add_runs(app: FastAPI, house: House) -> None:
    """The routes of runs, but for watching one."""

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
            house.note(request, "submit", job.id, wanted.scenario)
        response.status_code = 201 if new else 200
        response.headers["Location"] = f"/v1/runs/{job.id}"
        return view(house, job)

    @app.get("/v1/runs", tags=["runs"], responses=problems.refusals(422))
    async def list_runs(
        limit: Limit = PAGE,
        before: Before = None,
        state: Annotated[JobState | None, Query(description="only these")] = None,
        name: Annotated[str | None, Query(description="only those of the scenario of this name")] = None,
    ) -> Runs:
        """Runs, newest first, page by page."""
        found = house.state.page(limit + 1, before, state, name)
        more = len(found) > limit
        return Runs(runs=[view(house, j) for j in found[:limit]], next=found[limit - 1].id if more else None)

    @app.get("/v1/runs/{number}", tags=["runs"], responses=problems.refusals(404, 422))
    async def one_run(number: Number) -> Run:
        """One run."""
        return view(house, house.job(number))

    @app.post("/v1/runs/{number}/stop", status_code=202, tags=["runs"], responses=problems.refusals(404, 422))
    async def stop(number: Number, request: Request) -> Run:
        """End a run as Ctrl-C does: what was measured is judged. Asking again changes nothing."""
        job = house.job(number)
        house.supervisor.stop(job)
        if job.state != "ended" and job.stop_at is None:
            house.note(request, "stop", number)
        return view(house, house.job(number))

    @app.post("/v1/runs/{number}/resume", status_code=202, tags=["runs"], responses=problems.refusals(404, 409, 422))
    async def resume(number: Number, request: Request) -> Run:
        """Have a run go on in its run file that was cut off or interrupted. Asking again changes nothing."""
        job = house.job(number)
        if job.state == "ended":
            if not house.supervisor.resume(job):
                why = "it has come to its end" if view(house, job).measured else "it has no run file"
                raise HTTPException(409, f"run {number} cannot be resumed: {why}")
            house.note(request, "resume", number)
        return view(house, house.job(number))

    async def pin(number: Number, request: Request) -> Run:
        """Keep the run file, or no longer."""
        job, pinned = house.job(number), request.method == "PUT"
        if job.pinned != pinned:
            house.state.pin(number, pinned)
            house.note(request, "pin" if pinned else "unpin", number)
        return view(house, house.job(number))

    refused = problems.refusals(404, 422)
    app.put("/v1/runs/{number}/pin", tags=["runs"], operation_id="pin", responses=refused)(pin)
    app.delete("/v1/runs/{number}/pin", tags=["runs"], operation_id="unpin", responses=refused)(pin)


def add_watching(app: FastAPI, house: House) -> None:
    """The route that shows a run as it goes on."""

    @app.get(
        "/v1/runs/{number}/events",
        tags=["runs"],
        response_class=StreamingResponse,
        responses=problems.refusals(404, 422, 503, also=_EVENT_STREAM),
    )
    async def watch(
        number: Number,
        request: Request,
        last: Annotated[
            int,
            Header(alias="Last-Event-ID", ge=0, le=LARGEST, description="go on after this event; 0: from the start"),
        ] = 0,
    ) -> StreamingResponse:
        """The run as it goes on, until it has ended, as server-sent events: `run`, `line` and at last `end`."""
        house.job(number)
        house.watchers.refuse_more()
        caller: Caller = request.scope["caller"]

        def job_now() -> Job | None:
            return house.state.job(number) if still_in(house.state, caller, request.headers, house.clock()) else None

        return Watched(events(job_now, lambda j: view(house, j).model_dump_json(), last), house.watchers)
