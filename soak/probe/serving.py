"""The observer's door: HTTP for a run and for Prometheus, on one event loop.

    GET /v1/samples?after=SEQ&session=ID    the looks since that one
    GET /metrics                            the last values, for Prometheus
    GET /healthz                            whether it looks; open to everyone

Everything but /healthz wants the token, if there is one; whoever lacks it learns nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from soak.core.errors import SoakError
from soak.core.listening import Address, addresses_of, bound, check_certificate, is_loopback
from soak.core.quiet_server import QuietServer
from soak.core.token import read_token
from soak.probe.message import write
from soak.probe.observer import Observer, Watched

_PAGE_BYTES = 256 * 1024  # packed; several times that as text
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Settings:
    """What `soak observe` was told. `every` is in seconds."""

    watched: Watched
    host: str
    port: int
    every: float
    token_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    no_tls: bool = False


def observe(settings: Settings, say: Callable[[str], None]) -> None:
    """Observe and serve until SIGTERM or Ctrl-C. Raises SoakError when it cannot begin."""
    addresses = addresses_of(settings.host, settings.port)
    _refuse_open_door(settings, addresses)
    token = read_token(settings.token_file) if settings.token_file is not None else None
    check_certificate(settings.tls_cert, settings.tls_key)
    with contextlib.ExitStack() as cleanup:
        doors = [cleanup.enter_context(contextlib.closing(bound(family, at))) for family, at in addresses]
        observer = Observer(settings.watched, settings.every)
        observer.start()
        cleanup.callback(observer.close)
        scheme = "https" if settings.tls_cert is not None else "http"
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        root = observer.head()["about"]["root"].partition("@")[0]
        text = f"observing {settings.watched} (process {root}) at {scheme}://{host}:{settings.port}; Ctrl-C ends it"
        asyncio.run(_serve(application(observer, token), doors, settings, lambda: say(text)))


def application(observer: Observer, token: str | None) -> ASGIApp:
    """The web application in front of an observer."""

    async def samples(request: Request) -> Response:
        after = request.query_params.get("after")
        if after is not None and not (after.isdecimal() and len(after) < 16):
            return PlainTextResponse("after: expected the number of a look\n", 400)
        known = request.query_params.get("session") in (None, observer.session)
        first, looks = observer.ring.since(int(after) + 1 if known and after else 0, _PAGE_BYTES)
        head = observer.head()  # after the looks: none of them is of the future
        if after is None:
            first, looks = head["next"], []
        return Response(write(head, first, looks), media_type="application/json")

    async def metrics(request: Request) -> Response:
        text, kind = observer.present.text(request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": kind})

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok\n") if observer.healthy else PlainTextResponse("it does not look\n", 503)

    routes = [Route("/v1/samples", samples), Route("/metrics", metrics), Route("/healthz", health)]
    plain = Starlette(routes=routes)
    return plain if token is None else _Locked(plain, token)


class _Locked:
    """Lets in whoever shows the token, and everyone to /healthz."""

    def __init__(self, inner: ASGIApp, token: str) -> None:
        self._inner = inner
        self._wanted = b"Bearer " + token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != "/healthz":
            shown = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(shown, self._wanted):
                refusal = PlainTextResponse("unauthorized\n", 401, {"WWW-Authenticate": "Bearer"})
                await refusal(scope, receive, send)
                return
        await self._inner(scope, receive, send)


async def _serve(app: ASGIApp, doors: list[socket.socket], settings: Settings, ready: Callable[[], None]) -> None:
    server = QuietServer(app, _AT_ONCE, settings.tls_cert, settings.tls_key)

    def end() -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    ready()
    await server.serve(doors)


def _refuse_open_door(settings: Settings, addresses: list[Address]) -> None:
    """Beyond loopback only with a token, and with TLS unless it is said to do without."""
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise SoakError("--tls-cert and --tls-key go together")
    if all(map(is_loopback, addresses)):
        return
    if settings.token_file is None:
        raise SoakError(
            f"--listen {settings.host}: others can reach this address, so a token is needed: "
            "`openssl rand -hex 32 > token && chmod 600 token`, then add --token-file token"
        )
    if settings.tls_cert is None and not settings.no_tls:
        raise SoakError(
            f"--listen {settings.host}: others can reach this address, and may read the token on its way: add "
            "--tls-cert and --tls-key, or --no-tls if the network is private or a proxy before it has TLS"
        )
