"""A specimen behind other servers: `wsgi` and `asgi`, made from SPECIMEN and SPECIMEN_OPTIONS of the environment."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from soak.specimens.catalogue import SPECIMENS
from soak.specimens.server import shop
from soak.specimens.sickness import Healthy


def _made() -> Healthy:
    options = json.loads(os.environ.get("SPECIMEN_OPTIONS", "{}"))
    return SPECIMENS[os.environ["SPECIMEN"]].make(**options)


def _wsgi(sickness: Healthy) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    sickness.start()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        number = int(path.rpartition("/")[2]) if path.startswith("/items/") else 0
        sickness.touch(number)
        body = json.dumps({"id": number, "name": f"item {number}"}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return application


def __getattr__(name: str) -> Any:
    """Only the one that the server asks for is made."""
    if name == "wsgi":
        return _wsgi(_made())
    if name == "asgi":
        return shop(_made())
    raise AttributeError(name)
