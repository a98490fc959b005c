"""`soak run --metrics`: a run's page over HTTP for as long as it goes on, and until its end was seen."""

from __future__ import annotations

import contextlib
import hmac
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from socket import AddressFamily
from time import monotonic, thread_time
from typing import Any

from soak.core.errors import SoakError
from soak.core.listening import addresses_of, is_loopback
from soak.publish.exporter import Exporter, Shown, encode
from soak.runfile import LiveReader

_FRESH_S = 1.0
_COST_SHARE = 20
"""Making pages takes one part in twenty of the time at most: that of a run of days is dear."""
LONGEST_WAIT_S = 60.0
_MOST_SCRAPERS = 16
_AT_ONCE = 64
"""Connections: whoever comes beyond is hung up on, for each has a thread of the program that measures."""


class Serving:
    """One run's metrics at HOST:PORT. Raises SoakError when it cannot listen, or may not."""

    def __init__(self, host: str, port: int, live: LiveReader, token: str | None) -> None:
        address = addresses_of(host, port)[0]
        if token is None and not is_loopback(address):
            raise SoakError(
                f"--metrics {host}: others can reach this address, so a token is needed: "
                "`openssl rand -hex 32 > token && chmod 600 token`, then add --metrics-token-file token"
            )
        self._exporter = Exporter(follow=lambda _: live)
        self._run_file = live.path
        self._token = token
        self._lock = threading.Lock()
        self._scraped = threading.Condition()
        self._scrapes: dict[str, list[float]] = {}
        self._made: tuple[float, str, tuple[bytes, str]] | None = None
        """Until when (s, monotonic) a page is fresh, for which `Accept` it was made, and the page."""
        try:
            self._server = _Server(*address, self)
        except OSError as error:
            raise SoakError(f"--metrics: cannot listen at {host} port {port}: {error.strerror}") from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="soak-metrics", daemon=True)
        self._thread.start()

    def allows(self, shown: str) -> bool:
        """Whether an `Authorization` header may see it."""
        return self._token is None or hmac.compare_digest(shown.encode(), f"Bearer {self._token}".encode())

    def page(self, accept: str, who: str = "") -> tuple[bytes, str]:
        """The page for a scraper, as bytes, and its content type; made at most once a second, more seldom when that is
        dear."""
        asked = monotonic()
        with self._lock:
            if self._made is None or self._made[1] != accept or asked > self._made[0]:
                runs = [Shown(self._run_file)] if self._run_file.is_file() else []
                began = thread_time()
                made = encode(self._exporter.page(runs), accept)
                self._made = asked + max(_FRESH_S, _COST_SHARE * (thread_time() - began)), accept, made
            found = self._made[2]
        with self._scraped:
            if who in self._scrapes or len(self._scrapes) < _MOST_SCRAPERS:
                self._scrapes[who] = [*self._scrapes.get(who, [])[-2:], asked]
            self._scraped.notify_all()
        return found

    def wait_until_seen(self, patience: float = LONGEST_WAIT_S) -> bool:
        """Whether every scraper has seen the end: whoever came before is waited for, until two of its rounds are over
        since then, and for `patience` s at most. Who came once is waited for only when nobody came again."""
        with self._lock:
            self._made = None
        ended = monotonic()
        with self._scraped, contextlib.suppress(KeyboardInterrupt):
            known = {who: times for who, times in self._scrapes.items() if len(times) > 1} or dict(self._scrapes)
            due = {who: times[-1] + 2 * max(_gaps(times), default=LONGEST_WAIT_S) + 1 for who, times in known.items()}
            waited = {who for who, until in due.items() if until > ended}  # past that, it is gone
            if not waited:
                return False
            longest = min(patience, max(due[who] for who in waited) - ended)
            return self._scraped.wait_for(lambda: all(self._scrapes[who][-1] >= ended for who in waited), longest)
        return False

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _gaps(times: list[float]) -> list[float]:
    return [b - a for a, b in pairwise(times)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, family: AddressFamily, address: tuple[str, int], serving: Serving) -> None:
        self.serving = serving
        self.address_family = family
        self._room = threading.Semaphore(_AT_ONCE)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, if there is room for one."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # there can be no more threads
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection, to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever went away in the middle of it, or came with what is no HTTP, is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10.0

    def do_GET(self) -> None:
        """Answer one request."""
        serving = self.server.serving
        if not serving.allows(self.headers.get("Authorization", "")):
            self._answer(HTTPStatus.UNAUTHORIZED, b"unauthorized\n", "text/plain", {"WWW-Authenticate": "Bearer"})
        elif self.path.partition("?")[0] != "/metrics":
            self._answer(HTTPStatus.NOT_FOUND, b"metrics are at /metrics\n", "text/plain")
        else:
            try:
                who = f"{self.client_address[0]} {self.headers.get('User-Agent', '')}"
                body, kind = serving.page(self.headers.get("Accept", ""), who)
            except Exception as error:  # a scraper is told by its status; the run goes on
                text = f"the page cannot be made ({type(error).__name__})\n"
                self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, text.encode(), "text/plain")
            else:
                self._answer(HTTPStatus.OK, body, kind)

    def _answer(self, status: HTTPStatus, body: bytes, kind: str, more: dict[str, str] | None = None) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            self.send_response(status)
            for key, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(more or {})}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are no news."""
