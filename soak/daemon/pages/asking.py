"""A page asks the API, within the process: what may be done, and what is written down of it, is decided there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.types import ASGIApp, Message

from soak.daemon.guard import role_for
from soak.daemon.tokens import Caller


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API says; `json` is a problem document where it refuses."""

    status: int
    json: Any

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.status < 400

    @property
    def refusal(self) -> str:
        """Why it was not."""
        return "" if self.ok else str(self.json.get("detail", "")) + _faults(self.json)


async def ask(
    api: ASGIApp,
    request: Request,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    *,
    key: str | None = None,
    **query: Any,
) -> Answer:
    """Ask as whoever asks for the page. `key` is the Idempotency-Key; queries that are None or "" are left out."""
    caller: Caller = request.scope["caller"]
    if not caller.may(role := role_for(method, path)):
        return Answer(403, {"detail": f"this needs the role {role}; you have {caller.role}"})
    headers = [(b"content-type", b"application/json")] + ([(b"idempotency-key", key.encode())] if key else [])
    asked = {name: value for name, value in query.items() if value not in (None, "")}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "root_path": "", "scheme": request.scope["scheme"], "headers": headers,
        "query_string": urlencode(asked).encode(), "client": request.scope.get("client"),
        "server": request.scope.get("server"), "caller": caller,
    }  # fmt: skip
    content = json.dumps(body).encode() if body is not None else b""
    status, parts = 500, list[bytes]()

    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(message.get("body", b""))

    await api(scope, receive, send)
    return Answer(status, json.loads(b"".join(parts) or b"{}"))


def _faults(document: Mapping[str, Any]) -> str:
    faults = [f"{fault['at']}: {fault['detail']}" for fault in document.get("errors") or ()]
    return f" ({'; '.join(faults)})" if faults else ""
