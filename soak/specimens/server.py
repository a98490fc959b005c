"""One small shop, on one event loop in one process, with a sickness of your choice.

GET /items/{id}, POST /cart {"item": id}, GET /healthz.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import math
import re
from collections.abc import AsyncIterator, Callable

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from soak.specimens.catalogue import SPECIMENS
from soak.specimens.sickness import Healthy


def shop(sickness: Healthy) -> Starlette:
    """The application; every item looked up or ordered passes through its sickness.

    Handlers are coroutines, so they run on the main thread and its stack is the one that recursion eats.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        sickness.start()
        yield

    async def item(request: Request) -> JSONResponse:
        number = int(request.path_params["number"])
        if not await sickness.handle(number):
            return JSONResponse({"error": "try again later"}, status_code=503)
        return JSONResponse({"id": number, "name": f"item {number}", "price": number % 100})

    async def cart(request: Request) -> JSONResponse:
        try:
            number = int((await request.json())["item"])
        except (KeyError, OverflowError, TypeError, ValueError):
            return JSONResponse({"error": 'expected {"item": NUMBER}'}, status_code=400)
        if not await sickness.handle(number):
            return JSONResponse({"error": "try again later"}, status_code=503)
        return JSONResponse({"ordered": number}, status_code=201)

    async def health(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    routes = [
        Route("/items/{number:int}", item),
        Route("/cart", cart, methods=["POST"]),
        Route("/healthz", health),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


_UNITS = {"": 1.0, "B": 1.0, "KiB": 1024.0, "MiB": 1024.0**2, "ms": 1e-3, "s": 1.0, "m": 60.0}


def reader(kind: type) -> Callable[[str], int | float]:
    """Reads an option of type `kind`: a number above 0 such as 4500, 3KiB or 1.5s, in bytes or seconds."""

    def read(text: str) -> int | float:
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)", text)
        value = float(match[1]) * _UNITS[match[2]] if match and match[2] in _UNITS else 0.0
        number: int | float = kind(value) if math.isfinite(value) else 0
        if number <= 0:
            raise argparse.ArgumentTypeError(f"expected a number above 0 such as 4500, 3KiB or 1.5s, got {text!r}")
        return number

    return read


def port(text: str) -> int:
    """Reads a TCP port."""
    if not (re.fullmatch(r"[0-9]{1,5}", text) and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text!r}")
    return int(text)


def arguments() -> argparse.ArgumentParser:
    """The command line: a specimen by name; its options are the parameters of its sickness."""
    parser = argparse.ArgumentParser(
        prog="python -m soak.specimens", description=__doc__, epilog="example: %(prog)s leak --port 8000"
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--port", type=port, default=8000, help="default: %(default)s")
    common.add_argument("--host", default="127.0.0.1", help="address to bind, default: %(default)s")
    names = parser.add_subparsers(dest="name", metavar="NAME", required=True)
    for specimen in SPECIMENS.values():
        options = names.add_parser(
            specimen.name,
            parents=[common],
            help=specimen.truth,
            description=inspect.getdoc(specimen.make),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for name, parameter in inspect.signature(specimen.make).parameters.items():
            if name == "reference":
                options.add_argument("--reference", action="store_true", help="do it well: what is soaked beside it")
                continue
            options.add_argument(
                f"--{name.strip('_').replace('_', '-')}",
                dest=name,
                metavar="N",
                type=reader(type(parameter.default)),
                default=parameter.default,
                help="default: %(default)s",
            )
    return parser


def main() -> None:
    """Serve the specimen that the command line names, until SIGTERM or its sickness ends it."""
    parser = arguments()
    given = vars(parser.parse_args())
    name, host, number = given.pop("name"), given.pop("host"), given.pop("port")
    try:
        sickness = SPECIMENS[name].make(**given)
    except ValueError as error:
        parser.error(str(error))
    sickness.run(
        lambda: uvicorn.run(
            shop(sickness), host=host, port=number, log_level="warning", access_log=False, timeout_graceful_shutdown=1
        )
    )
