"""Login and logout."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from soak.daemon.guard import Buckets
from soak.daemon.log import say
from soak.daemon.pages import visits
from soak.daemon.pages.answers import page
from soak.daemon.pages.desk import Desk, form

_TRIES_PER_S = 1.0
_WORDS = "That is no token of this daemon. Tokens begin with soak_ and were shown once, when they were made."


class Login:
    """Whoever shows a token gets a cookie."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._tries = Buckets(_TRIES_PER_S)

    async def show(self, request: Request) -> Response:
        """The page that asks for a token."""
        if request.scope["caller"] is not None:
            return RedirectResponse(_local(request.query_params.get("next", "")), 303)
        return page(request, "login.html", next=_local(request.query_params.get("next", "")), wrong="")

    async def enter(self, request: Request) -> Response:
        """Begin a visit with a token."""
        given = await form(request)
        address = _address(request)
        wanted, now = _local(given.get("next", "")), self._desk.clock()
        begun = visits.begin(self._desk.state, given.get("token", ""), now)
        if begun is None:
            wait = self._tries.take(address)
            if not wait:  # strangers must fill neither the state nor the log
                say("refused", f"a login from {address} without a valid token", level=logging.WARNING)
            answer = page(request, "login.html", 429 if wait else 403, next=wanted, wrong=_WORDS)
            if wait:
                answer.headers["Retry-After"] = str(max(1, round(wait)))
            return answer
        caller, visit = begun
        visits.end(self._desk.state, request.headers)  # whoever it was before
        self._desk.state.note(now, caller.name, address, "login", None, "")
        say("login", f"login by {caller.name} at {address}")
        answer = RedirectResponse(wanted, 303)
        # where a proxy before the daemon has TLS, the browser says so
        secure = request.url.scheme == "https" or request.headers["origin"].startswith("https://")
        visits.set_cookie(answer, visit, secure=secure)
        return answer

    async def leave(self, request: Request) -> Response:
        """End the visit."""
        await form(request)
        caller = request.scope["caller"]
        visits.end(self._desk.state, request.headers)
        self._desk.state.note(self._desk.clock(), caller.name, _address(request), "logout", None, "")
        say("logout", f"logout by {caller.name} at {_address(request)}")
        answer = RedirectResponse("/login", 303)
        visits.set_cookie(answer, "", secure=False)
        return answer


def _local(path: str) -> str:
    """Where to go on: a page of the daemon's own, wherever else a link would have led."""
    parts = urlsplit(path)
    # backslashes and control characters are slashes and nothing to some browsers
    own = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if own and not parts.netloc and visits.is_page(parts.path) and not visits.is_open(path) else "/"


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else "?"
