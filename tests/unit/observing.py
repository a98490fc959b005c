"""An observer that does what a test tells it, on a real socket, for the tests of those who ask one."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit

from soak.core.records import Event, Sample
from soak.probe.message import TARGET, Look, write
from soak.probe.ring import Ring

Reply = Callable[[BaseHTTPRequestHandler], None]


def answered(status: int, body: bytes = b"", **headers: str) -> Reply:
    """A reply as it is given to anyone."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply


@contextmanager
def answering(reply: Reply, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Where a server is whose every answer is `reply`, and the headers that it was shown."""
    shown: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            shown.append({k.lower(): v for k, v in self.headers.items()} | {"path": self.path})
            reply(self)

        def log_message(self, *_: Any) -> None: ...

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None: ...  # whoever asks may hang up

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}", shown
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Fake:
    """An observer without a process to watch: the test adds its looks. Its clock is `ahead` seconds of this one."""

    def __init__(self, ahead: float = 0.0, every: float = 1.0, entries: int = 1000) -> None:
        self.ahead, self.every = ahead, every
        self.session, self.root, self.alive = "first", "7@1", True
        self.ring = Ring(entries, 2**20)
        self.cut = False
        self.asked = 0

    @property
    def now(self) -> float:
        """Seconds on its own clock."""
        return monotonic() + self.ahead

    def see(self, *events: Event, t: float | None = None, source: str = TARGET, **values: float) -> float:
        """Take a look now, or at `t`; values have `_` for the dot of a metric. When it was (its own clock)."""
        t = self.now if t is None else t
        seen = {name.replace("_", ".", 1): value for name, value in values.items()}
        self.ring.add(Look(t, (Sample(t, source, seen),), events).pack())
        return t

    def renew(self, session: str, root: str | None = None) -> None:
        """Another process of it, which knows nothing of the one before."""
        self.session, self.root, self.ring = session, root or self.root, Ring(1000, 2**20)

    def reply(self, handler: BaseHTTPRequestHandler) -> None:
        """What `soak observe` says at /v1/samples."""
        self.asked += 1
        if self.cut:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        query = parse_qs(urlsplit(handler.path).query)
        about = {"every": self.every, "alive": self.alive, "root": self.root}
        head = {"session": self.session, "now": self.now, "next": self.ring.next, "about": about}
        first, looks = self.ring.next, []
        if "after" in query:
            known = query["session"] == [self.session]
            first, looks = self.ring.since(int(query["after"][0]) + 1 if known else 0, 2**16)
        answered(200, write(head, first, looks))(handler)
