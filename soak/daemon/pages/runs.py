"""The pages of one run, live, and of two runs against each other."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from soak.core.errors import SoakError
from soak.daemon.events import Watched, events
from soak.daemon.job import Job
from soak.daemon.pages import visits
from soak.daemon.pages.answers import SAFE, page
from soak.daemon.pages.desk import Desk, form
from soak.daemon.pages.static import own_styles
from soak.daemon.pages.views import View
from soak.daemon.process import log_path

_DEEDS = {"stop": ("POST", "stop"), "resume": ("POST", "resume"), "pin": ("PUT", "pin"), "unpin": ("DELETE", "pin")}
_TAIL = 16 * 1024
_LAST = 100
_SOON_S = 3
"""A run that has just begun has nothing to show yet."""


class Runs:
    """One run, or two."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, request: Request) -> Response:
        """One run. What it measured comes with `view`, what it says with `watch`."""
        job = self._desk.job(request)
        run = await self._desk.have(request, f"/v1/runs/{job.id}")
        base = self._desk.state.job(job.baseline) if job.baseline is not None else None
        return page(request, "run.html", run=run, base=base, now=self._desk.clock(), plotly_styles=own_styles())

    async def named(self, request: Request) -> Response:
        """The same by what the run is called in reports, alerts and series: who is told of it knows no number."""
        name = request.path_params["name"]
        for job in self._desk.state.with_files():
            if job.run_file is not None and job.run_file.stem == name:
                return RedirectResponse(f"/runs/{job.id}", 303)
        raise HTTPException(404, f"there is no run {name}")

    async def do(self, request: Request) -> Response:
        """Stop, pin, unpin or resume it."""
        await form(request)
        number, deed = request.path_params["number"], request.path_params["deed"]
        if deed not in _DEEDS:
            raise HTTPException(404, f"a run cannot be told to {deed}")
        method, name = _DEEDS[deed]
        answer = await self._desk.ask(request, method, f"/v1/runs/{number}/{name}")
        if not answer.ok:
            raise HTTPException(answer.status, answer.refusal)
        return RedirectResponse(f"/runs/{number}", 303)

    async def view(self, request: Request) -> Response:
        """What it measured, as JSON for live.js: the report so far, or as it ended."""
        job = self._desk.job(request)
        going_on = job.state == "running"
        try:
            view = await self._desk.views.of_run(_file(job), going_on=going_on)
        except SoakError as error:
            return _nothing(str(error), job)
        headers = {"ETag": f'"{view.version}"', "Cache-Control": "no-store", "Vary": "Accept-Encoding"} | SAFE
        if going_on:
            headers["Refresh-After"] = f"{max(1.0, view.again):.0f}"
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(view.packed, media_type="application/json", headers=headers | {"Content-Encoding": "gzip"})
        return Response(gzip.decompress(view.packed), media_type="application/json", headers=headers)

    async def watch(self, request: Request) -> Response:
        """What it says and when its state changes, as server-sent events, from the last lines on."""
        job = self._desk.job(request)
        self._desk.house.watchers.refuse_more()
        last = request.headers.get("last-event-id", "")
        after = int(last) if last.isdecimal() and len(last) < 16 else _tail(job)

        def now() -> Job | None:
            let_in = visits.still_in(self._desk.state, request.scope["caller"], request.headers, self._desk.clock())
            return self._desk.state.job(job.id) if let_in else None

        return Watched(events(now, _state, after), self._desk.house.watchers, SAFE)

    async def compare(self, request: Request) -> Response:
        """Two runs: which, and what became of the one against the other."""
        found = (await self._desk.have(request, "/v1/runs", state="ended", limit=_LAST))["runs"]
        choices = [run for run in found if run["measured"]]
        new, old = (self._chosen(request.query_params.get(name, "")) for name in ("new", "old"))
        shown, refused = Markup(""), ""
        if new is not None and old is not None:
            try:
                # what the process made is escaped there, as the report is
                shown = Markup(_content(await self._desk.views.compared(_file(new), _file(old)))["html"])
            except SoakError as error:
                refused = str(error)
        for job in (new, old):
            if job is not None and all(run["id"] != job.id for run in choices):
                choices.append(await self._desk.have(request, f"/v1/runs/{job.id}"))
        return page(request, "compare.html", choices=choices, new=new, old=old, shown=shown, refused=refused)

    def _chosen(self, number: str) -> Job | None:
        if not number.isdecimal() or len(number) > 15:
            return None
        return self._desk.state.job(int(number))


def _file(job: Job) -> Path:
    if job.run_file is None:
        raise SoakError(f"run {job.id} has no run file")
    return job.run_file


def _content(view: View) -> Any:
    return json.loads(gzip.decompress(view.packed))


def _state(job: Job) -> str:
    return json.dumps([job.state, job.verdict, job.stop_at is not None, job.pinned])


def _nothing(why: str, job: Job) -> Response:
    """There is no view: not yet, or no longer."""
    headers = {"Cache-Control": "no-store"} | SAFE
    if job.state != "ended":
        headers["Refresh-After"] = str(_SOON_S)
    told = {"why": why if job.state == "ended" else ""}
    return Response(
        json.dumps(told), 404 if job.state == "ended" else 202, media_type="application/json", headers=headers
    )


def _tail(job: Job) -> int:
    """Where the last lines of its log begin (bytes)."""
    if job.run_file is None:
        return 0
    try:
        with log_path(job.run_file).open("rb") as file:
            start = max(0, file.seek(0, 2) - _TAIL)
            file.seek(start)
            return start + (len(file.readline()) if start else 0)
    except OSError:
        return 0
