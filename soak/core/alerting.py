"""Who is told of a finding while a soak runs: an Alertmanager, or whoever listens at a webhook."""

from __future__ import annotations

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from soak.core.model import VARIABLE, Model, variable_of

RUN = "{run}"
"""Stands for the name of the run in the address of its report."""


class AlertTo(Model):
    """One receiver of alerts. What is secret of it stands in the environment, never in a scenario."""

    alertmanager: Annotated[str | None, Field(description="base URL, or ${NAME}: the variable that holds it")] = None
    webhook: Annotated[str | None, Field(description="${NAME}: the variable that holds its URL")] = None
    secret: Annotated[str | None, Field(description="${NAME}: what a webhook is signed with")] = None
    token: Annotated[str | None, Field(description="${NAME}: a bearer token")] = None
    labels: Annotated[
        dict[str, str], Field(default_factory=dict, description="more labels of an Alertmanager's alerts")
    ]
    report: Annotated[str | None, Field(description="address of the report for links; {run} is the run's name")] = None
    runbook: Annotated[str | None, Field(description="address of a page with an anchor for each cause")] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.alertmanager is None) == (self.webhook is None):
            raise ValueError("expected either alertmanager or webhook")
        if self.webhook is not None and not VARIABLE.fullmatch(self.webhook):
            raise ValueError("webhook: expected ${NAME}, an environment variable: who knows a webhook may post there")
        for key in ("secret", "token"):
            if (value := getattr(self, key)) is not None:
                variable_of(key, value)
        if self.secret is not None and self.webhook is None:
            raise ValueError("secret: only a webhook is signed")
        if self.labels and self.alertmanager is None:
            raise ValueError("labels: only an Alertmanager has them")
        for name in self.labels:
            if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) or name in _OWN_LABELS:
                raise ValueError(f"labels: {name[:40]!r} is no name for a label of your own")
        for key in ("alertmanager", "report", "runbook"):
            link = getattr(self, key)
            if link is None or key in self.variables:
                continue
            if fault := address_fault(link.replace(RUN, "run"), base=key == "alertmanager"):
                raise ValueError(f"{key}: {fault}, got {link!r:.80}")
        return self

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that are wanted, by the key that names them."""
        named = {key: getattr(self, key) for key in ("alertmanager", "webhook", "secret", "token")}
        found = {key: VARIABLE.fullmatch(value) for key, value in named.items() if value is not None}
        return {key: match[1] for key, match in found.items() if match is not None}

    @property
    def name(self) -> str:
        """How it is called where everyone may read it: by what the scenario says, never by what a variable holds."""
        return f"Alertmanager {self.alertmanager}" if self.alertmanager is not None else f"webhook {self.webhook}"


_OWN_LABELS = ("alertname", "scenario", "cause", "metric", "endpoint", "side", "severity", "fingerprint", "verdict")


def address_fault(text: str, *, base: bool) -> str:
    """What is wrong with an http(s) address; empty if nothing is. A `base` has no query: a path is put behind it."""
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if not whole or re.search(r"\s", text):
        return "expected http://HOST:PORT or https://..."
    if parts.username is not None:
        return "expected an address without a user"
    return "expected a base address without query and fragment" if base and (parts.query or parts.fragment) else ""
