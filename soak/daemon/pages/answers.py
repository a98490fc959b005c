"""How a page is answered: made by a template, and with headers that let it do no more than it must.

Whatever has a name may have been named by somebody hostile: templates escape everything, control characters become
spaces, and the policy lets no script or style run that is not one of the daemon's own files.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Any

import jinja2
from markupsafe import Markup
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Scope

from soak.core import units
from soak.daemon.pages import visits
from soak.daemon.tokens import LOCAL, Caller

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""No 'unsafe-inline' for plotly.js either: see static.py."""
SAFE = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # not no-referrer: browsers would then hide the origin of forms, which is checked
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def page(request: Request, template: str, status: int = 200, /, **values: Any) -> Response:
    """A page for whoever asks."""
    return _page(request.scope, template, status, values)


def problem_page(request: Request, status: int, detail: str) -> Response:
    """The page that tells of a problem."""
    return _page(request.scope, "problem.html", status, {"title": HTTPStatus(status).phrase, "detail": detail})


def as_page(scope: Scope, refusal: Response) -> ASGIApp:
    """A refusal of the guard's, for people where they asked for a page."""
    if not visits.is_page(str(scope["path"])) or refusal.status_code < 400:
        return refusal
    told = json.loads(bytes(refusal.body))
    answer = _page(scope, "problem.html", refusal.status_code, {"title": told["title"], "detail": told["detail"]})
    for name in ("retry-after", "connection"):
        if name in refusal.headers:
            answer.headers[name] = refusal.headers[name]
    return answer


def _page(scope: Scope, template: str, status: int, values: dict[str, Any]) -> Response:
    caller: Caller | None = scope.get("caller")
    content = _templates().get_template(template).render(
        caller=caller,
        local=caller is not None and caller.name == LOCAL,
        path=str(scope["path"]),
        form_token=visits.form_token(Headers(scope=scope)),
        **values,
    )  # fmt: skip
    return HTMLResponse(content, status, SAFE | {"Cache-Control": "no-store"})


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("soak.daemon.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else _clean("" if value is None else value),
    )
    environment.filters.update(moment=moment, duration=lambda s: units.duration(round(max(s, 0.0))))
    return environment


def moment(seconds: float | None, zone: Any = UTC) -> Markup:
    """A moment (s since 1970), for people and for programs."""
    if seconds is None:
        return Markup("")
    at = datetime.fromtimestamp(seconds, zone)
    shown = at.strftime("%Y-%m-%d %H:%M")
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(timespec="seconds"), shown)


def _clean(value: object) -> str:
    return "".join(c if c.isprintable() or c == "\n" else " " for c in str(value))
