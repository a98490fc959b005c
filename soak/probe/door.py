"""How a run asks an observer: over one connection, bounded in time and bytes, with every failure in plain words."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from time import monotonic
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from soak.core.errors import TargetError
from soak.core.target import Observer
from soak.probe.line import DoorError, trust
from soak.probe.message import Answer

PATIENCE_S = 5.0
"""For a connection, and for a whole answer."""
_MOST_BYTES = 64 * 1024 * 1024
_NOBODY_VOUCHES = (18, 19, 20)
"""Codes of OpenSSL for a certificate that is self-signed, or signed by somebody who is not known."""


class Door:
    """Asks one observer. `folder` is the base of relative paths. Raises TargetError when it cannot even ask."""

    def __init__(self, observer: Observer, folder: Path) -> None:
        self._variable = observer.variable
        self._token = os.environ.get(observer.variable, "").strip()
        parts = urlsplit(observer.url)
        self._path = parts.path.rstrip("/") + "/v1/samples"
        host, timeout = parts.hostname or "", urllib3.Timeout(connect=PATIENCE_S, read=PATIENCE_S)
        if parts.scheme == "https":
            self._pool: urllib3.HTTPConnectionPool = urllib3.HTTPSConnectionPool(
                host, parts.port or 443, timeout=timeout, retries=False, ssl_context=_trust(observer, folder)
            )
        else:
            self._pool = urllib3.HTTPConnectionPool(host, parts.port or 80, timeout=timeout, retries=False)

    def ask(self, after: int | None = None, session: str = "") -> tuple[Answer, float, float]:
        """The answer, and when it was asked for and had begun to come (s, monotonic). Raises DoorError."""
        query = "" if after is None else "?" + urlencode({"after": after, "session": session})
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        sent = monotonic()
        try:
            answer = self._pool.urlopen(
                "GET", self._path + query, headers=headers, redirect=False, preload_content=False
            )
            received = monotonic()
            body = self._body(answer, sent)
        except (HTTPError, OSError, ValueError) as error:
            raise DoorError(_reason(error)) from None
        if answer.status == 401:
            what = f"refuses the token in ${self._variable}" if self._token else f"wants a token in ${self._variable}"
            raise DoorError(what)
        if answer.status == 503:
            raise DoorError("has too many clients")
        if answer.status != 200:
            raise DoorError(f"answers with status {answer.status}: it is not a soak observer")
        try:
            return Answer.read(body), sent, received
        except ValueError as error:
            raise DoorError(f"answers, but it is {error}") from None

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()

    def _body(self, answer: urllib3.BaseHTTPResponse, sent: float) -> bytes:
        body = bytearray()
        try:
            while piece := answer.read1(65_536):  # read() would wait for all of them, however slowly they drip
                body += piece
                if monotonic() - sent > 2 * PATIENCE_S or len(body) > _MOST_BYTES:
                    raise DoorError("takes too long, or says too much")
        except BaseException:
            answer.close()  # with its connection: the next question has a new one
            raise
        answer.release_conn()
        return bytes(body)


def _trust(observer: Observer, folder: Path) -> ssl.SSLContext:
    try:
        return trust(folder / observer.ca if observer.ca else None)
    except (OSError, ValueError) as error:
        raise TargetError(f"observer.ca: {observer.ca}: no PEM certificates: {error}") from None


def _reason(error: Exception) -> str:
    """An error of urllib3 without its machinery."""
    if isinstance(error, NewConnectionError):
        return f"cannot be reached: {str(error).rpartition('] ')[2].rpartition(': ')[2]}"
    if isinstance(error, (ConnectTimeoutError, ReadTimeoutError, TimeoutError)):
        return f"does not answer within {PATIENCE_S:g} s"
    if isinstance(error, SSLError):
        inner = error.args[0] if error.args else error
        told = getattr(inner, "verify_message", "") or getattr(inner, "reason", "") or str(inner)
        unknown = getattr(inner, "verify_code", None) in _NOBODY_VOUCHES
        hint = "; name it, or the authority that signed it, in observer.ca" if unknown else ""
        return f"cannot be trusted: TLS: {str(told).replace('_', ' ').lower()}{hint}"
    if isinstance(error, ProtocolError):
        return "hangs up, or does not speak HTTP (is it https?)"
    return f"cannot be asked: {error}"
