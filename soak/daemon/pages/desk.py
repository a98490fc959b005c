"""What every page works with: the API, the state, and forms that are the daemon's own."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp

from soak.daemon.calendar import Schedule
from soak.daemon.events import Watchers
from soak.daemon.job import Job
from soak.daemon.pages.asking import Answer, ask
from soak.daemon.pages.views import Views
from soak.daemon.pages.visits import form_token
from soak.daemon.state import State

_LARGEST = 2**53


class House(Protocol):
    """What pages are told beside what the API answers. It may be told otherwise while the daemon runs."""

    @property
    def state(self) -> State:
        """Jobs, tokens and visits."""

    @property
    def clock(self) -> Callable[[], float]:
        """The time (s since 1970)."""

    @property
    def zone(self) -> ZoneInfo:
        """That of the schedules."""

    @property
    def watchers(self) -> Watchers:
        """How many watch now."""

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """What runs by itself."""


@dataclass(frozen=True, slots=True)
class Desk:
    """`api` is asked within the process."""

    api: ASGIApp
    house: House
    views: Views = field(default_factory=Views)

    @property
    def state(self) -> State:
        """Jobs, tokens and visits."""
        return self.house.state

    def clock(self) -> float:
        """The time (s since 1970)."""
        return self.house.clock()

    async def have(self, request: Request, path: str, **query: Any) -> Any:
        """What the API answers to a GET. Raises HTTPException where it refuses."""
        answer = await self.ask(request, "GET", path, **query)
        if not answer.ok:
            raise HTTPException(answer.status, answer.refusal)
        return answer.json

    async def ask(self, request: Request, method: str, path: str, body: Any = None, **query: Any) -> Answer:
        """What the API answers, or how it refuses."""
        return await ask(self.api, request, method, path, body, **query)

    def job(self, request: Request) -> Job:
        """The run that a page is about. Raises HTTPException."""
        job = self.state.job(number) if (number := request.path_params["number"]) <= _LARGEST else None
        if job is None:
            raise HTTPException(404, f"there is no run {number}")
        return job


async def form(request: Request) -> dict[str, str]:
    """What was filled in, the last of each name. Raises HTTPException for a form of anybody else's pages.

    Browsers tell the origin of every form; the guard has looked at it, and here it must be there.
    """
    try:
        found = parse_qs((await request.body()).decode(), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise HTTPException(400, "the form cannot be read") from None
    given = {name: values[-1] for name, values in found.items()}
    shown = given.pop("form_token", "").encode()
    if "origin" not in request.headers or not hmac.compare_digest(shown, form_token(request.headers).encode()):
        raise HTTPException(403, "this form is not of a page that is open now: go back, load it again, and repeat it")
    return given
