"""An HTTP server that goes about its work: no log of its own, and no say about signals."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

_GRACE_S = 2


class QuietServer(uvicorn.Server):
    """Ends when it is told to (`should_exit`): by itself uvicorn raises signals again when it has ended."""

    def __init__(
        self,
        app: Any,
        at_once: int,
        tls_cert: Path | None,
        tls_key: Path | None,
        http: type[asyncio.Protocol] | str = "h11",
    ) -> None:
        """`app` speaks ASGI; `at_once` requests are answered, more are told 503."""
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # what a stranger sends is no news
        super().__init__(
            uvicorn.Config(
                app,
                http=http,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=at_once,
                timeout_graceful_shutdown=_GRACE_S,
                ssl_certfile=str(tls_cert) if tls_cert else None,
                ssl_keyfile=str(tls_key) if tls_key else None,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None."""
        yield
