"""One POST of JSON to a receiver of alerts, and what to make of its answer.

No error says more than what kind it was: an address may be a secret, and what a server answers may repeat it.
"""

from __future__ import annotations

from collections.abc import Mapping

import requests
from requests.models import PreparedRequest

_TIMEOUT_S = (5.0, 10.0)
_LONGEST_WAIT_S = 300.0
_TRY_AGAIN = (408, 425, 429)


class RefusedError(Exception):
    """The receiver will not take this, however often it is sent."""


class UnreachableError(Exception):
    """It was not taken now; `after` is how long to wait at the least (s)."""

    def __init__(self, why: str, after: float = 0.0) -> None:
        super().__init__(why)
        self.after = after


def post(url: str, body: bytes, headers: Mapping[str, str], token: str | None) -> None:
    """Send it, once. Raises RefusedError when it makes no sense to send it again, else UnreachableError."""

    def sign_in(request: PreparedRequest) -> PreparedRequest:
        # said as `auth`, so that no .netrc of whoever runs this is sent in its place
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    try:
        with requests.post(
            url,
            data=body,
            headers={"Content-Type": "application/json", "User-Agent": "soak", **headers},
            auth=sign_in,
            timeout=_TIMEOUT_S,
            allow_redirects=False,
            stream=True,  # what it says besides is of no interest, however long it is
        ) as answer:
            status, after = answer.status_code, answer.headers.get("Retry-After", "")
    except requests.exceptions.SSLError:
        raise UnreachableError("its certificate is not trusted, or TLS failed") from None
    except requests.exceptions.Timeout:
        raise UnreachableError("it did not answer in time") from None
    except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError):
        raise UnreachableError("it cannot be reached") from None
    except (requests.exceptions.RequestException, ValueError, UnicodeError):
        raise RefusedError("its address or what is sent with it is no good") from None
    if 200 <= status < 300:
        return
    if status in _TRY_AGAIN or status >= 500:
        wait = float(after) if after.isdecimal() and len(after) < 6 else 0.0
        raise UnreachableError(f"it answered with status {status}", min(wait, _LONGEST_WAIT_S))
    raise RefusedError(f"it answered with status {status}")
