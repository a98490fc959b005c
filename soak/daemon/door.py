"""A connection as the daemon takes it: whoever holds one and says nothing, or does not listen, loses it.

uvicorn has no limit on how long the head of a request takes, nor on how many connections there are: by itself a few
hundred silent ones would lock everybody else out, and take the descriptors that runs are started with. With TLS asyncio
waits for a minute until hands are shaken, and counts nobody meanwhile: each has a buffer of 256 KiB already.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_HEAD_S = 10.0
"""From the connection, or the answer before, until a request has its head. Idle ones are closed sooner."""
_DEAF_MS = 30_000
"""So long nothing of an answer may be taken (tcp(7), TCP_USER_TIMEOUT): it is memory meanwhile."""
_TOLD = 64
"""So many beyond the limit are told that it is full (503); whoever comes after them is hung up on."""
_MOST_SHAKING = 128
"""So many may shake hands at once; others are hung up on."""
_shaking: set[Door] = set()
"""Those who do, or failed to in the last ten seconds: of a failure nobody is told."""


class Loop(asyncio.SelectorEventLoop):
    """The event loop, with a bound on how long hands are shaken: uvicorn has no setting for it."""

    async def create_server(self, *arguments: Any, **options: Any) -> Any:
        """A server; one with TLS is not kept waiting."""
        if options.get("ssl") is not None:
            options["ssl_handshake_timeout"] = _HEAD_S
        return await super().create_server(*arguments, **options)


class Door(H11Protocol):
    """uvicorn's HTTP/1.1 with bounds on who holds it open."""

    _head: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Made when a connection is accepted. Raises ConnectionError: asyncio then hangs up."""
        super().__init__(*arguments, **options)
        if self.config.is_ssl:
            if len(_shaking) >= _MOST_SHAKING:
                raise ConnectionError("too many shake hands already")
            _shaking.add(self)
            self.loop.call_later(_HEAD_S, _shaking.discard, self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody is there."""
        super().connection_made(transport)
        _shaking.discard(self)
        if self.limit_concurrency is not None and len(self.connections) > self.limit_concurrency + _TOLD:
            transport.abort()
            return
        link: Any = transport.get_extra_info("socket")
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAF_MS)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        super().connection_lost(exc)
        if self._head is not None:
            self._head.cancel()

    def on_response_complete(self) -> None:
        """The next request may come."""
        super().on_response_complete()
        self._expect()

    def _expect(self) -> None:
        if self._head is not None:
            self._head.cancel()
        self._head = self.loop.call_later(_HEAD_S, self._look)

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        if self.transport.get_write_buffer_size():  # it still reads the answer before: the kernel sees to that
            self._expect()
        elif self.cycle is None or self.cycle.response_complete:
            self.transport.abort()
