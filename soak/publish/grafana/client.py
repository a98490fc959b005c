"""Grafana's HTTP API: requests that are repeated while that may help, and errors that say what to do.

It speaks the API under `/api`, which Grafana 10 to 13 serve. Grafana 13 deprecates it in favour of `/apis`: what
changes then is a resource's strategy (`resources`), not this.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from urllib3.exceptions import NewConnectionError

from soak.core.errors import PublishError
from soak.publish.http import LONGEST_BACK_OFF_S, SignIn, back_off, retry_after

Json = dict[str, Any]

_TIMEOUT_S = (5.0, 30.0)
"""To connect, and between two bytes of an answer."""
_ATTEMPTS = 5
_NOT_DONE = (429, 503)
"""The request was turned away: it may be repeated, whatever it was."""
_PERHAPS_DONE = (500, 502, 504)
"""It may have had its effect: repeated only where twice is as good as once."""
_REPEATABLE = ("GET", "PUT", "PATCH", "DELETE")


class RefusedError(PublishError):
    """Grafana's answer to a request is an error. `status` is that of HTTP, `kind` what Grafana calls it (or empty)."""

    def __init__(self, text: str, status: int, kind: str) -> None:
        super().__init__(text)
        self.status = status
        self.kind = kind


class Grafana:
    """One Grafana, spoken to with the token of a service account.

    `say` hears of pauses, `sleep` makes them. Raises PublishError for an address that is none.
    """

    def __init__(
        self, url: str, token: str, say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise PublishError("the address of Grafana: expected http://HOST:PORT or https://HOST, without a password")
        if not token.strip() or not token.isprintable() or not token.isascii():
            raise PublishError("the token of a Grafana service account is needed in $SOAK_GRAFANA_TOKEN")
        self.url = url.rstrip("/")
        self._say = say
        self._sleep = sleep
        self._session = requests.Session()
        self._session.auth = SignIn(url, token)

    def version(self) -> str:
        """The version that it says it has."""
        health = self.get("/health")
        if not isinstance(health, dict) or "database" not in health:
            raise PublishError(f"{self.url}: answers, but is no Grafana")
        return str(health.get("version", "unknown"))

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """What is there, as plain data."""
        return self.send("GET", path, query=query)

    def find(self, path: str) -> Any:
        """What is there; None when nothing is."""
        try:
            return self.get(path)
        except RefusedError as error:
            if error.status == 404:
                return None
            raise

    def send(self, method: str, path: str, body: Json | None = None, query: Mapping[str, Any] | None = None) -> Any:
        """Do one request, and again while it was only turned away. Raises PublishError when Grafana cannot be reached,
        and RefusedError (one of them) when it says no."""
        for tries in range(1, _ATTEMPTS + 1):
            last, after = tries == _ATTEMPTS, None
            try:
                answer = self._session.request(
                    method, f"{self.url}/api{path}", json=body, params=query, timeout=_TIMEOUT_S, allow_redirects=False
                )
            except requests.RequestException as error:
                again = isinstance(error, requests.ConnectTimeout) or _nobody(error) or method in _REPEATABLE
                if not again or last or isinstance(error, requests.exceptions.SSLError):
                    raise PublishError(f"{self.url}: Grafana cannot be reached ({_reason(error)})") from None
                why = _reason(error)
            except OSError:  # as requests has it of a file that is not there
                raise PublishError(
                    f"{self.url}: the authorities that REQUESTS_CA_BUNDLE names cannot be read"
                ) from None
            else:
                if answer.status_code < 300:
                    return _data(answer)
                code = answer.status_code
                if last or not (code in _NOT_DONE or (code in _PERHAPS_DONE and method in _REPEATABLE)):
                    raise self._refused(method, path, answer)
                after, why = retry_after(answer.headers.get("Retry-After")), f"status {code}"
            wait = min(back_off(tries, after), LONGEST_BACK_OFF_S)  # somebody waits for it
            self._say(f"Grafana: {why}; again in {wait:.0f} s")
            self._sleep(wait)
        raise AssertionError("the last attempt ends it")

    def _refused(self, method: str, path: str, answer: requests.Response) -> RefusedError:
        said = _data(answer)
        said = said if isinstance(said, dict) else {}
        message, kind = str(said.get("message", "")).strip()[:500], str(said.get("status", ""))
        advice = _ADVICE.get(kind) or _ADVICE.get(answer.status_code) or ("Grafana failed" if answer.ok else "")
        what = f"{self.url}: {method} /api{path}: status {answer.status_code}"
        text = ". ".join(part for part in (f"{what}: {message}" if message else what, advice) if part)
        return RefusedError(text, answer.status_code, kind)


_ADVICE: Mapping[str | int, str] = {
    "version-mismatch": "Somebody saved it in between: look at what changed (`--dry-run`), then push again",
    "name-exists": "Something else in that folder has the title: rename it, or move it elsewhere",
    "plugin-dashboard": "It belongs to a plugin: soak leaves it alone",
    301: "It sends elsewhere: give the address that it has in a browser, with https:// and its path",
    302: "It sends elsewhere: give the address that it has in a browser, with https:// and its path",
    401: "The token is none of this Grafana's, or has expired: make one for a service account and put it into "
    "$SOAK_GRAFANA_TOKEN",
    403: "The service account may not do that: docs/grafana.md has the permissions that each part needs",
    404: "Nothing is there: is the address right, with the path that Grafana is served under?",
    409: "Something else has that name already",
    412: "It is not as it was expected to be: look at it with `--dry-run`, then push again",
    429: "It is asked too much: try again later",
    500: "Grafana failed: its log says more. What was done before this stands; pushing again does the rest",
    502: "What is before Grafana cannot reach it: try again later",
    503: "Grafana is not ready: try again later",
    504: "What is before Grafana cannot reach it: try again later",
}


def segment(text: str) -> str:
    """A name as one part of a path."""
    return quote(text, safe="")


def _data(answer: requests.Response) -> Any:
    if not answer.content:
        return None
    try:
        return answer.json()
    except requests.JSONDecodeError:
        if answer.ok:
            raise PublishError(f"{answer.url}: answers, but not as Grafana does: is the address right?") from None
        return None


def _nobody(error: requests.RequestException) -> bool:
    """Whether there was nobody to take the request."""
    return isinstance(_cause(error), NewConnectionError)


def _reason(error: requests.RequestException) -> str:
    cause = _cause(error)
    if cause.args and isinstance(cause.args[-1], Exception):
        cause = cause.args[-1]
    return str(cause).rpartition(": ")[2] or type(cause).__name__


def _cause(error: requests.RequestException) -> BaseException:
    """What urllib3 says below what requests says."""
    inner = error.args[0] if error.args else error
    inner = getattr(inner, "reason", None) or inner
    return inner if isinstance(inner, BaseException) else error
