"""`soak run --on URL`: asks a daemon for a run, shows what it says, and brings home its verdict and exit code.

The network may fail for minutes: what was asked for has a key, so that asking again is no second run, and lines have
numbers, so that none comes twice.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import certifi
import urllib3

from soak.core.errors import SoakError, TargetError

_PATIENCE_S = 600.0
"""How long a daemon may be away while it is watched: it may be started anew."""
_PAUSE_S = 2.0
_PASSING = (502, 503, 504)
_NOBODY = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.SSLError, urllib3.exceptions.ConnectTimeoutError)
_TIMEOUT = urllib3.Timeout(connect=10, read=60)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to ask for. `key` makes asking again the same run. `content` is the scenario itself, to be brought along."""

    scenario: str
    priority: int
    key: str
    content: bytes | None = None


class Client:
    """Speaks to one daemon. `say` gets a line for whoever waits. Raises SoakError with what the daemon said."""

    def __init__(self, url: str, token: str | None, say: Callable[[str], None]) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise SoakError(f"--on {url}: expected http://HOST:PORT or https://HOST:PORT")
        self._url = url.rstrip("/")
        self._say = say
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._pool = urllib3.PoolManager(
            ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(), retries=False, timeout=_TIMEOUT
        )

    def run(self, wanted: Wanted) -> dict[str, Any]:
        """Have it run, show it, and give back the run as it ended. Ctrl-C stops it, and again leaves it at once."""
        number = self.submit(wanted)
        try:
            return self._watched(number)
        except KeyboardInterrupt:
            self._say("stopping: what was measured is judged; Ctrl-C again leaves it to itself")
            self._asked("POST", f"/v1/runs/{number}/stop")
            return self._watched(number, silent=True)

    def submit(self, wanted: Wanted) -> int:
        """Ask for a run, and give its number; the one that the same key has asked for before, if there is one."""
        number: int = self._submitted(wanted)["id"]
        self._say(f"run {number}: {self._url}/runs/{number}")
        return number

    def verdict(self, number: int) -> str:
        """The verdict of a run that has ended, as JSON."""
        return json.dumps(json.loads(self._asked("GET", f"/v1/runs/{number}/verdict")), indent=2)

    def report(self, number: int, view: str = "text") -> str:
        """Its report in one of the formats."""
        return self._asked("GET", f"/v1/runs/{number}/report?format={view}").decode()

    def _submitted(self, wanted: Wanted) -> dict[str, Any]:
        name = wanted.scenario
        if wanted.content is not None:
            kind = {"Content-Type": "application/yaml"}
            name = json.loads(self._asked("POST", "/v1/scenarios", wanted.content, kind, patient=False))["scenario"]
        body = json.dumps({"scenario": name, "priority": wanted.priority}).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": wanted.key}
        found: dict[str, Any] = json.loads(self._asked("POST", "/v1/runs", body, headers, patient=False))
        return found

    def _watched(self, number: int, *, silent: bool = False) -> dict[str, Any]:
        waits: str | None = None
        for kind, data in self._events(number):
            if kind == "line" and not silent:
                self._say(data)
            elif kind in ("run", "end"):
                run: dict[str, Any] = json.loads(data)
                if kind == "end":
                    return run
                if run["waits_for"] and run["waits_for"] != waits:
                    self._say(f"waiting: {run['waits_for']}")
                waits = run["waits_for"]
        raise AssertionError("events end with an end")

    def _events(self, number: int) -> Iterator[tuple[str, str]]:
        last, lost = "0", None
        while True:
            try:
                with self._request("GET", f"/v1/runs/{number}/events", None, {"Last-Event-ID": last}) as answer:
                    if lost is not None:
                        self._say("the daemon is back")
                    lost = None
                    for kind, data, at in _parsed(answer):
                        last = at
                        yield kind, data
                        if kind == "end":
                            return
            except urllib3.exceptions.HTTPError as error:
                lost = self._away(lost, error)
            time.sleep(_PAUSE_S)

    def _asked(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, *,
        patient: bool = True,
    ) -> bytes:  # fmt: skip
        lost = None
        while True:
            try:
                with self._request(method, path, body, headers or {}) as answer:
                    return answer.read()
            except urllib3.exceptions.HTTPError as error:
                if not patient and isinstance(error, _NOBODY):
                    raise TargetError(f"--on {self._url}: no daemon to talk to there ({_reason(error)})") from None
                lost = self._away(lost, error)
            time.sleep(_PAUSE_S)

    def _request(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        """The answer, its body unread. What the daemon refuses is a SoakError; what may pass is waited for."""
        while True:
            answer = self._pool.request(
                method, self._url + path, body=body, headers=self._headers | headers, preload_content=False,
                redirect=False,
            )  # fmt: skip
            if answer.status == 429:
                pause = answer.headers.get("Retry-After", "1")
                answer.drain_conn()
                time.sleep(min(60.0, float(pause) if pause.isdecimal() else 1.0))
            elif answer.status in _PASSING:
                raise urllib3.exceptions.HTTPError(_detail(answer))
            elif answer.status >= 300:
                raise SoakError(f"--on {self._url}: {_detail(answer)}")
            else:
                return answer

    def _away(self, lost: float | None, error: urllib3.exceptions.HTTPError) -> float:
        now = time.monotonic()
        if lost is None:
            self._say(f"the daemon cannot be reached ({_reason(error)}); trying for {_PATIENCE_S / 60:.0f} min")
            return now
        if now - lost > _PATIENCE_S:
            raise TargetError(f"--on {self._url}: the daemon cannot be reached; the run goes on without a watcher")
        return lost


def _parsed(answer: urllib3.BaseHTTPResponse) -> Iterator[tuple[str, str, str]]:
    """The events of a stream: kind, data and id."""
    fields: dict[str, str] = {}
    for line in _lines(answer):
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "event" in fields:
            yield fields["event"], fields.get("data", ""), fields.get("id", "0")
            fields = {}


def _lines(answer: urllib3.BaseHTTPResponse) -> Iterator[str]:
    rest = b""
    while piece := answer.read1():
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)


def _detail(answer: urllib3.BaseHTTPResponse) -> str:
    try:
        return str(json.loads(answer.data)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"answered with status {answer.status}: is `soak serve` there?"


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "the connection broke off"
    text = str(error).rpartition(": ")[2] or type(error).__name__
    unknown = isinstance(error, urllib3.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error)
    return f"{text}; $SSL_CERT_FILE names an authority of your own" if unknown else text
