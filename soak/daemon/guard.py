"""The guard at the door: before any route is reached it is known who asks, how often, and that the body is small.

With tokens everyone shows one. Without any, on loopback, whoever is on this machine may do everything, except a page in
a browser: its requests name another host or another origin. Where others can reach the daemon, nobody may do anything
without a token, also when the last one was removed.

A browser shows a cookie in place of a token (pages/visits.py): for pages, and to read the API. Strangers are led to the
login.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from soak.daemon.log import Say
from soak.daemon.pages import visits
from soak.daemon.pages.answers import as_page
from soak.daemon.problems import problem
from soak.daemon.state import State
from soak.daemon.tokens import LOCAL, Caller, Role, caller_of

OPEN = ("/healthz", "/readyz")
ADMIN = ("/v1/audit",)
_BODY_BYTES = 64 * 1024
_BODY_S = 10.0
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_SAFE = ("GET", "HEAD", "OPTIONS")
_MOST_BUCKETS = 10_000
_NOTED_PER_S = 5.0
"""Refusals of strangers that go into the logs: who knocks for days may not fill them, nor wear out the disk."""


class Buckets:
    """How often each may ask: `rate` (1/s) in the long run, twice as many at once (a token bucket each)."""

    def __init__(self, rate: float, clock: Callable[[], float] = monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str) -> float:
        """Count one request: 0, or how long (s) to wait before the next is let in."""
        now, burst = self._clock(), max(1.0, 2 * self.rate)
        level, since = self._levels.pop(who, (burst, now))
        level = min(burst, level + (now - since) * self.rate)
        wait = 0.0 if level >= 1 else (1 - level) / self.rate
        self._levels[who] = (level - 1 if level >= 1 else level, now)
        if len(self._levels) > _MOST_BUCKETS:  # whoever was not heard of for longest has a full one again
            self._levels.popitem(last=False)
        return wait


class Guard:
    """In front of the application; `scope["caller"]` tells it who asks. `say` hears of whoever was not let in.

    What is refused is in the audit log: whoever was not let in, and what nobody may or can have.
    """

    def __init__(self, inner: ASGIApp, state: State, rate: float, say: Say, *, private: bool) -> None:
        """`rate` is how often each may ask (1/s); `private` is whether only this machine can reach the daemon."""
        self._inner = inner
        self._private = private
        self._state = state
        self._say = say
        self.callers = Buckets(rate)
        self._notes = Buckets(_NOTED_PER_S)
        self._unnoted = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request pass, or answer it."""
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self._inner(scope, receive, send)
            return
        send = self._watched(scope, send)
        headers = Headers(scope=scope)
        if "transfer-encoding" in headers and "content-length" in headers:
            # a proxy that goes by the other one sees another request than this (RFC 9112, section 6.3)
            await problem(400, "either Transfer-Encoding or Content-Length", headers=_CLOSE)(scope, receive, send)
            return
        try:
            refusal = self._turned_away(scope, headers)
        except Exception as error:  # a state that cannot be read lets nobody in
            self._say("fault", f"who asks cannot be known: {type(error).__name__}: {error}", level=logging.ERROR)
            refusal = problem(503, "who asks cannot be known now; the daemon's log says more")
        if refusal is None:
            try:
                async with asyncio.timeout(_BODY_S):
                    body = await _body(receive)
            except TimeoutError:
                refusal = problem(408, f"the body did not come within {_BODY_S:g} s")
            else:
                if body is None:
                    refusal = problem(413, f"a body has at most {_BODY_BYTES // 1024} KiB", headers=_CLOSE)
        if refusal is not None:
            await as_page(scope, refusal)(scope, receive, send)
            return
        assert body is not None
        await self._inner(scope, _replayed(body, receive), send)

    def _watched(self, scope: Scope, send: Send) -> Send:
        """`send`, with an eye on what is refused."""

        async def watching(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = int(message["status"])
                if status in (401, 403) or (status >= 400 and status != 429 and scope["method"] not in _SAFE):
                    self._note(scope, status)
            await send(message)

        return watching

    def _note(self, scope: Scope, status: int) -> None:
        caller = scope.get("caller")
        if caller is None and self._notes.take(""):
            self._unnoted += 1
            return
        who, address = caller.name if caller is not None else "", _address(scope)
        path = bytes(scope.get("raw_path") or b"?").decode("latin-1")  # as it was sent: no line ends in it
        asked = f"{status} {scope['method']} {path[:200]}"
        self._say("refused", f"refused {who or 'somebody unknown'} at {address}: {asked}", level=logging.WARNING)
        more = f" (and {self._unnoted} more before it)" if self._unnoted else ""
        try:
            self._state.note(time.time(), who, address, "refused", None, asked + more)
            self._unnoted = 0
        except Exception as error:  # a full disk must not turn a refusal into something else
            self._say("fault", f"the audit log cannot be written: {error}", level=logging.ERROR)

    def _turned_away(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to whoever may not pass. Whoever may is noted in the scope."""
        caller, path = self._caller(scope, headers), str(scope["path"])
        if caller is None and visits.is_page(path):
            if wait := self.callers.take(f"from {_address(scope)}"):
                return _later(wait)
            if not visits.is_open(path):
                wanted = path if scope["method"] in _SAFE else "/"
                return RedirectResponse(f"/login?next={quote(wanted)}", 303)
            if _foreign(scope, headers):
                return problem(403, _OTHER_ORIGIN)
            scope["caller"] = None
            return None
        if caller is None:
            # a token has 256 bits: guessing is hopeless at any rate, and to be told so costs no more than to be put off
            return problem(
                401, "a token is needed: Authorization: Bearer TOKEN", headers={"WWW-Authenticate": "Bearer"}
            )
        scope["caller"] = caller
        if wait := self.callers.take(caller.name):
            return _later(wait)
        host = headers.get("host", "")
        if caller.name == LOCAL and _hostname(f"//{host}") not in _LOCAL_HOSTS:
            return problem(403, "without tokens the daemon answers to the names of this machine's loopback only")
        if _foreign(scope, headers):
            return problem(403, _OTHER_ORIGIN)
        if not caller.may(role := role_for(scope["method"], path)):
            return problem(403, f"this needs the role {role}; the token {caller.name!r} has {caller.role}")
        return None

    def _caller(self, scope: Scope, headers: Headers) -> Caller | None:
        tokens = self._state.tokens()
        if not tokens:
            return Caller(LOCAL, "admin") if self._private else None
        if "authorization" not in headers and (scope["method"] in _SAFE or visits.is_page(str(scope["path"]))):
            return visits.visitor(self._state, headers, time.time())
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        return caller_of(shown.strip(), tokens) if scheme.lower() == "bearer" else None


_CLOSE = {"Connection": "close"}


def _address(scope: Scope) -> str:
    return str((scope.get("client") or ("?",))[0])


_OTHER_ORIGIN = "a page of another origin may not ask for this"


def role_for(method: str, path: str) -> Role:
    """The role that a request needs."""
    if path.rstrip("/") in ADMIN:
        return "admin"
    return "read" if method in _SAFE or path in ("/login", "/logout") else "run"


def _foreign(scope: Scope, headers: Headers) -> bool:
    """Whether a page of another origin asks for a change; one that hides its origin does, too."""
    origin = headers.get("origin")
    return scope["method"] not in _SAFE and origin is not None and urlsplit(origin).netloc != headers.get("host", "")


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _later(wait: float) -> Response:
    return problem(429, "too many requests", headers={"Retry-After": str(max(1, round(wait)))})


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when it is too large."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > _BODY_BYTES:
            return None
        if not message.get("more_body"):
            return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again
