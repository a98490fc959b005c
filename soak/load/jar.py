"""A cookie jar for a client that asks it twice a request, where most targets never set a cookie."""

from __future__ import annotations

from http.cookiejar import CookieJar
from typing import Any


class Jar(CookieJar):
    """Costs next to nothing while no cookie is set; Python's own takes several microseconds of every request."""

    _used = False

    def add_cookie_header(self, request: Any) -> None:
        """Add what is in the jar to a request."""
        if self._used:
            super().add_cookie_header(request)

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Keep what a response sets."""
        if "Set-Cookie" in response.info():
            self._used = True
            super().extract_cookies(response, request)

    def clear(self, domain: str | None = None, path: str | None = None, name: str | None = None) -> None:
        """Throw cookies away: all of them, or those of a domain, a path, a name."""
        if self._used:
            super().clear(domain, path, name)
            self._used = domain is not None
