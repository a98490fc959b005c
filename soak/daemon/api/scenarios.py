"""Scenarios: what can be asked for, and bringing one along where the admin allows it."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel

from soak.daemon import problems
from soak.daemon.api.house import House
from soak.daemon.job import target_key


class Scenarios(BaseModel):
    """What can be asked for."""

    scenarios: list[str]


class Uploaded(BaseModel):
    """A scenario that was brought along: `scenario` is what to ask for in `POST /v1/runs`."""

    scenario: str
    name: str
    targets: list[str]


_YAML: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/yaml": {"schema": {"type": "string"}}}}
}


def add_scenarios(app: FastAPI, house: House) -> None:
    """The routes of scenarios."""
    turn = asyncio.Lock()

    @app.get("/v1/scenarios", tags=["scenarios"], responses=problems.refusals())
    async def scenarios() -> Scenarios:
        """The scenarios that can be asked for."""
        return Scenarios(scenarios=await asyncio.to_thread(house.library.names))

    @app.post(
        "/v1/scenarios", status_code=201, tags=["scenarios"], responses=problems.refusals(422), openapi_extra=_YAML
    )
    async def upload(request: Request) -> Uploaded:
        """Bring a scenario along (YAML), where the admin allows it: one that reads, starts and watches nothing."""
        uploads = house.library.uploads
        if uploads is None:
            raise HTTPException(403, "this daemon takes no scenarios: its admin has not allowed uploads")
        in_use = {job.request.scenario for job in house.state.open_jobs()}
        content = await request.body()
        async with turn:  # two that write the same file, or make room at once, would be in each other's way
            name, scenario = await asyncio.to_thread(uploads.keep, content, in_use)
        house.note(request, "upload", None, f"{name} ({scenario.name})")
        return Uploaded(
            scenario=name, name=scenario.name, targets=sorted({target_key(t) for t in scenario.sides.values()})
        )
