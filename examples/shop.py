"""A small shop that remembers every visit for ever: `python shop.py [PORT]`. Nothing but the standard library."""

from __future__ import annotations

import json
import sys
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ITEMS = {str(n): {"item": n, "price": 5 + n % 40} for n in range(1, 501)}
VISITS: dict[str, dict[str, object]] = {}


def remember(path: str, agent: str | None) -> None:
    """Keep what a visitor looked at, for suggestions that nobody ever built."""
    VISITS[uuid.uuid4().hex] = {"path": path, "agent": agent, "seen": [path] * 20}


class Shop(BaseHTTPRequestHandler):
    """GET /items/N, POST /cart."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Show an item."""
        remember(self.path, self.headers.get("User-Agent"))
        item = ITEMS.get(self.path.removeprefix("/items/"))
        self.answer(200 if item else 404, item or {"error": "no such item"})

    def do_POST(self) -> None:
        """Put something into the cart."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(201, {"done": True})

    def answer(self, status: int, what: object) -> None:
        """Send JSON, head and body in one piece."""
        body = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self._headers_buffer += [b"\r\n", body]  # type: ignore[attr-defined]
        self.flush_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing for each request."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000), Shop).serve_forever()
