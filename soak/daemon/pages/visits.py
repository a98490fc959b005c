"""Visits: who looks at pages in a browser. A token is shown once, at the login; a cookie stands for it afterwards.

The cookie is 256 random bits, kept as a digest only, for twelve hours. It ends with the logout, and with its token. It
opens pages, and lets the API be read; it changes nothing but through a form that knows what only the visitor's own
pages know (`form_token`).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response

from soak.daemon.state import State
from soak.daemon.tokens import LOCAL, Caller, role_of, still_let_in, token_of

LENGTH_S = 12 * 3600.0
PAGES = ("runs", "compare", "calendar", "queue", "login", "logout", "static")
"""What begins the path of a page, beside the front page."""
OPEN = ("login", "static")
"""What is shown to strangers."""
_COOKIE = "soak_visit"
_SECURE_COOKIE = "__Host-soak_visit"
"""The prefix has browsers take it from this host alone, and over TLS alone (RFC 6265bis, section 4.1.3)."""
_SECRET = secrets.token_bytes(32)
"""For the forms of those who have no cookie: nobody can guess it, and it is another one in the next process."""


def is_page(path: str) -> bool:
    """Whether a path is that of a page, and not of the API."""
    return path == "/" or (path.startswith("/") and path.split("/")[1] in PAGES)


def is_open(path: str) -> bool:
    """Whether a path is shown to whoever asks."""
    return path.split("/")[1] in OPEN if path.startswith("/") else False


def begin(state: State, shown: str, now: float) -> tuple[Caller, str] | None:
    """A visit for whoever shows a token: who it is, and what goes into the cookie; None for a wrong token."""
    token = token_of(shown.strip(), state.tokens())
    if token is None:
        return None
    visit = secrets.token_urlsafe(32)
    state.add_visit(_digest(visit), token.digest, now + LENGTH_S, now)
    return Caller(token.name, role_of(token)), visit


def visitor(state: State, headers: Headers, now: float) -> Caller | None:
    """Whose cookie it is, while the visit lasts."""
    visit = visit_of(headers)
    token = state.visit(_digest(visit), now) if visit else None
    return Caller(token.name, role_of(token)) if token is not None else None


def still_in(state: State, caller: Caller, headers: Headers, now: float) -> bool:
    """Whether who was let in a while ago would be let in now: by a visit that lasts, or by a token that is there."""
    if caller.name != LOCAL and "authorization" not in headers:
        return visitor(state, headers, now) is not None
    return still_let_in(caller, state.tokens())


def visit_of(headers: Headers) -> str:
    """What the cookie says; "" without one."""
    cookies = cookie_parser(headers.get("cookie", ""))
    return cookies.get(_SECURE_COOKIE) or cookies.get(_COOKIE) or ""


def end(state: State, headers: Headers) -> None:
    """The visit is over, whoever has its cookie."""
    state.end_visit(_digest(visit_of(headers)))


def form_token(headers: Headers) -> str:
    """What a form of this visitor's pages has in it, and a form of anybody else's cannot have."""
    key = visit_of(headers).encode() or _SECRET
    return hmac.new(key, b"form", hashlib.sha256).hexdigest()


def set_cookie(answer: Response, visit: str, *, secure: bool) -> None:
    """Have the browser keep the visit; without one, forget it."""
    for name in (_SECURE_COOKIE, _COOKIE) if not visit else (_SECURE_COOKIE if secure else _COOKIE,):
        answer.set_cookie(
            name, visit, max_age=round(LENGTH_S) if visit else 0, path="/", httponly=True, samesite="strict",
            secure=name == _SECURE_COOKIE,
        )  # fmt: skip


def _digest(visit: str) -> bytes:
    return hashlib.sha256(visit.encode()).digest()
