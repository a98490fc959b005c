"""What became of runs: verdicts, reports, and one run held against another."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Query, Response
from fastapi.responses import FileResponse

from soak.core.errors import SoakError
from soak.daemon import problems
from soak.daemon.api.house import LARGEST, House, Number
from soak.daemon.making import BusyError
from soak.daemon.process import verdict_path
from soak.daemon.reports import MEDIA, Reports, page_of

_REPORTS: problems.Answers = {200: {"content": {kind.partition(";")[0]: {} for kind in MEDIA.values()}}}
_PAGE_POLICY = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
)
"""A report is one page with all it needs in it. It may not be anything to the API that it came from."""


Side = Annotated[int, Query(ge=1, le=LARGEST, description="the number of a run")]


def add_results(app: FastAPI, house: House) -> None:
    """The routes of what became of runs."""
    reports = Reports()

    @app.get("/v1/runs/{number}/verdict", tags=["results"], responses=problems.refusals(404, 409, 422))
    async def verdict(number: Number) -> dict[str, Any]:
        """The verdict of a run that has ended: a `soak.verdict/1` document."""
        job = house.job(number)
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
        number: Number,
        view: Annotated[
            Literal["html", "json", "junit", "markdown", "text"], Query(alias="format", description="for whom")
        ],
    ) -> Response:
        """The report of a run, in one of the formats of `soak report`; of one that goes on, as it is now."""
        job = house.job(number)
        if job.run_file is None or not job.run_file.is_file():
            raise HTTPException(404, f"run {number} has no run file" + (f": {job.reason}" if job.reason else ""))
        headers = {"Content-Security-Policy": _PAGE_POLICY, "X-Content-Type-Options": "nosniff"}
        if view == "html" and (page := page_of(job.run_file)) is not None:
            return FileResponse(page, media_type=MEDIA[view], headers=headers)
        try:
            content = await reports.make(job.run_file, view)
        except BusyError:
            raise
        except SoakError as error:
            raise HTTPException(404, str(error)) from None
        return Response(content, media_type=MEDIA[view], headers=headers)

    @app.get("/v1/compare", tags=["results"], responses=problems.refusals(404, 409, 422))
    async def compare(candidate: Side, reference: Side) -> dict[str, Any]:
        """What `soak compare CANDIDATE REFERENCE --json` says of two runs that have ended."""
        files = []
        for number in (candidate, reference):
            job = house.job(number)
            if job.state != "ended" or job.run_file is None or not job.run_file.is_file():
                why = f"it is {job.state}" if job.state != "ended" else "it has no run file"
                raise HTTPException(409, f"run {number} cannot be compared: {why}")
            files.append(job.run_file)
        try:
            found: dict[str, Any] = json.loads(await reports.compare(files[0], files[1]))
        except BusyError:
            raise
        except SoakError as error:
            raise HTTPException(409, str(error)) from None
        return found
