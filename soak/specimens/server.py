"""One small shop, on one event loop in one process, with a sickness of your choice.

    python -m soak.specimens leak --port 8000

GET /items/{id}, POST /cart {"item": id}, GET /healthz. It binds to loopback.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from soak.specimens.sickness import SICKNESSES, Healthy


def shop(sickness: Healthy) -> Starlette:
    """The application; every request passes through its sickness."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        sickness.start()
        yield

    async def item(request: Request) -> JSONResponse:
        number = int(request.path_params["number"])
        sickness.touch(number)
        return JSONResponse({"id": number, "name": f"item {number}", "price": number % 100})

    async def cart(request: Request) -> JSONResponse:
        number = int((await request.json())["item"])
        sickness.touch(number)
        return JSONResponse({"ordered": number}, status_code=201)

    async def health(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    routes = [
        Route("/items/{number:int}", item),
        Route("/cart", cart, methods=["POST"]),
        Route("/healthz", health),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def main() -> None:
    """Serve the specimen that the command line names, with the options of its sickness."""
    parser = argparse.ArgumentParser(prog="python -m soak.specimens", description=__doc__)
    parser.add_argument("name", choices=sorted(SICKNESSES))
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--host", default="127.0.0.1")
    known, rest = parser.parse_known_args()
    make = SICKNESSES[known.name]
    options = argparse.ArgumentParser(prog=f"python -m soak.specimens {known.name}")
    for name, parameter in inspect.signature(make).parameters.items():
        options.add_argument(f"--{name.replace('_', '-')}", type=type(parameter.default), default=parameter.default)
    sickness = make(**vars(options.parse_args(rest)))
    uvicorn.run(shop(sickness), host=known.host, port=known.port, log_level="warning", access_log=False)
