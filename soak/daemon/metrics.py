"""`/metrics`: the daemon's own state, its live runs, and the last run of each scenario that has ended.

Pages are made by a child of its own, which is started by the first scrape: the daemon reads no run file for them, and a
page that cannot be made takes nothing with it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response

from soak import __version__
from soak.core.verdict import RESULTS
from soak.daemon import problems
from soak.daemon.job import Job
from soak.daemon.process import verdict_path
from soak.daemon.state import State

_MAKING_S = 30.0
_LINE_BYTES = 64 * 1024
_MOST = 200
"""Scenarios of which the last verdict is told."""
Own = tuple[str, list[str], float | None]


class Pages:
    """The child that makes pages: one at a time, started anew when it is gone."""

    def __init__(self) -> None:
        self._child: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def make(self, runs: Sequence[dict[str, Any]], own: Sequence[Own], accept: str) -> tuple[bytes, str]:
        """A page and its content type. Raises OSError when it cannot be made in time."""
        line = json.dumps({"accept": accept, "runs": runs, "own": own}).encode() + b"\n"
        async with self._turn:
            child = await self._alive()
            assert child.stdin is not None
            assert child.stdout is not None
            try:
                async with asyncio.timeout(_MAKING_S):
                    child.stdin.write(line)
                    await child.stdin.drain()
                    head = json.loads(await child.stdout.readline() or b"null")
                    if head is None:
                        raise OSError("the process that makes them ended")
                    return await child.stdout.readexactly(head["bytes"]), head["type"]
            except BaseException as error:
                self._child = None
                if child.returncode is None:  # what it says next would be the answer to another question
                    child.kill()
                await child.wait()
                if isinstance(error, (TimeoutError, ConnectionError, EOFError, ValueError)):
                    raise OSError(f"they were not made: {type(error).__name__}") from None
                raise

    async def _alive(self) -> asyncio.subprocess.Process:
        if self._child is None or self._child.returncode is not None:
            self._child = await asyncio.create_subprocess_exec(
                "nice", sys.executable, "-P", "-m", "soak.publish",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
                limit=_LINE_BYTES,
            )  # fmt: skip
        return self._child


def add_metrics(app: FastAPI, state: State, ready: Callable[[], bool], looked: Callable[[], float]) -> None:
    """The route. `ready`: whether runs are started; `looked`: when the supervisor last did its work (s since 1970)."""
    pages = Pages()

    @app.get(
        "/metrics",
        tags=["health"],
        response_class=Response,
        responses=problems.refusals(503, also={200: {"content": {"text/plain": {}}}}),
    )
    async def metrics(request: Request) -> Response:
        """The daemon, its live runs and the last run of each scenario, for Prometheus."""
        open_jobs = state.open_jobs()
        running = [j for j in reversed(open_jobs) if j.state == "running" and j.run_file and not j.request.uploaded]
        going = {j.request.name for j in running if j.run_file is not None and j.run_file.is_file()}
        last = state.last_judged(_MOST)
        runs = [live_run(j) for j in running if j.request.name in going]
        runs += [ended_run(j) for j in last if j.request.name not in going]
        own = [*_own(open_jobs, ready(), looked()), *verdicts(last)]
        try:
            body, kind = await pages.make(runs, own, request.headers.get("accept", ""))
        except OSError as error:
            raise HTTPException(503, f"no metrics: {error}") from None
        return Response(body, headers={"Content-Type": kind})


def verdicts(last: Sequence[Job]) -> list[Own]:
    """How the last run of each scenario ended, also while the next one goes on."""
    return [
        *(("soak_last_verdict", [j.request.name, r], float(j.verdict == r)) for j in last for r in RESULTS),
        *(("soak_last_verdict_timestamp_seconds", [j.request.name], j.ended_at) for j in last),
    ]


def live_run(job: Job) -> dict[str, Any]:
    """What the child is told of a run that goes on."""
    return {"path": str(job.run_file), "scenario": job.request.name, "document": None}


def ended_run(job: Job) -> dict[str, Any]:
    """What it is told of one that has ended."""
    measured = job.run_file is not None and job.run_file.is_file()
    return {
        "path": str(job.run_file) if measured else None,
        "scenario": job.request.name,
        "started": job.started_at or job.asked_at,
        "ended": job.ended_at,
        "verdict": job.verdict,
        "headline": job.reason or "",
        "document": str(verdict_path(job.run_file)) if measured and job.run_file is not None else None,
    }


def _own(open_jobs: Sequence[Job], ready: bool, looked: float) -> list[Own]:
    queued = [j.asked_at for j in open_jobs if j.state == "queued"]
    return [
        ("soak_daemon_info", [__version__], 1),
        ("soak_daemon_heartbeat_timestamp_seconds", [], looked),
        ("soak_daemon_ready", [], float(ready)),
        ("soak_daemon_runs", ["queued"], len(queued)),
        ("soak_daemon_runs", ["running"], len(open_jobs) - len(queued)),
        ("soak_daemon_oldest_queued_timestamp_seconds", [], min(queued, default=None)),
    ]
