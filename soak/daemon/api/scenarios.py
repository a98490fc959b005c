"""Scenarios: what can be asked for, and bringing one along where the admin allows it."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI
from pydantic import BaseModel

from soak.daemon import problems
from soak.daemon.api.house import House


class Scenarios(BaseModel):
    """What can be asked for."""

    scenarios: list[str]


def add_scenarios(app: FastAPI, house: House) -> None:
    """The routes of scenarios."""

    @app.get("/v1/scenarios", tags=["scenarios"], responses=problems.refusals())
    async def scenarios() -> Scenarios:
        """The scenarios that can be asked for."""
        return Scenarios(scenarios=await asyncio.to_thread(house.library.names))
