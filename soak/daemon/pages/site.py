"""The web application that serves the pages, in front of the API."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from soak.daemon.pages.answers import problem_page
from soak.daemon.pages.desk import Desk, House
from soak.daemon.pages.lists import Lists
from soak.daemon.pages.login import Login
from soak.daemon.pages.runs import Runs
from soak.daemon.pages.static import static
from soak.daemon.pages.visits import is_page
from soak.daemon.problems import fault_of


class Pages:
    """Answers what is asked of pages, and hands everything else to the API."""

    def __init__(self, api: ASGIApp, house: House) -> None:
        self._api = api
        desk = Desk(api, house)
        login, lists, runs = Login(desk), Lists(desk), Runs(desk)
        self._site = Starlette(
            routes=[
                Route("/", lists.runs),
                Route("/runs/{number:int}", runs.show),
                Route("/runs/{name}", runs.named),
                Route("/runs/{number:int}/view", runs.view),
                Route("/runs/{number:int}/events", runs.watch),
                Route("/runs/{number:int}/{deed}", runs.do, methods=["POST"]),
                Route("/compare", runs.compare),
                Route("/queue", lists.queue),
                Route("/queue", lists.submit, methods=["POST"]),
                Route("/calendar", lists.calendar),
                Route("/login", login.show),
                Route("/login", login.enter, methods=["POST"]),
                Route("/logout", login.leave, methods=["POST"]),
                Route("/static/{name}", static),
            ],
            exception_handlers={HTTPException: _refused, Exception: _fault},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        ours = scope["type"] == "http" and is_page(scope["path"])
        await (self._site if ours else self._api)(scope, receive, send)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem_page(request, error.status_code, str(error.detail))


async def _fault(request: Request, error: Exception) -> Response:
    return problem_page(request, 500, fault_of(request, error))
