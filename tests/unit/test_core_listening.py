"""A door that listens: what comes through it is not held back."""

from __future__ import annotations

import asyncio
import socket

from soak.core.listening import bound


def test_an_answer_in_two_writes_does_not_wait_for_the_first_to_be_acknowledged() -> None:
    async def accepted() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            link = writer.get_extra_info("socket")
            found.set_result(link.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        door = bound(socket.AF_INET, ("127.0.0.1", 0))
        async with await asyncio.start_server(serve, sock=door):
            _, writer = await asyncio.open_connection(*door.getsockname())
            try:
                return await asyncio.wait_for(found, 30)
            finally:
                writer.close()

    assert asyncio.run(accepted()) == 1
