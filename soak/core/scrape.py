"""A door of the target's own, where it tells of its allocator and its runtime: what is watched says it itself."""

from __future__ import annotations

import re
from typing import Annotated, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, model_validator

from soak.core.model import Model, variable_of


class Scrape(Model):
    """Where figures of a target are read that cannot be seen from outside, and need no agent inside."""

    redis: Annotated[str | None, Field(description="HOST:PORT of a Redis or Valkey: its INFO")] = None
    prometheus: Annotated[str | None, Field(description="URL of a page of metrics in Prometheus' text format")] = None
    password: Annotated[str | None, Field(description="of Redis: ${NAME}, an environment variable")] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.redis is None) == (self.prometheus is None):
            raise ValueError("expected either `redis` or `prometheus`")
        if self.password is not None and self.redis is None:
            raise ValueError("password: only Redis asks for one")
        if self.password is not None:
            variable_of("password", self.password)
        try:
            parts = self._parts
            whole = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
        except ValueError:  # a port beyond 65535, or half an IPv6 address
            raise ValueError(self._expected) from None
        if self.redis is not None:
            whole = whole and parts.port is not None and parts.netloc == self.redis
        else:
            whole = whole and parts.scheme in ("http", "https") and not parts.fragment
        if not whole or re.search(r"[^!-~]", self.redis or self.prometheus or ""):
            raise ValueError(self._expected)
        return self

    @property
    def name(self) -> str:
        """The door as a person would call it."""
        return f"redis {self.redis}" if self.redis is not None else str(self.prometheus)

    @property
    def host(self) -> str:
        """The host name or address that is asked."""
        return self._parts.hostname or ""

    @property
    def tcp_port(self) -> int:
        """The port that is asked."""
        return self._parts.port or (443 if self.tls else 80)

    @property
    def tls(self) -> bool:
        """Whether it is asked through TLS."""
        return self._parts.scheme == "https"

    @property
    def path(self) -> str:
        """Path and query of the page."""
        parts = self._parts
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    @property
    def variable(self) -> str | None:
        """The environment variable that holds the password."""
        return variable_of("password", self.password) if self.password is not None else None

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(f"//{self.redis}" if self.redis is not None else str(self.prometheus))

    @property
    def _expected(self) -> str:
        if self.redis is not None:
            return f"redis: expected HOST:PORT, got {self.redis!r}"
        return f"prometheus: expected http://HOST:PORT/metrics, got {self.prometheus!r}"
