"""One POST to a system that is told of a run, and what to make of its answer.

No error says more than what kind it was: an address or a token may be a secret, and what a server answers may repeat
it; who may show that asks for `said`.
"""

from __future__ import annotations

import contextlib
import email.utils
import time
from collections.abc import Mapping

import requests
import urllib3
from requests.auth import AuthBase, HTTPBasicAuth
from requests.models import PreparedRequest
from requests.utils import get_auth_from_url

_TIMEOUT_S = (5.0, 10.0)
"""To connect, and between two bytes of an answer."""
LONGEST_BACK_OFF_S = 60
_LONGEST_WAIT_S = 300.0
"""However late a server asks to come again."""
_TRY_AGAIN = (408, 425, 429)
_SAID_BYTES = 400


class UntoldError(Exception):
    """It was not taken; `said` is the beginning of what the answer said besides."""

    def __init__(self, why: str, after: float = 0.0, said: str = "") -> None:
        super().__init__(why)
        self.after = after
        self.said = said


class RefusedError(UntoldError):
    """The receiver will not take this, however often it is sent."""


class UnreachableError(UntoldError):
    """It was not taken now; `after` is how long to wait at the least (s)."""


class SignIn(AuthBase):
    """Says who asks: with a token, or as the address says. Said as `auth`, it is not replaced by one of a .netrc."""

    def __init__(self, url: str, token: str | None) -> None:
        self._user = get_auth_from_url(url)
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """The same request, signed in."""
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token.strip()}"
        elif self._user[0]:
            HTTPBasicAuth(*self._user)(request)
        return request


def post(url: str, body: bytes, headers: Mapping[str, str], token: str | None) -> None:
    """Send it, once. Raises RefusedError when it makes no sense to send it again, else UnreachableError."""
    try:
        with requests.post(
            url,
            data=body,
            headers={"Content-Type": "application/json", "User-Agent": "soak", **headers},
            auth=SignIn(url, token),
            timeout=_TIMEOUT_S,
            allow_redirects=False,
            stream=True,  # what it says besides may never end
        ) as answer:
            status, after = answer.status_code, retry_after(answer.headers.get("Retry-After"))
            said = _beginning(answer) if status >= 400 else ""
    except requests.exceptions.SSLError:
        raise UnreachableError("its certificate is not trusted, or TLS failed") from None
    except requests.exceptions.Timeout:
        raise UnreachableError("it did not answer in time") from None
    except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError):
        raise UnreachableError("it cannot be reached") from None
    except (requests.exceptions.RequestException, ValueError):
        raise RefusedError("its address or what is sent with it is no good") from None
    except OSError:  # as requests has it of a file that is not there
        raise UnreachableError("the authorities that REQUESTS_CA_BUNDLE names cannot be read") from None
    if 200 <= status < 300:
        return
    if status in _TRY_AGAIN or status >= 500:
        raise UnreachableError(f"it answered with status {status}", min(after or 0.0, _LONGEST_WAIT_S), said)
    raise RefusedError(f"it answered with status {status}", said=said)


def back_off(tries: int, after: float | None) -> float:
    """How long to wait when the last of so many tries has failed, too (s): each time twice as long, up to a minute.

    At least for `after`, if the server says when to come again.
    """
    return max(after or 0.0, float(min(2 ** (tries - 1), LONGEST_BACK_OFF_S)))  # a float has no 2**1024


def retry_after(text: str | None) -> float | None:
    """Seconds that a Retry-After header asks to wait: a number, or a date. None without one."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _beginning(answer: requests.Response) -> str:
    """What has come of an answer, at one go: it is not waited for byte by byte."""
    with contextlib.suppress(urllib3.exceptions.HTTPError, OSError):
        found: bytes = answer.raw.read1(_SAID_BYTES, decode_content=True)
        return " ".join(found.decode(errors="replace").split())
    return ""
