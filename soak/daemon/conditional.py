"""Conditional requests (RFC 9110, section 13): who polls shows the tag of what it has, and is told if it still holds.

A page of runs is some 20 KiB and seldom changes: hundreds that poll it then cost the network next to nothing.
"""

from __future__ import annotations

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_KEPT_OF_304 = ("etag", "cache-control", "content-location", "expires", "vary")


class Conditional:
    """In front of the application: JSON answers to GET have an ETag, and are 304 to whoever has them already."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the answer pass, with its tag or without its body."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._inner(scope, receive, send)
            return
        known = Headers(scope=scope).get("if-none-match")
        start: Message | None = None
        pieces: list[bytes] = []

        async def tagged(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _may_be_tagged(message):
                start = message
            elif start is None:
                await send(message)
            else:
                pieces.append(bytes(message.get("body", b"")))
                if not message.get("more_body"):
                    await _finish(start, b"".join(pieces), known, send)

        await self._inner(scope, receive, tagged)


async def _finish(start: Message, body: bytes, known: str | None, send: Send) -> None:
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = MutableHeaders(raw=list(start["headers"]))
    headers["ETag"] = tag
    headers["Cache-Control"] = "private, no-cache"
    if known is not None and _names(known, tag):
        kept = [(k, v) for k, v in headers.raw if k.decode("latin-1") in _KEPT_OF_304]
        await send({**start, "status": 304, "headers": kept})
        body = b""
    else:
        await send({**start, "headers": headers.raw})
    await send({"type": "http.response.body", "body": body})


def _may_be_tagged(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return start["status"] == 200 and headers.get("content-type") == "application/json" and "etag" not in headers


def _names(known: str, tag: str) -> bool:
    """Whether If-None-Match names this tag, by weak comparison."""
    return known.strip() == "*" or tag in (each.strip().removeprefix("W/") for each in known.split(","))
