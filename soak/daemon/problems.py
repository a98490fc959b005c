"""Errors of the API as problem documents (RFC 9457, application/problem+json)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from soak.core.errors import SoakError
from soak.daemon.log import say
from soak.daemon.making import BusyError


class Problem(BaseModel):
    """What went wrong, for a program (`status`) and for a person (`detail`)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = None


def problem(
    status: int, detail: str, errors: list[dict[str, str]] | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """The answer that tells of a problem."""
    content: dict[str, Any] = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors
    ).model_dump(exclude_none=True)
    return JSONResponse(content, status, headers, media_type="application/problem+json")


Answers = dict[int | str, dict[str, Any]]
_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
FAULTS: Answers = {500: {"description": HTTPStatus(500).phrase, "content": _CONTENT}}
"""What any route may answer with, though it should not."""


def refusals(*statuses: int, also: Answers | None = None) -> Answers:
    """For the OpenAPI document: the problems that a route may answer with, and what else it may."""
    refused: Answers = {
        s: {"description": HTTPStatus(s).phrase, "content": _CONTENT}
        for s in (400, 401, 403, 408, 413, 429, 503, *statuses)
    }
    return refused | (also or {})


def install(app: FastAPI) -> None:
    """Have every error of the application end as a problem document."""

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = _allowed(app, request)
        return problem(error.status_code, str(error.detail), headers=headers)

    @app.exception_handler(RequestValidationError)
    async def malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [
            {"at": "/".join(str(part) for part in fault["loc"]), "detail": str(fault["msg"])}
            for fault in error.errors()[:20]
        ]
        return problem(422, "the request is not as the OpenAPI document says", faults)

    @app.exception_handler(SoakError)
    async def unusable(_request: Request, error: SoakError) -> JSONResponse:
        return problem(422, str(error))

    @app.exception_handler(BusyError)
    async def busy(_request: Request, error: BusyError) -> JSONResponse:
        return problem(503, str(error), headers={"Retry-After": "10"})

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> JSONResponse:
        return problem(500, fault_of(request, error))


def fault_of(request: Request, error: Exception) -> str:
    """Write down a fault of the daemon itself; what is said of it."""
    text = f"{request.method} {request.url.path}: {type(error).__name__}: {error}"
    say("fault", text, level=logging.ERROR, error=True)
    return "a fault of the daemon itself; its log says more"


def _allowed(app: FastAPI, request: Request) -> str:
    """The methods of a path: routes know only their own."""
    here = [r for r in app.routes if isinstance(r, Route) and r.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({method for route in here for method in route.methods or ()}))
