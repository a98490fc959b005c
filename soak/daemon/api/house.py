"""What every route of the API shares: what it speaks for, and the parameters of requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Header, HTTPException, Path, Query, Request

from soak.daemon.calendar import Schedule
from soak.daemon.events import Watchers
from soak.daemon.job import Job
from soak.daemon.library import Library
from soak.daemon.log import say
from soak.daemon.state import State
from soak.daemon.supervise import Supervisor
from soak.daemon.tokens import Caller

PAGE, _MOST_PAGE = 50, 500
LARGEST = 2**53


@dataclass(slots=True)
class House:
    """All that the API speaks for. `ailing` tells what keeps the supervisor from its work, if anything.

    `library`, `schedules` and `zone` are others after the settings were read again.
    """

    state: State
    supervisor: Supervisor
    library: Library
    schedules: tuple[Schedule, ...]
    zone: ZoneInfo
    clock: Callable[[], float]
    ailing: Callable[[], str | None]
    watchers: Watchers = field(default_factory=Watchers)

    def job(self, number: int) -> Job:
        """One job. Raises HTTPException where there is none."""
        job = self.state.job(number)
        if job is None:
            raise HTTPException(404, f"there is no run {number}")
        return job

    def note(self, request: Request, action: str, job: int | None, detail: str = "") -> None:
        """Write down who asked for what, in the audit log and in the daemon's."""
        caller: Caller = request.scope["caller"]
        address = request.client.host if request.client is not None else "?"
        self.state.note(self.clock(), caller.name, address, action, job, detail)
        say(action, f"{action} by {caller.name} at {address}{f': {detail}' if detail else ''}", run=job)


Number = Annotated[int, Path(ge=1, le=LARGEST, description="the number of a run")]
Before = Annotated[int | None, Query(ge=1, le=LARGEST, description="only what is older than this number")]
Limit = Annotated[int, Query(ge=1, le=_MOST_PAGE, description="so many at most")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="the same key again is the same run",
    ),
]
